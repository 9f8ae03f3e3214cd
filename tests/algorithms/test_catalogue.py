"""The catalogue: every declaration is true of its function, and no other place knows a method by its name."""

from __future__ import annotations

import ast
import inspect
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from reasonrl.algorithms.catalogue import (
    ADVANTAGES,
    DEFAULT_ADVANTAGE,
    DEFAULT_LOSS,
    LOSSES,
    ROW_WEIGHT_LOSS,
    Advantage,
    Loss,
)
from reasonrl.algorithms.declarations import ADVANTAGE_NEEDS, LOSS_NEEDS
from reasonrl.algorithms.losses.objective import Objective
from reasonrl.algorithms.losses.token_loss import token_loss
from reasonrl.errors import RecipeError, TrainingError

ROOT = Path(__file__).parents[2]
NAMES = (*ADVANTAGES, *LOSSES)

EXEMPT = {
    ("reasonrl/stages/offline.py", "gspo"): "the loss of this stage is built on it",
    (
        "reasonrl/verl_backend/settings.py",
        "grpo",
    ): "verl's own key algorithm.adv_estimator, which our trainer never asks",
    ("verifiers/code/purity/stateless.py", "geometric_mean"): "a function of the module statistics",
}
"""(file, name) of code that may know a method, and why."""


@pytest.mark.parametrize("name", ADVANTAGES)
def test_an_advantage_takes_what_it_is_said_to_need(name: str) -> None:
    parameters = inspect.signature(ADVANTAGES[name].load()).parameters
    assert set(ADVANTAGES[name].needs) <= set(parameters) & set(ADVANTAGE_NEEDS)
    given = {"rewards", "group", "judged", *ADVANTAGES[name].needs}
    assert {key for key, parameter in parameters.items() if parameter.default is parameter.empty} <= given


@pytest.mark.parametrize("name", [name for name in LOSSES if LOSSES[name].level != "group"])
def test_a_loss_takes_what_it_is_said_to_take(name: str) -> None:
    parameters = inspect.signature(LOSSES[name].load()).parameters
    given = {"logprobs", "advantages", *LOSSES[name].takes}
    assert given <= set(parameters) and set(LOSSES[name].takes) <= set(LOSS_NEEDS)
    assert {key for key, parameter in parameters.items() if parameter.default is parameter.empty} <= given


def test_defaults_are_in_the_catalogue() -> None:
    assert DEFAULT_ADVANTAGE in ADVANTAGES
    assert DEFAULT_LOSS in LOSSES and ROW_WEIGHT_LOSS in LOSSES
    assert LOSSES[ROW_WEIGHT_LOSS].level == "token"
    assert not set(ADVANTAGES) & set(LOSSES)


def test_every_method_has_a_file_of_its_own_that_says_where_it_is_from() -> None:
    for package, declarations in (("advantages", ADVANTAGES), ("losses", LOSSES)):
        for facts in declarations.values():
            module = facts.function.partition(":")[0]
            text = (ROOT / "reasonrl" / "algorithms" / package / f"{module}.py").read_text()
            assert ast.get_docstring(ast.parse(text))


def test_the_catalogue_needs_no_torch() -> None:
    code = "import reasonrl.recipe.reading, reasonrl.algorithms.catalogue, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_no_other_code_knows_a_method_by_its_name() -> None:
    mentions = {
        (str(file.relative_to(ROOT)), name)
        for package in ("reasonrl", "verifiers", "critics")
        for file in sorted((ROOT / package).rglob("*.py"))
        if not file.is_relative_to(ROOT / "reasonrl" / "algorithms")
        for text in texts_in(file)
        for name in re.findall(rf"\b({'|'.join(NAMES)})\b", text)
    }
    assert sorted(mentions - set(EXEMPT)) == []
    assert sorted(set(EXEMPT) - mentions) == [], "exemptions that nothing needs any more"


def texts_in(file: Path) -> Iterator[str]:
    """The texts in a file's code, and what it imports; docstrings are documentation."""
    tree = ast.parse(file.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


User = Callable[..., str]


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> User:
    """Puts an object into a user's module; gives its path."""

    def bring(thing: Any) -> str:
        module = ModuleType("user_methods")
        module.thing = thing  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "user_methods", module)
        return "user_methods:thing"

    return bring


def advantage(rewards: Any, group: Any, judged: Any, lengths: Any, scale: float = 1.0) -> Any:
    return rewards


def greedy(rewards: Any, group: Any, judged: Any, greedy_rewards: Any) -> Any:
    return rewards


def loss(logprobs: Any, advantages: Any, mask: Any, clip_high: float = 0.5) -> Any:
    return -advantages * logprobs * clip_high


def test_a_users_function_says_by_its_signature_what_it_needs(user: User) -> None:
    assert ADVANTAGES[user(advantage)] == Advantage(advantage, "group", needs=("lengths",))
    assert ADVANTAGES[user(greedy)] == Advantage(greedy, "greedy", needs=("greedy_rewards",), needs_drawn_rows=True)
    assert LOSSES[user(loss)] == Loss(loss, "token", takes=("mask", "clip_high"))
    assert "user_methods:thing" not in [*ADVANTAGES, *LOSSES]


def test_a_declaration_of_a_users_is_taken_as_it_is(user: User) -> None:
    declared = Advantage(advantage, "batch", needs=("lengths",), tree_term=True)
    assert ADVANTAGES[user(declared)] is declared
    by_group = Loss(lambda rows: rows.scores.sum(), "group")
    assert LOSSES[user(by_group)] is by_group


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (
            lambda reward, group, judged: 0,
            "has an argument 'reward', which is not known; did you mean 'rewards'\\? rew",
        ),
        (lambda rewards, group: 0, "has no argument 'judged'; rewards, group, judged come always, and by name lengths"),
        (lambda rewards, group, judged, /: 0, "has no argument 'rewards' and no 'group' and no 'judged'"),
        (3, "is neither a function nor an Advantage\\(...\\), but of type int"),
        (Advantage("grpo:grpo_advantages", "group"), "declare the function itself, not its name"),
        (Advantage(advantage, "group", needs=("lenghts",)), "declared to need 'lenghts'; it may ask for lengths"),
        (Advantage(advantage, "group", needs=("moments",)), "'moments', but its function has no such argument"),
    ],
)
def test_an_advantage_that_cannot_be_called(user: User, thing: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=f"^user_methods:thing.* ?{message}"):
        ADVANTAGES[user(thing)]


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (lambda logprobs, advantages, beta: 0, "has an argument 'beta', which is not known; logprobs, advantages come"),
        (lambda logprobs, advantages, clip_low: 0, "needs a default for 'clip_low': a recipe may leave it empty"),
        (lambda logprobs: 0, "has no argument 'advantages'"),
        (Loss(loss, "token", takes=("dual_clip",)), "'dual_clip', but its function has no such argument"),
    ],
)
def test_a_loss_that_cannot_be_called(user: User, thing: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=f"^user_methods:thing.* ?{message}"):
        LOSSES[user(thing)]


def test_names_that_lead_nowhere() -> None:
    with pytest.raises(RecipeError, match="'gpro' is not known; did you mean 'grpo'"):
        ADVANTAGES["gpro"]
    with pytest.raises(RecipeError, match="nowhere:x: there is no module 'nowhere'"):
        LOSSES["nowhere:x"]


def test_the_objective_of_both_trainers_calls_a_users_loss(user: User) -> None:
    """verl's actor asks `Objective.token_losses` too (`verl_backend/losses.py`)."""
    logprobs, advantages, mask = torch.full((2, 3), -1.0), torch.ones(2, 3), torch.ones(2, 3, dtype=torch.bool)
    path = user(loss)
    for clip_high, expected in ((None, 0.5), (0.25, 0.25)):
        losses, clipped = Objective(path, clip_high=clip_high).token_losses(logprobs, logprobs, advantages, mask)
        assert clipped is None and bool((losses == expected).all())


@pytest.mark.parametrize("result", [torch.zeros(()), torch.zeros(2), 0.0, (torch.zeros(2, 2), None)])
def test_a_loss_that_is_not_one_of_each_token_is_refused(user: User, result: Any) -> None:
    path = user(lambda logprobs, advantages: result)
    logprobs = torch.zeros(2, 3)
    with pytest.raises(TrainingError, match=r"user_methods:thing must return the loss of each token, \[2, 3\], not"):
        token_loss(path, logprobs, logprobs, logprobs, torch.ones(2, 3, dtype=torch.bool))


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda losses: losses.detach(), "without a gradient, which train nothing"),
        (lambda losses: losses * 1j, "as real numbers in a dense tensor, not torch.complex64"),
        (lambda losses: losses > 0, "not torch.bool"),
        (lambda losses: (losses, losses > 0, 1), r"returned 3 values; return the loss of each token, \[2, 3\], or the"),
        (lambda losses: (losses, losses[0] > 0), r"where a bound was active as bool, \[2, 3\], not \[3\]"),
        (lambda losses: (losses, losses), "where a bound was active as bool"),
        (lambda losses: losses * math.nan, "returned nan for a token with log-prob -1 and advantage 1"),
        (lambda losses: (losses.sum().backward(retain_graph=True), losses)[1], r"calls backward\(\) itself"),
    ],
)
def test_what_a_users_loss_must_not_return(user: User, result: Any, message: str) -> None:
    path = user(lambda logprobs, advantages: result(-logprobs * advantages))
    logprobs, advantages = torch.full((2, 3), -1.0, requires_grad=True), torch.ones(2, 3)
    with pytest.raises(TrainingError, match=f"^train.loss: user_methods:thing .*{message}"):
        token_loss(path, logprobs, logprobs.detach(), advantages, advantages > 0)


def test_a_users_loss_is_0_where_no_token_is_and_changes_nothing(user: User) -> None:
    def careless(logprobs: Any, advantages: Any, mask: Any) -> Any:
        result = torch.where(mask, -logprobs * advantages, torch.nan)
        torch.set_grad_enabled(False)
        for given in (logprobs, advantages, mask):
            given.zero_()
        return result

    logprobs, advantages = torch.full((2, 3), -1.0, requires_grad=True), torch.ones(2, 3)
    mask = torch.tensor([[True, True, False], [True, False, False]])
    losses, _ = token_loss(user(careless), logprobs, logprobs.detach(), advantages, mask)
    assert losses.tolist() == [[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    assert torch.is_grad_enabled() and bool((logprobs == -1).all()) and bool((advantages == 1).all())
    assert mask.sum() == 3


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        (Advantage(advantage, "nobody"), "with baseline='nobody'; choose one of group, batch, greedy"),  # type: ignore[arg-type]
        (Advantage(advantage, "group", divides_by="std"), "with divides_by='std'; choose one of nothing"),  # type: ignore[arg-type]
        (Advantage(advantage, "group", aggregation="mean"), "aggregation='mean'; choose one of token_mean"),  # type: ignore[arg-type]
        (Advantage(advantage, "group", needs="lengths"), "with needs='lengths'; write a tuple of names"),  # type: ignore[arg-type]
        (Loss(loss, "nobody"), "with level='nobody'; choose one of token, sequence, group"),  # type: ignore[arg-type]
        (Loss(loss, "token", aggregation="mean"), "with aggregation='mean'; choose one of token_mean"),  # type: ignore[arg-type]
        (Loss(loss, "token", takes="mask"), "with takes='mask'; write a tuple of names"),  # type: ignore[arg-type]
        (Loss(loss, "group"), "of level group is called with one argument, the ScoredRows: missing"),
        (Loss(5, "group"), "is declared with 5, which is not a function"),  # type: ignore[arg-type]
    ],
)
def test_a_declaration_that_says_what_nobody_knows(user: User, declaration: Any, message: str) -> None:
    methods: Any = ADVANTAGES if isinstance(declaration, Advantage) else LOSSES
    with pytest.raises(RecipeError, match=f"^user_methods:thing.* ?{message}"):
        methods[user(declaration)]


def test_a_signature_that_raises_is_one_message(user: User) -> None:
    class Odd:
        __signature__ = 5

        def __call__(self, logprobs: Any, advantages: Any) -> Any:
            return logprobs

    with pytest.raises(RecipeError, match=r"does not declare its arguments .*; wrap it in a function"):
        LOSSES[user(Odd())]
