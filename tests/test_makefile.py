"""Every target of the Makefile that a person may call is in `make help`."""

from __future__ import annotations

import re
from pathlib import Path

MAKEFILE = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")
PHONY = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split()
HELP = "\n".join(re.findall(r'^\t@echo "(.*)"$', MAKEFILE, re.MULTILINE))
RULES = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))


def test_targets_help_and_rules_are_the_same() -> None:
    assert set(PHONY) == RULES
    assert set(re.findall(r"make ([a-z][a-z-]*)", HELP)) == RULES - {"help"}
