"""Adapters: they alone are trained, the base serves as the reference, and what is exported is an ordinary merged
model.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip("peft", reason="needs the extra lora")

from reasonrl.models.loading import load_model
from reasonrl.runs.checkpoint import newest_checkpoint
from reasonrl.stages.run_stage import save
from reasonrl.stages.sft import SFTStage
from tests.tiny_runs import context, tiny

LORA = {"path": "tiny-arithmetic", "lora": {"rank": 4, "alpha": 8}}
IDS = torch.tensor([[5, 9, 12, 7, 6, 4]])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_train_export_and_go_on(dtype: str, tmp_path: Path) -> None:
    recipe = tiny(
        kind="sft", model={**LORA, "dtype": dtype}, sft={"steps": 4, "response": " {gold}\n"}, optim={"lr": 0.02}
    )
    made = context(tmp_path / "a", recipe)
    base = load_model("tiny-arithmetic", device="cpu", seed=1, dtype=dtype).model
    trainer = SFTStage(made)
    losses = [trainer.run_step(step)["loss/sft"] for step in (1, 2, 3)]
    assert losses[-1] < losses[0]
    frozen = {
        n.replace(".base_layer", ""): p for n, p in made.model.get_base_model().named_parameters() if "lora_" not in n
    }
    assert all(torch.equal(frozen[n], p) for n, p in base.named_parameters())
    saved = save(made, 3, {"stage": trainer.state_dict(), "best": 0.0, "finished": False}, trainer.tensors())

    exported = load_model(str(saved.path), device="cpu", dtype=dtype).model
    assert type(exported) is type(base)
    tolerance = 1e-5 if dtype == "float32" else 0.1
    with torch.no_grad():
        logits, ours, theirs = base(IDS).logits, made.model(IDS).logits, exported(IDS).logits
        torch.testing.assert_close(theirs.float(), ours.float(), atol=tolerance, rtol=tolerance)
        assert float((ours - logits).abs().max()) > 0.5  # the adapters do something
    assert {k.partition("/")[0] for k in saved.tensors()} >= {"parameter", "exp_avg"}

    # Resumed: base, adapters and moments as they were, so that the next step is the same.
    found = newest_checkpoint(made.folder.checkpoints)
    assert found is not None
    other = context(tmp_path / "b", recipe)
    other.optimizer.load_tensors(found.tensors(), parameters=True)
    resumed = SFTStage(other)
    resumed.load_state_dict(found.state()["stage"])
    assert resumed.run_step(4)["loss/sft"] == trainer.run_step(4)["loss/sft"]
    for (name, a), (_, b) in zip(made.model.named_parameters(), other.model.named_parameters(), strict=True):
        assert torch.equal(a, b), name


def test_the_reference_is_the_base_and_costs_no_copy(tmp_path: Path) -> None:
    from reasonrl.models.logprobs import TokenRow, response_logprobs

    made = context(tmp_path, tiny(model=LORA, train={"kl": {"coefficient": 0.1}}))
    assert made.reference is None
    for name, parameter in made.model.named_parameters():
        if "lora_B" in name:
            parameter.data.fill_(0.05)
    rows = [TokenRow([5, 9], [12, 7])]
    base = load_model("tiny-arithmetic", device="cpu", seed=1).model
    with torch.no_grad():
        expected = response_logprobs(base, rows).logprobs
        moved = response_logprobs(made.model, rows).logprobs
    torch.testing.assert_close(made.reference_logprobs(rows), expected, atol=1e-6, rtol=0)
    assert float((moved - expected).abs().max()) > 1e-3
