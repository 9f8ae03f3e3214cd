"""The page at `/`: one file with its styles and its script, and the policy under which browsers show it."""

from __future__ import annotations

import json

from critics.strategies import STRATEGIES
from reasonrl.runs.viewer import content_policy
from reasonrl.runs.viewer_page import page_html
from reasonrl.serving.service import options_of

_OPTIONS = b"/* strategy options */ {}"


def load_page() -> tuple[bytes, str]:
    """The page, and its Content-Security-Policy: its own script runs and no other, and it asks this server only. It
    knows the options of each strategy, so that it asks for no other.
    """
    page = page_html("reasonrl.serving", "page.html").replace(
        _OPTIONS, json.dumps({name: options_of(name) for name in STRATEGIES}).encode()
    )
    return page, content_policy(page)
