"""Answers whose parts stand in a relation: points, factors and exponents, directions, spans, places in an order."""

from __future__ import annotations

from random import Random

from tests.verifiers.metamorphic.case import distinct, family

Four = list[int]
PRIMES = (2, 3, 5, 7, 11)
OPPOSITES = (
    ("{} km north", "{} km south"),
    ("an increase of {}", "a decrease of {}"),
    ("{} dollars profit", "{} dollars loss"),
    ("{} units to the left", "{} units to the right"),
    ("{} meters above", "{} meters below"),
    ("{} percent more", "{} percent less"),
)

direction = family(
    "direction", lambda rng: (rng.randint(2, 90), *rng.choice(OPPOSITES)), lambda d: d[1].format(d[0]), "prose"
)


@direction.keeps
def direction_as_text(d: tuple[int, str, str], rng: Random) -> str:
    return f"\\text{{{d[1].format(d[0])}}}"


@direction.changes
def opposite_direction(d: tuple[int, str, str], rng: Random) -> str:
    return d[2].format(d[0])


@direction.changes
def another_distance(d: tuple[int, str, str], rng: Random) -> str:
    return d[1].format(d[0] + 1)


points = family(
    "two points", lambda rng: distinct(rng, 4, 1, 30), lambda c: "({}, {}) and ({}, {})".format(*c), "prose"
)


@points.keeps
def points_in_the_other_order(c: Four, rng: Random) -> str:
    return rng.choice(["({2}, {3}) and ({0}, {1})", "({2}, {3}), ({0}, {1})", "\\{{({0},{1}), ({2},{3})\\}}"]).format(
        *c
    )


@points.changes
def coordinates_exchanged(c: Four, rng: Random) -> str:
    form = [
        "({0}, {3}) and ({2}, {1})",
        "({1}, {0}) and ({2}, {3})",
        "({0}, {1}), ({3}, {2})",
        "({1}, {0}), ({3}, {2})",
    ]
    return rng.choice(form).format(*c)


@points.changes
def one_point_of_two(c: Four, rng: Random) -> str:
    return rng.choice(["({}, {})", "({2}, {3})", "({}, {}, {}, {})"]).format(*c)


named_points = family(
    "named points", lambda rng: distinct(rng, 4, 1, 30), lambda c: "A({}, {}), B({}, {})".format(*c), "prose"
)


@named_points.keeps
def named_points_in_another_spelling(c: Four, rng: Random) -> str:
    form = ["A = ({}, {}), B = ({}, {})", "B({2}, {3}), A({0}, {1})", "A({}, {}) and B({}, {})", "A({},{}); B({},{})"]
    return rng.choice(form).format(*c)


@named_points.changes
def names_of_the_points_swapped(c: Four, rng: Random) -> str:
    form = ["A({2}, {3}), B({0}, {1})", "B({0}, {1}), A({2}, {3})", "A = ({2}, {3}), B = ({0}, {1})"]
    return rng.choice(form).format(*c)


@named_points.changes
def coordinates_of_a_named_point_swapped(c: Four, rng: Random) -> str:
    return rng.choice(["A({1}, {0}), B({2}, {3})", "A({0}, {1}), B({2}, {2})", "A({0}, {3}), B({2}, {1})"]).format(*c)


factors = family(
    "factorisation",
    lambda rng: [*rng.sample(PRIMES, 2), *distinct(rng, 2, 2, 9)],
    lambda c: "{0}^{2} \\cdot {1}^{3}".format(*c),
    "math one",
)


@factors.keeps
def factors_in_the_other_order(c: Four, rng: Random) -> str:
    return rng.choice(["{1}^{{{3}}} \\times {0}^{{{2}}}", "{1}^{3}\\cdot {0}^{2}", "{0}^{2} * {1}^{3}"]).format(*c)


@factors.keeps
def factors_multiplied(c: Four, rng: Random) -> str:
    return str(c[0] ** c[2] * c[1] ** c[3])


@factors.changes
def exponents_exchanged(c: Four, rng: Random) -> str:
    return "{0}^{3} \\cdot {1}^{2}".format(*c)


@factors.changes
def another_factorisation(c: Four, rng: Random) -> str:
    return rng.choice(["{0}^{2} + {1}^{3}", "{0}^{2}", "{0} \\cdot {1}", "\\frac{{{0}^{2}}}{{{1}^{3}}}"]).format(*c)


bivariate = family(
    "two variables", lambda rng: distinct(rng, 2, 2, 15), lambda c: "{}x^2y+{}xy^2".format(*c), "math one"
)


@bivariate.keeps
def variables_in_another_order(c: list[int], rng: Random) -> str:
    return rng.choice(["xy({}x+{}y)", "{1}xy^2+{0}x^2y", "{}yx^2+{}y^2x", "{}x^{{2}}y+{}xy^{{2}}"]).format(*c)


@bivariate.changes
def variables_exchanged(c: list[int], rng: Random) -> str:
    return rng.choice(["{}xy^2+{}x^2y", "{}x^2y-{}xy^2", "{}x^2y+{}x^2y", "{}xy+{}xy", "{}a^2b+{}ab^2"]).format(*c)


extremum = family("value at a place", lambda rng: distinct(rng, 2, 2, 40), lambda c: "{} at x = {}".format(*c), "prose")


@extremum.changes
def value_and_place_exchanged(c: list[int], rng: Random) -> str:
    return f"{c[1]} at x = {c[0]}"


@extremum.changes
def another_place(c: list[int], rng: Random) -> str:
    return rng.choice(["{0} at x = {2}", "{2} at x = {1}", "{1}"]).format(*c, c[0] + c[1])


span = family("span of time", lambda rng: distinct(rng, 2, 1, 11), lambda c: "from {} pm to {} pm".format(*c), "prose")


@span.keeps
def span_in_another_spelling(c: list[int], rng: Random) -> str:
    return rng.choice(["From {} pm to {} pm", "from {} PM to {} PM", "\\text{{from {} pm to {} pm}}"]).format(*c)


@span.changes
def span_exchanged(c: list[int], rng: Random) -> str:
    return rng.choice(["from {1} pm to {0} pm", "from {0} am to {1} pm", "from {0} pm to {1} am"]).format(*c)


ranking = family("ranking", lambda rng: rng.sample(["Alice", "Bob", "Carol", "Dan"], 3), ", then ".join, "prose")


@ranking.keeps
def ranking_as_text(names: list[str], rng: Random) -> str:
    return f"\\text{{{', then '.join(names)}}}"


@ranking.changes
def another_ranking(names: list[str], rng: Random) -> str:
    first, second, third = names
    return ", then ".join(rng.choice([[second, first, third], [first, third, second], [third, second, first]]))


odds = family("ratio of two", lambda rng: distinct(rng, 2, 2, 30), lambda c: "{}:{}".format(*c), "math one")


@odds.keeps
def odds_in_another_spelling(c: list[int], rng: Random) -> str:
    return rng.choice(["{} : {}", "{} \\text{{ to }} {}", "{}\\colon {}"]).format(*c)


@odds.changes
def odds_exchanged(c: list[int], rng: Random) -> str:
    return rng.choice(["{1}:{0}", "{1} \\text{{ to }} {0}", "{0}:{0}"]).format(*c)
