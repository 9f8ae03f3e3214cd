"""Counted things and numbers of persons: what is swapped between labels is another answer."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from tests.verifiers.metamorphic.case import Bare, distinct, family

THINGS = ("chickens", "rabbits", "ducks", "apples", "red balls", "blue balls", "nickels", "dimes", "boys", "girls")
NAMES = ("Alice", "Bob", "Carol", "Dan", "Ann", "Ben", "Eve")

Labels = list[tuple[str, int]]


def labels_of(words: tuple[str, ...], most: int) -> Callable[[Random], Labels]:
    def draw(rng: Random) -> Labels:
        count = rng.randint(2, most)
        return list(zip(rng.sample(words, count), distinct(rng, count, 2, 60), strict=True))

    return draw


def swapped(labels: Labels) -> Labels:
    (one, first), (two, second), *others = labels
    return [(one, second), (two, first), *others]


def _counted(labels: Labels) -> str:
    texts = [f"{number} {word}" for word, number in labels]
    return f"{', '.join(texts[:-1])} and {texts[-1]}"


counted = family("counted things", labels_of(THINGS, 3), _counted, "prose labels")


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
    return Bare(rng.choice([f"There are {_counted(swapped(labels))}.", _counted(swapped(labels)) + " in total"]))


@counted.changes
def bullets_swapped(labels: Labels, rng: Random) -> str:
    return Bare("\n".join(f"- {word}: {number}" for word, number in swapped(labels)[::-1]))


@counted.changes
def swapped_numbers(labels: Labels, rng: Random) -> str:
    return _counted(swapped(labels))


@counted.changes
def swapped_numbers_in_the_other_order(labels: Labels, rng: Random) -> str:
    return _counted(swapped(labels)[::-1])


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


named = family("named numbers", labels_of(NAMES, 3), _named, "prose labels")


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
    other = swapped(labels)[:: rng.choice([1, -1])]
    return Bare(rng.choice([" and ", ", "]).join(map(rng.choice(SHARES).format, *zip(*other, strict=True))))


@named.changes
def names_swapped(labels: Labels, rng: Random) -> str:
    return rng.choice([_named, lambda pairs: ", ".join(f"{a} {b}" for a, b in pairs)])(swapped(labels))


@named.changes
def another_name(labels: Labels, rng: Random) -> str:
    (_, number), *others = labels
    return _named([(rng.choice([n for n in NAMES if n not in dict(labels)]), number), *others])


@named.changes
def dropped_name(labels: Labels, rng: Random) -> str:
    return _named(labels[1:])
