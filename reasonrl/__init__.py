"""reasonrl: reinforcement learning of reasoning with critics and verifiable rewards."""

from __future__ import annotations

from reasonrl._installation import check_verifiers

__version__ = "0.1.0"

check_verifiers()
