"""Untrusted programs: run these programs with these inputs under these limits; outcomes as data.

`open_sandbox()` takes the strongest isolation that this machine offers, and fails if it offers none.
"""

from verifiers.sandbox.choice import open_sandbox
from verifiers.sandbox.types import (
    Call,
    Ending,
    Input,
    Limits,
    Outcome,
    Sandbox,
    SandboxUnavailable,
    Stdin,
)

__all__ = [
    "Call",
    "Ending",
    "Input",
    "Limits",
    "Outcome",
    "Sandbox",
    "SandboxUnavailable",
    "Stdin",
    "open_sandbox",
]
