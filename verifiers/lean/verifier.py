"""Judges proofs in Lean 4: one counts only if it proves the stated theorem and assumes no more than Lean does."""

from __future__ import annotations

import collections
import functools
import secrets
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from typing import Any, ClassVar

from verifiers.errors import BadReference, NoGoldResponse
from verifiers.lean.backends.choice import open_backend
from verifiers.lean.candidate import Candidate, Unusable, extract, read_candidate
from verifiers.lean.judgement import LAYERS, judge_run
from verifiers.lean.lexical import first_ban
from verifiers.lean.partial import partial_score
from verifiers.lean.statement import challenge_text, check_text, read_statement
from verifiers.lean.types import Judged, LeanLimits, LeanUnavailable, Script, Statement
from verifiers.pool.limits import check_count
from verifiers.response import Extraction, Mode, check_mode
from verifiers.sandbox.types import SandboxUnavailable
from verifiers.types import Layer, Status, Verdict

STATEMENTS = ("formal_statement", "statement", "code")
"""Fields of a reference that may hold the statement."""
PROOFS = ("proof", "gold_proof")
"""Fields of a reference that may hold a right proof."""
_UNDECIDED = ("backend", "statement")


class LeanVerifier:
    """Verifier of proofs (`verifiers.types.Verifier`). Safe to use from several threads.

    Args:
        mode: strict takes the last block in lean after the thinking; lenient takes bare Lean as well; whole takes the
            response as it stands.
        backend: auto, project, repl, kimina or bundled. See docs/lean.md.
        project: folder of a Lean project that is built, for project and repl.
        url: of a Kimina Lean Server.
        isolation: of the sandbox in which Lean runs here.
        workers: proofs that are judged at one time.
        limits: fields of `verifiers.lean.types.LeanLimits`, for each module.
        header: of statements that come without one and import nothing, such as "import Mathlib".
        partial_credit: a proof that fails gets up to 0.5 for what comes before its first error. It stays wrong.
        cache_size: verdicts that are remembered, by statement and candidate.
        backend_options: options of the backend alone.
        try_server: whether a server is tried at once; else before its first proof.

    Raises:
        ValueError: an argument is invalid.
        SandboxUnavailable: the backend does not work on this machine. Nothing weaker is taken in silence.
    """

    thread_safe = True
    command_options: ClassVar[dict[str, Any]] = {"mode": "lenient"}
    row_fields = (*STATEMENTS, "header", "name", *PROOFS[1:])
    answer_field = "proof"
    detail_fields = ("layers", "backend", "version", "axioms")

    def __init__(
        self,
        *,
        mode: Mode = "strict",
        backend: str = "auto",
        project: str = "",
        url: str = "",
        isolation: str = "auto",
        workers: int = 1,
        limits: LeanLimits | Mapping[str, Any] | None = None,
        header: str = "",
        partial_credit: bool = False,
        cache_size: int = 10_000,
        backend_options: Mapping[str, Any] | None = None,
        try_server: bool = True,
    ) -> None:
        check_mode(mode)
        check_count("workers", workers)
        check_count("cache_size", cache_size, least=0)
        if not isinstance(partial_credit, bool):
            raise ValueError(f"partial_credit is {partial_credit!r}; write true or false")
        if not isinstance(header, str):
            raise ValueError(f"header is {header!r}; write a text, such as 'import Mathlib'")
        self.mode: Mode = mode
        self.header = header
        self.limits = limits if isinstance(limits, LeanLimits) else _limits_of(limits or {})
        self.partial_credit = partial_credit
        self._options = {
            "mode": mode,
            "backend": backend,
            "project": project,
            "url": url,
            "isolation": isolation,
            "workers": workers,
            "limits": self.limits,
            "header": header,
            "partial_credit": partial_credit,
            "cache_size": cache_size,
            "backend_options": dict(backend_options or {}),
            "try_server": try_server,
        }
        self._workers = workers
        try:
            self._backend = open_backend(
                backend,
                project_folder=project,
                url=url,
                isolation=isolation,
                workers=workers,
                try_server=try_server,
                **(backend_options or {}),
            )
        except LeanUnavailable as error:
            raise SandboxUnavailable(str(error)) from error
        except TypeError as error:
            raise ValueError(f"backend_options do not fit the backend {backend}: {error}") from error
        self._nonce = secrets.token_hex(8)
        self._cache: collections.OrderedDict[tuple[Statement, str], Judged] = collections.OrderedDict()
        self._cache_size = cache_size
        self._lock = threading.Lock()

    @property
    def backend(self) -> str:
        """The name of the backend that judges."""
        return self._backend.name

    @property
    def lean_version(self) -> str:
        return self._backend.version

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        """One verdict for each (response, reference), in order.

        No Lean in the response: UNPARSED, wrong. A statement that cannot be read or does not compile, a header that
        cannot be imported, a checker that failed: ERROR. The wall clock alone: TIMEOUT.

        Raises:
            ValueError: the two lists differ in length.
        """
        if len(responses) != len(references):
            raise ValueError(f"{len(responses)} responses for {len(references)} references")
        return self._judge_all([extract(text, self.mode) for text in responses], references)

    def verify_answers(self, answers: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        """`verify` for bare proofs: nothing is looked for in them. Same errors."""
        return self._judge_all([_bare(text) for text in answers], references)

    def judge(self, statements: Sequence[Statement], proofs: Sequence[str]) -> list[Judged]:
        """Bare proofs of statements that have been read, for verifiers that build on this one; in order."""
        pairs = [(one, _candidate(proof, one)) for one, proof in zip(statements, proofs, strict=True)]
        jobs = {(one, read.text): read for one, read in pairs if isinstance(read, Candidate)}
        judged = dict(zip(jobs, self._run_all(list(jobs.items())), strict=True))
        return [judged[one, read.text] if isinstance(read, Candidate) else read for one, read in pairs]

    @property
    def options(self) -> Mapping[str, Any]:
        """What it was made with."""
        return self._options

    def reference_of(self, gold: Any) -> dict[str, Any]:
        """The reference of a bare statement. What is wrong with it is said in the verdict."""
        return {"statement": gold}

    def wrap_answer(self, answer: str) -> str:
        """A response in the format of the mode."""
        return answer if self.mode == "whole" else f"```lean4\n{answer}\n```"

    def gold_response(self, reference: dict[str, Any]) -> str:
        """A response in the format of the mode that must score 1.

        Raises:
            NoGoldResponse: the statement can be read, and there is no proof.
            BadReference: the statement cannot be read.
        """
        statement_of(reference, self.header)
        for name in PROOFS:
            if isinstance(reference.get(name), str) and reference[name].strip():
                return self.wrap_answer(reference[name])
        raise NoGoldResponse(f"there is no proof to check the statement with ({', '.join(PROOFS)})")

    def explain(self, answer: str, reference: dict[str, Any], verdict: Verdict) -> list[Layer]:
        """Which layers the candidate passed, in the order in which they were asked."""
        stopped = "" if verdict.correct else verdict.method
        layers = []
        for name in verdict.details.get("layers", ()):
            layers.append(Layer(name, verdict.reason if name == stopped else "passed", "lean"))
        if stopped and all(layer.name != stopped for layer in layers):
            layers.append(Layer(stopped, verdict.reason, "lean"))
        return layers

    def close(self) -> None:
        """Ends the backend's processes. They also end with the program."""
        self._backend.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(LeanVerifier, **self._options), ()  # type: ignore[arg-type]

    def _judge_all(self, extractions: Sequence[Extraction], references: Sequence[Any]) -> list[Verdict]:
        """Each different candidate for the same statement runs once, though a group may hold it many times."""
        verdicts: dict[int, Verdict] = {}
        jobs: dict[tuple[Statement, str], Candidate] = {}
        rows: dict[int, tuple[Extraction, tuple[Statement, str]]] = {}
        for row, (extraction, reference) in enumerate(zip(extractions, references, strict=True)):
            try:
                statement = statement_of(reference, self.header)
            except BadReference as bad:
                verdicts[row] = Verdict(None, None, Status.ERROR, None, "reference", str(bad), 0.0)
                continue
            if extraction.answer is None:
                verdicts[row] = self._unparsed(None, "extract", extraction.reason)
                continue
            try:
                candidate = read_candidate(extraction.answer, statement)
            except Unusable as unusable:
                verdicts[row] = self._unusable(extraction.answer, unusable)
                continue
            rows[row] = (extraction, (statement, candidate.text))
            jobs[statement, candidate.text] = candidate
        judged = dict(zip(jobs, self._run_all(list(jobs.items())), strict=True))
        for row, (extraction, key) in rows.items():
            verdicts[row] = self._verdict(judged[key], extraction, jobs[key])
        return [verdicts[row] for row in range(len(references))]

    def _run_all(self, jobs: list[tuple[tuple[Statement, str], Candidate]]) -> list[Judged]:
        if self._workers == 1 or len(jobs) <= 1:
            return [self._remembered(statement, candidate) for (statement, _), candidate in jobs]
        with ThreadPoolExecutor(min(self._workers, len(jobs)), thread_name_prefix="lean-verifier") as threads:
            return list(threads.map(lambda job: self._remembered(job[0][0], job[1]), jobs))

    def _remembered(self, statement: Statement, candidate: Candidate) -> Judged:
        """Only what was decided is remembered: a failure of the machine may be gone the next time."""
        key = (statement, candidate.text)
        with self._lock:
            if (known := self._cache.get(key)) is not None:
                self._cache.move_to_end(key)
                return known
        judged = self._judged(statement, candidate)
        if judged.is_proof is not None:
            with self._lock:
                self._cache[key] = judged
                while len(self._cache) > self._cache_size:
                    self._cache.popitem(last=False)
        return judged

    def _judged(self, statement: Statement, candidate: Candidate) -> Judged:
        if (ban := first_ban(candidate.text)) is not None:
            return Judged(False, "lexical", str(ban), layers=("lexical",), error_line=ban.line)
        check_nonce = secrets.token_hex(8)
        script = Script(
            imports=statement.imports,
            setting=statement.setting,
            challenge=challenge_text(statement, self._nonce),
            candidate=statement.scope + candidate.text,
            check=check_text(statement, self._nonce, check_nonce),
            scopes=f"Scope_{secrets.token_hex(8)}",
        )
        judged = judge_run(self._backend.run(script, self.limits), check_nonce, first_line=statement.scope.count("\n"))
        return replace(judged, layers=("lexical", *LAYERS, *self._backend.layers))

    def _verdict(self, judged: Judged, extraction: Extraction, candidate: Candidate) -> Verdict:
        details = self._details(judged.layers, judged.axioms)
        if judged.is_proof is None:
            status = Status.TIMEOUT if judged.is_timeout else Status.ERROR
            return Verdict(None, None, status, extraction.answer, judged.method, judged.reason, judged.seconds, details)
        score = float(judged.is_proof)
        if self.partial_credit and not judged.is_proof:
            score = partial_score(candidate, judged)
        return Verdict(
            judged.is_proof,
            score,
            Status.JUDGED,
            extraction.answer,
            judged.method,
            judged.reason,
            judged.seconds,
            details,
        )

    def _unusable(self, answer: str, unusable: Unusable) -> Verdict:
        if unusable.is_unparsed:
            return self._unparsed(answer, "candidate", str(unusable))
        details = self._details(("candidate",), None)
        return Verdict(False, 0.0, Status.JUDGED, answer, "candidate", str(unusable), 0.0, details)

    def _unparsed(self, answer: str | None, method: str, reason: str) -> Verdict:
        return Verdict(False, 0.0, Status.UNPARSED, answer, method, reason, 0.0, self._details((), None))

    def _details(self, layers: Sequence[str], axioms: Sequence[str] | None) -> dict[str, Any]:
        return {
            "layers": list(layers),
            "backend": self._backend.name,
            "version": self._backend.version,
            "axioms": None if axioms is None else list(axioms),
        }


def statement_of(reference: Any, default_header: str = "") -> Statement:
    """The theorem of a reference. Raises BadReference.

    Args:
        default_header: of a statement that comes without one and imports nothing.
    """
    if not isinstance(reference, Mapping):
        raise BadReference(f'the reference is a {type(reference).__name__}; write {{"statement": ..., "header": ...}}')
    texts = {name: reference[name] for name in STATEMENTS if reference.get(name) is not None}
    if len(texts) != 1:
        raise BadReference(f"a reference needs one of {', '.join(STATEMENTS)}; it has {', '.join(texts) or 'none'}")
    (text,) = texts.values()
    header, name = reference.get("header") or "", reference.get("name") or ""
    for field, value in (("statement", text), ("header", header), ("name", name)):
        if not isinstance(value, str):
            raise BadReference(f"the {field} is a {type(value).__name__}; write a text")
    if not text.strip():
        raise BadReference("the statement is empty")
    statement = _read(text, header, name)
    if default_header and not header.strip() and not statement.imports:
        return _read(text, default_header, name)
    return statement


def _candidate(proof: str, statement: Statement) -> Candidate | Judged:
    try:
        return read_candidate(proof, statement)
    except Unusable as unusable:
        return Judged(False, "candidate", str(unusable))


@functools.lru_cache(maxsize=4096)
def _read(text: str, header: str, name: str) -> Statement:
    return read_statement(text, header, name)


def _bare(answer: str) -> Extraction:
    return Extraction(answer, "the proof") if answer.strip() else Extraction(None, "the proof is empty")


def _limits_of(limits: Mapping[str, Any]) -> LeanLimits:
    if not isinstance(limits, Mapping):
        raise ValueError(f"limits is {limits!r}; write a section, such as {{cpu_s: 60}}")
    known = {field.name: type(field.default) for field in fields(LeanLimits)}
    for name, value in limits.items():
        if name not in known:
            raise ValueError(f"limits has no field {name!r}. Its fields: {', '.join(known)}")
        is_number = isinstance(value, int) or (isinstance(value, float) and known[name] is float)
        least = 0 if name in ("memory_mb", "heartbeats") else 1e-3
        if isinstance(value, bool) or not is_number or not least <= value < 1e9:
            raise ValueError(f"limits.{name} is {value!r}; write a number above 0")
    return LeanLimits(**limits)
