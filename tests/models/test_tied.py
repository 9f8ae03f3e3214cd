"""config.json ties the head to the embedding only where the weights do: older transformers and vLLM believe it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from reasonrl.commands.export import export_model
from reasonrl.models.saving import save_weights

IDS = torch.tensor([[5, 6, 7]])


def llama(*, tied: bool = True) -> Any:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=28,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        tie_word_embeddings=tied,
        pad_token_id=0,
        eos_token_id=1,
    )
    return LlamaForCausalLM(config).eval()


def says_tied(folder: Path) -> bool:
    return bool(json.loads((folder / "config.json").read_text())["tie_word_embeddings"])


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits  # type: ignore[no-any-return]


def as_older_readers_do(folder: Path) -> Any:
    """The head of a file is taken only where config.json does not tie it."""
    config = LlamaConfig.from_pretrained(folder)
    model = LlamaForCausalLM(config).eval()
    tensors = load_file(folder / "model.safetensors")
    if says_tied(folder):
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
    model.load_state_dict(tensors)
    return model


@pytest.mark.parametrize(
    ("targets", "stays_tied"),
    [
        (["lm_head"], False),
        (["embed_tokens"], False),
        (["lm_head", "embed_tokens"], False),
        (["q_proj"], True),
        ("all-linear", True),
    ],
)
def test_adapters_on_either_untie_them_and_every_reader_loads_what_was_trained(
    targets: list[str] | str, stays_tied: bool, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    pytest.importorskip("peft", reason="needs the extra lora")
    from reasonrl.recipe.model import LoraSpec
    from reasonrl.setup.models import add_lora

    model = add_lora(llama(), LoraSpec(rank=4, target_modules=targets), seed=0)  # type: ignore[arg-type]
    assert not [warning for warning in recwarn if "tie_word_embeddings" in str(warning.message)]
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = 0.3 * torch.randn_like(parameter)
    expected = logits(model)
    assert float((expected - logits(llama())).abs().max()) > 0.01
    save_weights(model, tmp_path / "saved")
    assert says_tied(tmp_path / "saved") is stays_tied
    assert model.get_base_model().config.tie_word_embeddings, "the model itself is not touched"
    export_model(tmp_path / "saved", tmp_path / "copied", None)
    export_model(tmp_path / "saved", tmp_path / "converted", "float32")
    for folder in ("saved", "copied", "converted"):
        for read in (LlamaForCausalLM.from_pretrained, as_older_readers_do):
            torch.testing.assert_close(logits(read(tmp_path / folder)), expected, atol=1e-4, rtol=1e-4)


def test_a_file_whose_config_is_wrong_is_corrected_when_it_is_exported_and_saved(tmp_path: Path) -> None:
    """Checkpoints of earlier versions."""
    old = tmp_path / "old"
    llama(tied=False).save_pretrained(old)
    config = json.loads((old / "config.json").read_text())
    (old / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    expected = logits(llama(tied=False))
    for dtype in (None, "float32"):
        target = tmp_path / f"exported-{dtype}"
        export_model(old, target, dtype)
        assert not says_tied(target)
        torch.testing.assert_close(logits(as_older_readers_do(target)), expected)
    save_weights(LlamaForCausalLM.from_pretrained(old), tmp_path / "saved")
    assert not says_tied(tmp_path / "saved")
    torch.testing.assert_close(logits(as_older_readers_do(tmp_path / "saved")), expected)


def test_a_tied_model_stays_tied(tmp_path: Path) -> None:
    save_weights(llama(), tmp_path / "saved")
    export_model(tmp_path / "saved", tmp_path / "exported", None)
    # A file may hold the head a second time.
    twice = tmp_path / "twice"
    shutil.copytree(tmp_path / "saved", twice)
    tensors = load_file(twice / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, twice / "model.safetensors", metadata={"format": "pt"})
    export_model(twice, tmp_path / "exported twice", None)
    assert all(says_tied(tmp_path / name) for name in ("saved", "exported", "exported twice"))
    torch.testing.assert_close(logits(as_older_readers_do(tmp_path / "exported")), logits(llama()))
