"""Calls as chat templates write them. The templates are short ones of the tests, in the form of the families' own."""

from __future__ import annotations

from typing import Any

import pytest

from reasonrl.engines.base import Sampling
from reasonrl.environments.tools.calculator import Calculator
from reasonrl.environments.tools.chat_formats import ChatFormat, _hermes, _llama3
from reasonrl.environments.tools.loading import format_of, prompt_functions
from reasonrl.errors import ReasonRLError
from reasonrl.models.loading import load_tokenizer_and_config
from reasonrl.recipe.reading import parse_recipe
from reasonrl.setup.data import with_functions
from reasonrl.stages.taught_turns import taught_turns
from tests.environments.templates import CHATML, DROPS_TOOLS, family, tokenizer_of
from tests.environments.tools.scripted_policy import play
from verifiers.types import Problem

MADE = "tests.environments.tools.made_tools"
TOOLS_HEAD = (
    "{% if tools %}{{ '<|im_start|>system\nTools:\n' }}{% for tool in tools %}{{ tool | tojson + '\n' }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endif %}"
)
HERMES = TOOLS_HEAD + "{# <tool_call> #}" + CHATML
EMPTY_THOUGHT = HERMES.replace(
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}",
    "{% set plain = '<think>' not in message['content'] %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['role'] == 'assistant' and plain and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{{ message['content'] + '<|im_end|>\n' }}",
)
"""As Qwen3's: the last turn of the assistant gets an empty thought, and has none as soon as a result follows."""
DROPS_THOUGHTS = HERMES.replace(
    "message['content'] +", "(message['content'] if loop.last else message['content'].split('</think>')[-1]) +"
)
CHAT = [{"role": "user", "content": "12 + 3?"}]


def chat_play(turns: list[str], template: str = HERMES, **options: Any) -> Any:
    tokenizer = tokenizer_of(template)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    ids = [[*tokenizer(turn, add_special_tokens=False)["input_ids"], end] for turn in turns]
    options = {"format": "chat", "tools": ["calculator"], "sampling": Sampling(200, max_response_tokens=2000)} | options
    episode, policy = play(ids, tokenizer=tokenizer, prompt=CHAT, **options)
    return episode, policy, tokenizer


def call(arguments: str, name: str = "calculator") -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>'


def test_an_episode_is_one_render_of_the_whole_chat() -> None:
    """Trap 16: the delta behind the end of a turn yields what one full render would, newline included."""
    asked = "Let us see.\n" + call('{"expression": "12 + 3"}')
    episode, _, tokenizer = chat_play([asked, "15"])
    trajectory = episode.trained_trajectory
    text = tokenizer.decode([*trajectory.prompt_ids, *trajectory.response_ids])
    functions = [
        {
            "type": "function",
            "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
        }
        for tool in [Calculator()]
    ]
    messages = [*CHAT, {"role": "assistant", "content": asked}, {"role": "tool", "content": "15"}]
    rendered = tokenizer.apply_chat_template(messages, tools=functions, tokenize=False, add_generation_prompt=True)
    assert text == rendered + "15<|im_end|>"
    assert episode.text == "15" and [c.status for c in episode.tool_use.calls] == ["ok"]


def test_a_demonstration_shows_the_tools_as_the_episode_does() -> None:
    """The prompt of a stage `sft`, of its dry run and of verl's longest prompt is the one that rollouts have."""
    asked = call('{"expression": "12 + 3"}')
    episode, _, tokenizer = chat_play([asked, "15"])
    tokenizer.eos_token = "<|im_end|>"
    turns: Any = [{"role": "assistant", "content": asked}, {"role": "tool", "content": "15"}]
    turns.append({"role": "assistant", "content": "15"})
    recipe = parse_recipe(
        "{name: t, model: {path: tiny-tools}, data: {train: {source: none}, prompt: {style: chat}},"
        " rollout: {environment: {name: tool_use, tools: [calculator]}}}",
        "t",
    ).stages[0]
    (problem,) = with_functions([Problem("p", CHAT, "math", {"answer": "15"})], recipe)
    row, trajectory = taught_turns(tokenizer, problem, turns, []), episode.trained_trajectory
    assert "calculator" in tokenizer.decode(row.prompt)
    assert (row.prompt, row.response, row.taught) == (
        trajectory.prompt_ids,
        trajectory.response_ids,
        trajectory.loss_mask,
    )
    by_examples = {"name": "tool_use", "tools": ["calculator"], "format": "line"}
    assert prompt_functions(by_examples) == []


def test_a_template_that_writes_an_empty_thought_into_the_last_turn() -> None:
    episode, _, tokenizer = chat_play([call('{"expression": "12 + 3"}'), "15"], EMPTY_THOUGHT)
    text = tokenizer.decode(episode.trained_trajectory.response_ids)
    assert text.count("<|im_start|>tool\n15<|im_end|>\n<|im_start|>assistant\n") == 1 and "<think>" not in text


def test_calls_of_one_turn_keep_their_order_and_the_surplus_is_answered() -> None:
    """Trap 13."""
    calls = "\n".join(call(f'{{"text": "{text}"}}', "made") for text in ("slow", "quick", "third"))
    episode, _, tokenizer = chat_play([calls, "5"], tools=[f"{MADE}:SlowFirst"], calls_per_turn=2)
    text = tokenizer.decode(episode.trained_trajectory.response_ids)
    order = [text.index(f"tool\n{said}") for said in ("slow", "quick", "error: the limit of calls is reached")]
    assert order == sorted(order) and [c.status for c in episode.tool_use.calls] == ["ok", "ok", "surplus"]


@pytest.mark.parametrize(
    ("turn", "status", "words"),
    [
        ("<tool_call>{not json}</tool_call>", "malformed", "it is not JSON"),
        ("<tool_call>[1]</tool_call>", "malformed", "it is not a JSON object with a name"),
        ('<tool_call>{"name": 3}</tool_call>', "malformed", "it is not a JSON object with a name"),
        ('<tool_call>{"name": "add", "arguments": "1"}</tool_call>', "malformed", "arguments is not a JSON object"),
        ('<tool_call>{"name": "add"', "malformed", "a tool_call is not closed"),
        (call("{}", "sub"), "unknown_tool", "there is no tool 'sub'; there are add"),
        (call('{"a": 1}', "add"), "wrong_arguments", "'b' is a required property"),
        (call('{"a": 1, "b": "x"}', "add"), "wrong_arguments", "b: 'x' is not of type 'integer'"),
        (call('{"a": 1, "b": 2, "c": 3}', "add"), "wrong_arguments", "Additional properties are not allowed"),
        (call('{"a": 1, "b": 2}', "add"), "ok", "tool\n3<|im_end|>"),
    ],
)
def test_what_is_wrong_with_a_call_is_said_to_the_policy(turn: str, status: str, words: str) -> None:
    """Trap 12."""
    episode, _, tokenizer = chat_play([turn, "5"], tools=[f"{MADE}:add"])
    assert [c.status for c in episode.tool_use.calls] == [status] and episode.tool_use.ended == "answered"
    assert words in tokenizer.decode(episode.trained_trajectory.response_ids)


def test_a_call_in_a_thought_is_no_call() -> None:
    episode, _, _ = chat_play(["<think>" + call('{"expression": "1"}') + "</think>15"])
    assert episode.tool_use.calls == () and episode.tool_use.ended == "answered"


def test_a_hostile_text_of_a_tool_is_text() -> None:
    """Trap 4."""
    episode, _, tokenizer = chat_play([call('{"text": "x"}', "made"), "5"], tools=[f"{MADE}:Hostile"])
    trajectory = episode.trained_trajectory
    shown = [t for t, mask in zip(trajectory.response_ids, trajectory.loss_mask, strict=True) if not mask]
    assert shown.count(tokenizer.convert_tokens_to_ids("<|im_end|>")) == 1  # that of the tool's own message
    assert "</tool_response>" not in tokenizer.decode(shown) and "<tool_call>" not in tokenizer.decode(shown)
    assert episode.text == "5" and [c.status for c in episode.tool_use.calls] == ["ok"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (CHATML, "leaves out the tools"),
        (TOOLS_HEAD + DROPS_TOOLS, "leaves out a message of the role 'tool'"),
        (DROPS_THOUGHTS, "drops the thought of a turn when a result follows"),
        (TOOLS_HEAD + CHATML, "does not say how calls are written; write calls: hermes or llama3"),
    ],
)
def test_templates_that_cannot_carry_tools_are_refused_by_name(template: str, message: str) -> None:
    """Trap 15."""
    with pytest.raises(ReasonRLError, match=message):
        chat_play(["5"], template)


def test_the_pretrained_model_here_is_refused() -> None:
    """Trap 15: SmolLM2's template ignores tools."""
    tokenizer, _ = load_tokenizer_and_config("smollm2-135m", offline=True)
    with pytest.raises(ReasonRLError, match="leaves out the tools"):
        ChatFormat([Calculator()], tokenizer)


def test_llama3_calls() -> None:
    reading = _llama3('<|python_tag|>{"name": "calculator", "parameters": {"expression": "1"}}')
    assert [(c.name, c.arguments) for c in reading.calls] == [("calculator", {"expression": "1"})]
    assert not _llama3("The answer is {5}").calls and not _llama3("{5}").mistake
    assert _llama3('{"name": "calculator", "parameters": 5}').mistake
    assert len(_hermes(call("{}") * 3).calls) == 3


def test_demonstrations_of_results_in_the_text_of_a_chat_are_what_rollouts_are() -> None:
    """ReTool's layout: the result stands in the assistant's own turn."""
    tokenizer = tokenizer_of(CHATML)
    options = {"tools": ["calculator"], "format": {"name": "tags", "tags": {"calculator": ["calc", "result"]}}}
    turns = ["Let us see.\n<calc>12 + 3</calc>", "It is 15."]
    end = tokenizer.eos_token_id
    ids = [list(tokenizer(turn, add_special_tokens=False)["input_ids"]) for turn in turns]
    episode, _ = play(
        [ids[0], [*ids[1], end]],
        tokenizer=tokenizer,
        prompt=CHAT,
        sampling=Sampling(200, max_response_tokens=2000),
        **options,
    )
    trajectory = episode.trained_trajectory
    shown = [
        {"role": "assistant", "content": turns[0]},
        {"role": "tool", "content": "15"},
        {"role": "assistant", "content": turns[1]},
    ]
    row = taught_turns(tokenizer, Problem("p", CHAT, "math", {}), shown, [], format_of(options, tokenizer))
    assert (row.prompt, row.response, row.taught) == (
        trajectory.prompt_ids,
        trajectory.response_ids,
        trajectory.loss_mask,
    )
    assert "<result>\n15\n</result>" in tokenizer.decode(row.response) and row.response.count(end) == 1


def test_a_prompt_that_is_a_text_cannot_describe_tools() -> None:
    recipe = parse_recipe(
        "name: t\nmodel: {path: m}\ndata: {train: {source: x.jsonl}}\nverifier: {name: math}\n"
        "rollout: {max_new_tokens: 8, max_response_tokens: 64, environment: {name: tool_use, tools: [calculator]}}\n",
        "t",
    ).stages[0]
    with pytest.raises(ReasonRLError, match=r"prompt of problem p is a text.*data\.prompt\.style: chat"):
        with_functions([Problem("p", "12 + 3?", "math", {"answer": "15"})], recipe)


def test_a_result_of_several_lines_in_a_template_that_writes_json() -> None:
    """Llama 3.1: the run ended with the first result that has a line break."""
    tokenizer, end = family("llama_json")
    tokenizer.chat_template = TOOLS_HEAD + "{# ipython #}" + tokenizer.chat_template
    asked = '{"name": "made", "parameters": {"text": "x"}}'
    ids = [[*tokenizer(turn, add_special_tokens=False)["input_ids"], end] for turn in (asked, "15")]
    episode, _ = play(
        ids,
        tokenizer=tokenizer,
        prompt=CHAT,
        format={"name": "chat", "calls": "llama3"},
        tools=[f"{MADE}:TwoLines"],
        sampling=Sampling(200, max_response_tokens=2000),
    )
    text = tokenizer.decode(episode.trained_trajectory.response_ids)
    assert r'"1\n\"2\""' in text and episode.tool_use.ended == "answered"


@pytest.mark.parametrize(
    ("asked", "options", "status"),
    [
        (call('{"expression": "1"}', "nothing"), {}, "unknown_tool"),
        (call('{"number": 1}'), {}, "wrong_arguments"),
        ("\n".join([call('{"expression": "1"}')] * 3), {"calls_per_turn": 1}, "surplus"),
    ],
)
def test_a_refused_call_is_answered_or_ends_the_episode(asked: str, options: dict[str, Any], status: str) -> None:
    episode, policy, _ = chat_play([asked, "15"], **options)
    assert episode.tool_use.ended == "answered" and len(policy.requests) == 2
    assert status in [one.status for one in episode.tool_use.calls]
    episode, policy, _ = chat_play([asked, "15"], refused="end", **options)
    assert episode.tool_use.ended == "refused" and len(policy.requests) == 1 and episode.text == ""
    assert episode.tool_use.calls[-1].status == status and len(episode.tool_use.calls) <= 2
    episode, _, _ = chat_play([call('{"expression": "12 + 3"}'), "15"], refused="end")
    assert episode.tool_use.ended == "answered"
