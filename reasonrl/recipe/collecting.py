"""The part of a recipe that writes problems for later stages: kinds `collect` and `game`."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from pydantic import field_validator, model_validator

from critics.sneaky import SneakyPrompt
from reasonrl.recipe.critics import OptionalRole, Role, RoleSpec
from reasonrl.recipe.fields import Count, CountOrZero, Drawn, OneOf, Share, Spec, Temperature
from reasonrl.recipe.mistakes import Mistake, MistakesError


class CollectSpec(Spec):
    """Judged solutions of a policy: labelled ones for critics to learn from, or correct ones for the policy itself
    (rejection sampling).
    """

    make: Literal["critiques", "responses"] = "critiques"
    """`critiques` writes solutions to judge, with their labels. `responses` writes problems, each with a correct
    response of the policy to learn from.
    """
    critic: OptionalRole = None
    """With `make: responses`, this role criticises incorrect responses, which the policy then refines
    (AutoMathCritique). Empty: only correct responses are kept.
    """
    shortcut_margin: CountOrZero = 2
    """With `make: responses`, a refinement is dropped as a shortcut when it holds fewer numbers than the response
    before it, by more than this.
    """
    samples_per_problem: Drawn = 4
    """The policy writes this many solutions to each problem."""
    temperature: Temperature = 1.0
    """Solutions are sampled at this temperature."""
    steps: Literal["auto", "paragraphs", "lines", "sentences"] = "auto"
    """A solution is split into steps at these boundaries."""
    labeller: Annotated[str, OneOf(("monte_carlo",), or_dotted=True)] | None = None
    """Steps are labelled by `monte_carlo`, or by a function of yours that takes (problem, solution) and returns the
    index of the first incorrect step. Empty: only answers are labelled.
    """
    completions_per_step: Drawn = 8
    """With `labeller: monte_carlo`, this many completions are drawn from each step."""
    completer: OptionalRole = None
    """With `labeller: monte_carlo`, this role continues from each step. A stronger model makes better labels. Empty:
    the policy that wrote the solutions.
    """
    demonstrator: str | None = None
    """This `package.module:function(problem, solution, format)` returns a critique for the supervised phase. Empty: no
    demonstrations are written.
    """
    balance: Literal["none", "all", "problem"] = "all"
    """With `make: critiques`, as many correct as incorrect solutions are kept, over `all` problems or for each
    `problem`. Where most solutions are incorrect, "always incorrect" is the best constant critic.
    """
    limit: Count | None = None
    """At most this many rows of each set are kept, after balancing. Empty: all of them."""
    cut: Literal["none", "last_step"] = "none"
    """`last_step` ends each solution at the step to be judged: the first incorrect one, or a random step of a solution
    without errors (SPC).
    """

    @model_validator(mode="after")
    def _keys_have_an_effect(self) -> CollectSpec:
        mistakes = []
        if self.make == "critiques" and self.critic is not None:
            text = "has no effect with make: critiques; write make: responses, or leave it out"
            mistakes.append(Mistake(("critic",), text, (("make",),)))
        if self.make == "responses":
            unused = [key for key in ("labeller", "demonstrator") if getattr(self, key)]
            unused += ["cut"] if self.cut != "none" else []
            text = "applies to make: critiques only; leave it out with make: responses"
            mistakes += [Mistake((key,), text, (("make",),)) for key in unused]
        if self.completer is not None and self.labeller != "monte_carlo":
            text = "only labeller: monte_carlo completes steps; write that, or leave completer out"
            mistakes.append(Mistake(("completer",), text, (("labeller",),)))
        if mistakes:
            raise MistakesError(mistakes)
        return self


class GameSpec(Spec):
    """SPC's game (self-play, arXiv:2504.19162): who plays, and when a corrupted step counts as harmful."""

    sneaky: Role = RoleSpec(temperature=1.0)
    """This role corrupts a step of a correct solution."""
    solver: Role = RoleSpec(temperature=0.7)
    """This role completes solutions, which shows whether a corrupted step is harmful."""
    critic: Role = RoleSpec(temperature=1.0)
    """This role looks for the corrupted step."""
    solutions: Count | None = None
    """Steps of this many correct solutions are corrupted. Empty: those of all solutions."""
    attempts_per_solution: Drawn = 1
    """Steps of each solution are corrupted this many times."""
    completions: Drawn = 8
    """The solver writes this many completions from the correct step and from the corrupted one."""
    least_before: Share = 0.75
    """A step is harmful only if at least this share of the completions from the correct step is correct."""
    most_after: Share = 0.0
    """A step is harmful only if at most this share of the completions from the corrupted step is correct."""
    detected_reward: Literal[-1, 0] = -1
    """The sneaky generator earns this when the critic detects its step. Sources differ on the value."""
    prompt: dict[str, str | list[str]] = {}
    """These texts replace parts of the sneaky generator's prompt: `instruction`, `prompt_template`, `empty_prefix`, and
    `error_types`, a list of the kinds of error to ask for (see `critics/sneaky.py`).
    """

    @field_validator("prompt")
    @classmethod
    def _texts_are_known(cls, texts: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
        known = [field.name for field in dataclasses.fields(SneakyPrompt)]
        if unknown := sorted(set(texts) - set(known)):
            raise MistakesError([Mistake((), f"unknown text {', '.join(unknown)}; choose from {', '.join(known)}")])
        mistakes = []
        for name, text in texts.items():
            is_list = name == "error_types"
            if isinstance(text, list) is not is_list or not text:
                expected = "a list of at least one text" if is_list else "one text"
                mistakes.append(Mistake((name,), f"expected {expected}, got {text!r}"))
        if mistakes:
            raise MistakesError(mistakes)
        return texts
