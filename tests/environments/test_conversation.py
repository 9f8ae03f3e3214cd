"""Conversations are exact to the token: what was sampled goes back to the engine id for id, and joints are those of the
chat template.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasonrl.engines.base import Generation, Sampling
from reasonrl.environments.conversation import Conversation, delta_text
from reasonrl.environments.single_turn import encode_messages
from reasonrl.errors import ModelError
from reasonrl.models.tiny import CRITIC, build_tokenizer
from tests.e2e.made_models import make_tokenizer
from tests.environments.templates import CHATML, DROPS_THINKING, DROPS_TOOLS, FAMILIES, family, tokenizer_of
from verifiers.types import Problem


class IdEngine:
    """A fake that answers with the ids it is given, one list a turn, and remembers the requests."""

    def __init__(self, answers: Sequence[Sequence[int]], finish_reason: str = "stop") -> None:
        self._answers, self._finish_reason = iter(answers), finish_reason
        self.requests: list[list[int]] = []
        self.samplings: list[Sampling] = []

    async def generate(self, token_ids: Sequence[int], sampling: Sampling, seed: int) -> Generation:
        self.requests.append(list(token_ids))
        self.samplings.append(sampling)
        ids = list(next(self._answers))
        return Generation(ids, [-0.25] * len(ids), self._finish_reason)  # type: ignore[arg-type]


def problem(prompt: Any = None) -> Problem:
    return Problem("p", prompt or [{"role": "user", "content": "Check 12 + 3."}], "math", {"answer": "15"})


def encode(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def take(conversation: Conversation, engine: Any, **options: Any) -> Any:
    return asyncio.run(conversation.policy_turn(engine, 0, **options))


def apart(tokenizer: Any, text: str) -> list[int]:
    """A tokenisation of `text` that the tokenizer itself would not choose: character by character."""
    return [token for character in text for token in encode(tokenizer, character)]


# ------------------------------------------------------------------------------------------------- what goes to engines


def test_each_request_is_the_prompt_and_the_response_so_far_id_for_id() -> None:
    """Over four turns, with tokens that decoding and encoding would change: "12" and " + " are one token each when they
    are encoded, and several here.
    """
    tokenizer, end = family("chatml")
    turns = [[*apart(tokenizer, text), end] for text in ("12 + 34", "99 - 10", "Correct", "\\boxed{55}")]
    for ids in turns:
        assert encode(tokenizer, tokenizer.decode(ids, skip_special_tokens=True)) != ids[:-1]
    engine = IdEngine(turns)
    conversation = Conversation(tokenizer, problem(), Sampling(40, max_response_tokens=400))
    expected = list(conversation.prompt_ids)
    for number, ids in enumerate(turns):
        if number:
            assert conversation.add("Again.")
            expected = conversation.token_ids
        take(conversation, engine)
        assert engine.requests[number] == expected
        assert conversation.token_ids == expected + ids
    trajectory = conversation.trajectory()
    policy = [token for token, mask in zip(trajectory.response_ids, trajectory.loss_mask, strict=True) if mask]
    assert policy == [token for ids in turns for token in ids]
    assert trajectory.text == "\\boxed{55}"


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), name=st.sampled_from(sorted(FAMILIES)), count=st.integers(1, 4))
def test_masks_log_probs_and_spans_agree_with_what_was_sampled(seed: int, name: str, count: int) -> None:
    rng = random.Random(seed)
    tokenizer, end = family(name)
    vocabulary = range(len(tokenizer))
    turns = [[*rng.choices(vocabulary, k=rng.randint(0, 12)), end] for _ in range(count)]
    engine = IdEngine(turns)
    conversation = Conversation(tokenizer, problem(), Sampling(20, max_response_tokens=1000))
    for number in range(count):
        if number:
            assert conversation.add(rng.choice(["No.", "Again.", " 12 ", "two\nlines"]))
        take(conversation, engine)
    made = conversation.trajectory()
    by_policy = [turn for turn in made.turns if turn.by_policy]
    assert [made.response_ids[turn.start : turn.stop] for turn in by_policy] == turns
    inside = {i for turn in by_policy for i in range(turn.start, turn.stop)}
    assert made.loss_mask == [i in inside for i in range(len(made.response_ids))]
    assert made.logprobs == [-0.25 if i in inside else 0.0 for i in range(len(made.response_ids))]
    edges = [(turn.start, turn.stop) for turn in made.turns]
    assert edges[0][0] == 0 and edges[-1][1] == len(made.response_ids)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(edges))
    assert made.policy_turns == count


# --------------------------------------------------------------------------------------------------------------- joints


@pytest.mark.parametrize("name", sorted(FAMILIES))
@pytest.mark.parametrize("text", ["Again.", "It is 12 + 3.", "two\nlines", "12"])
@pytest.mark.parametrize("ended_by", ["end token", "stop string"])
def test_a_joint_is_what_one_full_render_would_have(name: str, text: str, ended_by: str) -> None:
    tokenizer, end = family(name)
    said = encode(tokenizer, "\\boxed{14}")
    conversation = Conversation(tokenizer, problem(), Sampling(40, max_response_tokens=400))
    take(conversation, IdEngine([[*said, end] if ended_by == "end token" else said]))
    assert conversation.add(text)
    chat = [
        *problem().prompt,
        {"role": "assistant", "content": "\\boxed{14}"},
        {"role": "user", "content": text},
    ]
    assert conversation.token_ids == encode_messages(tokenizer, chat, "the test")


@pytest.mark.parametrize(
    ("sampled", "finish"),
    [("3<end>", "stop"), ("3", "stop"), ("3", "length"), ("3 <", "length"), ("3<eos><en", "stop")],
)
@pytest.mark.parametrize("end", ["plain", "added", "special"])
def test_an_end_of_a_turn_of_several_tokens_stands_once(sampled: str, finish: str, end: str) -> None:
    tokenizer = make_tokenizer(template="chat", **({} if end == "plain" else {end: ["<end>"]}))
    conversation = Conversation(tokenizer, problem(), Sampling(40, max_response_tokens=400))
    take(conversation, IdEngine([encode(tokenizer, sampled)], finish))
    assert conversation.add("Again.")
    text = tokenizer.decode(conversation.response_ids)
    begun = "<en" if sampled.endswith("<en") and end == "plain" else ""
    assert text == sampled.removesuffix("<end>").removesuffix(begun) + "<end><user>Again.<end><assistant>"


def test_the_end_token_of_another_role_is_kept_and_the_message_follows_it() -> None:
    """GLM's policy may end a turn with the role token of a tool, for a tool, and be answered by the user."""
    tokenizer, user = family("glm")
    observation = tokenizer.convert_tokens_to_ids("[observation]")
    conversation = Conversation(tokenizer, problem(), Sampling(40, max_response_tokens=400))
    take(conversation, IdEngine([[*encode(tokenizer, "12"), observation]]))
    assert conversation.add("Again.")
    assert conversation.response_ids[1:3] == [observation, user]


def test_a_template_that_changes_earlier_turns_is_refused_by_its_name() -> None:
    tokenizer = tokenizer_of(DROPS_THINKING)
    tokenizer.name_or_path = "thinker-1b"
    conversation = Conversation(tokenizer, problem(), Sampling(40, max_response_tokens=400))
    take(conversation, IdEngine([[5, tokenizer.convert_tokens_to_ids("<|im_end|>")]]))
    with pytest.raises(ModelError, match="chat template of thinker-1b changes earlier turns"):
        conversation.add("Again.")


def test_a_template_that_drops_a_message_is_refused() -> None:
    tokenizer = tokenizer_of(DROPS_TOOLS)
    _, pieces = delta_text(tokenizer, [{"role": "user", "content": "Again."}])
    assert [piece.text for piece in pieces if piece.is_content] == ["Again."]
    with pytest.raises(ModelError, match="leaves out a message of the role 'tool'"):
        delta_text(tokenizer, [{"role": "tool", "content": "Again."}])


def hostile_texts(name: str) -> st.SearchStrategy[str]:
    """Also those that are nothing but a part of the template."""
    words = [*FAMILIES[name][1], "<eos>", "tool", "user", "assistant", "\n", '"', "\\", " ", "1", "</think>"]
    return st.lists(st.sampled_from(words), min_size=1, max_size=4).map("".join)


@pytest.mark.parametrize("name", sorted(FAMILIES))
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_tools_say_the_frame_is_the_templates(name: str, data: st.DataObject) -> None:
    """The text is what the template writes with the real texts in it, and no text adds a special token."""
    tokenizer, end = family(name)
    texts = data.draw(st.lists(hostile_texts(name), min_size=1, max_size=3))
    role = "tool" if name in ("chatml", "llama_json") else "user"

    def ids_after(contents: Sequence[str]) -> list[int]:
        conversation = Conversation(tokenizer, problem(), Sampling(40, max_response_tokens=900))
        take(conversation, IdEngine([[5, end]]))
        assert conversation.add_messages([{"role": role, "content": content} for content in contents])
        return conversation.response_ids

    special = set(tokenizer.all_special_ids) | {end}
    written, harmless = ids_after(texts), ids_after(["1" if text.strip() else text for text in texts])
    assert [token for token in written if token in special] == [token for token in harmless if token in special]
    exchange = [{"role": "user", "content": "x"}, {"role": "assistant", "content": tokenizer.decode([5])}]
    whole = tokenizer.apply_chat_template(
        [*exchange, *({"role": role, "content": text} for text in texts)], tokenize=False, add_generation_prompt=True
    )
    assert whole.endswith(tokenizer.decode(written[2:]))


def test_a_template_that_writes_a_message_twice_is_refused() -> None:
    tokenizer = tokenizer_of(CHATML.replace("message['content'] +", "message['content'] + message['content'] +"))
    with pytest.raises(ModelError, match="writes a message twice"):
        delta_text(tokenizer, [{"role": "user", "content": "Again."}])


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_special_tokens_in_a_message_are_only_text(name: str) -> None:
    tokenizer, end = family(name)
    text = "".join(FAMILIES[name][1]) + "<eos>" + FAMILIES[name][2] + "and 12"
    conversation = Conversation(tokenizer, problem(), Sampling(40, max_response_tokens=400))
    take(conversation, IdEngine([[5, end]]))
    plain = Conversation(tokenizer, problem(), Sampling(40, max_response_tokens=400))
    take(plain, IdEngine([[5, end]]))
    assert conversation.add(text) and plain.add("and 12")
    special = set(tokenizer.all_special_ids) | {end}
    count = [sum(token in special for token in each.response_ids) for each in (conversation, plain)]
    assert count[0] == count[1], "the text of the message adds no special token"


def test_a_text_prompt_is_continued_with_plain_text() -> None:
    tokenizer = build_tokenizer(CRITIC)
    conversation = Conversation(tokenizer, problem("12 + 3 ="), Sampling(4, max_response_tokens=40, stop=("\n",)))
    take(conversation, IdEngine([encode(tokenizer, " 14\n")]))
    assert conversation.add("Wrong. 12 + 3 =")
    assert tokenizer.decode(conversation.token_ids) == "12 + 3 = 14\nWrong. 12 + 3 ="


# --------------------------------------------------------------------------------------------------------------- limits


def test_a_turn_asks_for_no_more_than_its_cap_and_the_room() -> None:
    tokenizer, end = family("chatml")
    engine = IdEngine([[5] * 9 + [end], [5] * 9 + [end]])
    conversation = Conversation(tokenizer, problem(), Sampling(12, 0.7, max_response_tokens=40))
    take(conversation, engine)
    assert conversation.add("Again.")
    room = conversation.room
    assert room < 12 + 9
    take(conversation, engine, max_new_tokens=room + 5)
    assert [sampling.max_new_tokens for sampling in engine.samplings] == [12, room]
    assert {sampling.temperature for sampling in engine.samplings} == {0.7}


def test_a_message_that_does_not_fit_is_left_out_and_the_trajectory_counts_as_cut_off() -> None:
    tokenizer, end = family("chatml")
    conversation = Conversation(tokenizer, problem(), Sampling(12, max_response_tokens=24))
    take(conversation, IdEngine([[5] * 9 + [end]]))
    before = list(conversation.response_ids)
    assert not conversation.add("Again. " * 9)
    assert conversation.response_ids == before
    assert conversation.trajectory().finish_reason == "length"
    assert not conversation.add("Again.", min_room=12), "the policy would have fewer tokens than it needs"


def test_a_trajectory_never_ends_on_a_message() -> None:
    tokenizer, end = family("chatml")
    conversation = Conversation(tokenizer, problem(), Sampling(12, max_response_tokens=90))
    take(conversation, IdEngine([[5, end]]))
    assert conversation.add("Again.")
    trajectory = conversation.trajectory()
    assert trajectory.response_ids == [5, end]
    assert trajectory.loss_mask == [True, True]


def test_a_turn_without_room_and_a_message_before_the_first_turn_are_errors() -> None:
    tokenizer = tokenizer_of(CHATML)
    conversation = Conversation(tokenizer, problem(), Sampling(3))
    with pytest.raises(ValueError, match="added after a turn of the policy"):
        conversation.add("Hello.")
    take(conversation, IdEngine([[5, 5, 5]], "length"))
    assert conversation.trajectory().finish_reason == "length"
    with pytest.raises(ValueError, match="no room for another turn"):
        take(conversation, IdEngine([[5]]))


def test_a_thought_goes_on_behind_a_text_and_what_a_tool_says_is_no_part_of_it() -> None:
    """The verifier reads that the policy is within a thought, but neither its earlier turns nor the tool."""
    tokenizer = tokenizer_of(CHATML)

    def conversation(opens: bool) -> Conversation:
        prompt = [{"role": "user", "content": "12 + 3?"}]
        made = Conversation(tokenizer, problem(prompt), Sampling(60, max_response_tokens=900))
        take(made, IdEngine([encode(tokenizer, "<think>\nLet us see.\n" if opens else "Let us see.\n")]))
        assert made.add_text("<think> \\boxed{1}", role="tool")
        return made

    answer = encode(tokenizer, "</think>\n\\boxed{15}")
    inside = take(conversation(True), IdEngine([answer]))
    assert inside.text == "<think>\n</think>\n\\boxed{15}" and inside.written == "</think>\n\\boxed{15}"
    outside = take(conversation(False), IdEngine([encode(tokenizer, "\\boxed{15}")]))
    assert outside.text == outside.written == "\\boxed{15}", "a tag of the tool opens no thought"
    silent = take(conversation(True), IdEngine([[tokenizer.eos_token_id]]))
    assert silent.written == "" and silent.text == "<think>\n"


def test_a_thought_that_the_template_opens_is_there_after_each_message() -> None:
    template = CHATML.replace("{{ '<|im_start|>assistant\n' }}", "{{ '<|im_start|>assistant\n<think>\n' }}")
    tokenizer = tokenizer_of(template)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    made = Conversation(tokenizer, problem([{"role": "user", "content": "1?"}]), Sampling(60, max_response_tokens=900))
    for _ in range(2):
        turn = take(made, IdEngine([[*encode(tokenizer, "It is.\n</think>\n1"), end]]))
        assert turn.text == "<think>\nIt is.\n</think>\n1" and turn.written == "It is.\n</think>\n1"
        assert made.add("<think> Again.")
