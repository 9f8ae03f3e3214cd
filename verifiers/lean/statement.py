"""Reads the statement of a problem, and writes the module that states it by itself.

The challenge declares the theorem once more under a name that no candidate knows, proved by `sorry`. So its type is
what Lean makes of the problem's own text in the problem's own header: with `variable`s, universes and implicit
arguments as for any theorem. The check asks for a term of exactly that type; the challenge's `sorry` is not in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from verifiers.errors import BadReference
from verifiers.lean.commands import SCOPE, THEOREMS, Command, commands
from verifiers.lean.tokens import Kind, Token, depths, tokens
from verifiers.lean.types import Statement

_BINDS = frozenset(["let", "have", "letI", "haveI", "let_fun"])
"""Words within a type that a := belongs to."""
_ENDINGS = {"": ":=", "by": "by", "sorry": ":=", "by sorry": "by"}
"""What may follow the last := of a statement, and which kind of proof it asks for."""
ROOT = "_root_."


def read_statement(text: str, header: str = "", name: str = "") -> Statement:
    """The theorem in a problem's text.

    Args:
        text: ends in `:= by`, `:= sorry`, `:= by sorry`, `:=` or with the type; what it needs may stand before it.
        header: imports, `open`, `set_option` and definitions, as data sets hold them apart.
        name: which theorem, where the text has several; the last one by default.

    Raises:
        BadReference: there is no theorem with a name, or something follows its statement.
    """
    whole = f"{header.rstrip()}\n\n{text.strip()}\n" if header.strip() else f"{text.strip()}\n"
    sequence = commands(whole)
    place, theorem = _theorem(sequence, name)
    _check_end(sequence[place + 1 :], theorem)
    keyword, title = theorem
    command = sequence[place]
    before = command.text[: keyword.start - command.start]
    words = [token.text for token in command.code if token.start < keyword.start]
    if "private" in words:
        raise BadReference(f"the theorem {title.text} is private; leave the word out")
    signature, wants = _signature(command, title)
    earlier = sequence[:place]
    scope = [each for each in earlier if each.keyword in SCOPE or each.is_local]
    declares = any(each.is_declaration for each in earlier)
    return Statement(
        imports=_imports(earlier),
        setting="".join(each.text for each in earlier if not each.is_import) if declares else "",
        scope="".join(_lines(each.text) for each in scope),
        before=before,
        keyword=keyword.text,
        written_name=title.text,
        name=_full_name(scope, title.text),
        signature=signature,
        wants=wants,
    )


def hypotheses(statement: Statement) -> list[str]:
    """The names in the statement's binders that nothing else in it speaks of: of a variable its type or the conclusion
    says something, of a hypothesis seldom.
    """
    sequence = [token for token in tokens(statement.signature) if token.is_code]
    words = [part for token in sequence if token.kind is Kind.WORD for part in (token.text, token.text.split(".")[0])]
    names = []
    place = 0
    while place < len(sequence) and sequence[place].text in ("(", "{", "⦃"):
        place += 1
        while place < len(sequence) and sequence[place].kind is Kind.WORD:
            names.append(sequence[place].text)
            place += 1
        depth = 1
        while place < len(sequence) and depth:
            depth += {"(": 1, "{": 1, "⦃": 1, "[": 1, ")": -1, "}": -1, "⦄": -1, "]": -1}.get(sequence[place].text, 0)
            place += 1
    return [name for name in names if words.count(name) == 2]  # once as a word, once as the first part of itself


def without_conclusion(statement: Statement) -> Statement:
    """The same hypotheses with `False` as what follows from them."""
    colon = next(
        (token for token, depth in depths(tokens(statement.signature)) if depth == 0 and token.text == ":"), None
    )
    binders = statement.signature[: colon.start] if colon else statement.signature
    return replace(statement, signature=f"{binders.rstrip()} : False")


def challenge_name(statement: Statement, nonce: str) -> str:
    """From the root; in the same namespace as the theorem, so that names in its type mean the same."""
    return _renamed(statement.name, nonce)


def challenge_text(statement: Statement, nonce: str) -> str:
    """The trusted module that states the problem, without its imports.

    Its last line fails if the theorem's name is taken already: then no candidate could use it.
    """
    chain = re.search(r"\bin\b(?!.*\bin\b)", _without_comments(statement.before), re.DOTALL)
    opened = _without_comments(statement.before)[: chain.end()] + "\n" if chain else ""
    return (
        f"{statement.scope}\n{opened}theorem {_renamed(statement.written_name, nonce)}{statement.signature.rstrip()} :="
        f" sorry\n#check_failure @{ROOT}{statement.name}\n"
    )


def check_name(nonce: str) -> str:
    return f"ReasonRLCheck.ok_{nonce}"


def check_text(statement: Statement, nonce: str, check_nonce: str) -> str:
    """The trusted module that compares, without its imports: the theorem by its name from the root has the challenge's
    type; then what it assumes.
    """
    theorem = check_name(check_nonce)
    return (
        f"theorem {theorem} : type_of% @{ROOT}{challenge_name(statement, nonce)} := @{ROOT}{statement.name}\n"
        f"#print axioms {theorem}\n"
    )


def _renamed(name: str, nonce: str) -> str:
    parts = re.findall(r"«[^»]*»|[^.«»]+", name)
    return ".".join([*parts[:-1], f"challenge_{nonce}"])


def _theorem(sequence: Sequence[Command], name: str) -> tuple[int, tuple[Token, Token]]:
    """The place of the theorem, its keyword and its name."""
    for place in reversed(range(len(sequence))):
        pair = declared(sequence[place], THEOREMS)
        if pair and (not name or pair[1].text == name):
            return place, pair
    if name:
        raise BadReference(f"the statement has no theorem named {name!r}")
    raise BadReference("the statement has no theorem with a name; write `theorem NAME ... : ... := by`")


def declared(command: Command, keywords: frozenset[str]) -> tuple[Token, Token] | None:
    """The keyword and the name that a command declares; None if it declares none with these keywords."""
    for token, following in zip(command.code, command.code[1:], strict=False):
        if token.kind is Kind.WORD and token.text in keywords:
            return (token, following) if following.kind is Kind.WORD and following.text != "" else None
    return None


def _check_end(later: Sequence[Command], theorem: tuple[Token, Token]) -> None:
    for command in later:
        if command.code and command.keyword != "end":
            raise BadReference(f"`{command.keyword}` follows the theorem {theorem[1].text}; the statement must be last")


def _signature(command: Command, title: Token) -> tuple[str, str]:
    """What stands between the name and the proof, and which kind of proof the statement asks for."""
    following = [(token, depth) for token, depth in depths(list(command.code)) if token.start >= title.end]
    if any(token.text == "sorry" and token.kind is Kind.WORD for token, depth in following if depth):
        raise BadReference("the statement has a `sorry` within its type")
    bound = 0
    ends: list[Token] = []
    for token, depth in following:
        if depth:
            continue
        if token.kind is Kind.WORD and token.text in _BINDS:
            bound += 1
        elif token.text == ":=" and bound:
            bound -= 1
        elif token.text == ":=":
            ends.append(token)
    source_end = command.start + len(command.text)
    if not ends:
        if any(token.text == "sorry" for token, _ in following):
            raise BadReference("the statement has a `sorry` within its type")
        return _between(command, title.end, source_end), ""
    end = ends[-1]
    remainder = " ".join(token.text for token, _ in following if token.start >= end.end)
    if remainder not in _ENDINGS:
        raise BadReference(
            f"the statement of {title.text} goes on after its := ({remainder[:40]!r}); write it with `:= by` or"
            ' `:= sorry` at the end, and a proof that is known as "proof"'
        )
    return _between(command, title.end, end.start), _ENDINGS[remainder]


def _between(command: Command, start: int, end: int) -> str:
    """The source between two offsets, without comments behind the last word of code."""
    last = max((token.end for token in command.code if start <= token.start < end), default=start)
    return command.text[start - command.start : last - command.start]


def _imports(earlier: Sequence[Command]) -> tuple[str, ...]:
    names: list[str] = []
    for command in earlier:
        words = [token.text for token in command.code if token.kind is Kind.WORD]
        if command.keyword == "module":
            raise BadReference("the header begins with `module`; write one without it")
        if command.keyword == "import":
            names += words[1:]
    return tuple(dict.fromkeys(names))


def _full_name(scope: Sequence[Command], written: str) -> str:
    if written.startswith(ROOT):
        return written.removeprefix(ROOT)
    opened: list[str] = []
    for command in scope:
        words = [token.text for token in command.code if token.kind is Kind.WORD]
        if "namespace" in words[:1]:
            opened.append(words[1] if len(words) > 1 else "")
        elif "section" in words:
            opened.append("")
        elif words[:1] == ["end"] and opened:
            opened.pop()
    return ".".join([*filter(None, opened), written])


def _lines(text: str) -> str:
    return f"{text.rstrip()}\n"


def _without_comments(text: str) -> str:
    code = [token.text for command in commands(text) for token in command.code]
    return " ".join(code)
