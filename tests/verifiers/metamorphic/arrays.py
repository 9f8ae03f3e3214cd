"""Lists whose order counts: indexed lists, matrices, ratios, orderings."""

from __future__ import annotations

from random import Random

from tests.verifiers.metamorphic.case import Response, comma, distinct, family, one_changed, reordered

Numbers = list[int]

indexed = family(
    "indexed list",
    lambda rng: (rng.randint(2, 20), distinct(rng, 3, 2, 40)),
    lambda it: f"{', '.join(f'T({it[0] + i})' for i in range(3))} = {comma(it[1])}",
    "math",
)
Indexed = tuple[int, Numbers]


@indexed.keeps
def each_with_its_index(it: Indexed, rng: Random) -> str:
    return ", ".join(f"T({it[0] + i}) = {n}" for i, n in enumerate(it[1]))


@indexed.keeps
def values_alone(it: Indexed, rng: Random) -> str:
    return comma(it[1])


@indexed.changes
def values_alone_in_another_order(it: Indexed, rng: Random) -> str:
    return comma(reordered(it[1], rng))


@indexed.changes
def indexed_in_another_order(it: Indexed, rng: Random) -> str:
    first, numbers = it
    return f"{', '.join(f'T({first + i})' for i in range(3))} = {comma(reordered(numbers, rng))}"


@indexed.changes
def indexed_value_changed(it: Indexed, rng: Random) -> str:
    return ", ".join(f"T({it[0] + i}) = {n}" for i, n in enumerate(one_changed(it[1], rng)))


terms = family(
    "terms of a sequence",
    lambda rng: distinct(rng, 3, 2, 60),
    lambda ns: ", ".join(f"a_{i}={n}" for i, n in enumerate(ns, start=1)),
    "math",
)


@terms.keeps
def terms_before_the_values(ns: Numbers, rng: Random) -> str:
    return rng.choice(["a_1, a_2, a_3 = {}, {}, {}", "(a_1, a_2, a_3) = ({}, {}, {})"]).format(*ns)


@terms.keeps
def terms_in_another_order(ns: Numbers, rng: Random) -> str:
    return "a_3 = {2}, a_{{1}} = {0}, a_2 = {1}".format(*ns)


@terms.changes
def terms_with_other_values(ns: Numbers, rng: Random) -> str:
    form = ["a_1={}, a_2={}, a_3={}", "a_1, a_2, a_3 = {}, {}, {}", "(a_1, a_2, a_3) = ({}, {}, {})", "{}, {}, {}"]
    return rng.choice(form).format(*reordered(ns, rng))


@terms.changes
def terms_with_another_index(ns: Numbers, rng: Random) -> str:
    return rng.choice(["a_0={}, a_1={}, a_2={}", "b_1={}, b_2={}, b_3={}", "a_1={}, a_2={}, a_4={}"]).format(*ns)


def _cells(rng: Random) -> Numbers:
    return [number * rng.choice([1, -1]) for number in distinct(rng, 4, 1, 20)]


def _matrix(ns: Numbers, kind: str = "pmatrix") -> str:
    return "\\begin{{{4}}} {0} & {1} \\\\ {2} & {3} \\end{{{4}}}".format(*ns, kind)


matrix = family("matrix", _cells, _matrix, "math")


@matrix.keeps
def other_brackets(ns: Numbers, rng: Random) -> str:
    return _matrix(ns, rng.choice(["bmatrix", "matrix"]))


@matrix.keeps
def matrix_with_a_name(ns: Numbers, rng: Random) -> str:
    return f"{rng.choice(['A', 'M', 'A^{-1}'])} = {_matrix(ns)}"


@matrix.changes
def transposed(ns: Numbers, rng: Random) -> str:
    return _matrix([ns[0], ns[2], ns[1], ns[3]])


@matrix.changes
def rows_swapped(ns: Numbers, rng: Random) -> str:
    return _matrix(rng.choice([[*ns[2:], *ns[:2]], [ns[1], ns[0], ns[3], ns[2]]]))


@matrix.changes
def one_cell_changed(ns: Numbers, rng: Random) -> str:
    return _matrix(one_changed(ns, rng))


@matrix.changes
def cells_in_a_row(ns: Numbers, rng: Random) -> str:
    return rng.choice(["\\begin{{pmatrix}} {} & {} & {} & {} \\end{{pmatrix}}", "({}, {}, {}, {})"]).format(*ns)


ratio = family("ratio", lambda rng: distinct(rng, 3, 2, 30), lambda ns: ":".join(map(str, ns)), "math one")


@ratio.keeps
def ratio_in_another_spelling(ns: Numbers, rng: Random) -> str:
    return rng.choice([" : ", " \\text{ to } ", " \\colon ", "∶"]).join(map(str, ns))


@ratio.changes
def ratio_in_another_order(ns: Numbers, rng: Random) -> str:
    return ":".join(map(str, reordered(ns, rng)))


@ratio.changes
def ratio_with_one_number_changed(ns: Numbers, rng: Random) -> str:
    return rng.choice(["{}:{}:{}", "{1}:{2}"]).format(ns[0] + 31, *ns[1:])


@ratio.changes
def ratio_as_a_list(ns: Numbers, rng: Random) -> str:
    return rng.choice(["".join(map(str, ns)), f"\\{{{comma(ns)}\\}}"])


ordering = family("ordering", lambda rng: rng.sample("ABCDE", 3), " < ".join, "math one")


@ordering.keeps
def ordering_from_the_other_end(letters: list[str], rng: Random) -> str:
    return " > ".join(letters[::-1])


@ordering.changes
def another_ordering(letters: list[str], rng: Random) -> str:
    other = letters[:]
    while other == letters:
        rng.shuffle(other)
    return rng.choice([" < ".join(other), " > ".join(letters), " \\le ".join(letters)])


Labels = list[tuple[str, int]]
parts = family(
    "parts of a question",
    lambda rng: list(zip("abc", distinct(rng, rng.randint(2, 3), 2, 60), strict=False)),
    lambda labels: ", ".join(f"({letter}) {n}" for letter, n in labels),
    "prose",
)


def _swapped(labels: Labels) -> Labels:
    (one, first), (two, second), *others = labels
    return [(one, second), (two, first), *others]


@parts.keeps
def parts_in_another_spelling(labels: Labels, rng: Random) -> str:
    form, between = rng.choice([("({}) {}", "; "), ("({}) {}", " "), ("{}) {}", ", "), ("({}): {}", ", ")])
    return between.join(form.format(*label) for label in labels)


@parts.keeps
def parts_without_letters(labels: Labels, rng: Random) -> str:
    return comma([n for _, n in labels])


@parts.keeps
def one_box_a_part(labels: Labels, rng: Random) -> str:
    return Response("\n".join(f"({letter}) The value is \\boxed{{{n}}}." for letter, n in labels))


@parts.changes
def parts_swapped(labels: Labels, rng: Random) -> str:
    between = rng.choice([", ", " ", "; "])
    return between.join(f"({letter}) {n}" for letter, n in _swapped(labels))


@parts.changes
def one_part_changed(labels: Labels, rng: Random) -> str:
    return ", ".join(f"({letter}) {n + (letter == 'b')}" for letter, n in labels)


@parts.changes
def one_part_alone(labels: Labels, rng: Random) -> str:
    return rng.choice([f"({labels[0][0]}) {labels[0][1]}", str(labels[1][1])])


extremes = family(
    "extremes",
    lambda rng: sorted(distinct(rng, 2, 2, 60), reverse=True),
    lambda c: "a_{{\\max}}={}, a_{{\\min}}={}".format(*c),
    "math",
)


@extremes.keeps
def extremes_in_the_other_order(c: Numbers, rng: Random) -> str:
    return rng.choice(["a_{{\\min}}={1}, a_{{\\max}}={0}", "a_{{\\max}}={0} \\text{{ and }} a_{{\\min}}={1}"]).format(
        *c
    )


@extremes.changes
def extremes_exchanged(c: Numbers, rng: Random) -> str:
    return rng.choice(
        ["a_{{\\max}}={1}, a_{{\\min}}={0}", "a_{{\\min}}={0}, a_{{\\max}}={1}", "a_{{\\max}}={0}"]
    ).format(*c)


long_list = family("long list", lambda rng: sorted(distinct(rng, rng.randint(20, 60), 1, 5000)), comma, "math")


@long_list.keeps
def long_list_spacing(ns: Numbers, rng: Random) -> str:
    return rng.choice([",", " , ", ",\\ ", "; "]).join(map(str, ns))


@long_list.changes
def long_list_with_one_number_changed(ns: Numbers, rng: Random) -> str:
    return comma(one_changed(ns, rng)) if len(set(ns)) == len(ns) else comma(ns[1:])


@long_list.changes
def long_list_with_one_number_less(ns: Numbers, rng: Random) -> str:
    place = rng.randrange(len(ns))
    return comma(ns[:place] + ns[place + 1 :])
