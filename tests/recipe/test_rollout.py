"""The section `rollout` refuses what would spoil every response."""

from __future__ import annotations

import pytest

from reasonrl.errors import RecipeError
from reasonrl.recipe.reading import parse_recipe

RECIPE = "name: stops\ndata:\n  train: {source: arithmetic}\nrollout:\n  stop: [END]\n"


@pytest.mark.parametrize(
    ("stop", "places"),
    [
        ('[""]', ["rollout.stop.0"]),
        ('["\\n", ""]', ["rollout.stop.1"]),
        ('["", a, ""]', ["rollout.stop.0", "rollout.stop.2"]),
    ],
)
def test_an_empty_stop_string_is_refused(stop: str, places: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(RECIPE.replace("[END]", stop), "r.yaml")
    for place in places:
        assert f"{place} (line 5): an empty string ends every response before its first token" in str(caught.value)
    assert f"{len(places)} mistake" in str(caught.value)


@pytest.mark.parametrize(("stop", "read"), [('["\\n"]', ["\n"]), ('[" "]', [" "]), ("[]", [])])
def test_other_stop_strings_are_taken(stop: str, read: list[str]) -> None:
    assert parse_recipe(RECIPE.replace("[END]", stop), "r.yaml").stages[0].rollout.stop == read


def test_an_empty_stop_string_is_named_beside_other_mistakes() -> None:
    with pytest.raises(RecipeError, match="2 mistakes") as caught:
        parse_recipe(RECIPE, "r.yaml", ['rollout.stop=[""]', "rollout.max_response_tokens=1"])
    assert "rollout.stop.0: " in str(caught.value)
    assert "rollout.max_response_tokens: " in str(caught.value)
