"""Expressions with letters: polynomials, functions, equations, recurrences, families of solutions, conditions."""

from __future__ import annotations

from random import Random

from tests.verifiers.metamorphic.case import distinct, family

Coefficients = list[int]


def _quadratic(c: Coefficients, x: str = "x", power: int = 2) -> str:
    return f"{c[0]}{x}^{{{power}}}{c[1]:+}{x}{c[2]:+}"


def _three(rng: Random) -> Coefficients:
    return [number * rng.choice([1, 1, -1]) for number in distinct(rng, 3, 2, 19)]


polynomial = family("polynomial", _three, _quadratic, "math one")


@polynomial.keeps
def terms_in_another_order(c: Coefficients, rng: Random) -> str:
    return rng.choice([f"{c[2]}{c[1]:+}x{c[0]:+}x^2", f"{c[1]}x{c[0]:+}x^{{2}}{c[2]:+}"])


@polynomial.keeps
def stars_and_carets(c: Coefficients, rng: Random) -> str:
    return rng.choice([f"{c[0]}*x^2{c[1]:+}*x{c[2]:+}", f"{c[0]}x²{c[1]:+}x{c[2]:+}", f"{c[0]}x^2{c[1]:+}x{c[2]:+}"])


@polynomial.keeps
def partly_factored(c: Coefficients, rng: Random) -> str:
    return f"x({c[0]}x{c[1]:+}){c[2]:+}"


@polynomial.keeps
def function_name_before(c: Coefficients, rng: Random) -> str:
    return f"{rng.choice(['f(x)', 'p(x)', 'y', 'P(x)', 'g(x)'])} = {_quadratic(c)}"


@polynomial.changes
def one_coefficient(c: Coefficients, rng: Random) -> str:
    place = rng.randrange(3)
    return _quadratic([n + (i == place) * (1 if n != -1 else 5) for i, n in enumerate(c)])


@polynomial.changes
def one_sign(c: Coefficients, rng: Random) -> str:
    place = rng.randrange(3)
    return _quadratic([-n if i == place else n for i, n in enumerate(c)])


@polynomial.changes
def another_exponent(c: Coefficients, rng: Random) -> str:
    return _quadratic(c, power=3)


@polynomial.changes
def coefficients_swapped(c: Coefficients, rng: Random) -> str:
    return _quadratic(rng.choice([[c[1], c[0], c[2]], [c[2], c[1], c[0]], [c[0], c[2], c[1]]]))


@polynomial.changes
def term_lost(c: Coefficients, rng: Random) -> str:
    return rng.choice([f"{c[0]}x^{{2}}{c[1]:+}x", f"{c[0]}x^{{2}}{c[2]:+}", f"{c[1]}x{c[2]:+}"])


mapping = family("function", _three, lambda c: f"f(x) = {_quadratic(c)}", "math one")


@mapping.keeps
def another_argument(c: Coefficients, rng: Random) -> str:
    letter = rng.choice("tzn")
    return f"f({letter}) = {_quadratic(c, letter)}"


@mapping.keeps
def expression_alone(c: Coefficients, rng: Random) -> str:
    return _quadratic(c)


@mapping.keeps
def for_all_behind(c: Coefficients, rng: Random) -> str:
    behind = rng.choice([" \\text{ for all } x", ", x \\in \\mathbb{R}", " \\text{ for all real } x", ",\\ \\forall x"])
    return f"f(x) = {_quadratic(c)}{behind}"


@mapping.changes
def another_function(c: Coefficients, rng: Random) -> str:
    return f"f(x) = {_quadratic([c[0] + 20, *c[1:]])}"


@mapping.changes
def function_sign(c: Coefficients, rng: Random) -> str:
    return f"f(x) = {_quadratic([-n for n in c])}"


line = family("line", lambda rng: distinct(rng, 3, 2, 19), lambda c: f"{c[0]}x+{c[1]}y={c[2]}", "math one")


@line.keeps
def sides_swapped(c: Coefficients, rng: Random) -> str:
    return rng.choice(["{2}={0}x+{1}y", "{0}x+{1}y-{2}=0", "{1}y={2}-{0}x", "{1}y+{0}x={2}"]).format(*c)


@line.keeps
def both_sides_multiplied(c: Coefficients, rng: Random) -> str:
    factor = rng.randint(2, 5)
    return "{}x+{}y={}".format(*(factor * number for number in c))


@line.keeps
def solved_for_y(c: Coefficients, rng: Random) -> str:
    return "y=-\\frac{{{0}}}{{{1}}}x+\\frac{{{2}}}{{{1}}}".format(*c)


@line.changes
def x_and_y_swapped(c: Coefficients, rng: Random) -> str:
    return "{}y+{}x={}".format(*c)


@line.changes
def plus_to_minus(c: Coefficients, rng: Random) -> str:
    return rng.choice(["{}x-{}y={}", "{}x+{}y=-{}", "{}x+{}y+{}=0"]).format(*c)


@line.changes
def other_right_side(c: Coefficients, rng: Random) -> str:
    return f"{c[0]}x+{c[1]}y={c[2] + 1}"


@line.changes
def equals_to_at_most(c: Coefficients, rng: Random) -> str:
    return "{}x+{}y \\le {}".format(*c)


recurrence = family(
    "recurrence", lambda rng: distinct(rng, 2, 2, 9), lambda c: f"a_n = {c[0]}a_{{n-1}} + {c[1]}a_{{n-2}}", "math one"
)


@recurrence.keeps
def recurrence_in_another_order(c: Coefficients, rng: Random) -> str:
    return "a_n = {1}a_{{n-2}} + {0}a_{{n-1}}".format(*c)


@recurrence.keeps
def recurrence_spelling(c: Coefficients, rng: Random) -> str:
    return "a_{{n}}={}a_{{n-1}}+{}\\cdot a_{{n-2}}".format(*c)


@recurrence.changes
def recurrence_sign(c: Coefficients, rng: Random) -> str:
    return "a_n = {}a_{{n-1}} - {}a_{{n-2}}".format(*c)


@recurrence.changes
def recurrence_coefficients_swapped(c: Coefficients, rng: Random) -> str:
    return "a_n = {1}a_{{n-1}} + {0}a_{{n-2}}".format(*c)


@recurrence.changes
def recurrence_subscript(c: Coefficients, rng: Random) -> str:
    return "a_n = {}a_{{n-1}} + {}a_{{n-3}}".format(*c)


solutions = family(
    "solutions with a parameter", lambda rng: rng.randint(3, 12), "\\frac{{\\pi}}{{{}}} + k\\pi".format, "math one"
)


@solutions.keeps
def parameter_renamed(n: int, rng: Random) -> str:
    return f"\\frac{{\\pi}}{{{n}}} + {rng.choice('nm')}\\pi"


@solutions.keeps
def parameter_behind_pi(n: int, rng: Random) -> str:
    return rng.choice(
        ["\\frac{{\\pi}}{{{}}} + \\pi k", "\\pi k + \\frac{{\\pi}}{{{}}}", "k\\pi + \\frac{{\\pi}}{{{}}}"]
    ).format(n)


@solutions.keeps
def parameter_is_whole(n: int, rng: Random) -> str:
    behind = rng.choice(
        [
            ", k \\in \\mathbb{Z}",
            ",\\ k \\in \\mathbb{Z}",
            " \\text{ for integer } k",
            " (k \\in \\mathbb{Z})",
            " \\text{ where } k \\text{ is an integer}",
            ", k \\in Z",
            "\\ (k = 0, \\pm 1, \\pm 2, \\ldots)",
        ]
    )
    return f"{rng.choice(['', 'x = '])}\\frac{{\\pi}}{{{n}}} + k\\pi{behind}"


@solutions.changes
def another_period(n: int, rng: Random) -> str:
    return rng.choice(["\\frac{{\\pi}}{{{}}} + 2k\\pi", "\\frac{{\\pi}}{{{}}}", "\\frac{{\\pi}}{{{}}} + k"]).format(n)


@solutions.changes
def another_beginning(n: int, rng: Random) -> str:
    return rng.choice([f"\\frac{{\\pi}}{{{n + 1}}} + k\\pi", f"-\\frac{{\\pi}}{{{n}}} + k\\pi"])


sequence = family(
    "term of a sequence", lambda rng: distinct(rng, 2, 2, 9), lambda c: f"{c[0]}^{{n-{c[1]}}}", "math one"
)


@sequence.keeps
def condition_behind(c: Coefficients, rng: Random) -> str:
    behind = [
        " \\text{ for } n \\ge 2",
        " (n \\ge 2)",
        ", n \\in \\mathbb{N}",
        ",\\ n \\ge 1",
        " \\text{ where } n \\ge 2",
        " \\text{ if } n > 1",
        " \\text{ for all integers } n \\ge 2",
        ", n = 1, 2, 3, \\ldots",
        " \\quad (n \\geq 1)",
    ]
    return f"{c[0]}^{{n-{c[1]}}}{rng.choice(behind)}"


@sequence.keeps
def name_of_the_term(c: Coefficients, rng: Random) -> str:
    return f"{rng.choice(['a_n', 'a_{n}', 'f(n)', 'T(n)'])} = {c[0]}^{{n-{c[1]}}}"


@sequence.changes
def shifted_exponent(c: Coefficients, rng: Random) -> str:
    return rng.choice([f"{c[0]}^{{n-{c[1] + 1}}}", f"{c[0]}^{{n}}", f"{c[0]}^{{n+{c[1]}}}"])


@sequence.changes
def shifted_exponent_with_a_condition(c: Coefficients, rng: Random) -> str:
    return f"{c[0]}^{{n-{c[1] + 1}}} \\text{{ for }} n \\ge {c[1]}"


@sequence.changes
def exponent_out_of_place(c: Coefficients, rng: Random) -> str:
    return rng.choice([f"{c[0]}^n-{c[1]}", f"{c[0]}(n-{c[1]})", f"(n-{c[1]})^{{{c[0]}}}", f"{c[1]}^{{n-{c[0]}}}"])
