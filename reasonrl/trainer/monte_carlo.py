"""Labels for steps by completion: a policy goes on from every prefix of a solution several times (see `critics.labels`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from critics.labels import first_error
from critics.types import Solution
from reasonrl.engines.base import BatchEngine, Request, Sampling, derive_seed
from reasonrl.engines.hf import response_text
from reasonrl.environments.single_turn import encode_prompt
from reasonrl.models.loading import LanguageModel
from reasonrl.recipe import Recipe
from verifiers.types import Problem, Verifier


def success_rates(
    recipe: Recipe, prefixes: Sequence[tuple[Problem, str]], model: LanguageModel, engine: BatchEngine, verifier: Verifier,
    seed: tuple[Any, ...], count: int,
) -> list[float | None]:  # fmt: skip
    """Share of `count` completions of each (problem, begun solution) whose answer is right; None where none could be judged."""
    sampling = Sampling(recipe.rollout.max_new_tokens, recipe.collect.temperature, stop=tuple(recipe.rollout.stop))
    requests = []
    for problem, prefix in prefixes:
        ids = encode_prompt(model.tokenizer, problem) + list(model.tokenizer(prefix, add_special_tokens=False)["input_ids"])
        requests += [Request(tuple(ids), sampling, derive_seed(*seed, problem.id, prefix, i)) for i in range(count)]
    made = engine.generate_batch(requests)
    owners = [item for item in prefixes for _ in range(count)]
    texts = [prefix + response_text(model.tokenizer, one, sampling) for (_, prefix), one in zip(owners, made, strict=True)]
    verdicts = verifier.verify(texts, [problem.reference for problem, _ in owners])
    rates: list[float | None] = []
    for start in range(0, len(verdicts), count):
        judged = [v.correct for v in verdicts[start : start + count] if v.correct is not None]
        rates.append(sum(judged) / len(judged) if judged else None)
    return rates


def monte_carlo_labels(
    recipe: Recipe, found: Sequence[tuple[Problem, Solution]], model: LanguageModel, engine: BatchEngine, verifier: Verifier,
    seed: tuple[Any, ...],
) -> list[int | None]:  # fmt: skip
    """The index of the first wrong step of each solution; None where the completions do not tell."""
    count = recipe.collect.completions_per_step
    prefixes: list[tuple[Problem, str]] = []
    for problem, solution in found:
        prefixes.append((problem, ""))
        prefixes += [(problem, prefix) for prefix in _prefixes(solution)]
    distinct = list({(problem.id, prefix): (problem, prefix) for problem, prefix in prefixes}.values())
    made = success_rates(recipe, distinct, model, engine, verifier, seed, count)
    known = {(problem.id, prefix): rate for (problem, prefix), rate in zip(distinct, made, strict=True)}
    labels: list[int | None] = []
    for problem, solution in found:
        rates = [known[problem.id, prefix] for prefix in _prefixes(solution)]
        if any(rate is None for rate in rates) or solution.correct is None:
            labels.append(None)
        else:
            start = known[problem.id, ""]
            labels.append(first_error([rate for rate in rates if rate is not None], solution.correct, start=start))
    return labels


def _prefixes(solution: Solution) -> list[str]:
    """The text up to the end of each step, as it stood: the separators belong to what was written. The last is the whole solution."""
    ends, at = [], 0
    for step in solution.steps:
        at = solution.text.index(step, at) + len(step)
        ends.append(len(solution.text) - len(solution.text[at:].lstrip()))
    return [solution.text[:end] for end in ends]
