"""`examples/grpo.py` against the trainer: the first update of both, from the same weights, problems and random numbers.

The example is handed the uniform numbers that the trainer's engine draws tokens with, one a token, in place of its own
ones. So everything can be compared: sampled tokens, rewards and advantages exactly; loss, gradient and new weights up
to rounding. How the two compute differs: the trainer packs rows into prefix trees, has a log-softmax and an AdamW of
its own, and ends a response by its text; the example copies keys and values for the responses of a prompt, uses torch's
functions, and ends a response by its token. Both are float32.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from reasonrl.algorithms.groups import group_mean
from reasonrl.algorithms.losses.aggregation import token_weights
from reasonrl.algorithms.losses.ppo_clip import ppo_clip_loss
from reasonrl.engines.sampling import row_noise
from reasonrl.models.loading import load_model
from reasonrl.stages.rl import RLStage
from reasonrl.update.prepared import PreparedUpdate
from reasonrl.update.rollouts import StepRollouts
from tests.test_names import forbidden_names
from tests.tiny_runs import context, merged, tiny
from verifiers import MathVerifier, Problem, Status, Verdict, Verifier

PATH = Path(__file__).parents[2] / "examples" / "grpo.py"
ALLOWED = ("verifiers", "reasonrl.algorithms", "reasonrl.data", "reasonrl.models", "torch", "transformers")
LONGEST_FILE = 200

TOLERANCE = 1e-6
"""Relative, of gradient norm, gradient and new weights (the last two as one vector); absolute, of the loss, which is a
sum of terms near 1 that cancel. Measured: at most 6e-7.
"""
TOLERANCE_OF_DEEP_GRADIENT = 2e-5
"""Relative, of the gradient and its norm in the pretrained model of 30 layers. Measured: 5e-6, while both gradients are
1.6e-5 away from the one that is computed in float64.
"""
TOLERANCE_OF_CHANGE = 5e-4
"""Relative, of what the update added to the weights, as one vector. Measured: at most 4e-5. Where the gradient of a
weight cancels to rounding noise, AdamW's first step, lr * g / (|g| + 1e-8), is noise too, but near lr in size.
"""


def load_example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("grpo_example", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


grpo = load_example()

TINY_SETTINGS: dict[str, Any] = {"prompts_per_step": 8, "lr": 3e-4}


@pytest.fixture(scope="module")
def pupil(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with the tiny model, taught until it answers some sums: untaught, it earns nothing."""
    loaded = load_model("tiny-arithmetic", seed=0, device="cpu")
    prompts = [f"{grpo.EXAMPLES}{a} + {b} =" for a in range(5) for b in range(5)]
    texts = [f"{prompt} {eval(prompt.splitlines()[-1][:-1])}\n" for prompt in prompts]
    batch = loaded.tokenizer(texts, padding=True, padding_side="right", return_tensors="pt")
    ids, mask = batch["input_ids"], batch["attention_mask"]  # [25, L], [25, L]
    answered = torch.arange(ids.shape[1]) >= len(loaded.tokenizer(prompts[0])["input_ids"])  # [L]
    labels = ids.where(mask.bool() & answered, -100)
    optimizer = torch.optim.AdamW(loaded.model.parameters(), lr=3e-3)
    for _ in range(30):
        loaded.model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    folder = tmp_path_factory.mktemp("pupil")
    loaded.model.save_pretrained(folder)
    loaded.tokenizer.save_pretrained(folder)
    return str(folder)


class Hesitant:
    """A math verifier that cannot judge about a third of the responses."""

    def __init__(self) -> None:
        self.math = MathVerifier(mode="whole")

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        verdicts = self.math.verify(responses, references)
        undecided = Verdict(None, None, Status.ERROR, None, "test", "could not be judged", 0.0)
        hard = [sum(map(ord, response)) % 3 == 0 for response in responses]
        return [undecided if skip else verdict for skip, verdict in zip(hard, verdicts, strict=True)]

    def gold_response(self, reference: dict[str, Any]) -> str:
        return self.math.gold_response(reference)


# --------------------------------------------------------------------------------------------------- the first updates


class FirstUpdate(NamedTuple):
    tokens: list[list[int]]
    rewards: Tensor
    """[B]"""
    judged: Tensor
    """[B] bool"""
    advantages: Tensor
    """[B]"""
    loss: float
    grad_norm: float
    gradient: Tensor
    """[N] after clipping: AdamW's first moment, which is a tenth of it after one step."""
    before: Tensor
    """[N] all weights."""
    after: Tensor


def as_vector(tensors: Iterable[Tensor]) -> Tensor:
    """[N] in float64."""
    return torch.cat([tensor.detach().double().flatten() for tensor in tensors])


def distinct_parameters(model: Any) -> Iterable[Tensor]:
    """A tied head, which the trainer makes a parameter of its own over the embedding's memory, counts once."""
    return {parameter.data_ptr(): parameter for parameter in model.parameters()}.values()


def recipe(settings: Any) -> dict[str, Any]:
    """The recipe that says what `settings` say."""
    numbers = {"operations": "+", "terms": [2, 2], "low": 0, "high": 4, "test_share": 0.25}
    return tiny(
        seed=settings.seed,
        model={"path": settings.model, "dtype": "float32"},
        data={
            "train": {"source": "arithmetic", "options": {**numbers, "size": 16}},
            "heldout": {"sums": {"options": {**numbers, "size": 4}}},
            "prompt": {"few_shot": [["24 - 9", " 15"], ["16 + 20", " 36"]]},
        },
        rollout={
            "rollouts_per_prompt": settings.rollouts_per_prompt,
            "max_new_tokens": settings.max_new_tokens,
            "temperature": settings.temperature,
            "stop": ["\n"],
        },
        train={"prompts_per_step": settings.prompts_per_step, "advantage": "grpo", "drop_silent_groups": True},
        optim={"lr": settings.lr},
    )


def trainers_update(
    folder: Path, settings: Any, verifier: Verifier, recipe: dict[str, Any]
) -> tuple[FirstUpdate, list[Problem], Tensor]:
    """The first update of the trainer, its problems [P] and its random numbers [B, max_new_tokens]."""
    run = context(folder, recipe)
    run.parts = [dataclasses.replace(part, verifier=verifier) for part in run.parts]
    stage = RLStage(run)
    before = as_vector(distinct_parameters(run.model))
    seen: list[tuple[StepRollouts, PreparedUpdate]] = []
    update = stage.update

    def watched_update(step: int, rollouts: StepRollouts, prepared: PreparedUpdate) -> dict[str, Any]:
        seen.append((rollouts, prepared))
        return update(step, rollouts, prepared)

    stage.update = watched_update  # type: ignore[method-assign]
    row = stage.run_step(1)
    ((rollouts, prepared),) = seen
    first = FirstUpdate(
        [episode.trained_trajectory.response_ids for episode in rollouts.episodes],
        prepared.batch.rewards,
        prepared.batch.judged,
        prepared.rollout_advantages,
        row["loss/total"],
        row["optim/grad_norm"],
        as_vector(run.optimizer.tensors()[f"exp_avg/{name}"] for name, _ in run.optimizer.masters()),
        before,
        as_vector(distinct_parameters(run.model)),
    )
    noise = row_noise([episode.seed for episode in rollouts.episodes], settings.max_new_tokens)
    problems = [dataclasses.replace(problem, prompt=problem.meta["expression"]) for problem in rollouts.problems]
    return first, problems, noise


def examples_update(
    settings: Any, verifier: Verifier, problems: list[Problem], noise: Tensor, **optimizer: float
) -> FirstUpdate:
    """The first update of the example. `optimizer` replaces settings of its AdamW."""
    policy = grpo.Policy(settings)
    policy.optimizer.param_groups[0].update(optimizer)
    before = as_vector(policy.model.parameters())
    done = grpo.update(policy, verifier, problems, 0, noise)
    tokens = [row[real].tolist() for row, real in zip(done["tokens"], done["mask"], strict=True)]
    return FirstUpdate(
        tokens,
        done["rewards"],
        done["judged"],
        done["advantages"],
        float(done["loss"]),
        float(done["grad_norm"]),
        as_vector(policy.optimizer.state[parameter]["exp_avg"] for parameter in policy.model.parameters()),
        before,
        as_vector(policy.model.parameters()),
    )


def relative_difference(value: Tensor | float, expected: Tensor | float) -> float:
    value, expected = torch.as_tensor(value).double(), torch.as_tensor(expected).double()
    return float((value - expected).norm() / expected.norm())


def differences(
    example: FirstUpdate, trainer: FirstUpdate, *, gradient_tolerance: float = TOLERANCE
) -> dict[str, float]:
    """What differs more than its tolerance, and by how much."""
    exact = {
        "tokens": example.tokens == trainer.tokens,
        **{
            name: torch.equal(getattr(example, name), getattr(trainer, name))
            for name in ("before", "judged", "rewards", "advantages")
        },
    }
    changes = example.after - example.before, trainer.after - trainer.before
    close = {
        "loss": (abs(example.loss - trainer.loss), TOLERANCE),
        "grad_norm": (relative_difference(example.grad_norm, trainer.grad_norm), gradient_tolerance),
        "gradient": (relative_difference(example.gradient, trainer.gradient), gradient_tolerance),
        "after": (relative_difference(example.after, trainer.after), TOLERANCE),
        "change": (relative_difference(*changes), TOLERANCE_OF_CHANGE),
    }
    return {
        **{name: 1.0 for name, equal in exact.items() if not equal},
        **{name: value for name, (value, tolerance) in close.items() if not value <= tolerance},
    }


@pytest.mark.parametrize(
    ("changes", "verifier", "clips"),
    [
        ({}, MathVerifier(mode="whole"), False),
        ({"temperature": 1.2}, MathVerifier(mode="whole"), False),
        ({"temperature": 1.2}, Hesitant(), False),
        ({"prompts_per_step": 2, "seed": 2}, MathVerifier(mode="whole"), True),
    ],
    ids=["math", "temperature", "not judged", "clipped gradient"],
)
def test_first_update_equals_the_trainers(
    tmp_path: Path, pupil: str, changes: dict[str, Any], verifier: Verifier, clips: bool
) -> None:
    settings = grpo.Settings(**{**TINY_SETTINGS, "model": pupil, **changes})
    trainer, problems, noise = trainers_update(tmp_path, settings, verifier, recipe(settings))
    example = examples_update(settings, verifier, problems, noise)
    assert differences(example, trainer) == {}
    # The comparison is one of groups that teach and groups that do not, with a gradient on the right side of the clip.
    assert 0 < int((trainer.advantages != 0).sum()) < len(trainer.advantages)
    assert bool(trainer.judged.all()) != isinstance(verifier, Hesitant)
    assert (trainer.grad_norm > 1) is clips


def no_deviation(rewards: Tensor, group: Tensor, judged: Tensor) -> Tensor:
    """Dr. GRPO's advantage."""
    return (rewards - group_mean(rewards, group, judged)).where(judged, 0.0)


def mean_of_responses(mask: Tensor, mode: str, max_new_tokens: int) -> Tensor:
    return token_weights(mask, "sequence_mean", max_new_tokens)


def other_sign(logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor) -> tuple[Tensor, Tensor]:
    loss, clipped = ppo_clip_loss(logprobs, old_logprobs, advantages)
    return -loss, clipped


@pytest.mark.parametrize(
    ("name", "replacement", "seen_in"),
    [
        ("grpo_advantages", no_deviation, {"advantages", "gradient"}),
        ("token_weights", mean_of_responses, {"gradient", "grad_norm"}),
        ("ppo_clip_loss", other_sign, {"gradient", "after", "change"}),
        ("group_std", lambda rewards, group, judged: torch.ones_like(rewards), {"gradient", "grad_norm"}),
        ("EXAMPLES", "24 - 9 = 15\n", {"tokens"}),
    ],
)
def test_a_wrong_step_is_seen(
    tmp_path: Path, pupil: str, monkeypatch: pytest.MonkeyPatch, name: str, replacement: Any, seen_in: set[str]
) -> None:
    settings = grpo.Settings(**{**TINY_SETTINGS, "model": pupil, "temperature": 1.2})
    verifier = MathVerifier(mode="whole")
    trainer, problems, noise = trainers_update(tmp_path, settings, verifier, recipe(settings))
    monkeypatch.setattr(grpo, name, replacement)
    assert seen_in <= set(differences(examples_update(settings, verifier, problems, noise), trainer))


@pytest.mark.parametrize(
    ("group", "seen_in"), [({"lr": 3.03e-4}, "change"), ({"weight_decay": 0.01}, "after"), ({"eps": 1e-7}, "change")]
)
def test_another_optimizer_is_seen(tmp_path: Path, pupil: str, group: dict[str, float], seen_in: str) -> None:
    settings = grpo.Settings(**{**TINY_SETTINGS, "model": pupil, "temperature": 1.2})
    verifier = MathVerifier(mode="whole")
    trainer, problems, noise = trainers_update(tmp_path, settings, verifier, recipe(settings))
    assert seen_in in differences(examples_update(settings, verifier, problems, noise, **group), trainer)


@pytest.mark.slow
@pytest.mark.model
def test_first_update_of_the_pretrained_model_equals_the_trainers(tmp_path: Path) -> None:
    """On the example's own task and settings, with fewer prompts."""
    settings = grpo.Settings(prompts_per_step=6, rollouts_per_prompt=4)
    task = {"operations": "+-", "high": 30, "allow_negative": False, "test_share": 0.2}
    data = {"train": {"options": {**task, "size": 100}}, "heldout": {"sums": {"options": {**task, "size": 4}}}}
    verifier = MathVerifier(mode="whole")
    trainer, problems, noise = trainers_update(tmp_path, settings, verifier, merged(recipe(settings), {"data": data}))
    example = examples_update(settings, verifier, problems, noise)
    assert differences(example, trainer, gradient_tolerance=TOLERANCE_OF_DEEP_GRADIENT) == {}
    assert bool((trainer.advantages != 0).any())


# ------------------------------------------------------------------------------------------------------ the file itself


def test_nothing_to_learn_leaves_the_weights_alone() -> None:
    policy = grpo.Policy(grpo.Settings(**{**TINY_SETTINGS, "model": "tiny-arithmetic"}))
    before = as_vector(policy.model.parameters())
    problem = Problem("sum", "1 + 1", "math", {"answer": "2"}, "test", {})
    done = grpo.update(policy, MathVerifier(mode="whole"), [problem], 0, torch.full((64, 5), 0.5).double())
    assert not done["rewards"].any() and not done["loss"] and not done["grad_norm"]
    assert torch.equal(as_vector(policy.model.parameters()), before)


def test_it_runs_from_its_settings_to_the_last_evaluation(pupil: str, capsys: pytest.CaptureFixture[str]) -> None:
    grpo.main(grpo.Settings(**{**TINY_SETTINGS, "model": pupil, "steps": 2, "heldout_problems": 20}))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["before:", "update", "update", "after:"]
    assert lines[0].endswith("of 20 held-out problems") and "reward" in lines[1]


def test_it_is_one_short_file_on_pure_packages() -> None:
    text = PATH.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    modules = set(imported_modules(ast.parse(text)))
    outside = {module for module in modules if module.split(".")[0] not in sys.stdlib_module_names}
    assert [module for module in sorted(outside) if not is_allowed(module)] == []
    assert {"verifiers", "reasonrl.algorithms.advantages.grpo"} <= modules
    assert forbidden_names(PATH, PATH.name) == []


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("from verifiers.types import Verdict", True),
        ("import torch.nn as nn", True),
        ("import reasonrl", False),
        ("from reasonrl import recipe", False),
        ("from reasonrl.algorithms_of_mine import x", False),
        ("from reasonrl.engines.base import derive_seed", False),
        ("def f():\n    import numpy", False),
    ],
)
def test_every_import_is_seen(line: str, allowed: bool) -> None:
    (module,) = imported_modules(ast.parse(line))
    assert is_allowed(module) is allowed


def imported_modules(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            yield str(node.module)


def is_allowed(module: str) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in ALLOWED)


def test_the_ten_steps_stand_in_order() -> None:
    numbers = re.findall(r"^    # (\d+) (\w+)", PATH.read_text(encoding="utf-8"), flags=re.MULTILINE)
    names = ["select", "allocate", "roll", "verify", "observe", "filter", "shape", "advantage", "select", "update"]
    assert numbers == [(str(i), name) for i, name in enumerate(names, 1)]
