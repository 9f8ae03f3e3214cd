"""When are two proofs the same term? Two texts are one proof if they differ in the names of bound variables, spacing
and brackets alone.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r"fun\b|=>|[()]|\.(?:left|right|1|2)\b|[A-Za-z_][\w']*(?:\.[a-z]+\b(?<!\.left)(?<!\.right))?")


def normal_form(proof: str) -> str:
    """One text for all forms of a term of functions, applications and projections: variables by the number of binders
    between them and their own. What is no such term is its own form, with single spaces.
    """
    tokens = _TOKEN.findall(proof)
    if "".join(tokens) != "".join(proof.split()):
        return " ".join(proof.split())
    reader = _Reader(tokens)
    try:
        form = reader.term([])
    except IndexError:  # ends too early
        return " ".join(proof.split())
    return form if reader.at_end else " ".join(proof.split())


class _Reader:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._place = tokens, 0

    @property
    def at_end(self) -> bool:
        return self._place == len(self._tokens)

    def term(self, bound: list[str]) -> str:
        if self._next == "fun":
            names = []
            self._place += 1
            while self._tokens[self._place] != "=>":
                names.append(self._take())
            self._place += 1
            return "λ" * len(names) + self.term([*bound, *names])
        parts = [self._argument(bound)]
        while not self.at_end and self._next != ")":
            parts.append(self.term(bound) if self._next == "fun" else self._argument(bound))
        return parts[0] if len(parts) == 1 else f"({' '.join(parts)})"

    def _argument(self, bound: list[str]) -> str:
        token = self._take()
        if token == "(":
            form = self.term(bound)
            if self._take() != ")":
                raise IndexError("a bracket is not closed")
        else:
            form = f"#{len(bound) - 1 - _last(bound, token)}" if token in bound else token
        while not self.at_end and self._next.startswith("."):
            form += self._take()
        return form

    @property
    def _next(self) -> str:
        return self._tokens[self._place]

    def _take(self) -> str:
        self._place += 1
        return self._tokens[self._place - 1]


def _last(bound: list[str], name: str) -> int:
    return len(bound) - 1 - bound[::-1].index(name)
