"""A critic as a reward: what trainers ask for that know reward models alone (`/classify`, `/v1/embeddings`, a reply
that ends in a box).

They want one number. A critique that could not be read has none, so the critic is asked again, `TRIES` times in all,
with other seeds and never greedily. Where no critique can be read even then, a box is left out, and `/classify` gives
the number that whoever runs the server has chosen for that, or refuses.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

from critics.strategies.base import CriticUnavailable
from critics.types import Critique, Judgement
from reasonrl.engines.base import derive_seed
from reasonrl.serving.play import Cast, ModelPlay
from reasonrl.serving.rendered import ChatTemplate, Renderer, TextTemplate, read_rendered
from reasonrl.serving.usage import Usage
from reasonrl.serving.voices import BadPrompt
from verifiers.types import Message, Problem

TRIES = 4
TEMPERATURE_AGAIN = 0.7
"""The least one of a critic that is asked again: a greedy one would say the same."""


@dataclass(frozen=True)
class RewardOptions:
    """What requests of reward models do not say.

    Attributes:
        chat_template: of the texts that `/classify` is sent.
        text_template: of these as well, and of a user's message that holds both, for the model with boxes.
        names: by which `/classify` may call the critic besides its own: paths, as verl has them.
        critiques: for one number; the critic must not be greedy if it is more than 1.
        unread: the probability that stands for a solution of which no critique could be read. None: none does.
        boxed_name: of the model whose replies end in a box. None: boxed-CRITIC.
    """

    chat_template: ChatTemplate | None = None
    text_template: TextTemplate | None = None
    names: frozenset[str] = frozenset()
    critiques: int = 1
    unread: float | None = None
    boxed_name: str | None = None

    @property
    def renderers(self) -> list[Renderer]:
        return [one for one in (self.chat_template, self.text_template) if one is not None]


class Unread(Exception):
    """No critique could be read, and no number stands for that."""


def split_chat(chat: Sequence[Message], templates: Sequence[Renderer]) -> tuple[list[Message], str] | None:
    """The messages that ask, and the solution: the last message, if it is the assistant's, or what a template cuts out
    of the last one. None where there is no solution.
    """
    *earlier, last = chat
    if last["role"] == "assistant":
        return (earlier, last["content"]) if any(message["role"] == "user" for message in earlier) else None
    return split_text(last["content"], templates)


def split_text(text: str, renderers: Sequence[Renderer]) -> tuple[list[Message], str] | None:
    """The same of a text that was rendered."""
    pair = read_rendered(renderers, text)
    if pair is None or not pair[0].strip():
        return None
    return [{"role": "user", "content": pair[0]}], pair[1]


@dataclass
class Review:
    """What came of one solution."""

    critiques: list[Critique] = field(default_factory=list)
    """All that were asked for, also those of earlier tries."""
    probability: float | None = None
    """That the solution is right: the share of critiques that accept it, of those of the last try that were read; the
    mean of their scores in formats that have one. None: none was read.
    """
    why: str | None = None
    """Of an abstention: "unread", or "refused": the critic cannot be given this, for its length say."""
    usage: Usage = field(default_factory=Usage)

    @property
    def verdict(self) -> Judgement | None:
        """What is more likely. None: nothing is."""
        if self.probability is None or self.probability == 0.5:
            return None
        return Judgement.CORRECT if self.probability > 0.5 else Judgement.INCORRECT


async def review(cast: Cast, problem: Problem, solution: str, seed: int, critiques: int) -> Review:
    """Asks the critic. Raises CriticUnavailable where it fails for another reason than the prompt."""
    result = Review()
    for attempt in range(TRIES):
        sampling = cast.critic_sampling
        if attempt:
            sampling = replace(sampling, temperature=max(sampling.temperature, TEMPERATURE_AGAIN))
        trial_seed = derive_seed(seed, "try", attempt) if attempt else seed
        game = ModelPlay(replace(cast, critic_sampling=sampling), problem, trial_seed)
        try:
            written, _ = await game.critiques_of(solution, None, critiques)
        except CriticUnavailable as error:
            if not isinstance(error.__cause__, BadPrompt):
                raise
            result.why = "refused"
            return result
        finally:
            result.usage.merge(game.usage)
        result.critiques += written
        result.probability = share(written)
        if result.probability is not None:
            return result
    result.why = "unread"
    return result


def share(critiques: Sequence[Critique]) -> float | None:
    """Of the critiques that were read, the share that accepts, or the mean of their scores. None where none was."""
    read = [critique for critique in critiques if critique.judgement is not None]
    if not read:
        return None
    return fmean(
        critique.score if critique.score is not None else float(critique.judgement is Judgement.CORRECT)
        for critique in read
    )


def class_json(index: int, outcome: Review, unread: float | None) -> dict[str, Any]:
    """One row of `/classify`. An abstention has no label, and the number that stands for one."""
    shown = _number(outcome, unread)
    return {
        "index": index,
        "label": outcome.verdict and outcome.verdict.value,
        "probs": [1 - shown, shown],
        "num_classes": 2,
        "reasonrl": {"abstained": outcome.probability is None},
    }


def embedding_json(index: int, outcome: Review, unread: float | None) -> dict[str, Any]:
    """One row of `/v1/embeddings`."""
    return {
        "object": "embedding",
        "index": index,
        "embedding": [_number(outcome, unread)],
        "reasonrl": {"abstained": outcome.probability is None},
    }


def _number(outcome: Review, unread: float | None) -> float:
    shown = unread if outcome.probability is None else outcome.probability
    assert shown is not None
    return shown


_BOX = re.compile(r"\\(?=f?box)")


def boxed_text(outcome: Review) -> str:
    r"""The feedback of the last critique, and the verdict in the only box of the text: `\boxed{True}` or
    `\boxed{False}`. Without a verdict there is no box.
    """
    feedback = _BOX.sub("", outcome.critiques[-1].feedback if outcome.critiques else "").strip()
    if outcome.verdict is None:
        return feedback
    verdict = f"\\boxed{{{outcome.verdict is Judgement.CORRECT}}}"
    return f"{feedback}\n\n{verdict}" if feedback else verdict
