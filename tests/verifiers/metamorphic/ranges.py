"""Intervals, inequalities and unions of them."""

from __future__ import annotations

from random import Random

from tests.verifiers.metamorphic.case import family

Range = tuple[int, int, bool, bool]


def _draw(rng: Random) -> Range:
    low, high = sorted(rng.sample(range(-20, 21), 2))
    return low, high, rng.random() < 0.5, rng.random() < 0.5


def _interval(r: Range) -> str:
    return f"{'[' if r[2] else '('}{r[0]}, {r[1]}{']' if r[3] else ')'}"


def _chain(r: Range) -> str:
    return f"{r[0]} {chr(92) + 'le' if r[2] else '<'} x {chr(92) + 'le' if r[3] else '<'} {r[1]}"


interval = family("interval", _draw, _interval, "math one interval")


@interval.keeps
def as_an_inequality(r: Range, rng: Random) -> str:
    return _chain(r)


@interval.keeps
def x_is_in_it(r: Range, rng: Random) -> str:
    return f"x \\in {_interval(r)}"


@interval.keeps
def as_a_set(r: Range, rng: Random) -> str:
    return f"\\{{x \\mid {_chain(r)}\\}}"


@interval.keeps
def unicode_signs(r: Range, rng: Random) -> str | None:
    return _chain(r).replace("\\le", "≤") if r[2] or r[3] else None


@interval.changes
def other_end(r: Range, rng: Random) -> str:
    return _interval(rng.choice([(r[0], r[1], not r[2], r[3]), (r[0], r[1], r[2], not r[3])]))


@interval.changes
def other_end_of_the_inequality(r: Range, rng: Random) -> str:
    return _chain(rng.choice([(r[0], r[1], not r[2], r[3]), (r[0], r[1], r[2], not r[3])]))


@interval.changes
def other_bound(r: Range, rng: Random) -> str:
    return _interval(rng.choice([(r[0] - 1, *r[1:]), (r[0], r[1] + 1, r[2], r[3]), (r[0] - 40, *r[1:])]))


@interval.changes
def half_of_it(r: Range, rng: Random) -> str:
    return rng.choice([f"x > {r[0]}", f"x < {r[1]}", f"({r[0]}, \\infty)"])


@interval.changes
def ends_alone(r: Range, rng: Random) -> str:
    return rng.choice([f"\\{{{r[0]}, {r[1]}\\}}", f"x = {r[0]}", f"{r[1]}"])


ray = family("inequality", lambda rng: rng.choice([n for n in range(-30, 31) if n]), "x > {}".format, "math one")


@ray.keeps
def from_the_other_side(n: int, rng: Random) -> str:
    return f"{n} < x"


@ray.keeps
def ray_as_an_interval(n: int, rng: Random) -> str:
    return rng.choice(["({}, \\infty)", "x \\in ({}, +\\infty)", "({}, ∞)", "\\left({}, \\infty\\right)"]).format(n)


@ray.keeps
def negated_sides(n: int, rng: Random) -> str:
    return f"-x < {-n}"


@ray.changes
def greater_or_equal(n: int, rng: Random) -> str:
    return rng.choice(["x \\ge {}", "x ≥ {}", "x \\geq {}", "[{}, \\infty)"]).format(n)


@ray.changes
def turned_round(n: int, rng: Random) -> str:
    return rng.choice(["x < {}", "{} > x", "x = {}", "x \\ne {}", "(-\\infty, {})", "{}"]).format(n)


@ray.changes
def bound_moved(n: int, rng: Random) -> str:
    return rng.choice([f"x > {n + 1}", f"x > {-n}", f"2x > {n}", f"({n - 1}, \\infty)"])


union = family("union", _draw, lambda r: f"(-\\infty, {r[0]}] \\cup [{r[1]}, \\infty)", "math one")


@union.keeps
def parts_in_the_other_order(r: Range, rng: Random) -> str:
    return f"[{r[1]}, \\infty) \\cup (-\\infty, {r[0]}]"


@union.keeps
def union_as_inequalities(r: Range, rng: Random) -> str:
    return f"x \\le {r[0]} \\text{{ or }} x \\ge {r[1]}"


@union.keeps
def union_in_unicode(r: Range, rng: Random) -> str:
    return f"(-∞, {r[0]}] ∪ [{r[1]}, ∞)"


@union.changes
def intersection(r: Range, rng: Random) -> str:
    return f"(-\\infty, {r[0]}] \\cap [{r[1]}, \\infty)"


@union.changes
def one_part_of_the_union(r: Range, rng: Random) -> str:
    return rng.choice([f"(-\\infty, {r[0]}]", f"[{r[1]}, \\infty)", f"[{r[0]}, {r[1]}]"])


@union.changes
def open_ends(r: Range, rng: Random) -> str:
    return rng.choice(["(-\\infty, {0}) \\cup [{1}, \\infty)", "(-\\infty, {0}] \\cup ({1}, \\infty)"]).format(*r)


@union.changes
def union_with_another_bound(r: Range, rng: Random) -> str:
    return f"(-\\infty, {r[0]}] \\cup [{r[1] + 1}, \\infty)"
