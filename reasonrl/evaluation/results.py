"""What a benchmark says about a model: scores with 95% intervals, out of the rows of its answers.

    accuracy   right / judged: greedy, or the mean over n answers to each problem (avg@n)
    pass@k     at least one of k answers is right; unbiased, for k up to n, and absent above
    maj@n      the answer that most of the n give is right. Equal answers are grouped by the verifier; of two groups of
               one size the one that was drawn first wins; answers that could not be read do not vote
    budget     accuracy if answers had been cut at so many tokens: longer ones count as wrong

Answers that could not be judged are left out of the accuracy, counted, and shown as a bound. An answer that was cut off
or could not be read is wrong, and counted beside the score. Rows are those of samples.jsonl, so results can be made
again from the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reasonrl import stats
from reasonrl.environments.served_turn import TOKENS
from reasonrl.runs.accuracy import Accuracy, accuracy_of
from reasonrl.stats import Interval

Row = Mapping[str, Any]
Same = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the figures need of one row."""

    problem_id: str
    correct: bool | None
    """None: not judged."""
    extracted: str | None
    """None: nothing could be read."""
    tokens: int
    is_truncated: bool
    is_unparsed: bool

    @classmethod
    def from_row(cls, row: Row) -> Answer:
        verdict = row["verdicts"]["correctness"]
        return cls(
            row["problem_id"],
            verdict["correct"],
            verdict["extracted"],
            row.get(TOKENS, row["response_tokens"]),
            row["finish_reason"] == "length",
            verdict["status"] == "unparsed",
        )


@dataclass(frozen=True)
class BenchmarkResult:
    """One benchmark. Shares are in [0, 1]."""

    name: str
    problems: int
    samples_per_problem: int
    accuracy: Accuracy
    pass_at: dict[int, Interval] = field(default_factory=dict)
    """k -> pass@k; {} for one answer a problem."""
    majority: Interval | None = None
    """maj@n; None for one answer a problem, and for programs, which do not vote."""
    truncated: float = 0.0
    unparsed: float = 0.0
    mean_tokens: float = 0.0
    missing: int = 0
    """Answers that a server did not give. They are drawn when the evaluation is started again."""
    budgets: dict[int, Interval] = field(default_factory=dict)
    """Most tokens of an answer -> accuracy."""

    def to_json(self) -> dict[str, Any]:
        """As results.json holds it."""
        accuracy = self.accuracy
        return {
            "problems": self.problems,
            "samples_per_problem": self.samples_per_problem,
            "accuracy": interval_json(accuracy.interval),
            "answers": accuracy.answers,
            "unjudged": accuracy.unjudged,
            "missing": self.missing,
            "if_unjudged_wrong": accuracy.if_unjudged_wrong,
            "truncated": self.truncated,
            "unparsed": self.unparsed,
            "mean_tokens": self.mean_tokens,
            **(
                {"pass_at": {str(k): interval_json(value) for k, value in self.pass_at.items()}} if self.pass_at else {}
            ),
            **({"majority": interval_json(self.majority)} if self.majority else {}),
            "budgets": {str(budget): interval_json(value) for budget, value in self.budgets.items()},
        }


def interval_json(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else dict(interval._asdict())


def result_of(
    name: str, rows: Iterable[Row], *, same: Same | None, most_tokens: int, missing: int = 0
) -> BenchmarkResult:
    """The figures of one benchmark.

    Args:
        rows: of samples.jsonl, of one benchmark and one way of sampling.
        same: whether two answers are one; None where answers do not vote.
        most_tokens: the limit of a response, the last of the budgets.
        missing: answers that were asked for and not given.
    """
    answers = [Answer.from_row(row) for row in rows]
    return result_of_answers(name, answers, same=same, most_tokens=most_tokens, missing=missing)


def result_of_answers(
    name: str, all_answers: Sequence[Answer], *, same: Same | None, most_tokens: int, missing: int = 0
) -> BenchmarkResult:
    """As `result_of`, out of answers."""
    by_problem: dict[str, list[Answer]] = {}
    for answer in all_answers:
        by_problem.setdefault(answer.problem_id, []).append(answer)
    groups = list(by_problem.values())
    if not all_answers:
        raise ValueError(f"{name}: there are no answers")
    count = max(map(len, groups))
    return BenchmarkResult(
        name=name,
        problems=len(groups),
        samples_per_problem=count,
        accuracy=accuracy_of([[answer.correct for answer in group] for group in groups]),
        pass_at=_pass_at(groups) if count > 1 else {},
        majority=_majority(groups, same) if same is not None and count > 1 else None,
        truncated=sum(answer.is_truncated for answer in all_answers) / len(all_answers),
        unparsed=sum(answer.is_unparsed for answer in all_answers) / len(all_answers),
        mean_tokens=sum(answer.tokens for answer in all_answers) / len(all_answers),
        missing=missing,
        budgets=_budgets(groups, most_tokens),
    )


def _judged(group: Sequence[Answer]) -> list[Answer]:
    return [answer for answer in group if answer.correct is not None]


def _pass_at(groups: Sequence[Sequence[Answer]]) -> dict[int, Interval]:
    """For k = 1, 2, 4, ... up to the number of judged answers that every problem has. Problems without one are left
    out, as they are of the accuracy."""
    judged = [answers for group in groups if (answers := _judged(group))]
    if not judged:
        return {}
    counts = [(len(answers), sum(bool(answer.correct) for answer in answers)) for answers in judged]
    most = min(n for n, _ in counts)
    ks = [2**power for power in range(most.bit_length()) if 2**power <= most]
    ks += [most] if most not in ks else []
    return {k: stats.mean_pass_at_k(counts, k) for k in ks}


def _majority(groups: Sequence[Sequence[Answer]], same: Same) -> Interval | None:
    votes = [vote for group in groups if (vote := majority_is_right(_judged(group), same)) is not None]
    return stats.wilson(sum(votes), len(votes)) if votes else None


def majority_is_right(answers: Sequence[Answer], same: Same) -> bool | None:
    """Whether the largest group of equal answers is the right one; None without a judged answer.

    Right answers are one group: all of them equal the gold. Of several largest groups the one whose first answer was
    drawn first wins. Where no answer could be read, the majority is wrong.
    """
    if not answers:
        return None
    sizes: list[int] = []
    texts: list[str | None] = []
    """Of each group its first answer; None for the right one."""
    for answer in answers:
        if answer.extracted is None and not answer.correct:
            continue
        place = next((i for i, text in enumerate(texts) if _fits(answer, text, same)), None)
        if place is None:
            texts.append(None if answer.correct else answer.extracted)
            sizes.append(1)
        else:
            sizes[place] += 1
    return bool(sizes) and texts[sizes.index(max(sizes))] is None


def _fits(answer: Answer, text: str | None, same: Same) -> bool:
    if answer.correct or text is None:
        return bool(answer.correct) and text is None
    return answer.extracted == text or same(str(answer.extracted), text)


def _budgets(groups: Sequence[Sequence[Answer]], most_tokens: int) -> dict[int, Interval]:
    """At most_tokens, and at its halves down to 64."""
    budgets: list[int] = []
    while most_tokens >= 64:
        budgets.append(most_tokens)
        most_tokens //= 2
    table: dict[int, Interval] = {}
    for budget in reversed(budgets):
        cut = [[_at(answer, budget) for answer in group] for group in groups]
        if (interval := accuracy_of(cut).interval) is not None:
            table[budget] = interval
    return table


def _at(answer: Answer, budget: int) -> bool | None:
    return answer.correct if answer.tokens <= budget else False
