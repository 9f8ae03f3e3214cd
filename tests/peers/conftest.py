"""Tests against other harnesses run by hand, and print their figures."""

from __future__ import annotations

import pytest

from tests.peers.comparison import COMPARISONS


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without `-m peers` these are skipped; with it a package that is missing is an error, not a skip."""
    if "peers" in config.option.markexpr:
        return
    for item in items:
        if "peers" in item.keywords and item.path.parent.name == "peers":
            item.add_marker(pytest.mark.skip(reason="by hand: make test-eval"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if COMPARISONS:
        terminalreporter.section("against other harnesses")
        for text in COMPARISONS:
            terminalreporter.write_line(text)
