"""Composes cases: a family's reference, one rewrite of it, layouts, then a wording or a hedge."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from random import Random

from tests.verifiers.metamorphic import (  # noqa: F401 -- they register their families
    amounts,
    arrays,
    choices,
    closed_forms,
    expressions,
    formulas,
    labelled,
    measures,
    members,
    numbers,
    places,
    ranges,
    relations,
)
from tests.verifiers.metamorphic.case import FAMILIES, Bare, Case, Family, Response, Transformation, other_digit
from tests.verifiers.metamorphic.hedges import HEDGES, Hedge
from tests.verifiers.metamorphic.layout import LAYOUTS, Layout
from tests.verifiers.metamorphic.wording import WORDINGS, Wording

ATTEMPTS = 20
TURNED = 0.15
"""How often the rewritten text is the reference and the plain one the answer: equality has no direction."""
_NUMBER = re.compile(r"-?[1-9]\d*")
_NUMBERS_ALONE = re.compile(
    r"(?:[\d\s,.()\[\]{}/+-]|\\[dt]?frac|\\left|\\right|\\[,!])*\d(?:[\d\s,.()\[\]{}]|\\right)*"
)
"""Of these, each digit counts: numbers, fractions, tuples, intervals, sums."""
Lead = tuple[Family, Transformation] | Layout | Wording | Hedge


def leads() -> list[Lead]:
    """Every transformation once; each case is built around one of them, so that all are tried equally often."""
    rewrites: list[Lead] = [(family, step) for family in FAMILIES for step in family.transformations]
    return [*rewrites, *LAYOUTS, *WORDINGS, *HEDGES]


def generated(count: int, seed: int) -> list[Case]:
    """So many cases, the same for the same seed."""
    rng = Random(seed)
    cases: list[Case] = []
    order = leads()
    while len(cases) < count:
        rng.shuffle(order)
        cases += [case for lead in order if (case := _case(lead, rng)) is not None]
    return cases[:count]


def _case(lead: Lead, rng: Random) -> Case | None:
    if isinstance(lead, Hedge):
        return _hedged(lead, rng)
    for _ in range(ATTEMPTS):
        case = _attempt(lead, rng)
        if case is not None:
            return case
    return None


def _attempt(lead: Lead, rng: Random) -> Case | None:
    step: Transformation | None
    if isinstance(lead, tuple):
        family, step = lead
    else:
        family = rng.choice([family for family in FAMILIES if lead.needs <= family.traits])
        step = rng.choice([None, *family.transformations])
    parts = family.draw(rng)
    gold = family.write(parts)
    answer = gold if step is None else step.rewrite(parts, rng)
    if answer is None or (step is not None and answer == gold):
        return None
    trail: tuple[str, ...] = (family.name,) if step is None else (step.name,)
    if step is not None and rng.random() < TURNED and not isinstance(answer, Response | Bare):
        gold, answer, trail = answer, gold, (*trail, "turned")
    case = Case(gold, answer, step is None or step.keeps, "bare", trail)
    if isinstance(answer, Response | Bare):
        mode = "bare" if isinstance(answer, Bare) else rng.choice(["lenient", "strict"])
        return Case(gold, str(answer), case.equal, mode, trail) if isinstance(lead, tuple) else None
    return decorated(case, family.traits, lead, rng)


def _hedged(lead: Hedge, rng: Random) -> Case:
    """The right answer beside a wrong one that differs in a digit or is another letter."""
    family = rng.choice([family for family in FAMILIES if family.traits & {"scalar", "choice"}])
    gold = family.write(family.draw(rng))
    wrong = other_digit(gold, rng) or rng.choice([letter for letter in "ABCDE" if letter != gold])
    return Case(gold, lead.put(gold, wrong, rng), False, rng.choice(["lenient", "strict"]), (family.name, lead.name))


def decorated(case: Case, traits: frozenset[str], lead: Lead, rng: Random) -> Case | None:
    """The case with layouts and a wording, with the lead among them. None if the lead does not apply."""
    answer, trail = case.answer, case.trail
    fitting = [layout for layout in LAYOUTS if layout.needs <= traits]
    layouts = rng.sample(fitting, min(len(fitting), rng.choice([0, 0, 1, 2])))
    if isinstance(lead, Layout):
        layouts = [lead, *(layout for layout in layouts if layout is not lead)]
    for layout in layouts:
        text = layout.set(answer, rng)
        if text is not None and text != answer:
            answer, trail = text, (*trail, layout.name)
        elif layout is lead:
            return None
    if isinstance(lead, Wording):
        wording: Wording | None = lead
    else:
        wording = rng.choice([None, rng.choice([wording for wording in WORDINGS if wording.needs <= traits])])
    if wording is None:
        return Case(case.gold, answer, case.equal, "bare", trail)
    mode = rng.choice(["lenient", "strict"]) if wording.marked else "lenient"
    return Case(case.gold, wording.put(answer, rng), case.equal, mode, (*trail, wording.name))


def rows_of(path: Path) -> list[Case]:
    """The bare answers of a JSONL file with gold, pred, equivalent and perhaps form."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [
        Case(str(row["gold"]), row["pred"], row["equivalent"], "bare", (f"row {row.get('id', place)}",))
        for place, row in enumerate(rows, start=1)
        if row.get("form", "answer") == "answer" and _can_be_wrapped(row["pred"])
    ]


def _can_be_wrapped(text: str) -> bool:
    return (
        text.count("{") == text.count("}")
        and "boxed" not in text
        and not re.search(r"\. |。", text)
        and not text.endswith("\\")
    )


def around_rows(rows: Sequence[Case], count: int, seed: int) -> list[Case]:
    """Cases from rows: layouts and wordings that fit every answer, and changes of those that are numbers."""
    rng = Random(seed)
    steps: list[Layout | Wording] = [*LAYOUTS, *WORDINGS]
    steps = [step for step in steps if not step.needs]
    cases: list[Case] = []
    for place in range(count if rows else 0):
        row = rows[place % len(rows)]
        if row.equal and _digits_count(row) and rng.random() < 0.5:
            cases.append(_changed(row, rng))
        elif (case := decorated(row, frozenset(), rng.choice(steps), rng)) is not None:
            cases.append(case)
    return cases


def _digits_count(row: Case) -> bool:
    """Not where more decimals than the reference has are rounded to it."""
    return _NUMBERS_ALONE.fullmatch(row.answer) is not None and (
        "." not in row.answer + row.gold or row.answer == row.gold
    )


def _changed(row: Case, rng: Random) -> Case:
    wrong = str(other_digit(row.answer, rng))
    if not _NUMBER.fullmatch(row.answer) or rng.random() < 0.5:
        return Case(row.gold, wrong, False, "bare", (*row.trail, "another digit"))
    hedge = rng.choice(HEDGES)
    return Case(row.gold, hedge.put(row.answer, wrong, rng), False, "lenient", (*row.trail, hedge.name))
