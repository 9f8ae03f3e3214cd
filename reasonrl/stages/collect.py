"""The stage `kind: collect`: a policy solves problems, and its solutions become the data of later stages.

    make: critiques    labelled solutions, as problems of kind "critique" (`reasonrl.stages.critiques`)
    make: responses    correct responses, for supervised learning (`reasonrl.stages.responses`)

The folder of the stage then holds `train.jsonl` and one file for each held-out set, which later stages read as
`stage:NAME/train` and so on, and `collect.json` with what became of every sample.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from reasonrl.errors import RecipeError
from reasonrl.recipe.critics import RoleSpec
from reasonrl.recipe.schema import Recipe
from reasonrl.setup.data import RunData, load_data, recipe_for_data
from reasonrl.setup.lengths import check_lengths
from reasonrl.setup.models import load_language_model, make_engine
from reasonrl.setup.prompt_checks import template_warnings
from reasonrl.setup.roles import check_refining, load_roles
from reasonrl.stages.base import Session, Workload
from reasonrl.stages.collector import Collector, in_words
from reasonrl.stages.complete import SUMMARIES
from reasonrl.stages.critiques import CritiqueCollector
from reasonrl.stages.gathering import GatheringKind, open_verifier, start_journal, write_sets, write_summary
from reasonrl.stages.responses import ResponseCollector
from verifiers.types import Problem

SUMMARY = SUMMARIES["collect"]
COLLECTORS: dict[str, type[Collector]] = {"critiques": CritiqueCollector, "responses": ResponseCollector}
"""By `collect.make`."""


class Collect(GatheringKind):
    """The kind `collect`."""

    name: ClassVar[str] = "collect"

    def workload(self, recipe: Recipe, data: RunData) -> Workload:
        """Completions for `labeller: monte_carlo` come on top: their number depends on the solutions."""
        problems = len(data.problems)
        samples = problems * recipe.collect.samples_per_problem
        return Workload(1, problems, samples, sampled_tokens_per_step=samples * recipe.rollout.max_new_tokens)

    def describe(self, recipe: Recipe, workload: Workload) -> dict[str, str]:
        return {"collects": f"{workload.rollouts_per_step:,} solutions of {workload.prompts_per_step:,} problems"}

    def roles(self, recipe: Recipe) -> dict[str, RoleSpec]:
        return collector_roles(recipe)

    def run(self, recipe: Recipe, folder: Path, session: Session) -> Path:
        """Collect into `folder`, unless that has been done. No set is written when this raises; what was generated is
        recorded for a resumed stage.
        """
        console = session.console
        if (folder / SUMMARY).exists():
            console.note(f"{folder} is already complete")
            return folder
        with open_verifier(recipe) as verifier:
            data = load_data(recipe_for_data(recipe), verifier, offline=session.offline)
            journal = start_journal(recipe, folder, session, data, collector_roles(recipe))
            console.note(f"loading the model {session.init_from}")
            policy = load_language_model(recipe, session.init_from, offline=session.offline)
            check_refining(recipe, policy.tokenizer)
            check_lengths(recipe, policy.tokenizer, policy.model.config, data.problems)
            of_template = template_warnings(recipe, policy.tokenizer, policy.eos_ids, data.problems)
            for warning in [*data.warnings, *of_template]:
                console.warn(warning)
            rows_per_batch = recipe.rollout.rows_per_batch
            engine = journal.engine(make_engine(recipe, policy), rows_per_batch)
            roles = journal.roles(
                load_roles(recipe, collector_roles(recipe), policy, offline=session.offline), rows_per_batch
            )
            collector = COLLECTORS[recipe.collect.make](recipe, policy, engine, verifier, roles)
            sets: dict[str, list[Problem]] = {}
            summary: dict[str, Any] = {}
            for name, problems in {"train": data.train, **data.heldout}.items():
                collected = collector.collect(name, problems)
                sets[name], summary[name] = collected.problems, dict(collected.counts)
                console.note(f"{name}: {in_words(collected.counts)}")
        write_sets(folder, sets)
        write_summary(folder / SUMMARY, summary)
        journal.remove()
        return folder


def collector_roles(recipe: Recipe) -> dict[str, RoleSpec]:
    """`critic`: whose critiques wrong responses are refined with. `completer`: who continues from each step.

    Raises:
        RecipeError: there is a critic, but no section `critic` with the format of its critiques.
    """
    specs: dict[str, RoleSpec] = {}
    if recipe.collect.critic is not None:
        if recipe.critic is None:
            raise RecipeError("collect.critic: add the section critic, which sets the format of the critiques")
        specs["critic"] = recipe.collect.critic
    if recipe.collect.completer is not None:
        specs["completer"] = recipe.collect.completer
    return specs
