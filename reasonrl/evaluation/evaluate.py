"""Accuracy of a model on problems: greedy, and the mean over n samples (avg@n), each with its 95% interval.

    evaluator = Evaluator(engine=..., environment_for=..., parts=..., ...)      bound once
    evaluations = [evaluator.evaluate(name, problems, step) for name, problems in heldout.items()]
    selection_accuracy(evaluations)                                             picks the best checkpoint

Answers that could not be judged are left out of the accuracy, counted, and shown as a bound (`reasonrl.runs.accuracy`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from critics.verifier import CritiqueVerifier
from reasonrl.engines.base import BatchEngine, Sampling
from reasonrl.environments.base import Environment, Episode
from reasonrl.environments.rollouts import play_together
from reasonrl.evaluation.critics import critic_metrics
from reasonrl.evaluation.tools import call_metrics
from reasonrl.rewards.base import RewardPart
from reasonrl.rewards.scoring import score_episodes
from reasonrl.rewards.verdict_thread import VerdictThread
from reasonrl.runs.accuracy import MODES, Accuracy, accuracy_in_row, accuracy_of
from reasonrl.stats import Interval, wilson
from reasonrl.update.samples import sample_fields, sample_row, with_columns
from verifiers.types import Problem, Status


@dataclass(frozen=True)
class Evaluation:
    """One evaluation set under one state of the weights."""

    set_name: str
    metrics: dict[str, Any]
    """eval/SET/greedy, eval/SET/sampled, ...: the entries of an "eval" row of metrics.jsonl."""
    samples: list[dict[str, Any]]
    """Rows of samples.jsonl."""
    accuracies: dict[str, Accuracy]
    """By mode: "greedy", "sampled"."""

    @classmethod
    def from_row(cls, set_name: str, row: Mapping[str, Any]) -> Evaluation:
        """What a row of metrics.jsonl holds of a set, without samples."""
        read = {mode: accuracy_in_row(row, set_name, mode) for mode in MODES}
        accuracies = {mode: accuracy for mode, accuracy in read.items() if accuracy is not None}
        return cls(set_name, dict(row), [], accuracies)

    @property
    def accuracy(self) -> Interval | None:
        """The accuracy that picks the best checkpoint: sampled if it was measured, else greedy. None where nothing was
        evaluated, or no answer could be judged.
        """
        accuracy = self.accuracies.get("sampled", self.accuracies.get("greedy"))
        return None if accuracy is None else accuracy.interval


def selection_accuracy(evaluations: Sequence[Evaluation]) -> float | None:
    """The number that picks the best checkpoint: the mean of `accuracy` over the sets.

    None without evaluations, and where no answer of some set could be judged: a mean over the other sets is another
    number, and would not compare with that of other steps.
    """
    accuracies = [evaluation.accuracy for evaluation in evaluations]
    estimates = [accuracy.estimate for accuracy in accuracies if accuracy is not None]
    if not estimates or len(estimates) < len(accuracies):
        return None
    return sum(estimates) / len(estimates)


@dataclass(frozen=True)
class Evaluator:
    """How the sets of a run are evaluated; the same at every step, so that before and after differ by the model
    alone.
    """

    engine: BatchEngine
    environment_for: Callable[[Sampling], Environment]
    """An environment for a way of sampling."""
    parts: Sequence[RewardPart]
    """They judge the responses; accuracy is that of the part "correctness"."""
    sampling: Sampling
    """Of the sampled answers; greedy ones have temperature 0 and are otherwise the same."""
    greedy: bool
    """Whether there is a greedy answer to each problem."""
    samples_per_problem: int
    """Sampled answers to each problem; 0: none."""
    seed: tuple[Any, ...]
    """Prefix of the seeds, such as (run seed, "eval"): the same noise at every step."""
    render: Callable[[Problem], str]
    """The prompt as samples.jsonl shows it."""
    other_engines: Mapping[str, BatchEngine] | None = None
    """Of the roles that are not evaluated, by role."""

    def evaluate(self, set_name: str, problems: Sequence[Problem], step: int = 0) -> Evaluation:
        """Answer and judge `problems`, greedily and sampled as the evaluator says.

        Raises:
            ValueError: there are no problems.
            TrainingError: a verifier or a reward function breaks its contract.
        """
        if not problems:
            raise ValueError(f"the evaluation set {set_name} has no problems")
        results = _SetResults(set_name, step)
        results.metrics[f"{results.key}/problems"] = len(problems)
        modes = [
            ("greedy", replace(self.sampling, temperature=0.0), int(self.greedy)),
            ("sampled", self.sampling, self.samples_per_problem),
        ]
        ways = [
            _Way(mode, sampling, [(problem, number) for problem in problems for number in range(count)])
            for mode, sampling, count in modes
            if count
        ]
        for one, episodes in zip(ways, self._play(set_name, ways, step), strict=True):
            count = len(episodes) // len(problems)
            if one.mode == "sampled":
                results.metrics[f"{results.key}/samples_per_problem"] = count
            self._count(one.mode, episodes, count, results)
        answers = max(1, len(results.samples))
        shares = {f"{results.key}/{name}": results.unread[name] / answers for name in UNREAD}
        return Evaluation(set_name, results.metrics | shares, results.samples, results.accuracies)

    def _count(self, mode: str, episodes: Sequence[Episode], count: int, results: _SetResults) -> None:
        """Add `count` answers to each problem to `results`."""
        correct = [episode.verdicts["correctness"].correct for episode in episodes]
        outcomes = [correct[start : start + count] for start in range(0, len(correct), count)]
        accuracy = results.accuracies[mode] = accuracy_of(outcomes)
        key = f"{results.key}/{mode}"
        results.metrics |= accuracy.metrics(key)
        if mode == "sampled" and count > 1:
            results.metrics |= any_of_n(outcomes, f"{results.key}/any_of_n")
        results.metrics |= critic_metrics(episodes, count, key, self._critic_target())
        results.metrics |= call_metrics(episodes, key)
        results.unread += count_unread(episodes)
        results.samples += [self.sample(episode, mode, results.set_name, results.step) for episode in episodes]

    def play(
        self,
        set_name: str,
        attempts: Sequence[tuple[Problem, int]],
        mode: str,
        sampling: Sampling,
        *,
        step: int = 0,
    ) -> list[Episode]:
        """Judged answers, each named by its problem and its number. What is drawn is a function of the evaluator's
        seed, the set, the mode, the problem's id and that number: not of the other answers.
        """
        return self._play(set_name, [_Way(mode, sampling, attempts)], step)[0]

    def _play(self, set_name: str, ways: Sequence[_Way], step: int) -> list[list[Episode]]:
        """All in one batch: the model reads a problem once for its greedy and its sampled answers."""
        plays = [(self.environment_for(one.sampling), one.attempts, (*self.seed, set_name, one.mode)) for one in ways]
        with VerdictThread(self.parts) as verdicts:
            episodes = play_together(plays, self.engine, others=self.other_engines, on_end=verdicts.add)
        for some in episodes:
            score_episodes(some, self.parts, step=step)
        return episodes

    def _critic_target(self) -> str:
        verifiers = (part.verifier for part in self.parts)
        return next((verifier.target for verifier in verifiers if isinstance(verifier, CritiqueVerifier)), "answer")

    def sample(self, episode: Episode, mode: str, set_name: str, step: int = 0) -> dict[str, Any]:
        """The row of samples.jsonl."""
        row = sample_row(
            episode,
            kind="eval",
            step=step,
            mode=mode,
            prompt=self.render(episode.problem),
            set_name=set_name,
            reward=episode.reward_parts["correctness"],
        )
        return with_columns(row, sample_fields(episode))


class _Way(NamedTuple):
    """Answers that are drawn in one way: to a problem, with a number."""

    mode: str
    sampling: Sampling
    attempts: Sequence[tuple[Problem, int]]


@dataclass
class _SetResults:
    """What is known of one set so far."""

    set_name: str
    step: int
    metrics: dict[str, Any] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)
    accuracies: dict[str, Accuracy] = field(default_factory=dict)
    unread: Counter[str] = field(default_factory=Counter)

    @property
    def key(self) -> str:
        """Prefix of the names of all metrics of the set."""
        return f"eval/{self.set_name}"


def any_of_n(outcomes: Sequence[Sequence[bool | None]], key: str) -> dict[str, float]:
    """Share of problems that at least one of their n samples solves, with Wilson's interval; problems without a judged
    sample are left out. {} where all are. [P][n]
    """
    solved = [True in group for group in outcomes if any(correct is not None for correct in group)]
    if not solved:
        return {}
    interval = wilson(sum(solved), len(solved))
    return {key: interval.estimate, f"{key}_low": interval.low, f"{key}_high": interval.high}


UNREAD = ("unparsed", "truncated", "timeout", "error")
"""What may keep an answer from being read or judged; the metrics eval/SET/NAME are shares of all answers."""


def count_unread(episodes: Sequence[Episode]) -> Counter[str]:
    """How many episodes ended in each way of `UNREAD`."""
    counts = Counter(truncated=sum(e.trained_trajectory.finish_reason == "length" for e in episodes))
    for status in (Status.UNPARSED, Status.TIMEOUT, Status.ERROR):
        counts[status.value] = sum(e.verdicts["correctness"].status is status for e in episodes)
    return counts
