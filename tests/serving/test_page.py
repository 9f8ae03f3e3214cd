"""The page of the critic server in a real browser, with scripted models behind it."""

from __future__ import annotations

import http.client
import time

import pytest

from reasonrl.errors import ModelError
from reasonrl.serving.admission import Admission
from reasonrl.serving.service import Service
from tests.runs.browsing import headless_browser, texts, until
from tests.serving.fake_voices import FakeVoice, fake_cast, running_server

pytestmark = [pytest.mark.browser]

HOSTILE = "</pre><script>window.broken = 1</script><img src=x onerror='window.broken = 2'>&lt;b&gt; ${1} \u202e end"
WRONG = "3 boxes of 12 are 36.\n\n36 - 5 = 32.\n\nThe answer is \\boxed{32}."
RIGHT = "3 boxes of 12 are 36.\n\n36 - 5 = 31.\n\nThe answer is \\boxed{31}."


def critique(*judgements: str, final: str, why: str = "") -> str:
    """As the format step_sentence has it."""
    lines = []
    for number, judgement in enumerate(judgements):
        lines += [f"Step sentence: step {number}", f"Correctness of the step: {judgement}"]
        lines.append(f"Explanation: {why or f'so it is {number}'}")
    return "\n".join(["I check.", *lines, f"Correctness of the final answer: {final}"])


REJECTION = critique("Correct", "Wrong", final="Wrong")
APPROVAL = critique("Correct", "Correct", "Correct", final="Correct")


def careless_actor(chat, seed):
    """Wrong at first, right when it is given a critique."""
    return RIGHT if any("Correctness" in message["content"] for message in chat) else WRONG


def strict_critic(chat, seed):
    """Rejects 32."""
    return REJECTION if "32" in chat[-1]["content"] else APPROVAL


def service(actor=careless_actor, critic=strict_critic, *, delay_s=0.0, format_name="step_sentence"):
    return Service(fake_cast(FakeVoice("actor", actor, delay_s), FakeVoice("critic", critic), format_name), {})


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with headless_browser(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def url():
    with running_server(service()) as address:
        yield address


def status(browser):
    return texts(browser, "#status")[0].split()[0]


def open_page(browser, url, status_then="ready"):
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get(url + "/")
    until(lambda: status(browser) == status_then)


def write(browser, **fields):
    for name, value in fields.items():
        browser.execute_script("document.getElementById(arguments[0]).value = arguments[1]", name, str(value))


def press(browser, button, ends="done"):
    browser.find_element("id", button).click()
    until(lambda: status(browser) in ("done", "failed", "stopped"))
    assert status(browser) == ends, texts(browser, "#error")


def form(browser):
    return browser.execute_script(
        "return [...document.querySelectorAll('textarea, input, select')].map(field => field.value)"
    )


def fact(browser, name):
    """The value beside a name in the lists of facts."""
    return dict(zip(texts(browser, "dt"), texts(browser, "dd"), strict=True))[name]


def requests_that_failed(browser):
    """Chromium logs each answer with a status of 400 and more. Everything else in its log is a mistake of the page."""
    entries = browser.get_log("browser")
    others = [entry["message"] for entry in entries if "Failed to load resource" not in entry["message"]]
    assert others == []
    return len(entries)


def test_a_critique_colours_the_steps(browser, url):
    open_page(browser, url)
    write(browser, problem="eggs", solution=WRONG, seed=7)
    press(browser, "criticise")
    assert texts(browser, ".badge.large") == ["✗ incorrect"]
    assert fact(browser, "First wrong step") == "step 2" and fact(browser, "Seed") == "7"
    assert fact(browser, "Probability that it is correct") == "33 % (by one critique)"
    steps = browser.execute_script(
        "return [...document.querySelectorAll('.steps li')].map(step => [step.className,"
        " step.querySelector('.mark').textContent, step.querySelector('pre').textContent])"
    )
    assert steps == [
        ["correct", "✓ correct", "3 boxes of 12 are 36."],
        ["wrong", "✗ wrong", "36 - 5 = 32."],
        ["unjudged", "– not judged", "The answer is \\boxed{32}."],
    ]
    colours = browser.execute_script(
        "return [...document.querySelectorAll('.steps li')].map(step => getComputedStyle(step).backgroundColor)"
    )
    assert len(set(colours)) == 3
    assert texts(browser, ".steps .first") == ["← first wrong step"]
    assert texts(browser, ".comment") == ["so it is 0", "so it is 1"]
    assert "reading: ok" in texts(browser, ".critique .facts")[0]
    assert texts(browser, ".feedback")[0].startswith("Step sentence: step 0")
    assert texts(browser, ".raw") == [REJECTION]
    assert not browser.find_element("css selector", ".raw").is_displayed()
    browser.find_element("css selector", ".critique summary").click()
    assert browser.find_element("css selector", ".raw").is_displayed()
    assert texts(browser, "tbody th") == ["critic"]
    assert requests_that_failed(browser) == 0


def test_several_critiques_give_an_interval(browser):
    answers = iter([REJECTION, APPROVAL, REJECTION, "no verdict at all", REJECTION])
    with running_server(service(critic=lambda chat, seed: next(answers))) as url:
        open_page(browser, url)
        write(browser, problem="eggs", solution=WRONG, critiques=5)
        press(browser, "criticise")
    assert texts(browser, ".badge.large") == ["✗ incorrect"]
    assert fact(browser, "Critiques read") == "4 of 5"
    assert fact(browser, "Critiques that accept it").startswith("25 % (95 % interval ")
    assert texts(browser, ".steps .mark") == [
        "✓ correct (4 × correct, 0 × wrong)",
        "✗ wrong (1 × correct, 3 × wrong)",
        "✓ correct (1 × correct, 0 × wrong)",
    ]
    folds = texts(browser, ".fold > summary")
    assert len(folds) == 5 and sum("? not read" in fold for fold in folds) == 1
    assert len(texts(browser, ".fold[open]")) == 1 and "incorrect" in texts(browser, ".fold[open] > summary")[0]
    assert requests_that_failed(browser) == 0


@pytest.mark.parametrize(
    ("text", "verdict", "marks"),
    [
        ("\\boxed{-1}", "✓ correct", ["✓ correct"] * 3),
        ("\\boxed{1}", "✗ incorrect", ["✓ correct", "✗ wrong", "– not judged"]),
        ("I do not know.", "? abstained", ["– not judged"] * 3),
    ],
)
def test_a_critique_that_names_the_first_wrong_step(browser, text, verdict, marks):
    with running_server(service(critic=lambda chat, seed: text, format_name="boxed_index")) as url:
        open_page(browser, url)
        write(browser, problem="eggs", solution=WRONG)
        press(browser, "criticise")
    assert texts(browser, ".badge.large") == [verdict]
    assert texts(browser, ".steps .mark") == marks
    if "abstained" in verdict:
        assert "reading: missing" in texts(browser, ".critique .facts")[0]
        assert "could not be read" in texts(browser, "#shown .hint")[0]


def test_refine_shows_progress_answer_and_tokens(browser):
    with running_server(service(delay_s=0.5)) as url:
        open_page(browser, url)
        write(browser, problem="eggs")
        assert browser.execute_script("return document.getElementById('strategy').selectedOptions[0].textContent") == (
            "refine"
        )
        browser.find_element("id", "solve").click()
        until(lambda: texts(browser, ".progress li"))
        assert status(browser) == "working" and not texts(browser, ".answer")
        until(lambda: status(browser) == "done")
    assert len(texts(browser, ".progress li")) == 4
    assert texts(browser, ".answer") == [RIGHT]
    assert fact(browser, "Final answer") == "31"
    assert fact(browser, "Stopped because") == "the critic accepted the answer" and fact(browser, "Drafts") == "2"
    assert texts(browser, ".critique .badge") == ["✓ correct"]
    assert texts(browser, "tbody th") == ["actor", "critic", "all"]
    cells = [int(text.replace(",", "")) for text in texts(browser, "tbody td")]
    assert cells[0] == cells[3] == 2
    assert [cells[6 + i] for i in range(3)] == [cells[i] + cells[3 + i] for i in range(3)] and cells[8] > 0
    browser.find_element("css selector", "#shown .plain").click()
    assert browser.execute_script("return document.getElementById('solution').value") == RIGHT
    assert requests_that_failed(browser) == 0


def test_each_strategy_asks_for_its_options(browser, url):
    open_page(browser, url)

    def shown(strategy):
        browser.execute_script(
            "const select = document.getElementById('strategy'); select.value = arguments[0];"
            " select.dispatchEvent(new Event('change'))",
            f"{strategy}-actor",
        )
        return browser.execute_script(
            "return ['rounds', 'samples', 'each', 'tries'].map(id => document.getElementById(id))"
            ".filter(field => field.offsetParent).map(field => [field.id, field.placeholder])"
        )

    assert shown("refine") == [["rounds", "3"]]
    assert shown("best-of-n") == [["samples", "8"], ["each", "1"]]
    assert shown("regenerate") == [["tries", "8"]]
    assert shown("majority") == [["samples", "8"]]
    write(browser, problem="eggs", samples=3, rounds=2)
    press(browser, "solve")
    assert fact(browser, "Drafts") == "3", "rounds, which the strategy does not have, are not sent"
    assert texts(browser, "#shown .hint") == ["The critic did not judge this answer."]
    assert requests_that_failed(browser) == 0


def test_a_failure_is_shown_and_leaves_the_form(browser):
    def failing(chat, seed):
        raise ModelError("out of memory")

    with running_server(service(actor=failing, critic=failing)) as url:
        open_page(browser, url)
        write(browser, problem="eggs", solution=WRONG, critiques=3, seed=5, budget=99)
        before = form(browser)
        for button in ("criticise", "solve"):
            press(browser, button, ends="failed")
            assert texts(browser, "#error") == ["Not done. a model behind this server did not answer"]
            assert form(browser) == before
    press(browser, "criticise", ends="failed")
    assert texts(browser, "#error") == ["Not done. The server does not answer."]
    assert form(browser) == before and not texts(browser, "#shown > *")
    requests_that_failed(browser)


def test_a_field_that_is_wrong_is_not_sent(browser, url):
    open_page(browser, url)
    write(browser, problem="eggs", solution=WRONG, critiques=65)
    browser.find_element("id", "criticise").click()
    time.sleep(0.2)
    assert status(browser) == "ready"
    assert browser.execute_script("return document.activeElement.id") == "critiques"


def test_stop_ends_the_request_on_the_server_too(browser):
    slow = service(delay_s=60)
    admission = Admission()
    with running_server(slow, admission=admission) as url:
        open_page(browser, url)
        write(browser, problem="eggs")
        browser.find_element("id", "solve").click()
        until(lambda: texts(browser, ".progress li") and admission.under_way == 1)
        assert browser.execute_script("return document.activeElement.id") == "stop"
        press(browser, "stop", ends="stopped")
        until(lambda: admission.under_way == 0 and slow.cast.actor.cancelled == 1)
        assert browser.execute_script("return document.activeElement.id") == "solve"
        assert not browser.find_element("id", "stop").is_displayed() and texts(browser, "#error") == [""]
    assert requests_that_failed(browser) == 0


def test_model_text_stays_text(browser):
    text = HOSTILE + "\n" + critique("Correct", "Wrong", final="Wrong", why=HOSTILE)
    with running_server(service(actor=lambda chat, seed: HOSTILE, critic=lambda chat, seed: text)) as url:
        open_page(browser, url)
        write(browser, problem=HOSTILE, solution=HOSTILE + "\n\n" + HOSTILE)
        press(browser, "criticise")
        assert texts(browser, ".raw") == [text]
        assert texts(browser, ".steps pre") == [HOSTILE] * 2 and texts(browser, ".comment") == [HOSTILE] * 2
        press(browser, "solve")
        assert texts(browser, ".answer") == [HOSTILE]
    time.sleep(0.2)
    assert browser.execute_script("return window.broken") is None
    assert browser.execute_script("return document.querySelectorAll('main script, main img').length") == 0
    assert requests_that_failed(browser) == 0


def test_the_policy_stops_foreign_scripts(browser, url):
    open_page(browser, url)
    browser.execute_script(
        "const s = document.createElement('div'); s.innerHTML = `<img src=x onerror='window.broken = 3'>`;"
        " document.body.append(s);"
    )
    time.sleep(0.3)
    assert browser.execute_script("return window.broken") is None
    browser.get_log("browser")


def test_a_key_is_asked_for_when_the_server_wants_one(browser):
    with running_server(service(), keys=["secret"]) as url:
        open_page(browser, url, status_then="not")
        assert browser.find_element("id", "key").is_displayed()
        assert "a key is needed" in texts(browser, "#error")[0]
        browser.find_element("id", "key").send_keys("secret\n")
        until(lambda: status(browser) == "ready")
        write(browser, problem="eggs", solution=WRONG)
        press(browser, "criticise")
        assert texts(browser, ".badge.large") == ["✗ incorrect"]
        assert requests_that_failed(browser) == 1
        browser.refresh()
        until(lambda: status(browser) == "ready")
        assert not browser.find_element("id", "key").is_displayed(), "this tab remembers it"
        assert browser.execute_script("return [sessionStorage.length, localStorage.length]") == [1, 0]
        browser.execute_script("sessionStorage.clear()")


def test_the_example_can_be_taken_back(browser, url):
    open_page(browser, url)
    button = browser.find_element("id", "example")
    button.click()
    problem, solution = form(browser)[:2]
    assert "eggs" in problem and "\\boxed{32}" in solution
    write(browser, problem="mine", solution="")
    button.click()
    assert form(browser)[:2] == [problem, solution] and button.text == "Bring my texts back"
    button.click()
    assert form(browser)[:2] == ["mine", ""]


@pytest.mark.parametrize("width", [480, 1280])
def test_nothing_is_wider_than_the_window(browser, url, width):
    open_page(browser, url)
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        write(browser, problem="eggs", solution="x" * 500 + "\n\n" + "y " * 500)
        press(browser, "criticise")
        sizes = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        scrolled, seen = browser.execute_script(sizes)
        assert scrolled == seen
        top = browser.execute_script("return document.getElementById('results').getBoundingClientRect().top")
        assert 0 < top < 120, "in a narrow window, where the results are below the form, they are scrolled to"
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_every_field_and_button_has_a_name(browser, url):
    open_page(browser, url)
    nameless = browser.execute_script(
        "return [...document.querySelectorAll('input, textarea, select, button')]"
        ".filter(field => !(field.labels && field.labels.length) && !field.textContent.trim()).map(field => field.id)"
    )
    assert nameless == []
    assert browser.execute_script("return document.querySelectorAll('[tabindex]:not([tabindex=\"-1\"])').length") == 0


def test_the_page_is_served_with_its_policy(url):
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    connection.request("GET", "/")
    answer = connection.getresponse()
    page = answer.read().decode()
    connection.close()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-") and "connect-src 'self'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    assert "/* viewer" not in page and "/* strategy options */" not in page
    assert "innerHTML" not in page and "http://" not in page.replace("http://www.w3.org/2000/svg", "")
