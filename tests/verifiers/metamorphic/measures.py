"""Quantities with units, quantities of two units, times of day, dates."""

from __future__ import annotations

from random import Random

from tests.verifiers.metamorphic.case import Bare, distinct, family

UNITS = {
    "km": "kilometers",
    "m": "meters",
    "cm": "centimeters",
    "kg": "kilograms",
    "g": "grams",
    "mi": "miles",
    "min": "minutes",
    "h": "hours",
}
OTHER_OF_ITS_KIND = {"km": "m", "m": "cm", "cm": "km", "kg": "g", "g": "kg", "mi": "km", "min": "h", "h": "min"}
OTHER_KIND = {"km": "kg", "m": "kg", "cm": "kg", "kg": "km", "g": "km", "mi": "h", "min": "km", "h": "km"}
COMPOUND = (
    ("hours", "h", 60, "minutes", "min"),
    ("minutes", "min", 60, "seconds", "s"),
    ("feet", "ft", 12, "inches", "in"),
    ("pounds", "lb", 16, "ounces", "oz"),
    ("weeks", "wk", 7, "days", "d"),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("January", "March", "April", "June", "July", "August", "October", "December")

Quantity = tuple[int, str]
quantity = family(
    "quantity",
    lambda rng: (rng.randint(2, 900), rng.choice(list(UNITS))),
    lambda q: f"{q[0]} \\text{{ {q[1]}}}",
    "math one",
)


@quantity.keeps
def without_its_unit(q: Quantity, rng: Random) -> str:
    return str(q[0])


@quantity.keeps
def unit_in_another_spelling(q: Quantity, rng: Random) -> str:
    return rng.choice(
        ["{0} {1}", "{0}\\,\\mathrm{{{1}}}", "{0} {2}", "{0} \\text{{ {2}}}", "{0}~\\text{{{1}}}"]
    ).format(*q, UNITS[q[1]])


@quantity.changes
def unit_of_the_same_kind(q: Quantity, rng: Random) -> str:
    return f"{q[0]} \\text{{ {OTHER_OF_ITS_KIND[q[1]]}}}"


@quantity.changes
def unit_of_another_kind(q: Quantity, rng: Random) -> str:
    return f"{q[0]} \\text{{ {OTHER_KIND[q[1]]}}}"


@quantity.changes
def squared_unit(q: Quantity, rng: Random) -> str | None:
    return f"{q[0]} \\text{{ {q[1]}}}^2" if q[1] in ("km", "m", "cm", "mi") else None


@quantity.changes
def another_number_of_units(q: Quantity, rng: Random) -> str:
    return f"{q[0] + rng.choice([1, 1000])} \\text{{ {q[1]}}}"


def _compound(rng: Random) -> tuple[int, int, tuple[str, str, int, str, str]]:
    units = rng.choice(COMPOUND)
    large, small = distinct(rng, 2, 2, units[2] - 1)
    return large, small, units


Compound = tuple[int, int, tuple[str, str, int, str, str]]
compound = family("two units", _compound, lambda c: f"{c[0]} {c[2][0]} {c[1]} {c[2][3]}", "prose")


@compound.keeps
def and_between(c: Compound, rng: Random) -> str:
    return f"{c[0]} {c[2][0]}{rng.choice([' and ', ', '])}{c[1]} {c[2][3]}"


@compound.keeps
def short_units(c: Compound, rng: Random) -> str:
    return rng.choice(["{0} {2} {1} {3}", "{0}{2} {1}{3}", "{0} \\text{{ {2} }} {1} \\text{{ {3}}}"]).format(
        c[0], c[1], c[2][1], c[2][4]
    )


@compound.keeps
def in_the_smaller_unit(c: Compound, rng: Random) -> str:
    return f"{c[0] * c[2][2] + c[1]} {rng.choice([c[2][3], c[2][4]])}"


@compound.keeps
def in_a_sentence(c: Compound, rng: Random) -> str:
    return Bare(
        rng.choice(["It takes {0} {2} and {1} {3}.", "{0} {2} {1} {3} in total"]).format(c[0], c[1], c[2][0], c[2][3])
    )


@compound.changes
def swapped_in_a_sentence(c: Compound, rng: Random) -> str:
    form = rng.choice(["It takes {0} {2} and {1} {3}.", "{0} {2} {1} {3} in total"])
    return Bare(form.format(c[1], c[0], c[2][0], c[2][3]))


@compound.changes
def numbers_of_the_units_swapped(c: Compound, rng: Random) -> str:
    return f"{c[1]} {c[2][0]} {c[0]} {c[2][3]}"


@compound.changes
def units_swapped(c: Compound, rng: Random) -> str:
    return f"{c[0]} {c[2][3]} {c[1]} {c[2][0]}"


@compound.changes
def one_more_of_the_smaller(c: Compound, rng: Random) -> str:
    return rng.choice([f"{c[0]} {c[2][0]} {c[1] + 1} {c[2][3]}", f"{c[0] + 1} {c[2][0]} {c[1]} {c[2][3]}"])


@compound.changes
def one_unit_alone(c: Compound, rng: Random) -> str:
    return rng.choice([f"{c[0]} {c[2][0]}", f"{c[1]} {c[2][3]}", f"{c[0]}.{c[1]} {c[2][0]}"])


@compound.changes
def wrong_sum_of_units(c: Compound, rng: Random) -> str:
    return f"{c[0] * c[2][2] + c[1] + 1} {c[2][3]}"


metric = family(
    "metric units",
    lambda rng: (*distinct(rng, 2, 2, 900), *rng.choice([("km", "m", 1000), ("kg", "g", 1000)])),
    lambda m: f"{m[0]} {m[2]} {m[1]} {m[3]}",
    "prose",
)
Metric = tuple[int, int, str, str, int]


@metric.keeps
def metric_in_one_unit(m: Metric, rng: Random) -> str:
    return rng.choice([f"{m[0] * m[4] + m[1]} {m[3]}", f"{m[0]}.{m[1]:03} {m[2]}"])


@metric.keeps
def metric_as_text(m: Metric, rng: Random) -> str:
    return rng.choice(["{0}\\text{{ {2} }} {1}\\text{{ {3}}}", "{0} {2} and {1} {3}", "{0}{2} {1}{3}"]).format(*m)


@metric.changes
def metric_swapped(m: Metric, rng: Random) -> str:
    return rng.choice(["{1} {2} {0} {3}", "{0} {3} {1} {2}", "{1}\\text{{ {2} }} {0}\\text{{ {3}}}"]).format(*m)


@metric.changes
def metric_in_one_unit_but_wrong(m: Metric, rng: Random) -> str:
    return rng.choice([f"{m[0] * m[4] + m[1] + 1} {m[3]}", f"{m[0] * m[4] + m[1]} {m[2]}", f"{m[1]}.{m[0]:03} {m[2]}"])


triple = family(
    "three units",
    lambda rng: distinct(rng, 3, 2, 23),
    lambda t: "{} days {} hours {} minutes".format(*t),
    "prose",
)


@triple.keeps
def three_units_in_another_spelling(t: list[int], rng: Random) -> str:
    form = ["{} days, {} hours and {} minutes", "{} d {} h {} min", "{} days, {} hours, {} minutes"]
    return rng.choice(form).format(*t)


@triple.keeps
def three_units_in_one(t: list[int], rng: Random) -> str:
    return f"{(t[0] * 24 + t[1]) * 60 + t[2]} minutes"


@triple.changes
def three_units_in_another_order(t: list[int], rng: Random) -> str:
    form = ["{1} days {0} hours {2} minutes", "{0} days {2} hours {1} minutes", "{2} days {1} hours {0} minutes"]
    return rng.choice(form).format(*t)


@triple.changes
def two_of_three_units(t: list[int], rng: Random) -> str:
    return rng.choice(["{0} days {1} hours", "{1} hours {2} minutes", "{0} days {2} minutes"]).format(*t)


Time = tuple[str, int, int, str]
clock = family(
    "time of day",
    lambda rng: (rng.choice(DAYS), rng.randint(1, 11), rng.randint(10, 59), rng.choice(["am", "pm"])),
    lambda t: f"{t[0]} {t[1]} {t[3]}",
    "prose",
)


@clock.keeps
def time_in_another_spelling(t: Time, rng: Random) -> str:
    dotted = f"{t[3][0]}.m."
    return rng.choice([f"{t[0]}, {t[1]} {t[3]}", f"{t[0]} {t[1]} {dotted}", f"{t[0]} {t[1]}:00 {t[3].upper()}"])


@clock.keeps
def time_before_the_day(t: Time, rng: Random) -> str:
    return f"{t[1]} {t[3]} on {t[0]}"


@clock.changes
def other_half_of_the_day(t: Time, rng: Random) -> str:
    return f"{t[0]} {t[1]} {'am' if t[3] == 'pm' else 'pm'}"


@clock.changes
def another_day(t: Time, rng: Random) -> str:
    return f"{rng.choice([day for day in DAYS if day != t[0]])} {t[1]} {t[3]}"


@clock.changes
def another_hour(t: Time, rng: Random) -> str:
    return rng.choice([f"{t[0]} {t[1] + 1} {t[3]}", f"{t[0]} {t[1]}:{t[2]} {t[3]}", t[0]])


minute = family(
    "time with minutes",
    lambda rng: (rng.randint(1, 11), rng.randint(13, 59), rng.choice(["am", "pm"])),
    lambda t: f"{t[0]}:{t[1]} {t[2]}",
    "prose",
)


@minute.keeps
def half_of_the_day_in_another_spelling(t: tuple[int, int, str], rng: Random) -> str:
    return f"{t[0]}:{t[1]}{rng.choice([' ', ''])}{rng.choice([t[2].upper(), f'{t[2][0]}.m.'])}"


@minute.changes
def other_half_with_minutes(t: tuple[int, int, str], rng: Random) -> str:
    return f"{t[0]}:{t[1]} {'am' if t[2] == 'pm' else 'pm'}"


@minute.changes
def another_minute(t: tuple[int, int, str], rng: Random) -> str:
    return rng.choice([f"{t[0]}:{t[1] - 1} {t[2]}", f"{t[0] + 1}:{t[1]} {t[2]}", f"{t[0]} {t[2]}"])


date = family("date", lambda rng: (rng.choice(MONTHS), rng.randint(4, 20)), lambda d: f"{d[0]} {d[1]}", "prose")


@date.keeps
def date_in_another_spelling(d: tuple[str, int], rng: Random) -> str:
    return rng.choice(["{1} {0}", "{0} {1}th", "{1}th of {0}", "the {1}th of {0}"]).format(*d)


@date.changes
def another_date(d: tuple[str, int], rng: Random) -> str:
    month = rng.choice([month for month in MONTHS if month != d[0]])
    return rng.choice([f"{month} {d[1]}", f"{d[0]} {d[1] + 1}", f"{d[0]}"])
