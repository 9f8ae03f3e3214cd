"""What a dry run checks besides the data itself: links to data that later stages read, and constant rewards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reasonrl.environments.single_turn import encode_prompt
from reasonrl.models.special_tokens import closing_tag, opened_thought, special_tokens
from reasonrl.recipe.data import SourceSpec
from reasonrl.recipe.links import PREFIX
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.base import RewardPart
from reasonrl.stages.base import StageKind
from verifiers.errors import NoGoldResponse
from verifiers.types import Problem, Verifier

PROBES = ("", " ", "x", "12", "\\boxed{1}", "<think>x</think>12", "<think>\nx\n</think>\n<answer>1</answer>")
"""Responses of different shapes: a format reward that cannot tell them apart is a constant."""
MARKERS = ("<answer>", "\\boxed{")
"""What a prompt may open for the model. A thought that it opens is part of the response's text."""


def without_links(recipe: Recipe) -> tuple[Recipe, dict[str, str]]:
    """The recipe without the sets that an earlier stage will write, and a line of the plan for each of these sets."""
    data, later = recipe.data, {}
    train, links = _split(data.train_sources)
    if links:
        later["train"] = f"comes from {', '.join(links)}; checked when that stage has run"
    replay, links = _split(data.replay_sources)
    if links:
        later["replay"] = f"comes from {', '.join(links)}"
    heldout = {}
    for name, source in data.heldout.items():
        if source.source.startswith(PREFIX):
            later[name] = f"comes from {source.source}"
        else:
            heldout[name] = source
    present = data.model_copy(update={"train": train, "replay": replay, "heldout": heldout})
    return recipe.model_copy(update={"data": present}), later


def _split(sources: Sequence[SourceSpec]) -> tuple[list[SourceSpec], list[str]]:
    """The sources that exist already, and the links among the others."""
    present = [source for source in sources if not source.source.startswith(PREFIX)]
    return present, [source.source for source in sources if source.source.startswith(PREFIX)]


def shown_target(kind: StageKind, recipe: Recipe, verifier: Verifier, problem: Problem) -> str:
    """What the plan shows as the target of a problem; empty where its reference holds no right response."""
    try:
        return kind.target(recipe, verifier, problem)
    except NoGoldResponse:
        return ""


def reward_warnings(parts: Sequence[RewardPart], problems: Sequence[Problem], tokenizer: Any) -> list[str]:
    """Reward parts besides correctness that cannot teach anything. Only the first problem is tried."""
    if not problems:
        return []
    checked = [(part.name, part.verifier) for part in parts[1:] if part.verifier is not None]
    warnings = [constant_warning(name, verifier, problems[0], tokenizer) for name, verifier in checked]
    return [warning for warning in warnings if warning is not None]


def constant_warning(name: str, verifier: Verifier, problem: Problem, tokenizer: Any) -> str | None:
    """A format part that gives every response the same score, by itself or because the prompt already holds what it
    looks for.
    """
    gold = _gold(verifier, problem)
    probes = [*PROBES, *([gold] if gold is not None else [])]
    scores = {verdict.score for verdict in verifier.verify(probes, [problem.reference] * len(probes))}
    if len(scores) == 1:
        return f"reward.{name}: gives the same score to every response that was tried; change its options"
    if gold is None:
        return None
    if not _scores_one(verifier, gold, problem):
        return f"reward.{name}: its own gold response does not score 1; check the options of its verifier"
    return prefill_warning(name, verifier, problem, gold, tokenizer)


def prefill_warning(name: str, verifier: Verifier, problem: Problem, gold: str, tokenizer: Any) -> str | None:
    """A prompt that opens <answer> itself leaves nothing for the model to open: the format reward would stay 0."""
    prompt_end = tokenizer.decode(encode_prompt(tokenizer, problem))[-40:].rstrip()
    for marker in MARKERS:
        if not prompt_end.endswith(marker) or not gold.lstrip().startswith(marker):
            continue
        if not _scores_one(verifier, gold.lstrip().removeprefix(marker), problem):
            return (
                f"reward.{name}: the prompt already ends in {marker}, so a response that continues from there"
                " scores 0 and the part is constant. Leave the marker out of the pattern"
            )
    return None


def response_view(tokenizer: Any, problems: Sequence[Problem]) -> str:
    """Which special tokens stand in the text of a response, and what the first prompt puts before it."""
    line = special_tokens(tokenizer).line()
    opened = opened_thought(tokenizer, encode_prompt(tokenizer, problems[0])) if problems else ""
    if opened:
        closing = closing_tag(opened)
        line += f"; begins with {opened!r}, which the prompt opens: without {closing} nothing is read as the answer"
    return line


def taught_thought_warning(tokenizer: Any, problem: Problem, target: str) -> str | None:
    """A prompt that opens a thought, and a taught response that does not close it: its answer would not be read."""
    opened = opened_thought(tokenizer, encode_prompt(tokenizer, problem))
    if not opened or closing_tag(opened) in target:
        return None
    return (
        f"the prompt opens a thought ({opened!r}), and the response that is taught never closes it, so its answer is"
        f" part of the thought. Write {closing_tag(opened)} into sft.response before the answer, or a prompt that"
        " opens no thought"
    )


def _gold(verifier: Verifier, problem: Problem) -> str | None:
    """None for a verifier that cannot write one."""
    try:
        return verifier.gold_response(problem.reference)
    except ValueError:
        return None


def _scores_one(verifier: Verifier, response: str, problem: Problem) -> bool:
    return verifier.verify([response], [problem.reference])[0].score == 1.0
