"""The stage `kind: collect`: a policy solves problems, and its solutions, labelled, become problems of kind "critique"
in files; or, with `make: responses`, its right ones become what it is taught next (`reasonrl.stages.self_training`).

The folder of the stage then holds `train.jsonl` and one file for each held-out set, which later stages read as
`stage:NAME/train` and so on, and `collect.json` with what was kept and why the rest was not.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from critics.balance import balanced
from critics.formats.base import question_of
from critics.steps import split_steps
from critics.types import Solution
from reasonrl.data.convert import write_problems
from reasonrl.engines.base import BatchEngine, Sampling, derive_seed
from reasonrl.environments.base import Episode
from reasonrl.environments.refined import Refiner
from reasonrl.environments.roles import LocalSpeaker
from reasonrl.environments.rollouts import roll_out
from reasonrl.environments.single_turn import SingleTurn
from reasonrl.errors import RecipeError, TrainingError
from reasonrl.models.loading import LanguageModel
from reasonrl.plugins import import_dotted
from reasonrl.recipe.schema import Recipe
from reasonrl.rewards.loading import make_verifier
from reasonrl.runs.console import TrainConsole
from reasonrl.runs.folder import write_atomically
from reasonrl.setup.data import check_lengths, load_data
from reasonrl.setup.models import load_for, load_role, make_engine
from reasonrl.stages.labels import Complete, by_policy, by_speaker, monte_carlo_labels
from reasonrl.stages.self_training import right_responses
from verifiers.types import Problem, Verdict, Verifier

DONE = "collect.json"
Labeller = Callable[[Problem, Solution], int | None]


def run_collect(recipe: Recipe, path: Path, console: TrainConsole, *, init_from: str, offline: bool) -> Path:
    """Collect into the folder `path`, unless that has been done. Raises ReasonRLError; nothing is written when it
    does.
    """
    if (path / DONE).exists():
        console.note(f"{path} is complete")
        return path
    verifier = make_verifier(recipe)
    data = load_data(
        recipe.model_copy(update={"critic": None}), verifier, offline=offline
    )  # the problems, not solutions to judge
    console.note(f"loading the model {init_from}")
    model = load_for(recipe, init_from, offline=offline)
    sets = {"train": data.train, **data.heldout}
    check_lengths(recipe, model.tokenizer, model.model.config, [p for problems in sets.values() for p in problems])
    engine = make_engine(recipe, model)
    refiner, others = load_collector(recipe, model, offline=offline)
    complete = load_completer(recipe, model, engine, offline=offline)
    summary: dict[str, Any] = {}
    rows: dict[str, list[Problem]] = {}
    for name, problems in sets.items():
        counts: Counter[str] = Counter()
        if recipe.collect.make == "responses":
            rows[name] = collect_responses(recipe, name, problems, model, engine, verifier, counts, refiner, others)
        else:
            rows[name] = collect_set(recipe, name, problems, model, engine, verifier, counts, complete)
        summary[name] = dict(counts)
        console.note(f"{name}: {_sentence(counts)}")
    close = getattr(verifier, "close", None)
    if close is not None:
        close()
    path.mkdir(parents=True, exist_ok=True)
    for name, made in rows.items():
        write_problems(made, path / f"{name}.jsonl", form="plain")
    write_atomically(path / DONE, json.dumps(summary, indent=1) + "\n")
    return path


def sampled(
    recipe: Recipe,
    name: str,
    problems: Sequence[Problem],
    model: LanguageModel,
    engine: BatchEngine,
    verifier: Verifier,
    counts: Counter[str],
) -> list[tuple[Episode, Verdict]]:
    """What the policy says to each problem of a set; what was cut off or could not be judged is counted and
    left out.
    """
    spec = recipe.collect
    environment = SingleTurn(model.tokenizer, collect_sampling(recipe))
    counts_of = [spec.samples_per_problem] * len(problems)
    episodes = roll_out(environment, engine, problems, counts_of, seed=(recipe.seed, "collect", name))
    verdicts = verifier.verify([e.text for e in episodes], [e.problem.reference for e in episodes])
    counts["sampled"] = len(episodes)
    found = []
    for episode, verdict in zip(episodes, verdicts, strict=True):
        if verdict.correct is None:
            counts["not judged"] += 1
        elif episode.own.finish_reason == "length":
            counts["cut off"] += 1
        else:
            found.append((episode, verdict))
    return found


def collect_sampling(recipe: Recipe) -> Sampling:
    return Sampling(recipe.rollout.max_new_tokens, recipe.collect.temperature, stop=tuple(recipe.rollout.stop))


def load_collector(
    recipe: Recipe, model: LanguageModel, *, offline: bool
) -> tuple[Refiner | None, dict[str, BatchEngine]]:
    """Who refines wrong responses, where the recipe wants that: the policy itself, on what `collect.critic` says."""
    if recipe.collect.critic is None:
        return None, {}
    if recipe.critic is None:
        raise RecipeError("collect.critic: needs the section critic, for the format of its critiques")
    critic, engines = load_role("critic", recipe, recipe.collect.critic, model, offline=offline)
    policy = LocalSpeaker("policy", model.tokenizer, collect_sampling(recipe))
    return Refiner(policy, recipe.critic.format.load(), critic), engines


def load_completer(recipe: Recipe, model: LanguageModel, engine: BatchEngine, *, offline: bool) -> Complete:
    """Who goes on from each step for labels by completion."""
    if recipe.collect.completer is None:
        return by_policy(model, engine, collect_sampling(recipe))
    speaker, others = load_role("completer", recipe, recipe.collect.completer, model, offline=offline)
    return by_speaker(speaker, engine, others)


def collect_responses(
    recipe: Recipe,
    name: str,
    problems: Sequence[Problem],
    model: LanguageModel,
    engine: BatchEngine,
    verifier: Verifier,
    counts: Counter[str],
    refiner: Refiner | None,
    others: Mapping[str, BatchEngine],
) -> list[Problem]:
    """Right responses of one set, the policy's own and, with a critic, those that it was helped to."""
    spec = recipe.collect
    samples = sampled(recipe, name, problems, model, engine, verifier, counts)
    seed = (recipe.seed, "refine", name)
    found = right_responses(samples, refiner, engine, others, verifier, counts, margin=spec.shortcut_margin, seed=seed)
    if not found:
        raise TrainingError(f"collect: of {counts['sampled']} responses to '{name}' none is right: {_sentence(counts)}")
    found = found[: spec.limit]
    counts["kept"] = len(found)
    return found


def collect_set(
    recipe: Recipe,
    name: str,
    problems: Sequence[Problem],
    model: LanguageModel,
    engine: BatchEngine,
    verifier: Verifier,
    counts: Counter[str],
    complete: Complete,
) -> list[Problem]:
    """The labelled solutions of one set, balanced. `counts` says what became of every sample."""
    spec = recipe.collect
    found: list[tuple[Problem, Solution]] = []
    seen: set[tuple[str, str]] = set()
    for episode, verdict in sampled(recipe, name, problems, model, engine, verifier, counts):
        assert verdict.correct is not None
        text = episode.text.strip()
        if not text:
            counts["empty"] += 1
        elif (episode.problem.id, text) in seen:
            counts["said before"] += 1
        else:
            seen.add((episode.problem.id, text))
            found.append((episode.problem, _solution(episode, text, verdict.correct, verdict.extracted, spec.steps)))
    found = _labelled(recipe, found, complete, verifier, counts, name)
    if spec.cut == "last_step":
        found = _cut(recipe, found)
    counts["right"], counts["wrong"] = sum(_is_right(s) for _, s in found), sum(not _is_right(s) for _, s in found)
    if not found:
        raise TrainingError(
            f"collect: of {counts['sampled']} sampled solutions of '{name}' none can be used: {_sentence(counts)}"
        )
    if spec.balance != "none":
        group = (lambda item: item[0].id) if spec.balance == "problem" else None
        try:
            found = balanced(found, lambda item: _is_right(item[1]), seed=recipe.seed, group=group)
        except ValueError as error:
            raise TrainingError(f"collect: {name}: {error}") from error
    if spec.limit is not None:
        found = _evenly(found, spec.limit) if spec.balance != "none" else found[: spec.limit]
    counts["kept"] = len(found)
    demonstrate = import_dotted(spec.demonstrator, "collect.demonstrator") if spec.demonstrator else None
    style = recipe.critic.format.model_dump() if recipe.critic is not None else {"name": "step_sentence"}
    numbers: Counter[str] = Counter()
    made = []
    for problem, solution in found:
        numbers[problem.id] += 1
        reference = {
            **{key: value for key, value in problem.reference.items() if key != "demonstration"},
            "solution": solution.text,
            "steps": list(solution.steps),
            "solution_answer": solution.answer,
            "correct": solution.correct,
            "first_error": solution.first_error,
        }
        if demonstrate is not None:
            reference["demonstration"] = demonstrate(problem, solution, style)
        question = question_of(problem)
        identity = f"{problem.id}/{numbers[problem.id]}"
        made.append(
            Problem(identity, question, "critique", reference, problem.source, {**problem.meta, "question": question})
        )
    return made


def _solution(episode: Episode, text: str, correct: bool, answer: str | None, style: Any) -> Solution:
    return Solution(episode.problem.id, text, split_steps(text, style), answer, correct)


def _labelled(
    recipe: Recipe,
    found: list[tuple[Problem, Solution]],
    complete: Complete,
    verifier: Verifier,
    counts: Counter[str],
    name: str,
) -> list[tuple[Problem, Solution]]:
    """With the index of the first wrong step, where the recipe names a labeller. A wrong answer without a wrong step
    contradicts itself.
    """
    spec = recipe.collect
    if spec.labeller is None:
        return found
    if spec.labeller == "monte_carlo":
        seed = (recipe.seed, "monte carlo", name)
        indices = monte_carlo_labels(found, complete, verifier, counts, seed=seed, count=spec.completions_per_step)
    else:
        labeller: Labeller = import_dotted(spec.labeller, "collect.labeller")
        indices = [labeller(problem, solution) for problem, solution in found]
    kept = []
    for (problem, solution), index in zip(found, indices, strict=True):
        if index is None:
            counts["steps not labelled"] += 1
        elif index == -1 and solution.correct is False:
            counts["labels contradict"] += 1
        else:
            kept.append(
                (
                    problem,
                    Solution(
                        solution.problem_id, solution.text, solution.steps, solution.answer, solution.correct, index
                    ),
                )
            )
    return kept


def _cut(recipe: Recipe, found: list[tuple[Problem, Solution]]) -> list[tuple[Problem, Solution]]:
    """Each solution up to the step that is to be judged: the first wrong one, or of a solution without one a step that
    is drawn.
    """
    cut = []
    for number, (problem, solution) in enumerate(found):
        if solution.first_error is None:
            continue
        rng = random.Random(derive_seed(recipe.seed, "cut", problem.id, number))
        last = solution.first_error if solution.first_error >= 0 else rng.randrange(len(solution.steps))
        steps = solution.steps[: last + 1]
        cut.append((problem, Solution(solution.problem_id, "\n".join(steps), steps, first_error=solution.first_error)))
    return cut


def _is_right(solution: Solution) -> bool:
    """By its answer, or, of a solution that was cut, by its last step."""
    return solution.correct if solution.correct is not None else solution.first_error == -1


def _evenly(found: list[tuple[Problem, Solution]], limit: int) -> list[tuple[Problem, Solution]]:
    """The first of each label, so that what was balanced stays so."""
    sides = [[i for i, (_, s) in enumerate(found) if _is_right(s) is label] for label in (True, False)]
    kept = sorted(i for side in sides for i in side[: limit // 2])
    return [found[i] for i in kept]


def _sentence(counts: Counter[str]) -> str:
    return ", ".join(f"{number:,} {what}" for what, number in counts.items())
