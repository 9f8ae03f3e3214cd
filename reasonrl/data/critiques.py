"""Solutions to judge as problems of kind "critique", and the shapes in which others publish them.

    {"answer", "solution", "steps", "correct", "first_error"}     the reference; `meta.question` is the question

Read as they are: rows of ProcessBench (problem, steps, label, final_answer_correct), of BIG-Bench-Mistake (input,
steps, target, mistake_index) and of PRM800K (question.problem, label.steps with ratings of -1, 0 and 1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from critics.formats.base import CritiqueFormat, question_of
from critics.verifier import solution_of
from reasonrl.errors import DataError
from verifiers.types import Problem


def critique_problem(problem: Problem, form: CritiqueFormat) -> Problem:
    """A problem of kind "critique" with the prompt that its critic sees. Raises DataError that names the problem."""
    if problem.kind != "critique":
        raise DataError(
            f"problem {problem.id} has the kind {problem.kind!r}, but a critic judges solutions; use problems of kind"
            " 'critique' (a `collect` stage writes them)"
        )
    try:
        solution = solution_of(problem.reference, problem.id)
        question = question_of(problem)
        plain_problem = Problem(
            problem.id,
            question,
            problem.kind,
            problem.reference,
            problem.source,
            {**problem.meta, "question": question},
        )
        messages = form.render(plain_problem, solution)
    except ValueError as error:
        raise DataError(f"problem {problem.id}: {error}") from error
    return Problem(problem.id, messages, problem.kind, problem.reference, problem.source, plain_problem.meta)


def published(row: dict[str, Any]) -> dict[str, Any] | None:
    """The fields of a row of a known published shape; None for any other row. Raises ValueError for a row that
    contradicts itself.
    """
    for recognises, read in _SHAPES:
        if recognises(row):
            return read(row)
    return None


def _is_process_bench(row: dict[str, Any]) -> bool:
    return {"problem", "steps", "label"} <= set(row)


def _process_bench(row: dict[str, Any]) -> dict[str, Any]:
    steps, label = _steps(row["steps"]), _index(row["label"], "label", len(row["steps"]))
    correct = row.get("final_answer_correct")
    if correct is False and label == -1:
        raise ValueError("final_answer_correct is false, but the label is -1: a wrong answer has a wrong step")
    reference = {"solution": "\n\n".join(steps), "steps": steps, "first_error": label}
    if isinstance(correct, bool):
        reference["correct"] = correct
    meta = {name: row[name] for name in ("generator",) if name in row}
    suite = row.get("suite") or row.get("subset")
    if suite:
        meta["suite"] = suite
    return {
        "id": row.get("id"),
        "prompt": row["problem"],
        "kind": "critique",
        "reference": reference,
        "source": suite or "processbench",
        "meta": meta,
    }


def _is_big_bench(row: dict[str, Any]) -> bool:
    return {"input", "steps", "mistake_index"} <= set(row)


def _big_bench(row: dict[str, Any]) -> dict[str, Any]:
    steps = _steps(row["steps"])
    index = -1 if row["mistake_index"] is None else _index(row["mistake_index"], "mistake_index", len(steps))
    target, answer = row.get("target"), row.get("answer")
    reference: dict[str, Any] = {"solution": "\n".join(steps), "steps": steps, "first_error": index}
    meta: dict[str, str] = {}
    if target is not None:
        reference["answer"] = str(target)
    if target is not None and answer is not None:
        reference["solution_answer"] = str(answer)
        correct = str(answer).strip() == str(target).strip()
        if correct or index != -1:
            reference["correct"] = correct
        # 1 to 6% of the rows: nobody marked a step, yet the answer is not the target. The step label is what the
        # benchmark asks for.
        else:
            meta["left_out"] = f"the answer label: {answer!r} is not {target!r}, but no step is marked"
    fields = {"id": row.get("id"), "prompt": row["input"], "kind": "critique", "reference": reference}
    return {**fields, "source": "bigbench_mistake", "meta": meta}


def _is_prm800k(row: dict[str, Any]) -> bool:
    question, label = row.get("question"), row.get("label")
    return isinstance(question, dict) and isinstance(label, dict) and "problem" in question and "steps" in label


def _prm800k(row: dict[str, Any]) -> dict[str, Any]:
    """The chosen steps up to the first one that was rated -1: what the annotators saw, in order."""
    question = row["question"]
    steps: list[str] = []
    wrong = -1
    for number, step in enumerate(row["label"]["steps"], 1):
        human = step.get("human_completion")
        completions = step.get("completions") or []
        chosen = step.get("chosen_completion")
        if chosen is not None:
            text, rating = completions[chosen]["text"], completions[chosen].get("rating")
        elif human:
            text, rating = (human["text"] if isinstance(human, dict) else human), 1
        else:  # no annotator continued from any of these steps: the last one that they saw was wrong
            bad = [c for c in completions if c.get("rating") == -1]
            if not bad:
                break
            text, rating = bad[0]["text"], -1
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"step {number} has no text")
        steps.append(text.strip())
        if rating == -1:
            wrong = len(steps) - 1
            break
    if not steps:
        raise ValueError("no step was chosen")
    finish = row["label"].get("finish_reason")
    reference: dict[str, Any] = {"solution": "\n".join(steps), "steps": steps, "first_error": wrong}
    if question.get("ground_truth_answer") is not None:
        reference["answer"] = str(question["ground_truth_answer"])
    if finish == "solution":
        reference["correct"] = wrong == -1
    return {"id": None, "prompt": question["problem"], "kind": "critique", "reference": reference, "source": "prm800k"}


def _steps(value: Any) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(step, str) and step.strip() for step in value):
        raise ValueError("steps must be a list of at least one string, none of them empty")
    return value


def _index(value: Any, name: str, steps: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value < steps:
        raise ValueError(f"{name} must be the index of a step (0 to {steps - 1}) or -1 for none, not {value!r}")
    return value


_SHAPES: list[tuple[Callable[[dict[str, Any]], bool], Callable[[dict[str, Any]], dict[str, Any]]]] = [
    (_is_process_bench, _process_bench),
    (_is_big_bench, _big_bench),
    (_is_prm800k, _prm800k),
]
