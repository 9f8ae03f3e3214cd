"""Tiny models: one thread is faster than handing work to several, and far faster when the machine is busy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from reasonrl.models.loading import load_model
from tests.stages.resumable import REWARD, run, sums, write_rows

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def resumable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("inputs")
    write_rows(folder / "train.jsonl", sums(0, 12))
    write_rows(folder / "test.jsonl", sums(20, 4))
    (folder / "my_rewards.py").write_text(REWARD)
    base = load_model("tiny-arithmetic", seed=3)
    base.model.save_pretrained(folder / "base")
    base.tokenizer.save_pretrained(folder / "base")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        run()
        shutil.rmtree("run/checkpoints/step-000002")
    yield folder
    sys.modules.pop("my_rewards", None)


@pytest.fixture
def stopped(resumable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run that was stopped after its first step of two. Times of files are kept."""
    folder = tmp_path / "copy"
    shutil.copytree(resumable, folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop("my_rewards", None)
    return folder
