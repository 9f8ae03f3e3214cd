"""Settings for all tests."""

from __future__ import annotations

import gc

from hypothesis import settings

# A deadline on a busy machine tests the machine; what has to be fast has a test of its own.
settings.register_profile("reasonrl", deadline=None)
settings.load_profile("reasonrl")


def pytest_collection_finish() -> None:
    """What was imported lives as long as the process: it is not looked through for garbage again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)
