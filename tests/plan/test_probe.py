"""A dry run calls the user's own code once: what would break the run breaks the plan, with exit code 2."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reasonrl.cli import main
from reasonrl.errors import RecipeError
from reasonrl.plan import estimate
from reasonrl.plan.probe import probe_rewards
from reasonrl.recipe.reading import parse_recipe
from reasonrl.rewards.loading import make_reward_parts, make_verifier
from tests.tiny_runs import tiny, write_recipe
from verifiers.types import Problem

FUNCTION: dict[str, Any] = {"reward": {"correctness": 1.0, "mine": {"weight": 1.0, "function": "CODE:f"}}}
ENVIRONMENT: dict[str, Any] = {"rollout": {"environment": {"name": "CODE:Mine"}, "max_response_tokens": 12}}

DryRun = Callable[..., tuple[int, str, str]]
Probe = Callable[[str], tuple[list[str], list[str]]]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes the code of a module and returns the module's name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name = f"probed_{tmp_path.name.replace('-', '_')}"

    def write(code: str) -> str:
        (tmp_path / f"{name}.py").write_text(code)
        return name

    return write


@pytest.fixture
def probe(module: Callable[[str], str]) -> Probe:
    """From the code of a module with a reward function `f` to warnings and what could not be tried."""

    def call(code: str) -> tuple[list[str], list[str]]:
        text = json.dumps(tiny(**FUNCTION)).replace("CODE", module(code))
        recipe = parse_recipe(text, "r").stages[0]
        verifier = make_verifier(recipe)
        problems = [Problem(f"p{i}", f"1 + {i}", "math", {"answer": str(1 + i)}) for i in range(3)]
        shown = probe_rewards(recipe, make_reward_parts(recipe, verifier), verifier, problems, None)
        return shown.warnings, shown.untried

    return call


@pytest.fixture
def dry_run(
    tmp_path: Path, module: Callable[[str], str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> DryRun:
    """From the code of a module and sections of a recipe to exit code, standard output and standard error."""
    monkeypatch.setattr(estimate, "measure_flops_per_s", lambda *_: 1e9)

    def call(code: str, changes: dict[str, Any], *options: str) -> tuple[int, str, str]:
        recipe = json.loads(json.dumps(tiny(**changes)).replace("CODE", module(code)))
        monkeypatch.setattr(
            sys, "argv", ["reasonrl", "train", str(write_recipe(tmp_path, recipe)), "--dry-run", *options]
        )
        with pytest.raises(SystemExit) as caught:
            main()
        written = capsys.readouterr()
        assert "Traceback" not in written.err
        return int(caught.value.code or 0), written.out, written.err

    return call


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 1.0", "returned a value of type float for 8 responses"),
        ("return None", "returned None for 8 responses"),
        ("return {i: 1.0 for i in range(len(responses))}", "returned a value of type dict for 8 responses"),
        ("return [1.0]", "returned 1 values for 8 responses"),
        ("return (1.0 for _ in responses)", "returned a value of type generator"),
        ("return [float('nan')] * 8", "returned nan for problem"),
        ("return ['1'] * 8", "returned '1' for problem"),
        ("return [1e300] * 8", "returned 1e+300 for problem"),
        ("1 / 0", "ZeroDivisionError: division by zero (probed_"),
        ("exit(0)", "sys.exit(0) was called (probed_"),
        ("return [float(p.reference['gold']) for p in problems]", "KeyError: 'gold' (probed_"),
        ("return [float(r[0] == '3') for r in responses]", "IndexError: string index out of range (probed_"),
    ],
)
def test_a_reward_function_that_breaks_on_gold_or_empty_responses_is_refused(
    probe: Probe, body: str, message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        probe(f"def f(responses, problems):\n    {body}\n")
    assert str(caught.value).startswith(f"reward.mine.function: {message}")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return [1.0 if r else 0.0 for r in responses]", "1 for gold responses, 0 for empty ones"),
        (
            "return [float(i) if r else None for i, r in enumerate(responses)]",
            "0 to 6 for gold responses, None for empty",
        ),
        (
            "return [None if i % 4 else 0.5 for i, _ in enumerate(responses)]",
            "0.5 or None for gold responses, None for",
        ),
    ],
)
def test_the_plan_says_what_a_sound_function_returned(dry_run: DryRun, body: str, words: str) -> None:
    code, out, _ = dry_run(f"def f(responses, problems):\n    {body}\n", FUNCTION)
    assert code == 0 and f"reward          reward.mine.function returned {words}" in out, out


def test_the_command_refuses_with_one_line(dry_run: DryRun) -> None:
    code, out, err = dry_run("def f(responses, problems):\n    return 1.0\n", FUNCTION)
    assert (code, out) == (2, "")
    assert err.startswith("error: reward.mine.function: returned a value of type float for 8 responses")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "body",
    [
        "return [1.0 if r else 0.0 for r in responses]",
        "return [None if not r else 1 for r in responses]",
        "for p in problems: p.reference.clear()\n    return [float(len(r)) for r in responses]",
    ],
)
def test_a_sound_function_passes_without_a_word(probe: Probe, body: str) -> None:
    assert probe(f"def f(responses, problems):\n    {body}\n") == ([], [])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return [0.5] * len(responses)", "reward.mine.function: returned 0.5 for gold and for empty responses alike"),
        ("return [None] * len(responses)", "reward.mine.function: returned None for gold and for empty responses."),
    ],
)
def test_a_constant_function_is_a_warning_of_the_plan(probe: Probe, body: str, message: str) -> None:
    warnings, untried = probe(f"def f(responses, problems):\n    {body}\n")
    assert untried == []
    assert len(warnings) == 1
    assert warnings[0].startswith(message)


def test_a_function_sees_verdicts_and_tokens_of_the_responses_that_are_tried(probe: Probe) -> None:
    verdict = "float(e.verdicts['correctness'].correct)"
    body = f"return [{verdict} + len(e.trained_trajectory.response_ids) for e in episodes]"
    assert probe(f"def f(responses, problems, episodes):\n    {body}\n") == ([], [])


def test_a_judge_that_does_not_answer_is_listed_as_not_checked(probe: Probe) -> None:
    warnings, untried = probe("def f(responses, problems):\n    raise ConnectionRefusedError('no judge')\n")
    assert warnings == []
    assert len(untried) == 1
    assert untried[0].startswith("reward.mine.function: ConnectionRefusedError: no judge (probed_")


def test_a_broken_pipe_is_a_fault_of_the_users_code(probe: Probe) -> None:
    with pytest.raises(RecipeError, match=r"^reward\.mine\.function: BrokenPipeError \(probed_.*, line 2\)"):
        probe("def f(responses, problems):\n    raise BrokenPipeError\n")


def test_what_is_printed_leaves_the_plan_on_standard_output_alone(dry_run: DryRun) -> None:
    code, out, err = dry_run(
        "print('imported')\ndef f(responses, problems):\n    print('called')\n    return [len(r) for r in responses]\n",
        FUNCTION,
        "--json",
    )
    assert code == 0
    assert json.loads(out)["stages"][0]["kind"] == "rl"
    assert "imported" in err
    assert "called" in err


EPISODE = "    async def episode(self, problem, rollout, seed, engine): ...\n"


def test_an_environment_is_constructed_once(dry_run: DryRun) -> None:
    code, _, err = dry_run(
        f"class Mine:\n    def __init__(self, tokenizer, sampling): {{}}['x']\n{EPISODE}", ENVIRONMENT
    )
    assert code == 2
    assert "error: rollout.environment: probed_" in err
    assert "cannot be constructed: KeyError: 'x' (probed_" in err


def test_a_function_of_episodes_is_left_to_the_environment_that_plays_them(dry_run: DryRun) -> None:
    module = (
        f"class Mine:\n    def __init__(self, tokenizer, sampling): ...\n{EPISODE}"
        "def f(responses, problems, episodes):\n    return [e.info['turns'] for e in episodes]\n"
    )
    code, out, err = dry_run(module, ENVIRONMENT | FUNCTION)
    assert (code, err) == (0, "")
    assert "reward.mine.function looks at episodes, which only probed_" in out


CRITIC_CODE = "def f(episode):\n    "
CRITIC: dict[str, Any] = {
    "name": "judge",
    "threads": 1,
    "model": {"path": "tiny-critic"},
    "data": {"train": {"source": "step_arithmetic", "options": {"tasks": {"critique": 1}, "size": 8}}},
    "critic": {"format": {"name": "boxed_index"}, "reward": "CODE:f", "refine": {"refinements": 2}},
    "rollout": {"rollouts_per_prompt": 4, "max_new_tokens": 16},
    "train": {"steps": 1, "prompts_per_step": 2},
}


@pytest.fixture
def probe_critic(module: Callable[[str], str]) -> Probe:
    """The same for a critic's reward `f`."""

    def call(code: str) -> tuple[list[str], list[str]]:
        recipe = parse_recipe(json.dumps(CRITIC).replace("CODE", module(code)), "r").stages[0]
        parts = make_reward_parts(recipe, make_verifier(recipe))
        verifier = parts[0].verifier
        assert verifier is not None
        problems = [
            Problem(
                f"p{i}",
                "Judge.",
                "critique",
                {
                    "answer": "3",
                    "solution": "1 + 1\n= 3",
                    "steps": ["1 + 1", "= 3"],
                    "correct": i == 0,
                    "first_error": i - 1,
                },
            )
            for i in range(2)
        ]
        shown = probe_rewards(recipe, parts, verifier, problems, None)
        return shown.warnings, shown.untried

    return call


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 'good'", "critic.reward: 'good' for problem"),
        ("return float('nan')", "critic.reward: nan for problem"),
        ("return [1.0]", "critic.reward: [1.0] for problem"),
        ("1 / 0", "critic.reward: ZeroDivisionError: division by zero (probed_"),
        ("return episode.refinements[2].correct", "critic.reward: IndexError: list index out of range (probed_"),
        ("return float(episode.critique.missing)", "critic.reward: AttributeError: "),
    ],
)
def test_a_reward_of_critiques_that_would_stop_the_run_is_refused(probe_critic: Probe, body: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        probe_critic(CRITIC_CODE + body)
    assert str(caught.value).replace("returned ", "").startswith(message)


def test_a_reward_of_critiques_sees_gold_and_empty_critiques_with_refinements(probe_critic: Probe) -> None:
    code = (
        CRITIC_CODE
        + "return sum(r.correct is True for r in episode.refinements) + (episode.critique.parse_status == 'ok')"
    )
    assert probe_critic(code) == ([], [])


def test_a_constant_reward_of_critiques_is_a_warning(probe_critic: Probe) -> None:
    warnings, untried = probe_critic(CRITIC_CODE + "return 0.25")
    assert untried == []
    assert warnings[0].startswith("critic.reward: returned 0.25 for gold and for empty responses alike")
    assert len(warnings) == 1
