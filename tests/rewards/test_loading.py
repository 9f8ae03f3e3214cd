"""Rewards and verifiers of the user's own: what they raise or return is one message with the recipe's key."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from critics.verifier import CritiqueVerifier
from reasonrl.environments.base import Episode, Trajectory
from reasonrl.errors import RecipeError, TrainingError
from reasonrl.recipe.reading import parse_recipe
from reasonrl.rewards.guarded import GuardedVerifier
from reasonrl.rewards.loading import function_part, make_reward_parts, make_verifier
from reasonrl.rewards.scoring import score_episodes
from verifiers.loading import load_verifier
from verifiers.types import Problem, Status, Verdict, is_thread_safe

RECIPE = "name: mine\ndata:\n  train: {source: arithmetic}\n"
VERDICT = "Verdict(True, 1.0, Status.JUDGED, None, 'mine', '', 0.0)"
HEAD = "import numpy as N\nfrom verifiers.types import Status, Verdict\n\nclass Mine:\n"
GOOD = f"    def verify(self, r, g): return [{VERDICT} for _ in r]\n    def gold_response(self, g): return 'a'\n"

Write = Callable[[str], str]


def verdict(correct: object, score: object, status: str = "JUDGED") -> str:
    """The code of a verdict."""
    return f"Verdict({correct}, {score}, Status.{status}, None, 'mine', '', 0.0)"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes the code of a module and returns the module's name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    written: list[str] = []

    def module(code: str) -> str:
        name = f"loaded_{tmp_path.name.replace('-', '_')}_{len(written)}"
        (tmp_path / f"{name}.py").write_text(code)
        written.append(name)
        return name

    return module


def episodes(count: int = 2) -> list[Episode]:
    trajectory = Trajectory("policy", [1], [2], [True], [0.0], "x", "stop")
    return [Episode(Problem(f"p{i}", "q", "math", {}), 0, 0, [trajectory]) for i in range(count)]


def verifier_of(name: str, *overrides: str) -> Any:
    return make_verifier(parse_recipe(RECIPE, "r", [f"verifier={name}:Mine", *overrides]).stages[0])


@pytest.mark.parametrize(
    "code",
    [
        "async def f(responses, problems):\n    return [1.0 for _ in responses]\n",
        "async def f(responses, problems, episodes):\n    return [1.0 for _ in episodes]\n",
        "class F:\n    async def __call__(self, responses, problems):\n        return [1.0, 1.0]\nf = F()\n",
        "def f(responses, problems):\n    return (1.0,) * len(responses)\n",
    ],
)
def test_functions_and_objects_may_be_async(write: Write, code: str) -> None:
    played = episodes()
    score_episodes(played, [function_part("mine", 1.0, f"{write(code)}:f")])
    assert [episode.reward_parts["mine"] for episode in played] == [1.0, 1.0]


@pytest.mark.parametrize(
    "code", ["def f(responses, problems):\n    1 / 0\n", "def f(responses, problems, episodes):\n    1 / 0\n"]
)
def test_what_a_function_raises_names_key_file_and_line(write: Write, code: str) -> None:
    name = write(code)
    message = rf"^reward\.mine\.function: ZeroDivisionError: division by zero \({name}\.py, line 2\)$"
    with pytest.raises(TrainingError, match=message):
        score_episodes(episodes(), [function_part("mine", 1.0, f"{name}:f")])


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("f = 3\n", "of type int, not a function"),
        ("def f(responses): ...\n", "cannot be called with"),
        ("def f(responses, problems, gold): ...\n", "cannot be called with"),
        ("f = max\n", "the parameters of .* are not known"),
        ("def f(:\n", r"cannot be imported: SyntaxError: .*line 1"),
        ("import sys\nsys.exit(0)\n", r"cannot be imported: sys\.exit\(0\) was called \(.*\.py, line 2\)"),
    ],
)
def test_a_function_that_cannot_be_used_is_found_before_the_run(write: Write, code: str, message: str) -> None:
    with pytest.raises(RecipeError, match=r"^reward\.mine\.function: .*" + message):
        function_part("mine", 1.0, f"{write(code)}:f")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("class Mine:\n    def __init__(self): 1 / 0\n", r"ZeroDivisionError: division by zero \(.*\.py, line 2\)"),
        ("class Mine:\n    def __init__(self): raise ValueError('no key')\n", r"ValueError: no key \(.*\.py, line 2\)"),
        ("import sys\nsys.exit(0)\n", r"sys\.exit\(0\) was called \(.*\.py, line 2\)"),
        ("import not_installed_anywhere\n", r"No module named 'not_installed_anywhere' \(.*\.py, line 1\)"),
        ("class Mine:\n  def verify(:\n", r"SyntaxError: .*line 2"),
        ("class Mine: ...\n", "has no method verify and no gold_response"),
        ("Other = 1\n", "has no 'Mine'"),
    ],
)
@pytest.mark.parametrize("key", ["verifier", "reward.mine.verifier"])
def test_a_verifier_that_cannot_be_loaded_is_a_mistake_in_the_recipe(
    write: Write, code: str, message: str, key: str
) -> None:
    name = write(code)
    recipe = parse_recipe(RECIPE, "r", ["reward.correctness=1", f"{key}={{name: '{name}:Mine'}}"]).stages[0]
    with pytest.raises(RecipeError, match=rf"^{key}: .*" + message) as caught:
        make_verifier(recipe) if key == "verifier" else make_reward_parts(recipe, load_verifier("math"))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("1 / 0", r"ZeroDivisionError: division by zero \(.*\.py, line 5\)"),
        ("raise SystemExit(0)", r"sys\.exit\(0\) was called \(.*\.py, line 5\)"),
        ("return None", "returned None; return a list with one Verdict"),
        ("return 1.0", "returned a value of type float; return a list"),
        ("return {i: 1 for i, _ in enumerate(r)}", "returned a value of type dict; return a list"),
        ("return [1.0 for _ in r]", "returned a value of type float for a response; return a Verdict"),
        (f"return [{VERDICT}]", "returned 1 verdicts for 2 responses; return one for each"),
        (f"return [{verdict(False, 1.0)}] * 2", r"ValueError: a verdict with correct=False cannot have score=1\.0: "),
        (f"return [{verdict(True, 0)}] * 2", r"ValueError: a verdict with correct=True cannot have score=0: "),
        (
            f"return [{verdict(True, 0.5, 'UNPARSED')}] * 2",
            "ValueError: a verdict with status unparsed cannot have cor",
        ),
        (
            f"return [{verdict('N.bool_(False)', 'N.float32(1)')}] * 2",
            "returned a Verdict that cannot be used: ValueErr",
        ),
        (f"return [{verdict(1, 0.0)}] * 2", "returned a Verdict that cannot be used: ValueError: a verdict with"),
        (f"return [{verdict(False, 'N.nan')}] * 2", r"ValueError: a score must be in \[0, 1\], not nan"),
        (f"return [{verdict(True, 1.01)}] * 2", r"ValueError: a score must be in \[0, 1\], not 1\.01"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "async "])
def test_what_a_verifier_raises_or_returns_is_one_message(write: Write, prefix: str, body: str, message: str) -> None:
    name = write(f"{HEAD}    {prefix}def verify(self, r, g): {body}\n    def gold_response(self, g): return 'a'\n")
    with pytest.raises(TrainingError, match=r"^verifier: Mine\.verify: " + message) as caught:
        verifier_of(name).verify(["a", "b"], [{}, {}])
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{name: math, timeout_s: 1e-9}", r"timeout_s is '1e-9'; write a number of seconds .*a point before its e"),
        ("{name: math, timeout_s: .inf}", "timeout_s is inf; write a number of seconds"),
        ("{name: format, pattern: a, workers: true}", "workers is True; write a whole number"),
        ("{name: math, cache_size: -1}", "cache_size is -1; write a whole number from 0"),
        ("{name: math, policy: [1]}", r"policy is \[1\]; write a section"),
        ("{name: math, policy: strict}", "policy is 'strict'; write a section"),
    ],
)
def test_an_option_of_a_built_in_verifier_that_makes_no_sense_is_refused(options: str, message: str) -> None:
    with pytest.raises(RecipeError, match=rf"^verifier: {message}"):
        make_verifier(parse_recipe(RECIPE, "r", [f"verifier={options}"]).stages[0])


def test_an_async_verifier_is_awaited(write: Write) -> None:
    verifier = verifier_of(write(HEAD + GOOD.replace("    def", "    async def")))
    assert [verdict.correct for verdict in verifier.verify(["a"], [{}])] == [True]
    assert verifier.gold_response({}) == "a"


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("return g['answer']", RecipeError, r"^verifier: Mine\.gold_response: KeyError: 'answer' \(.*\.py, line 6\)"),
        ("return None", RecipeError, r"^verifier: Mine\.gold_response: returned None; return the text"),
        ("return 3", RecipeError, "returned a value of type int"),
        ("raise ValueError('cannot be read')", ValueError, "^cannot be read$"),  # its contract: the row is reported
    ],
)
def test_what_a_gold_response_raises_or_returns_is_one_message(
    write: Write, body: str, error: type[Exception], message: str
) -> None:
    code = HEAD + f"    def verify(self, r, g): return []\n    def gold_response(self, g): {body}\n"
    with pytest.raises(error, match=message):
        verifier_of(write(code)).gold_response({})


def test_everything_else_is_the_verifiers(write: Write) -> None:
    name = write(f"{HEAD}    thread_safe = True\n    def __init__(self, mode='a'): self.mode = mode\n{GOOD}")
    verifier = verifier_of(name, "verifier.mode=b")
    assert is_thread_safe(verifier)
    assert verifier.mode == "b"
    assert not hasattr(verifier, "explain")
    for copied in (copy.deepcopy(verifier), pickle.loads(pickle.dumps(verifier))):
        assert copied.mode == "b"
        assert [verdict.status for verdict in copied.verify(["a"], [{}])] == [Status.JUDGED]


def test_a_built_in_verifier_is_the_object_itself_and_a_subclass_stays_an_instance() -> None:
    built_in = make_verifier(parse_recipe(RECIPE, "r").stages[0])
    assert type(built_in) is type(load_verifier("math"))
    guarded = GuardedVerifier(CritiqueVerifier("boxed_index"), "verifier")
    assert isinstance(guarded, CritiqueVerifier)
    assert isinstance(guarded, GuardedVerifier)
    assert isinstance(guarded.verify(["x"], [{"solution": "x", "correct": True}])[0], Verdict)
