"""Lists whose order counts: indexed lists, matrices, ratios, orderings."""

from __future__ import annotations

from random import Random

from tests.verifiers.metamorphic.case import comma, distinct, family, one_changed, reordered

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
