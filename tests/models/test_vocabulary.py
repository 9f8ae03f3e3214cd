"""Tokens for which a model has no row: refused where a text holds one, with the problem's id before a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from reasonrl.engines.base import Request, Sampling
from reasonrl.engines.plain import PlainEngine
from reasonrl.errors import ModelError
from reasonrl.models.loading import check_model_files, load_model, load_tokenizer_and_config
from reasonrl.models.logprobs import TokenRow, response_logprobs
from reasonrl.setup.prompt_tokens import check_prompt_tokens
from verifiers.types import Problem


def saved(folder: Path, *, added: list[str], eos: str | None = None) -> Path:
    """The tiny model with tokens that its tokenizer alone has."""
    model = load_model("tiny-arithmetic", device="cpu")
    model.tokenizer.add_tokens(added, special_tokens=True)
    if eos is not None:
        model.tokenizer.eos_token = eos
        model.model.generation_config.eos_token_id = model.tokenizer.eos_token_id
    model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


def problems(*prompts: str) -> list[Problem]:
    return [Problem(f"p{i}", prompt, "math", {"answer": "1"}) for i, prompt in enumerate(prompts)]


def test_a_prompt_with_such_a_token_is_named_before_the_run(tmp_path: Path) -> None:
    folder = saved(tmp_path, added=["<tool>"])
    tokenizer, config = load_tokenizer_and_config(str(folder))
    with pytest.raises(ModelError, match=r"problem p1 has the token '<tool>' \(id 28\), but .* has 28 rows\. Resize"):
        check_prompt_tokens(str(folder), tokenizer, config, problems("1 + 1 =", "1 + <tool>"))
    (warning,) = check_prompt_tokens(str(folder), tokenizer, config, problems("1 + 1 ="))
    assert warning.startswith("model.path: 1 token of the tokenizer, '<tool>' for one, has no row")


def test_a_text_with_such_a_token_stops_a_run_with_the_same_message(tmp_path: Path) -> None:
    folder = saved(tmp_path, added=["<tool>"])
    language_model = load_model(str(folder), device="cpu")
    engine = PlainEngine(language_model)
    assert engine.generate_batch([Request((5, 6), Sampling(2), 0)])
    for call in (
        lambda: engine.generate_batch([Request((5, 28), Sampling(2), 0)]),
        lambda: response_logprobs(language_model.model, [TokenRow([5], [28, 6])]),
    ):
        with pytest.raises(ModelError, match=r"a text has the token '<tool>' \(id 28\)"):
            call()


def test_an_end_token_without_a_row_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path, added=["<end>"], eos="<end>")
    loads: list[Any] = [
        lambda: load_model(str(folder), device="cpu"),
        lambda: check_model_files(str(folder), *load_tokenizer_and_config(str(folder))),
    ]
    for load in loads:
        with pytest.raises(ModelError, match=r"has 28 rows .* ends a response, '<end>', has the id 28\. Resize"):
            load()


def test_more_rows_than_tokens_are_fine_and_nothing_is_watched(tmp_path: Path) -> None:
    model = load_model("tiny-arithmetic", device="cpu")
    model.model.resize_token_embeddings(64)
    model.model.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    loaded = load_model(str(tmp_path), device="cpu")
    assert loaded.model.get_input_embeddings().weight.shape[0] == 64
    assert not loaded.model.get_input_embeddings()._forward_pre_hooks
    assert check_prompt_tokens("m", loaded.tokenizer, loaded.model.config, problems("1 + 1 =")) == []
    assert torch.isfinite(response_logprobs(loaded.model, [TokenRow([5], [6])]).logprobs).all()
