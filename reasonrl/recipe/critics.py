"""The part of a recipe that trains critics: how a critique looks, what it earns, who the other roles are, where
solutions come from.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from critics.formats import load_format
from critics.formats.base import CritiqueFormat
from critics.sneaky import SneakyPrompt
from reasonrl.recipe.fields import Count, Positive, Spec, named


def _model(value: Any) -> Any:
    return {"model": value} if isinstance(value, str) else value


class FormatSpec(BaseModel):
    """A critique format by its name; all other keys are its options (instruction, refine_instruction, ...)."""

    model_config = ConfigDict(extra="allow")
    name: str = "step_sentence"

    @model_validator(mode="after")
    def _known(self) -> FormatSpec:
        self.load()
        return self

    def load(self) -> CritiqueFormat:
        return load_format(self.name, **(self.model_extra or {}))


class RoleSpec(Spec):
    """A part that is not trained. `model` alone decides where it runs."""

    model: str = "same"
    """same (the weights that are trained, as they stand), stage:NAME (what that stage ended with), a Hugging Face id, a
    folder, a run, or the address of an OpenAI-compatible server: http://127.0.0.1:8000/v1
    """
    served_name: str | None = None
    """The server's name for the model; empty: its only one."""
    temperature: Annotated[float, Field(ge=0)] = 0.0
    max_new_tokens: Count = 512
    stop: tuple[str, ...] = ()
    timeout_s: Positive = 120.0
    """server: of one request."""
    api_key_env: str = "OPENAI_API_KEY"
    """server: the environment variable that holds the key, if it needs one."""

    @property
    def served(self) -> bool:
        return self.model.startswith(("http://", "https://"))


Role = Annotated[RoleSpec, BeforeValidator(_model)]


class RefineSpec(Spec):
    """What the actor does with a critique."""

    refinements: Annotated[int, Field(ge=0)] = 1
    """Of each critique; 0: the actor is not asked."""
    when: Literal["all", "judged_incorrect", "oracle_incorrect"] = "all"
    actor: Role = RoleSpec()


class CriticSpec(Spec):
    """What a critique looks like and earns. Its presence makes a stage train (or evaluate) a critic."""

    format: Annotated[FormatSpec, BeforeValidator(named)] = FormatSpec()
    target: Literal["answer", "last_step", "index"] = "answer"
    """What the judgement is compared with: the answer's label, the last step's, or the index of the first wrong step.
    """
    reward: str = "critique_rl"
    """critique_rl, refcritic, ctrl, criticlean, crl, deepcritic, spc, or package.module:function(CriticEpisode) ->
    number or None.
    """
    stage: Literal[1, 2] = 1
    """critique_rl: 1 rewards the judgement alone, 2 the refinement too."""
    variant: Literal["paper", "code"] = "paper"
    """critique_rl: the released code differs from the paper."""
    judgement_weight: Annotated[float, Field(ge=0)] = 0.2
    """critique_rl, stage 2: beta."""
    helpfulness: Literal["refine", "delta", "correction"] = "refine"
    """critique_rl, stage 2."""
    refine_weight: tuple[tuple[int, float], ...] = ((0, 1.0),)
    """refcritic: lambda as [after this step, value] pairs."""
    scale: Positive = 1.0
    """What the reward of a critique is multiplied with (CRL, arXiv:2509.22824, has 0.8 in its phase of short contexts).
    """
    policy_rows: bool = False
    """CRL: the data also hold problems that are no critiques; the same model solves them, and `verifier` judges its
    answers.
    """
    leak_penalty: Annotated[float, Field(ge=0)] = 0.0
    """Taken off for a critique that states the answer where the solution did not."""
    refine: RefineSpec = RefineSpec(refinements=0)
    """Held-out critiques are refined on whenever refinements is not 0; those of training only where the reward looks at
    it.
    """

    @field_validator("reward")
    @classmethod
    def _known(cls, value: str) -> str:
        known = ("critique_rl", "refcritic", "ctrl", "criticlean", "crl", "deepcritic", "spc")
        if value not in known and ":" not in value:
            raise ValueError(f"'{value}' is not known; write {', '.join(known)} or package.module:function")
        return value

    @model_validator(mode="after")
    def _refinements_where_needed(self) -> CriticSpec:
        if self.looks_at_refinements and ":" not in self.reward and self.refine.refinements < 1:
            raise ValueError(
                f"reward {self.reward} looks at refinements: write refine: {{refinements: 1, actor: MODEL}}"
            )
        if self.reward == "spc" and self.target != "last_step":
            raise ValueError(
                f"reward spc is about the last step, and target: {self.target} is not; write target: last_step"
            )
        return self

    @property
    def looks_at_refinements(self) -> bool:
        if self.reward == "refcritic":
            return any(weight > 0 for _, weight in self.refine_weight)
        return self.reward == "ctrl" or ":" in self.reward or (self.reward == "critique_rl" and self.stage == 2)


class CollectSpec(Spec):
    """Solutions of a policy, judged: labelled ones for critics to learn from, or right ones for the policy itself."""

    make: Literal["critiques", "responses"] = "critiques"
    """critiques: solutions to judge, with their labels. responses: problems with a right response of the policy's own
    to learn.
    """
    critic: Annotated[RoleSpec | None, BeforeValidator(_model)] = None
    """responses: who criticises wrong ones, which the policy then refines (AutoMathCritique); empty: right ones alone
    are kept.
    """
    shortcut_margin: Annotated[int, Field(ge=0)] = 2
    """responses: a refinement with more than so many numbers fewer than before has left its reasoning out, and is
    dropped.
    """
    samples_per_problem: Count = 4
    temperature: Positive = 1.0
    steps: Literal["auto", "paragraphs", "lines", "sentences"] = "auto"
    """How a solution is split."""
    labeller: str | None = None
    """Of steps: monte_carlo, or package.module:function(problem, solution) -> index of the first wrong step. Empty:
    answers alone are labelled.
    """
    completions_per_step: Count = 8
    """monte_carlo."""
    completer: Annotated[RoleSpec | None, BeforeValidator(_model)] = None
    """monte_carlo: who goes on from each step; empty: the policy that wrote the solutions. A stronger one makes better
    labels.
    """
    demonstrator: str | None = None
    """package.module:function(problem, solution, format) -> a critique to learn from, for the supervised phase."""
    balance: Literal["none", "all", "problem"] = "all"
    """critiques: as many right as wrong solutions, in all or of each problem. Where most are wrong, 'always incorrect'
    is the best constant critic.
    """
    limit: Count | None = None
    """Rows of each set, after balancing."""
    cut: Literal["none", "last_step"] = "none"
    """last_step: each solution ends in the step that is to be judged, the first wrong one or, of a solution without
    one, any (SPC).
    """

    @model_validator(mode="after")
    def _for_what_is_made(self) -> CollectSpec:
        if self.make == "critiques" and self.critic is not None:
            raise ValueError(
                "critic: plays no part in collecting solutions to judge; write make: responses, or leave it out"
            )
        if self.make == "responses" and (given := [key for key in ("labeller", "demonstrator") if getattr(self, key)]):
            raise ValueError(f"{given[0]}: of solutions to judge; with make: responses leave it out")
        if self.completer is not None and self.labeller != "monte_carlo":
            raise ValueError(
                "completer: only labeller: monte_carlo goes on from steps; write that, or leave completer out"
            )
        if self.make == "responses" and self.cut != "none":
            raise ValueError("cut: of solutions to judge; with make: responses leave it out")
        return self


class GameSpec(Spec):
    """SPC's game (arXiv:2504.19162): who plays, and when a spoilt step counts as harmful."""

    sneaky: Role = RoleSpec(temperature=1.0)
    solver: Role = RoleSpec(temperature=0.7)
    critic: Role = RoleSpec(temperature=1.0)
    solutions: Count | None = None
    """Right solutions whose steps are spoilt; empty: all."""
    attempts_per_solution: Count = 1
    completions: Count = 8
    """Of the solver, from the right step and from the spoilt one."""
    least_before: Annotated[float, Field(ge=0, le=1)] = 0.75
    most_after: Annotated[float, Field(ge=0, le=1)] = 0.0
    detected_reward: Literal[-1, 0] = -1
    """Of the generator when its step is found out: sources differ."""
    prompt: dict[str, str | list[str]] = {}
    """Texts of the generator's prompt: instruction, prompt_template, empty_prefix, and error_types, the kinds of error
    to ask for (see critics.sneaky).
    """

    @field_validator("prompt")
    @classmethod
    def _texts(cls, value: dict[str, str | list[str]]) -> dict[str, str | list[str]]:
        known = [f.name for f in dataclasses.fields(SneakyPrompt)]
        if unknown := sorted(set(value) - set(known)):
            raise ValueError(f"no text {', '.join(unknown)}; its texts: {', '.join(known)}")
        for name, text in value.items():
            if isinstance(text, list) is not (name == "error_types") or not text:
                raise ValueError(
                    f"{name} is {'a list of at least one text' if name == 'error_types' else 'one text'}, not {text!r}"
                )
        return value


class CritiqueGrpoSpec(Spec):
    """Refinements of wrong responses join their group (Critique-GRPO, arXiv:2506.03106)."""

    critic: Annotated[RoleSpec | None, BeforeValidator(_model)] = None
    """Who criticises. Empty: the critique is "The solution is incorrect.", no more."""
    with_answer: bool = False
    """Without a critic: add the reference answer to it. A refinement may then copy it."""
    format: Annotated[FormatSpec, BeforeValidator(named)] = FormatSpec(name="overall_judgment")
    trigger: Literal["all", "all_wrong"] = "all_wrong"
    """Refine the wrong responses of all groups (v1 of the paper), or of groups without a right one (v6)."""
    refinements_kept: Count = 1
    """Of each group, right ones first."""
    gamma: Positive = 0.1
    """Of the shaping p / (p + gamma)."""


class OfflineSpec(Spec):
    """Learn from rows of kind "offline": what was said and what it earned."""

    steps: Count = 100
    rows_per_step: Count = 64
    clip: Positive = 0.2
    sft_weight: Annotated[float, Field(ge=0)] = 0.15
    replay_rows_per_step: Count = 16
    """Demonstrations of data.replay beside them."""
