"""Numbers: whole, decimal, fraction, percent, power of ten, money."""

from __future__ import annotations

from fractions import Fraction
from random import Random

from tests.verifiers.metamorphic.case import Bare, Response, family, other_digit


def _integer(rng: Random) -> int:
    return rng.choice([-1, 1, 1, 1]) * rng.randint(2, rng.choice([30, 999, 99_999, 9_999_999]))


integer = family("integer", _integer, str, "math scalar count one")


@integer.keeps
def grouped_thousands(n: int, rng: Random) -> str | None:
    return f"{n:,}".replace(",", rng.choice([",", "{,}", ",\\!", "\\,"])) if abs(n) >= 1000 else None


@integer.keeps
def leading_zero(n: int, rng: Random) -> str | None:
    return f"0{n}" if n > 0 else None


@integer.keeps
def point_zero(n: int, rng: Random) -> str:
    return f"{n}.{'0' * rng.randint(1, 2)}"


@integer.keeps
def unreduced_fraction(n: int, rng: Random) -> str:
    d = rng.randint(2, 9)
    return rng.choice([f"\\frac{{{n * d}}}{{{d}}}", f"{n * d}/{d}"])


@integer.keeps
def sum_of_two(n: int, rng: Random) -> str | None:
    return f"{n - 1} + 1" if n > 2 else None


@integer.keeps
def text_wrapper(n: int, rng: Random) -> str:
    return f"\\{rng.choice(['text', 'mathrm', 'mathbf', 'textbf'])}{{{n}}}"


@integer.keeps
def root_of_its_square(n: int, rng: Random) -> str | None:
    return f"\\sqrt{{{n * n}}}" if 0 < n < 1000 else None


@integer.keeps
def root_of_its_cube(n: int, rng: Random) -> str | None:
    return f"\\sqrt[3]{{{n**3}}}" if 0 < n < 100 else None


@integer.keeps
def ordinal(n: int, rng: Random) -> str | None:
    form = ["{}th", "{}^{{th}}", "{}^{{\\text{{th}}}}", "{}^{{\\mathrm{{th}}}}", "{}\\text{{th}}"]
    return rng.choice(form).format(n) if n > 0 and n % 10 not in (1, 2, 3) else None


@integer.keeps
def worked_out(n: int, rng: Random) -> str | None:
    """One way: a reference is not an equation whose right side is meant."""
    text = rng.choice(["m+n={}+{}={}", "{}+{}={}"]).format(n - 1, 1, n)
    return (
        rng.choice([Bare(text), Response(f"Hence \\boxed{{{text}}}."), Response(f"Answer: {text}")]) if n > 2 else None
    )


@integer.keeps
def reason_in_brackets(n: int, rng: Random) -> str | None:
    reason = f"{n} (since {n - 1} + 1 = {n})"
    return rng.choice([Bare(reason), Response(f"Answer: {reason}")]) if n > 2 else None


CURRENCIES = (
    "Il a dépensé {} $ au total.",
    "{} $ ont été dépensés",
    "Es kostet {} €",
    "Gastó {} € en total",
    "一共花了{}元",
)


@integer.keeps
def sentence_with_a_currency(n: int, rng: Random) -> str | None:
    return Bare(rng.choice([*CURRENCIES, "{} $ a month"]).format(n)) if n > 0 else None


@integer.keeps
def money_for_a_number(n: int, rng: Random) -> str | None:
    return rng.choice(["${}", "\\${}", "${}.00", "{} dollars", "\\$ {}", "€{}"]).format(n) if n > 0 else None


@integer.changes
def worked_out_wrongly(n: int, rng: Random) -> str | None:
    return rng.choice(["m+n={}+{}={}", "{}+{}={}"]).format(n, 1, n + 1) if n > 2 else None


@integer.changes
def sentence_with_another_number(n: int, rng: Random) -> str | None:
    return Bare(rng.choice(CURRENCIES).format(n + 1)) if n > 0 else None


@integer.changes
def digit(n: int, rng: Random) -> str:
    return str(other_digit(str(n), rng))


@integer.changes
def sign(n: int, rng: Random) -> str:
    return str(-n)


@integer.changes
def off_by_one(n: int, rng: Random) -> str:
    return str(n + rng.choice([-1, 1]))


@integer.changes
def reciprocal(n: int, rng: Random) -> str:
    return rng.choice([f"\\frac{{1}}{{{n}}}", f"1/{n}" if n > 0 else f"-1/{-n}"])


@integer.changes
def point_moved(n: int, rng: Random) -> str:
    return rng.choice([f"{n}0", f"{n // abs(n) * abs(n) / 10:.1f}"])


@integer.changes
def digits_swapped(n: int, rng: Random) -> str | None:
    text = str(abs(n))
    place = rng.randrange(len(text))
    swapped = text[:place] + text[place : place + 2][::-1] + text[place + 2 :]
    return None if swapped == text or swapped.startswith("0") else f"{'-' if n < 0 else ''}{swapped}"


@integer.changes
def function_of_it(n: int, rng: Random) -> str | None:
    return rng.choice([f"{n}\\pi", f"({n})^2", f"{n}i", f"{n}x", f"e^{{{n}}}"])


@integer.changes
def two_numbers(n: int, rng: Random) -> str:
    return rng.choice([f"({n}, {n + 1})", f"\\{{{n}, {n + 2}\\}}", f"{n} \\text{{ or }} {n + 1}", f"[{n}, {n + 1}]"])


def _decimal(rng: Random) -> tuple[int, str]:
    """The whole part, and the digits behind the point, of which the last is not 0."""
    return rng.choice([0, rng.randint(1, 999)]), f"{rng.choice(['', str(rng.randint(0, 99))])}{rng.randint(1, 9)}"


decimal = family("decimal", _decimal, lambda parts: f"{parts[0]}.{parts[1]}", "math scalar one point")


@decimal.keeps
def trailing_zero(parts: tuple[int, str], rng: Random) -> str:
    return f"{parts[0]}.{parts[1]}0"


@decimal.keeps
def nothing_before_the_point(parts: tuple[int, str], rng: Random) -> str | None:
    return f".{parts[1]}" if parts[0] == 0 else None


@decimal.keeps
def as_a_fraction(parts: tuple[int, str], rng: Random) -> str:
    value = Fraction(f"{parts[0]}.{parts[1]}")
    return rng.choice(["\\frac{%d}{%d}", "%d/%d"]) % (value.numerator, value.denominator)


@decimal.changes
def decimal_digit(parts: tuple[int, str], rng: Random) -> str:
    return f"{parts[0]}.{other_digit(parts[1], rng)}"


@decimal.changes
def decimal_sign(parts: tuple[int, str], rng: Random) -> str:
    return f"-{parts[0]}.{parts[1]}"


@decimal.changes
def decimal_point_moved(parts: tuple[int, str], rng: Random) -> str:
    return f"{parts[0]}{parts[1][0]}.{parts[1][1:]}0"


def _fraction(rng: Random) -> Fraction:
    value = Fraction(1)
    while value.denominator < 3 or value.numerator == 1 or abs(value.numerator) == value.denominator:
        value = Fraction(rng.randint(2, 40), rng.randint(3, 40))
    return value * rng.choice([1, 1, -1])


def _frac(value: Fraction) -> str:
    return f"{'-' if value < 0 else ''}\\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"


fraction = family("fraction", _fraction, _frac, "math scalar one")


@fraction.keeps
def slash(value: Fraction, rng: Random) -> str:
    return f"{value.numerator}/{value.denominator}"


@fraction.keeps
def unreduced(value: Fraction, rng: Random) -> str:
    factor = rng.randint(2, 9)
    return f"\\frac{{{value.numerator * factor}}}{{{value.denominator * factor}}}"


@fraction.keeps
def mixed_number(value: Fraction, rng: Random) -> str | None:
    whole, part = divmod(value.numerator, value.denominator)
    return f"{whole}\\frac{{{part}}}{{{value.denominator}}}" if value > 1 else None


@fraction.keeps
def mixed_number_with_a_slash(value: Fraction, rng: Random) -> str | None:
    whole, part = divmod(value.numerator, value.denominator)
    return f"{whole} {part}/{value.denominator}" if value > 1 else None


@fraction.keeps
def frac_without_braces(value: Fraction, rng: Random) -> str | None:
    single = 0 < value.numerator < 10 and value.denominator < 10
    return f"\\{rng.choice(['frac', 'dfrac', 'tfrac'])}{value.numerator}{value.denominator}" if single else None


@fraction.keeps
def division_sign(value: Fraction, rng: Random) -> str:
    return f"{value.numerator} {rng.choice(['÷', chr(92) + 'div'])} {value.denominator}"


@fraction.keeps
def six_decimals(value: Fraction, rng: Random) -> str:
    return f"{float(value):.6f}"


@fraction.changes
def upside_down(value: Fraction, rng: Random) -> str:
    return _frac(1 / value)


@fraction.changes
def numerator_plus_one(value: Fraction, rng: Random) -> str:
    return f"\\frac{{{value.numerator + 1}}}{{{value.denominator}}}"


@fraction.changes
def denominator_plus_one(value: Fraction, rng: Random) -> str:
    return f"\\frac{{{value.numerator}}}{{{value.denominator + 1}}}"


@fraction.changes
def fraction_sign(value: Fraction, rng: Random) -> str:
    return _frac(-value)


@fraction.changes
def without_the_line(value: Fraction, rng: Random) -> str:
    return rng.choice([f"{value.numerator}{value.denominator}", f"({value.numerator}, {value.denominator})"])


@fraction.changes
def numerator_alone(value: Fraction, rng: Random) -> str:
    return str(value.numerator)
