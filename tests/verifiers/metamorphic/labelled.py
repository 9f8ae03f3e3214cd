"""Numbers with their words: what is swapped between labels is another answer."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.verifiers.metamorphic.case import Bare, distinct, family

THINGS = ("chickens", "rabbits", "ducks", "apples", "red balls", "blue balls", "nickels", "dimes", "boys", "girls")
NAMES = ("Alice", "Bob", "Carol", "Dan", "Ann", "Ben", "Eve")
PLACES = (("row", "column"), ("page", "line"), ("shelf", "box"), ("floor", "room"))
QUANTITIES = ("mean", "median", "mode", "range", "area", "perimeter", "width", "height")
GOODS = ("tea", "coffee", "milk", "bread")

Labels = list[tuple[str, int]]


def _pairs(words: tuple[str, ...], most: int) -> Callable[[Random], Labels]:
    def draw(rng: Random) -> Labels:
        count = rng.randint(2, most)
        return list(zip(rng.sample(words, count), distinct(rng, count, 2, 60), strict=True))

    return draw


def _swapped(labels: Labels) -> Labels:
    (one, first), (two, second), *others = labels
    return [(one, second), (two, first), *others]


def _counted(labels: Labels) -> str:
    texts = [f"{number} {word}" for word, number in labels]
    return f"{', '.join(texts[:-1])} and {texts[-1]}"


counted = family("counted things", _pairs(THINGS, 3), _counted, "prose labels")


@counted.keeps
def other_order(labels: Labels, rng: Random) -> str:
    return _counted(labels[::-1])


@counted.keeps
def other_separator(labels: Labels, rng: Random) -> str:
    return rng.choice([", ", "; ", " and "]).join(f"{number} {word}" for word, number in labels)


@counted.keeps
def label_first(labels: Labels, rng: Random) -> str:
    return ", ".join(f"{word}: {number}" for word, number in labels)


@counted.keeps
def words_as_text(labels: Labels, rng: Random) -> str:
    return ", ".join(f"{number} \\text{{ {word}}}" for word, number in labels)


@counted.keeps
def there_are(labels: Labels, rng: Random) -> str:
    return Bare(f"There are {_counted(labels)}.")


@counted.keeps
def bullets(labels: Labels, rng: Random) -> str:
    return Bare("\n".join(f"- {word}: {number}" for word, number in labels))


@counted.changes
def there_are_swapped(labels: Labels, rng: Random) -> str:
    return Bare(rng.choice([f"There are {_counted(_swapped(labels))}.", _counted(_swapped(labels)) + " in total"]))


@counted.changes
def bullets_swapped(labels: Labels, rng: Random) -> str:
    return Bare("\n".join(f"- {word}: {number}" for word, number in _swapped(labels)[::-1]))


@counted.changes
def swapped_numbers(labels: Labels, rng: Random) -> str:
    return _counted(_swapped(labels))


@counted.changes
def swapped_numbers_in_the_other_order(labels: Labels, rng: Random) -> str:
    return _counted(_swapped(labels)[::-1])


@counted.changes
def another_label(labels: Labels, rng: Random) -> str:
    (_, number), *others = labels
    return _counted([(rng.choice([w for w in THINGS if w not in dict(labels)]), number), *others])


@counted.changes
def another_number(labels: Labels, rng: Random) -> str:
    (word, number), *others = labels
    return _counted([(word, number + rng.choice([1, 10, 100])), *others])


@counted.changes
def dropped_label(labels: Labels, rng: Random) -> str:
    word, number = rng.choice(labels)
    return f"{number} {word}"


@counted.changes
def added_label(labels: Labels, rng: Random) -> str:
    return _counted([*labels, (rng.choice([w for w in THINGS if w not in dict(labels)]), rng.randint(2, 60))])


@counted.changes
def bare_numbers_in_the_other_order(labels: Labels, rng: Random) -> str:
    return ", ".join(str(number) for _, number in labels[::-1])


def _named(labels: Labels) -> str:
    return ", ".join(f"{name}: {number}" for name, number in labels)


named = family("named numbers", _pairs(NAMES, 3), _named, "prose labels")


@named.keeps
def names_in_the_other_order(labels: Labels, rng: Random) -> str:
    return _named(labels[::-1])


@named.keeps
def names_without_colons(labels: Labels, rng: Random) -> str:
    return ", ".join(f"{name} {number}" for name, number in labels)


@named.keeps
def names_with_equals(labels: Labels, rng: Random) -> str:
    return rng.choice(["; ", ", ", " and "]).join(f"{name} = {number}" for name, number in labels)


SHARES = ("{0} has {1}", "{0} gets {1}", "{1} for {0}", "{0} - {1}", "{0} = {1}")


@named.keeps
def names_in_a_sentence(labels: Labels, rng: Random) -> str:
    return Bare(rng.choice([" and ", ", "]).join(map(rng.choice(SHARES).format, *zip(*labels, strict=True))))


@named.keeps
def names_on_lines(labels: Labels, rng: Random) -> str:
    return Bare("\n".join(f"{rng.choice(['', '- ', '* '])}{name}: {number}" for name, number in labels))


@named.changes
def names_swapped_in_a_sentence(labels: Labels, rng: Random) -> str:
    swapped = _swapped(labels)[:: rng.choice([1, -1])]
    return Bare(rng.choice([" and ", ", "]).join(map(rng.choice(SHARES).format, *zip(*swapped, strict=True))))


@named.changes
def names_swapped(labels: Labels, rng: Random) -> str:
    return rng.choice([_named, lambda pairs: ", ".join(f"{a} {b}" for a, b in pairs)])(_swapped(labels))


@named.changes
def another_name(labels: Labels, rng: Random) -> str:
    (_, number), *others = labels
    return _named([(rng.choice([n for n in NAMES if n not in dict(labels)]), number), *others])


@named.changes
def dropped_name(labels: Labels, rng: Random) -> str:
    return _named(labels[1:])


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


quantities = family("named quantities", _pairs(QUANTITIES, 3), lambda ls: ", ".join(f"{w} {n}" for w, n in ls), "prose")


@quantities.keeps
def quantities_in_another_spelling(labels: Labels, rng: Random) -> str:
    return rng.choice([", ", "; "]).join(f"{word}{rng.choice([': ', ' = ', ' '])}{number}" for word, number in labels)


@quantities.keeps
def quantities_in_the_other_order(labels: Labels, rng: Random) -> str:
    return ", ".join(f"{word} {number}" for word, number in labels[::-1])


@quantities.changes
def quantities_swapped(labels: Labels, rng: Random) -> str:
    return ", ".join(f"{word} {number}" for word, number in _swapped(labels))


prices = family("prices", _pairs(GOODS, 2), lambda ls: ", ".join(f"${n} for {w}" for w, n in ls), "prose")


@prices.keeps
def prices_in_the_other_order(labels: Labels, rng: Random) -> str:
    return ", ".join(f"${number} for {word}" for word, number in labels[::-1])


@prices.changes
def prices_swapped(labels: Labels, rng: Random) -> str:
    return ", ".join(f"${number} for {word}" for word, number in _swapped(labels))
