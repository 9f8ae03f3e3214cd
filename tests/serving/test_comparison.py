"""Strategies compared at equal tokens, on scripted voices."""

from __future__ import annotations

import asyncio
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from critics.strategies import load_strategy
from reasonrl.commands.strategies import table_text
from reasonrl.engines.served import ServedFailure
from reasonrl.errors import ModelError
from reasonrl.serving.comparison import Played, play_all, results_of, votes_up_to
from reasonrl.serving.play import ModelPlay, play
from reasonrl.serving.voices import BadPrompt, Said
from tests.e2e.commands import reasonrl_in
from tests.serving.fake_voices import Answers, FakeVoice, fake_cast
from tests.serving.test_play import ACCEPTS, REJECTS
from verifiers.loading import load_verifier
from verifiers.types import Problem

PROBLEMS = [
    Problem(f"p{i}", [{"role": "user", "content": f"What is {i} + 1?"}], "math", {"answer": str(i + 1)}, "test")
    for i in range(12)
]


def actor_text(chat: Any, seed: int) -> str:
    right = int(chat[0]["content"].split()[2]) + 1
    return f"It is \\boxed{{{right if seed % 3 == 0 else 100 + seed % 2}}}."


def critic_text(chat: Any, seed: int) -> str:
    """Knows the answer."""
    text = chat[0]["content"]
    right = int(text.split("What is ")[1].split()[0]) + 1
    return ACCEPTS if f"boxed{{{right}}}" in text else REJECTS


def test_shared_calls_give_what_each_strategy_gives_alone() -> None:
    actor, critic = FakeVoice("actor", actor_text), FakeVoice("critic", critic_text)
    names = ("refine", "filtered_vote", "best_of_n", "regenerate")
    chosen = {name: load_strategy(name) for name in names}
    votes = votes_up_to(4)
    with closing(load_verifier("math")) as verifier:
        rows = asyncio.run(play_all(fake_cast(actor, critic), PROBLEMS, votes | chosen, verifier, seed=3, at_once=5))
    drafts = [chat for chat, _, _ in actor.calls if len(chat) == 1]
    assert len(drafts) == 8 * len(PROBLEMS), "no draft is drawn twice"
    from reasonrl.engines.base import derive_seed

    for name, strategy in chosen.items():
        for problem, played in zip(PROBLEMS, rows[name], strict=True):
            game = ModelPlay(
                fake_cast(FakeVoice("actor", actor_text), FakeVoice("critic", critic_text)),
                problem,
                derive_seed(3, "strategies", problem.id),
            )
            stopped_by = asyncio.run(play(strategy, game))
            assert game.best is not None
            spent = {role: usage.completion_tokens for role, usage in game.usage.roles.items()}
            assert (played.text, played.stopped_by) == (game.best.text, stopped_by)
            assert (played.actor_tokens, played.critic_tokens) == (spent["actor"], spent.get("critic", 0))
    results = {result.name: result for result in results_of(rows, list(votes))}
    assert results["filtered_vote"].accuracy.estimate > results["majority of 4"].accuracy.estimate


def played(tokens: int, *correct: bool | None) -> list[Played]:
    return [Played(f"p{i}", "", None, right, "completed", tokens, 0) for i, right in enumerate(correct)]


def test_the_vote_that_spends_as_much_is_what_it_is_compared_with() -> None:
    rows = {
        "one draft": played(10, False, False, True),
        "majority of 2": played(20, False, True, True),
        "refine": played(15, True, True, True),
        "panel": played(21, True, True, None),
    }
    results = {result.name: result for result in results_of(rows, ["one draft", "majority of 2"])}
    refine = results["refine"]
    assert refine.against == "majority of 2" and refine.difference is not None
    assert refine.difference.normal.estimate == pytest.approx(1 / 3) and refine.difference.wins == 1
    assert results["panel"].against == "" and results["panel"].unjudged == 1
    assert results["panel"].accuracy.n == 2 and results["one draft"].difference is None
    json.dumps([result.to_json() for result in results.values()], allow_nan=False)


def test_tokens_are_compared_on_the_problems_that_both_answered() -> None:
    """A strategy that fails where problems are long is not cheaper for it."""
    long = [Played("p3", "", None, True, "completed", 90, 0)]
    failed = [Played("p3", "", None, None, "failed", 0, 0)]
    rows = {
        "one draft": played(10, False, False, True) + long,
        "majority of 2": played(20, False, True, True) + long,
        "refine": played(15, True, True, True) + failed,
    }
    refine = results_of(rows, ["one draft", "majority of 2"])[-1]
    assert refine.against == "majority of 2" and refine.difference is not None
    assert refine.unjudged == 1 and refine.actor_tokens == 15


def test_a_strategy_without_one_verdict_ends_no_table() -> None:
    rows = {
        "one draft": played(10, False, False, True),
        "refine": [replace(one, stopped_by="failed") for one in played(0, None, None, None)],
        "panel": played(15, None, None, None),
    }
    results = results_of(rows, ["one draft"])
    assert [result.accuracy is None for result in results] == [False, True, True]
    json.dumps([result.to_json() for result in results], allow_nan=False)
    assert "up to 3 problems have no verdict" in table_text(results)


def test_p_values_are_those_of_all_strategies_together() -> None:
    right, wrong = [True] * 30, [False] * 30
    rows = {"one draft": played(10, *wrong), "majority of 2": played(20, *wrong[:20], *right[:10])}
    rows |= {name: played(15, *right[:count], *wrong[count:]) for name, count in (("a", 18), ("b", 21), ("c", 10))}
    results = {result.name: result for result in results_of(rows, ["one draft", "majority of 2"])}
    for name in "abc":
        one = results[name]
        assert one.difference is not None and one.p_value is not None and one.p_value >= one.difference.p_value
    assert results["b"].p_value == pytest.approx(3 * results["b"].difference.p_value)  # type: ignore[union-attr]


def test_what_the_table_says_below_itself() -> None:
    rows = {"one draft": played(10, False, True), "refine": played(15, True, True), "panel": played(8, True, False)}
    rows["panel"] = [replace(one, critiques=4, unread=3) for one in rows["panel"]]
    rows["refine"] = [replace(one, stopped_by="actor_unavailable") for one in rows["refine"]]
    text = table_text(results_of(rows, ["one draft"]))
    assert "refine: no vote here spends as much" in text and "raise --samples" in text
    assert "up to 75.0% of a strategy's critiques could not be read" in text
    assert "on up to 2 problems the actor could not go on" in text
    rows["panel"] = [replace(one, critiques=4000, unread=1) for one in rows["panel"]]
    assert "under 0.1% of a strategy's critiques could not be read" in table_text(results_of(rows, ["one draft"]))


def test_an_actor_that_cannot_go_on_leaves_its_draft_and_what_it_cost() -> None:
    """Problems whose draft the critic rejects do not drop out of the table: they are the ones that are wrong."""

    def no_second(chat: Any, seed: int) -> str:
        if len(chat) > 1:
            raise BadPrompt("the prompt is too long")
        return actor_text(chat, seed)

    players = fake_cast(FakeVoice("actor", no_second), FakeVoice("critic", critic_text))
    with closing(load_verifier("math")) as verifier:
        chosen = votes_up_to(4) | {"refine": load_strategy("refine")}
        rows = asyncio.run(play_all(players, PROBLEMS, chosen, verifier, seed=3))
    assert [p.correct for p in rows["refine"]] == [p.correct for p in rows["one draft"]]
    stops = {p.stopped_by for p in rows["refine"]}
    assert stops == {"accepted", "actor_unavailable"} and all(p.critic_tokens for p in rows["refine"])
    assert all(p.critiques == 1 and p.unread == 0 and p.prompt_tokens > 0 for p in rows["refine"])
    (refine,) = [result for result in results_of(rows, list(votes_up_to(4))) if result.name == "refine"]
    assert refine.unjudged == 0 and refine.unfinished > 0


def test_a_problem_that_the_actor_cannot_answer_has_no_verdict() -> None:
    def fails_sometimes(chat: Any, seed: int) -> str:
        if "What is 3 " in chat[0]["content"]:
            raise BadPrompt("the prompt is too long")
        if "What is 5 " in chat[0]["content"]:
            raise ServedFailure("status 500")
        return actor_text(chat, seed)

    def compared(actor: Answers) -> dict[str, list[Played]]:
        players = fake_cast(FakeVoice("actor", actor), FakeVoice("critic", critic_text))
        chosen = votes_up_to(2) | {"refine": load_strategy("refine")}
        with closing(load_verifier("math")) as verifier:
            return asyncio.run(play_all(players, PROBLEMS, chosen, verifier, seed=3))

    rows, all_rows = compared(fails_sometimes), compared(actor_text)
    for name, played in rows.items():
        assert [p.stopped_by for p in played].count("failed") == 2
        for i, (one, whole) in enumerate(zip(played, all_rows[name], strict=True)):
            assert one == whole if i not in (3, 5) else one.correct is None
    results = results_of(rows, ["one draft", "majority of 2"])
    assert all(result.unjudged == 2 and result.accuracy.n == 10 for result in results)
    tokens = {p.tokens for p in all_rows["one draft"]}
    assert min(tokens) <= results[0].actor_tokens <= max(tokens), "failed ones cost nothing, and are not in the mean"

    def fails(chat: Any, seed: int) -> str:
        raise ServedFailure("status 500")

    with pytest.raises(ModelError, match="answered no problem: status 500"):
        compared(fails)


def test_a_draft_that_the_critic_cannot_be_given_ends_no_other_strategy() -> None:
    """One strategy leaves its calls beside the one that failed; the next still finds them."""

    def judge(chat: Any, seed: int) -> str:
        if seed % 5 == 0:
            raise ServedFailure("status 500")
        return critic_text(chat, seed)

    players = fake_cast(FakeVoice("actor", actor_text), FakeVoice("critic", judge, 0.001))
    names = ("filtered_vote", "regenerate", "best_of_n", "weighted_vote")
    with closing(load_verifier("math")) as verifier:
        chosen = {name: load_strategy(name) for name in names}
        rows = asyncio.run(play_all(players, PROBLEMS, chosen, verifier, seed=3))
    stops = {p.stopped_by for played in rows.values() for p in played}
    assert "critic_unavailable" in stops and len(stops) > 1
    results = results_of(rows, [])
    assert sum(result.uncritiqued for result in results) > 0
    assert "the critic could not answer" in table_text(results)


def test_servers_that_do_not_count_cannot_be_compared() -> None:
    class Silent(FakeVoice):
        async def say(self, *arguments: Any) -> Said:
            return replace(await super().say(*arguments), completion_tokens=None)

    players = fake_cast(Silent("actor", actor_text), FakeVoice("critic", critic_text))
    with (
        closing(load_verifier("math")) as verifier,
        pytest.raises(ModelError, match="does not say how many tokens"),
    ):
        asyncio.run(play_all(players, PROBLEMS, votes_up_to(2), verifier, seed=3))


def test_the_command(tmp_path: Path) -> None:
    rows = [{"problem": f"{i} + 1", "answer": str(i + 1)} for i in range(4)]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ["critic", "strategies", "tiny-critic", "--data", "sums.jsonl", "--format", "step_sentence", "--offline"]
    words += ["--max-new-tokens", "8", "--samples", "2"]
    result = reasonrl_in(tmp_path, *words, "--strategies", "refine,filtered-vote", "--output", "out")
    assert result.code == 0, result.err
    assert "majority of 8" in result.out and "filtered_vote" in result.out and "gain at equal tokens" in result.out
    value = json.loads((tmp_path / "out" / "results.json").read_text())
    assert value["options"] == {"refine": {"rounds": 3}, "filtered_vote": {"samples": 2}}
    assert len((tmp_path / "out" / "samples.jsonl").read_text().splitlines()) == 4 * 10
    refused = reasonrl_in(tmp_path, *words, "--strategies", "majority").refusal()
    assert "majority is what the others are compared with" in refused
    assert "there is no strategy 'refin'" in reasonrl_in(tmp_path, *words, "--strategies", "refin").refusal()


def test_refine_solves_one_problem(tmp_path: Path) -> None:
    words = ["refine", "1 + 2", "--critic", "tiny-critic", "--format", "step_sentence", "--max-new-tokens", "8"]
    words += ["--offline", "--seed", "4"]
    first, second = (reasonrl_in(tmp_path, *words, "--json") for _ in range(2))
    assert first.code == 0, first.err
    assert first.out == second.out and json.loads(first.out)["usage"]["completion_tokens"] > 8
    shown = reasonrl_in(tmp_path, *words, "--strategy", "majority", "--samples", "3")
    assert "completed; draft/" in shown.out and "3 drafts" in shown.err
    refused = reasonrl_in(tmp_path, *words, "--samples", "3").refusal()
    assert "the strategy refine has no option 'samples'" in refused
    assert "write more" in reasonrl_in(tmp_path, *words, "--budget-tokens", "1", "--strategy", "majority").refusal()
