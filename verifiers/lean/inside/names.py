"""Names that the modules of this folder share: environment variables of the zygote, which no program sees."""

from __future__ import annotations

LIBRARY = "LEAN_SHARED_LIBRARY"
"""The path of Lean's library."""
INITIALISE = "LEAN_INITIALISE"
"""Set where Lean is initialised before the first fork."""
PRELOADED = "LEAN_PRELOADED"
"""A module that is imported before the first fork."""
