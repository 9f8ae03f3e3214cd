"""Answers of several members: tuples, sets, solutions of one unknown, values of several unknowns."""

from __future__ import annotations

from random import Random

from tests.verifiers.metamorphic.case import Response, comma, distinct, family, one_changed, reordered

Numbers = list[int]


def _several(rng: Random) -> Numbers:
    return [number * rng.choice([1, 1, -1]) for number in distinct(rng, rng.randint(2, 4), 2, 40)]


pair = family("tuple", _several, lambda ns: f"({comma(ns)})", "math")


@pair.keeps
def column_vector(ns: Numbers, rng: Random) -> str:
    kind = rng.choice(["pmatrix", "bmatrix"])
    rows = " \\\\ ".join(map(str, ns))
    return f"\\begin{{{kind}}} {rows} \\end{{{kind}}}"


@pair.keeps
def angle_brackets(ns: Numbers, rng: Random) -> str:
    return f"\\langle {comma(ns)} \\rangle"


@pair.keeps
def column_in_an_array(ns: Numbers, rng: Random) -> str:
    rows = " \\\\ ".join(map(str, ns))
    return f"\\left( \\begin{{array}}{{c}} {rows} \\end{{array}} \\right)"


@pair.keeps
def tuple_spacing(ns: Numbers, rng: Random) -> str:
    return f"({rng.choice([',', ' , ', ',' + chr(92) + ' ', ', ' + chr(92) + ',']).join(map(str, ns))})"


@pair.keeps
def tuple_with_names(ns: Numbers, rng: Random) -> str | None:
    return f"({', '.join('xyzw'[: len(ns)])}) = ({comma(ns)})"


@pair.changes
def tuple_in_another_order(ns: Numbers, rng: Random) -> str:
    return f"({comma(reordered(ns, rng))})"


@pair.changes
def tuple_with_one_member_changed(ns: Numbers, rng: Random) -> str:
    return f"({comma(one_changed(ns, rng))})"


@pair.changes
def tuple_shorter_or_longer(ns: Numbers, rng: Random) -> str:
    return f"({comma(rng.choice([[*ns[1:], 99, 98], [*ns, 99], [*ns, ns[-1]], [0, *ns]]))})"


@pair.changes
def tuple_as_a_number(ns: Numbers, rng: Random) -> str:
    return rng.choice(["".join(str(abs(n)) for n in ns), " + ".join(map(str, ns)), str(ns[0])])


members = family("set", _several, lambda ns: f"\\{{{comma(ns)}\\}}", "math")


@members.keeps
def set_in_another_order(ns: Numbers, rng: Random) -> str:
    return f"\\{{{comma(reordered(ns, rng))}\\}}"


@members.keeps
def element_of(ns: Numbers, rng: Random) -> str:
    return f"{rng.choice('axm')} \\in \\{{{comma(ns)}\\}}"


@members.keeps
def set_as_solutions(ns: Numbers, rng: Random) -> str:
    return rng.choice([" \\text{ or } ", ", "]).join(f"x={n}" for n in reordered(ns, rng))


@members.keeps
def set_as_a_list(ns: Numbers, rng: Random) -> str:
    return comma(reordered(ns, rng))


@members.changes
def set_with_one_member_changed(ns: Numbers, rng: Random) -> str:
    return f"\\{{{comma(one_changed(ns, rng))}\\}}"


@members.changes
def set_with_one_member_less(ns: Numbers, rng: Random) -> str:
    return f"\\{{{comma(rng.sample(ns, len(ns) - 1))}\\}}"


@members.changes
def set_with_one_member_more(ns: Numbers, rng: Random) -> str:
    return f"\\{{{comma(rng.sample([*ns, 99], len(ns) + 1))}\\}}"


roots = family("solutions", _several, lambda ns: " \\text{ or } ".join(f"a={n}" for n in ns), "math")


@roots.keeps
def solutions_in_another_order(ns: Numbers, rng: Random) -> str:
    return rng.choice([" \\text{ or } ", ", ", "; "]).join(f"a={n}" for n in reordered(ns, rng))


@roots.keeps
def solutions_as_a_set(ns: Numbers, rng: Random) -> str:
    return f"a \\in \\{{{comma(reordered(ns, rng))}\\}}"


@roots.keeps
def solutions_as_a_list(ns: Numbers, rng: Random) -> str:
    return rng.choice([f"a={comma(ns)}", comma(ns)])


@roots.changes
def one_solution_changed(ns: Numbers, rng: Random) -> str:
    return " \\text{ or } ".join(f"a={n}" for n in one_changed(ns, rng))


@roots.changes
def one_solution_lost(ns: Numbers, rng: Random) -> str:
    return " \\text{ or } ".join(f"a={n}" for n in rng.sample(ns, len(ns) - 1))


both_signs = family("both signs", lambda rng: rng.randint(2, 99), "\\pm {}".format, "math")


@both_signs.keeps
def both_signs_as_a_list(n: int, rng: Random) -> str:
    return rng.choice(
        [
            "{0}, -{0}",
            "-{0}, {0}",
            "x = \\pm {0}",
            "x={0} \\text{{ or }} x=-{0}",
            "±{0}",
            "\\{{{0}, -{0}\\}}",
            "{0} \\text{{ or }} -{0}",
        ]
    ).format(n)


@both_signs.changes
def one_of_both_signs(n: int, rng: Random) -> str:
    return rng.choice([f"{n}", f"-{n}", f"\\pm {n + 1}", f"\\{{{n}, {-n - 1}\\}}"])


unknowns = family(
    "values of unknowns",
    lambda rng: list(zip("xyz"[: rng.randint(2, 3)], _several(rng) * 2, strict=False)),
    lambda vs: ", ".join(f"{x}={n}" for x, n in vs),
    "math",
)
Values = list[tuple[str, int]]


@unknowns.keeps
def values_in_another_order(vs: Values, rng: Random) -> str:
    return rng.choice([", ", " \\text{ and } ", "; "]).join(f"{x} = {n}" for x, n in vs[::-1])


@unknowns.keeps
def values_as_a_tuple(vs: Values, rng: Random) -> str:
    return f"({', '.join(x for x, _ in vs)}) = ({', '.join(str(n) for _, n in vs)})"


@unknowns.keeps
def one_box_a_value(vs: Values, rng: Random) -> str:
    return Response(rng.choice([" and ", ",\n", "\n", "\n\n"]).join(f"\\boxed{{{x}={n}}}" for x, n in vs))


@unknowns.changes
def values_swapped(vs: Values, rng: Random) -> str | None:
    (x, one), (y, two), *others = vs
    return None if one == two else ", ".join(f"{name}={n}" for name, n in [(x, two), (y, one), *others])


@unknowns.changes
def one_value_changed(vs: Values, rng: Random) -> str:
    (x, one), *others = vs
    return ", ".join(f"{name}={n}" for name, n in [(x, one + 50), *others])


@unknowns.changes
def one_value_lost(vs: Values, rng: Random) -> str:
    return ", ".join(f"{x}={n}" for x, n in vs[1:])


@unknowns.changes
def another_unknown(vs: Values, rng: Random) -> str:
    return ", ".join(f"{x}={n}" for x, n in [("w", vs[0][1]), *vs[1:]])


points = family(
    "points with both signs", lambda rng: distinct(rng, 2, 2, 30), lambda ab: f"({ab[0]}, \\pm {ab[1]})", "math"
)


@points.keeps
def points_as_a_list(ab: Numbers, rng: Random) -> str:
    return rng.choice(
        ["({0}, {1}), ({0}, -{1})", "\\{{({0}, -{1}), ({0}, {1})\\}}", "({0}, {1}) \\text{{ and }} ({0}, -{1})"]
    ).format(*ab)


@points.changes
def one_point_alone(ab: Numbers, rng: Random) -> str:
    return rng.choice(
        ["({0}, {1})", "({0}, -{1})", "(\\pm {0}, {1})", "(\\pm {0}, \\pm {1})", "({0}, {1}), (-{0}, {1})"]
    ).format(*ab)


statements = family("set of letters", lambda rng: "".join(sorted(rng.sample("ABCD", 2))), str, "some")


@statements.keeps
def letters_apart(letters: str, rng: Random) -> str:
    return rng.choice(["{}, {}", "{} and {}", "{},{}", "{1}{0}", "({}), ({})", "\\text{{{}, {}}}"]).format(*letters)


@statements.changes
def another_set_of_letters(letters: str, rng: Random) -> str:
    others = [letter for letter in "ABCD" if letter not in letters]
    return rng.choice(
        [letters[0] + others[0], letters[0], letters + others[1], f"{letters[0]}, {others[0]}", "".join(others)]
    )
