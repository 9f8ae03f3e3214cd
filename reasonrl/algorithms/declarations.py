"""What an advantage or a loss says of itself, and where its name leads: to a built-in one, or to `package.module:name`
in a user's module.

A user's module gives a plain function, whose signature says what it needs, or a declaration that holds a function.
Nothing here imports torch; a user's module may.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args, get_type_hints

from reasonrl.errors import RecipeError
from reasonrl.plugins import import_dotted
from reasonrl.user_code.guards import call_user_code, describe_error, shown
from reasonrl.user_code.process_state import process_as_before
from reasonrl.words import did_you_mean

Aggregation = Literal["token_mean", "sequence_mean", "sequence_sum"]

ADVANTAGE_ARGUMENTS = ("rewards", "group", "judged")
ADVANTAGE_NEEDS = (
    "lengths",
    "greedy_rewards",
    "predictions",
    "problem_id",
    "reward_parts",
    "part_weights",
    "moments",
)
LOSS_ARGUMENTS = ("logprobs", "advantages")
LOSS_SETTINGS = ("clip_low", "clip_high", "dual_clip")
"""Settings that a recipe may leave empty: a loss has its own default for each that it takes."""
LOSS_NEEDS = ("old_logprobs", "mask", *LOSS_SETTINGS, "mirror_beta")


@dataclass(frozen=True)
class Advantage:
    """An advantage estimator: `function(rewards [B], group [B], judged [B], **needs) -> [B]`."""

    function: str | Callable[..., Any]
    """module:function in `reasonrl.algorithms.advantages`, or a user's function itself."""
    baseline: Literal["group", "batch", "greedy", "prediction", "history"]
    """What a reward is compared with: the other rollouts of its prompt, those of the whole batch, the greedy response,
    a prediction made before the rollouts, or earlier rollouts of the prompt. Only a group baseline needs two rollouts.
    """
    needs: tuple[str, ...] = ()
    """Keyword arguments besides rewards, group and judged: lengths [B], greedy_rewards [B], predictions [B],
    problem_id, reward_parts and part_weights by name, moments (what is remembered of each prompt).
    """
    divides_by: Literal["nothing", "group_std", "batch_std"] = "nothing"
    """The scale of the estimator. TEMPO divides its tree term by the same scale."""
    tree_term: bool = False
    """A reward less a baseline, and at most a scale: TEMPO's tree term can be added."""
    ignores_shaping: str = ""
    """Why a shaped reward has no effect; empty where it has one."""
    needs_drawn_rows: bool = False
    """Every row must be drawn by the policy: critique-guided refinements (Critique-GRPO) have no place."""
    learns_from_equal_rewards: bool = False
    """A group whose rewards are all equal still has advantages, so dropping such groups loses something."""
    aggregation: Aggregation = "token_mean"
    """How token losses become one number unless the recipe says otherwise."""

    def load(self) -> Callable[..., Any]:
        return _load("advantages", self.function, "train.advantage")


@dataclass(frozen=True)
class Loss:
    """A policy loss.

    Token losses are `function(logprobs [B, T], advantages [B, T], **takes)` and return the loss [B, T], or the pair of
    it and where a bound was active [B, T]. Losses of level "group" are `function(ScoredRows) -> scalar`.
    """

    function: str | Callable[..., Any]
    """module:function in `reasonrl.algorithms.losses`, or a user's function itself."""
    level: Literal["token", "sequence", "group"]
    """What one term of the loss is about: a token, a whole response, or the responses of a prompt against each other.
    From "sequence" on, credit of single tokens would be averaged away; from "group" on, advantages play no part.
    """
    takes: tuple[str, ...] = ()
    """Keyword arguments besides log-probs and advantages: old_logprobs, mask, clip_low, clip_high, dual_clip,
    mirror_beta.
    """
    needs_reference: bool = False
    """Compares with the log-probs of the model that the stage started from."""
    aggregation: Aggregation | None = None
    """How token losses become one number unless the recipe says otherwise; None: as the advantage has it."""

    @property
    def has_bounds(self) -> bool:
        """Whether `clip_low` and `clip_high` mean something."""
        return "clip_low" in self.takes

    def load(self) -> Callable[..., Any]:
        return _load("losses", self.function, "train.loss")


def _load(package: str, function: str | Callable[..., Any], key: str) -> Callable[..., Any]:
    """A built-in function itself; a user's as a call that raises TrainingError for what the function raises."""
    if not isinstance(function, str):
        name = getattr(function, "__name__", type(function).__name__)
        return functools.partial(_call, f"{key}: {name}", function)
    module, _, name = function.partition(":")
    loaded: Callable[..., Any] = getattr(importlib.import_module(f"reasonrl.algorithms.{package}.{module}"), name)
    return loaded


def _call(subject: str, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Any:
    with process_as_before():
        return call_user_code(subject, function, *arguments, **options)


Declaration = TypeVar("Declaration", bound=Advantage | Loss)


class Methods(dict[str, Declaration]):
    """Declarations by name. It holds the built-in ones; `methods["package.module:name"]` finds a user's.

    Every caller looks a method up here, and nowhere else.
    """

    def __init__(self, declare: Callable[[str, Any], Declaration], built_in: dict[str, Declaration]) -> None:
        super().__init__(built_in)
        self._declare: Callable[[str, Any], Declaration] = declare

    def __missing__(self, name: str) -> Declaration:
        """Raises RecipeError: there is no such name, module or object, or it asks for what it cannot be given."""
        if ":" not in name:
            hint = did_you_mean(name, self)
            raise RecipeError(f"'{name}' is not known; {hint + ' ' if hint else ''}choose one of {', '.join(self)}")
        return self._declare(name, import_dotted(name, name))

    def check(self, name: str) -> str:
        """`name`, if it leads to a method. Raises RecipeError."""
        self[name]
        return name


def declare_advantage(path: str, brought: Any) -> Advantage:
    """The declaration of what a user's module has at `path`. Raises RecipeError.

    A function's needs are the arguments that it names. It is taken for a group baseline, unless it asks for something
    else to compare a reward with.
    """
    if isinstance(brought, Advantage):
        _check_choices(path, brought, ("baseline", "divides_by", "aggregation"))
        _check_declared(path, brought.function, ADVANTAGE_ARGUMENTS, ADVANTAGE_NEEDS, ("needs", brought.needs))
        return brought
    names = _argument_names(path, brought, ADVANTAGE_ARGUMENTS, ADVANTAGE_NEEDS, "an Advantage(...)")
    needs = tuple(name for name in ADVANTAGE_NEEDS if name in names)
    baseline: Literal["greedy", "prediction", "history", "group"] = "group"
    if "greedy_rewards" in needs:
        baseline = "greedy"
    elif "predictions" in needs:
        baseline = "prediction"
    elif "moments" in needs:
        baseline = "history"
    return Advantage(brought, baseline, needs, needs_drawn_rows=bool({*needs} - {"lengths"}))


def declare_loss(path: str, brought: Any) -> Loss:
    """The declaration of what a user's module has at `path`. Raises RecipeError.

    A plain function is a loss of tokens. It takes the arguments that it names.
    """
    if isinstance(brought, Loss):
        _check_choices(path, brought, ("level", "aggregation"))
        if brought.level == "group":
            _check_takes_rows(path, brought.function)
        else:
            _check_declared(path, brought.function, LOSS_ARGUMENTS, LOSS_NEEDS, ("takes", brought.takes))
        return brought
    names = _argument_names(path, brought, LOSS_ARGUMENTS, LOSS_NEEDS, "a Loss(...)")
    return Loss(brought, "token", tuple(name for name in LOSS_NEEDS if name in names))


def _check_choices(path: str, declaration: Advantage | Loss, fields: tuple[str, ...]) -> None:
    """Raises RecipeError where a field has none of the values that its type names."""
    hints = get_type_hints(type(declaration))
    for name in fields:
        value = getattr(declaration, name)
        kinds = get_args(hints[name])
        choices = [choice for kind in kinds for choice in (get_args(kind) or (kind,)) if choice is not type(None)]
        if not (value in choices or (value is None and type(None) in kinds)):
            raise RecipeError(f"{path} is declared with {name}={shown(value)}; choose one of {', '.join(choices)}")


def _check_takes_rows(path: str, function: Any) -> None:
    """Raises RecipeError where a loss over the responses of a prompt cannot be called with them alone."""
    if isinstance(function, str):
        raise RecipeError(f"{path}: declare the function itself, not its name {function!r}")
    if not callable(function):
        raise RecipeError(f"{path} is declared with {shown(function)}, which is not a function")
    try:
        _signature(path, function).bind(None)
    except TypeError as error:
        raise RecipeError(
            f"{path}: a loss of level group is called with one argument, the ScoredRows: {error}"
        ) from error


def _signature(path: str, function: Any) -> inspect.Signature:
    """Raises RecipeError where a user's object does not say how it is called."""
    try:
        return inspect.signature(function)
    except ValueError as error:
        raise RecipeError(f"{path} does not declare its arguments; wrap it in a function that does") from error
    except Exception as error:  # the __signature__ of a foreign object
        raise RecipeError(
            f"{path} does not declare its arguments ({describe_error(error)}); wrap it in a function that does"
        ) from error


def _check_declared(
    path: str, function: Any, always: tuple[str, ...], offered: tuple[str, ...], needs: tuple[str, tuple[str, ...]]
) -> None:
    """`needs`: the name of the field that holds them, and they."""
    if isinstance(function, str):
        raise RecipeError(f"{path}: declare the function itself, not its name {function!r}")
    field, declared = needs
    if not isinstance(declared, tuple | list) or not all(isinstance(name, str) for name in declared):
        raise RecipeError(f"{path} is declared with {field}={shown(declared)}; write a tuple of names")
    names = _argument_names(path, function, always, offered, "a function")
    for name in declared:
        if name not in offered:
            raise RecipeError(f"{path} is declared to need '{name}'; it may ask for {', '.join(offered)}")
        if name not in names:
            raise RecipeError(f"{path} is declared to need '{name}', but its function has no such argument")


def _argument_names(
    path: str, function: Any, always: tuple[str, ...], offered: tuple[str, ...], otherwise: str
) -> Iterable[str]:
    """The arguments that a user's function can be given by name."""
    if not callable(function):
        raise RecipeError(f"{path} is neither a function nor {otherwise}, but of type {type(function).__name__}")
    parameters = _signature(path, function).parameters.values()
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    choices = f"{', '.join(always)} come always, and by name {', '.join(offered)}; another argument needs a default"
    for name, parameter in named.items():
        if parameter.default is not parameter.empty:
            continue
        if name not in (*always, *offered):
            hint = did_you_mean(name, (*always, *offered))
            raise RecipeError(
                f"{path} has an argument '{name}', which is not known; {hint + ' ' if hint else ''}{choices}"
            )
        if name in LOSS_SETTINGS:
            raise RecipeError(f"{path} needs a default for '{name}': a recipe may leave it empty")
    if missing := [name for name in always if name not in named]:
        raise RecipeError(f"{path} has no argument {' and no '.join(map(repr, missing))}; {choices}")
    return named
