"""Runs the tests of one program in a sandbox, one after the other, and compares what comes out."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace

from verifiers.code.purity import cannot_keep_state
from verifiers.code.source.entry import at_entry
from verifiers.code.types import BrokenCheck, Case, CaseResult, Check, CodeTests, TestText, Trust
from verifiers.sandbox import Call, Ending, Limits, Outcome, Sandbox

UNDECIDED = ("sandbox_failure", "checker_failure", "out_of_time")
"""Outcomes that say nothing about the program."""
_MAX_TIME_LIMITS = 3
"""After so many tests that ended with the time limit the others do not run: they count as failed."""
_FAILED = {
    Ending.FINISHED: "wrong_answer",
    Ending.ERROR: "runtime_error",
    Ending.TIME_LIMIT: "time_limit",
    Ending.MEMORY_LIMIT: "memory_limit",
    Ending.OUTPUT_LIMIT: "output_limit",
    Ending.STALLED: "sandbox_failure",
    Ending.BROKEN: "sandbox_failure",
}
_ORDER = (Trust.VALUES, Trust.SEPARATE, Trust.SHARED)


@dataclass(frozen=True, slots=True)
class JudgedTests:
    """What all tests of one program came to."""

    results: tuple[CaseResult, ...]
    deciding: tuple[CaseResult, ...]
    trust: Trust
    seconds: float


def run_tests(
    sandbox: Sandbox, program: str, tests: CodeTests, limits: Limits, *, stop: bool, total_s: float = math.inf
) -> JudgedTests:
    """Visible tests run apart and last, so that nothing that they come to, and no time that they take, touches those
    that decide.

    Args:
        stop: at the first deciding test that fails.
        total_s: seconds of the wall clock after which no further test begins.
    """
    started = time.perf_counter()
    tests = at_entry(tests, program)
    every: tuple[Case | TestText, ...] = (*tests.cases, *tests.texts)
    numbered = list(enumerate(every))
    results: dict[int, CaseResult] = {}
    for is_visible in (False, True):
        part = _Part(sandbox, program, limits, stop=stop and not is_visible, ends=started + total_s)
        part.run_cases([(n, test) for n, test in numbered if isinstance(test, Case) and test.visible is is_visible])
        part.run_texts([(n, test) for n, test in numbered if isinstance(test, TestText) and test.visible is is_visible])
        results |= part.results
    deciding = tuple(results[number] for number, test in numbered if not test.visible)
    return JudgedTests(
        tuple(results[number] for number, _ in numbered), deciding, trust_of(tests), time.perf_counter() - started
    )


@dataclass
class _Part:
    """All visible tests of a program, or all that decide, each with its number among all.

    Args:
        stop: at the first test that fails.
        ends: when no further test begins, by `time.perf_counter`.
    """

    sandbox: Sandbox
    program: str
    limits: Limits
    _: KW_ONLY
    stop: bool
    ends: float
    results: dict[int, CaseResult] = field(default_factory=dict)
    _has_failed: bool = False
    _time_limits: int = 0

    def run_cases(self, cases: Sequence[tuple[int, Case]]) -> None:
        if not cases:
            return
        inputs = [case.input for _, case in cases]
        called = {given.function for given in inputs if isinstance(given, Call)}
        share = bool(called) and (len(inputs) == 1 or cannot_keep_state(self.program, called))
        limits = _with_room(self.limits, [case.check for _, case in cases])
        outcomes = self.sandbox.run(self.program, inputs, limits, share_process=share)
        try:
            for number, case in cases:
                name = case.name or f"test {number + 1}"
                self._add(number, self._left_out(name) or _checked(name, case.check, next(outcomes)))
        finally:  # a sandbox that is not given back is missing to other threads
            close = getattr(outcomes, "close", None)
            if close:
                close()

    def run_texts(self, texts: Sequence[tuple[int, TestText]]) -> None:
        for number, text in texts:
            name = text.name or f"test text {number + 1}"
            self._add(number, self._left_out(name) or self._run_text(name, text))

    def _run_text(self, name: str, text: TestText) -> CaseResult:
        if text.functions:
            outcome = self.sandbox.run_tests(text.source, text.functions, self.program, self.limits)
        else:
            outcome = self.sandbox.run_shared(text.source, self.program, self.limits)
        return _result(name, outcome, "" if outcome.value is True else outcome.error or "failed")

    def _add(self, number: int, result: CaseResult) -> None:
        self.results[number] = result
        self._has_failed |= result.passed is not True
        self._time_limits += result.outcome == "time_limit"

    def _left_out(self, name: str) -> CaseResult | None:
        """Of a test that need not run, or for which no time is left. Once there is one, it is so for all after it."""
        if (self._has_failed and self.stop) or self._time_limits >= _MAX_TIME_LIMITS:
            return CaseResult(name, None, "not_run")
        if time.perf_counter() > self.ends:
            return CaseResult(name, None, "out_of_time", "the tests before it took all the time that there was")
        return None


def _with_room(limits: Limits, checks: Iterable[Check]) -> Limits:
    """The limits, with room for outputs twice as long as the longest that is expected."""
    longest = max((_bytes_of(getattr(check, "expected", None)) for check in checks), default=0)
    return replace(limits, output_bytes=2 * longest) if 2 * longest > limits.output_bytes else limits


def _bytes_of(value: object) -> int:
    """About so many bytes a value has as text, and not fewer."""
    if isinstance(value, str):
        return 2 + len(value.encode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return 2 + sum(_bytes_of(key) + _bytes_of(item) for key, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return 2 + sum(map(_bytes_of, value))
    return 26 if not isinstance(value, int) else 4 + value.bit_length() // 3


def _checked(name: str, check: Check, outcome: Outcome) -> CaseResult:
    try:
        failure = check.failure(outcome) if outcome.is_judged else outcome.error
    except BrokenCheck as broken:  # a checker of the user's own; it must not end a run of days
        return CaseResult(name, None, "checker_failure", str(broken))
    return _result(name, outcome, failure)


def _result(name: str, outcome: Outcome, failure: str) -> CaseResult:
    if not outcome.is_judged:
        return CaseResult(name, None, "sandbox_failure", outcome.error)
    if not failure:
        return CaseResult(name, True, "passed")
    kind = _FAILED[outcome.ending]
    if outcome.exception == "AssertionError":  # of test text: the value was not as expected
        kind = "wrong_answer"
    return CaseResult(name, False, kind, failure)


def trust_of(tests: CodeTests) -> Trust:
    """The lowest of the tests that decide."""
    trusts = [Trust.VALUES for case in tests.cases if not case.visible]
    trusts += [Trust.SEPARATE if text.functions else Trust.SHARED for text in tests.texts if not text.visible]
    return max(trusts, key=_ORDER.index)
