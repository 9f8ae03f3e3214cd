"""Loads Lean's shared library, when this module is imported: once, before there are children.

A child of a fork finds it in place. Initialised as well, it saves the child more than a small proof costs.
"""

from __future__ import annotations

import ctypes
import os

from verifiers.lean.inside.names import INITIALISE, LIBRARY

_library = ctypes.CDLL(os.environ.pop(LIBRARY), mode=ctypes.RTLD_GLOBAL)
if os.environ.pop(INITIALISE, ""):
    _library.lean_initialize()
