"""A dry run calls an advantage and a loss of the user's own once: what would stop the run is one message before it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from reasonrl.errors import RecipeError
from reasonrl.plan.method_probe import made_batch, probe_methods
from reasonrl.recipe.reading import parse_recipe
from reasonrl.rewards.loading import make_reward_parts, make_verifier
from tests.tiny_runs import tiny

Probe = Callable[..., None]


@pytest.fixture
def probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Probe:
    """Probes a recipe whose section `train` names functions of a module with this code (`CODE:f`)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name = f"methods_{tmp_path.name.replace('-', '_')}"

    def call(code: str, train: dict[str, Any], **changes: Any) -> None:
        (tmp_path / f"{name}.py").write_text(f"import torch\nfrom reasonrl.algorithms import declarations\n{code}")
        text = json.dumps(tiny(train=train, **changes)).replace("CODE", name)
        recipe = parse_recipe(text, "r").stages[0]
        before = torch.random.get_rng_state()
        try:
            probe_methods(recipe, make_reward_parts(recipe, make_verifier(recipe)))
        finally:
            assert torch.equal(torch.random.get_rng_state(), before)

    return call


ADVANTAGE = {"advantage": "CODE:f"}
LOSS = {"loss": "CODE:f"}
PLAIN = "def f(rewards, group, judged):\n    "
TOKENS = "def f(logprobs, advantages):\n    "
STD = "torch.stack([rewards[group == g].std() for g in group])"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return rewards[:1]", "one advantage for each row"),
        ("return rewards[:, None]", "one advantage for each row"),
        ("return rewards.mean()", "one advantage for each row"),
        ("return None", "None"),
        ("return rewards * float('nan')", "not a finite number"),
        (f"return (rewards - rewards.mean()) / {STD} if False else rewards / {STD}", "not a finite number"),
        ("return (r for r in rewards)", "generator"),
        ("raise KeyError('x')", "KeyError: 'x' (methods_"),
        ("exit(0)", "sys.exit(0) was called (methods_"),
        ("torch.rand(3); return rewards.view(-1, 3)", "(methods_"),
    ],
)
def test_an_advantage_that_would_stop_the_run_is_refused(probe: Probe, body: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        probe(PLAIN + body, ADVANTAGE)
    assert str(caught.value).startswith("train.advantage: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return (-logprobs * advantages).sum()", "the loss of each token"),
        ("return None", "None"),
        ("return (-logprobs * advantages)[:, :1]", "the loss of each token"),
        ("return logprobs.log() * advantages", "finite"),
        ("return logprobs.detach() * advantages", "gradient"),
        ("return [0.0]", "list"),
        ("1 / 0", "ZeroDivisionError: division by zero (methods_"),
        ("return (logprobs - logprobs).sqrt() + logprobs * advantages", "finite number"),
    ],
)
def test_a_loss_of_tokens_that_would_stop_the_run_is_refused(probe: Probe, body: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        probe(TOKENS + body, LOSS)
    assert str(caught.value).startswith("train.loss: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "value", ["rows.scores", "rows.scores.sum().detach()", "3.0", "None", "(rows.scores * 0).sqrt().sum()"]
)
def test_a_loss_over_responses_that_would_stop_the_run_is_refused(probe: Probe, value: str) -> None:
    code = f"def g(rows):\n    return {value}\nf = declarations.Loss(g, level='group')\n"
    with pytest.raises(RecipeError, match=r"^train\.loss: "):
        probe(code, LOSS)


@pytest.mark.parametrize(
    ("code", "train"),
    [
        (PLAIN + "return rewards - rewards.mean()", ADVANTAGE),
        ("async " + PLAIN + "return rewards - rewards.mean()", ADVANTAGE),
        (PLAIN + "rewards -= 1; judged[:] = False; return rewards", ADVANTAGE),
        ("def f(rewards, group, judged, lengths, greedy_rewards):\n    return rewards - greedy_rewards", ADVANTAGE),
        (
            "def f(rewards, group, judged, reward_parts, part_weights):\n    return reward_parts['correctness']",
            ADVANTAGE,
        ),
        (TOKENS + "return -logprobs * advantages", LOSS),
        (
            "def f(logprobs, advantages, old_logprobs, clip_low=0.2):\n    return -(logprobs - old_logprobs).exp()",
            LOSS,
        ),
        ("def g(rows):\n    return -(rows.scores * rows.correct).sum()\nf = declarations.Loss(g, level='group')", LOSS),
        (PLAIN + f"return rewards / {STD}", {**ADVANTAGE, "refill": {"enabled": True}}),
    ],
)
def test_sound_functions_pass_without_a_word(probe: Probe, code: str, train: dict[str, Any]) -> None:
    probe(code, train)


def test_the_step_that_is_made_up_has_every_kind_of_group() -> None:
    recipe = parse_recipe(json.dumps(tiny()), "r").stages[0]
    batch = made_batch(recipe, make_reward_parts(recipe, make_verifier(recipe)))
    assert batch.group.tolist() == [row // 4 for row in range(16)]
    assert batch.rewards.view(4, 4).tolist() == [[1, 0, 1, 0], [0] * 4, [1] * 4, [0, 0, 1, 0]]
    assert batch.judged.logical_not().nonzero().tolist() == [[12]]


def test_built_in_methods_are_not_called(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reasonrl.plan.method_probe.made_batch", lambda *_: 1 / 0)
    probe("", {})
