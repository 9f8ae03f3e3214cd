"""Shared by `verify` and `audit`: loads the verifier that the user names, and judges rows with it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reasonrl.commands.output import key_values
from reasonrl.errors import ReasonRLError, UsageError
from reasonrl.rewards.guarded import GuardedVerifier
from reasonrl.user_code import call_user_code
from verifiers.errors import BadOption, MissingMethod, PoolError, UnknownVerifier, VerifierError
from verifiers.loading import command_options, load_verifier, option_names
from verifiers.optional import reads_reference, reference_of, verify_answers
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

    Raises UsageError: it cannot be loaded, or its options do not fit.
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
        return NamedVerifier(GuardedVerifier(verifier, f"the verifier {name!r}", UsageError), name, chosen)
    except UsageError:
        raise
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
    for bare in (True, False):  # a missing method is noticed before the first response is judged
        rows = [i for i in references if items[i].bare is bare]
        if not rows:
            continue
        texts, row_references = [items[i].text for i in rows], [references[i] for i in rows]
        try:
            part = verify_answers(verifier, texts, row_references) if bare else verifier.verify(texts, row_references)
        except MissingMethod as error:
            raise UsageError(f"{items[rows[0]].where}: {error}") from error
        except PoolError as error:
            raise ReasonRLError(f"the verifier {verifier.__class__.__name__}: {error}") from error
        except VerifierError as error:
            raise UsageError(str(error)) from error
        if len(part) != len(rows) or not all(isinstance(verdict, Verdict) for verdict in part):
            name = verifier.__class__.__name__
            raise UsageError(
                f"the verifier {name} must return one Verdict for each of {len(rows)} responses; it"
                f" returned {len(part)} objects{_wrong_type(part)}"
            )
        verdicts |= dict(zip(rows, part, strict=True))
    return [verdicts[i] for i in range(len(items))]


def _reference(verifier: Verifier, item: Item) -> dict[str, Any]:
    if item.reference is not None:
        return item.reference
    if item.gold is None and not reads_reference(verifier):
        return {}
    return reference_of(verifier, item.gold)


def _wrong_type(verdicts: Sequence[Any]) -> str:
    wrong = next((verdict for verdict in verdicts if not isinstance(verdict, Verdict)), None)
    return "" if wrong is None else f", one of them a {type(wrong).__name__}"
