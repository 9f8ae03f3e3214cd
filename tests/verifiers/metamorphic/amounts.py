"""Percentages and money."""

from __future__ import annotations

from random import Random

from tests.verifiers.metamorphic.case import family

percent = family("percent", lambda rng: rng.choice([n for n in range(3, 98) if n % 10]), "{}\\%".format, "math one")


@percent.keeps
def percent_in_another_spelling(n: int, rng: Random) -> str:
    return rng.choice(["{}%", "{} percent", "{} \\%", "{}", "{}.0\\%", "{} \\text{{ percent}}", "{} per cent"]).format(
        n
    )


@percent.keeps
def percent_as_a_part(n: int, rng: Random) -> str:
    return rng.choice([f"{n / 100:.2f}", f"\\frac{{{n}}}{{100}}", f"{n}/100"])


@percent.changes
def another_percentage(n: int, rng: Random) -> str:
    return f"{n + 1}\\%"


@percent.changes
def percent_point_moved(n: int, rng: Random) -> str:
    return rng.choice([f"{n}0\\%", f"{n / 10:.1f}\\%", f"{n / 100:.2f}\\%"])


@percent.changes
def the_other_part(n: int, rng: Random) -> str:
    return f"{100 - n}\\%"


@percent.changes
def percent_sign(n: int, rng: Random) -> str:
    return f"-{n}\\%"


money = family("money", lambda rng: (rng.randint(2, 3000), rng.randint(1, 9)), lambda dc: f"\\${dc[0]}.{dc[1]}0", "one")


@money.keeps
def money_without_its_sign(dc: tuple[int, int], rng: Random) -> str:
    return rng.choice(["{}.{}0", "{}.{}"]).format(*dc)


@money.keeps
def money_in_another_spelling(dc: tuple[int, int], rng: Random) -> str:
    return rng.choice(["${}.{}0", "\\$ {}.{}", "{}.{}0 dollars", "{}.{}0 \\text{{ dollars}}", "${}.{}0 USD"]).format(
        *dc
    )


@money.keeps
def grouped_money(dc: tuple[int, int], rng: Random) -> str | None:
    return f"${dc[0]:,}.{dc[1]}0" if dc[0] >= 1000 else None


@money.changes
def another_currency(dc: tuple[int, int], rng: Random) -> str:
    return rng.choice(["{}.{}0 euros", "€{}.{}0", "{}.{}0 cents", "£{}.{}0"]).format(*dc)


@money.changes
def another_amount(dc: tuple[int, int], rng: Random) -> str:
    return rng.choice([f"${dc[0] + 1}.{dc[1]}0", f"${dc[0]}.0{dc[1]}", f"${dc[0]}{dc[1]}0", f"${dc[0]}.{dc[1]}5"])
