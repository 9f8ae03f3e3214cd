"""Models with another chat template, other weights or other files than they should have."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import yaml
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from reasonrl.models.tiny import CRITIC, TEMPLATE, build_model, build_tokenizer
from tests.generated.case import Case, Outcome
from tests.generated.recipes import NAME, as_json
from tests.tiny_runs import tiny


@functools.cache
def saved_model() -> Path:
    """The tiny model with a chat template as a Hugging Face folder, saved once."""
    folder = Path(tempfile.mkdtemp(prefix="generated-model-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    build_model(0, torch.float32, CRITIC).save_pretrained(folder)
    build_tokenizer(CRITIC).save_pretrained(folder)
    return folder


def files_of(**changed: bytes | Path | None) -> dict[str, bytes | Path]:
    """The files of the model, some of them replaced, or left out for None."""
    names = {path.name: path for path in saved_model().iterdir()}
    return {f"model/{name}": content for name, content in {**names, **changed}.items() if content is not None}


def text_of(name: str) -> Any:
    return json.loads((saved_model() / name).read_text(encoding="utf-8"))


ONE_TURN = "{% if messages|length > 1 %}{{ raise_exception('one turn only') }}{% endif %}"
WRONG_TEMPLATES = (
    "{{ raise_exception('System role not supported') }}",
    "{% for message in messages %}",
    "{{ messages[0]['content'] ",
    "{% endif %}",
    "{% nobody %}",
    "{{ messages|nobody }}",
    "{{ messages[0].content.text.more }}",
    "{{ nobody.more }}",
    "{{ nobody() }}",
    "{{ messages[7]['content'] }}",
    "{{ 1 / 0 }}",
    "{{ messages + 1 }}",
    "{{ 'x' * messages }}",
    "{% include 'other' %}",
    "{% extends 'other' %}",
    "{% import 'os' as os %}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}{{ messages[0].content }}",
    "",
    "constant",
    "{{ messages[0]['role'] }}",
    "{{ messages[0]['Content'] }}",
)
"""None of them shows the model the question."""


def chat_recipe(**changes: Any) -> bytes:
    recipe = tiny(**changes)
    recipe["model"] = {"path": "model"}
    recipe["data"]["prompt"] = {"style": "chat", "template": "{question} = ?"}
    return yaml.safe_dump(recipe, sort_keys=False).encode()


@st.composite
def a_command(draw: st.DrawFn) -> tuple[str, ...]:
    commands = [
        ("train", NAME, "--dry-run", "--offline"),
        ("eval", "model", "--recipe", NAME, "--n", "0", "--limit", "2", "--offline"),
    ]
    return draw(as_json(draw(st.sampled_from(commands))))


def with_template(template: str) -> dict[str, bytes | Path]:
    """transformers reads chat_template.jinja; tokenizer_config.json may hold one too."""
    config = text_of("tokenizer_config.json")
    config.pop("chat_template", None)
    changed: dict[str, bytes | Path | None] = {
        "tokenizer_config.json": json.dumps(config).encode(),
        "chat_template.jinja": template.encode(),
    }
    return files_of(**changed)


@st.composite
def wrong_templates(draw: st.DrawFn) -> Case:
    template = draw(st.sampled_from(WRONG_TEMPLATES))
    files = {NAME: chat_recipe(), **with_template(template)}
    return Case(f"the template {template!r}", draw(a_command()), files, "refused", ())


def shows_the_question(folder: Path, outcome: Outcome) -> str | None:
    prompt = str(outcome.json()["stages"][0]["first_prompts"][0])
    return None if "9 + 5 = ?" in prompt else f"the prompt lacks the question: {prompt!r}"


@st.composite
def damaged_templates(draw: st.DrawFn) -> Case:
    """A piece of the template is lost or doubled: it still shows the question, or it is refused."""
    start = draw(st.integers(0, len(TEMPLATE)))
    length = draw(st.integers(1, 30))
    doubled = draw(st.booleans())
    end = start + length
    template = TEMPLATE[:end] + TEMPLATE[start:] if doubled else TEMPLATE[:start] + TEMPLATE[end:]
    files = {NAME: chat_recipe(), **with_template(template)}
    arguments = ("train", NAME, "--dry-run", "--offline", "--json")
    return Case(f"the template {template!r}", arguments, files, "either", (), shows_the_question)


def _weights(change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[], dict[str, bytes | Path | None]]:
    def files() -> dict[str, bytes | Path | None]:
        tensors = load_file(saved_model() / "model.safetensors")
        change(tensors)
        with tempfile.TemporaryDirectory() as folder:
            save_file(tensors, f"{folder}/model.safetensors", {"format": "pt"})
            return {"model.safetensors": Path(folder, "model.safetensors").read_bytes()}

    return files


def _config(**changes: Any) -> Callable[[], dict[str, bytes | Path | None]]:
    return lambda: {"config.json": json.dumps({**text_of("config.json"), **changes}).encode()}


def _raw(name: str, content: bytes | None) -> Callable[[], dict[str, bytes | Path | None]]:
    return lambda: {name: content}


def _cut(name: str, share: float) -> Callable[[], dict[str, bytes | Path | None]]:
    def files() -> dict[str, bytes | Path | None]:
        whole = (saved_model() / name).read_bytes()
        return {name: whole[: int(len(whole) * share)]}

    return files


def _one_nan(tensors: dict[str, torch.Tensor]) -> None:
    tensors["model.layers.0.self_attn.q_proj.weight"][0, 0] = float("nan")


def _one_infinite(tensors: dict[str, torch.Tensor]) -> None:
    tensors["lm_head.weight"][5, 0] = float("inf")


def _one_missing(tensors: dict[str, torch.Tensor]) -> None:
    del tensors["model.layers.1.mlp.up_proj.weight"]


def _one_of_another_shape(tensors: dict[str, torch.Tensor]) -> None:
    tensors["model.norm.weight"] = torch.ones(7)


def _fewer_rows(tensors: dict[str, torch.Tensor]) -> None:
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = tensors[name][:20].clone()


DAMAGE: dict[str, Callable[[], dict[str, bytes | Path | None]]] = {
    "a NaN among the weights": _weights(_one_nan),
    "an infinite weight": _weights(_one_infinite),
    "a missing tensor": _weights(_one_missing),
    "a tensor of another shape": _weights(_one_of_another_shape),
    "fewer rows than tokens": lambda: {**_weights(_fewer_rows)(), **_config(vocab_size=20)()},
    "no tensors": _weights(lambda tensors: tensors.clear()),
    "weights cut off": _cut("model.safetensors", 0.5),
    "weights cut off in the header": _cut("model.safetensors", 0.0005),
    "empty weights": _raw("model.safetensors", b""),
    "no weights": _raw("model.safetensors", None),
    "no config": _raw("config.json", None),
    "an empty config": _raw("config.json", b""),
    "a config cut off": _cut("config.json", 0.5),
    "a config that is a list": _raw("config.json", b"[]"),
    "a config of {}": _raw("config.json", b"{}"),
    "an unknown model_type": _config(model_type="nobody"),
    "no layers": _config(num_hidden_layers=-1),
    "heads that do not divide": _config(num_attention_heads=7),
    "a size that is text": _config(hidden_size="many"),
    "another size": _config(hidden_size=64),
    "no tokenizer": lambda: {"tokenizer.json": None, "tokenizer_config.json": None},
    "a tokenizer cut off": _cut("tokenizer.json", 0.5),
    "an empty tokenizer": _raw("tokenizer.json", b""),
    "a tokenizer that is {}": _raw("tokenizer.json", b"{}"),
    "a tokenizer's config cut off": _cut("tokenizer_config.json", 0.5),
    "a generation config cut off": _cut("generation_config.json", 0.5),
}


@st.composite
def damaged_models(draw: st.DrawFn) -> Case:
    about = draw(st.sampled_from(sorted(DAMAGE)))
    files = {NAME: chat_recipe(), **files_of(**DAMAGE[about]())}
    command = ("eval", "model", "--recipe", NAME, "--n", "0", "--limit", "2", "--offline")
    if draw(st.booleans()):
        command = ("train", NAME, "--offline", "--quiet", "train.steps=1", "evaluation.samples_per_problem=0")
    return Case(about, draw(as_json(command)), files, "refused", ())
