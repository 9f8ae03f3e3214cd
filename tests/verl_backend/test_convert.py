"""`reasonrl export` on shards as FSDP2 writes them on four ranks, two replicas of two shards each, and on what is no
checkpoint.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from reasonrl.cli import main
from reasonrl.models import tiny
from reasonrl.verl_backend.convert import convert, find_actor

pytestmark = pytest.mark.slow
RANKS = 4
WRITER = """
import sys
from pathlib import Path
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from reasonrl.models import tiny

rank, world, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)
model = tiny.build_model(5, torch.float32, "tiny-critic")
mesh = init_device_mesh("cpu", (2, world // 2), mesh_dim_names=("ddp", "fsdp"))
fully_shard(model, mesh=mesh)
torch.save(model.state_dict(), folder / "actor" / f"model_world_size_{world}_rank_{rank}.pt")
dist.destroy_process_group()
"""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """global_step_7 as verl lays it out."""
    root = tmp_path_factory.mktemp("verl")
    step = root / "global_step_7"
    (step / "actor" / "huggingface").mkdir(parents=True)
    (root / "latest_checkpointed_iteration.txt").write_text("7")
    (step / "actor" / "fsdp_config.json").write_text(json.dumps({"FSDP_version": 2, "world_size": RANKS}))
    tiny.build_model(0, torch.float32, "tiny-critic").config.save_pretrained(step / "actor" / "huggingface")
    tiny.build_tokenizer("tiny-critic").save_pretrained(step / "actor" / "huggingface")
    around = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
    }
    around["OMP_NUM_THREADS"] = "1"
    commands = [[sys.executable, "-c", WRITER, str(rank), str(RANKS), str(step)] for rank in range(RANKS)]
    started = [subprocess.Popen(command, env=around) for command in commands]
    assert [process.wait(timeout=120) for process in started] == [0] * RANKS
    return root


def test_shards_of_four_ranks_become_the_model_bit_by_bit(checkpoint: Path, tmp_path: Path) -> None:
    actor = find_actor(checkpoint)
    assert (
        actor == checkpoint / "global_step_7" / "actor" == find_actor(checkpoint / "global_step_7") == find_actor(actor)
    )
    shard = torch.load(actor / "model_world_size_4_rank_1.pt", weights_only=True)["model.embed_tokens.weight"]
    assert shard._local_tensor.shape[0] < shard.shape[0], "the fixture does cut the weights"
    count = convert(actor, tmp_path / "out")
    from transformers import AutoModelForCausalLM, AutoTokenizer

    made = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    wanted = tiny.build_model(5, torch.float32, "tiny-critic")
    assert count == sum(p.numel() for p in wanted.parameters())
    named = dict(wanted.named_parameters())
    assert set(named) == set(dict(made.named_parameters()))
    for name, weight in made.named_parameters():
        assert torch.equal(weight, named[name]), name
    assert AutoTokenizer.from_pretrained(tmp_path / "out").decode([40]) == tiny.build_tokenizer("tiny-critic").decode(
        [40]
    )
    convert(actor, tmp_path / "half", torch.bfloat16)
    assert {weight.dtype for weight in load_file(tmp_path / "half" / "model.safetensors").values()} == {torch.bfloat16}


def test_what_cannot_be_exported_says_why_and_leaves_nothing(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(checkpoint / "global_step_7", broken)
    (broken / "actor" / "model_world_size_4_rank_2.pt").unlink()
    other = tmp_path / "other"
    shutil.copytree(checkpoint / "global_step_7", other)
    tiny.build_model(0, torch.float32, "tiny-arithmetic").config.save_pretrained(other / "actor" / "huggingface")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    for words, said in (
        ((tmp_path / "nowhere", tmp_path / "out"), "nowhere is not a folder"),
        ((tmp_path / "full", tmp_path / "out"), "full has neither weights (*.safetensors) nor verl's shards"),
        ((broken, tmp_path / "out"), "1 of 4 shards are missing, e.g. model_world_size_4_rank_2.pt"),
        ((other, tmp_path / "out"), "the weights do not fit the"),
        ((checkpoint, tmp_path / "full"), "full is there already"),
    ):
        monkeypatch.setattr("sys.argv", ["reasonrl", "export", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        complaint = " ".join(capsys.readouterr().err.split())
        code = 2 if words[0] in (checkpoint, tmp_path / "nowhere") else 1  # mistakes of the command, not of the files
        assert ended.value.code == code and complaint.startswith("error: ") and said in complaint, words
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "full" / "notes.txt").read_text() == "mine"
    assert not list(tmp_path.glob(".*"))
