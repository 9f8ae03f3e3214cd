"""Places, remainders, named quantities, shares, prices: numbers that belong to a word as well."""

from __future__ import annotations

from random import Random

from tests.verifiers.metamorphic.case import distinct, family
from tests.verifiers.metamorphic.labelled import Labels, labels_of, swapped

PLACES = (("row", "column"), ("page", "line"), ("shelf", "box"), ("floor", "room"))
QUANTITIES = ("mean", "median", "mode", "range", "area", "perimeter", "width", "height")
GOODS = ("tea", "coffee", "milk", "bread")


def _place(rng: Random) -> tuple[str, int, str, int]:
    first, second = rng.choice(PLACES)
    one, two = distinct(rng, 2, 2, 40)
    return first, one, second, two


place = family("place", _place, lambda parts: "{} {} {} {}".format(*parts), "prose labels")


@place.keeps
def place_with_a_comma(parts: tuple[str, int, str, int], rng: Random) -> str:
    return rng.choice(["{} {}, {} {}", "{} {} and {} {}", "({} {}, {} {})", "{}: {}, {}: {}"]).format(*parts)


@place.keeps
def place_in_the_other_order(parts: tuple[str, int, str, int], rng: Random) -> str:
    return "{2} {3}, {0} {1}".format(*parts)


@place.keeps
def place_in_capitals(parts: tuple[str, int, str, int], rng: Random) -> str:
    return "{} {} {} {}".format(*parts).title()


@place.changes
def place_swapped(parts: tuple[str, int, str, int], rng: Random) -> str:
    return rng.choice(["{0} {3} {2} {1}", "{2} {1} {0} {3}"]).format(*parts)


@place.changes
def place_moved(parts: tuple[str, int, str, int], rng: Random) -> str:
    first, one, second, two = parts
    return f"{first} {one} {second} {two + 1}"


@place.changes
def half_a_place(parts: tuple[str, int, str, int], rng: Random) -> str:
    return rng.choice(["{0} {1}", "{2} {3}"]).format(*parts)


remainder = family("remainder", lambda rng: distinct(rng, 2, 2, 30), lambda pair: f"{pair[0]} R {pair[1]}", "prose")


@remainder.keeps
def remainder_in_another_spelling(pair: list[int], rng: Random) -> str:
    form = [
        "{} r {}",
        "{}R{}",
        "{} remainder {}",
        "{} R{}",
        "{} with remainder {}",
        "{} rem {}",
        "{} with a remainder of {}",
    ]
    return rng.choice(form).format(*pair)


@remainder.changes
def remainder_swapped(pair: list[int], rng: Random) -> str:
    return rng.choice(["{1} R {0}", "{1} remainder {0}", "{1} with a remainder of {0}", "{1}R{0}"]).format(*pair)


@remainder.changes
def another_remainder(pair: list[int], rng: Random) -> str:
    return rng.choice([f"{pair[0]} R {pair[1] + 1}", f"{pair[0] + 1} R {pair[1]}"])


@remainder.changes
def one_number_alone(pair: list[int], rng: Random) -> str:
    return str(rng.choice(pair))


quantities = family(
    "named quantities", labels_of(QUANTITIES, 3), lambda ls: ", ".join(f"{w} {n}" for w, n in ls), "prose"
)


@quantities.keeps
def quantities_in_another_spelling(labels: Labels, rng: Random) -> str:
    return rng.choice([", ", "; "]).join(f"{word}{rng.choice([': ', ' = ', ' '])}{number}" for word, number in labels)


@quantities.keeps
def quantities_in_the_other_order(labels: Labels, rng: Random) -> str:
    return ", ".join(f"{word} {number}" for word, number in labels[::-1])


@quantities.changes
def quantities_swapped(labels: Labels, rng: Random) -> str:
    return ", ".join(f"{word} {number}" for word, number in swapped(labels))


shares = family(
    "named shares",
    lambda rng: list(
        zip(["switch", "stay"], rng.sample([f"{a}/{b}" for b in (5, 7, 9) for a in (2, 4)], 2), strict=True)
    ),
    lambda ls: "; ".join(f"{word} = {share}" for word, share in ls),
    "prose labels",
)
Shares = list[tuple[str, str]]


@shares.keeps
def shares_in_another_spelling(labels: Shares, rng: Random) -> str:
    form = rng.choice(["{}={}", "{}: {}", "{} {}"])
    return rng.choice([", ", "; ", " and "]).join(form.format(*label) for label in labels[:: rng.choice([1, -1])])


@shares.keeps
def shares_as_latex(labels: Shares, rng: Random) -> str:
    return ", ".join(f"\\text{{{word}}} = \\frac{{{share[0]}}}{{{share[2]}}}" for word, share in labels)


@shares.changes
def shares_exchanged(labels: Shares, rng: Random) -> str:
    (one, first), (two, second) = labels
    return rng.choice([", ", "; "]).join(rng.sample([f"{one} = {second}", f"{two} = {first}"], 2))


@shares.changes
def one_share_turned_over(labels: Shares, rng: Random) -> str:
    (one, first), (two, second) = labels
    return f"{one} = {first[::-1]}; {two} = {second}"


prices = family("prices", labels_of(GOODS, 2), lambda ls: ", ".join(f"${n} for {w}" for w, n in ls), "prose")


@prices.keeps
def prices_in_the_other_order(labels: Labels, rng: Random) -> str:
    return ", ".join(f"${number} for {word}" for word, number in labels[::-1])


@prices.changes
def prices_swapped(labels: Labels, rng: Random) -> str:
    return ", ".join(f"${number} for {word}" for word, number in swapped(labels))
