"""The part of a recipe that trains critics, or trains with them: how a critique looks, what it earns, who the other
roles are.
"""

from __future__ import annotations

import functools
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import BeforeValidator, Field, model_validator

from critics.formats import load_format
from critics.formats.base import CritiqueFormat
from reasonrl.errors import RecipeError
from reasonrl.recipe.fields import (
    MOST_DRAWN,
    Count,
    GreedyOrSampled,
    NamedSpec,
    NotNegative,
    OneOf,
    Positive,
    Seconds,
    Spec,
    named,
)
from reasonrl.recipe.guarded_format import GuardedFormat
from reasonrl.recipe.mistakes import Mistake, MistakesError
from reasonrl.user_code.guards import call_user_code

REWARDS = ("critique_rl", "refcritic", "ctrl", "criticlean", "crl", "deepcritic", "spc")


class FormatSpec(NamedSpec):
    """A critique format and its options."""

    name: str = "step_sentence"
    """Critiques are asked for and read in this format (docs/critics.md). All other keys of this section are its
    options.
    """

    @model_validator(mode="after")
    def _can_be_loaded(self) -> FormatSpec:
        self.load()
        return self

    def load(self) -> CritiqueFormat:
        """The format. Raises ValueError for an unknown name or option, and for what the user's module raises."""
        if ":" not in self.name:
            return load_format(self.name, **self.options)
        make = functools.partial(load_format, self.name, **self.options)
        subject = f"the critique format {self.name} cannot be loaded"
        format: CritiqueFormat = call_user_code(subject, make, error_class=RecipeError, passes=(ValueError,))
        return cast(CritiqueFormat, GuardedFormat(format, "format"))


Format = Annotated[FormatSpec, BeforeValidator(named)]


class RoleSpec(Spec):
    """A role that is not trained. `model` alone decides where it runs."""

    model: str = "same"
    """The role runs on this model: `same` (the weights that are being trained), `stage:NAME` (what that stage ended
    with), a Hugging Face id, a folder, a run, or the address of an OpenAI-compatible server, such as
    `http://127.0.0.1:8000/v1`.
    """
    served_name: str | None = None
    """A server is asked for the model of this name. Empty: the only one that it serves."""
    temperature: GreedyOrSampled = 0.0
    """Texts are sampled at this temperature; 0 is greedy."""
    max_new_tokens: Count = 512
    """A text is cut off after this many tokens."""
    stop: tuple[str, ...] = ()
    """A text ends at the first of these strings."""
    timeout_s: Seconds = 120.0
    """A request to a server fails after this many seconds."""
    api_key_env: str = "OPENAI_API_KEY"
    """A server that needs a key gets the value of this environment variable."""

    @model_validator(mode="after")
    def _stop_strings_have_text(self) -> Self:
        text = "an empty string ends every text before its first token; delete it, or write the text to stop at"
        if mistakes := [Mistake(("stop", i), text) for i, words in enumerate(self.stop) if not words]:
            raise MistakesError(mistakes)
        return self

    @property
    def served(self) -> bool:
        return self.model.startswith(("http://", "https://"))


def model_named(value: Any) -> Any:
    """A bare text is the model of a role."""
    return {"model": value} if isinstance(value, str) else value


Role = Annotated[RoleSpec, BeforeValidator(model_named)]
OptionalRole = Annotated[RoleSpec | None, BeforeValidator(model_named)]


class RefineSpec(Spec):
    """What the actor does with a critique."""

    refinements: Annotated[int, Field(ge=0, le=MOST_DRAWN)] = 1
    """The actor writes this many refinements for each critique; 0 switches refinement off."""
    when: Literal["all", "judged_incorrect", "oracle_incorrect"] = "all"
    """`all` solutions are refined, or only those that the critique calls incorrect (`judged_incorrect`), or only those
    that are incorrect (`oracle_incorrect`).
    """
    actor: Role = RoleSpec()
    """This role writes the refinements."""


class CriticSpec(Spec):
    """What a critique looks like and earns. The section makes a stage train (or evaluate) a critic."""

    renamed: ClassVar[dict[str, str]] = {"stage": "phase"}

    format: Format = FormatSpec()
    """Critiques are written and read in this format."""
    target: Literal["answer", "last_step", "index"] = "answer"
    """The judgement is compared with the label of the `answer`, the label of the `last_step`, or the `index` of the
    first incorrect step.
    """
    reward: Annotated[str, OneOf(REWARDS, or_dotted=True)] = "critique_rl"
    """This rule says what a critique earns (docs/critics.md). A function of yours takes a `CriticEpisode` and returns a
    number, or None where it could not judge.
    """
    phase: Literal[1, 2] = 1
    """With critique_rl, phase 1 rewards the judgement alone, and phase 2 the refinement too."""
    variant: Literal["paper", "code"] = "paper"
    """With critique_rl, follow the paper or its released code, which differ."""
    judgement_weight: NotNegative = 0.2
    """With critique_rl in phase 2, the judgement has this weight (beta)."""
    helpfulness: Literal["refine", "delta", "correction"] = "refine"
    """With critique_rl in phase 2, this decides what a refinement earns. `refine` pays for a correct one, `delta` for
    how much better it is than the solution, and `correction` 1 for an incorrect solution that becomes correct and 0.2
    for a correct one that stays correct.
    """
    refine_weight: tuple[tuple[int, float], ...] = ((0, 1.0),)
    """With refcritic, refinements have this weight (lambda), written as [after this step, value] pairs."""
    scale: Positive = 1.0
    """A critique's reward is multiplied by this. CRL (arXiv:2509.22824) has 0.8 in its phase of short contexts."""
    policy_rows: bool = False
    """With crl, the data also hold problems that are not critiques. The same model solves them, and `verifier` judges
    its answers.
    """
    leak_penalty: NotNegative = 0.0
    """A critique that states the answer where the solution did not loses this much."""
    refine: RefineSpec = RefineSpec(refinements=0)
    """This section says how critiques lead to refinements. Held-out critiques are refined whenever `refinements` is not
    0; training critiques only where the reward depends on refinements.
    """

    @model_validator(mode="after")
    def _reward_fits(self) -> CriticSpec:
        mistakes = []
        if self.looks_at_refinements and ":" not in self.reward and self.refine.refinements < 1:
            text = f"reward: {self.reward} needs refinements; write refine: {{refinements: 1, actor: MODEL}}"
            mistakes.append(Mistake((), text, (("reward",), ("refine",), ("phase",), ("refine_weight",))))
        if self.reward == "spc" and self.target != "last_step":
            text = f"reward: spc judges the last step, but target is {self.target}; write target: last_step"
            mistakes.append(Mistake((), text, (("reward",), ("target",))))
        if mistakes:
            raise MistakesError(mistakes)
        return self

    @property
    def looks_at_refinements(self) -> bool:
        if self.reward == "refcritic":
            return any(weight > 0 for _, weight in self.refine_weight)
        return self.reward == "ctrl" or ":" in self.reward or (self.reward == "critique_rl" and self.phase == 2)


class CritiqueGrpoSpec(Spec):
    """Refinements of incorrect responses join their group (Critique-GRPO, arXiv:2506.03106)."""

    critic: OptionalRole = None
    """This role writes the critiques. Empty: the critique is "The solution is incorrect." and nothing more."""
    with_answer: bool = False
    """Where there is no critic, the reference answer is added to the critique. A refinement may then copy it."""
    format: Format = FormatSpec(name="overall_judgment")
    """Critiques are written and read in this format."""
    trigger: Literal["all", "all_wrong"] = "all_wrong"
    """`all` refines the incorrect responses of all groups (v1 of the paper), `all_wrong` only those of groups without a
    correct one (v6).
    """
    refinements_kept: Count = 1
    """This many refinements of each group are kept, correct ones first."""
    gamma: Positive = 0.1
    """Tokens of refinements are weighted with p / (p + gamma), where p is their probability."""
