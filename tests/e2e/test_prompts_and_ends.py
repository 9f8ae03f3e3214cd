"""What a model is shown and what ends its response: template by template, prompt by prompt, id by id."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from reasonrl.environments.single_turn import encode_messages
from reasonrl.errors import DataError
from reasonrl.models.chat_template import date_warning, unopened_turn_warning
from tests.e2e.commands import reasonrl, recipe_for
from tests.e2e.made_models import CHAT, CHATML, make_model, make_tokenizer, write_rows
from verifiers.types import Message

EACH = "{% for message in messages %}"
GENERATION = "{% if add_generation_prompt %}<assistant>{% endif %}"
USERS_ONLY = EACH + "{% if message['role'] == 'user' %}<user>{{ message['content'] }}{% endif %}{% endfor %}"
SYSTEM_LAST = (
    "{% for message in messages if message['role'] != 'system' %}<{{ message['role'] }}>{{ message['content'] }}<end>"
    "{% endfor %}{{ messages[0]['content'] if messages[0]['role'] == 'system' }}" + GENERATION
)


def chat(*texts: str, system: str | None = None) -> list[Message]:
    turns: list[Message] = [{"role": "assistant" if i % 2 else "user", "content": text} for i, text in enumerate(texts)]
    return [{"role": "system", "content": system}, *turns] if system is not None else turns


def planned(folder: Path, model: Path, prompt: Any, *changes: str) -> Any:
    rows = write_rows(folder / "rows.jsonl", [{"prompt": prompt, "answer": "3"}])
    return reasonrl("train", recipe_for(folder, model, rows), "--dry-run", *changes)


@pytest.mark.parametrize(
    ("template", "role", "text"),
    [
        (USERS_ONLY + GENERATION, "assistant", "2"),
        ("<user>{{ messages[-1]['content'] }}" + GENERATION, "user", "1 [+] 1"),
        ("<user>{{ messages[0]['content'] }}" + GENERATION, "assistant", "2"),
        (CHAT.replace("message['content']", "message['content'][:3]"), "user", "1 [+] 1"),
    ],
)
def test_a_turn_that_the_template_leaves_out_is_named_though_its_text_stands_elsewhere(
    template: str, role: str, text: str
) -> None:
    with pytest.raises(DataError, match=f"leaves out the text of the {role} message '{text}'"):
        encode_messages(make_tokenizer(template=template), chat("1 + 1", "2", "2 + 2"), "problem q/1")


@pytest.mark.parametrize("template", ["chat", "drops_thinking", "trims", SYSTEM_LAST])
def test_a_template_may_leave_out_earlier_thoughts_and_move_the_system_text(template: str) -> None:
    tokenizer = make_tokenizer(template=template)
    ids = encode_messages(tokenizer, chat("1 + 1", "<think>hm</think>\n\n2", "2 + 2", system="Be brief."), "q")
    assert "2<end><user>2 + 2<end>" in tokenizer.decode(ids)


@pytest.mark.parametrize("content", ["<|im_start|>user\n1 + 2<|im_end|>\n<|im_start|>assistant\n", " <|im_start|>user"])
def test_a_prompt_that_was_rendered_before_is_not_rendered_again(content: str, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", template="chatml")
    for prompt, changes in ((chat(content), []), (content, ["data.prompt.style=chat"])):
        message = planned(tmp_path, model, prompt, *changes).refusal()
        assert "its first message begins with '<|im_start|>', which the chat template writes itself" in message
    assert planned(tmp_path, model, content, "data.prompt.style=text").code == 0


def test_messages_that_hold_tokens_of_the_frame_are_warned_of(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", template="chatml", eos="<|im_end|>", end_ids=["<|im_end|>"])
    words = "messages of 1 of 1 problems hold special tokens such as '<|im_end|>' (first: rows/1)"
    for text, warned in (("1 + 2<|im_end|>x", True), ("1 + 2", False)):
        plan = planned(tmp_path, model, chat(text))
        assert plan.code == 0, plan.err
        assert (words in " ".join(plan.out.split())) is warned


@pytest.mark.parametrize("end", ["<|im_end|>", "<|im_end|>\n", "<eos>", "<eos> \n"])
def test_a_text_that_ends_with_a_token_that_ends_responses_is_refused(end: str, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", template="chatml", end_ids=[1, "<|im_end|>"])
    message = planned(tmp_path, model, f"1 + 2{end}", "data.prompt.style=text").refusal()
    assert f"its prompt ends with {'the end token ' * ('eos' in end)}'{end.strip()}'" in message


def test_a_template_that_ignores_the_beginning_of_an_answer_is_warned_of() -> None:
    warned = unopened_turn_warning(make_tokenizer(template=CHAT.replace(GENERATION, "")))
    assert warned is not None and "writes '<assistant>' before a text of the assistant" in warned
    mistral = EACH + "{{ '[INST] ' + message['content'] + ' [/INST]' if message['role'] == 'user' else ' '"
    mistral += " + message['content'] + eos_token }}{% endfor %}"
    for template in ("chat", "chatml", "opens_think", "no_system", "broken", mistral, CHATML):
        assert unopened_turn_warning(make_tokenizer(template=template)) is None, template


def test_a_template_that_writes_the_date_is_warned_of() -> None:
    dated = date_warning(make_tokenizer(template="{{ strftime_now('%d %b %Y') }}" + CHAT), "q")
    assert dated is not None and "writes the date into every prompt" in dated
    several = make_tokenizer(template="chat")
    several.chat_template = {"default": several.chat_template, "tool_use": "{{ strftime_now('%d') }}"}
    assert date_warning(several, "q") is None
    unused = "{% if date is defined %}{{ strftime_now('%d') }}{% endif %}" + CHAT
    assert date_warning(make_tokenizer(template=unused), "q") is None
    assert date_warning(make_tokenizer(template="chat"), "q") is None


@pytest.mark.parametrize(
    ("end", "advice"),
    [("<eos>", "the id 1"), (["<eos>"], "the id 1"), ("</s>", "ids"), (1.0, "ids"), (True, "ids"), ([[1]], "ids")],
)
def test_an_end_in_generation_config_that_is_not_an_id_is_refused(end: Any, advice: str, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model")
    path = model / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token_id": end}))
    evaluated = reasonrl("eval", model, "--data", write_rows(tmp_path / "r.jsonl", [{"prompt": "1", "answer": "1"}]))
    for message in (planned(tmp_path, model, "1 + 2").refusal(), evaluated.refusal()):
        assert "eos_token_id of generation_config.json" in message and f"Write {advice} there" in message


@pytest.mark.parametrize(
    ("options", "ends", "words"),
    [
        ({}, [1, 10**12], "names the id 1000000000000, which is no token of the tokenizer"),
        ({}, [1, -1], "names the id -1, which is no token of the tokenizer"),
        ({"eos": None}, [], "no token ends a response"),
    ],
)
def test_an_end_that_ends_nothing_is_warned_of(
    options: dict[str, Any], ends: list[int], words: str, tmp_path: Path
) -> None:
    model = make_model(tmp_path / "model", end_ids=(), **options)
    path = model / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token_id": ends or None}))
    plan = planned(tmp_path, model, "1 + 2")
    assert plan.code == 0, plan.err
    assert words in " ".join(plan.out.split())


def test_a_value_that_is_not_finite_in_a_pickled_checkpoint_is_named_by_a_dry_run(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = make_model(tmp_path / "model", nan=True)
    state = AutoModelForCausalLM.from_pretrained(model).state_dict()
    (model / "model.safetensors").unlink()
    torch.save(state, model / "pytorch_model.bin")
    message = planned(tmp_path, model, "1 + 2").refusal()
    assert "model.layers.1.mlp.up_proj.weight of its weights hold values that are not finite numbers" in message
