"""The format verifier: is the response written as asked? Says nothing of whether the answer is right.

Named patterns are read by code of ours in linear time. A regular expression of the user's runs in a worker process with
a deadline, since one careless quantifier can take exponential time on what a model writes.
"""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from verifiers.pool.pool import WorkerPool
from verifiers.response import boxes, strip_thinking
from verifiers.types import Status, Verdict


def _has_box(response: str) -> bool:
    contents, is_open = boxes(strip_thinking(response))
    return bool(contents) and not is_open and bool(contents[-1])


def _tag_contents(text: str, tags: Sequence[str]) -> list[str] | None:
    """What the tags hold, if each is opened and closed exactly once, in this order, with nothing but spaces around
    them.
    """
    contents = []
    for tag in tags:
        before, opened, remainder = text.partition(f"<{tag}>")
        content, closed, text = remainder.partition(f"</{tag}>")
        if before.strip() or not opened or not closed:
            return None
        contents.append(content.strip())
    inner_text = " ".join([*contents, text])
    if text.strip() or any(mark in inner_text for tag in tags for mark in (f"<{tag}>", f"</{tag}>")):
        return None
    return contents


def _has_answer_tag(response: str) -> bool:
    text = strip_thinking(response)
    if text.count("<answer>") != 1 or text.count("</answer>") != 1:
        return False
    return bool(text.partition("<answer>")[2].partition("</answer>")[0].strip())


def _has_think_answer(response: str) -> bool:
    contents = _tag_contents(response, ("think", "answer"))
    return contents is not None and all(contents)


def _is_integer(response: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]+", response.strip()) is not None


NAMED: dict[str, tuple[Callable[[str], bool], str]] = {
    "boxed": (_has_box, "\\boxed{%s}"),
    "answer_tag": (_has_answer_tag, "<answer>%s</answer>"),
    "think_answer": (_has_think_answer, "<think>The answer is known.</think>\n<answer>%s</answer>"),
    "integer": (_is_integer, "%s"),
}
"""Name -> (test, template of a response that passes)."""


class FormatVerifier:
    """Score 1 when the response has the format, else 0.

    Args:
        pattern: "boxed" (the last box is closed and not empty), "answer_tag" (exactly one, not empty), "think_answer"
            (the whole response is <think>...</think> <answer>...</answer>, each once and not empty), "integer" (nothing
            but an integer), or a regular expression that must match the whole stripped response (DOTALL).
        timeout_s, workers, memory_limit_mb: for a regular expression, which runs in worker processes.

    Raises:
        ValueError: the pattern is not a text, or the regular expression does not compile.
    """

    thread_safe = True
    reads_reference = False

    def __init__(self, pattern: str, *, timeout_s: float = 2.0, workers: int = 1, memory_limit_mb: int = 1024) -> None:
        if not isinstance(pattern, str):
            raise ValueError(f"the pattern is {pattern!r}; write a string (in YAML, within quotes)")
        self.pattern = pattern
        self._options = {"timeout_s": timeout_s, "workers": workers, "memory_limit_mb": memory_limit_mb}
        if pattern not in NAMED:
            try:
                re.compile(pattern, re.DOTALL)
            except (re.error, OverflowError, RecursionError) as error:
                names = ", ".join(NAMED)
                message = f"the pattern {pattern!r} is not a regular expression ({error}); write one or use {names}"
                raise ValueError(message) from error
        self._pool = WorkerPool(
            "verifiers.format:matches", workers=workers, timeout_s=timeout_s, memory_limit_mb=memory_limit_mb
        )

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        """One verdict for each response. The references are not read. A regular expression past its deadline: TIMEOUT.

        Raises:
            ValueError: the two lists differ in length.
        """
        if len(responses) != len(references):
            raise ValueError(f"{len(responses)} responses for {len(references)} references")
        if self.pattern in NAMED:
            return [self._verify_named(response) for response in responses]
        return [
            outcome.verdict(
                lambda fits: self._decided(fits is True, "regex", 0.0),
                method="regex",
                task=f"the pattern {self.pattern!r}",
            )
            for outcome in self._pool.map([(self.pattern, response) for response in responses])
        ]

    def reference_of(self, gold: Any) -> dict[str, Any]:
        """The reference of a bare gold answer: `gold_response` writes it where it fits."""
        return {"answer": gold}

    def wrap_answer(self, answer: str) -> str:
        """The answer in a named format, whether it fits or not. Raises ValueError for a regular expression."""
        return self._template() % answer

    def gold_response(self, reference: dict[str, Any]) -> str:
        """A response of a named format, with the reference's answer where it fits. Raises ValueError for a regular
        expression.
        """
        template = self._template()
        test = NAMED[self.pattern][0]
        answer = str(reference.get("answer", "")).strip()
        response = template % answer
        return response if test(response) else template % "0"

    def close(self) -> None:
        """Ends the worker processes, if there are any."""
        self._pool.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(FormatVerifier, self.pattern, **self._options), ()  # type: ignore[arg-type]

    def _template(self) -> str:
        if self.pattern not in NAMED:
            raise ValueError(
                f"cannot write an example response for the pattern {self.pattern!r}, only for {', '.join(NAMED)}"
            )
        return NAMED[self.pattern][1]

    def _verify_named(self, response: str) -> Verdict:
        started = time.perf_counter()
        return self._decided(NAMED[self.pattern][0](response), self.pattern, time.perf_counter() - started)

    def _decided(self, fits: bool, method: str, seconds: float) -> Verdict:
        reason = f"the response {'has' if fits else 'does not have'} the format {self.pattern!r}"
        return Verdict(fits, 1.0 if fits else 0.0, Status.JUDGED, None, f"format.{method}", reason, seconds)


def matches(item: tuple[str, str]) -> bool:
    """Runs in a worker. `item` is (pattern, response)."""
    pattern, response = item
    return re.fullmatch(pattern, response.strip(), re.DOTALL) is not None
