"""What every problem must satisfy, whatever it was read from, and the check of a whole list."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from critics.verifier import solution_of
from reasonrl.data.code_rows import missing_tests
from reasonrl.data.json_text import json_mistake
from reasonrl.data.mistakes import Mistakes
from reasonrl.errors import DataError
from reasonrl.words import nearest
from verifiers.types import Message, Problem

KINDS = ("math", "code", "lean", "reasoning_gym", "critique")
"""The built-in kinds. Others are allowed: a user's own verifier may read any reference."""


ROLES = ("system", "user", "assistant", "tool", "developer")
"""Roles that chat templates know. Others are allowed, unless they look like a misspelling of one of these."""


_INVISIBLE = re.compile(r"[\s\u200b-\u200d\u2060\ufeff]*")
"""White space and zero-width characters."""


def checked_list(rows: Iterable[tuple[str, Problem | None]], mistakes: Mistakes) -> list[Problem]:
    """Checks problems one by one and all together, and gives the whole list or nothing.

    Args:
        rows: (where, problem); the problem is None when the row could not be read and its mistake is already noted.
        mistakes: takes what is found; its source names the data set in the message.

    Raises:
        DataError: any mistake, a duplicate id, or no rows at all.
    """
    problems: list[Problem] = []
    first_use: dict[str, str] = {}
    for where, problem in rows:
        if problem is None:
            continue
        for text in problem_mistakes(problem):
            mistakes.add(where, text)
        first = first_use.setdefault(str(problem.id), where)
        if first != where:
            mistakes.add(where, f"the id {problem.id!r} is already used in {first}. Ids must be unique")
        problems.append(problem)
    mistakes.raise_if_any()
    if not problems:
        raise DataError(f"{mistakes.source}: the data set is empty; it needs at least one problem")
    return problems


def problem_mistakes(problem: Problem) -> list[str]:
    """Everything that is wrong with one problem, in words. An empty list when it is sound."""
    mistakes = []
    if not isinstance(problem.id, str) or not problem.id.strip():
        mistakes.append(f"the id must be a string that is not blank, not {problem.id!r}")
    if not isinstance(problem.kind, str) or not problem.kind.strip():
        mistakes.append(f"the kind must be a string such as {', '.join(KINDS)}, not {problem.kind!r}")
    if not isinstance(problem.source, str):
        mistakes.append(f"the source must be a string, not {_type(problem.source)}")
    if not isinstance(problem.meta, dict):
        mistakes.append(f"meta must be an object, not {_type(problem.meta)}")
    mistakes += prompt_mistakes(problem.prompt)
    if isinstance(problem.kind, str):
        mistakes += reference_mistakes(problem.kind, problem.reference)
    for name in ("id", "kind", "source", "reference", "meta"):
        value = getattr(problem, name)
        reason = json_mistake(value)
        # What a reader can name better has been named: an answer, or a field of the wrong type.
        if reason and not any(mistake.startswith(f"the {name} must be") for mistake in mistakes):
            mistakes.append(f"the {name} {value!r:.60} {reason}" if isinstance(value, str) else f"the {name} {reason}")
    return mistakes


def prompt_mistakes(prompt: str | list[Message]) -> list[str]:
    """What is wrong with a prompt: empty, not text or messages, or text that is not Unicode."""
    if isinstance(prompt, str):
        if _is_invisible(prompt):
            return ["the prompt is empty"]
        return [f"the prompt {reason}"] if (reason := json_mistake(prompt)) else []
    if not isinstance(prompt, list):
        return [f"the prompt must be a string or a list of messages, not {_type(prompt)}"]
    mistakes = []
    for number, message in enumerate(prompt, 1):
        if not isinstance(message, dict) or set(message) != {"role", "content"}:
            fields = sorted(map(str, message)) if isinstance(message, dict) else _type(message)
            mistakes.append(
                f"message {number} of the prompt must have exactly the fields 'role' and 'content', not {fields}"
            )
        elif not all(isinstance(value, str) for value in message.values()) or not message["role"].strip():
            mistakes.append(f"message {number} of the prompt: its role and its content must be strings")
        elif message["role"] not in ROLES and (near := nearest(message["role"], ROLES)):
            mistakes.append(f"message {number} of the prompt has the role {message['role']!r}; write {near!r}")
        elif json_mistake(message):
            mistakes.append(f"message {number} of the prompt holds half a surrogate pair, which is not valid Unicode")
    if not mistakes and all(_is_invisible(message["content"]) for message in prompt):
        return ["the prompt is empty"]
    return mistakes


def reference_mistakes(kind: str, reference: dict[str, Any]) -> list[str]:
    """What a reference lacks for the verifier of its kind."""
    if not isinstance(reference, dict) or not reference:
        return [f"the reference must be a non-empty object, not {reference!r:.60}"]
    if kind == "math":
        return _answer_mistakes(reference)
    if kind == "reasoning_gym":
        entry = reference.get("entry")
        if not isinstance(reference.get("dataset"), str) or not isinstance(entry, dict) or "answer" not in entry:
            return ["a reasoning_gym reference needs 'dataset' (a name) and 'entry' (an object with 'answer')"]
    if kind == "critique":
        return _critique_mistakes(reference)
    if kind == "code":
        return [mistake] if (mistake := missing_tests(reference)) else []
    needed = {"lean": ("statement",)}.get(kind, ())
    missing = [name for name in needed if not reference.get(name)]
    return (
        [f"a {kind} reference needs {', '.join(map(repr, needed))}; missing: {', '.join(missing)}"] if missing else []
    )


def _critique_mistakes(reference: dict[str, Any]) -> list[str]:
    try:
        solution = solution_of(reference)
    except ValueError as error:
        return [str(error)]
    if solution.correct is None and solution.first_error is None:
        return [
            "a critique reference needs a label: 'correct' (true or false) or 'first_error' (an index from 0, -1 for"
            " none)"
        ]
    if solution.correct is False and solution.first_error == -1:
        return [
            "the labels contradict each other: the answer is wrong (correct: false), but no step is (first_error: -1)"
        ]
    return []


def _answer_mistakes(reference: dict[str, Any]) -> list[str]:
    answer = reference.get("answer")
    if answer is None or (isinstance(answer, str) and not answer.strip()):
        return ["the answer is missing or empty"]
    if isinstance(answer, str):
        return []
    if isinstance(answer, bool) or not isinstance(answer, int | float):
        return [f"the answer must be a string or a number, not {_type(answer)} ({answer!r:.60})"]
    return (
        []
        if isinstance(answer, int) or math.isfinite(answer)
        else [f"the answer must be a finite number, not {answer}"]
    )


def _is_invisible(text: str) -> bool:
    return _INVISIBLE.fullmatch(text) is not None


def _type(value: object) -> str:
    names = {
        "dict": "an object",
        "list": "a list",
        "bool": "a boolean",
        "int": "a number",
        "float": "a number",
        "NoneType": "nothing",
    }
    return names.get(type(value).__name__, f"a {type(value).__name__}")
