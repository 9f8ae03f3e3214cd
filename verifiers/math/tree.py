"""An expression as a tree of operations."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Node:
    """`op` with its arguments. Leaves: "number" with a Fraction in `value`, "symbol" and "apply" with a name there."""

    op: str
    args: tuple[Node, ...] = ()
    value: Fraction | str | None = None

    def symbols(self) -> frozenset[str]:
        """Names of the free symbols; constants (e, i, pi) are none."""
        names, stack = set(), [self]
        while stack:
            node = stack.pop()
            if node.op == "symbol":
                names.add(str(node.value))
            stack.extend(node.args)
        return frozenset(names)


def number(value: int | Fraction) -> Node:
    return Node("number", (), Fraction(value))


def depth_of(node: Node) -> int:
    """Levels of the tree. What evaluates it calls itself once a level."""
    depth, level = 0, [node]
    while level:
        depth += 1
        level = [argument for parent in level for argument in parent.args]
    return depth
