"""Settings for all tests."""

from __future__ import annotations

from hypothesis import settings

# A deadline on a busy machine tests the machine; what has to be fast has a test of its own.
settings.register_profile("reasonrl", deadline=None)
settings.load_profile("reasonrl")
