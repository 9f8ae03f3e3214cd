"""Which special tokens a reader sees, on tokenizers of several kinds."""

from __future__ import annotations

import pytest

from reasonrl.engines.base import Generation, Sampling, response_text
from reasonrl.models.special_tokens import opened_thought, special_tokens, visible_text, without_opened_thought
from tests.e2e.made_models import CHAT, CHATML, make_tokenizer
from verifiers.format import FormatVerifier
from verifiers.math.verifier import MathVerifier
from verifiers.response import THINKING_TAGS, strip_thinking

KINDS = ("characters", "words", "bytes", "sentencepiece")
DEEPSEEK = (
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '<|User|>' + message['content'] }}{% else %}"
    "{{ '<|Assistant|>' + message['content'].split('</think>')[-1] + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|Assistant|><think>\n' }}{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    " + message['content'] + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
MISTRAL = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST]' + message['content'] + '[/INST]' }}"
    "{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}"
)
HARMONY = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}"
    "{{ '<|start|>assistant<|channel|>final<|message|>' + message['content'] + '<|end|>' }}{% else %}"
    "{{ '<|start|>user<|message|>' + message['content'] + '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant{% endif %}"
)
SYSTEM_SPEAKS_OF_TAGS = "Think within <think> and </think>. " + CHATML


def ids(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def read(tokenizer, text, *, prompt="", finish="stop", stop=()):
    generation = Generation(ids(tokenizer, text), [], finish)
    return response_text(tokenizer, generation, Sampling(100, stop=stop), ids(tokenizer, prompt))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["<think>hm</think>\\boxed{3}", "<think>maybe \\boxed{3} or not", "a, b. </think> 3"])
def test_a_response_reads_the_same_whether_its_thinking_tags_are_special_added_or_characters(kind, text):
    texts = {
        (thinking, cleans): read(make_tokenizer(kind=kind, thinking=thinking, cleans_spaces=cleans), text + "<eos>")
        for thinking in ("special", "added", "plain")
        for cleans in (False, True)
    }
    assert set(texts.values()) == {text}


@pytest.mark.parametrize("kind", KINDS)
def test_the_verdicts_do_not_depend_on_whether_the_tags_are_special(kind):
    for thinking in ("special", "added", "plain"):
        tokenizer = make_tokenizer(kind=kind, thinking=thinking)
        unfinished, finished = "<think>maybe \\boxed{3}", "<think>hm</think>\\boxed{3}"
        texts = [read(tokenizer, text, finish=finish) for text, finish in ((unfinished, "length"), (finished, "stop"))]
        verdicts = MathVerifier(mode="strict").verify(texts, [{"answer": "3"}] * 2)
        assert [verdict.correct for verdict in verdicts] == [False, True]
    shaped = FormatVerifier("think_answer").verify([read(tokenizer, "<think>a</think><answer>3</answer><eos>")], [{}])
    assert shaped[0].score == 1.0


def test_special_tokens_of_a_meaning_stay_and_those_of_the_frame_go():
    tokenizer = make_tokenizer(
        template="chatml", thinking="special", special=["<tool_call>", "</tool_call>", "<answer>"]
    )
    tokens = special_tokens(tokenizer)
    assert set(tokens.meaningful.values()) == {"<s>", "<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>"}
    assert set(tokens.dropped.values()) == {"<pad>", "<eos>", "<unk>", "<|im_start|>", "<|im_end|>"}
    text = "<|im_start|>a<tool_call>f(1)</tool_call><answer>3<|im_end|><eos><pad>"
    assert read(tokenizer, text) == "a<tool_call>f(1)</tool_call><answer>3"
    assert tokens.line() == (
        "keeps <s>, <tool_call>, </tool_call>, <answer>, <think>, </think>; drops <pad>, <eos>, <unk>, <|im_start|>,"
        " <|im_end|>"
    )


@pytest.mark.parametrize(
    ("template", "frame", "meaning"),
    [
        (LLAMA3, ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], ["<|python_tag|>"]),
        (MISTRAL, ["[INST]", "[/INST]"], ["[THINK]", "[/THINK]", "[TOOL_CALLS]"]),
        (HARMONY, ["<|start|>", "<|message|>", "<|end|>"], ["<|channel|>"]),
        (DEEPSEEK, ["<|User|>", "<|Assistant|>"], ["<think>", "</think>"]),
        (SYSTEM_SPEAKS_OF_TAGS, ["<|im_start|>", "<|im_end|>"], ["<think>", "</think>"]),
        (None, [], ["<|im_start|>", "<think>"]),
    ],
)
def test_the_frame_is_read_off_the_template(template, frame, meaning):
    special = [token for token in [*frame, *meaning] if token != "<|im_start|>" or template is None]
    tokens = special_tokens(make_tokenizer(template=template, special=special, bos=True))
    assert set(frame) <= set(tokens.dropped.values()) and not set(meaning) & set(tokens.dropped.values())
    assert set(meaning) <= set(tokens.meaningful.values()) and not set(frame) & set(tokens.meaningful.values())


@pytest.mark.parametrize("template", ["broken", "undefined", "wrong_type", "parts", "no_system", "alternate"])
def test_a_template_that_does_not_render_leaves_the_named_tokens(template):
    tokens = special_tokens(make_tokenizer(template=template, thinking="special"))
    assert set(tokens.dropped.values()) == {"<pad>", "<eos>", "<unk>"}
    assert set(tokens.meaningful.values()) == {"<s>", "<think>", "</think>"}


def test_the_token_that_ended_a_response_is_not_part_of_it_whatever_it_is_called():
    tokenizer = make_tokenizer(special=["<|eom|>"], added=["<end>"])
    for end in ("<|eom|>", "<end>", "<eos>"):
        assert read(tokenizer, f"3{end}") == "3"
    assert read(tokenizer, "3<end>", finish="length") == "3<end>"
    assert read(tokenizer, "3") == "3"


def test_a_stop_string_is_cut_off_though_it_holds_tokens_that_are_dropped():
    tokenizer = make_tokenizer(template="chatml", thinking="special")
    assert read(tokenizer, "ab|<|im_end|>\n", stop=("|<|im_end|>\n",)) == "ab"
    assert read(tokenizer, "<think>ab<|im_end|>\ncd", stop=("<|im_end|>\nc",)) == "<think>ab"
    assert read(tokenizer, "a</think>b", stop=("</think>",)) == "a"
    assert read(tokenizer, "a;</think>", stop=(";</think>",)) == "a"


@pytest.mark.parametrize("thinking", ["special", "added", "plain"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_thought_that_the_template_opens_is_part_of_the_response(kind, thinking):
    tokenizer = make_tokenizer(kind=kind, template="opens_think", thinking=thinking, special=["<end>"])
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "1 + 2? Write <think>."}], add_generation_prompt=True, return_dict=False
    )
    assert opened_thought(tokenizer, prompt) == "<think>\n"
    generation = Generation(ids(tokenizer, "maybe \\boxed{3}"), [], "length")
    text = response_text(tokenizer, generation, Sampling(20), prompt)
    assert text == "<think>\nmaybe \\boxed{3}" and strip_thinking(text) == ""
    assert without_opened_thought(tokenizer, prompt, "<think>\nhm</think>3") == "hm</think>3"
    assert without_opened_thought(tokenizer, prompt, "<think>hm</think>3") == "hm</think>3"
    assert without_opened_thought(tokenizer, prompt, "hm</think>3") == "hm</think>3"


def test_a_tag_in_the_question_or_a_closed_thought_opens_nothing():
    tokenizer = make_tokenizer(template="chatml", thinking="added")
    user = [{"role": "user", "content": "Begin with <think>"}]
    prompt = tokenizer.apply_chat_template(user, add_generation_prompt=True, return_dict=False)
    assert opened_thought(tokenizer, prompt) == ""
    assert opened_thought(tokenizer, [*prompt, *ids(tokenizer, "<think>\n\n</think>\n\n")]) == ""
    assert opened_thought(tokenizer, [*prompt, *ids(tokenizer, "<think>\nLet me")]) == "<think>\nLet me"
    assert opened_thought(tokenizer, ids(tokenizer, "Begin with <think>. Q: 1 + 2 A:")) == ""
    assert opened_thought(tokenizer, ids(tokenizer, "Q: 1 + 2 Assistant: <think>")) == "<think>"
    assert opened_thought(tokenizer, []) == ""


def test_a_conversation_reads_a_later_turn_with_the_thought_that_the_template_opens():
    tokenizer = make_tokenizer(template=DEEPSEEK, special=["<|User|>", "<|Assistant|>"], thinking="added", bos=True)
    text = "<s><|User|>1 + 2<|Assistant|><think>\nhm</think>3<eos><|User|>Again.<|Assistant|><think>\n"
    assert opened_thought(tokenizer, ids(tokenizer, text)) == "<think>\n"
    assert visible_text(tokenizer, ids(tokenizer, text)) == "1 + 2<think>\nhm</think>3Again.<think>\n"


def test_a_template_that_is_set_later_is_read_again():
    tokenizer = make_tokenizer(template="none", special=["<|im_start|>", "<|im_end|>"])
    assert "<|im_end|>" in special_tokens(tokenizer).meaningful.values()
    tokenizer.chat_template = CHATML
    assert "<|im_end|>" in special_tokens(tokenizer).dropped.values()


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("<thinking>maybe \\boxed{3}", ""),
        ("[THINK]hm[/THINK]3", "3"),
        ("<seed:think>hm</seed:think>3", "3"),
        ("<|channel|>analysismaybe \\boxed{3}", ""),
        ("<|channel|>analysishm.assistant<|channel|>final3", "3"),
        ("<|START_THINKING|>hm<|END_THINKING|>3", "3"),
        ("◁think▷maybe \\boxed{3}", ""),
        ("<think>a</think>b<think>c", "b"),
        ("<think>a<thinking>b</thinking></think>c", "c"),
    ],
)
def test_thoughts_of_other_families_are_thoughts_as_well(text, seen):
    assert strip_thinking(text) == seen


@pytest.mark.parametrize("pair", [pair for pair in THINKING_TAGS if pair[0].isascii()], ids=lambda pair: pair[0])
@pytest.mark.parametrize("thinking", ["special", "added", "plain"])
def test_a_turn_that_plain_characters_mark_opens_a_thought_in_every_family(pair, thinking):
    opening, closing = pair
    template = CHAT.replace("<assistant>{% endif %}", f"<assistant>{opening}\n{{% endif %}}")
    tokenizer = make_tokenizer(template=template, **({} if thinking == "plain" else {thinking: list(pair)}))
    user = [{"role": "user", "content": f"Begin with {opening}."}]
    prompt = tokenizer.apply_chat_template(user, add_generation_prompt=True, tokenize=False)
    assert opened_thought(tokenizer, ids(tokenizer, prompt)) == f"{opening}\n"
    assert opened_thought(tokenizer, ids(tokenizer, prompt + "Let me")) == f"{opening}\nLet me"
    assert opened_thought(tokenizer, ids(tokenizer, f"{prompt}hm{closing}3")) == ""
    assert opened_thought(tokenizer, ids(tokenizer, prompt.removesuffix(f"{opening}\n"))) == ""
