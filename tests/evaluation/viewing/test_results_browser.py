"""The pages of results in a real browser: a headless Chromium driven by selenium."""

from __future__ import annotations

import json
import time

import pytest

from reasonrl.evaluation.viewing.pages import ResultsPages
from tests.evaluation.viewing.fake_results import fake_results, fake_row, write_json
from tests.runs.browsing import headless_browser, texts, until
from tests.runs.fake_run import fake_verdict, write_rows
from tests.runs.served_pages import serving

pytestmark = [pytest.mark.browser]

HOSTILE = "</pre><script>window.broken = 1</script><img src=x onerror='window.broken = 2'>&lt;b&gt; ${1} \u202e end"
SETS = {"gsm8k": 30, "aime24": 12}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with headless_browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    outer = tmp_path_factory.mktemp("results")
    folders = [
        fake_results(outer / name, SETS, n=3, seed=seed, model=f"model-{name}") for seed, name in enumerate("ab")
    ]
    with serving(ResultsPages(folders)) as running:
        yield running


def open_page(browser, server, fragment=""):
    browser.get("about:blank")
    browser.get(server.url + fragment)
    until(lambda: texts(browser, "#table > *") and (texts(browser, "#count")[0] or texts(browser, "#list .nothing")))


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


def test_scores_lead_to_the_problems_on_which_two_folders_disagree(browser, server):
    browser.get_log("browser")
    open_page(browser, server)
    assert browser.title == "a, b · reasonrl" and texts(browser, "#name") == ["A a · B b"]
    assert texts(browser, ".scores tbody th") == ["gsm8k", "aime24"]
    assert len(texts(browser, ".scores td .share .whiskers")) == 4 and len(texts(browser, ".difference .move")) == 2
    first = texts(browser, ".scores tbody td")[0]
    for words in ("avg@3, sampled, 30 problems", "pass@", "maj@3", "cut off", "unread", "not judged", "tokens"):
        assert words in first
    assert "p = " in texts(browser, ".difference")[1] or "p < " in texts(browser, ".difference")[1]
    [wins] = browser.execute_script(
        "return [document.querySelector('.scores tbody .difference button')].map(b => [b.textContent, b.click()][0])"
    )
    until(lambda: texts(browser, "#count")[0].endswith(f"to {wins} problems"))
    values = "return ['set', 'disagree'].map(name => document.getElementById(name).value)"
    assert browser.execute_script(values) == ["gsm8k", "B>A"]
    assert "disagree=B%3EA" in browser.current_url
    for a, b in zip(*[iter(texts(browser, ".answers .facts-line .badge:first-child"))] * 2, strict=True):
        assert a in ("wrong", "unread") and b == "right"
    assert browser.get_log("browser") == []


def test_they_disagree_side_by_side(browser, server):
    browser.get_log("browser")
    open_page(browser, server)
    browser.find_element("id", "tab-samples").click()
    choose(browser, "disagree", "any")
    sides = browser.execute_script(
        "return [...document.querySelectorAll('.problem')].map(problem => [...problem.querySelectorAll('.answers')]"
        ".map(box => [box.getBoundingClientRect(), box.querySelector('.badge:not(.picks *)').textContent,"
        " box.querySelector('.text').textContent]).map(([r, outcome, text]) => [r.left, r.top, outcome, text]))"
    )
    assert len(sides) == 10
    for a, b in sides:
        assert a[0] < b[0] and a[1] == b[1], "side by side"
        assert sorted([a[2] == "right", b[2] == "right"]) == [False, True] and a[3] and b[3]
    browser.find_element("id", "more").click()
    until(lambda: len(texts(browser, ".problem")) > 10)
    first = ".problem:first-child .answers:first-child"
    before = texts(browser, f"{first} .numbers")
    browser.execute_script("document.querySelector('.picks button[aria-pressed=false]').click()")
    until(lambda: texts(browser, f"{first} .numbers") != before)
    assert len(texts(browser, f"{first} .picks [aria-pressed=true]")) == 1
    browser.find_element("id", "clear").click()
    until(lambda: texts(browser, "#count") == ["252 answers to 42 problems"])
    browser.find_element("id", "q").send_keys("BOXED{19}")
    until(lambda: set(texts(browser, "mark")) == {"boxed{19}"})
    browser.find_element("id", "q").send_keys(" nowhere")
    until(lambda: texts(browser, ".nothing") == ["No answers pass these filters."])
    assert browser.get_log("browser") == []


def test_filters_live_in_the_address_and_tabs_take_the_keyboard(browser, server):
    open_page(browser, server, "#samples?set=aime24&outcome=unread&folder=B")
    values = "return ['set', 'outcome', 'folder'].map(name => document.getElementById(name).value)"
    assert browser.execute_script(values) == ["aime24", "unread", "B"]
    tab = browser.find_element("id", "tab-samples")
    tab.send_keys("\ue012")  # arrow left
    assert browser.execute_script("return document.activeElement.id") == "tab-scores"
    assert browser.find_element("id", "table").is_displayed()


def test_facts_mark_what_differs(browser, server):
    open_page(browser, server)
    assert texts(browser, "#differences") == ["2 differences"]
    browser.find_element("css selector", "#facts summary").click()
    assert texts(browser, "#lines .differs th") == ["model", "seed"]
    assert texts(browser, "#lines .differs td") == ["model-a", "model-b", "0", "1"]
    browser.find_element("id", "only").click()
    shown = [row for row in browser.find_elements("css selector", "#lines tbody tr") if row.is_displayed()]
    assert len(shown) == 2


def test_one_folder_has_nothing_to_compare(browser, tmp_path):
    with serving(ResultsPages([fake_results(tmp_path, {"gsm8k": 5})])) as server:
        open_page(browser, server)
        assert texts(browser, ".difference") == [] and "accuracy, greedy" in texts(browser, ".scores td")[0]
        browser.find_element("id", "tab-samples").click()
        shown = [label.text for label in browser.find_elements("css selector", "aside label") if label.is_displayed()]
        assert len(shown) == 4 and texts(browser, ".picks") == [], "no filter for several folders, no choice of one"


def test_follows_an_evaluation_that_is_still_drawn(browser, tmp_path):
    folder = fake_results(tmp_path, {"gsm8k": 3}, finished=False)
    with serving(ResultsPages([folder])) as server:
        open_page(browser, server)
        assert texts(browser, "#status") == ["3 answers, not finished"] and "so far" in texts(browser, ".scores td")[0]
        write_rows(folder / "samples.jsonl", [fake_row("gsm8k", 3, 0, 1, 0.5, 0)], mode="a")
        browser.execute_script("refresh()")
        until(lambda: texts(browser, "#fresh") == ["1 new answer, show"])
        assert browser.execute_script("return document.getElementById('status').className") == "live"
        browser.execute_script("document.getElementById('fresh').click()")
        until(lambda: texts(browser, "#count") == ["4 answers to 4 problems"])
        fake_results(folder, {"gsm8k": 4})
        browser.execute_script("refresh()")
        until(lambda: texts(browser, "#status") == ["4 answers"])
    browser.execute_script("refresh()")
    until(lambda: texts(browser, "#status")[0] == "the viewer has stopped")
    browser.get_log("browser")


def test_model_text_stays_text(browser, tmp_path):
    verdict = fake_verdict(False, extracted=HOSTILE) | {"reason": HOSTILE, "method": HOSTILE}
    texts_of_row = dict.fromkeys(("set", "problem_id", "prompt", "response", "finish_reason"), HOSTILE)
    folders = [tmp_path / "a", tmp_path / HOSTILE.replace("/", "")]
    for number, folder in enumerate(folders):
        fake_results(folder, {"gsm8k": 1}, model=HOSTILE, unlike={HOSTILE: HOSTILE, "prompt": f"{number} {HOSTILE}"})
        row = fake_row("gsm8k", 0, 0, 1, 0.5, 0) | texts_of_row
        row |= {"verdicts": {"correctness": verdict}, "reference": {"answer": HOSTILE}}
        write_rows(folder / "samples.jsonl", [row, row | {"problem_id": "2", "reference": {HOSTILE: HOSTILE}}])
        facts = json.loads((folder / "results.json").read_text())
        write_json(folder / "results.json", facts | {"benchmarks": {HOSTILE: facts["benchmarks"]["gsm8k"]}})
    with serving(ResultsPages(folders)) as server:
        open_page(browser, server)
        assert HOSTILE in texts(browser, ".scores th[scope=row]") and "<script>" in texts(browser, ".refused")[0]
        assert HOSTILE in texts(browser, "#lines td") and "<script>" in texts(browser, "#name")[0]
        open_page(browser, server, "#samples?q=%3Cscript%3E&problem=%3Cscript%3E")
        assert texts(browser, ".answers .text") == [HOSTILE] * 2 and "<script>" in texts(browser, "mark")
        assert "<script>" in texts(browser, ".gold")[0] and "<script>" in texts(browser, ".facts-line b")[0]
        time.sleep(0.2)
        assert browser.execute_script("return window.broken") is None
        assert browser.execute_script("return document.querySelectorAll('main script, main img').length") == 0


@pytest.mark.parametrize("width", [1280, 700, 390])
def test_nothing_is_wider_than_the_window(browser, server, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for tab in ("scores", "samples"):
        open_page(browser, server, "#" + tab)
        assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
