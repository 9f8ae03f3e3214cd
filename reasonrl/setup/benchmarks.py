"""Benchmarks with a model that is to answer them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import yaml

from reasonrl.data.checks import check_problems
from reasonrl.engines.base import Sampling
from reasonrl.errors import DataError, UsageError
from reasonrl.evaluation.benchmarks.base import Benchmark, Prompt
from reasonrl.evaluation.benchmarks.loading import LoadedBenchmark
from reasonrl.evaluation.drawing import Draw
from reasonrl.evaluation.results import Same
from reasonrl.recipe.fields import LARGEST_TEMPERATURE, LEAST_TEMPERATURE
from reasonrl.recipe.reading import parse_recipe
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.loading import make_reward_parts, make_verifier
from reasonrl.setup.answerers import Answerer
from reasonrl.setup.data import render
from verifiers.sandbox.interpreter import missing_modules
from verifiers.types import Problem, Verifier

MOST_LEFT_OUT = 0.05
"""A larger share of golds that their own verifier does not accept means that the file or the verifier is wrong."""


@dataclass(frozen=True)
class AnswerSettings:
    """How all benchmarks of a command are answered. None: as the benchmark says."""

    samples_per_problem: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    max_new_tokens: int | None = None
    prompt: str | None = None
    """The name of a variant."""
    seed: int = 0
    verifier: Mapping[str, Any] = field(default_factory=dict)
    """Options in place of those of the benchmarks."""

    def check(self) -> None:
        """Raises UsageError."""
        if self.samples_per_problem < 1:
            raise UsageError(f"--n {self.samples_per_problem}: write the number of answers to each problem, 1 or more")
        if self.temperature != 0 and not LEAST_TEMPERATURE <= self.temperature <= LARGEST_TEMPERATURE:
            raise UsageError(
                f"--temperature {self.temperature:g}: write 0 for greedy answers, or a number from"
                f" {LEAST_TEMPERATURE:g} to {LARGEST_TEMPERATURE:g}"
            )
        if self.samples_per_problem > 1 and self.temperature == 0:
            raise UsageError(
                f"--n {self.samples_per_problem}: greedy answers are all the same; write --temperature 0.6"
            )
        if not 0 < self.top_p <= 1:
            raise UsageError(f"--top-p {self.top_p:g}: write a number above 0, up to 1")


@dataclass(frozen=True)
class PreparedBenchmark:
    """A benchmark, ready to be drawn."""

    loaded: LoadedBenchmark
    prompt_name: str
    recipe: Recipe
    draw: Draw
    verifier: Verifier
    verifier_options: Mapping[str, Any]
    left_out: tuple[str, ...]
    """Ids of problems whose gold answer its own verifier does not accept."""
    warnings: tuple[str, ...]

    @property
    def same(self) -> Same | None:
        """Whether two answers are one; None for kinds whose answers do not vote."""
        judge = getattr(self.verifier, "verify_answers", None)
        if judge is None or self.loaded.benchmark.kind != "math":
            return None
        return lambda a, b: judge([a], [{"answer": b}])[0].correct is True

    @property
    def template_hash(self) -> str:
        """Of the variant's text, its examples and stop strings: a name alone does not say that it has stayed the same.
        The hash of all prompts is no such sign: models write chats each in their own way."""
        variant = asdict(self.loaded.benchmark.prompts[self.prompt_name])
        return hashlib.blake2b(json.dumps(variant, sort_keys=True).encode(), digest_size=16).hexdigest()

    def facts(self) -> dict[str, Any]:
        """What a score depends on, for results.json: two scores compare where these are the same."""
        prompts = hashlib.blake2b(digest_size=16)
        for problem in self.draw.problems:
            prompts.update(self.draw.evaluator.render(problem).encode() + b"\0")
        sampling = self.draw.sampling
        return {
            "title": self.loaded.benchmark.title,
            "data": self.loaded.origin,
            "data_hash": self.loaded.data_hash,
            "prompt": self.prompt_name,
            "prompt_template_hash": self.template_hash,
            "prompt_hash": prompts.hexdigest(),
            "verifier": dict(self.verifier_options),
            "sampling": {
                "samples_per_problem": self.draw.samples_per_problem,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "top_k": sampling.top_k,
                "max_new_tokens": sampling.max_new_tokens,
                "stop": list(sampling.stop),
            },
            "left_out": list(self.left_out),
            "known_errors": {
                "treatment": self.loaded.treatment,
                "problems": {name: error.what for name, error in self.loaded.known_errors.items()},
            },
            "licence": self.loaded.benchmark.licence,
            "notes": [*self.loaded.notes, *self.loaded.benchmark.notes],
        }


def choose_prompt(benchmark: Benchmark, wanted: str | None, *, chats: bool) -> tuple[str, Prompt]:
    """The variant that was asked for, or the first that fits the model. Raises UsageError."""
    if wanted is not None:
        if wanted not in benchmark.prompts:
            raise UsageError(
                f"--prompt {wanted}: {benchmark.name} has no such variant; it has {', '.join(benchmark.prompts)}"
            )
        chosen = benchmark.prompts[wanted]
        if chosen.style == "chat" and not chats:
            raise UsageError(f"--prompt {wanted}: the model has no chat template; write --prompt of another style")
        return wanted, chosen
    style = "chat" if chats else "text"
    return next((name, prompt) for name, prompt in benchmark.prompts.items() if prompt.style == style)


def prepare_benchmarks(
    loaded: Sequence[LoadedBenchmark], answerer: Answerer, settings: AnswerSettings
) -> list[PreparedBenchmark]:
    """Check the golds of all benchmarks, and bind each benchmark to the model.

    Raises:
        DataError: too many golds are not accepted by their own verifier.
        ModelError, RecipeError: the model cannot be loaded, or a prompt does not fit it.
        UsageError: there is no such variant of a prompt.
    """
    settings.check()
    checked = []
    for one in loaded:
        name, prompt = choose_prompt(one.benchmark, settings.prompt, chats=answerer.chats)
        options = {**one.benchmark.verifier, **prompt.verifier, **settings.verifier}
        _check_modules(one, options)
        recipe = _recipe(one.benchmark, prompt, options, settings, answerer)
        checked.append((one, name, recipe, options, *_accepted(one, recipe)))
    return [
        _bind(one, name, recipe, options, problems, verifier, left_out, settings, answerer)
        for one, name, recipe, options, problems, verifier, left_out in checked
    ]


def _check_modules(loaded: LoadedBenchmark, verifier: Mapping[str, Any]) -> None:
    """Raises UsageError where programs could not import what their tests need."""
    if not loaded.needs:
        return
    missing = missing_modules(loaded.needs, verifier.get("python", ""))
    if missing:
        raise UsageError(
            f"{loaded.benchmark.name}: its programs import {', '.join(missing)}, which their Python does not have;"
            " install them in an environment and write --set verifier.python=ENVIRONMENT/bin/python"
        )


def _recipe(
    benchmark: Benchmark, prompt: Prompt, verifier: Mapping[str, Any], settings: AnswerSettings, answerer: Answerer
) -> Recipe:
    prompt_section: dict[str, Any] = {"style": prompt.style, "template": prompt.template}
    if prompt.few_shot:
        prompt_section["few_shot"] = [list(pair) for pair in prompt.few_shot]
    raw = {
        "name": benchmark.name.replace("_", "-"),
        "model": dict(answerer.model_section),
        "data": {"train": {"source": "none"}, "prompt": prompt_section},
        "verifier": dict(verifier),
        "rollout": {
            "max_new_tokens": settings.max_new_tokens or benchmark.max_new_tokens,
            "stop": list(prompt.stop),
            **answerer.rollout_section,
        },
    }
    return parse_recipe(yaml.safe_dump(raw), f"the benchmark {benchmark.name}").stages[0]


def _accepted(loaded: LoadedBenchmark, recipe: Recipe) -> tuple[list[Problem], Verifier, tuple[str, ...]]:
    """The problems whose gold answer scores 1, the verifier, and the ids of the others."""
    verifier = make_verifier(recipe)
    rendered = [render(problem, recipe) for problem in loaded.problems]
    report = check_problems(rendered, verifier)
    refused = {row.id for row in report.offending}
    if len(refused) > MOST_LEFT_OUT * len(rendered):
        raise DataError(f"{loaded.benchmark.name}: golds must score 1 by the benchmark's own verifier.\n{report}")
    return [problem for problem in rendered if problem.id not in refused], verifier, tuple(sorted(refused))


def _bind(
    loaded: LoadedBenchmark,
    prompt_name: str,
    recipe: Recipe,
    options: Mapping[str, Any],
    problems: list[Problem],
    verifier: Verifier,
    left_out: tuple[str, ...],
    settings: AnswerSettings,
    answerer: Answerer,
) -> PreparedBenchmark:
    parts = make_reward_parts(recipe, verifier)
    evaluator, warnings = answerer.evaluator(recipe, problems, parts)
    evaluator = dataclasses.replace(evaluator, seed=(settings.seed, "benchmark"))
    sampling = Sampling(
        recipe.rollout.max_new_tokens,
        settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        stop=tuple(recipe.rollout.stop),
    )
    draw = Draw(loaded.benchmark.name, problems, evaluator, sampling, settings.samples_per_problem, answerer.is_served)
    return PreparedBenchmark(loaded, prompt_name, recipe, draw, verifier, options, left_out, tuple(warnings))
