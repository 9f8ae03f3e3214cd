"""Loads Lean's shared library, when this module is imported: once, before there are children.

A child of a fork finds it in place. Initialised as well, it saves the child more than a small proof costs.
"""

from __future__ import annotations

import ctypes
import os

from verifiers.lean.inside.names import INITIALISE, LIBRARY, PRELOADED
from verifiers.lean.inside.preloaded import PreloadedModule
from verifiers.sandbox.inside.large_pages import take_large_pages

_path = os.environ.pop(LIBRARY)
LEAN = ctypes.CDLL(_path, mode=ctypes.RTLD_GLOBAL)
take_large_pages(_path)
if os.environ.pop(INITIALISE, ""):
    LEAN.lean_initialize()
_threads = len(os.listdir("/proc/self/task"))  # Lean's event loop has one, which waits, and which no child needs
_module = os.environ.pop(PRELOADED, "")
PRELOADED_MODULE = PreloadedModule(LEAN, _module) if _module else None
if len(os.listdir("/proc/self/task")) != _threads:
    raise OSError("the import has started a thread, which a child of a fork would not have")
