"""Responses that a policy could learn to write for credit without knowing the answer, or without giving it."""

from __future__ import annotations

from random import Random

from tests.verifiers.metamorphic import attacks, disguises  # noqa: F401 -- they register the attacks
from tests.verifiers.metamorphic.attack import ATTACKS, Registered, Target, marked
from tests.verifiers.metamorphic.case import FAMILIES, Case, Family, Response, other_digit
from tests.verifiers.metamorphic.generate import ATTEMPTS
from tests.verifiers.metamorphic.hedges import HEDGES


def adversaries(count: int, seed: int) -> list[Case]:
    """So many responses, the same for the same seed: every attack, every hedge, and verdict-changing rewrites."""
    rng = Random(seed)
    cases: list[Case] = []
    while len(cases) < count:
        round_of_cases = [_attacked(registered, rng) for registered in ATTACKS]
        for hedge in HEDGES:
            target = _target(_family({"scalar", "choice"}, rng), rng)
            round_of_cases.append(_case(target, hedge.put(target.gold, target.wrong, rng), hedge.name))
        # as many rewrites as attacks: they are tried at length elsewhere
        round_of_cases += [case for _ in ATTACKS if (case := _rewritten(rng)) is not None]
        rng.shuffle(round_of_cases)
        cases += round_of_cases
    return cases[:count]


def _case(target: Target, text: str, name: str) -> Case:
    return Case(target.gold, text, False, "strict", (name,))


def _family(traits: set[str], rng: Random) -> Family:
    return rng.choice([family for family in FAMILIES if family.traits & traits])


def _target(family: Family, rng: Random) -> Target:
    gold = family.write(family.draw(rng))
    wrong = other_digit(gold, rng) or rng.choice([letter for letter in "ABCDE" if letter != gold])
    others = [number for number in rng.sample(range(2, 90), 12) if str(number) != gold]
    return Target(gold, wrong, others)


def _attacked(registered: Registered, rng: Random) -> Case:
    target = _target(_family(set(registered.needs), rng), rng)
    text = registered.attack(target, rng)
    return _case(target, text if registered.is_marked else marked(text, rng), registered.name)


def _rewritten(rng: Random) -> Case | None:
    for _ in range(ATTEMPTS):
        family = rng.choice(FAMILIES)
        steps = [step for step in family.transformations if not step.keeps]
        if not steps:
            continue
        step = rng.choice(steps)
        parts = family.draw(rng)
        text = step.rewrite(parts, rng)
        gold = family.write(parts)
        if text is not None and text != gold:
            whole = str(text) if isinstance(text, Response) else marked(text, rng)
            return Case(gold, whole, False, "strict", (step.name,))
    return None
