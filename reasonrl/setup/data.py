"""The problems of a stage: loaded, rendered into prompts, and checked with its verifier."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from reasonrl.data import load_problems, render_prompt
from reasonrl.data.checks import DataReport, check_problems, shared_prompts
from reasonrl.data.critiques import critique_problem
from reasonrl.data.mistakes import refuse_unknown
from reasonrl.data.sources import with_new_ids
from reasonrl.environments.tools.loading import prompt_functions
from reasonrl.errors import DataError, RecipeError, TrainingError, UsageError
from reasonrl.evaluation.benchmarks import find_benchmark
from reasonrl.evaluation.benchmarks.loading import load_benchmark
from reasonrl.recipe.data import BENCHMARK, SourceSpec
from reasonrl.recipe.kinds import KINDS
from reasonrl.recipe.schema import Recipe
from reasonrl.setup.prompt_checks import check_last_turns, gold_warnings
from verifiers.types import Problem, Verifier


@dataclass(frozen=True)
class RunData:
    """Problems with their final prompts. Names of `heldout` are those of the recipe."""

    train: list[Problem]
    heldout: dict[str, list[Problem]]
    reports: dict[str, DataReport]
    """By set: whether gold answers score 1 and empty answers 0."""
    replay: list[Problem] = field(default_factory=list)
    """offline: demonstrations."""
    warnings: list[str] = field(default_factory=list)
    """What a person should know of the prompts."""

    @property
    def evaluated(self) -> int:
        """The number of held-out problems in all sets."""
        return sum(len(problems) for problems in self.heldout.values())

    @property
    def problems(self) -> list[Problem]:
        """Training and held-out problems."""
        return [*self.train, *(problem for problems in self.heldout.values() for problem in problems)]


def recipe_for_data(recipe: Recipe) -> Recipe:
    """The recipe by which its own data is loaded: a stage that does not train solves problems, and its section `critic`
    only sets the format of critiques.
    """
    return recipe if KINDS[recipe.kind].trains else recipe.model_copy(update={"critic": None})


def load_data(recipe: Recipe, verifier: Verifier, *, offline: bool = False) -> RunData:
    """Load, render and check all sets of a recipe.

    Raises:
        DataError: a source cannot be read, a gold answer does not score 1, an empty answer does not score 0, ids of
            one set repeat, a held-out problem is also in data.train or data.replay, or a prompt ends in a turn of the
            assistant that gives the answer or is not to be continued.
    """
    loader = _Loader(recipe, verifier, offline)
    train = loader.train()
    heldout = loader.heldout()
    replay = loader.replay()
    for name, problems in heldout.items():
        for field_name, learned in (("data.train", train), ("data.replay", replay)):
            if shared := shared_prompts(learned, problems):
                raise DataError(
                    f"data.heldout.{name}: {len(shared)} of {len(problems)} problems are also in {field_name} (first:"
                    f" {shared[0]}). Held-out accuracy would measure memorisation. Use another split"
                )
    return RunData(train, heldout, loader.reports, replay, [*loader.warnings, *repeating_warnings(recipe, len(train))])


def repeating_warnings(recipe: Recipe, problems: int) -> list[str]:
    """Fewer training problems than a step of kind rl has prompts."""
    prompts = recipe.train.prompts_per_step
    if recipe.kind != "rl" or not 0 < problems < prompts:
        return []
    return [
        f"train.prompts_per_step: {prompts} is more than the {problems} problems of data.train, so each step has some"
        f" of them more than once. Write at most {problems}, or add problems"
    ]


class _Loader:
    def __init__(self, recipe: Recipe, verifier: Verifier, offline: bool) -> None:
        self.recipe, self.verifier, self.offline = recipe, verifier, offline
        self.reports: dict[str, DataReport] = {}
        self.warnings: list[str] = []

    def train(self) -> list[Problem]:
        """All sources of data.train, one after the other. Offline rows have their rewards, so nothing is verified."""
        train: list[Problem] = []
        ids: set[str] = set()
        for field_name, name, source in _numbered("train", self.recipe.data.train_sources):
            if KINDS[self.recipe.kind].reads_offline_rows:
                problems = load_offline_rows(source, field_name, offline=self.offline)
                self._check_prompts(problems, field_name, None)
            else:
                problems = self._load(source, field_name)
                self._check(problems, field_name, name)
                if train and len(shared_prompts(train, problems)) == len(problems):
                    self.warnings.append(
                        f"{field_name}: all of its problems are in an earlier source too, so they are drawn more often"
                    )
            train += _with_new_ids(problems, ids, source, field_name)
        return train

    def heldout(self) -> dict[str, list[Problem]]:
        sets: dict[str, list[Problem]] = {}
        for name, source in self.recipe.data.heldout.items():
            sets[name] = self._load(source, f"data.heldout.{name}")
            self._check(sets[name], f"data.heldout.{name}", name)
        return sets

    def replay(self) -> list[Problem]:
        """All sources of data.replay: solutions to judge, or problems of any kind with a demonstration."""
        trains_critic = self.recipe.critic is not None
        replay: list[Problem] = []
        ids: set[str] = set()
        for field_name, name, source in _numbered("replay", self.recipe.data.replay_sources):
            problems = self._load(source, field_name, demonstrations=True)
            shown = [problem for problem in problems if trains_critic and problem.kind != "critique"]
            judged = [problem for problem in problems if not trains_critic or problem.kind == "critique"]
            if judged:
                self._check(judged, field_name, name)
            for problem in shown:
                if not isinstance(problem.reference.get("demonstration"), str):
                    raise DataError(
                        f"{field_name}: problem {problem.id} is not a solution to judge, so its reference needs a"
                        " 'demonstration' (a string)"
                    )
            self._check_prompts(shown, field_name, None)
            replay += _with_new_ids(problems, ids, source, field_name)
        return replay

    def _load(self, source: SourceSpec, field_name: str, *, demonstrations: bool = False) -> list[Problem]:
        try:
            problems = load_source(source, offline=self.offline)
            rendered = [render(problem, self.recipe, demonstrations=demonstrations) for problem in problems]
        except DataError as error:
            raise type(error)(f"{field_name}: {error}") from error
        return with_functions(rendered, self.recipe)

    def _check(self, problems: list[Problem], field_name: str, name: str) -> None:
        try:
            self.reports[name] = check_problems(problems, self.verifier)
        except TrainingError as error:  # a verifier of the user's own; nothing is trained yet
            raise RecipeError(str(error)) from error
        if not self.reports[name].ok:
            raise DataError(
                f"{field_name}: the gold answer of each problem must score 1 and an empty one 0, or the run would learn"
                f" noise.\n{self.reports[name]}"
            )
        self._check_prompts(problems, field_name, self.verifier)
        prompt = self.recipe.data.prompt
        self.warnings += gold_warnings(field_name, problems, examples=prompt is not None and bool(prompt.few_shot))

    def _check_prompts(self, problems: list[Problem], field_name: str, verifier: Verifier | None) -> None:
        try:
            check_last_turns(problems, verifier, continues=continues_assistant(self.recipe))
        except DataError as error:
            raise DataError(f"{field_name}: {error}") from error
        except TrainingError as error:  # a verifier of the user's own; nothing is trained yet
            raise RecipeError(str(error)) from error


def _with_new_ids(problems: list[Problem], taken: set[str], source: SourceSpec, field_name: str) -> list[Problem]:
    """The problems with ids that the sources before this one do not have; they are added to `taken`."""
    try:
        new = with_new_ids(problems, taken, source.source, split=source.split, name=source.name, options=source.options)
    except DataError as error:
        raise DataError(f"{field_name}: {error}") from error
    taken |= {problem.id for problem in new}
    return new


def _numbered(name: str, sources: list[SourceSpec]) -> list[tuple[str, str, SourceSpec]]:
    """(field, name of the report, source), with a number where there are several sources."""
    if len(sources) == 1:
        return [(f"data.{name}", name, sources[0])]
    return [(f"data.{name}.{i}", f"{name}.{i}", source) for i, source in enumerate(sources)]


def continues_assistant(recipe: Recipe) -> bool:
    """Whether a prompt may end in a turn of the assistant."""
    return recipe.data.prompt is not None and recipe.data.prompt.last_assistant == "continue"


def load_source(source: SourceSpec, *, offline: bool) -> list[Problem]:
    """The bare problems of a source: those of a benchmark, or what `load_problems` reads. Raises DataError."""
    if not source.source.startswith(BENCHMARK):
        return load_problems(**source.model_dump(), offline=offline)
    refuse_unknown(source.options, ("path",), source.source)
    if source.split is not None or source.name is not None or source.columns:
        raise DataError(
            f"{source.source}: a benchmark has its own split, name and columns; leave them out, or name its hub id as"
            " the source"
        )
    try:
        benchmark = find_benchmark(source.source.removeprefix(BENCHMARK))
        path = source.options.get("path")
        return load_benchmark(
            benchmark, path=None if path is None else str(path), limit=source.limit, offline=offline
        ).problems
    except UsageError as error:
        raise DataError(str(error)) from error


def load_offline_rows(source: SourceSpec, field_name: str, *, offline: bool) -> list[Problem]:
    """Problems of kind "offline": a prompt, and {"response", "reward"} in the reference.

    Raises:
        DataError: the source cannot be read, or a row lacks a response or a finite reward.
    """
    if source.source.startswith(BENCHMARK):
        raise DataError(
            f"{field_name}: {source.source} has problems, and an offline stage needs rows with a response and a reward;"
            " name a file of them, or the stage of kind game that writes them"
        )
    try:
        problems = load_problems(**source.model_dump() | {"kind": "offline"}, offline=offline)
    except DataError as error:
        raise DataError(f"{field_name}: {error}") from error
    for row, problem in enumerate(problems, 1):
        reward = problem.reference.get("reward")
        is_number = isinstance(reward, int | float) and not isinstance(reward, bool) and math.isfinite(reward)
        if not isinstance(problem.reference.get("response"), str) or not is_number:
            raise DataError(
                f"{field_name}: row {row} ({problem.id}): an offline stage needs a 'response' (a string)"
                f" and a 'reward' (a number) in the reference, not {sorted(problem.reference)}. A stage of kind game"
                " writes such rows"
            )
    return problems


def render(problem: Problem, recipe: Recipe, *, demonstrations: bool = False) -> Problem:
    """The problem with its final prompt. In a stage that trains a critic this is a solution to judge; with
    `demonstrations` or `critic.policy_rows`, problems of other kinds stay problems to solve.
    """
    if recipe.critic is not None and not ((demonstrations or recipe.critic.policy_rows) and problem.kind != "critique"):
        return critique_problem(problem, recipe.critic.format.load())
    prompt = recipe.data.prompt
    if prompt is None:
        return problem
    # The template "{question}" adds nothing; without it, prompts that are already messages pass as well.
    template = None if prompt.template == "{question}" else prompt.template
    return render_prompt(problem, template=template, few_shot=prompt.few_shot, style=prompt.style, system=prompt.system)


def with_functions(problems: list[Problem], recipe: Recipe) -> list[Problem]:
    """The problems with the tools that their prompts describe, where the environment has some. Raises RecipeError."""
    environment = recipe.rollout.environment
    functions = prompt_functions(environment.options) if environment.name == "tool_use" else []
    if functions and (texts := [problem.id for problem in problems if isinstance(problem.prompt, str)]):
        raise RecipeError(
            "rollout.environment.format: this format describes the tools through the chat template, and the prompt of"
            f" problem {texts[0]} is a text, which says nothing of them. Write data.prompt.style: chat, or format:"
            " line, fenced or tags with an example in the prompt"
        )
    return [replace(problem, functions=functions) for problem in problems] if functions else problems
