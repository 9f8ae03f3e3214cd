"""Progress bars of transformers: on a terminal, and nowhere else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partialmethod

_LOCK = threading.RLock()


@contextmanager
def bars_on_terminals_only() -> Iterator[None]:
    """Inside, a bar of tqdm shows only where stderr is a terminal: in a file each of its frames would be a line.

    transformers' own switch reaches neither the bar of a GGUF file nor tells a terminal from a file; tqdm's `disable`
    of None does both. Models that are loaded in several threads are loaded one after another.
    """
    from tqdm.std import tqdm

    with _LOCK:
        original: Callable[..., None] = tqdm.__init__
        tqdm.__init__ = partialmethod(original, disable=None)
        try:
            yield
        finally:
            tqdm.__init__ = original
