"""Shared by `verify` and `audit`: loads the verifier that the user names, and judges rows with it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reasonrl.commands.output import key_values
from reasonrl.errors import ReasonRLError, UsageError
from reasonrl.rewards.guarded import GuardedVerifier
from reasonrl.runs.row_text import row_text
from reasonrl.user_code.guards import call_user_code
from verifiers.errors import BadOption, MissingMethod, PoolError, UnknownVerifier, VerifierError
from verifiers.loading import command_options, load_verifier, option_names
from verifiers.optional import (
    answer_field,
    detail_fields,
    reads_reference,
    reference_of,
    row_fields,
    verify_answers,
)
from verifiers.sandbox.types import SandboxUnavailable
from verifiers.types import Status, Verdict, Verifier


@dataclass(frozen=True)
class Item:
    """One row to judge."""

    where: str
    """The file and line, for messages."""
    text: str
    bare: bool
    """Whether `text` is an answer rather than a whole response."""
    gold: Any = None
    reference: dict[str, Any] | None = None
    """The reference that the verifier reads; None: it is made from `gold`, if the verifier reads references at all."""


@dataclass(frozen=True)
class NamedVerifier:
    """A verifier as the user wrote it on the command line."""

    verifier: Verifier
    name: str
    options: dict[str, Any]

    @property
    def label(self) -> str:
        """The name with the options that are words: "math (lenient)"."""
        words = [value for value in self.options.values() if isinstance(value, str)]
        return f"{self.name} ({', '.join(words)})" if words else self.name


def verifier_options(
    pairs: list[str] | None,
    *,
    mode: str | None = None,
    policy: list[str] | None = None,
    workers: int | None = None,
    timeout_s: float | None = None,
) -> dict[str, Any]:
    """Options for the constructor of a verifier: --option key=value, and the flags that stand for one. Raises
    UsageError.
    """
    flags: dict[str, Any] = {"mode": mode, "policy": key_values(policy, "--policy") if policy else None}
    flags |= {"workers": workers, "timeout_s": timeout_s}
    return {
        **{name: value for name, value in flags.items() if value is not None},
        **key_values(pairs or [], "--option"),
    }


def named_verifier(name: str, options: dict[str, Any], *, workers: int | None = None) -> NamedVerifier:
    """Load the named verifier. The user's options override those that the commands use.

    Args:
        workers: for a verifier with this option, unless `options` holds it.

    Raises:
        UsageError: it cannot be loaded, or its options do not fit.
        ReasonRLError: this machine lacks what it needs.
    """
    try:
        chosen = {**_command_options(name), **options}
        if workers is not None and "workers" in option_names(name):
            chosen.setdefault("workers", workers)
        if ":" not in name:
            return NamedVerifier(load_verifier(name, **chosen), name, chosen)
        verifier = call_user_code(
            f"the verifier {name!r} cannot be loaded",
            functools.partial(load_verifier, name, **chosen),
            error_class=UsageError,
            passes=(BadOption, UnknownVerifier),
        )
        for declared in (row_fields, answer_field, detail_fields):  # of the wrong form, they raise
            declared(verifier)
        return NamedVerifier(GuardedVerifier(verifier, f"the verifier {name!r}", UsageError), name, chosen)
    except UsageError:
        raise
    except SandboxUnavailable as error:
        raise ReasonRLError(f"the verifier {name!r}: {error}") from error
    except BadOption as error:
        raise UsageError(f"{error} (write --option NAME=VALUE)") from error
    except (TypeError, ValueError, VerifierError) as error:
        raise UsageError(str(error)) from error
    except (ImportError, SyntaxError) as error:
        raise UsageError(f"the verifier {name!r} cannot be imported: {error}") from error


def _command_options(name: str) -> dict[str, Any]:
    """The verifier's own, from the first import of its module."""
    if ":" not in name:
        return command_options(name)
    options: dict[str, Any] = call_user_code(
        f"the verifier {name!r} cannot be imported",
        command_options,
        name,
        error_class=UsageError,
        passes=(UnknownVerifier,),
    )
    return options


def judge(verifier: Verifier, items: Sequence[Item]) -> list[Verdict]:
    """One verdict for each item, in order. A gold answer that the verifier cannot use gives its row an ERROR.

    Raises:
        UsageError: the verifier has no method for bare answers or golds, or breaks its contract.
        ReasonRLError: its worker processes cannot be started.
    """
    verdicts: dict[int, Verdict] = {}
    references: dict[int, dict[str, Any]] = {}
    for i, item in enumerate(items):
        try:
            references[i] = _reference(verifier, item)
        except MissingMethod as error:
            raise UsageError(f"{item.where}: {error}") from error
        except ValueError as error:
            verdicts[i] = Verdict(None, None, Status.ERROR, None, "reference", str(error), 0.0)
    if row_fields(verifier):
        verdicts |= _unsound(verifier, references)
        references = {i: reference for i, reference in references.items() if i not in verdicts}
    for bare in (True, False):  # a missing method is noticed before the first response is judged
        rows = [i for i in references if items[i].bare is bare]
        if not rows:
            continue
        texts, row_references = [items[i].text for i in rows], [references[i] for i in rows]
        try:
            part = _judged(verifier, texts, row_references, bare=bare)
        except MissingMethod as error:
            raise UsageError(f"{items[rows[0]].where}: {error}") from error
        verdicts |= dict(zip(rows, part, strict=True))
    return [verdicts[i] for i in range(len(items))]


def _judged(
    verifier: Verifier, texts: list[str], references: list[dict[str, Any]], *, bare: bool = False
) -> list[Verdict]:
    """One verdict for each text. Raises MissingMethod, and what `judge` raises."""
    name = verifier.__class__.__name__
    try:
        part = verify_answers(verifier, texts, references) if bare else verifier.verify(texts, references)
    except MissingMethod:
        raise
    except PoolError as error:
        raise ReasonRLError(f"the verifier {name}: {error}") from error
    except VerifierError as error:
        raise UsageError(str(error)) from error
    if len(part) != len(texts) or not all(isinstance(verdict, Verdict) for verdict in part):
        raise UsageError(
            f"the verifier {name} must return one Verdict for each of {len(texts)} responses; it"
            f" returned {len(part)} objects{_wrong_type(part)}"
        )
    return part


def _unsound(verifier: Verifier, references: dict[int, dict[str, Any]]) -> dict[int, Verdict]:
    """An ERROR for each row whose reference holds a right response that the verifier rejects. Many rows may share a
    reference, whose response is judged once.
    """
    rows_of: dict[str, list[int]] = {}
    for i, reference in references.items():
        rows_of.setdefault(row_text(reference), []).append(i)
    golds: dict[str, str] = {}
    for key, rows in rows_of.items():
        # A reference that cannot be read says so in the verdicts of its rows.
        with contextlib.suppress(ValueError):
            golds[key] = verifier.gold_response(references[rows[0]])
    if not golds:
        return {}
    verdicts = _judged(verifier, list(golds.values()), [references[rows_of[key][0]] for key in golds])
    unsound: dict[int, Verdict] = {}
    for key, verdict in zip(golds, verdicts, strict=True):
        if verdict.correct is False:
            reason = f"the right response that the reference holds is judged wrong: {verdict.reason}"
            error = Verdict(None, None, Status.ERROR, None, "reference", reason, verdict.seconds)
            unsound |= dict.fromkeys(rows_of[key], error)
    return unsound


def _reference(verifier: Verifier, item: Item) -> dict[str, Any]:
    if item.reference is not None:
        return item.reference
    if item.gold is None and not reads_reference(verifier):
        return {}
    return reference_of(verifier, item.gold)


def _wrong_type(verdicts: Sequence[Any]) -> str:
    wrong = next((verdict for verdict in verdicts if not isinstance(verdict, Verdict)), None)
    return "" if wrong is None else f", one of them a {type(wrong).__name__}"
