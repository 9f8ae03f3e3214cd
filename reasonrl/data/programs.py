"""The data source `programs`: find a function of one or two integers from some of its values. Many programs are right.

Which side of the split a function is on depends on its shown values alone, so nothing that fits a held-out prompt is
trained on.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from reasonrl.data.mistakes import refuse_unknown
from reasonrl.data.program_demonstrations import FORMAT, TASKS, demonstrated
from reasonrl.data.program_trees import Op, Tree, rewritten, text, total, value, with_a_mistake
from reasonrl.data.task_options import within, wrong_format, wrong_numbers, wrong_tasks
from reasonrl.errors import DataError
from verifiers.types import Problem

NAMES = ("x", "y")
SHOWN: dict[int, list[tuple[int, ...]]] = {
    1: [(0,), (1,), (2,), (3,), (4,), (5,), (6,), (9,)],
    2: [(0, 0), (1, 0), (0, 1), (1, 1), (2, 1), (1, 3), (5, 2), (4, 7)],
}
"""The inputs whose values a prompt shows, by the number of arguments: always the same, so that a small model need not
learn what an input means.
"""
CONSTANTS = range(1, 10)
HIDDEN_INPUTS = range(-5, 26)
LARGEST_VALUE = 60
"""Of a function on the inputs that are shown: each number of a prompt is one token of `tiny-programs`."""
COEFFICIENTS = (1, 1, 1, 2, 2, 3, 4, -1, -1, -2, -3)
_MISSES = 5_000


@dataclass(frozen=True, slots=True)
class _Options:
    """The options, checked, with their defaults."""

    size: int
    seed: int
    repeat: int = 1
    split: str = "train"
    test_share: float = 0.2
    wrapped: float = 0.3
    careless: float = 0.0
    arguments: tuple[int, int] = (1, 2)
    shown: int = 8
    hidden: int = 10
    tasks: dict[str, float] | None = None
    error_rate: float = 0.5
    false_critiques: float = 0.0
    format: str | dict[str, Any] = FORMAT


def programs(options: dict[str, Any], *, seed: int = 0) -> list[Problem]:
    """Problems of kind "code", each with a program in reference["demonstration"]. Where `repeat` is 1, a right one is
    reference["solution"], which a check of the data runs; demonstrations by the thousand are not run.

    Options:
        size: how many functions.
        repeat: how many problems are generated from each function, with the form of the program drawn again (1).
        wrapped: share of the functions that are more than a sum of multiples: its absolute value, or the larger or the
            smaller of it and another value (0.3).
        careless: share of the demonstrations with one mistake, which at least one shown value tells (0).
        arguments: 1, 2, or [1, 2] for both ([1, 2]).
        shown: how many values the prompt shows (8). Use the same number for all sets of a run: it decides the split.
        hidden: how many further values decide, with the shown ones (10).
        split, test_share: train or test; a function's side depends on its shown values alone.
        tasks: shares of solve (write the program), refine (a program and a critique of it are given) and critique
            (judge a program). Prompts are messages then. Without it: solve, and prompts are texts.
        error_rate: of refine and critique, the share with a mistake (0.5).
        false_critiques: of refine, the share whose critique is false (0). The demonstration follows it all the same:
            it leaves a wrong program as it is, and spoils a right one.
        format: of the critiques, as in `critic.format` (conclusion).

    Raises DataError.
    """
    checked = _checked(options, seed)
    stem = f"{checked.split}-{checked.seed}"
    rng, rng_of_forms = random.Random(f"programs {stem}"), random.Random(f"forms of programs {stem}")
    problems: list[Problem] = []
    rng_of_tasks = random.Random(f"tasks of programs {stem}")
    for arguments, tree, wrapped in _functions(checked, rng):
        tests, prompt = _tests(arguments, tree, checked, rng), _prompt(arguments, tree, checked)
        for _ in range(checked.repeat):
            name = f"programs/{stem}-{len(problems)}"
            form = rewritten(tree, rng_of_forms)
            program = _program(arguments, form)
            solution = {"solution": program} if checked.repeat == 1 else {}
            careless = rng_of_forms.random() < checked.careless
            if careless:
                mistaken = _mistaken(tree, arguments, checked, rng_of_forms)
                program = _program(arguments, rewritten(mistaken, rng_of_forms))
            reference = {**tests, "demonstration": program, **solution}
            meta = {"arguments": arguments, "wrapped": wrapped, "careless": careless}
            problem = Problem(name, prompt, "code", reference, "programs", meta)
            problems.append(problem if checked.tasks is None else _as_task(problem, form, checked, rng_of_tasks))
    return problems


def generate(options: dict[str, Any], *, seed: int, split: str | None, limit: int | None) -> list[Problem]:
    """The source `programs` of a recipe. Raises DataError."""
    chosen = {"split": split, **options} if split is not None else options
    return programs(chosen, seed=seed)[:limit]


def _as_task(problem: Problem, form: Tree, options: _Options, rng: random.Random) -> Problem:
    """The problem with messages as its prompt, as one of the tasks. `form`: its right program."""
    assert options.tasks is not None
    arguments, question = problem.meta["arguments"], str(problem.prompt).rstrip("\n")
    task = rng.choices(list(options.tasks), list(options.tasks.values()))[0]
    solved = problem.reference["demonstration"] if task == "solve" else _program(arguments, form)
    plain = replace(
        problem,
        prompt=[{"role": "user", "content": question}],
        reference={**problem.reference, "demonstration": solved.rstrip("\n")},
        meta={**problem.meta, "question": question, "task": task},
    )
    if task == "solve":
        return plain

    def draw_wrong() -> str:
        return _program(arguments, _mistaken(form, arguments, options, rng)).rstrip("\n")

    return demonstrated(plain, task, asdict(options), draw_wrong, rng)


def _program(arguments: int, tree: Tree) -> str:
    return f"def f({', '.join(NAMES[:arguments])}): return {text(tree)}\n"


def _mistaken(tree: Tree, arguments: int, options: _Options, rng: random.Random) -> Tree:
    """The tree with one mistake, which at least one of the shown values tells."""
    right = [(given, _value(tree, given)) for given in SHOWN[arguments][: options.shown]]
    while True:
        wrong = with_a_mistake(tree, rng)
        if any(_value(wrong, given) != expected for given, expected in right):
            return wrong


def _prompt(arguments: int, tree: Tree, options: _Options) -> str:
    shown = SHOWN[arguments][: options.shown]
    return "\n".join(f"f({', '.join(map(str, given))}) == {_value(tree, given)}" for given in shown) + "\n"


def _tests(arguments: int, tree: Tree, options: _Options, rng: random.Random) -> dict[str, Any]:
    """The shown and the hidden inputs with their values, as calls of `f`."""
    inputs = [*SHOWN[arguments][: options.shown], *_hidden_inputs(arguments, options.hidden, rng)]
    outputs = [_value(tree, given) for given in inputs]
    return {
        "format": "call_based",
        "tests": {"fn_name": "f", "inputs": [list(given) for given in inputs], "outputs": outputs},
    }


def _hidden_inputs(arguments: int, count: int, rng: random.Random) -> list[tuple[int, ...]]:
    """So many different inputs, none of which can be shown."""
    chosen: list[tuple[int, ...]] = []
    while len(chosen) < count:
        given = tuple(rng.choice(HIDDEN_INPUTS) for _ in range(arguments))
        if given not in chosen and given not in SHOWN[arguments]:
            chosen.append(given)
    return chosen


def _value(tree: Tree, given: tuple[int, ...]) -> int:
    return value(tree, dict(zip(NAMES, given, strict=False)))


def _functions(options: _Options, rng: random.Random) -> Iterator[tuple[int, Tree, bool]]:
    """Different functions of one side of the split, with their numbers of arguments, and whether they are wrapped."""
    seen: set[tuple[int, ...]] = set()
    misses = 0
    while len(seen) < options.size:
        arguments, wrapped = rng.randint(*options.arguments), rng.random() < options.wrapped
        tree = _tree(NAMES[:arguments], wrapped, rng)
        shown = SHOWN[arguments][: options.shown]
        if not _fits(tree, arguments) or (wrapped and not _shows_its_wrapper(tree, shown)):
            continue
        values = (arguments, *(_value(tree, given) for given in shown))
        if values in seen or _side(values, options.test_share) != options.split:
            misses += 1
            if misses > _MISSES:
                raise DataError(
                    f"programs: there are only about {len(seen):,} different functions of {options.size:,}. Ask for"
                    " fewer"
                )
            continue
        misses = 0
        seen.add(values)
        yield arguments, tree, wrapped


def _fits(tree: Tree, arguments: int) -> bool:
    """Whether the function depends on each argument and its shown values stay small."""
    values = [(given, _value(tree, given)) for given in SHOWN[arguments]]
    if max(abs(expected) for _, expected in values) > LARGEST_VALUE:
        return False
    return all(
        any(expected != _value(tree, (*given[:place], 4, *given[place + 1 :])) for given, expected in values)
        for place in range(arguments)
    )


def _shows_its_wrapper(tree: Tree, shown: list[tuple[int, ...]]) -> bool:
    """Whether the shown values of `abs`, `max` or `min` differ from those of each operand and of its negative.

    If they did not, the prompt could not tell the function from a simpler one, and hidden values would decide by luck.
    """
    assert isinstance(tree, Op)
    values = [_value(tree, given) for given in shown]
    operands = [[_value(operand, given) for given in shown] for operand in tree.operands]
    return all(values != operand and values != [-v for v in operand] for operand in operands)


def _side(values: tuple[int, ...], test_share: float) -> str:
    digest = hashlib.blake2b(repr(values).encode(), digest_size=8).digest()
    return "test" if int.from_bytes(digest) < test_share * 2**64 else "train"


def _tree(names: tuple[str, ...], wrapped: bool, rng: random.Random) -> Tree:
    """A random sum of multiples of the names and a constant; wrapped, in `abs`, or in the `max` or `min` with a name or
    a constant.
    """
    terms: list[tuple[int, Tree]] = [_term(rng.choice(COEFFICIENTS), name) for name in names]
    if rng.random() < 0.6:
        terms.append((rng.choice([1, -1]), rng.choice(CONSTANTS)))
    tree = total(sorted(terms, key=lambda term: -term[0]))
    if not wrapped:
        return tree
    name = rng.choice(["abs", "max", "min"])
    if name == "abs":
        return Op("abs", (tree,))
    others: list[Tree] = [*names, rng.choice(CONSTANTS)]
    return Op(name, (tree, rng.choice(others)))


def _term(coefficient: int, name: str) -> tuple[int, Tree]:
    size = abs(coefficient)
    return (1 if coefficient > 0 else -1), (name if size == 1 else Op("*", (size, name)))


def _checked(options: dict[str, Any], seed: int) -> _Options:
    """All options with their defaults. Raises DataError with all that is wrong."""
    names = [field.name for field in fields(_Options)]
    refuse_unknown(options, names, "programs")
    if "size" not in options:
        raise DataError("programs: the option size is missing; write the number of functions")
    given = {"seed": seed} | options
    wrong = wrong_numbers(given, shares=("test_share", "wrapped", "careless", "error_rate", "false_critiques"))
    if "arguments" in given:
        pair = _pair(given["arguments"], len(NAMES))
        if pair is None:
            wrong.append(f"arguments must be 1, 2 or [1, 2], not {given['arguments']!r}")
        given["arguments"] = pair
    for name, most in (("shown", len(SHOWN[1])), ("hidden", 20)):
        if name in given and not within(given[name], 1, most):
            wrong.append(f"{name} must be a whole number from 1 to {most}, not {given[name]!r}")
    wrong += [*wrong_tasks(given, TASKS), *wrong_format(given, FORMAT)]
    if wrong:
        raise DataError(f"programs: {'; '.join(wrong)}")
    return _Options(**given)


def _pair(given: Any, most: int) -> tuple[int, int] | None:
    """[least, most] of what may be one number; None if it is neither."""
    pair = (given, given) if within(given, 1, most) else given
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        return None
    least, greatest = pair
    return (least, greatest) if within(least, 1, most) and within(greatest, least, most) else None
