"""Reads an expression, LaTeX or plain, into a tree. Nothing is evaluated here and nothing is ever executed.

The grammar is that of written answers: implied products (2xy), mixed numbers (1\\frac12, 1 1/2), functions without
brackets (\\sin 2x), powers of functions (\\sin^2 x, \\sin^{-1} x), absolute values, floors, roots, factorials,
binomials, degrees, percent, subscripts as part of a name (x_1), and f(x) as an unknown function of x. Reading is linear
in the text, and nesting is limited: `Unreadable` says where it stopped.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NoReturn

from verifiers.math.tokens import Unreadable, is_digits, tokens_of
from verifiers.math.tree import Node, depth_of, number
from verifiers.math.vocabulary import (
    BEGINNINGS,
    FUNCTIONS,
    GREEK,
    INVERSES,
    OPENING,
    PRODUCT,
    QUOTIENT,
    ROUNDING,
    UNKNOWN_FUNCTIONS,
)

MAX_CHARS = 12_000
MAX_DEPTH = 40
"""Nested brackets. The reader goes some ten frames deeper for each."""
MAX_NUMBER = 2000
"""Digits of one number; beyond, Python's own reading would be slow."""


def read_expression(text: str, *, max_chars: int = MAX_CHARS, max_depth: int = MAX_DEPTH) -> Node:
    """The tree of an expression. Raises Unreadable."""
    if len(text) > max_chars:
        raise Unreadable(f"an expression of {len(text)} characters (at most {max_chars} are read)")
    node = _Reader(text, max_depth).whole()
    if (depth := depth_of(node)) > 2 * max_depth:
        raise Unreadable(f"operations nested {depth} deep")
    return node


def _mixed(whole: Node, top: Node, bottom: Node) -> Node:
    return Node("+", (whole, Node("/", (top, bottom))))


class _Reader:
    def __init__(self, text: str, max_depth: int) -> None:
        self.tokens, self.spaced = tokens_of(text)
        self.position = 0
        self.depth = 0
        self.max_depth = max_depth
        self.bars = 0

    # ----------------------------------------------------------------------------------------------------------- tokens

    def peek(self, ahead: int = 0) -> str:
        """The token at the reading position or `ahead` of it, which stays; empty past the end."""
        place = self.position + ahead
        return self.tokens[place] if place < len(self.tokens) else ""

    def advance(self) -> str:
        """The token at the reading position, which moves past it."""
        token = self.peek()
        self.position += 1
        return token

    def expect(self, token: str) -> None:
        if self.advance() != token:
            raise Unreadable(f"'{token}' is missing")

    def stop(self, why: str = "") -> NoReturn:
        token = self.peek()
        raise Unreadable(why or (f"'{token[:20]}' in an unexpected place" if token else "it ends too early"))

    # ---------------------------------------------------------------------------------------------------------- grammar

    def whole(self) -> Node:
        if not self.tokens:
            raise Unreadable("it is empty")
        node = self.halved()
        if self.position < len(self.tokens):
            self.stop()
        return node

    def halved(self) -> Node:
        """A sum, or two of them as TeX itself writes a fraction and a binomial: a \\over b, n \\choose k."""
        node = self.sum()
        if self.peek() in ("\\over", "\\choose"):
            return Node("/" if self.advance() == "\\over" else "binomial", (node, self.sum()))
        return node

    def sum(self) -> Node:
        parts = []
        sign = 1
        while self.peek() in ("+", "-"):
            sign = -sign if self.advance() == "-" else sign
        parts.append(self.signed(self.product(), sign))
        while self.peek() in ("+", "-"):
            sign = 1
            while self.peek() in ("+", "-"):
                sign = -sign if self.advance() == "-" else sign
            parts.append(self.signed(self.product(), sign))
        return parts[0] if len(parts) == 1 else Node("+", tuple(parts))

    @staticmethod
    def signed(node: Node, sign: int) -> Node:
        return node if sign > 0 else Node("neg", (node,))

    def product(self) -> Node:
        factors = [self.factor()]
        while True:
            token = self.peek()
            if token in PRODUCT:
                self.advance()
                factors.append(self.signed_factor())
            elif token in QUOTIENT:
                self.advance()
                factors.append(Node("inverse", (self.signed_factor(),)))
            elif self.begins_factor(token):
                factors.append(self.factor())
            else:
                return factors[0] if len(factors) == 1 else Node("*", tuple(factors))

    def signed_factor(self) -> Node:
        sign = 1
        while self.peek() in ("+", "-"):
            sign = -sign if self.advance() == "-" else sign
        return self.signed(self.factor(), sign)

    def begins_factor(self, token: str) -> bool:
        if not token or token in PRODUCT or token in QUOTIENT:
            return False
        if token == "|":
            return self.bars == 0
        return (
            is_digits(token[0])
            or token[0] == "."
            or (token.isalpha() and token.isascii())
            or token in OPENING
            or token in ROUNDING
            or (token[0] == "\\" and (token[1:] in FUNCTIONS or token[1:] in GREEK or token in BEGINNINGS))
        )  # fmt: skip

    def factor(self) -> Node:
        """A base with everything that follows it: powers, factorials, degrees, percent."""
        token = self.peek()
        name = token.removeprefix("\\")
        if name in FUNCTIONS and (token[0] == "\\" or len(token) > 1):
            return self.postfix(self.function(FUNCTIONS[name]))
        return self.postfix(self.base())

    def postfix(self, node: Node) -> Node:
        while True:
            token = self.peek()
            if token in ("^", "**"):
                self.advance()
                node = Node("degrees", (node,)) if self.degree_sign() else Node("^", (node, self.exponent()))
            elif token == "!":
                self.advance()
                node = Node("factorial", (node,))
            elif token in ("%", "\\%"):
                self.advance()
                node = Node("/", (node, number(100)))
            elif token in ("\\degree", "\\circ"):
                self.advance()
                node = Node("degrees", (node,))
            else:
                return node

    def degree_sign(self) -> bool:
        if self.peek() in ("\\circ", "\\degree"):
            self.advance()
            return True
        if self.peek() == "{" and self.peek(1) in ("\\circ", "\\degree") and self.peek(2) == "}":
            self.position += 3
            return True
        return False

    def exponent(self) -> Node:
        sign = 1
        while self.peek() in ("+", "-"):
            sign = -sign if self.advance() == "-" else sign
        node = self.base()
        if self.peek() in ("^", "**"):  # 2^3^2 is 2^(3^2)
            self.advance()
            self.enter()
            node = Node("^", (node, self.exponent()))
            self.depth -= 1
        return self.signed(node, sign)

    def base(self) -> Node:
        token = self.peek()
        if not token:
            self.stop()
        if is_digits(token[0]) or (token[0] == "." and len(token) > 1):
            return self.number()
        if token in OPENING:
            return self.group()
        if token == "|" or token in ROUNDING:
            return self.between()
        if token == "\\frac":
            self.advance()
            return Node("/", (self.argument(), self.argument()))
        if token == "\\binom":
            self.advance()
            return Node("binomial", (self.argument(), self.argument()))
        if token in ("\\mathrm", "\\operatorname"):
            self.advance()
            return self.argument()
        if token in ("\\pi", "pi"):
            self.advance()
            return Node("pi")
        if token in ("\\infty",):
            self.advance()
            return Node("infinity")
        if token.isascii() and (token.isalpha() or (token[0] == "\\" and token[1:] in GREEK)):
            return self.symbol()
        self.stop()

    def number(self) -> Node:
        token = self.advance()
        if len(token) > MAX_NUMBER:
            raise Unreadable(f"a number of {len(token)} digits")
        node = number(Fraction(token))
        if is_digits(token):
            place = self.position
            if self.peek() == "\\frac":  # 1\frac12
                self.advance()
                top, bottom = self.argument(), self.argument()
                if top.op == bottom.op == "number":
                    return _mixed(node, top, bottom)
                self.position = place
            elif (
                is_digits(self.peek())
                and self.position < len(self.spaced)
                and self.spaced[self.position]
                and self.peek(1) == "/"
                and is_digits(self.peek(2))
            ):
                parts = number(int(self.peek())), number(int(self.peek(2)))
                self.position += 3
                return _mixed(node, *parts)
        return node

    def symbol(self) -> Node:
        name = self.advance().removeprefix("\\")
        if name == "e":
            return Node("e")
        subscript = self.subscript() if self.peek() == "_" else ""
        while self.peek() in ("'", "\\prime"):
            subscript += "'"
            self.advance()
        if name in ("i",) and not subscript:
            return Node("i")
        if name == "Gamma" and not subscript and self.peek() == "(":
            return Node("factorial", (Node("+", (self.group(), number(-1))),))
        full = name + ("_" + subscript if subscript else "")
        if full == "C" and self.peek() == "(" and self.peek(2) == "," and self.peek(4) == ")":  # C(10, 3)
            return Node("binomial", self.listed())
        if name in UNKNOWN_FUNCTIONS and self.peek() == "(":
            return Node("apply", self.listed(), full)
        return Node("symbol", (), full)

    def subscript(self) -> str:
        self.advance()
        if self.peek() != "{":
            return self.advance()
        depth = 0
        written: list[str] = []
        while True:
            token = self.advance()
            if not token:
                raise Unreadable("a subscript is not closed")
            depth += (token == "{") - (token == "}")
            if depth == 0:
                return "".join(written)
            if token not in ("{", "}"):
                written.append(token)

    def enter(self) -> None:
        """One level deeper. Raises Unreadable beyond `max_depth`."""
        self.depth += 1
        if self.depth > self.max_depth:
            raise Unreadable(f"more than {self.max_depth} nested brackets")

    def group(self) -> Node:
        opening = self.advance()
        self.enter()
        bars, self.bars = self.bars, 0
        node = self.halved()
        self.bars = bars
        self.depth -= 1
        self.expect(OPENING[opening])
        return node

    def listed(self) -> tuple[Node, ...]:
        """Arguments in brackets, parted by commas."""
        closing = OPENING[self.advance()]
        self.enter()
        bars, self.bars = self.bars, 0
        arguments = [self.sum()]
        while self.peek() == ",":
            self.advance()
            arguments.append(self.sum())
        self.bars = bars
        self.depth -= 1
        self.expect(closing)
        return tuple(arguments)

    def between(self) -> Node:
        """|x|, floors and ceilings."""
        opening = self.advance()
        closing, op = ROUNDING.get(opening, ("|", "abs"))
        self.enter()
        self.bars += closing == "|"
        node = self.sum()
        self.bars -= closing == "|"
        self.depth -= 1
        self.expect(closing)
        return Node(op, (node,))

    def argument(self) -> Node:
        """What LaTeX takes as an argument: a group, or one digit, letter or command."""
        token = self.peek()
        if token == "{":
            return self.group()
        if is_digits(token[:1]) and len(token) > 1:  # \frac12
            self.tokens[self.position] = token[1:]
            return number(int(token[0]))
        self.enter()
        node = self.base()
        self.depth -= 1
        return node

    def function(self, op: str) -> Node:
        self.advance()
        if op == "sqrt":
            return self.root()
        if op == "cbrt":
            return Node("root", (self.operand(), number(3)))
        base: Node | None = None
        power: Node | None = None
        while self.peek() in ("_", "^", "**"):
            if self.advance() == "_":
                base = self.argument()
            else:
                power = self.exponent()
        if power is not None and power == Node("neg", (number(1),)) and op in INVERSES:
            op, power = INVERSES[op], None
        if self.peek() in ("(", "\\{") and op in ("max", "min", "gcd", "lcm"):
            return Node(op, self.listed())
        argument = self.operand()
        if op == "log" and base is not None:
            node = Node("/", (Node("ln", (argument,)), Node("ln", (base,))))
        elif base is not None:
            self.stop(f"a subscript of {op}")
        else:
            node = Node(op, (argument,))
        return node if power is None else Node("^", (node, power))

    def root(self) -> Node:
        degree: Node = number(2)
        if self.peek() == "[":
            self.advance()
            degree = self.sum()
            self.expect("]")
        node = self.group() if self.peek() == "(" else self.argument()
        return Node("root", (node, degree))

    def operand(self) -> Node:
        """What a function without brackets takes: factors up to the next sign, written operator or function."""
        if self.peek() in ("+", "-"):
            sign = -1 if self.advance() == "-" else 1
            return self.signed(self.operand(), sign)
        self.enter()
        bracketed = self.peek() in OPENING
        node = self.factor()
        while not bracketed and self.begins_factor(self.peek()):
            token = self.peek()
            name = token.removeprefix("\\")
            if name in FUNCTIONS and name != "sqrt" and (token[0] == "\\" or len(token) > 1):
                break
            node = Node("*", (node, self.factor()))
        if self.peek() == "/" and not bracketed and is_digits(self.peek(1)):  # sin x/2
            self.advance()
            node = Node("/", (node, self.factor()))
        self.depth -= 1
        return node
