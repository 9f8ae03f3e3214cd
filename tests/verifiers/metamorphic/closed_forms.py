"""Numbers in closed form: radicals, multiples of pi, powers, numerals with a base, complex numbers, angles."""

from __future__ import annotations

from math import gcd
from random import Random

from tests.verifiers.metamorphic.case import distinct, family

Two = tuple[int, int]
SQUAREFREE = (2, 3, 5, 6, 7, 10, 11, 13)

radical = family(
    "radical",
    lambda rng: (rng.randint(2, 20), rng.choice(SQUAREFREE)),
    lambda ab: f"{ab[0]}\\sqrt{{{ab[1]}}}",
    "math scalar one",
)


@radical.keeps
def under_the_root(ab: Two, rng: Random) -> str:
    return f"\\sqrt{{{ab[0] ** 2 * ab[1]}}}"


@radical.keeps
def root_as_plain_text(ab: Two, rng: Random) -> str:
    short = ["{}\\cdot\\sqrt{}", "{}\\sqrt {}"] if ab[1] < 10 else []
    return rng.choice(["{}*sqrt({})", "{}√{}", "sqrt({1})*{0}", *short]).format(*ab)


@radical.keeps
def half_power(ab: Two, rng: Random) -> str:
    return rng.choice(["{} \\cdot {}^{{1/2}}", "{} \\cdot {}^{{\\frac{{1}}{{2}}}}", "{} \\cdot {}^{{0.5}}"]).format(*ab)


@radical.keeps
def root_in_the_denominator(ab: Two, rng: Random) -> str:
    return f"\\frac{{{ab[0] * ab[1]}}}{{\\sqrt{{{ab[1]}}}}}"


@radical.changes
def other_factor(ab: Two, rng: Random) -> str:
    return f"{ab[0] + 1}\\sqrt{{{ab[1]}}}"


@radical.changes
def other_radicand(ab: Two, rng: Random) -> str:
    return f"{ab[0]}\\sqrt{{{rng.choice([b for b in SQUAREFREE if b != ab[1]])}}}"


@radical.changes
def cube_root(ab: Two, rng: Random) -> str:
    return f"{ab[0]}\\sqrt[3]{{{ab[1]}}}"


@radical.changes
def plus_in_place_of_times(ab: Two, rng: Random) -> str:
    return f"{ab[0]}+\\sqrt{{{ab[1]}}}"


@radical.changes
def root_lost(ab: Two, rng: Random) -> str:
    return rng.choice(["{}\\cdot {}", "({}, {})", "\\frac{{{}}}{{\\sqrt{{{}}}}}"]).format(*ab)


cube = family("cube root", lambda rng: rng.choice([2, 3, 4, 5, 6, 7, 9]), "\\sqrt[3]{{{}}}".format, "math scalar one")


@cube.keeps
def cube_root_in_another_spelling(n: int, rng: Random) -> str:
    return rng.choice(["∛{}", "{}^{{1/3}}", "{}^(1/3)", "{}^{{\\frac{{1}}{{3}}}}", "\\sqrt[3]{}"]).format(n)


@cube.changes
def another_root(n: int, rng: Random) -> str:
    return rng.choice(["\\sqrt[4]{{{}}}", "\\sqrt{{{}}}", "3\\sqrt{{{}}}", "{}^3", "{}"]).format(n)


def _pi(rng: Random) -> Two:
    top, bottom = rng.randint(2, 15), rng.randint(2, 12)
    if top == bottom:
        top += 1
    return top // gcd(top, bottom), bottom // gcd(top, bottom)


pi = family("multiple of pi", _pi, lambda ab: _over(f"{ab[0]}\\pi" if ab[0] > 1 else "\\pi", ab[1]), "math scalar one")


def _over(top: str, bottom: int) -> str:
    return top if bottom == 1 else f"\\frac{{{top}}}{{{bottom}}}"


@pi.keeps
def pi_behind(ab: Two, rng: Random) -> str:
    return rng.choice(
        ["\\frac{{{}}}{{{}}}\\pi", "\\frac{{{}}}{{{}}} \\cdot \\pi", "\\pi \\cdot \\frac{{{}}}{{{}}}"]
    ).format(*ab)


@pi.keeps
def pi_as_plain_text(ab: Two, rng: Random) -> str:
    return rng.choice(["{}*pi/{}", "{}π/{}", "{}\\pi/{}", "({}/{})π"]).format(*ab)


@pi.changes
def pi_with_other_numbers(ab: Two, rng: Random) -> str:
    return rng.choice([_over(f"{ab[0] + 1}\\pi", ab[1]), f"\\frac{{{ab[0]}\\pi}}{{{ab[1] + 1}}}"])


@pi.changes
def pi_lost(ab: Two, rng: Random) -> str:
    return f"\\frac{{{ab[0]}}}{{{ab[1]}}}"


@pi.changes
def pi_in_another_place(ab: Two, rng: Random) -> str:
    return rng.choice(["\\frac{{{0}}}{{{1}\\pi}}", "\\frac{{{0}\\pi^2}}{{{1}}}", "-\\frac{{{0}\\pi}}{{{1}}}"]).format(
        *ab
    )


power = family("power", lambda rng: distinct(rng, 2, 3, 60), lambda ab: f"{ab[0]}^{{{ab[1]}}}", "math scalar one")


@power.keeps
def power_as_a_product(ab: list[int], rng: Random) -> str:
    return rng.choice(["{0} \\cdot {0}^{{{1}}}", "{0}^{{{1}}} \\times {0}"]).format(ab[0], ab[1] - 1)


@power.keeps
def power_written_out(ab: list[int], rng: Random) -> str:
    return str(ab[0] ** ab[1])


@power.keeps
def power_as_plain_text(ab: list[int], rng: Random) -> str:
    return rng.choice(["{}^{}" if ab[1] < 10 else "{}^({})", "({})^{{{}}}"]).format(*ab)


@power.changes
def exponent_plus_one(ab: list[int], rng: Random) -> str:
    return f"{ab[0]}^{{{ab[1] + rng.choice([-1, 1])}}}"


@power.changes
def base_plus_one(ab: list[int], rng: Random) -> str:
    return f"{ab[0] + 1}^{{{ab[1]}}}"


@power.changes
def base_and_exponent_swapped(ab: list[int], rng: Random) -> str:
    return f"{ab[1]}^{{{ab[0]}}}"


@power.changes
def power_plus_one(ab: list[int], rng: Random) -> str:
    return rng.choice(["{}^{{{}}}+1", "{}^{{{}}}-1", "-{}^{{{}}}", "{} \\cdot {}", "\\frac{{1}}{{{}^{{{}}}}}"]).format(
        *ab
    )


scientific = family(
    "power of ten",
    lambda rng: (f"{rng.randint(1, 9)}.{rng.randint(1, 99)}", rng.randint(2, 12)),
    lambda me: f"{me[0]} \\times 10^{{{me[1]}}}",
    "math scalar one",
)


@scientific.keeps
def another_spelling_of_ten(me: tuple[str, int], rng: Random) -> str:
    return rng.choice(["{}e{}", "{}E+{}", "{} \\cdot 10^{{{}}}", "{} × 10^{{{}}}", "{}*10^{{{}}}"]).format(*me)


@scientific.changes
def another_power_of_ten(me: tuple[str, int], rng: Random) -> str:
    return f"{me[0]} \\times 10^{{{rng.choice([me[1] + 1, me[1] - 1, -me[1]])}}}"


based = family(
    "numeral with a base",
    lambda rng: (f"{rng.randint(1, 4)}{rng.randint(0, 4)}{rng.randint(0, 4)}", rng.randint(5, 9)),
    lambda db: f"{db[0]}_{{{db[1]}}}",
    "math one",
)


@based.keeps
def base_in_another_spelling(db: tuple[str, int], rng: Random) -> str:
    return rng.choice(["{}_{}", "{}_{{({})}}", "({})_{{{}}}", "{} \\text{{ base }} {}", "{}_{{\\text{{{}}}}}"]).format(
        *db
    )


@based.changes
def another_base(db: tuple[str, int], rng: Random) -> str:
    return f"{db[0]}_{{{db[1] + 1}}}"


@based.changes
def base_read_as_a_digit(db: tuple[str, int], rng: Random) -> str:
    return f"{db[0]}{db[1]}"


gaussian = family("complex number", lambda rng: distinct(rng, 2, 2, 30), lambda ab: f"{ab[0]}+{ab[1]}i", "math one")


@gaussian.keeps
def imaginary_part_first(ab: list[int], rng: Random) -> str:
    return rng.choice(["{1}i+{0}", "{0}+i{1}", "{0}+{1} i", "{0}.0+{1}.0i", "{0}+{1}\\mathrm{{i}}"]).format(*ab)


@gaussian.changes
def conjugate(ab: list[int], rng: Random) -> str:
    return f"{ab[0]}-{ab[1]}i"


@gaussian.changes
def parts_swapped(ab: list[int], rng: Random) -> str:
    return f"{ab[1]}+{ab[0]}i"


@gaussian.changes
def real_part_alone(ab: list[int], rng: Random) -> str:
    return rng.choice(["{0}", "{1}i", "-{0}+{1}i", "{0}+{1}"]).format(*ab)


angle = family("angle", lambda rng: rng.randint(11, 179), "{}^\\circ".format, "math one")


@angle.keeps
def degrees_in_another_spelling(n: int, rng: Random) -> str:
    return rng.choice(["{}", "{}°", "{} degrees", "{} \\text{{ degrees}}", "{}^{{\\circ}}", "{}\\degree"]).format(n)


@angle.changes
def another_angle(n: int, rng: Random) -> str:
    return rng.choice([f"{n + 1}^\\circ", f"-{n}^\\circ", f"{n}^\\circ {n % 59 + 1}'", f"{n} \\text{{ radians}}"])


fine_angle = family(
    "angle with minutes", lambda rng: distinct(rng, 2, 2, 59), lambda dm: f"{dm[0]}^\\circ {dm[1]}'", "math one"
)


@fine_angle.keeps
def minutes_in_another_spelling(dm: list[int], rng: Random) -> str:
    return rng.choice(["{}°{}'", "{}^{{\\circ}}{}^{{\\prime}}", "{} degrees {} minutes", "{}^\\circ{}^\\prime"]).format(
        *dm
    )


@fine_angle.changes
def minutes_swapped(dm: list[int], rng: Random) -> str:
    return f"{dm[1]}^\\circ {dm[0]}'"


@fine_angle.changes
def other_minutes(dm: list[int], rng: Random) -> str:
    return rng.choice(
        [f"{dm[0]}^\\circ {dm[1] - 1}'", f"{dm[0]}^\\circ", f"{dm[0]}.{dm[1]:02}^\\circ", f"{dm[0] * dm[1]}"]
    )
