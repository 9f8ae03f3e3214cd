"""Settings for all tests."""

from __future__ import annotations

import gc

import pytest
from hypothesis import settings

# A deadline on a busy machine tests the machine; what has to be fast has a test of its own.
settings.register_profile("reasonrl", deadline=None)
settings.load_profile("reasonrl")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is one long test goes first, so that the other process has work beside it."""
    items.sort(key=lambda item: item.path.name not in ("test_readme.py", "test_vllm_metrics.py"))


def pytest_collection_finish() -> None:
    """What was imported lives as long as the process: it is not looked through for garbage again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)
