"""Writing weights: a full disk is told in the same words whoever writes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """safetensors tells of a full disk in words alone; callers are to get the OSError that every other writer raises."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        number = next((n for n in (errno.ENOSPC, errno.EDQUOT) if f"(os error {n})" in str(error)), None)
        if number is None:
            raise
        raise OSError(number, os.strerror(number), str(folder)) from error
