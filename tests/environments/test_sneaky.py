"""The game: what counts as harm, who earns what, and that a league of balanced pairs teaches a critic to tell steps
apart.
"""

from __future__ import annotations

from typing import Any

import pytest

from critics.formats import load_format
from critics.rewards import Validation
from critics.sneaky import SneakyPrompt
from reasonrl.data.step_arithmetic import step_arithmetic
from reasonrl.data.step_sums import parse_sum, worked
from reasonrl.engines.base import Sampling
from reasonrl.engines.batching import run_episodes
from reasonrl.environments.roles import LocalSpeaker
from reasonrl.environments.sneaky import Game, SneakyGame
from reasonrl.stages.game import game_row, offline_rows, sentence, summary
from tests.environments.scripted import TOKENIZER, ScriptedEngine, TabularCritic
from verifiers.loading import load_verifier
from verifiers.types import Problem

FORMAT = load_format("answer_tag", instruction="Check.")
SAYS = {True: "<Answer>Correct</Answer>", False: "<Answer>Incorrect</Answer>"}


def right_solution(number: int = 0) -> Problem:
    one = step_arithmetic({"size": number + 1, "terms": 3})[number]
    steps = worked(one.meta["question"])
    reference = {
        "answer": one.reference["answer"],
        "solution": "\n".join(steps),
        "steps": list(steps),
        "correct": True,
        "first_error": -1,
    }
    return Problem(one.id, one.meta["question"], "critique", reference, meta=one.meta)


def spoil(prompt: str, seed: int) -> str:
    """One more than is right."""
    step = prompt.split("<step>\n")[1].split("\n</step>")[0]
    left, _, result = step.rpartition(" = ")
    return f"<step>\n{left} = {int(result) + 1}\n</step>"


def go_on(prompt: str, seed: int) -> str:
    """A solver that never errs, from wherever it is set off."""
    question, _, begun = prompt.removeprefix("<|user|>").partition("<|assistant|>")
    done = begun.strip().split("\n")
    _, operations = parse_sum(question)
    value, lines = int(done[-1].rpartition(" ")[2]), []
    for sign, number in operations[len(done) :]:
        after = value + number if sign == "+" else value - number
        lines.append(f"{value} {sign} {number} = {after}")
        value = after
    return "\n".join(lines)


def last_step_is_right(prompt: str) -> bool:
    step = prompt.split("<step>\n")[1].split("\n</step>")[0]
    left, sign, right, _, result = step.split()
    return int(result) == (int(left) + int(right) if sign == "+" else int(left) - int(right))


def play(
    sneaky: Any = spoil, solver: Any = go_on, critic: Any = None, *, count: int = 4, seed: int = 0, **options: Any
) -> list[Game]:
    engines = {"sneaky": ScriptedEngine(sneaky), "solver": ScriptedEngine(solver)}
    judge = ScriptedEngine(critic or (lambda prompt, seed: SAYS[last_step_is_right(prompt)]))
    engines["critic"] = critic if isinstance(critic, TabularCritic) else judge  # type: ignore[assignment]
    speakers = {role: LocalSpeaker(role, TOKENIZER, Sampling(40), engine=role) for role in engines}
    game = SneakyGame(
        **speakers, oracle=load_verifier("math", mode="lenient"), format=FORMAT,
        **{"prompt": SneakyPrompt(instruction="Spoil."), "validation": Validation(), "completions": 4, **options},
    )  # fmt: skip

    def one(number: int) -> Any:
        return lambda engines: game.play(right_solution(number), 0, seed * 1000 + number, engines)

    return run_episodes([one(number) for number in range(count)], ScriptedEngine(lambda p, s: ""), engines)


def test_behind_the_last_step_no_further_line_is_begun() -> None:
    """A model that has learnt to write lines writes one after a line break, and a complete solution would come out
    wrong.
    """

    def line_writer(prompt: str, seed: int) -> str:
        return go_on(prompt, seed) or ("7 + 7 = 0" if prompt.endswith("\n") else "")

    games = play(solver=line_writer, count=12)
    assert {game.step for game in games} == {0, 1} and all(game.validated for game in games)


def test_the_kinds_of_error_are_the_prompts() -> None:
    heard: list[str] = []
    prompt = SneakyPrompt(instruction="Spoil: {error}.", error_types=("sign", "number"))
    games = play(sneaky=lambda text, seed: heard.append(text) or spoil(text, seed), prompt=prompt, count=12)  # type: ignore[func-returns-value]
    assert {game.error_type for game in games} == {"sign", "number"}
    assert all(f"Spoil: {game.error_type}." in text for game, text in zip(games, heard, strict=True))


def test_a_harmful_step_that_is_found_out() -> None:
    for game in play():
        assert (game.before, game.after, game.validated, game.detected, game.false_alarm) == (
            1.0,
            0.0,
            True,
            True,
            False,
        )
        assert [turn.reward for turn in game.critic_turns] == [1.0, 1.0] and [
            turn.reward for turn in game.sneaky_turns
        ] == [-1.0]


def test_a_critic_that_is_fooled_and_one_that_cries_wolf() -> None:
    for game in play(critic=lambda p, s: SAYS[True]):
        assert (
            game.detected is False
            and [t.reward for t in game.critic_turns] == [-1.0, 1.0]
            and game.sneaky_turns[0].reward == 1.0
        )
    for game in play(critic=lambda p, s: SAYS[False]):
        assert game.false_alarm is True and [t.reward for t in game.critic_turns] == [1.0, -1.0]
    for game in play(critic=lambda p, s: "hm"):
        assert (
            game.detected is None
            and [t.reward for t in game.critic_turns] == [-1.0, -1.0]
            and game.sneaky_turns[0].reward == 0.0
        )


@pytest.mark.parametrize(
    "sneaky", [lambda p, s: "no step", lambda p, s: "<step>" + p.split("<step>\n")[1].split("\n</step>")[0] + "</step>"]
)
def test_no_new_step_loses_and_asks_nobody(sneaky: Any) -> None:
    for game in play(sneaky):
        assert (
            game.spoilt is None
            and game.before is None
            and not game.critic_turns
            and game.sneaky_turns[0].reward == -1.0
        )


def test_a_step_that_does_no_harm_loses() -> None:
    def heals(prompt: str, seed: int) -> str:
        question = prompt.removeprefix("<|user|>").partition("<|assistant|>")[0]
        return worked(question)[-1] + "\n" + worked(question)[-1]

    for game in play(solver=heals):
        assert (game.after, game.validated, game.sneaky_turns[0].reward, game.critic_turns) == (1.0, False, -1.0, [])


def test_a_solver_that_fails_by_itself_proves_nothing() -> None:
    for game in play(solver=lambda p, s: "0 + 0 = 999"):
        assert game.before == 0.0 and not game.validated


def test_rows_to_learn_from_and_who_won() -> None:
    games = play(critic=lambda p, s: SAYS[True])
    critic, sneaky = offline_rows(games, "critic", "game-1"), offline_rows(games, "sneaky", "game-1")
    assert [row.reference["reward"] for row in critic] == [-1.0, 1.0] * 4 and len(sneaky) == 4
    assert (
        len({row.id for row in critic}) == 8
        and critic[0].kind == "offline"
        and critic[0].reference["response"] == SAYS[True]
    )
    counts = summary(games)
    assert (
        counts["validated"] == 4
        and counts["sneaky wins"]["estimate"] == 1.0
        and counts["critic: error recall"]["estimate"] == 0.0
    )
    assert "4 validated" in sentence(counts) and game_row(games[0])["detected"] is False


def test_a_solution_without_steps_is_refused() -> None:
    bare = Problem("p", "1 + 1", "critique", {"answer": "2", "solution": "2", "correct": True})
    game = SneakyGame(
        sneaky=LocalSpeaker("sneaky", TOKENIZER, Sampling(4)),
        solver=LocalSpeaker("solver", TOKENIZER, Sampling(4)),
        critic=LocalSpeaker("critic", TOKENIZER, Sampling(4)),
        oracle=load_verifier("math"),
        format=FORMAT,
        prompt=SneakyPrompt(),
        validation=Validation(),
    )
    with pytest.raises(ValueError, match="not split into steps"):
        run_episodes([lambda engines: game.play(bare, 0, 0, engines)], ScriptedEngine(lambda p, s: ""))


def test_paired_steps_teach_a_critic_to_tell_them_apart() -> None:
    """Without the pairs "always incorrect" wins every game; with them it wins half, and looking wins all."""
    arms = {
        "always incorrect": lambda prompt, rng: SAYS[False],
        "always correct": lambda prompt, rng: SAYS[True],
        "looks": lambda prompt, rng: SAYS[
            last_step_is_right(prompt) if rng.random() < 0.9 else not last_step_is_right(prompt)
        ],
    }

    def league(paired: bool) -> list[float]:
        table, won = TabularCritic(arms), []  # type: ignore[arg-type]
        for number in range(12):
            rewards = [[turn.reward for turn in game.critic_turns] for game in play(critic=table, count=8, seed=number)]
            won.append(sum(r > 0 for pair in rewards for r in pair) / sum(map(len, rewards)))
            table.learn(
                [reward if paired or place == 0 else 0.0 for pair in rewards for place, reward in enumerate(pair)],
                lr=0.15,
            )
        return won if table.favourite == "looks" else [won[0], 0.0]

    assert league(paired=True)[-1] > 0.8
    assert league(paired=False)[-1] < 0.8
