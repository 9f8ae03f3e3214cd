"""The data source `term_proofs`: propositions that have to be proved by a term of Lean. Many proofs are right.

Which side of the split a proposition is on depends on it up to the names of its atoms, so no form of a held-out
statement is trained on.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from reasonrl.data.mistakes import refuse_unknown
from reasonrl.data.propositions import (
    Proposition,
    atoms,
    draw_proof,
    draw_proposition,
    renamed,
    statement,
    with_a_mistake,
)
from reasonrl.data.task_options import within, wrong_numbers
from reasonrl.errors import DataError
from verifiers.types import Problem

HEADER = "import MiniPrelude"
ATOMS = ("p", "q", "r")
FALSE_SHARE = 0.08
LONGEST_PROOF = 12
"""Words of the shortest of the proofs that are drawn."""
SHORTEST_PROOF = 4
_DRAWS = 4
_MISSES = 20_000


@dataclass(frozen=True, slots=True)
class _Options:
    """The options, checked, with their defaults."""

    size: int
    seed: int
    repeat: int = 1
    split: str = "train"
    test_share: float = 0.2
    connectives: tuple[int, int] = (3, 6)
    careless: float = 0.0


def term_proofs(options: dict[str, Any], *, seed: int = 0) -> list[Problem]:
    """Problems of kind "lean", each with a proof in reference["demonstration"]. Where `repeat` is 1, a right one is
    reference["proof"], which a check of the data runs; demonstrations by the thousand are not run.

    Options:
        size: how many propositions.
        repeat: how many problems are generated from each, with the proof drawn again (1).
        connectives: how many connectives a proposition has, [least, most] ([3, 6]).
        careless: share of the demonstrations with one mistake: another hypothesis, projection or side (0).
        split, test_share: train or test; a proposition's side depends on it up to the names of its atoms.

    Raises DataError.
    """
    checked = _checked(options, seed)
    stem = f"{checked.split}-{checked.seed}"
    rng, rng_of_proofs = random.Random(f"term proofs {stem}"), random.Random(f"proofs of {stem}")
    problems: list[Problem] = []
    for proposition, short_proof in _propositions(checked, rng):
        theorem = f"theorem t ({' '.join(ATOMS)} : Prop) : {statement(proposition)} :="
        reference = {"statement": f"{theorem} sorry", "header": HEADER}
        for _ in range(checked.repeat):
            proof = (checked.repeat > 1 and draw_proof(proposition, rng_of_proofs)) or short_proof
            solution = {"proof": proof} if checked.repeat == 1 else {}
            careless = rng_of_proofs.random() < checked.careless
            written = with_a_mistake(proof, rng_of_proofs) if careless else proof
            problems.append(
                Problem(
                    f"term_proofs/{stem}-{len(problems)}",
                    f"{theorem}\n",
                    "lean",
                    {**reference, "demonstration": f"{written}\n", **solution},
                    "term_proofs",
                    {"careless": careless},
                )
            )
    return problems


def generate(options: dict[str, Any], *, seed: int, split: str | None, limit: int | None) -> list[Problem]:
    """The source `term_proofs` of a recipe. Raises DataError."""
    chosen = {"split": split, **options} if split is not None else options
    return term_proofs(chosen, seed=seed)[:limit]


def _propositions(options: _Options, rng: random.Random) -> Iterator[tuple[Proposition, str]]:
    """Different propositions of one side of the split, each with a short proof."""
    seen: set[Proposition] = set()
    misses = 0
    while len(seen) < options.size:
        proposition = draw_proposition(rng, rng.randint(*options.connectives), ATOMS, FALSE_SHARE)
        form = _canonical(proposition)
        proof = None
        if atoms(proposition) and form not in seen and _side(form, options.test_share) == options.split:
            proof = _short_proof(proposition, rng)
        if proof is None:
            misses += 1
            if misses > _MISSES:
                raise DataError(
                    f"term_proofs: found only {len(seen):,} different propositions of {options.size:,}; ask for fewer,"
                    " or widen connectives"
                )
            continue
        misses = 0
        seen.add(form)
        yield proposition, proof


def _short_proof(proposition: Proposition, rng: random.Random) -> str | None:
    """The shortest of a few drawn proofs; None without one, or where it is too short or too long."""
    proofs = [proof for _ in range(_DRAWS) if (proof := draw_proof(proposition, rng)) is not None]
    shortest = min(proofs, key=len, default=None)
    if shortest is None or not SHORTEST_PROOF <= len(shortest.split()) <= LONGEST_PROOF:
        return None
    return shortest


def _canonical(proposition: Proposition) -> Proposition:
    """With its atoms named in the order in which they come."""
    return renamed(proposition, dict(zip(atoms(proposition), ATOMS, strict=False)))


def _side(form: Proposition, test_share: float) -> str:
    digest = hashlib.blake2b(statement(form).encode(), digest_size=8).digest()
    return "test" if int.from_bytes(digest) < test_share * 2**64 else "train"


def _checked(options: dict[str, Any], seed: int) -> _Options:
    """All options with their defaults. Raises DataError with all that is wrong."""
    refuse_unknown(options, [field.name for field in fields(_Options)], "term_proofs")
    if "size" not in options:
        raise DataError("term_proofs: the option size is missing; write the number of propositions")
    given = {"seed": seed} | options
    wrong = wrong_numbers(given, shares=("test_share", "careless"))
    connectives = given.get("connectives", [3, 6])
    if not (isinstance(connectives, list | tuple) and len(connectives) == 2 and _is_range(*connectives)):
        wrong.append(f"connectives must be [least, most] from 1 to 12, not {connectives!r}")
    if wrong:
        raise DataError(f"term_proofs: {'; '.join(wrong)}")
    return _Options(**given | {"connectives": tuple(connectives)})


def _is_range(least: Any, most: Any) -> bool:
    return within(least, 1, 12) and within(most, least, 12)
