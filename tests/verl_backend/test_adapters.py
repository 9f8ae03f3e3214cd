"""LoRA on verl: what the servers play with, what is saved for others and what a resumed run goes on with are the same
weights.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from reasonrl.cli import main
from reasonrl.runs.checkpoint import list_checkpoints
from tests.verl_backend.conftest import THREE_DEATHS, FaultyRun

pytestmark = [
    pytest.mark.verl,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(importlib.util.find_spec("verl") is None, reason="needs verl: make test-verl"),
]


def test_adapters_are_merged_for_servers_and_for_export_and_resumed(
    faulty_run: FaultyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = faulty_run.stage
    saved = list_checkpoints(stage / "checkpoints")
    assert [checkpoint.step for checkpoint in saved] == [1, 2, 3]
    samples = [
        row for row in map(json.loads, (stage / "samples.jsonl").read_text().splitlines()) if row["kind"] == "train"
    ]
    failed = {row["step"]: row["rollouts/failed"] for row in map(json.loads, faulty_run.lines_before_last)}
    start = list_checkpoints(faulty_run.folder / "run" / "stages" / "01-warm-up" / "checkpoints")[-1]
    for before, checkpoint in zip([start, *saved], saved, strict=False):
        drawn = [row for row in samples if row["step"] == checkpoint.step]
        assert len(drawn) == 32 - failed[checkpoint.step] > 0
        # Step N was drawn with what step N - 1 had saved.
        assert largest_gap(before.path, drawn) < 1e-4
    assert largest_gap(start.path, [row for row in samples if row["step"] == 3]) > 1e-2, "the adapters do something"
    for checkpoint in saved:
        shards = stage / "verl" / "checkpoints" / f"global_step_{checkpoint.step}"
        monkeypatch.setattr(sys, "argv", ["reasonrl", "export", str(shards), str(tmp_path / f"out-{checkpoint.step}")])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 0
        ours, theirs = (
            load_file(tmp_path / f"out-{checkpoint.step}" / "model.safetensors"),
            load_file(checkpoint.path / "model.safetensors"),
        )
        assert set(ours) == set(theirs)
        assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) < 1e-6


def largest_gap(folder: Path, drawn: list[dict[str, Any]]) -> float:
    """Largest difference between the log-probs that a run kept and those of the weights in `folder`."""
    from transformers import AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    gaps = []
    for row in drawn:
        prompt = tokenizer.encode(row["prompt"], add_special_tokens=False)
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *row["response_ids"]]])).logits[0, len(prompt) - 1 : -1] / 1.2
        own = logits.log_softmax(-1).gather(1, torch.tensor(row["response_ids"])[:, None])[:, 0]
        gaps.append(float((own - torch.tensor(row["logprobs"])).abs().max()))
    return max(gaps)


@pytest.mark.parametrize("faulty_run", [THREE_DEATHS], indirect=True)
def test_a_run_that_lacks_its_last_evaluation_is_only_evaluated(faulty_run: FaultyRun) -> None:
    metrics = (faulty_run.stage / "metrics.jsonl").read_text()
    assert len(faulty_run.lines_before_last) == 3 and metrics.startswith("".join(faulty_run.lines_before_last))
    (again,) = [json.loads(line) for line in metrics.splitlines()[3:]]
    assert (again["kind"], again["step"]) == ("eval", 3)
    assert (faulty_run.stage / "best" / "model.safetensors").is_file()
