"""Judges statements that a model has written down in Lean 4 (autoformalisation): what a machine can say of them.

    1  the text holds one theorem, and nothing that could change what it means (the lexical layer of proofs)
    2  it compiles, as a proposition, under the problem's header, with `autoImplicit` off unless that sets it
    3  its hypotheses (the binders before the colon) do not contradict each other, as far as cheap proofs of False tell:
       else anything follows
    4  it is not trivial, as far as cheap proofs of it tell (only with `refuse: [contradictory, trivial]`)

Whether it says what the problem says in words is a critic's matter (`json_verdict` of `critics.formats`, after
CriticLean, arXiv:2507.06181, which compiles first and asks its critic then). How sure: 1 and 2 decide; 3 and 4 find
some of such statements, never all.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from verifiers.errors import BadReference, NoGoldResponse
from verifiers.lean.backends import bundled
from verifiers.lean.candidate import Unusable, check_imports, extract
from verifiers.lean.commands import THEOREMS, commands
from verifiers.lean.lexical import first_ban
from verifiers.lean.statement import declared, hypotheses, read_statement, without_conclusion
from verifiers.lean.types import Statement
from verifiers.lean.verifier import LeanVerifier
from verifiers.response import Extraction, Mode
from verifiers.types import Layer, Status, Verdict

TACTICS = ("by trivial", "by rfl", "by simp", "by decide", "by norm_num", "by omega", "by tauto")
"""Cheap proofs of a trivial statement, for a Lean with tactics."""
CONTRADICTIONS = ("by contradiction", "by simp_all", "by omega", "by linarith", "by norm_num at *")
"""Cheap proofs of False from the hypotheses, for a Lean with tactics."""
TERMS = ("rfl", "True.intro", "fun h => h", "fun h => fun _ => h", "fun h => False.elim h")
_SIDES = (("left", "right"), ("right", "left"))
_AUTO_IMPLICIT = "autoImplicit"
_NO_PROOF = "sorry"
"""Where no cheap proof is tried, to see whether the statement compiles."""
REFUSE = ("contradictory", "trivial")
_OF_PROOFS = ("partial_credit", "cache_size")
"""Options of `LeanVerifier` that mean nothing here."""
_MOST_HYPOTHESES = 6
"""Of these, all pairs are tried where there are no tactics."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known of a statement."""

    status: Status
    compiles: bool | None
    """None where the machine failed, or has not come to it."""
    method: str
    reason: str
    contradictory_by: str = ""
    """The proof of False from its hypotheses alone."""
    trivial_by: str = ""
    """The cheap proof of it."""
    seconds: float = 0.0


class LeanStatementVerifier:
    """Verifier of formal statements (`verifiers.types.Verifier`). Safe to use from several threads.

    A reference may have `header` (imports, `open`, definitions); the words of the problem are for a critic.

    Args:
        mode, backend, project, url, isolation, workers, limits, header, backend_options, try_server: as of
            `LeanVerifier`.
        refuse: which findings make a statement wrong: contradictory, trivial. Both are searched for and told anyway.
        proofs: cheap proofs of a trivial statement; by default `TACTICS`, or `TERMS` for the bundled kernel.
        contradictions: cheap proofs of False; by default `CONTRADICTIONS`, or the hypotheses applied to each other.

    Raises:
        ValueError: an argument is invalid.
        SandboxUnavailable: the backend does not work on this machine.
    """

    thread_safe = True
    command_options: ClassVar[dict[str, Any]] = {"mode": "lenient"}
    row_fields = ("header", "problem", "informal_statement")
    answer_field = "statement"
    detail_fields = ("compiles", "contradictory_by", "trivial_by", "backend", "version")

    def __init__(
        self,
        *,
        mode: Mode = "strict",
        refuse: Sequence[str] = ("contradictory",),
        proofs: Sequence[str] | None = None,
        contradictions: Sequence[str] | None = None,
        header: str = "",
        backend: str = "auto",
        project: str = "",
        url: str = "",
        isolation: str = "auto",
        workers: int = 1,
        limits: Mapping[str, Any] | None = None,
        backend_options: Mapping[str, Any] | None = None,
        try_server: bool = True,
    ) -> None:
        if isinstance(refuse, str) or not set(refuse) <= set(REFUSE):
            raise ValueError(f"refuse is {refuse!r}; write a list out of {', '.join(REFUSE)}")
        for name, texts in (("proofs", proofs), ("contradictions", contradictions)):
            if texts is not None and (isinstance(texts, str) or not all(isinstance(text, str) for text in texts)):
                raise ValueError(f"{name} is {texts!r}; write a list of proofs, such as ['by simp']")
        self._prover = LeanVerifier(
            mode=mode,
            backend=backend,
            project=project,
            url=url,
            isolation=isolation,
            workers=workers,
            limits=limits,
            header=header,
            backend_options=backend_options,
            try_server=try_server,
        )
        self.mode, self.header = mode, header
        self._refuse = tuple(refuse)
        of_prover = {name: value for name, value in self._prover.options.items() if name not in _OF_PROOFS}
        self._options = of_prover | {"refuse": refuse, "proofs": proofs, "contradictions": contradictions}
        has_tactics = self._prover.backend != bundled.NAME
        self._proofs = tuple(proofs if proofs is not None else TACTICS if has_tactics else TERMS)
        self._contradictions = CONTRADICTIONS if contradictions is None and has_tactics else contradictions

    def verify(self, responses: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        """One verdict for each (response, reference), in order.

        No statement in the response: UNPARSED, wrong. A header that cannot be imported, a checker that failed: ERROR.
        The wall clock alone: TIMEOUT.

        Raises:
            ValueError: the two lists differ in length.
        """
        if len(responses) != len(references):
            raise ValueError(f"{len(responses)} responses for {len(references)} references")
        return self._judge_all([extract(text, self.mode) for text in responses], references)

    def verify_answers(self, answers: Sequence[str], references: Sequence[dict[str, Any]]) -> list[Verdict]:
        """`verify` for bare statements. Same errors."""
        extractions = [
            Extraction(text, "the statement") if text.strip() else Extraction(None, "the statement is empty")
            for text in answers
        ]
        return self._judge_all(extractions, references)

    def examine(self, text: str, header: str = "") -> Findings:
        """All that can be said of one statement.

        Args:
            text: Lean, with one theorem that ends in `:= by sorry`, `:= sorry`, `:= by`, `:=` or its type.
            header: of the problem, trusted.
        """
        return self._examine_all([(text, header or self.header)])[0]

    def reference_of(self, gold: Any) -> dict[str, Any]:
        return {"header": gold}

    def wrap_answer(self, answer: str) -> str:
        """A response in the format of the mode."""
        return self._prover.wrap_answer(answer)

    def gold_response(self, reference: dict[str, Any]) -> str:
        """Raises BadReference for one that cannot be read, else NoGoldResponse: right statements are many."""
        _header_of(reference)
        raise NoGoldResponse("a statement in words has no one right statement in Lean")

    def explain(self, answer: str, reference: dict[str, Any], verdict: Verdict) -> list[Layer]:
        """What was looked at, in order."""
        details = verdict.details
        layers = []
        if details.get("compiles") is not None:
            layers.append(Layer("compile", "passed" if details["compiles"] else verdict.reason, "lean"))
        for name in REFUSE if details.get("compiles") else ():
            proof = details[f"{name}_by"]
            layers.append(Layer(name, f"by {proof!r}" if proof else "not found to be", "lean"))
        return layers or [Layer(verdict.method, verdict.reason, "lean")]

    def close(self) -> None:
        """Ends the backend's processes."""
        self._prover.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return functools.partial(LeanStatementVerifier, **self._options), ()

    def _judge_all(self, extractions: Sequence[Extraction], references: Sequence[Any]) -> list[Verdict]:
        verdicts: dict[int, Verdict] = {}
        jobs: dict[int, tuple[str, str]] = {}
        for row, (extraction, reference) in enumerate(zip(extractions, references, strict=True)):
            try:
                header = _header_of(reference) or self.header
            except BadReference as bad:
                verdicts[row] = Verdict(None, None, Status.ERROR, None, "reference", str(bad), 0.0)
                continue
            if extraction.answer is None:
                verdicts[row] = Verdict(False, 0.0, Status.UNPARSED, None, "extract", extraction.reason, 0.0)
                continue
            jobs[row] = extraction.answer, header
        different = list(dict.fromkeys(jobs.values()))
        findings = dict(zip(different, self._examine_all(different), strict=True))
        for row, job in jobs.items():
            verdicts[row] = self._verdict(findings[job], job[0])
        return [verdicts[row] for row in range(len(references))]

    def _verdict(self, findings: Findings, answer: str) -> Verdict:
        details = {
            "compiles": findings.compiles,
            "contradictory_by": findings.contradictory_by,
            "trivial_by": findings.trivial_by,
            "backend": self._prover.backend,
            "version": self._prover.lean_version,
        }
        if findings.status in (Status.ERROR, Status.TIMEOUT):
            reason = findings.reason
            return Verdict(None, None, findings.status, answer, findings.method, reason, findings.seconds, details)
        refused = next((name for name in self._refuse if details[f"{name}_by"]), "")
        is_right = findings.status is Status.JUDGED and bool(findings.compiles) and not refused
        method, reason = findings.method, findings.reason
        if refused:
            method = refused
            reason = (
                f"anything follows from its hypotheses: {findings.contradictory_by!r} proves False"
                if refused == "contradictory"
                else f"it is trivial: {findings.trivial_by!r} proves it"
            )
        return Verdict(is_right, float(is_right), findings.status, answer, method, reason, findings.seconds, details)

    def _examine_all(self, jobs: Sequence[tuple[str, str]]) -> list[Findings]:
        """Reads each, then has all cheap proofs of all of them tried together, the workers busy."""
        read = [_read(text, header) for text, header in jobs]
        tries: list[tuple[int, str, str]] = []
        for number, statement in enumerate(read):
            if isinstance(statement, Statement):
                tries += [(number, "trivial", proof) for proof in self._proofs] or [(number, "trivial", _NO_PROOF)]
                tries += [(number, "contradictory", proof) for proof in self._against(statement)]
        statements: list[Statement] = []
        for number, kind, _ in tries:
            statement = read[number]
            assert isinstance(statement, Statement)
            statements.append(statement if kind == "trivial" else without_conclusion(statement))
        judged = self._prover.judge(statements, [proof for _, _, proof in tries])
        results = []
        for number, statement in enumerate(read):
            if isinstance(statement, Findings):
                results.append(statement)
                continue
            results.append(
                _findings([(kind, proof, j) for (n, kind, proof), j in zip(tries, judged, strict=True) if n == number])
            )
        return results

    def _against(self, statement: Statement) -> list[str]:
        """What is tried to prove False from the hypotheses."""
        names = hypotheses(statement)
        if not names:
            return []
        if self._contradictions is not None:
            return list(self._contradictions)
        named = names[:_MOST_HYPOTHESES]
        halves = [f"{name}.{one} {name}.{other}" for name in named for one, other in _SIDES]
        return [*named, *halves, *(f"{first} {second}" for first in named for second in named if first != second)]


def _header_of(reference: Any) -> str:
    if not isinstance(reference, Mapping):
        raise BadReference(f'the reference is a {type(reference).__name__}; write {{"header": ...}}')
    header = reference.get("header") or ""
    if not isinstance(header, str):
        raise BadReference(f"the header is a {type(header).__name__}; write a text")
    return header


def _read(text: str, header: str) -> Statement | Findings:
    """The model's statement behind the problem's header, or what is wrong with it before Lean has seen it."""
    try:
        trusted = read_statement("theorem reasonrl : True := sorry", header)
    except BadReference as bad:
        return Findings(Status.ERROR, None, "reference", f"the header cannot be read: {bad}")
    imports = [command for command in commands(text) if command.keyword == "import"]
    remaining = "".join("" if command.is_import else command.text for command in commands(text))
    if header.strip():
        try:
            check_imports(imports, trusted)
        except Unusable as unusable:
            return Findings(Status.JUDGED, False, "imports", str(unusable))
    if (ban := first_ban(remaining)) is not None:
        return Findings(Status.JUDGED, False, "lexical", str(ban))
    if _AUTO_IMPLICIT.lower() in remaining.lower():
        return Findings(Status.JUDGED, False, "lexical", f"{_AUTO_IMPLICIT} is the header's to set")
    titles = [pair[1].text for command in commands(remaining) if (pair := declared(command, THEOREMS))]
    if len(titles) > 1:
        return Findings(
            Status.UNPARSED, None, "statement", f"there are {len(titles)} theorems: {', '.join(titles[:3])}"
        )
    before = header if header.strip() else "".join(f"{command.text.strip()}\n" for command in imports)
    if _AUTO_IMPLICIT not in before:  # else a misspelt name would be a variable
        before = f"{before.rstrip()}\nset_option {_AUTO_IMPLICIT} false\n"
    try:
        statement = read_statement(remaining, before)
    except BadReference as bad:
        return Findings(Status.UNPARSED, None, "statement", str(bad))
    return replace(statement, wants=":=")  # the cheap proofs say themselves whether they are tactics


def _findings(tried: Sequence[tuple[str, str, Any]]) -> Findings:
    seconds = sum(judged.seconds for _, _, judged in tried)
    for kind, _, judged in tried:
        if judged.is_proof is None and judged.method == "statement" and kind == "trivial":
            return Findings(Status.JUDGED, False, "compile", judged.reason, seconds=seconds)
        if judged.is_proof is None and judged.method != "statement":  # the machine's fault: nothing is known then
            status = Status.TIMEOUT if judged.is_timeout else Status.ERROR
            return Findings(status, None, judged.method, judged.reason, seconds=seconds)
    proofs = {kind: proof for kind, proof, judged in reversed(tried) if judged.is_proof}
    return Findings(
        Status.JUDGED,
        True,
        "compile",
        "it compiles",
        proofs.get("contradictory", ""),
        proofs.get("trivial", ""),
        seconds,
    )


__all__ = ["Findings", "LeanStatementVerifier"]
