"""Judges programs by tests, in a sandbox.

The program is taken from the response; the tests' inputs go into the sandbox, and values and texts come out. What is
expected, the text of the tests and the comparison stay here. So there is nothing in the program's reach that it could
change, read or call to look right: it can only give right answers.
"""

from __future__ import annotations

import collections
import functools
import hashlib
import json
import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from typing import Any, ClassVar, Literal, get_args

from verifiers.code.comparison.checkers import trust_checkers
from verifiers.code.fields import ROW_FIELDS, SOLUTION_FIELDS
from verifiers.code.formats.reading import read_tests
from verifiers.code.running import UNDECIDED, JudgedTests, run_tests, trust_of
from verifiers.code.source.program import program_of, whole_program
from verifiers.code.types import BadTests, CaseResult, CodeTests, Trust
from verifiers.errors import BadReference, NoGoldResponse
from verifiers.pool.limits import check_count
from verifiers.response import Extraction, Mode, check_mode
from verifiers.sandbox import Limits, open_sandbox
from verifiers.types import Layer, Status, Verdict

Reward = Literal["correctness", "pass_rate"]
SOLUTIONS = (*SOLUTION_FIELDS, "code")
"""Fields of a reference that may hold a right program."""
DEMONSTRATION = "demonstration"
"""The field of a reference that is for a learner. Rows that differ in it alone have the same tests."""

_MAX_SHOWN = 200
_SMALL_CHARS = 50_000


class CodeVerifier:
    """Verifier of programs (`verifiers.types.Verifier`). Safe to use from several threads.

    Args:
        mode: strict takes the last fenced block after the thinking; lenient takes a whole response that is source as
            well; whole takes the response as it stands.
        reward: correctness gives 1 or 0, and stops at the first test that fails; pass_rate gives the share of the
            deciding tests that pass. `correct` means all of them, either way.
        isolation: auto takes the strongest that this machine offers. See docs/sandbox.md.
        workers: programs that run at one time.
        limits: fields of `verifiers.sandbox.Limits`, for each test.
        python: the interpreter that runs the programs, e.g. of an environment with the packages that they may import.
            By default the system's own of this version, else the one beneath the current environment.
        checkers: special checkers of the user's own that rows may name, "package.module:function". They run here.
        cache_size: verdicts that are remembered, by program and tests.
        total_s: seconds of the wall clock after which no further test of a program begins: those that are left decide
            nothing, and the verdict is an error unless a test has failed. For servers, whose tests come from their
            clients; in a recipe verdicts would depend on the load of the machine. None: no limit.

    Raises:
        ValueError: an argument is invalid.
        SandboxUnavailable: the machine does not offer the isolation. Nothing weaker is taken in silence.
    """

    thread_safe = True
    command_options: ClassVar[dict[str, Any]] = {"mode": "lenient", "reward": "pass_rate"}
    row_fields = ROW_FIELDS
    answer_field = "code"
    detail_fields = ("passed", "total", "per_test", "isolation", "trust")

    def __init__(
        self,
        *,
        mode: Mode = "strict",
        reward: Reward = "correctness",
        isolation: str = "auto",
        workers: int = 1,
        limits: Limits | Mapping[str, Any] | None = None,
        python: str = "",
        checkers: Sequence[str] = (),
        cache_size: int = 10_000,
        total_s: float | None = None,
    ) -> None:
        check_mode(mode)
        check_count("workers", workers)
        check_count("cache_size", cache_size, least=0)
        if reward not in get_args(Reward):
            raise ValueError(f"reward is {reward!r}; write one of {', '.join(get_args(Reward))}")
        if isinstance(checkers, str) or not all(isinstance(spec, str) for spec in checkers):
            raise ValueError(f"checkers is {checkers!r}; write a list of package.module:function")
        if total_s is not None and (
            isinstance(total_s, bool) or not isinstance(total_s, int | float) or not total_s > 0
        ):
            raise ValueError(f"total_s is {total_s!r}; write seconds above 0, or nothing for no limit")
        trust_checkers(checkers)
        self.mode: Mode = mode
        self.reward: Reward = reward
        self.limits = limits if isinstance(limits, Limits) else _limits_of(limits or {})
        self._options = {
            "mode": mode,
            "reward": reward,
            "isolation": isolation,
            "workers": workers,
            "limits": self.limits,
            "python": python,
            "checkers": list(checkers),
            "cache_size": cache_size,
            "total_s": total_s,
        }
        self._total_s = math.inf if total_s is None else total_s
        self._workers = workers
        self._sandbox = open_sandbox(isolation, workers=workers, python=python)
        self._cache: collections.OrderedDict[tuple[str, str], JudgedTests] = collections.OrderedDict()
        self._cache_size = cache_size
        self._lock = threading.Lock()

    @property
    def isolation(self) -> str:
        """The layer that runs the programs."""
        return self._sandbox.isolation

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        """One verdict for each (response, reference), in order.

        No program in the response: UNPARSED, wrong. Tests that cannot be read, or a sandbox that failed: ERROR.

        Raises:
            ValueError: the two lists differ in length.
        """
        if len(responses) != len(references):
            raise ValueError(f"{len(responses)} responses for {len(references)} references")
        return self._judge_all(
            [(lambda tests, text=text: self._extract(text, tests)) for text in responses], references
        )

    def verify_answers(self, answers: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        """`verify` for bare programs: nothing is looked for in them. Same errors."""
        return self._judge_all([(lambda _, text=text: _bare(text)) for text in answers], references)

    def reference_of(self, gold: Any) -> dict[str, Any]:
        """The reference of bare tests. What is wrong with them is said in the verdict."""
        return {"tests": gold}

    def wrap_answer(self, answer: str) -> str:
        """A response in the format of the mode."""
        return answer if self.mode == "whole" else f"```python\n{answer}\n```"

    def gold_response(self, reference: dict[str, Any]) -> str:
        """A response in the format of the mode that must score 1.

        Raises:
            NoGoldResponse: the tests can be read, and there is no reference solution.
            BadReference: the tests cannot be read.
        """
        _tests_of(reference)
        for name in SOLUTIONS:
            if isinstance(reference.get(name), str) and reference[name].strip():
                return self.wrap_answer(reference[name])
        raise NoGoldResponse(f"there is no reference solution to check the tests with ({', '.join(SOLUTIONS)})")

    def explain(self, answer: str, reference: dict[str, Any], verdict: Verdict) -> list[Layer]:
        """What each test came to. All of them run, whatever `reward` is. Raises BadReference."""
        tests = _tests_of(reference)
        program = whole_program(answer, tests)
        judged = self._run(program, tests, stop=False)
        return [
            Layer(result.name, " ".join(f"{result.outcome.replace('_', ' ')} {result.detail}".split()), "tests")
            for result in judged.results
        ]

    def close(self) -> None:
        """Ends the sandbox's processes. They also end with the program."""
        self._sandbox.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(CodeVerifier, **self._options), ()  # type: ignore[arg-type]

    def _extract(self, response: str, tests: CodeTests) -> Extraction:
        return program_of(response, self.mode)

    def _judge_all(self, extractors: Sequence[Any], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        """Each different program with the same tests runs once, though a group of rollouts may hold it many times."""
        verdicts: dict[int, Verdict] = {}
        jobs: dict[tuple[str, str], tuple[str, CodeTests]] = {}
        rows: dict[int, tuple[Extraction, tuple[str, str]]] = {}
        for row, (extractor, reference) in enumerate(zip(extractors, references, strict=True)):
            try:
                text = _text_of(reference)
                tests = _tests_of_text(text)
            except BadReference as bad:
                verdicts[row] = Verdict(None, None, Status.ERROR, None, "reference", str(bad), 0.0)
                continue
            extraction = extractor(tests)
            if extraction.answer is None:
                details = self._details((), tests, trust_of(tests))
                verdicts[row] = Verdict(
                    False, 0.0, Status.UNPARSED, None, "extract", extraction.reason, 0.0, details=details
                )
                continue
            program = whole_program(extraction.answer, tests)
            key = (program, hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest())
            rows[row] = (extraction, key)
            jobs[key] = (program, tests)
        judged = dict(zip(jobs, self._run_all(list(jobs.items())), strict=True))
        for row, (extraction, key) in rows.items():
            verdicts[row] = self._verdict(judged[key], extraction, jobs[key][1])
        return [verdicts[row] for row in range(len(references))]

    def _run_all(self, jobs: list[tuple[tuple[str, str], tuple[str, CodeTests]]]) -> Iterator[JudgedTests]:
        if self._workers == 1 or len(jobs) <= 1:
            yield from (self._remembered(key, *job) for key, job in jobs)
            return
        with ThreadPoolExecutor(min(self._workers, len(jobs)), thread_name_prefix="code-verifier") as threads:
            yield from threads.map(lambda item: self._remembered(item[0], *item[1]), jobs)

    def _remembered(self, key: tuple[str, str], program: str, tests: CodeTests) -> JudgedTests:
        """Only what was decided is remembered: a failure of the sandbox may be gone the next time."""
        with self._lock:
            if (known := self._cache.get(key)) is not None:
                self._cache.move_to_end(key)
                return known
        judged = self._run(program, tests, stop=self.reward == "correctness")
        if all(result.outcome not in UNDECIDED for result in judged.results):
            with self._lock:
                self._cache[key] = judged
                while len(self._cache) > self._cache_size:
                    self._cache.popitem(last=False)
        return judged

    def _run(self, program: str, tests: CodeTests, *, stop: bool) -> JudgedTests:
        return run_tests(self._sandbox, program, tests, self.limits, stop=stop, total_s=self._total_s)

    def _verdict(self, judged: JudgedTests, extraction: Extraction, tests: CodeTests) -> Verdict:
        passed = sum(result.passed is True for result in judged.deciding)
        total = len(judged.deciding)
        details = self._details(judged.results, tests, judged.trust) | {"passed": passed}
        correct = passed == total  # by what passed, so that a test that did not run can never make a program right
        failed = [result for result in judged.deciding if result.passed is False]
        unknown = [result for result in judged.deciding if result.outcome in UNDECIDED]
        if unknown and (self.reward == "pass_rate" or not failed):
            reason = f"{unknown[0].name}: {unknown[0].detail}"
            method = unknown[0].outcome.removesuffix("_failure")
            return Verdict(None, None, Status.ERROR, extraction.answer, method, reason, judged.seconds, details=details)
        reason = f"all {total} tests passed" if correct else _short(f"{failed[0].name}: {_why(failed[0])}")
        score = passed / total if self.reward == "pass_rate" else float(correct)
        return Verdict(
            correct, score, Status.JUDGED, extraction.answer, "tests", reason, judged.seconds, details=details
        )

    def _details(self, results: Sequence[CaseResult], tests: CodeTests, trust: Trust) -> dict[str, Any]:
        total = sum(not test.visible for test in (*tests.cases, *tests.texts))  # type: ignore[attr-defined]
        return {
            "isolation": self.isolation,
            "trust": trust.value,
            "passed": 0,
            "total": total,
            "per_test": [result.outcome for result in results],
        }


def _why(result: CaseResult) -> str:
    words = result.outcome.replace("_", " ")
    return f"{words}: {result.detail}" if result.detail else words


def _bare(answer: str) -> Extraction:
    return Extraction(answer, "the program") if answer.strip() else Extraction(None, "the program is empty")


def _read(text: str) -> CodeTests | str:
    try:
        return read_tests(json.loads(text))
    except BadTests as bad:
        return str(bad)
    except RecursionError:
        return "the tests nest too deeply to be read; write them as shorter expressions"


_read_small = functools.lru_cache(maxsize=4096)(_read)
_read_large = functools.lru_cache(maxsize=8)(_read)
"""A group of rollouts is judged by the same tests. Those of one problem may be tens of megabytes."""


def _tests_of_text(text: str) -> CodeTests:
    tests = _read_small(text) if len(text) <= _SMALL_CHARS else _read_large(text)
    if isinstance(tests, str):
        raise BadReference(tests)
    return tests


def _text_of(reference: Any) -> str:
    """The tests of a reference as JSON, by which they are read once and their verdicts are remembered. Raises
    BadReference.
    """
    if not isinstance(reference, Mapping):
        raise BadReference(f'the reference is a {type(reference).__name__}; write {{"tests": [...]}}')
    try:
        return json.dumps({name: value for name, value in reference.items() if name != DEMONSTRATION})
    except (TypeError, ValueError, RecursionError) as error:
        raise BadReference(f"the reference cannot be written as JSON: {error}") from None


def _tests_of(reference: Any) -> CodeTests:
    """The tests of a reference. Raises BadReference."""
    return _tests_of_text(_text_of(reference))


def _limits_of(limits: Mapping[str, Any]) -> Limits:
    if not isinstance(limits, Mapping):
        raise ValueError(f"limits is {limits!r}; write a section, such as {{cpu_s: 6}}")
    known = {field.name: type(field.default) for field in fields(Limits)}
    for name, value in limits.items():
        if name not in known:
            raise ValueError(f"limits has no field {name!r}. Its fields: {', '.join(known)}")
        is_number = isinstance(value, int) or (isinstance(value, float) and known[name] is float)
        if isinstance(value, bool) or not is_number or not 0 < value < 1e9:
            raise ValueError(f"limits.{name} is {value!r}; write a number above 0")
    return Limits(**limits)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."
