"""Traces are played again without a model: the same verdicts, answers and counts, or what differs and why."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from critics.formats import CritiqueFormat
from critics.strategies import STRATEGIES, load_strategy
from critics.types import Critique, Judgement, Solution
from reasonrl.engines.served import ServedFailure
from reasonrl.errors import UsageError
from reasonrl.serving.play import ModelPlay, play
from reasonrl.serving.replaying import Replayed, Settings, replay_trace, settings_of
from reasonrl.serving.schemas import ChatRequest, CritiqueRequest, RefineRequest
from reasonrl.serving.service import Service
from reasonrl.serving.trace import Trace, play_trace
from tests.e2e.commands import reasonrl_in
from tests.serving.fake_voices import FakeVoice, fake_cast
from tests.serving.scripts import ACCEPTS, REJECTS
from verifiers.types import Problem

QUESTION: list[Any] = [{"role": "user", "content": "What is 1 + 2?"}]
PROBLEM = Problem("request", QUESTION, "math", {}, "request")


def solve(chat: Any, seed: int) -> str:
    """Right in a refinement; else one of five answers, in two lines, by the seed."""
    if len(chat) > 1:
        return "Then it is \\boxed{3}."
    return f"First, 1 + 2.\nIt is \\boxed{{{2 + seed % 5}}}."


def judge(chat: Any, seed: int) -> str:
    """Often right, sometimes without a verdict."""
    if seed % 7 == 0:
        return "I do not know."
    return ACCEPTS if "boxed{3}" in chat[0]["content"] else REJECTS


def cast(**options: Any) -> Any:
    return fake_cast(FakeVoice("actor", solve), FakeVoice("critic", judge), **{"critic_temperature": 0.7, **options})


def traced(name: str, seed: int, players: Any = None, deadline_s: float | None = None, **options: Any) -> Trace:
    """The trace of a play with fake models, as it comes back from a file, without the messages of its calls."""
    budget = options.pop("budget_tokens", None)
    strategy = load_strategy(name, **options)
    game = ModelPlay(players or cast(), PROBLEM, seed, budget)
    stopped_by = asyncio.run(play(strategy, game, deadline_s=deadline_s))
    value = json.loads(json.dumps(play_trace(game, strategy, stopped_by, deadline_s=deadline_s)))
    for call in value["calls"]:
        del call["messages"]
    return Trace.model_validate(value)


def replayed(trace: Trace, *pairs: tuple[str, Any]) -> Replayed:
    return asyncio.run(replay_trace(trace, settings_of(dict(pairs))))


# ---------------------------------------------------------------- the same


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_gives_again_what_it_gave(name: str) -> None:
    for seed in range(5):
        trace = traced(name, seed)
        now = replayed(trace)
        assert now.is_same and now.outcome == trace.outcome and trace.calls
        assert trace.outcome.answer and trace.outcome.usage["actor"].completion_tokens > 0


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_greedy_critiques_and_random_delimiters_are_played_again(temperature: float) -> None:
    players = cast(critic_temperature=temperature)
    players = replace(players, format=replace(players.format, random_delimiters=True))
    trace = traced("best_of_n", 3, players, samples=3, critiques=2)
    assert trace.format == {"name": "step_sentence", "random_delimiters": True}
    assert replayed(trace).is_same
    assert not replayed(trace.model_copy(update={"seed": 4})).is_same


def test_the_end_by_the_budget() -> None:
    for budget in (8, 20, 40):
        trace = traced("refine", 1, rounds=5, budget_tokens=budget)
        assert replayed(trace).is_same, trace.outcome.stopped_by
    assert trace.budget_tokens == 40


def test_the_end_by_the_deadline() -> None:
    slow = fake_cast(FakeVoice("actor", solve), FakeVoice("critic", judge, delay_s=30))
    trace = traced("refine", 1, slow, deadline_s=0.3)
    assert trace.outcome.stopped_by == "deadline" and replayed(trace).is_same
    waits = iter([30.0, 0.0, 0.0])
    actor = FakeVoice("actor", solve)

    async def wait() -> None:
        await asyncio.sleep(next(waits))

    actor._wait = wait  # type: ignore[method-assign]
    trace = traced("majority", 1, fake_cast(actor, FakeVoice("critic", judge)), deadline_s=0.3, samples=3)
    assert [call.call for call in trace.calls] == ["draft/1", "draft/2"] and trace.outcome.draft == "draft/1"
    assert replayed(trace).is_same
    ended = trace.model_copy(update={"outcome": trace.outcome.model_copy(update={"stopped_by": "shutdown"})})
    assert replayed(ended).is_same


def test_the_end_by_a_critic_that_was_away() -> None:
    answers = iter([REJECTS])

    def away(chat: Any, seed: int) -> str:
        for answer in answers:
            return answer
        raise ServedFailure("no answer")

    trace = traced("refine", 1, fake_cast(FakeVoice("actor", solve), FakeVoice("critic", away)), rounds=3)
    assert trace.outcome.stopped_by == "critic_unavailable" and len(trace.calls) == 3
    assert replayed(trace).is_same


# ---------------------------------------------------------------- other settings


def test_another_strategy_on_the_same_calls() -> None:
    trace = traced("best_of_n", 2, samples=6)
    now = replayed(trace, ("strategy", "majority"))
    drafts = [call.text for call in trace.calls if call.role == "actor"]
    alone = traced("majority", 2, samples=6)
    assert now.outcome is not None and now.outcome.answer == alone.outcome.answer and len(drafts) == 6
    assert now.outcome.usage == alone.outcome.usage and "critic" not in now.outcome.usage
    assert now.changes["usage.critic"][1] is None and not now.other_prompts
    fewer = replayed(trace, ("samples", 2))
    assert fewer.outcome == traced("best_of_n", 2, samples=2).outcome


def test_a_call_that_is_missing_is_named_in_one_sentence() -> None:
    trace = traced("best_of_n", 2, samples=4)
    now = replayed(trace, ("samples", 6))
    assert now.outcome is None and not now.is_same
    assert now.missing == "the trace has no call draft/4 of the actor, for which the strategy asks."
    panel = replayed(trace, ("strategy", "panel"), ("critiques", 3))
    assert panel.missing is not None and "draft/0/critique/1 of the critic" in panel.missing
    cut = traced("majority", 2, samples=2, budget_tokens=4)
    now = replayed(cut, ("budget_tokens", 60))
    assert now.missing is not None and "cut off at 2 tokens; now it may have 30" in now.missing
    now = replayed(trace, ("budget_tokens", 8))
    assert now.missing is not None and "tokens; now it would be cut off at 2" in now.missing
    assert "does not allow the first drafts" in str(replayed(trace, ("budget_tokens", 3)).missing)


def test_what_another_format_reads_in_the_same_critiques() -> None:
    trace = traced("filtered_vote", 2, samples=5)
    now = replayed(trace, ("format", "conclusion"))
    assert now.outcome is not None and len(now.other_prompts) == 5
    assert all(verdicts == [None] for verdicts in now.outcome.verdicts.values())
    changed = [name for name in now.changes if name.startswith("verdicts.")]
    assert changed and now.outcome.usage == trace.outcome.usage


def test_other_code_is_seen() -> None:
    """As if the code wrote other prompts, derived other seeds, or read other verdicts since."""
    trace = traced("refine", 2)
    first = trace.calls[0].model_copy(update={"prompt_sha256": "0" * 64, "seed": 1})
    now = replayed(trace.model_copy(update={"calls": [first, *trace.calls[1:]]}))
    assert now.other_prompts == now.other_seeds == ("draft/0",) and not now.changes and not now.is_same
    rejection = next(call for call in trace.calls if call.text == REJECTS)
    other = rejection.model_copy(update={"text": ACCEPTS})
    now = replayed(trace.model_copy(update={"calls": [other if c is rejection else c for c in trace.calls]}))
    assert now.changes["draft"] == ("draft/0/refine", "draft/0") and now.changes["answer"][0] == "3"


@dataclass(frozen=True, kw_only=True)
class Scored(CritiqueFormat):
    """A fake format of a user: the critic writes a number from 0 to 1."""

    name = "scored"
    instruction: str = "Write a number from 0 to 1."

    def parse(self, text: str, steps: int | None = None) -> Critique:
        score = float(text)
        return Critique(text, Judgement.CORRECT if score >= 0.5 else Judgement.INCORRECT, score=score)

    def write(self, solution: Solution, comments: Any = ()) -> str:
        return "1.0" if solution.correct else "0.0"


def test_another_threshold_of_acceptance() -> None:
    critic = FakeVoice("critic", lambda chat, seed: "0.75" if "boxed{3}" in chat[0]["content"] else "0.25")
    players = replace(fake_cast(FakeVoice("actor", solve), critic), format=Scored())
    seed = next(seed for seed in range(50) if traced("regenerate", seed, players).outcome.answer == "3")
    trace = traced("regenerate", seed, players, tries=8)
    name = f"{__name__}:Scored"
    assert trace.format == {"name": name} and trace.outcome.stopped_by == "accepted"
    with pytest.raises(UsageError, match=f"write format={name}"):
        replayed(trace)
    same = ("format", name)
    assert replayed(trace, same).is_same and replayed(trace, same, ("accept_from", 0.7)).is_same
    easy = replayed(trace, same, ("accept_from", 0.2))
    assert easy.outcome is not None and easy.outcome.draft == "draft/0" and easy.outcome.stopped_by == "accepted"
    strict = replayed(trace, same, ("accept_from", 0.8))
    assert strict.outcome is None or strict.outcome.stopped_by == "rounds"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("strategy", "nonsense", "strategy=nonsense: write one of single, majority"),
        ("sample", 3, "a trace has no setting 'sample'; did you mean 'samples'"),
        ("samples", 0, "samples=0: write a whole number"),
        ("samples", True, "write a whole number"),
        ("rounds", 3, "the strategy majority has no option 'rounds'"),
        ("accept_from", 2, "accept_from=2: write a number from 0 to 1"),
        ("format", "nonsense", "there is no critique format 'nonsense'"),
        ("format.colour", "blue", "has no option 'colour'"),
        ("budget_tokens", "many", "write a whole number"),
    ],
)
def test_settings_that_are_wrong(key: str, value: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replayed(traced("majority", 1, samples=2), (key, value))


# ---------------------------------------------------------------- the command


def answers(folder: Path, *golds: str | None) -> Path:
    """Answers of a service with fake models, one in each line: a chat with two choices, refinements and critiques."""
    service = Service(cast(), {})
    rows: list[dict[str, Any]] = []

    async def ask() -> None:
        options: Any = {"trace": True, "samples": 4}
        for seed in (1, 2):
            body = RefineRequest(problem="What is 1 + 2?", strategy="filtered_vote", options=options)
            answer = await service.refine(body, seed)
            rows.append({"text": answer.text, **answer.facts})
        chat = ChatRequest(model="refine-actor", messages=QUESTION, reasonrl={"trace": True})  # type: ignore[arg-type]
        choices = [{"index": i, "reasonrl": dict((await service.answer(chat, i)).facts)} for i in range(2)]
        rows.append({"choices": choices})
        for text in ("It is \\boxed{3}.", "It is \\boxed{4}.", ""):
            critique = CritiqueRequest(problem="What is 1 + 2?", solution=text, samples=3, trace=True)
            value, _, _ = await service.critique(critique, 5)
            rows.append(value)
        steps = CritiqueRequest(problem="What is 1 + 2?", steps=["Well.", "\\boxed{3}"], trace=True)
        rows.append((await service.critique(steps, 5))[0])

    asyncio.run(ask())
    for row, gold in zip(rows, [*golds, *[None] * len(rows)], strict=False):
        row |= {} if gold is None else {"gold": gold}
    path = folder / "answers.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return path


def test_a_file_of_answers_is_replayed(tmp_path: Path) -> None:
    path = answers(tmp_path, "3", "3", "3", "3", "3")
    result = json.loads(reasonrl_in(tmp_path, "replay", path, "--json").out)
    assert (result["traces"], result["same"], result["changed"], result["missing"]) == (8, 8, 0, 0)
    assert result["accuracy"]["n"] == 6 and result["accuracy"]["was"] == result["accuracy"]["is"]
    rows = result["rows"]
    assert [row["trace"].rpartition("answers.jsonl")[2] for row in rows] == [
        *(":1", ":2", ":3, choice 1", ":3, choice 2"),
        *(":4", ":5", ":6", ":7"),
    ]
    for row in rows[:4]:
        assert row["is_right"] == (row["outcome"]["answer"] == "3")
    assert [row["outcome"]["judgement"] for row in rows[4:]] == ["correct", "incorrect", "incorrect", None]
    assert [row["is_right"] for row in rows[4:]] == [True, True, None, None]
    text = reasonrl_in(tmp_path, "replay", path, "--reference", "4").out
    assert "8 the same, 0 changed, 0 without a call they need" in text and "of 8 with an answer" in text


def test_other_settings_are_told_trace_by_trace(tmp_path: Path) -> None:
    path = answers(tmp_path, "3", "3")
    path.write_text("\n".join(path.read_text().splitlines()[:3]), encoding="utf-8")
    output = tmp_path / "replayed.jsonl"
    text = reasonrl_in(tmp_path, "replay", path, "strategy=majority", "samples=4", "--output", output).out
    assert "with strategy=majority samples=4: 0 the same, 2 changed, 2 without a call they need" in text
    assert "answers.jsonl:3, choice 1: the trace has no call draft/1 of the actor" in text
    assert "usage.critic: 4 calls" in text
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["outcome"] is None for row in rows] == [False, False, True, True]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it is empty"),
        ("{", "it is not JSON"),
        ("[1]", "there is no trace in it"),
        ('{"text": "x"}', "there is no trace in it"),
        ('{"trace": {"version": 2}}', "its trace cannot be read: version"),
        ('{"calls": [], "outcome": {}}', "its trace cannot be read"),
        ("\n{}\n\nx\n", "wrong.json:2: there is no trace in it"),
    ],
)
def test_files_without_a_trace(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(content, encoding="utf-8")
    refusal = reasonrl_in(tmp_path, "replay", path).refusal()
    assert message in refusal and "\n" not in refusal.strip()


def test_a_trace_cannot_name_code_to_run(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text("raise SystemExit('it ran')", encoding="utf-8")
    path = tmp_path / "trace.json"
    trace = traced("majority", 1, samples=2).model_copy(update={"format": {"name": "planted:Format"}})
    path.write_text(trace.model_dump_json(), encoding="utf-8")
    assert "to run that code, write format=planted:Format" in reasonrl_in(tmp_path, "replay", path).refusal()


def test_a_reference_is_for_traces_alone(tmp_path: Path) -> None:
    assert "--reference" in reasonrl_in(tmp_path, "replay", tmp_path, "--reference", "3").refusal()


def test_settings_without_a_change_are_empty() -> None:
    assert Settings().are_empty and not Settings(strategy="majority").are_empty
