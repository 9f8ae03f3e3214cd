"""The part of a recipe that writes problems for later stages: kinds `collect` and `game`."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from pydantic import field_validator, model_validator

from critics.sneaky import SneakyPrompt
from reasonrl.recipe.critics import OptionalRole, Role, RoleSpec
from reasonrl.recipe.fields import Count, CountOrZero, OneOf, Positive, Share, Spec
from reasonrl.recipe.mistakes import Mistake, MistakesError


class CollectSpec(Spec):
    """Judged solutions of a policy: labelled ones for critics to learn from, or correct ones for the policy itself
    (rejection sampling).
    """

    make: Literal["critiques", "responses"] = "critiques"
    """`critiques`: solutions to judge, with their labels. `responses`: problems with a correct response of the policy
    to learn from.
    """
    critic: OptionalRole = None
    """Responses: who criticises incorrect ones, which the policy then refines (AutoMathCritique). Empty: only correct
    responses are kept.
    """
    shortcut_margin: CountOrZero = 2
    """Responses: a refinement that holds fewer numbers than the response before it, by more than this, has left its
    reasoning out and is dropped.
    """
    samples_per_problem: Count = 4
    """The policy writes this many solutions to each problem."""
    temperature: Positive = 1.0
    """The sampling temperature."""
    steps: Literal["auto", "paragraphs", "lines", "sentences"] = "auto"
    """How a solution is split into steps."""
    labeller: Annotated[str, OneOf(("monte_carlo",), or_dotted=True)] | None = None
    """Who labels steps: `monte_carlo`, or `package.module:function(problem, solution)`, which returns the index of the
    first incorrect step. Empty: only answers are labelled.
    """
    completions_per_step: Count = 8
    """Monte Carlo: this many completions are drawn from each step."""
    completer: OptionalRole = None
    """Monte Carlo: who continues from each step. Empty: the policy that wrote the solutions. A stronger model makes
    better labels.
    """
    demonstrator: str | None = None
    """`package.module:function(problem, solution, format)`, which returns a critique to learn from, for the supervised
    phase. Empty: none is written.
    """
    balance: Literal["none", "all", "problem"] = "all"
    """Critiques: keep as many correct as incorrect solutions, over all problems or for each one. Where most are
    incorrect, "always incorrect" is the best constant critic.
    """
    limit: Count | None = None
    """Keep at most this many rows of each set, after balancing. Empty: all."""
    cut: Literal["none", "last_step"] = "none"
    """`last_step`: each solution ends in the step to be judged: the first incorrect one, or a random one of a solution
    without any (SPC).
    """

    @model_validator(mode="after")
    def _keys_have_an_effect(self) -> CollectSpec:
        mistakes = []
        if self.make == "critiques" and self.critic is not None:
            text = "plays no part in collecting solutions to judge; write make: responses, or leave it out"
            mistakes.append(Mistake(("critic",), text, (("make",),)))
        if self.make == "responses":
            unused = [key for key in ("labeller", "demonstrator") if getattr(self, key)]
            unused += ["cut"] if self.cut != "none" else []
            text = "is about solutions to judge; with make: responses leave it out"
            mistakes += [Mistake((key,), text, (("make",),)) for key in unused]
        if self.completer is not None and self.labeller != "monte_carlo":
            text = "only labeller: monte_carlo continues from steps; write that, or leave completer out"
            mistakes.append(Mistake(("completer",), text, (("labeller",),)))
        if mistakes:
            raise MistakesError(mistakes)
        return self


class GameSpec(Spec):
    """SPC's game (self-play, arXiv:2504.19162): who plays, and when a corrupted step counts as harmful."""

    sneaky: Role = RoleSpec(temperature=1.0)
    """Who corrupts a step of a correct solution."""
    solver: Role = RoleSpec(temperature=0.7)
    """Who completes solutions, to find out whether a corrupted step is harmful."""
    critic: Role = RoleSpec(temperature=1.0)
    """Who looks for the corrupted step."""
    solutions: Count | None = None
    """Corrupt steps of this many correct solutions. Empty: of all."""
    attempts_per_solution: Count = 1
    """Steps of each solution are corrupted this many times."""
    completions: Count = 8
    """The solver writes this many completions from the correct step and from the corrupted one."""
    least_before: Share = 0.75
    """A step is harmful only if at least this share of the completions from the correct step is correct."""
    most_after: Share = 0.0
    """A step is harmful only if at most this share of the completions from the corrupted step is correct."""
    detected_reward: Literal[-1, 0] = -1
    """The reward of the sneaky generator when the critic finds its step. Sources differ."""
    prompt: dict[str, str | list[str]] = {}
    """Texts of the sneaky generator's prompt: `instruction`, `prompt_template`, `empty_prefix`, and `error_types`, a
    list of the kinds of error to ask for (see `critics.sneaky`).
    """

    @field_validator("prompt")
    @classmethod
    def _texts_are_known(cls, texts: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
        known = [field.name for field in dataclasses.fields(SneakyPrompt)]
        if unknown := sorted(set(texts) - set(known)):
            raise MistakesError([Mistake((), f"no text {', '.join(unknown)}; write {', '.join(known)}")])
        mistakes = []
        for name, text in texts.items():
            is_list = name == "error_types"
            if isinstance(text, list) is not is_list or not text:
                expected = "a list of at least one text" if is_list else "one text"
                mistakes.append(Mistake((name,), f"expected {expected}, got {text!r}"))
        if mistakes:
            raise MistakesError(mistakes)
        return texts
