"""Names that the modules of this folder share: environment variables of the zygote, which no program sees."""

from __future__ import annotations

LIBRARY = "LEAN_SHARED_LIBRARY"
"""The path of Lean's library."""
INITIALISE = "LEAN_INITIALISE"
"""Set where Lean is initialised before the first fork."""
REHEARSED = "LEAN_REHEARSED"
"""A module that is imported once before the first fork, where this release of Lean's library is known well enough."""
