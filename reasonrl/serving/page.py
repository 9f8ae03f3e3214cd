"""The page at `/`: one file with its styles and its script, and the policy under which browsers show it."""

from __future__ import annotations

import dataclasses
import json

from critics.strategies import STRATEGIES
from reasonrl.runs.viewer import content_policy
from reasonrl.runs.viewer_page import page_html

_OPTIONS = b"/* strategy options */ {}"


def load_page() -> tuple[bytes, str]:
    """The page, and its Content-Security-Policy: its own script runs and no other, and it asks this server only."""
    page = page_html("reasonrl.serving", "page.html").replace(_OPTIONS, json.dumps(strategy_options()).encode())
    return page, content_policy(page)


def strategy_options() -> dict[str, dict[str, int]]:
    """The options of each strategy and their defaults, so that the page asks for no other."""
    return {
        name: {option.name: option.default for option in dataclasses.fields(kind) if isinstance(option.default, int)}
        for name, kind in STRATEGIES.items()
    }
