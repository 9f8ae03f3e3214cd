"""Parameters of a request of the viewer's pages. Each mistake is one UsageError with the parameter in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from reasonrl.errors import UsageError


def refuse_unknown(query: Mapping[str, str], known: Collection[str]) -> None:
    unknown = [name for name in query if name not in known]
    if unknown:
        raise UsageError(f"unknown parameter {unknown[0][:40]!r}: known are {', '.join(known)}")


def whole_number(query: Mapping[str, str], name: str, default: int, largest: int) -> int:
    text = query.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= largest):
        raise UsageError(f"{name}={text[:40]!r}: write a whole number from 0 to {largest}")
    return int(text)


def one_of(query: Mapping[str, str], name: str, choices: Collection[str]) -> str | None:
    """None where the parameter is absent or empty."""
    text = query.get(name) or None
    if text is not None and text not in choices:
        raise UsageError(f"{name}={text[:40]!r}: write one of {', '.join(choices)}")
    return text


def known_version(query: Mapping[str, str]) -> int | None:
    """`have`: the version of an answer that the page has already. What is no version is none."""
    text = query.get("have", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None
