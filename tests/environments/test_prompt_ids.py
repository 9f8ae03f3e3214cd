"""Prompts as token ids: what tokenizers and chat templates add, refuse and drop."""

from __future__ import annotations

from typing import Any

import pytest

from reasonrl.environments.conversation import delta_text
from reasonrl.environments.single_turn import encode_messages
from reasonrl.errors import DataError, ModelError, UsageError
from reasonrl.models.chat_template import turn_end, turn_end_warning
from tests.e2e.made_models import TEMPLATES, Kind, make_tokenizer
from verifiers.types import Message

BOS, EOS = 3, 1
KINDS: tuple[Kind, ...] = ("characters", "words", "bytes", "sentencepiece")


def user(text: str = "1 + 2") -> Message:
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def text_of(tokenizer: Any, prompt: str | list[Message]) -> str:
    return str(tokenizer.decode(encode_messages(tokenizer, prompt, "problem q/1")))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("adds_eos", [False, True])
@pytest.mark.parametrize("text", ["1 + 2", "<s>1 + 2", "<s><s>1 + 2", "\n<s>1 + 2", ""])
def test_a_text_has_one_beginning_and_no_end(kind: Kind, adds_eos: bool, text: str) -> None:
    tokenizer = make_tokenizer(kind=kind, template=None, adds_bos=True, adds_eos=adds_eos)
    ids = encode_messages(tokenizer, text, "problem q/1")
    assert ids[0] == BOS and ids.count(BOS) == 1 and EOS not in ids
    assert "1 + 2" in tokenizer.decode(ids) or not text


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_that_adds_nothing_changes_nothing(kind: Kind) -> None:
    tokenizer = make_tokenizer(kind=kind, template=None)
    for text in ("1 + 2", "a\n\n b ", " x"):
        assert encode_messages(tokenizer, text, "p") == tokenizer(text)["input_ids"]


@pytest.mark.parametrize("adds_eos", [False, True])
@pytest.mark.parametrize("adds_bos", [False, True])
def test_messages_have_the_beginning_of_the_template_alone(adds_bos: bool, adds_eos: bool) -> None:
    tokenizer = make_tokenizer(template="adds_bos", bos=True, adds_bos=adds_bos, adds_eos=adds_eos)
    assert text_of(tokenizer, [user()]) == "<s><user>1 + 2<end><assistant>"
    twice = make_tokenizer(template="<s>" + str(TEMPLATES["adds_bos"]), bos=True)
    assert text_of(twice, [user()]) == "<s><user>1 + 2<end><assistant>"
    with pytest.raises(DataError, match="its first message begins with '<s>', which the chat template writes"):
        encode_messages(tokenizer, [user("<s>1 + 2")], "problem q/1")


def test_the_first_token_is_kept_where_it_is_also_the_end_token() -> None:
    tokenizer = make_tokenizer(template=None, adds_bos=True, eos="<s>")
    assert encode_messages(tokenizer, "", "p") == [BOS]
    assert encode_messages(tokenizer, "1", "p")[0] == BOS


@pytest.mark.parametrize(
    ("template", "prompt"),
    [(None, "1 + 2<eos>"), ("{% for m in messages %}{{ m['content'] + eos_token }}{% endfor %}", [user()])],
)
def test_a_prompt_that_ends_with_the_end_token_is_refused(template: str | None, prompt: str | list[Message]) -> None:
    with pytest.raises(DataError, match="problem q/1: its prompt ends with the end token '<eos>'"):
        encode_messages(make_tokenizer(template=template, adds_eos=True), prompt, "problem q/1")


@pytest.mark.parametrize("template", ["chat", "chatml", "trims", "opens_think", "adds_bos"])
@pytest.mark.parametrize("beginning", ["Let me think: ", "3", "<think>\nhm</think>\n", "a\n\n"])
def test_an_assistants_last_turn_is_continued(template: str, beginning: str) -> None:
    tokenizer = make_tokenizer(template=template, bos=True)
    text = text_of(tokenizer, [user(), assistant(beginning)])
    assert text.endswith("assistant>" + beginning if template != "chatml" else "assistant\n" + beginning)
    assert text.count("assistant") == 1


@pytest.mark.parametrize("blank", ["", " \n"])
def test_an_empty_last_turn_of_the_assistant_is_none(blank: str) -> None:
    tokenizer = make_tokenizer(template="opens_think")
    assert text_of(tokenizer, [user(), assistant(blank)]) == text_of(tokenizer, [user()])


def test_a_turn_that_the_template_changes_is_not_continued() -> None:
    tokenizer = make_tokenizer(template="drops_thinking")
    with pytest.raises(DataError, match="cannot continue one: remove that turn"):
        encode_messages(tokenizer, [user(), assistant("<think>a</think>so")], "problem q/1")


@pytest.mark.parametrize(
    ("template", "prompt", "words"),
    [
        ("no_system", [{"role": "system", "content": "Be brief."}, user()], "System role not supported. Leave out"),
        ("alternate", [user(), user()], "Let the roles alternate"),
        ("undefined", [user()], "UndefinedError: 'str object' has no attribute 'text'"),
        ("wrong_type", [user()], "TypeError: can only concatenate str"),
        ("parts", [user()], "leaves out the text of the user message '1 [+] 2'"),
        ("{{ messages[5].content + 1 }}", [user()], "UndefinedError"),
        ("{{ 1 // 0 }}", [user()], "ZeroDivisionError"),
        ("{% for m in messages %}{% if m.role != 'system' %}{{ m.content }}{% endif %}{% endfor %}",
         [{"role": "system", "content": "Be brief."}, user()], "leaves out the text of the system message"),
    ],
)  # fmt: skip
def test_what_a_template_refuses_is_one_message(template: str, prompt: list[Message], words: str) -> None:
    with pytest.raises(UsageError, match=words) as refusal:
        encode_messages(make_tokenizer(template=template), prompt, "problem q/1")
    assert str(refusal.value).startswith("problem q/1: the chat template of ")


@pytest.mark.parametrize("template", ["broken", "{{ 1 +", "{% unknown_tag %}", "{{ x | no_such_filter }}"])
def test_a_broken_template_is_the_models_fault(template: str) -> None:
    with pytest.raises(ModelError, match=r"model.path: the chat template of .* is broken at its line 1: Template"):
        encode_messages(make_tokenizer(template=template), [user()], "problem q/1")


def test_messages_for_a_model_without_a_template_are_refused() -> None:
    with pytest.raises(ModelError, match="problem q/1 has messages, but the model's tokenizer has no chat template"):
        encode_messages(make_tokenizer(template=None), [user()], "problem q/1")


def test_a_turn_of_a_conversation_that_is_refused_is_one_message() -> None:
    tokenizer = make_tokenizer(template="alternate")
    with pytest.raises(
        DataError, match=r"a conversation of several turns: the chat template of .* roles must alternate"
    ):
        delta_text(tokenizer, [{"role": "tool", "content": "4"}])


@pytest.mark.parametrize(
    ("options", "end"),
    [
        ({"template": "chat"}, "<end>"),
        ({"template": "chat", "added": ["<end>"]}, "<end>"),
        ({"template": "chat", "special": ["<end>"]}, "<end>"),
        ({"template": "chatml"}, "<|im_end|>"),
        ({"template": None}, ""),
        ({"template": "broken"}, ""),
        ({"template": "{% for m in messages %}{{ m.content }}\n\n{% endfor %}"}, ""),
    ],
)
def test_the_end_of_a_turn_is_found_in_the_template(options: dict[str, Any], end: str) -> None:
    assert turn_end(make_tokenizer(**options)) == end


def test_an_end_of_a_turn_that_ends_no_response_is_offered() -> None:
    tokenizer = make_tokenizer(template="chatml")
    warning = turn_end_warning(tokenizer, [EOS], ())
    assert warning is not None and warning.endswith('Write rollout.stop: ["<|im_end|>"]')
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert turn_end_warning(tokenizer, [EOS, end], ()) is None
    assert turn_end_warning(tokenizer, [EOS], ("<|im_end|>",)) is None
    ends_itself = make_tokenizer(template="chatml", eos="<|im_end|>")
    assert turn_end_warning(ends_itself, [ends_itself.eos_token_id], ()) is None
