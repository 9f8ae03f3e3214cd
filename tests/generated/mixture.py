"""All kinds of generated cases. A file that adds a kind adds its strategies to a group here."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.generated import data_files, functions, models, recipes, yaml_texts
from tests.generated.case import Case

GROUPS: dict[str, tuple[float, tuple[st.SearchStrategy[Case], ...]]] = {
    "recipes": (
        0.4,
        (
            recipes.wrong_types(),
            recipes.misspelt_keys(),
            recipes.doubled_keys(),
            recipes.odd_paths(),
            recipes.written_otherwise(),
            yaml_texts.replaced_sections(),
            yaml_texts.replaced_sections(),
            yaml_texts.not_recipes(),
            yaml_texts.overrides(),
        ),
    ),
    "data files": (
        0.3,
        (
            data_files.wrong_rows(),
            data_files.wrong_lines(),
            data_files.wrong_files(),
            data_files.other_spellings(),
            data_files.any_text(),
            data_files.floats(),
            data_files.judged_rows(),
        ),
    ),
    "functions": (
        0.2,
        (
            functions.wrong_rewards(),
            functions.right_rewards(),
            functions.wrong_verifiers(),
            functions.wrong_sources(),
        ),
    ),
    "models": (0.1, (models.wrong_templates(), models.damaged_templates(), models.damaged_models())),
}
"""Name -> its share of the examples, and its strategies."""


def examples(group: str, total: int) -> int:
    """How many of `total` examples are of a group."""
    return round(GROUPS[group][0] * total)


def cases(group: str) -> st.SearchStrategy[Case]:
    return st.one_of(*GROUPS[group][1])
