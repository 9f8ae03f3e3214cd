"""A policy solves problems, and its responses become new problems: the part that all kinds of collecting share."""

from __future__ import annotations

import abc
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from reasonrl.engines.base import BatchEngine, Sampling
from reasonrl.environments.base import Episode
from reasonrl.environments.rollouts import roll_out
from reasonrl.environments.single_turn import SingleTurn
from reasonrl.models.loading import LanguageModel
from reasonrl.recipe.schema import Recipe
from reasonrl.setup.roles import Roles
from verifiers.types import Problem, Verdict, Verifier

Item = TypeVar("Item")


class Sample(NamedTuple):
    """One response of the policy, and what the verifier said."""

    episode: Episode
    verdict: Verdict


@dataclass(frozen=True)
class CollectedSet:
    """The result of collecting on one set of problems."""

    problems: list[Problem]
    counts: Counter[str]
    """What became of every sample, in words -> number; "kept" is the length of `problems`."""


class Filter(NamedTuple, Generic[Item]):
    """Leaves out the items that `drops` holds for, and counts them under `reason`."""

    reason: str
    drops: Callable[[Item], bool]


def sift(items: Sequence[Item], filters: Sequence[Filter[Item]]) -> tuple[list[Item], Counter[str]]:
    """Items that no filter drops, in order, and how many each filter dropped: the first that holds counts."""
    dropped: Counter[str] = Counter()
    passed: list[Item] = []
    for item in items:
        reason = next((each.reason for each in filters if each.drops(item)), None)
        if reason is None:
            passed.append(item)
        else:
            dropped[reason] += 1
    return passed, dropped


def not_judged(sample: Sample) -> bool:
    return sample.verdict.correct is None


def cut_off(sample: Sample) -> bool:
    return sample.episode.trained_trajectory.finish_reason == "length"


UNUSABLE: list[Filter[Sample]] = [Filter("not judged", not_judged), Filter("cut off", cut_off)]
"""An unjudged response is neither right nor wrong, and one that was cut off is not a complete solution."""


class SeenBefore(Generic[Item]):
    """Holds for an item whose key an earlier item had."""

    def __init__(self, key: Callable[[Item], Hashable]) -> None:
        self._key = key
        self._seen: set[Hashable] = set()

    def __call__(self, item: Item) -> bool:
        key = self._key(item)
        if key in self._seen:
            return True
        self._seen.add(key)
        return False


class Collector(abc.ABC):
    """Turns sets of problems into problems to learn from, by sampling the policy of a recipe.

    `verifier` judges answers; `roles` are those of `collector_roles`.
    """

    def __init__(
        self, recipe: Recipe, policy: LanguageModel, engine: BatchEngine, verifier: Verifier, roles: Roles
    ) -> None:
        self.recipe, self.policy, self.engine, self.verifier, self.roles = recipe, policy, engine, verifier, roles
        self.spec = recipe.collect
        self.sampling = Sampling(recipe.rollout.max_new_tokens, self.spec.temperature, stop=tuple(recipe.rollout.stop))

    @abc.abstractmethod
    def collect(self, set_name: str, problems: Sequence[Problem]) -> CollectedSet:
        """The problems of this set that a later stage reads. Raises TrainingError when no sample can be used."""

    def sample(self, set_name: str, problems: Sequence[Problem]) -> list[Sample]:
        """`collect.samples_per_problem` judged responses to each problem. The name of the set is part of the seed."""
        environment = SingleTurn(self.policy.tokenizer, self.sampling)
        counts = [self.spec.samples_per_problem] * len(problems)
        episodes = roll_out(environment, self.engine, problems, counts, seed=(self.recipe.seed, "collect", set_name))
        verdicts = self.verifier.verify(
            [episode.text for episode in episodes], [episode.problem.reference for episode in episodes]
        )
        return [Sample(episode, verdict) for episode, verdict in zip(episodes, verdicts, strict=True)]


def in_words(counts: Counter[str]) -> str:
    return ", ".join(f"{number:,} {outcome}" for outcome, number in counts.items())
