"""A play of models: seeds, counts, budgets and deadlines, on scripted voices."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from critics.strategies import STRATEGIES, load_strategy
from critics.types import Critique, Judgement, ParseStatus
from reasonrl.engines.base import Sampling
from reasonrl.engines.served import ServedFailure
from reasonrl.serving.play import BudgetSpent, ModelPlay, play
from reasonrl.serving.replaying import Settings, replay_trace
from reasonrl.serving.trace import Trace, call_facts, play_trace
from reasonrl.serving.verdicts import verdict_json
from reasonrl.serving.voices import BadPrompt, Said
from tests.serving.fake_voices import FakeVoice, fake_cast
from verifiers.types import Problem

PROBLEM = Problem("p", [{"role": "user", "content": "What is 1 + 2?"}], "math", {"answer": "3"}, "test")
ACCEPTS = "Step sentence: It is 3.\nCorrectness of the step: Correct\nCorrectness of the final answer: Correct"
REJECTS = ACCEPTS.replace("answer: Correct", "answer: Wrong").replace("step: Correct", "step: Wrong")


def actor_text(chat: Any, seed: int) -> str:
    """Right where a critique stands before it; else one of three answers, by the seed."""
    if len(chat) > 1:
        return "Then it is \\boxed{3}."
    return f"It is \\boxed{{{2 + seed % 3}}}."


def critic_text(chat: Any, seed: int) -> str:
    return ACCEPTS if "boxed(3)" in chat[0]["content"].replace("{", "(").replace("}", ")") else REJECTS


def cast(**options: Any) -> Any:
    return fake_cast(FakeVoice("actor", actor_text), FakeVoice("critic", critic_text), **options)


def run(name: str, game: ModelPlay, deadline_s: float | None = None, **options: int) -> str:
    return asyncio.run(play(load_strategy(name, **options), game, deadline_s=deadline_s))


def test_refinement_uses_the_critique() -> None:
    for seed in range(8):
        game = ModelPlay(cast(), PROBLEM, seed)
        stopped_by = run("refine", game)
        assert game.best is not None and game.best.answer == "3" and stopped_by == "accepted"
    refined = next(call for call in game.calls if call.role == "actor")
    assert refined.chat[0] == PROBLEM.prompt[0]


def test_a_continuation_begins_where_the_wrong_step_stood() -> None:
    """The actor is given what stands before the step; its draft is both."""

    def solve(chat: Any, seed: int) -> str:
        if chat[-1]["role"] == "assistant":
            return "It is \\boxed{3}."
        return "First, one.\nThen two.\nIt is \\boxed{4}."

    verdict = "Step sentence: {}\nCorrectness of the step: {}\n"
    rejects = "".join(verdict.format(*pair) for pair in (("First, one.", "Correct"), ("Then two.", "Correct")))
    rejects += verdict.format("It is 4.", "Wrong") + "Correctness of the final answer: Wrong"
    critic = FakeVoice("critic", lambda chat, seed: rejects if "4" in chat[0]["content"] else ACCEPTS)
    game = ModelPlay(fake_cast(FakeVoice("actor", solve), critic), PROBLEM, 1)
    assert run("step_search", game) in ("accepted", "rounds", "all_rejected")
    assert game.best is not None and game.best.text == "First, one.\nThen two.\nIt is \\boxed{3}."
    assert game.best.answer == "3"
    second = [call for call in game.calls if call.role == "actor"][1]
    assert second.chat[1:] == [{"role": "assistant", "content": "First, one.\nThen two.\n"}]


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_play_can_be_repeated_call_by_call(name: str) -> None:
    games = [ModelPlay(cast(critic_temperature=1.0), PROBLEM, 5) for _ in range(2)]
    assert run(name, games[0]) == run(name, games[1])
    traces = [[call_facts(call).model_dump() for call in game.calls] for game in games]
    assert traces[0] == traces[1] and games[0].best == games[1].best
    assert len({call["seed"] for call in traces[0]}) == len(traces[0]), "each call has a seed of its own"
    assert {name for name in games[0].usage.roles} <= {"actor", "critic"}
    assert games[0].usage.completion_tokens == sum(call["completion_tokens"] for call in traces[0])


def test_greedy_critiques_are_paid_once() -> None:
    game = ModelPlay(cast(), PROBLEM, 1)
    run("best_of_n", game, samples=3, critiques=4)
    assert game.usage.roles["critic"].calls == 3
    game = ModelPlay(cast(critic_temperature=0.5), PROBLEM, 1)
    run("best_of_n", game, samples=3, critiques=4)
    assert game.usage.roles["critic"].calls == 12


def test_a_blank_solution_is_wrong_and_no_critic_is_needed_for_that() -> None:
    critic = FakeVoice("critic", lambda chat, seed: ACCEPTS)
    game = ModelPlay(fake_cast(FakeVoice("actor", lambda chat, seed: " \n"), critic), PROBLEM, 1)
    assert run("regenerate", game, tries=3) == "rounds" and not critic.calls


def test_the_budget_is_that_of_all_calls() -> None:
    for budget in (1, 5, 9, 20, 50):
        game = ModelPlay(cast(), PROBLEM, 1, budget_tokens=budget)
        stopped_by = run("refine", game, rounds=5)
        assert game.usage.completion_tokens <= budget and game.best is not None
        assert stopped_by in ("budget", "accepted", "rounds")
    game = ModelPlay(cast(), PROBLEM, 1, budget_tokens=3)
    with pytest.raises(BudgetSpent):
        run("majority", game, samples=4)


def test_at_the_deadline_the_best_draft_so_far_is_the_answer() -> None:
    slow = FakeVoice("critic", critic_text, delay_s=30)
    game = ModelPlay(fake_cast(FakeVoice("actor", actor_text), slow), PROBLEM, 1)
    assert run("refine", game, deadline_s=0.3) == "deadline"
    assert game.best is not None and game.best.name == "draft/0" and slow.cancelled == 1
    one_slow = FakeVoice("actor", actor_text)
    waits = iter([0.0, 30.0, 30.0])

    async def wait() -> None:
        await asyncio.sleep(next(waits))

    one_slow._wait = wait  # type: ignore[method-assign]
    game = ModelPlay(fake_cast(one_slow, slow), PROBLEM, 1)
    assert run("majority", game, deadline_s=0.3, samples=3) == "deadline"
    assert game.best is not None, "one of three drafts had ended"
    game = ModelPlay(fake_cast(FakeVoice("actor", actor_text, delay_s=30), slow), PROBLEM, 1)
    with pytest.raises(TimeoutError):
        run("majority", game, deadline_s=0.2)


def test_a_critic_that_is_away_leaves_the_drafts() -> None:
    def away(chat: Any, seed: int) -> str:
        raise ServedFailure("no answer")

    game = ModelPlay(fake_cast(FakeVoice("actor", actor_text), FakeVoice("critic", away)), PROBLEM, 1)
    assert run("filtered_vote", game) == "critic_unavailable" and game.best is not None
    with pytest.raises(ServedFailure, match="no answer"):
        run("filtered_vote", ModelPlay(fake_cast(FakeVoice("actor", away), FakeVoice("critic", away)), PROBLEM, 1))


def test_an_actor_that_cannot_go_on_leaves_its_draft() -> None:
    def once(chat: Any, seed: int) -> str:
        if len(chat) > 1:
            raise BadPrompt("the prompt is too long")
        return "It is \\boxed{4}."

    game = ModelPlay(fake_cast(FakeVoice("actor", once), FakeVoice("critic", critic_text)), PROBLEM, 1)
    assert run("refine", game) == "actor_unavailable" and game.best is not None and game.best.answer == "4"
    trace = Trace.model_validate(
        json.loads(json.dumps(play_trace(game, load_strategy("refine"), "actor_unavailable", deadline_s=None)))
    )
    again = asyncio.run(replay_trace(trace, Settings()))
    assert again.outcome is not None and not again.changes


def test_equal_answers_vote_together() -> None:
    texts = iter(["\\boxed{1/2}", "\\boxed{2}", "\\boxed{0.5}", "\\boxed{\\frac{1}{2}}"])
    actor = FakeVoice("actor", lambda chat, seed: next(texts))
    game = ModelPlay(fake_cast(actor, FakeVoice("critic", critic_text)), PROBLEM, 1)
    run("majority", game, samples=4)
    assert game.best is not None and game.best.name == "draft/0" and game.best.answer == "1/2"


def test_a_conversation_goes_to_the_actor_as_it_is() -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "What is 1 + 2?"},
    ]
    problem = replace(PROBLEM, prompt=turns, meta={"question": "user: Hello.\n\nuser: What is 1 + 2?"})
    actor = FakeVoice("actor", lambda chat, seed: "It is \\boxed{4}.")
    game = ModelPlay(fake_cast(actor, FakeVoice("critic", critic_text)), problem, 1)
    run("refine", game, rounds=1)
    assert [chat[:4] for chat, _, _ in actor.calls] == [turns, turns], "the refinement sees all turns"
    critic_chat = next(call.chat for call in game.calls if call.role == "critic")
    assert "user: Hello." in critic_chat[0]["content"]


def test_a_solution_that_the_critic_cannot_be_given_is_unread_and_the_others_are_judged() -> None:
    """Some of the drafts are too long for the critic: the vote is among all that it does not reject."""

    def solve(chat: Any, seed: int) -> str:
        return "It is \\boxed{3}." if seed % 2 else "It is \\boxed{4}. " + "Long. " * (40 if seed % 4 else 1)

    def judge(chat: Any, seed: int) -> str:
        if chat[0]["content"].count("Long.") > 20:
            raise BadPrompt("the prompt is too long")
        return ACCEPTS if "boxed{3}" in chat[0]["content"] else REJECTS

    players = fake_cast(FakeVoice("actor", solve), FakeVoice("critic", judge))
    unread = 0
    for seed in range(12):
        game = ModelPlay(players, PROBLEM, seed)
        stopped_by = run("filtered_vote", game, samples=4)
        texts = [call.reply.text for call in game.calls if call.role == "actor"]
        long = sum(text.count("Long.") > 20 for text in texts)
        assert stopped_by == ("critic_unavailable" if long == 4 else "completed")
        if sum("{3}" in text for text in texts) > long:  # what is unread is not rejected, and votes
            assert game.best is not None and game.best.answer == "3"
        if long < 4:
            verdicts = [one.judgement for critiques in game.judged.values() for one in critiques]
            assert verdicts.count(None) == long and game.usage.is_complete
            unread += long
    assert unread > 5


def test_a_play_with_a_refused_solution_is_the_same_when_it_is_replayed() -> None:
    def judge(chat: Any, seed: int) -> str:
        if seed % 2:
            raise BadPrompt("the prompt is too long")
        return ACCEPTS

    game = ModelPlay(fake_cast(FakeVoice("actor", actor_text), FakeVoice("critic", judge)), PROBLEM, 3)
    strategy = load_strategy("filtered_vote", samples=6)
    stopped_by = asyncio.run(play(strategy, game))
    assert stopped_by == "completed"
    assert None in [one.judgement for critiques in game.judged.values() for one in critiques]
    trace = Trace.model_validate_json(json.dumps(play_trace(game, strategy, stopped_by, deadline_s=None)))
    assert asyncio.run(replay_trace(trace, Settings())).is_same


def test_a_budget_ends_where_a_server_does_not_count() -> None:
    """What is not known is taken for all that the call was allowed."""

    class Silent(FakeVoice):
        async def say(self, *arguments: Any) -> Said:
            return replace(await super().say(*arguments), completion_tokens=None)

    players = fake_cast(Silent("actor", actor_text), Silent("critic", lambda chat, seed: REJECTS))
    players = replace(players, actor_sampling=Sampling(100, 0.7), critic_sampling=Sampling(100))
    game = ModelPlay(players, PROBLEM, 1, budget_tokens=450)
    assert run("refine", game, rounds=64) == "budget"
    assert len(game.calls) == 5 and game.spent == 450 and not game.usage.is_complete


def test_usage_is_not_complete_where_a_call_did_not_end() -> None:
    game = ModelPlay(fake_cast(FakeVoice("actor", actor_text), FakeVoice("critic", critic_text, 5.0)), PROBLEM, 1)
    assert run("refine", game, deadline_s=0.2) == "deadline"
    assert game.best is not None and not game.usage.is_complete
    game = ModelPlay(cast(), PROBLEM, 1)
    run("refine", game)
    assert game.usage.is_complete


def test_the_first_wrong_step_is_that_of_the_critiques_that_agree() -> None:
    def judged(judgement: Judgement | None, first_error: int | None) -> Critique:
        status: ParseStatus = "missing" if judgement is None else "ok"
        return Critique("", judgement, first_error=first_error, parse_status=status)

    right, wrong = Judgement.CORRECT, Judgement.INCORRECT
    several = [judged(right, -1), judged(right, -1), judged(wrong, 0), judged(wrong, 2), judged(wrong, 2)]
    assert verdict_json(several)["judgement"] == "incorrect" and verdict_json(several)["first_error"] == 2
    assert verdict_json(several[:3])["judgement"] == "correct" and verdict_json(several[:3])["first_error"] == -1
    level = verdict_json(several[:1] + several[2:3])
    assert level["abstained"] and level["first_error"] is None
    assert verdict_json([judged(None, None)])["first_error"] is None
