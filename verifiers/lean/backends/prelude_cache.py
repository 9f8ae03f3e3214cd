"""The compiled prelude in the user's cache folder: compiling it takes longer than judging a proof."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

_DIGEST_BYTES = 64


def cache_folder() -> Path:
    """Below XDG_CACHE_HOME, else ~/.cache; nothing is created."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "reasonrl" / "lean"


def cached_module(key: str, build: Callable[[], bytes]) -> bytes:
    """A compiled module: from the cache, else built. A folder that cannot be written is no error.

    Args:
        key: all that the module depends on.
    """
    place = cache_folder() / f"{hashlib.blake2b(key.encode(), digest_size=16).hexdigest()}.olean"
    try:
        stored = place.read_bytes()
        if hashlib.blake2b(stored[_DIGEST_BYTES:]).digest() == stored[:_DIGEST_BYTES]:  # half a file after a full disk
            return stored[_DIGEST_BYTES:]
    except OSError:
        pass
    module = build()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place.parent, delete=False) as file:
            file.write(hashlib.blake2b(module).digest() + module)
        os.replace(file.name, place)
    except OSError:  # a home that cannot be written: it is built again the next time
        pass
    return module
