"""The typed recipe: everything about one stage of a run, and all of it fits together.

`reasonrl.recipe.reading` reads the YAML file, applies `key=value` overrides, and reports every mistake at once. A
recipe of several stages lists them under `stages:`; each stage is the common part of the file under its own keys.
"""

from __future__ import annotations

from pydantic import model_validator

from reasonrl.recipe.advice import ADVICE
from reasonrl.recipe.mistakes import MistakesError
from reasonrl.recipe.rules import RULES
from reasonrl.recipe.settings import StageSettings


class Recipe(StageSettings):
    """One stage of a run, complete and checked."""

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Recipe:
        mistakes = [mistake for rule in RULES for mistake in rule(self)]
        if mistakes:
            raise MistakesError(mistakes)
        return self

    def warnings(self) -> list[str]:
        """Warnings about settings that are valid but rarely intended."""
        return [warning.describe() for advice in ADVICE for warning in advice(self)]
