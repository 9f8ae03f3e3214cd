"""Does each method's reward pick the behaviour that it should? A table of chances for the critic, a scripted actor, the
real environment, rewards and group baseline.

The actor mends a solution exactly when the critique names the wrong step, or gives the answer away.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from critics.balance import balanced
from critics.formats import load_format
from reasonrl.algorithms.catalogue import ADVANTAGES
from reasonrl.data.critiques import critique_problem
from reasonrl.data.step_arithmetic import step_arithmetic
from reasonrl.data.step_demonstrations import spoilt
from reasonrl.data.step_sums import correction, first_error, worked
from reasonrl.engines.base import Sampling
from reasonrl.environments.critique import CritiqueAndRefine
from reasonrl.environments.roles import LocalSpeaker
from reasonrl.environments.rollouts import roll_out
from reasonrl.recipe.critics import CriticSpec
from reasonrl.rewards.base import total_reward
from reasonrl.rewards.critique import critic_parts
from reasonrl.rewards.scoring import score_episodes
from tests.environments.scripted import TOKENIZER, ScriptedEngine, TabularCritic
from verifiers.loading import load_verifier
from verifiers.types import Problem

FORMAT = {"name": "step_sentence", "instruction": "Check.", "refine_instruction": "Again."}
FINAL = "Correctness of the final answer: "
Arm = Callable[[str, random.Random], str]


def problems(right_share: float, count: int = 60) -> list[Problem]:
    rng = random.Random(3)
    made = []
    for one in step_arithmetic({"size": count, "terms": 3}):
        question = one.meta["question"]
        steps = worked(question) if rng.random() < right_share else spoilt(question, rng)
        index = first_error(question, steps)
        reference = {
            "answer": one.reference["answer"],
            "solution": "\n".join(steps),
            "steps": list(steps),
            "correct": index == -1,
            "first_error": index,
        }
        made.append(
            critique_problem(Problem(one.id, question, "critique", reference, meta=one.meta), load_format(**FORMAT))
        )
    return made


def shown(prompt: str) -> tuple[str, list[str]]:
    """Question and steps in the critic's prompt."""
    question = re.search(r"Problem:\n(.*)\n", prompt)
    solution = re.search(r"<solution>\n(.*)\n</solution>", prompt, re.DOTALL)
    assert question and solution
    return question.group(1), solution.group(1).split("\n")


def judged(prompt: str) -> bool:
    return first_error(*shown(prompt)) == -1


def verdict(right: bool) -> str:
    return f"{FINAL}{'Correct' if right else 'Wrong'}"


def fair_judge(prompt: str, rng: random.Random) -> str:
    return verdict(judged(prompt) if rng.random() < 0.75 else not judged(prompt))


def naming(prompt: str, rng: random.Random) -> str:
    question, steps = shown(prompt)
    lines = []
    for index, step in enumerate(steps):
        wrong = index == first_error(question, steps)
        lines += [f"Step sentence: {step}", f"Correctness of the step: {'Wrong' if wrong else 'Correct'}"]
    return "\n".join([*lines, verdict(judged(prompt))])


def vague(prompt: str, rng: random.Random) -> str:
    return f"Step sentence: look again\n{verdict(judged(prompt))}"


def giving_away(prompt: str, rng: random.Random) -> str:
    return f"Step sentence: it is {worked(shown(prompt)[0])[-1].rpartition(' ')[2]}\n{verdict(judged(prompt))}"


def actor(prompt: str, seed: int) -> str:
    asked, solution, turn = (
        re.split(r"<\|assistant\|>", prompt)[0],
        prompt.split("<|assistant|>")[1].split("<|user|>")[0],
        prompt.split("<|user|>")[2],
    )
    question = asked.removeprefix("<|user|>")
    steps = solution.split("\n")
    given = re.search(r"it is (\S+)", turn)
    if given:
        return given.group(1)
    blamed = [match == "Wrong" for match in re.findall(r"Correctness of the step: (\w+)", turn)]
    wrong = first_error(question, steps)
    if wrong >= 0 and True in blamed and blamed.index(True) == wrong:
        return "\n".join([*steps[:wrong], *worked(question)[wrong:]])
    return solution


def learn(arms: dict[str, Arm], data: list[Problem], steps: int = 60, **critic: Any) -> TabularCritic:
    spec = CriticSpec.model_validate({"format": FORMAT, **critic})
    table = TabularCritic(arms)
    parts = critic_parts(spec, load_verifier("math", mode="lenient"))
    speaker = LocalSpeaker("actor", TOKENIZER, Sampling(60), engine="actor")
    environment = CritiqueAndRefine(
        TOKENIZER,
        Sampling(90),
        format=spec.format.load(),
        actor=speaker,
        refinements=spec.refine.refinements,
        when=spec.refine.when,
    )
    rng = random.Random(0)
    for step in range(1, steps + 1):
        chosen = rng.sample(data, 4)
        episodes = roll_out(environment, table, chosen, [8] * 4, seed=(step,), others={"actor": ScriptedEngine(actor)})
        score_episodes(episodes, parts, step=step)
        rewards = [total_reward(episode, parts) for episode in episodes]
        assert None not in rewards
        group = torch.arange(4).repeat_interleave(8)
        advantages = ADVANTAGES["grpo"].load()(torch.tensor(rewards), group, torch.ones(32, dtype=torch.bool))
        table.learn(advantages.tolist(), lr=0.02)
    return table


JUDGES: dict[str, Arm] = {
    "always correct": lambda p, r: verdict(True),
    "always incorrect": lambda p, r: verdict(False),
    "judge": fair_judge,
}
HELPERS: dict[str, Arm] = {"names the step": naming, "vague": vague}
ACTOR = {"refinements": 1, "actor": "same"}


@pytest.mark.parametrize(
    "critic", [{"reward": "critique_rl"}, {"reward": "critique_rl", "variant": "code"}, {"reward": "criticlean"}]
)
def test_discriminability_needs_balanced_solutions(critic: dict[str, Any]) -> None:
    skewed = problems(0.1)
    assert learn(JUDGES, skewed, **critic).favourite == "always incorrect"
    even = balanced(problems(0.5, 120), lambda p: p.reference["correct"])
    assert learn(JUDGES, even, **critic).favourite == "judge"


@pytest.mark.parametrize(
    "critic", [{"reward": "critique_rl", "phase": 1}, {"reward": "refcritic", "refine_weight": [[0, 0.0]]}]
)
def test_a_reward_of_judgements_cannot_tell_a_helpful_critique_from_a_vague_one(critic: dict[str, Any]) -> None:
    made = learn(HELPERS, problems(0.5), refine=ACTOR, **critic)
    assert made.logits == dict.fromkeys(HELPERS, 0.0), "every group is silent"


@pytest.mark.parametrize(
    "critic",
    [
        {"reward": "critique_rl", "phase": 2},
        {"reward": "critique_rl", "phase": 2, "variant": "code"},
        {"reward": "critique_rl", "phase": 2, "helpfulness": "delta"},
        {"reward": "critique_rl", "phase": 2, "helpfulness": "correction"},
        {"reward": "refcritic", "refine_weight": [[0, 0.0], [5, 1.0]]},
        {"reward": "ctrl"},
    ],
)
def test_a_reward_of_refinements_picks_the_critique_that_names_the_step(critic: dict[str, Any]) -> None:
    made = learn(HELPERS, problems(0.5), refine=ACTOR, **critic)
    assert made.favourite == "names the step" and made.chances["names the step"] > 0.8


def test_deepcritic_picks_the_index() -> None:
    assert learn({**HELPERS, "judge": fair_judge}, problems(0.0), reward="deepcritic").favourite == "names the step"


def test_a_leaking_critique_wins_until_it_is_punished() -> None:
    arms: dict[str, Arm] = {"names the step": naming, "gives the answer away": giving_away, "vague": vague}
    always_wrong = problems(0.0)
    free = learn(arms, always_wrong, refine=ACTOR, phase=2)
    assert free.chances["gives the answer away"] > 0.2, "it helps as well as the honest one"
    punished = learn(arms, always_wrong, refine=ACTOR, phase=2, leak_penalty=1.0)
    assert punished.favourite == "names the step" and punished.chances["gives the answer away"] < 0.05


def test_the_ground_of_these_tests() -> None:
    assert (
        first_error("12 + 7 - 5", ["12 + 7 = 19", "19 - 5 = 13"]) == 1
        and correction("12 + 7 - 5", ["12 + 7 = 19"], 1) == "19 - 5 = 14"
    )
