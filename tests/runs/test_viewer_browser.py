"""The viewer in a real browser: a headless Chromium driven by selenium."""

from __future__ import annotations

import time
from urllib.parse import quote

import pytest

from reasonrl.runs.accuracy import accuracy_of
from tests.runs.browsing import headless_browser, texts, until
from tests.runs.fake_run import (
    fake_header,
    fake_run,
    fake_sample,
    fake_tokenizer,
    fake_turns_sample,
    fake_verdict,
    write_rows,
)
from tests.runs.served_pages import serving

pytestmark = [pytest.mark.browser]

HOSTILE = "</pre><script>window.broken = 1</script><img src=x onerror='window.broken = 2'>&lt;b&gt; ${1} \u202e\x00 end"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with headless_browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    path = fake_run(tmp_path_factory.mktemp("fake") / "run", steps=12, problems=30)
    with serving(path) as running:
        yield running


def open_page(browser, server, fragment=""):
    browser.get("about:blank")
    browser.get(server.url + fragment)
    until(lambda: texts(browser, "#count")[0] or texts(browser, "#list .nothing"))


def choose(browser, name, value):
    """Choose in a filter as a person does, and wait for the answer."""
    before = texts(browser, "#count")
    browser.execute_script(
        "const s = document.getElementById(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new"
        " Event('change'));",
        name,
        value,
    )
    until(lambda: texts(browser, "#count") != before)


def test_samples_show_prompt_answer_and_verdict(browser, server):
    open_page(browser, server)
    assert browser.title.startswith("fake-quickstart")
    # 12 steps of 2 x 4, 3 evaluations of 30 x (1 + 4)
    assert texts(browser, "#count") == ["546 answers to 204 problems"]
    assert len(texts(browser, ".problem")) == 20
    assert "training, step 12" in texts(browser, ".problem .top")[0]
    assert "Q: 2 + 3" in texts(browser, ".problem .prompt")[0]
    assert texts(browser, ".problem .gold")[0].startswith("expected: ")
    side = texts(browser, ".problem .side")[0]
    assert "reward" in side and "tokens" in side
    assert "rational" in " ".join(texts(browser, ".problem .verdict"))


def test_more_pages(browser, server):
    open_page(browser, server)
    browser.find_element("id", "more").click()
    until(lambda: len(texts(browser, ".problem")) == 40)
    first_lines = texts(browser, ".problem .top")
    assert len(set(first_lines)) == 40


def test_filters_and_search(browser, server):
    open_page(browser, server)
    choose(browser, "correct", "correct")
    assert set(texts(browser, ".badge:not(.correct)")) <= {"cut off"} and len(texts(browser, ".badge.correct")) >= 20
    choose(browser, "step", "0")
    assert all("step 0" in line for line in texts(browser, ".problem .top"))
    browser.find_element("id", "clear").click()
    until(lambda: "546 answers" in texts(browser, "#count")[0])
    browser.find_element("id", "q").send_keys("i think THAT")
    until(lambda: "546 answers" not in texts(browser, "#count")[0] and texts(browser, "mark"))
    assert set(texts(browser, "mark")) == {"I think that"}
    browser.find_element("id", "q").send_keys(" no such thing")
    until(lambda: texts(browser, ".nothing") == ["No answers pass these filters."])


def test_filters_live_in_the_address(browser, server):
    open_page(browser, server, "#samples?kind=train&step=3&correct=wrong")
    assert browser.execute_script(
        "return ['kind', 'step', 'correct'].map(name => document.getElementById(name).value)"
    ) == [
        "train",
        "3",
        "wrong",
    ]
    assert all("training, step 3" in line for line in texts(browser, ".problem .top"))


def test_curves(browser, server):
    open_page(browser, server)
    browser.find_element("id", "tab-curves").click()
    titles = texts(browser, ".chart h3")
    assert titles[:4] == ["Accuracy", "Reward", "Groups of answers", "Response length"] and "tokens/computed" in titles
    assert texts(browser, "#charts .legend")[0] == "eval held out greedyeval held out sampledaccuracy train"
    assert browser.execute_script("return document.querySelectorAll('.chart polygon').length") == 2  # the intervals
    assert "NaN" not in browser.execute_script("return document.getElementById('charts').innerHTML")
    from selenium.webdriver import ActionChains

    ActionChains(browser).move_to_element(browser.find_element("css selector", ".chart svg")).perform()
    tip = until(
        lambda: browser.execute_script("const t = document.querySelector('.tip'); return t.hidden ? '' : t.textContent")
    )
    assert tip.startswith("step 6") and "eval held out greedy" in tip and "[" in tip


def test_curves_show_what_could_not_be_judged_as_a_bound(browser, tmp_path):
    fake_header(tmp_path)
    train = [
        {"kind": "train", "step": step, "accuracy/train": 0.5, "rollouts/unjudged_share": 0.1 * step} for step in (1, 2)
    ]
    metrics = accuracy_of([[True], [False], [None]]).metrics("eval/s/greedy")
    metrics |= accuracy_of([[True, False]]).metrics("eval/s/sampled")
    write_rows(tmp_path / "metrics.jsonl", [*train, {"kind": "eval", "step": 2, **metrics}])
    with serving(tmp_path) as server:
        open_page(browser, server)
        browser.find_element("id", "tab-curves").click()
        until(lambda: texts(browser, ".chart"))
        [legend] = texts(browser, ".chart.wide .legend")
    assert "accuracy train if unjudged wrong" in legend and "eval s greedy if unjudged wrong" in legend
    assert "sampled if unjudged wrong" not in legend, "everything was judged there"


def test_an_episode_of_several_turns_is_a_transcript(browser, tmp_path):
    fake_header(tmp_path)
    fake_tokenizer(tmp_path)
    write_rows(tmp_path / "samples.jsonl", [fake_turns_sample(), fake_sample(problem_id="single")])
    lengths = {"response/tokens_mean": 11.0}
    write_rows(
        tmp_path / "metrics.jsonl",
        [
            {"kind": "train", "step": step, **lengths, "response/turns": 2.0, "response/environment_tokens": 8.0}
            for step in (1, 2)
        ],
    )
    browser.get_log("browser")
    with serving(tmp_path) as server:
        open_page(browser, server)
        assert texts(browser, ".sample .turn h3") == [
            "policy, turn 19 tokens",
            "user (environment)8 tokens, not trained",
            "policy, turn 22 tokensthe verifier read this turn",
        ]
        assert texts(browser, ".sample .turn.partner pre") == ["Too low."] and texts(browser, ".turn.judged pre") == [
            "12"
        ]
        assert texts(browser, ".sample .text") == [" 12"], "a single turn is shown as it stands"
        looks = browser.execute_script(
            "return ['.turn.policy', '.turn.partner'].map(name => getComputedStyle(document.querySelector(name)))"
            ".map(style => [style.borderLeftStyle, style.marginLeft])"
        )
        assert looks == [["solid", "0px"], ["dashed", "36px"]], "told apart by more than colour"
        assert texts(browser, ".sample.several .numbers")[0].endswith(
            "turns 2tokens of the policy 11of the environment 8"
        )
        assert len(texts(browser, "details.credit")) == 1
        browser.find_element("css selector", "details.credit summary").click()
        until(lambda: texts(browser, ".credit pre"))
        assert texts(browser, ".credit pre") == ["Is it 9?↵\n", "Too low.", "12"]
        assert len(texts(browser, ".credit pre .environment")) == 8 and len(texts(browser, ".credit pre .plus")) == 10
        assert texts(browser, ".credit pre .minus") == ["I"] and "from -1 to +0.5" in texts(browser, ".credit p")[0]
        browser.find_element("id", "q").send_keys("too low")
        until(lambda: texts(browser, "#count") == ["1 answer to 1 problem"] and texts(browser, "mark") == ["Too low"])
        browser.find_element("id", "tab-curves").click()
        assert texts(browser, ".chart h3") == ["Response length", "Turns of an episode"]
        write_rows(
            tmp_path / "metrics.jsonl",
            [{"kind": "train", "step": 1, **lengths, "response/turns": 1.0, "response/environment_tokens": 0.0}],
        )
        browser.execute_script("refresh()")
        until(lambda: texts(browser, ".chart h3") == ["Response length"])
    assert [entry for entry in browser.get_log("browser") if "ERR_" not in entry["message"]] == []


def test_recipe_tab(browser, server):
    open_page(browser, server, "#recipe")
    assert (
        "prompts_per_step: 16" in texts(browser, "#yaml")[0]
        and "reasonrl train 'a fake'" in texts(browser, "#about")[0]
    )


def test_no_errors_in_the_console(browser, server):
    browser.get_log("browser")
    open_page(browser, server)
    assert [entry["message"] for entry in browser.get_log("browser")] == []


def test_model_text_stays_text(browser, tmp_path):
    fake_header(tmp_path)
    (tmp_path / "recipe.yaml").write_text(f"name: {HOSTILE[:70]!r}\n")
    verdict = fake_verdict(False, extracted=HOSTILE) | {"reason": HOSTILE, "method": HOSTILE}
    everywhere = dict.fromkeys(("mode", "set", "problem_id", "prompt", "response"), HOSTILE)
    turns = [{"role": HOSTILE, "text": HOSTILE, "tokens": 3} for _ in range(2)]
    talk = fake_sample(problem_id="talk", turns=turns, response=HOSTILE + "?")
    sample = fake_sample(kind="eval", verdicts={HOSTILE: verdict}, reference={"answer": HOSTILE}, **everywhere)
    write_rows(tmp_path / "samples.jsonl", [sample, talk])
    write_rows(tmp_path / "metrics.jsonl", [{"kind": "eval", "step": 1, f"eval/{HOSTILE}/greedy": 0.5, HOSTILE: 1.0}])
    with serving(tmp_path) as server:
        open_page(browser, server)
        until(lambda: texts(browser, ".chart"))
        assert texts(browser, ".sample .text") == [HOSTILE]
        assert texts(browser, ".turn pre") == [HOSTILE, HOSTILE, HOSTILE + "?"], "the last is what was judged"
        assert "<script>" in texts(browser, ".prompt")[0] and "<script>" in texts(browser, ".gold")[0]
        open_page(browser, server, "#samples?q=" + quote("<script>") + "&mode=" + quote(HOSTILE))
        assert "<script>" in texts(browser, "mark")
        time.sleep(0.2)
        assert browser.execute_script("return window.broken") is None
        assert browser.execute_script("return document.querySelectorAll('main script, main img').length") == 0


def test_the_policy_stops_foreign_scripts(browser, server):
    """A second wall: even a script that got into the page would not run."""
    open_page(browser, server)
    browser.execute_script(
        "const s = document.createElement('div'); s.innerHTML = `<img src=x onerror='window.broken = 3'>`;"
        " document.body.append(s);"
    )
    time.sleep(0.3)
    assert browser.execute_script("return window.broken") is None
    browser.get_log("browser")


def test_follows_a_running_trainer(browser, tmp_path):
    fake_header(tmp_path)
    with serving(tmp_path) as server:
        open_page(browser, server)
        assert texts(browser, "#list .nothing") == ["No answers yet. They appear here as the run writes them."]
        browser.execute_script("document.getElementById('tab-curves').click()")
        write_rows(
            tmp_path / "metrics.jsonl", [{"kind": "train", "step": step, "reward/mean": step / 4} for step in (1, 2)]
        )
        write_rows(tmp_path / "samples.jsonl", [fake_sample(step=1), fake_sample(step=2)])
        until(lambda: texts(browser, ".chart h3") == ["Reward"])
        assert until(lambda: browser.execute_script("return document.getElementById('status').className")) == "live"
        browser.execute_script("document.getElementById('tab-samples').click()")
        assert texts(browser, "#fresh") == ["2 new answers, show"]
        browser.find_element("id", "fresh").click()
        until(lambda: len(texts(browser, ".problem")) == 2)
        write_rows(tmp_path / "metrics.jsonl", [{"kind": "train", "step": 3, "reward/mean": 0.9}], mode="a")
        browser.execute_script("refresh()")  # as the timer does; the first change above has waited for the timer itself
        until(lambda: texts(browser, "#status")[0].startswith("step 3"))
    browser.execute_script("refresh()")
    until(lambda: texts(browser, "#status")[0] == "the viewer has stopped")


def test_reviews_of_a_critic_stand_beside_the_answer(browser, tmp_path):
    """Verdict, score, what it earned, and the critique, which is text like any other."""
    path = tmp_path / "run"
    fake_run(path, steps=1)
    review = {"accepted": 1, "rejected": 0, "unread": 0, "score": 1.0, "text": "Step 1 is right.", "failure": None}
    reviews = [
        review,
        {**review, "accepted": 0, "rejected": 2, "unread": 1, "score": 0.25, "text": HOSTILE},
        {**review, "accepted": 0, "unread": 1, "score": None, "text": "I wonder."},
        {**review, "accepted": 0, "rejected": 1, "score": 0.0, "text": ""},
        {**review, "accepted": 0, "unread": 1, "score": None, "text": "", "failure": "the server is away"},
        None,
    ]
    rows = [
        fake_sample(
            rollout=number,
            reviews=review and {"process_of_thought": review},
            reward_parts={"correctness": 1.0, "process_of_thought": 0.125 * number},
        )
        for number, review in enumerate(reviews)
    ]
    write_rows(path / "samples.jsonl", rows)
    with serving(path) as server:
        open_page(browser, server, "#samples")
        browser.get_log("browser")  # what the pages of other tests have left
        heads = texts(browser, ".review summary")
        assert heads == [f"critic process of thought {word}" for word in ("accepted", "rejected", "not read")] + [
            "critic process of thought rejected",
            "critic process of thought no critique",
        ]
        assert texts(browser, ".review summary .badge.correct, .review summary .badge.wrong") == [
            *("accepted", "rejected", "rejected"),
        ]
        numbers = texts(browser, ".review .numbers")
        assert numbers[1] == "accepted by 0 of 3not read 1score 0.25earned 0.125"
        assert numbers[2] == "accepted by 0 of 1not read 1earned 0.25"
        assert texts(browser, ".review pre") == ["Step 1 is right.", HOSTILE, "I wonder."]
        assert texts(browser, ".review > p:not(.numbers)") == [
            "The answer is blank: no critic was asked.",
            "the server is away",
        ]
        assert not browser.execute_script("return window.broken")
        first = browser.find_elements("css selector", ".review summary")[0]
        assert browser.execute_script("return document.querySelectorAll('.review[open]').length") == 0
        first.click()
        assert browser.find_elements("css selector", ".review pre")[0].is_displayed()
        open_page(browser, server, "#samples?q=WONDER")
        assert texts(browser, "#count") == ["1 answer to 1 problem"]
        assert texts(browser, ".review[open] mark") == ["wonder"], "a critique that was looked for is open"
        assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
