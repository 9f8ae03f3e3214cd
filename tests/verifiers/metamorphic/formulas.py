"""Formulas with several letters, curves, logarithms, factorials, growth, speeds."""

from __future__ import annotations

from random import Random

from tests.verifiers.metamorphic.case import distinct, family

Two = list[int]


def _two(rng: Random) -> Two:
    return distinct(rng, 2, 2, 15)


physics = family("formula", _two, lambda c: "v=\\sqrt{{\\frac{{{}GM}}{{{}R}}}}".format(*c), "math one")


@physics.keeps
def letters_in_another_order(c: Two, rng: Random) -> str:
    return "v=\\sqrt{{\\frac{{{}MG}}{{{}R}}}}".format(*c)


@physics.keeps
def root_as_a_power(c: Two, rng: Random) -> str:
    return "v=\\left(\\frac{{{}GM}}{{{}R}}\\right)^{{\\frac{{1}}{{2}}}}".format(*c)


@physics.keeps
def formula_without_its_name(c: Two, rng: Random) -> str:
    return "\\sqrt{{\\frac{{{}GM}}{{{}R}}}}".format(*c)


@physics.changes
def letters_exchanged(c: Two, rng: Random) -> str:
    form = [
        "v=\\sqrt{{\\frac{{{}GR}}{{{}M}}}}",
        "v=\\sqrt{{\\frac{{{}M}}{{{}GR}}}}",
        "v=\\sqrt{{\\frac{{{}gM}}{{{}R}}}}",
    ]
    return rng.choice(form).format(*c)


@physics.changes
def formula_turned_over(c: Two, rng: Random) -> str:
    form = ["v=\\sqrt{{\\frac{{{1}R}}{{{0}GM}}}}", "v=\\sqrt{{\\frac{{{1}GM}}{{{0}R}}}}", "v=\\frac{{{0}GM}}{{{1}R}}"]
    return rng.choice(form).format(*c)


@physics.changes
def letter_lost(c: Two, rng: Random) -> str:
    return rng.choice(["v=\\sqrt{{\\frac{{{}G}}{{{}R}}}}", "v=\\sqrt{{\\frac{{{}GM^2}}{{{}R}}}}", "{}GM"]).format(*c)


def _circle(rng: Random) -> list[int]:
    a, b = distinct(rng, 2, 1, 9)
    return [a, b, rng.randint(2, 9)]


circle = family("circle", _circle, lambda c: f"(x-{c[0]})^2+(y+{c[1]})^2={c[2] ** 2}", "math one")


@circle.keeps
def multiplied_out(c: list[int], rng: Random) -> str | None:
    constant = c[0] ** 2 + c[1] ** 2 - c[2] ** 2
    return f"x^2+y^2-{2 * c[0]}x+{2 * c[1]}y{constant:+}=0" if constant else None


@circle.keeps
def squares_the_other_way(c: list[int], rng: Random) -> str:
    return f"({c[0]}-x)^2+({c[1]}+y)^2={c[2]}^2"


@circle.changes
def centre_moved(c: list[int], rng: Random) -> str:
    a, b, r = c
    return rng.choice([f"(x+{a})^2+(y+{b})^2={r * r}", f"(x-{b})^2+(y+{a})^2={r * r}", f"(x-{a})^2+(y-{b})^2={r * r}"])


@circle.changes
def another_radius(c: list[int], rng: Random) -> str:
    a, b, r = c
    return rng.choice([f"(x-{a})^2+(y+{b})^2={r}", f"(x-{a})^2-(y+{b})^2={r * r}", f"(x-{a})^2+(y+{b})^2={r * r + 1}"])


logarithm = family("logarithm", _two, lambda c: f"\\log_{{{c[0]}}} {c[1]}", "math scalar one")


@logarithm.keeps
def quotient_of_logarithms(c: Two, rng: Random) -> str:
    form = [
        "\\frac{{\\ln {1}}}{{\\ln {0}}}",
        "\\frac{{\\log {1}}}{{\\log {0}}}",
        "\\log_{{{0}}}({1})",
        "\\frac{{1}}{{\\log_{{{1}}} {0}}}",
    ]
    return rng.choice(form).format(*c)


@logarithm.changes
def logarithm_turned_over(c: Two, rng: Random) -> str:
    return rng.choice(["\\log_{{{1}}} {0}", "\\frac{{\\ln {0}}}{{\\ln {1}}}", "-\\log_{{{0}}} {1}"]).format(*c)


@logarithm.changes
def another_logarithm(c: Two, rng: Random) -> str:
    return rng.choice([f"\\log_{{{c[0]}}} {c[1] + 1}", f"\\ln {c[1]} - \\ln {c[0]}", f"\\log_{{{c[0] + 20}}} {c[1]}"])


exponential = family("exponential", _two, lambda c: f"e^{{{c[0]}}} - {c[1]}", "math scalar one")


@exponential.keeps
def exponential_in_another_spelling(c: Two, rng: Random) -> str:
    return rng.choice(["-{1} + exp({0})", "\\exp({0}) - {1}", "-{1} + e^{{{0}}}", "\\mathrm{{e}}^{{{0}}}-{1}"]).format(
        *c
    )


@exponential.changes
def another_exponential(c: Two, rng: Random) -> str:
    return rng.choice(
        ["e^{{{0}}} + {1}", "e^{{{1}}} - {0}", "e^{{-{0}}} - {1}", "{1} - e^{{{0}}}", "e^{{{0} - {1}}}"]
    ).format(*c)


factorial = family("factorial", lambda rng: rng.randint(20, 1500), "\\frac{{1}}{{{}!}}".format, "math scalar one")


@factorial.keeps
def factorial_in_another_spelling(n: int, rng: Random) -> str:
    return rng.choice([f"1/{n}!", f"({n}!)^{{-1}}", f"\\frac{{{n + 1}}}{{{n + 1}!}}"])


@factorial.changes
def another_factorial(n: int, rng: Random) -> str:
    return rng.choice([f"\\frac{{1}}{{{n + 1}!}}", f"{n}!", f"\\frac{{1}}{{{n}}}", f"-\\frac{{1}}{{{n}!}}"])


growth = family("growth", lambda rng: rng.randint(2, 5), lambda n: f"O(n^{n} \\log n)", "math one")


@growth.keeps
def growth_in_another_spelling(n: int, rng: Random) -> str:
    return rng.choice(["O(n^{{{}}} \\log n)", "O(n^{}\\log n)", "O(n^{} \\log(n))"]).format(n)


@growth.changes
def another_growth(n: int, rng: Random) -> str:
    return rng.choice([f"O(n^{n + 1} \\log n)", f"O(n^{n})", "O(\\log n)", f"\\Omega(n^{n} \\log n)"])


speed = family("speed", lambda rng: rng.randint(2, 120), lambda n: f"{n}.5 \\text{{ km/h}}", "math one")


@speed.keeps
def speed_in_another_spelling(n: int, rng: Random) -> str:
    return rng.choice(
        ["{}.5 km/h", "{}.5 kilometers per hour", "{}.5\\,\\mathrm{{km/h}}", "{}.50 \\text{{ km/h}}", "{}.5"]
    ).format(n)


@speed.changes
def another_speed(n: int, rng: Random) -> str:
    return rng.choice(
        ["{}.6 \\text{{ km/h}}", "{}.5 \\text{{ m/s}}", "{}.5 \\text{{ km}}", "{}.5 miles per hour"]
    ).format(n)
