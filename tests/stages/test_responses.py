"""AutoMathCritique's loop: what a policy never solves alone comes into its training set through a critic that helps,
and in no other way.

A scripted policy solves sums that begin with an odd number and spoils all others; it mends a solution when the critique
names the wrong step, and copies an answer that is given away. Environment, verifier and selection are the real ones.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from transformers import LlamaConfig

from reasonrl.data.step_arithmetic import step_arithmetic
from reasonrl.data.step_demonstrations import spoilt
from reasonrl.data.step_sums import worked
from reasonrl.engines.base import Sampling
from reasonrl.environments.roles import LocalSpeaker, Speaker
from reasonrl.models.loading import LanguageModel
from reasonrl.recipe.reading import parse_recipe
from reasonrl.setup.roles import Roles
from reasonrl.stages.responses import ResponseCollector, is_shortcut
from tests.environments.scripted import TOKENIZER, ScriptedEngine
from tests.environments.test_critique import BrokenSpeaker
from tests.stages.test_critic_runs import runs
from tests.stages.test_methods_end_to_end import (
    FORMAT,
    actor,
    giving_away,
    naming,
    vague,
)
from tests.tiny_runs import rows, write_recipe
from verifiers.loading import load_verifier
from verifiers.types import Problem

PROBLEMS = step_arithmetic({"size": 40, "terms": 4})
VERIFIER = load_verifier("math", mode="lenient")
SAMPLING = Sampling(90)
CRITIC = LocalSpeaker("critic", TOKENIZER, SAMPLING, engine="critic")


def hard(question: str) -> bool:
    return int(question.split()[0]) % 2 == 0


def policy(prompt: str, seed: int) -> str:
    if "Again." in prompt:
        return actor(prompt, seed)
    question = prompt.removeprefix("<|user|>").removesuffix("<|assistant|>")
    return "\n".join(spoilt(question, random.Random(seed)) if hard(question) else worked(question))


def gathered(
    arm: Callable[[str, random.Random], str] | None, critic: Speaker = CRITIC
) -> tuple[list[Problem], Counter[str]]:
    """`arm` is what the critic says; without one there is no critic."""
    settings = {
        "name": "gathered",
        "kind": "collect",
        "data": {"train": {"source": "step_arithmetic"}},
        "critic": {"format": FORMAT},
        "rollout": {"max_new_tokens": 90},
        "collect": {"make": "responses", "samples_per_problem": 2},
    }
    (recipe,) = parse_recipe(yaml.safe_dump(settings), "test").stages
    roles = Roles()
    if arm is not None:
        engine = ScriptedEngine(lambda prompt, seed: arm(prompt, random.Random(seed)))
        roles = Roles({"critic": critic}, {"critic": engine})
    model = LanguageModel(SimpleNamespace(config=LlamaConfig()), TOKENIZER, "scripted")
    collected = ResponseCollector(recipe, model, ScriptedEngine(policy), VERIFIER, roles).collect("train", PROBLEMS)
    return collected.problems, collected.counts


def hard_ones(made: list[Problem]) -> int:
    return len({problem.meta["question"] for problem in made if hard(problem.meta["question"])})


def test_only_a_critic_that_helps_brings_hard_problems_in() -> None:
    all_hard = sum(hard(problem.meta["question"]) for problem in PROBLEMS)
    alone, counts = gathered(None)
    assert hard_ones(alone) == 0 and len(alone) == len(PROBLEMS) - all_hard == counts["problems with a right response"]
    assert counts["said before"] == len(alone), "each was sampled twice and says the same"
    helped, counts = gathered(naming)
    assert hard_ones(helped) == all_hard and counts["problems with a right response"] == len(PROBLEMS)
    for problem in helped:
        assert problem.reference["demonstration"].split("\n") == list(worked(problem.meta["question"]))
        assert (
            problem.meta["refined"] == hard(problem.meta["question"])
            and problem.prompt[0]["content"] == problem.meta["question"]
        )
    assert len({problem.id for problem in helped}) == len(helped)
    assert hard_ones(gathered(vague)[0]) == 0


def test_an_answer_that_is_copied_is_a_shortcut_and_is_dropped() -> None:
    made, counts = gathered(giving_away)
    assert hard_ones(made) == 0 and counts["refined by a shortcut"] == counts["wrong"] > 0
    assert is_shortcut("14", "1 + 2 = 4", None, 2) is False, "three numbers, and two may be missing"
    assert is_shortcut("14", "1 + 2 = 4", None, 1) and not is_shortcut("14", "1 + 2 = 4\n4 + 1 = 5", "5", 2)


def test_a_critic_that_does_not_answer_costs_refinements_and_is_counted() -> None:
    made, counts = gathered(naming, BrokenSpeaker())
    assert hard_ones(made) == 0 and counts["not refined: the critic did not answer"] == counts["wrong"] > 0


ROUNDS: dict[str, Any] = {
    "name": "loop",
    "seed": 1,
    "threads": 1,
    "model": {"path": "tiny-critic"},
    "verifier": {"name": "math", "mode": "lenient"},
    "rollout": {"max_new_tokens": 60},
    "evaluation": {"samples_per_problem": 0},
    "stages": [
        {
            "name": "responses",
            "kind": "collect",
            "critic": {"format": FORMAT},
            "data": {"train": {"source": "step_arithmetic", "options": {"size": 20, "terms": 4}}},
            "rollout": {"engine": "tests.stages.test_responses:Policy"},
            "collect": {"make": "responses", "critic": "same", "samples_per_problem": 2},
        },
        {
            "name": "taught",
            "kind": "sft",
            "data": {"train": {"source": "stage:responses/train"}},
            "sft": {"steps": 2, "rows_per_step": 4, "response": "{demonstration}"},
        },
    ],
}


class Policy(ScriptedEngine):
    """A fake that a recipe names: policy and critic in one."""

    def __init__(self, language_model: Any, rows_per_batch: int) -> None:
        super().__init__(
            lambda prompt, seed: naming(prompt, random.Random(seed)) if "Check." in prompt else policy(prompt, seed)
        )


def test_a_round_as_a_recipe(tmp_path: Path) -> None:
    runs(tmp_path, "train", write_recipe(tmp_path, ROUNDS), "run_dir=run", "--offline")
    collected = tmp_path / "run" / "stages" / "01-responses"
    counts = json.loads((collected / "collect.json").read_text())["train"]
    kept = rows(collected / "train.jsonl")
    assert counts["kept"] == len(kept) == counts["problems with a right response"] == 20
    assert counts["refined to right"] + counts["right"] == counts["sampled"] == 40
    assert all(row["kind"] == "math" and row["reference"]["demonstration"] for row in kept)
    assert rows(tmp_path / "run" / "stages" / "02-taught" / "metrics.jsonl")[-1]["kind"] == "sft"


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (
            {"collect": {"make": "critiques", "critic": "same"}},
            "has no effect with make: critiques",
        ),
        ({"collect": {"make": "responses", "labeller": "monte_carlo"}}, "applies to make: critiques only"),
        ({"critic": None}, "collect.critic: add the section critic"),
    ],
)
def test_bad_rounds(tmp_path: Path, stage: dict[str, Any], message: str) -> None:
    recipe = write_recipe(tmp_path, {**ROUNDS, "stages": [{**ROUNDS["stages"][0], **stage}, ROUNDS["stages"][1]]})
    assert message in runs(tmp_path, "train", recipe, "run_dir=run", "--offline", code=2).err
