"""A dry run, a training and an evaluation through the command line, on models with many tokenizers and templates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.commands import reasonrl, recipe_for
from tests.e2e.made_models import make_model, teach, write_rows

WORKING: dict[str, dict[str, Any]] = {
    "chat": {"template": "chat"},
    "chatml with its end token": {"template": "chatml", "eos": "<|im_end|>", "end_ids": ["<|im_end|>"]},
    "several end tokens": {"template": "chatml", "end_ids": [1, "<|im_end|>"]},
    "a template that opens a thought": {"template": "opens_think", "thinking": "special"},
    "thinking tags that are added": {"template": "chat", "thinking": "added"},
    "bos by the template": {"template": "adds_bos", "bos": True},
    "bos by both, eos by the tokenizer": {"template": "adds_bos", "adds_bos": True, "adds_eos": True},
    "padding that is the end token": {"template": "chat", "pad": "<eos>"},
    "more rows than tokens": {"template": "chat", "more_rows": 24},
    "tied": {"template": "chat", "tied": True},
    "bytes": {"template": "chatml", "kind": "bytes"},
    "sentencepiece": {"template": "adds_bos", "kind": "sentencepiece", "adds_bos": True},
}


def sums(folder: Path, name: str, low: int = 1, count: int = 4) -> Path:
    rows = [{"prompt": f"{i} + 2", "answer": str(i + 2)} for i in range(low, low + count)]
    return write_rows(folder / f"{name}.jsonl", rows)


def messages(folder: Path, *turns: str, name: str = "chats") -> Path:
    """Rows of 1 + 2 whose prompts are a user's question and these further turns, assistant and user in turn."""
    roles = ["user", "assistant"]
    rows = []
    for i in range(3):
        texts = [f"1 + 2 ({i})", *turns]
        prompt = [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]
        rows.append({"prompt": prompt, "answer": "3"})
    return write_rows(folder / f"{name}.jsonl", rows)


@pytest.mark.slow
@pytest.mark.parametrize("options", WORKING.values(), ids=WORKING)
def test_a_model_is_checked_trained_and_evaluated(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = make_model(tmp_path / "model", **options)
    train, test = sums(tmp_path, "train"), sums(tmp_path, "test", low=5, count=2)
    recipe = recipe_for(tmp_path, model, train, test, data={"prompt": {"style": "chat"}})
    planned = reasonrl("train", recipe, "--dry-run", "--json")
    assert planned.code == 0, planned.err
    stage = json.loads(planned.out)["stages"][0]
    view, prompt = stage["first_prompt_tokens"][0], stage["first_prompts"][0]
    first, last = ("".join(token["text"] for token in view[end]).replace("▁", " ") for end in ("first", "last"))
    assert view["tokens"] == stage["longest_prompt_tokens"]
    assert prompt.startswith(first.strip()) and prompt.endswith(last) and first and last
    assert prompt.count("<s>") == ("bos" in str(options)) and not prompt.endswith("<eos>")
    trained = reasonrl("train", recipe, "run_dir=run", "--quiet")
    assert trained.code == 0, trained.err
    for weights in ("model", "run"):
        evaluated = reasonrl("eval", weights, "--data", test, "--n", "0", "--set", "rollout.max_new_tokens=4", "--json")
        assert evaluated.code == 0, evaluated.err
        assert json.loads(evaluated.out)["metrics"]["eval/test/problems"] == 2


def test_a_model_without_a_template_takes_texts_and_refuses_messages(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", template=None, adds_bos=True, adds_eos=True)
    texts = recipe_for(tmp_path, model, sums(tmp_path, "train"), data={"prompt": {"style": "text"}})
    planned = reasonrl("train", texts, "--dry-run", "--json")
    assert json.loads(planned.out)["stages"][0]["first_prompts"] == ["<s>1 + 2", "<s>2 + 2"]
    assert " 3:<s> " in reasonrl("train", texts, "--dry-run").out
    chats = recipe_for(tmp_path, model, sums(tmp_path, "train"), data={"prompt": {"style": "chat"}})
    message = reasonrl("train", chats, "--dry-run").refusal()
    assert message.startswith("problem train/1 has messages, but the model's tokenizer has no chat template")


@pytest.mark.parametrize("template", ["no_system", "alternate", "broken", "undefined", "wrong_type", "parts"])
def test_a_template_that_refuses_is_one_message_everywhere(
    template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = make_model(tmp_path / "model", template=template)
    data = sums(tmp_path, "train")
    recipe = recipe_for(tmp_path, model, data, data={"prompt": {"system": "Be brief."}})
    messages_seen = {
        reasonrl("train", recipe, "--dry-run").refusal(),
        reasonrl("train", recipe, "run_dir=run").refusal(),
        reasonrl("eval", model, "--data", data, "--set", "data.prompt.system=Be brief.", "--output", "out").refusal(),
    }
    assert len(messages_seen) == 1 and "the chat template of" in messages_seen.pop()
    assert not Path("out").exists() and not Path("run/metrics.jsonl").exists()
    again = reasonrl("train", recipe, "run_dir=run").refusal()
    assert "the chat template of" in again, "the folder of a run that was refused is free"


def test_a_prompt_that_ends_in_an_assistants_turn_is_refused_or_continued(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", template="chat")
    data = messages(tmp_path, "Let me think: ")
    recipe = recipe_for(tmp_path, model, data)
    for refused in (
        reasonrl("train", recipe, "--dry-run"),
        reasonrl("train", recipe, f"run_dir={tmp_path / 'run'}"),
        reasonrl("eval", model, "--data", data),
    ):
        message = refused.refusal()
        assert "row 1 (chats/1): its prompt ends in a turn of the assistant: 'Let me think: '" in message
        assert "Write data.prompt.last_assistant: continue" in message
    key = "data.prompt.last_assistant=continue"
    planned = reasonrl("train", recipe, "--dry-run", "--json", key)
    prompt = json.loads(planned.out)["stages"][0]["first_prompts"][0]
    assert prompt == "<user>1 + 2 (0)<end><assistant>Let me think: "
    assert reasonrl("eval", model, "--data", data, "--set", key, "--set", "rollout.max_new_tokens=2").code == 0


@pytest.mark.parametrize("turn", ["3", " 3 ", "The answer is 3.", "So it is \\boxed{3}", "3.0", "6/2"])
def test_a_last_turn_with_the_gold_answer_is_refused_in_any_case(turn: str, tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", template="chat")
    recipe = recipe_for(tmp_path, model, messages(tmp_path, turn))
    for more in ([], ["data.prompt.last_assistant=continue"]):
        message = reasonrl("train", recipe, "--dry-run", *more).refusal()
        assert "row 1 (chats/1): its prompt ends in a turn of the assistant that gives the gold answer" in message


def test_a_last_turn_in_which_the_gold_answer_merely_occurs_is_continued(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", template="chat")
    recipe = recipe_for(tmp_path, model, messages(tmp_path, "There are 3 ways, 13 of"))
    assert reasonrl("train", recipe, "--dry-run", "data.prompt.last_assistant=continue").code == 0


def test_answers_that_stand_in_prompts_are_warned_of(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", template="chat")

    def warned(rows: list[tuple[str, str]]) -> bool:
        data = write_rows(tmp_path / "rows.jsonl", [{"prompt": prompt, "answer": answer} for prompt, answer in rows])
        planned = reasonrl("train", recipe_for(tmp_path, model, data), "--dry-run")
        assert planned.code == 0, planned.err
        return "the model only has to copy it" in planned.out

    assert warned([("1 + 2\n#### 3", "3"), ("2 + 2\n#### 4", "4")])
    assert warned([("1 + 2. The answer is 3", "3")])
    assert warned([("1 + 2 = 3", "3"), ("2 + 2 = 4", "4")])
    assert not warned([("What is 3 * 1", "3"), ("What is 1 * 3", "3"), ("What is 2 + 2", "4")])
    assert not warned([("Which? A) 1 B) 3", "A"), ("Answer with A or B", "A")])
    multiturn = recipe_for(tmp_path, model, messages(tmp_path, "3", "Are you sure?"))
    assert "states its gold answer" in reasonrl("train", multiturn, "--dry-run").out


@pytest.mark.slow
@pytest.mark.parametrize("end", ["special", "added", "characters"])
def test_the_line_that_is_offered_for_an_unknown_end_of_turn_is_right(end: str, tmp_path: Path) -> None:
    tokens: dict[str, Any] = {} if end == "characters" else {end: ["<end>"]}
    model = make_model(tmp_path / "model", template="chat", **tokens)
    teach(model, {"<user>1 + 2<end><assistant>": "\\boxed{3}<end> or \\boxed{4}<end>"})
    data = write_rows(tmp_path / "one.jsonl", [{"prompt": "1 + 2", "answer": "3"}])
    arguments = ["eval", model, "--data", data, "--n", "0", "--json", "--set", "rollout.max_new_tokens=32"]
    without = reasonrl(*arguments)
    assert json.loads(without.out)["metrics"]["eval/one/greedy"] == 0.0
    line = without.err.partition("Write ")[2].strip()
    assert line == 'rollout.stop: ["<end>"]'
    with_it = reasonrl(*arguments, "--set", line.replace(": ", "=", 1))
    assert json.loads(with_it.out)["metrics"]["eval/one/greedy"] == 1.0
    assert "warning" not in with_it.err
