"""Hostile programs as data. `SCRIPTS` run as a script, `CALLS` define `answer(x)`, which should give x + 1."""

from __future__ import annotations

from tests.verifiers.sandbox.attacks.attack import MARK, Attack
from tests.verifiers.sandbox.attacks.claims import CLAIMS
from tests.verifiers.sandbox.attacks.escapes import ESCAPES
from tests.verifiers.sandbox.attacks.floods import FLOODS
from tests.verifiers.sandbox.attacks.judging import CHEATS
from tests.verifiers.sandbox.attacks.kernel import KERNEL
from tests.verifiers.sandbox.attacks.neighbours import NEIGHBOURS

SCRIPTS: tuple[Attack, ...] = (*ESCAPES, *KERNEL, *NEIGHBOURS, *FLOODS)
CALLS: tuple[Attack, ...] = (*CHEATS, *CLAIMS)

__all__ = ["CALLS", "MARK", "SCRIPTS", "Attack"]
