"""Episodes with tools. The numbers of the traps are those of the project's notes on what other loops get wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from reasonrl.engines.base import Sampling
from reasonrl.environments.base import Episode
from reasonrl.environments.tools.capping import MARK, capped
from reasonrl.rewards.tools import call_cost, call_success, invalid_calls
from tests.e2e.made_models import make_tokenizer
from tests.environments.tools import made_tools
from tests.environments.tools.scripted_policy import TOKENIZER, encode, play

MADE = "tests.environments.tools.made_tools"
CALL, ANSWER = "Call: 48213*5072\n", "244536336\n"


@pytest.fixture(autouse=True)
def _nothing_is_open() -> Iterator[None]:
    made_tools.CLOSED.clear()
    yield


def statuses(episode: Episode) -> list[str]:
    assert episode.tool_use is not None
    return [call.status for call in episode.tool_use.calls]


def ended(episode: Episode) -> str:
    assert episode.tool_use is not None
    return episode.tool_use.ended


def transcript(episode: Episode) -> str:
    return str(TOKENIZER.decode(episode.trained_trajectory.response_ids))


# -------------------------------------------------------------------------------------------- tokens (traps 1 to 3, 14)


def test_each_request_is_what_came_before_it_id_for_id() -> None:
    """Trap 1: "10" in characters, which the tokenizer would never write, stays as it was sampled."""
    apart = [token for character in "Call: 1+1" for token in encode(character)] + encode("\n")
    assert encode(TOKENIZER.decode(apart)) != apart
    turns = [apart, CALL, apart, ANSWER]
    episode, policy = play(turns, max_turns=5)
    so_far = policy.requests[0]
    for number, turn in enumerate(turns):
        assert policy.requests[number] == so_far
        ids = encode(turn) if isinstance(turn, str) else turn
        result = ["Result: 2\n", "Result: 244536336\n", "Result: 2\n", ""][number]
        so_far = so_far + ids + encode(result)
    assert episode.trained_trajectory.prompt_ids + episode.trained_trajectory.response_ids == so_far


def test_masks_are_those_of_the_whole_trajectory_at_every_turn() -> None:
    """Traps 2 and 3."""
    episode, _ = play([CALL, "Call: 2+2\n", "Call: 3\n", ANSWER])
    trajectory = episode.trained_trajectory
    assert len(trajectory.response_ids) == len(trajectory.loss_mask) == len(trajectory.logprobs)
    spoken = [
        TOKENIZER.decode([t for t, m in zip(trajectory.response_ids, trajectory.loss_mask, strict=True) if m == mask])
        for mask in (True, False)
    ]
    assert spoken[0] == CALL + "Call: 2+2\nCall: 3\n" + ANSWER
    assert spoken[1] == "Result: 244536336\nResult: 4\nResult: 3\n"
    for logprob, mask in zip(trajectory.logprobs, trajectory.loss_mask, strict=True):
        assert logprob == (-0.25 if mask else 0.0)
    assert [(turn.role, turn.by_policy) for turn in trajectory.turns] == [("policy", True), ("tool", False)] * 3 + [
        ("policy", True)
    ]


def test_a_stop_string_that_ends_inside_a_token_is_parsed_and_its_tail_stays() -> None:
    """Trap 14: "```output" may come with what follows it."""
    tail = encode("```python\nprint(1)\n```") + encode("```output")
    episode, policy = play(
        [tail + encode("x"), "\\boxed{1}"],
        format="fenced",
        tools=["python"],
        sampling=Sampling(64, max_response_tokens=400),
    )
    assert statuses(episode) == ["ok"]
    assert policy.requests[1][len(policy.requests[0]) :][: len(tail) + 1] == tail + encode("x")


# ------------------------------------------------------------------------------------------------ ends (traps 6, 7, 17)


def test_an_episode_that_answers() -> None:
    episode, policy = play([CALL, ANSWER])
    assert (ended(episode), episode.text, statuses(episode)) == ("answered", "244536336", ["ok"])
    assert transcript(episode) == "Call: 48213*5072\nResult: 244536336\n244536336\n"
    assert len(set(policy.seeds)) == 2 and episode.failure is None


def test_a_turn_that_was_cut_executes_nothing() -> None:
    episode, _ = play(["Call: 48213*507"], cut=[0])
    assert (ended(episode), statuses(episode), episode.text) == ("length", [], "")
    assert episode.trained_trajectory.finish_reason == "length"


def test_the_last_turn_executes_nothing() -> None:
    episode, policy = play([CALL, CALL], max_turns=2)
    assert (ended(episode), statuses(episode), len(policy.requests)) == ("turns", ["ok"], 2)
    assert episode.text == "" and transcript(episode).endswith(CALL)


def test_a_result_that_leaves_no_room_is_not_shown() -> None:
    room = len(encode(CALL + "Result: 244536336\n"))
    for left, fits in ((7, False), (8, True)):
        sampling = Sampling(16, max_response_tokens=room + left)
        episode, _ = play([CALL, "5\n"], sampling=sampling)
        assert ended(episode) == ("answered" if fits else "budget")
        trajectory = episode.trained_trajectory
        assert trajectory.turns[-1].by_policy and trajectory.loss_mask[-1]
        assert len(trajectory.response_ids) <= sampling.response_limit
        assert trajectory.finish_reason == ("stop" if fits else "length")


@pytest.mark.parametrize("turn", ["\n", "  \n", [TOKENIZER.eos_token_id]])
def test_a_turn_that_says_nothing_is_void(turn: Any) -> None:
    """Traps 17 and 21."""
    kept, _ = play([turn])
    assert ended(kept) == "void" and "correctness" not in kept.verdicts
    wrong, _ = play([turn], void="wrong")
    assert wrong.verdicts["correctness"].score == 0.0
    masked, _ = play([CALL, turn], void="mask")
    assert ended(masked) == "void" and masked.text == "" and not any(masked.trained_trajectory.loss_mask)


def test_an_answer_lacks_its_mark() -> None:
    assert ended(play(["244536336\n"], answer_mark="\\boxed")[0]) == "void"
    assert ended(play(["\\boxed{244536336}\n"], answer_mark="\\boxed")[0]) == "answered"


# ----------------------------------------------------------------------------- what a tool says (traps 4, 5, 9, 11, 12)


@pytest.mark.parametrize(
    ("format_name", "turn", "answer"),
    [
        ("line", "Call: x\n", "5\n"),
        ("fenced", "```made\nx\n```", "5"),
        ("tags", "<made>x</made>", "5"),
    ],
)
def test_a_hostile_text_of_a_tool_is_text(format_name: str, turn: str, answer: str) -> None:
    """Traps 4 and 5: it ends no turn, makes no call, is no answer, and holds no special token."""
    episode, _ = play(
        [turn, answer], format=format_name, tools=[f"{MADE}:Hostile"], sampling=Sampling(64, max_response_tokens=2000)
    )
    assert (ended(episode), statuses(episode), episode.text) == ("answered", ["ok"], "5")
    trajectory = episode.trained_trajectory
    shown = [t for t, mask in zip(trajectory.response_ids, trajectory.loss_mask, strict=True) if not mask]
    assert TOKENIZER.eos_token_id not in shown
    text = TOKENIZER.decode(shown)
    assert "boxed{244536336}" in text
    inner = text.strip().removesuffix("```").removesuffix("</result>")
    assert {"line": "\n", "fenced": "```\n```", "tags": "</result>"}[format_name] not in inner.strip()


def test_a_gold_answer_of_a_tool_is_not_the_policys() -> None:
    """Trap 5."""
    episode, _ = play([CALL, "7\n"])
    assert "244536336" in transcript(episode) and episode.text == "7"
    unanswered, _ = play(["Call: 244536336\n", "Call: 244536336\n"], max_turns=2)
    assert unanswered.text == ""


@pytest.mark.parametrize("tool", ["Hangs", "Blocks", "Raises", "Garbage", "Dies"])
def test_a_broken_tool_masks_its_episode(tool: str) -> None:
    """Traps 8 and 9."""
    started = time.perf_counter()
    episode, _ = play(["Call: x\n", ANSWER], tools=[f"{MADE}:{tool}"])
    assert time.perf_counter() - started < 5
    assert ended(episode) == "broken" and statuses(episode) == ["broken"]
    assert episode.failure and episode.failure.startswith(("made", "the worker"))
    assert made_tools.CLOSED == ["made"]
    assert "Result" not in transcript(episode)


def test_broken_error_and_timeout_are_three_things() -> None:
    """Trap 9."""
    lookup = f"{MADE}:lookup"
    wrong, _ = play(["Call: nothing\n", ANSWER], tools=[lookup])
    assert (statuses(wrong), wrong.failure) == (["error"], None) and "there is no such word" in transcript(wrong)
    crashed, _ = play(["Call: crash\n", ANSWER], tools=[lookup])
    assert statuses(crashed) == ["broken"] and "OSError: the server is away" in str(crashed.failure)
    endless = "```python\nwhile True: pass\n```"
    slow, _ = play(
        [endless, "5"],
        tools=[{"name": "python", "cpu_s": 0.5}],
        format="fenced",
        sampling=Sampling(64, max_response_tokens=400),
    )
    assert (statuses(slow), slow.failure) == (["timeout"], None) and "TimeoutError" in transcript(slow)


def test_a_flood_is_cut_in_its_middle_by_tokens() -> None:
    """Trap 11."""
    started = time.perf_counter()
    episode, _ = play(["Call: x\n", ANSWER], tools=[f"{MADE}:Floods"], result_tokens=20)
    assert time.perf_counter() - started < 5
    trajectory = episode.trained_trajectory
    assert sum(not mask for mask in trajectory.loss_mask) <= 20 + len(encode("Result: \n"))
    assert MARK in transcript(episode)


@pytest.mark.parametrize("text", ["", "a", "12345678", "é" * 50, "😀" * 40, "a 😀é" * 30, " " * 400])
@pytest.mark.parametrize("most", [4, 7, 16])
def test_what_is_capped_has_at_most_so_many_tokens(text: str, most: int) -> None:
    for tokenizer in (TOKENIZER, make_tokenizer()):
        cut = capped(tokenizer, text, most)
        ids = tokenizer(cut, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        assert len(ids) <= most and "\ufffd" not in cut
        whole = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        assert (cut == text) == (len(whole) <= most)


@pytest.mark.parametrize(
    ("turn", "status", "said"),
    [
        ("Call: \n", "malformed", "error: the call is empty"),
        ("Call: 12*\n", "error", "error: this is not an arithmetic expression"),
        ("Call: 1/0\n", "error", "error: division by zero"),
    ],
)
def test_a_wrong_call_is_answered(turn: str, status: str, said: str) -> None:
    """Trap 12."""
    episode, _ = play([turn, ANSWER])
    assert statuses(episode) == [status] and said in transcript(episode) and ended(episode) == "answered"
    if status == "malformed":
        assert ended(play([turn], malformed="end")[0]) == "malformed"


def test_several_tools_are_told_apart_by_their_first_word() -> None:
    tools = ["calculator", f"{MADE}:lookup"]
    turns = ["Call: lookup tree\n", "Call: calculator 2*3\n", "Call: nonsense 1\n", "Call: lookup\n", "6\n"]
    episode, _ = play(turns, tools=tools)
    assert statuses(episode) == ["ok", "ok", "unknown_tool", "malformed"]
    assert "tree means tree" in transcript(episode) and "there are calculator, lookup" in transcript(episode)


# ------------------------------------------------------------------------------------ many calls (traps 13, 18, 19, 22)


def test_calls_of_an_episode_are_limited_and_the_surplus_is_answered() -> None:
    episode, _ = play([CALL, CALL, CALL, ANSWER], max_calls=1)
    assert statuses(episode) == ["ok", "surplus", "surplus"]
    assert transcript(episode).count("the limit of calls is reached") == 2


def test_sessions_are_of_one_episode_and_closed() -> None:
    """Trap 18."""
    tools = [f"{MADE}:Counts"]
    for _ in range(2):
        episode, _ = play(["Call: x\n", "Call: x\n", "2\n"], tools=tools)
        assert "Result: 1\n" in transcript(episode) and "Result: 2\n" in transcript(episode)
    assert made_tools.CLOSED == ["counts"] * 2


def test_sessions_are_closed_when_the_engine_raises() -> None:
    with pytest.raises(IndexError):
        play(["Call: x\n"], tools=[f"{MADE}:Counts"])  # the script has no second turn
    assert made_tools.CLOSED == ["counts"]


def test_a_session_that_cannot_be_opened_breaks_its_episode_and_one_that_does_not_close_is_warned_of() -> None:
    unopened, _ = play(["Call: x\n", ANSWER], tools=[f"{MADE}:DoesNotOpen"])
    assert ended(unopened) == "broken" and "no licence" in str(unopened.failure)
    with pytest.warns(UserWarning, match="a session of the tool made did not close: OSError: lost"):
        unclosed, _ = play(["Call: x\n", "5\n"], tools=[f"{MADE}:DoesNotClose"])
    assert ended(unclosed) == "answered"


def test_the_same_seed_plays_the_same_episode() -> None:
    """Trap 19: random numbers of a program too."""
    turns = ["```python\nimport random\nprint(random.random(), {'b', 'a', 'c'})\n```", "5"]
    options: dict[str, Any] = {
        "tools": ["python"],
        "format": "fenced",
        "sampling": Sampling(80, max_response_tokens=400),
    }
    first, again, other = (play(turns, seed=seed, **options)[0] for seed in (1, 1, 2))
    assert first.trained_trajectory == again.trained_trajectory
    assert first.trained_trajectory.response_ids != other.trained_trajectory.response_ids


def test_more_calls_never_earn_more() -> None:
    """Trap 22."""
    few, _ = play([CALL, ANSWER], max_turns=300, sampling=Sampling(64, max_response_tokens=10_000))
    many, _ = play([CALL] * 100 + [ANSWER], max_turns=300, sampling=Sampling(64, max_response_tokens=10_000))
    none, _ = play([ANSWER])
    bad, _ = play(["Call: \n", ANSWER])
    episodes = [none, few, many, bad]
    arguments: Any = ([""] * 4, [e.problem for e in episodes])
    assert call_success(*arguments, episodes=episodes) == [0.0, 1.0, 1.0, 0.0]
    assert invalid_calls(*arguments, episodes=episodes) == [0.0, 0.0, 0.0, -1.0]
    costs = call_cost(*arguments, episodes=episodes)
    assert costs[0] == 0.0 and costs[1] == -0.5 and -1 < costs[2] < costs[1]
    weight = 0.99  # the largest that the recipe allows beside a correctness of 1
    assert 1.0 + weight * costs[2] > 0.0 + weight * 0.0
