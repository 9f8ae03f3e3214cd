"""LoRA on verl: what the servers play with, what is saved for others and what a resumed run goes on with are the same
weights.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from reasonrl.cli import main
from reasonrl.runs.checkpoint import list_checkpoints
from tests.verl_backend.recipes import ON_TWO, launch

pytestmark = [
    pytest.mark.verl,
    pytest.mark.timeout(900),
    pytest.mark.skipif(importlib.util.find_spec("verl") is None, reason="needs verl: make test-verl"),
]


def test_adapters_are_merged_for_servers_and_for_export_and_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe: dict[str, Any] = yaml.safe_load(yaml.safe_dump(ON_TWO))
    recipe |= {
        "curriculum": {"name": "uniform"},
        "budget": {"name": "uniform"},
        "evaluation": {"before": False, "samples_per_problem": 0},
    }
    recipe["stages"][0]["sft"]["steps"] = 60
    recipe["stages"][1] |= {
        "model": {"lora": {"rank": 4, "alpha": 8}},
        "train": {"steps": 3, "prompts_per_step": 8, "kl": {"coefficient": 0.05}},
        "optim": {"lr": 1.0e-2},
        "checkpoint": {"every_steps": 1, "keep_last": 3},
    }
    assert (
        launch(recipe, tmp_path, probe=tmp_path / "probe", PROBE_FOLDER="", PROBE_KILL="trainer 3").wait(timeout=300)
        == 1
    )
    assert launch(recipe, tmp_path, "--resume").wait(timeout=300) == 0, (tmp_path / "out.txt").read_text()[-3000:]
    stage = tmp_path / "run" / "stages" / "02-grpo"
    saved = list_checkpoints(stage / "checkpoints")
    assert [checkpoint.step for checkpoint in saved] == [1, 2, 3]
    samples = [
        row for row in map(json.loads, (stage / "samples.jsonl").read_text().splitlines()) if row["kind"] == "train"
    ]
    start = list_checkpoints(tmp_path / "run" / "stages" / "01-warm-up" / "checkpoints")[-1]
    for before, checkpoint in zip([start, *saved], saved, strict=False):
        drawn = [row for row in samples if row["step"] == checkpoint.step]
        assert len(drawn) == 32
        # Step N was drawn with what step N - 1 had saved.
        assert largest_gap(before.path, drawn) < 1e-4
    assert largest_gap(start.path, [row for row in samples if row["step"] == 3]) > 1e-2, "the adapters do something"
    # As if the run had been killed behind its last checkpoint and before its evaluation: only that is done again.
    metrics = stage / "metrics.jsonl"
    train = [line for line in metrics.read_text().splitlines(keepends=True) if json.loads(line)["kind"] == "train"]
    metrics.write_text("".join(train))
    shutil.rmtree(stage / "best")
    assert launch(recipe, tmp_path, "--resume").wait(timeout=300) == 0, (tmp_path / "out.txt").read_text()[-3000:]
    assert metrics.read_text().startswith("".join(train))
    (again,) = [json.loads(line) for line in metrics.read_text().splitlines()[len(train) :]]
    assert (again["kind"], again["step"]) == ("eval", 3) and (stage / "best" / "model.safetensors").is_file()
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
