"""Composes cases: a family's reference, one rewrite of it, layouts, wording."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

from tests.verifiers.metamorphic import labelled, numbers  # noqa: F401 -- they register their families
from tests.verifiers.metamorphic.case import FAMILIES, Case, Family, Response, Transformation
from tests.verifiers.metamorphic.layout import LAYOUTS, Layout
from tests.verifiers.metamorphic.wording import WORDINGS, Wording

ATTEMPTS = 20
Lead = tuple[Family, Transformation] | Layout | Wording


def leads() -> list[Lead]:
    """Every transformation once; each case begins with one of them, so that all are tried equally often."""
    rewrites: list[Lead] = [(family, step) for family in FAMILIES for step in family.transformations]
    return [*rewrites, *LAYOUTS, *WORDINGS]


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
    for _ in range(ATTEMPTS):
        if isinstance(lead, tuple):
            family, step = lead
        else:
            family = rng.choice([family for family in FAMILIES if lead.needs <= family.traits])
            step = rng.choice([None, *family.transformations])
        parts = family.draw(rng)
        gold = family.write(parts)
        answer = gold if step is None else step.rewrite(parts, rng)
        if answer is None or (step is not None and answer == gold):
            continue
        equal = step is None or step.keeps
        trail = (family.name,) if step is None else (step.name,)
        case = decorated(Case(gold, answer, equal, "bare", trail), family.traits, lead, rng)
        if case is not None:
            return case
    return None


def decorated(case: Case, traits: frozenset[str], lead: Lead, rng: Random) -> Case | None:
    """The case with layouts and a wording, with the lead among them. None if the lead does not apply."""
    answer, trail = case.answer, case.trail
    if isinstance(answer, Response):
        return Case(case.gold, str(answer), case.equal, rng.choice(["lenient", "strict"]), trail)
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


def from_rows(path: Path, count: int, seed: int) -> Iterator[Case]:
    """Cases from the bare answers of a JSONL file with gold, pred, equivalent and perhaps form, the plain rows first."""
    rng = Random(seed)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    rows = [row for row in rows if row.get("form", "answer") == "answer"]
    for row in rows[:count]:
        yield Case(row["gold"], row["pred"], row["equivalent"], "bare", ("row",))
    steps: list[Lead] = [*LAYOUTS[:6], *(wording for wording in WORDINGS if not wording.needs)]
    for place in range(max(0, count - len(rows))):
        row = rows[place % len(rows)]
        base = Case(row["gold"], row["pred"], row["equivalent"], "bare", ("row",))
        case = decorated(base, frozenset(), rng.choice(steps), rng)
        if case is not None:
            yield case
