"""Propositions of intuitionistic logic with their proofs as terms of Lean, and a search that draws proofs at random.

A proposition is an atom, `False`, or an implication, conjunction or disjunction of propositions. Text is Lean's without
notation but the arrow, so that it elaborates without Lean's library: `And p q → And q p`. A proof is a lambda term
(Curry-Howard); hypotheses are h1, h2, ... by their depth, so two proofs with the same text are the same term.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

FALSE = "False"
_ARROW, _AND, _OR = "→", "And", "Or"


@dataclass(frozen=True, slots=True)
class Compound:
    """`→`, `And` or `Or` with its two sides."""

    connective: str
    left: Proposition
    right: Proposition


Proposition = str | Compound


def implies(left: Proposition, right: Proposition) -> Compound:
    return Compound(_ARROW, left, right)


def both(left: Proposition, right: Proposition) -> Compound:
    return Compound(_AND, left, right)


def either(left: Proposition, right: Proposition) -> Compound:
    return Compound(_OR, left, right)


def statement(proposition: Proposition) -> str:
    """Lean's text, with no more brackets than it needs: "And p (Or q r) → p"."""
    if isinstance(proposition, str):
        return proposition
    if proposition.connective == _ARROW:
        left = proposition.left
        bracket = isinstance(left, Compound) and left.connective == _ARROW
        return f"({statement(left)})" * bracket + statement(left) * (not bracket) + f" → {statement(proposition.right)}"
    return f"{proposition.connective} {_operand(proposition.left)} {_operand(proposition.right)}"


def _operand(proposition: Proposition) -> str:
    return proposition if isinstance(proposition, str) else f"({statement(proposition)})"


def atoms(proposition: Proposition) -> list[str]:
    """The different atoms in the order of the text, without False."""
    return list(dict.fromkeys(_leaves(proposition)))


def _leaves(proposition: Proposition) -> Iterator[str]:
    if isinstance(proposition, Compound):
        yield from _leaves(proposition.left)
        yield from _leaves(proposition.right)
    elif proposition != FALSE:
        yield proposition


def renamed(proposition: Proposition, names: Mapping[str, str]) -> Proposition:
    """With other atoms."""
    if isinstance(proposition, Compound):
        return Compound(proposition.connective, renamed(proposition.left, names), renamed(proposition.right, names))
    return names.get(proposition, proposition)


def draw_proposition(rng: random.Random, connectives: int, names: tuple[str, ...], false_share: float) -> Proposition:
    """A random proposition with so many connectives: half of them implications, and a leaf is False with
    `false_share`.
    """
    if connectives == 0:
        return FALSE if rng.random() < false_share else rng.choice(names)
    left = rng.randrange(connectives)
    connective = rng.choice((_ARROW, _ARROW, _AND, _OR))
    return Compound(
        connective,
        draw_proposition(rng, left, names, false_share),
        draw_proposition(rng, connectives - 1 - left, names, false_share),
    )


Way = tuple[str | Proposition, ...]
"""How something is had of a hypothesis: ".left" and ".right" are projections, a proposition is a premise to prove."""


@dataclass(frozen=True, slots=True)
class _Hypothesis:
    name: str
    proposition: Proposition


@dataclass(frozen=True, slots=True)
class _Move:
    """One way to go on with a goal: `introduce`, `pair`, `inl`, `inr`; or `use` and `cases` of a hypothesis, of which
    `end` is had.
    """

    kind: str
    hypothesis: int = 0
    way: Way = ()
    end: Proposition = FALSE


def draw_proof(proposition: Proposition, rng: random.Random, *, depth: int = 7, budget: int = 300) -> str | None:
    """A proof drawn at random, as a term of Lean. None where none is found within `depth` nested goals and `budget`
    goals in all: then there may be none.
    """
    return _Search(rng, budget).prove(proposition, (), 1, depth)


class _Search:
    """One search, goal by goal. `budget`: goals that may still be opened."""

    def __init__(self, rng: random.Random, budget: int) -> None:
        self.rng, self.budget = rng, budget

    def prove(self, goal: Proposition, hypotheses: tuple[_Hypothesis, ...], level: int, depth: int) -> str | None:
        """`level`: the number of the next hypothesis."""
        self.budget -= 1
        if depth < 0 or self.budget < 0:
            return None
        moves = list(_moves(goal, hypotheses))
        self.rng.shuffle(moves)
        if self.rng.random() < 0.8:  # else proofs grow without need
            moves.sort(key=lambda move: (move.kind != "use", len(move.way) if move.kind == "use" else 0))
        for move in moves:
            term = self.term(move, goal, hypotheses, level, depth - 1)
            if term is not None:
                return term
        return None

    def term(
        self, move: _Move, goal: Proposition, hypotheses: tuple[_Hypothesis, ...], level: int, depth: int
    ) -> str | None:
        if move.kind in ("use", "cases"):
            return self.elimination(move, goal, hypotheses, level, depth)
        assert isinstance(goal, Compound)
        if move.kind == "introduce":
            return self.function(goal.left, goal.right, hypotheses, level, depth)
        if move.kind == "pair":
            return self.application("And.intro", (goal.left, goal.right), hypotheses, level, depth)
        side, name = (goal.left, "Or.inl") if move.kind == "inl" else (goal.right, "Or.inr")
        return self.application(name, (side,), hypotheses, level, depth)

    def elimination(
        self, move: _Move, goal: Proposition, hypotheses: tuple[_Hypothesis, ...], level: int, depth: int
    ) -> str | None:
        source = hypotheses[move.hypothesis]
        term = source.name
        for step in move.way:
            if isinstance(step, str) and step.startswith("."):
                term = f"{_argument(term)}{step}"
                continue
            premise = self.prove(step, hypotheses, level, depth)
            if premise is None:
                return None
            term = f"{term} {_argument(premise)}"
        if move.kind == "use":
            return term
        if move.end == FALSE:
            return f"False.elim {_argument(term)}"
        assert isinstance(move.end, Compound)
        remaining = tuple(hypothesis for hypothesis in hypotheses if hypothesis is not source)
        branches = []
        for side in (move.end.left, move.end.right):
            branch = self.function(side, goal, remaining, level, depth)
            if branch is None:
                return None
            branches.append(f"({branch})")
        return f"Or.elim {_argument(term)} {' '.join(branches)}"

    def function(
        self, premise: Proposition, goal: Proposition, hypotheses: tuple[_Hypothesis, ...], level: int, depth: int
    ) -> str | None:
        name = f"h{level}"
        body = self.prove(goal, (*hypotheses, _Hypothesis(name, premise)), level + 1, depth)
        return None if body is None else f"fun {name} => {body}"

    def application(
        self, name: str, goals: tuple[Proposition, ...], hypotheses: tuple[_Hypothesis, ...], level: int, depth: int
    ) -> str | None:
        term = name
        for goal in goals:
            argument = self.prove(goal, hypotheses, level, depth)
            if argument is None:
                return None
            term = f"{term} {_argument(argument)}"
        return term


def _argument(term: str) -> str:
    return f"({term})" if " " in term else term


def _moves(goal: Proposition, hypotheses: tuple[_Hypothesis, ...]) -> Iterator[_Move]:
    for index, hypothesis in enumerate(hypotheses):
        for end, way in _ends(hypothesis.proposition):
            if end == goal:
                yield _Move("use", index, way)
            elif end == FALSE or (isinstance(end, Compound) and end.connective == _OR):
                yield _Move("cases", index, way, end)
    if isinstance(goal, Compound):
        if goal.connective == _ARROW:
            yield _Move("introduce")
        elif goal.connective == _AND:
            yield _Move("pair")
        else:
            yield from (_Move("inl"), _Move("inr"))


def _ends(proposition: Proposition) -> Iterator[tuple[Proposition, Way]]:
    """What can be had of a hypothesis by projections and applications, with the way there."""
    yield proposition, ()
    if isinstance(proposition, Compound) and proposition.connective == _ARROW:
        for end, way in _ends(proposition.right):
            yield end, (proposition.left, *way)
    elif isinstance(proposition, Compound) and proposition.connective == _AND:
        for side, name in ((proposition.left, ".left"), (proposition.right, ".right")):
            for end, way in _ends(side):
                yield end, (name, *way)


_CHANGEABLE = re.compile(r"\bh\d+\b|\.left\b|\.right\b|\bOr\.inl\b|\bOr\.inr\b")
_EXCHANGED = {".left": ".right", ".right": ".left", "Or.inl": "Or.inr", "Or.inr": "Or.inl"}


def with_a_mistake(proof: str, rng: random.Random) -> str:
    """The proof with one word changed: another hypothesis, projection or side. By chance it can still be a proof."""
    places = [match for match in _CHANGEABLE.finditer(proof) if not proof[: match.start()].endswith("fun ")]
    names = re.findall(r"fun (h\d+)", proof)
    choices = [
        (match, word)
        for match in places
        for word in ([_EXCHANGED[match.group()]] if match.group() in _EXCHANGED else names)
        if word != match.group()
    ]
    if not choices:
        return proof
    match, word = rng.choice(choices)
    return f"{proof[: match.start()]}{word}{proof[match.end() :]}"
