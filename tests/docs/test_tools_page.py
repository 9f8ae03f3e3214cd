"""docs/tools.md: the tool of its example works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.environments.tools.scripted_policy import TOKENIZER, play

PAGE = (Path(__file__).parents[2] / "docs" / "tools.md").read_text(encoding="utf-8")


def test_the_tool_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    (tmp_path / "my_tools.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    episode, _ = play(["Call: pear\n", "Call: plum\n", "4\n"], tools=["my_tools:price"])
    text = TOKENIZER.decode(episode.trained_trajectory.response_ids)
    assert "Result: 4\n" in text and "there is no fruit 'plum'; there are apple, pear" in text
    assert [call.status for call in episode.tool_use.calls] == ["ok", "error"] if episode.tool_use else False
