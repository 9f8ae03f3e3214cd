"""Loads Lean's shared library, when this module is imported: once, before there are children.

A child of a fork finds it in place. Initialised as well, it saves the child more than a small proof costs.
"""

from __future__ import annotations

import ctypes
import os

from verifiers.lean.inside.large_pages import take_large_pages
from verifiers.lean.inside.names import IMPORTED, INITIALISE, LIBRARY
from verifiers.lean.inside.prepared import Prepared

_path = os.environ.pop(LIBRARY)
LEAN = ctypes.CDLL(_path, mode=ctypes.RTLD_GLOBAL)
take_large_pages(_path)
if os.environ.pop(INITIALISE, ""):
    LEAN.lean_initialize()
_module = os.environ.pop(IMPORTED, "")
PREPARED = Prepared(LEAN, _module) if _module else None
