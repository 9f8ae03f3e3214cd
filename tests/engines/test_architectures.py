"""Log-probs of sampled tokens are those of the model's own logits, whatever an architecture does after its head."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from reasonrl.engines.base import Request, Sampling
from reasonrl.engines.plain import PlainEngine
from reasonrl.errors import ModelError
from reasonrl.models.loading import LanguageModel
from tests.e2e.commands import reasonrl, recipe_for
from tests.e2e.made_models import make_tokenizer, write_rows

SIZES: dict[str, Any] = {
    "vocab_size": 100,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "head_dim": 8,
    "pad_token_id": 0,
    "bos_token_id": 3,
    "eos_token_id": 1,
    "initializer_range": 0.3,
}
SCALED: dict[str, dict[str, Any]] = {
    "Gemma2": {"final_logit_softcapping": 0.5, "sliding_window": 6},
    "Granite": {"logits_scaling": 8.0},
    "Cohere": {},
}
PROMPTS = [(5, 6, 7, 8), (9, 10, 11, 12, 13, 14, 15, 16, 17, 18), (5, 6, 7, 8, 3, 4)]


def build(family: str, **options: Any) -> Any:
    import transformers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = getattr(transformers, f"{family}Config")(**{**SIZES, **options})
        return getattr(transformers, f"{family}ForCausalLM")(config).eval()


@pytest.mark.parametrize("temperature", [1.0, 0.5])
@pytest.mark.parametrize("family", [*SCALED, "Qwen3", "Mistral"])
def test_sampled_tokens_have_the_log_probs_of_the_model(family: str, temperature: float) -> None:
    model = build(family, **SCALED.get(family, {}))
    sampling = Sampling(8, temperature, ignore_eos=True)
    requests = [Request(PROMPTS[i % 3], sampling, i) for i in range(6)]
    generations = PlainEngine(LanguageModel(model, make_tokenizer(), family)).generate_batch(requests)
    for request, generation in zip(requests, generations, strict=True):
        ids = torch.tensor([[*request.token_ids, *generation.token_ids]])
        with torch.no_grad():
            logits = model(input_ids=ids, use_cache=False).logits[0, len(request.token_ids) - 1 : -1].float()
        logprobs = torch.log_softmax(logits / temperature, -1)
        expected = [logprobs[t, token].item() for t, token in enumerate(generation.token_ids)]
        assert generation.logprobs == pytest.approx(expected, abs=1e-4)


def saved(folder: Path, family: str, **options: Any) -> Path:
    build(family, **options).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


def test_a_model_with_a_running_state_is_refused_by_every_command(tmp_path: Path) -> None:
    model = saved(tmp_path / "model", "Mamba")
    rows = write_rows(tmp_path / "rows.jsonl", [{"prompt": "1 + 2", "answer": "3"}])
    with pytest.raises(ModelError, match="MambaForCausalLM keeps a running state"):
        PlainEngine(LanguageModel(build("Mamba"), make_tokenizer(), "m"))
    eager = "model.attention=eager"
    planned = reasonrl("train", recipe_for(tmp_path, model, rows), "--dry-run", eager)
    evaluated = reasonrl("eval", model, "--data", rows, "--set", eager, "--set", "rollout.max_new_tokens=3")
    for message in (planned.refusal(), evaluated.refusal()):
        assert "MambaForCausalLM keeps a running state" in message and "rollout.engine: hf" in message


def test_a_dry_run_names_logits_that_training_does_not_support_and_an_evaluation_takes_them(tmp_path: Path) -> None:
    model = saved(tmp_path / "model", "Granite", logits_scaling=8.0)
    rows = write_rows(tmp_path / "rows.jsonl", [{"prompt": "1 + 2", "answer": "3"}])
    recipe = recipe_for(tmp_path, model, rows)
    for arguments in (["--dry-run"], [f"run_dir={tmp_path / 'run'}"]):
        message = reasonrl("train", recipe, *arguments).refusal()
        assert "GraniteForCausalLM caps or scales its logits after its head" in message
    evaluated = reasonrl("eval", model, "--data", rows, "--n", "2", "--set", "rollout.max_new_tokens=3")
    assert evaluated.code == 0, evaluated.err
