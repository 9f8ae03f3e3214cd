"""Whether a backend that answers from elsewhere judges at all: a proof passes, and one that assumes what it proves does
not. Without this a server that says nothing would look like one on which every proof fails.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

from verifiers.lean.judgement import judge_run
from verifiers.lean.statement import challenge_text, check_text, read_statement
from verifiers.lean.types import LeanLimits, LeanUnavailable, Run, Script

RunScript = Callable[[Script, LeanLimits], Run]
_NAME = "reasonrl_probe"
_LIMITS = LeanLimits(cpu_s=100.0)
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+[^\s\"]*")


def probe(run: RunScript, name: str, imports: tuple[str, ...]) -> str:
    """Lean's version, as far as the backend says. Raises LeanUnavailable."""
    statement = read_statement(f"theorem {_NAME} : True := sorry", "".join(f"import {name}\n" for name in imports))
    for proof, expected in (("True.intro", True), ("sorry", False)):
        nonce, check_nonce = secrets.token_hex(8), secrets.token_hex(8)
        script = Script(
            statement.imports,
            "",
            challenge_text(statement, nonce),
            f"{statement.text} := {proof}\n",
            check_text(statement, nonce, check_nonce),
            f"Scope_{secrets.token_hex(8)}",
        )
        judged = judge_run(run(script, _LIMITS), check_nonce)
        if judged.is_proof is not expected:
            raise LeanUnavailable(f"the backend {name} does not judge as it should: {judged.reason}")
    return version_of(run, imports)


def version_of(run: RunScript, imports: tuple[str, ...]) -> str:
    """Lean's version, as Lean says it; "unknown" where it does not, as without `Init`."""
    script = Script(imports, "", "", "", "#eval Lean.versionString\n", f"Scope_{secrets.token_hex(8)}")
    check = run(script, _LIMITS).check
    texts = [match[0] for message in check.messages if (match := _VERSION.search(message.text))] if check else []
    return texts[0] if texts and check and check.is_sound else "unknown"
