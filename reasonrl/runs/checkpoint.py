"""Checkpoints that survive a kill at any moment.

A checkpoint is written to a hidden folder, every file is fsynced, a manifest with sizes and digests is written last,
and one rename puts it in place. What has no manifest is not a checkpoint. The folder itself is a Hugging Face model;
`trainer/` in it holds what else a resumed run needs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from reasonrl.errors import CheckpointError
from reasonrl.files import remove_folder, remove_leftovers, replace_folder
from reasonrl.models.saving import disk_errors, merged_state_dict

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Checkpoint:
    path: Path
    step: int

    def state(self) -> dict[str, Any]:
        """The small state: step, curriculum, health, best accuracy."""
        return json.loads((self.path / "trainer" / "state.json").read_text(encoding="utf-8"))

    def tensors(self) -> dict[str, Tensor]:
        """Optimiser tensors, master weights, adapters."""
        from safetensors.torch import load_file

        return load_file(self.path / "trainer" / "tensors.safetensors")


def save_model(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a folder that `from_pretrained` loads. LoRA adapters are merged into a copy; the model itself is not
    touched.
    """
    if hasattr(model, "peft_config"):
        merged_copy = merged_state_dict(model)
        model.get_base_model().save_pretrained(folder, state_dict=merged_copy)
    else:
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def save_checkpoint(
    root: Path,
    step: int,
    *,
    model: Any,
    tokenizer: Any,
    tensors: Mapping[str, Tensor],
    state: Mapping[str, Any],
    keep_last: int,
) -> Checkpoint:
    """Write `root/step-000123` and then drop the oldest beyond `keep_last`. A failure, a full disk say, leaves the
    earlier ones alone.
    """
    from safetensors.torch import save_file

    def fill(folder: Path) -> None:
        save_model(model, tokenizer, folder)
        (folder / "trainer").mkdir()
        save_file(
            {key: value.detach().contiguous().cpu() for key, value in tensors.items()},
            folder / "trainer" / "tensors.safetensors",
        )
        (folder / "trainer" / "state.json").write_text(json.dumps({"step": step, **state}, indent=1), encoding="utf-8")

    target = root / f"step-{step:06d}"
    write_folder(target, fill, {"step": step})
    complete = list_checkpoints(root)
    for old in complete[:-keep_last]:
        remove_folder(old.path)
    return Checkpoint(target, step)


def write_folder(target: Path, fill: Callable[[Path], None], facts: Mapping[str, Any]) -> None:
    """Make a folder of weights appear at once and complete, with a manifest: `facts`, and size and digest of each file.

    Raises OSError for a full disk, whoever writes.
    """

    def fill_with_manifest(folder: Path) -> None:
        with disk_errors(folder):
            fill(folder)
        files = {}
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            files[str(file.relative_to(folder))] = {"bytes": file.stat().st_size, "sha256": digest}
        (folder / MANIFEST).write_text(json.dumps({**facts, "files": files}, indent=1), encoding="utf-8")

    remove_leftovers(target.parent, "step-*")  # a step that a kill cut off may never be written again
    replace_folder(target, fill_with_manifest)


def list_checkpoints(root: Path) -> list[Checkpoint]:
    """Complete checkpoints, oldest first: the manifest is there and every file has its size."""
    checkpoints = []
    for folder in sorted(root.glob("step-*")):
        if is_complete(folder):
            checkpoints.append(Checkpoint(folder, int(folder.name.removeprefix("step-"))))
    return checkpoints


def is_complete(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return all((folder / name).stat().st_size == facts["bytes"] for name, facts in manifest["files"].items())
    except (FileNotFoundError, json.JSONDecodeError):
        return False


def newest_checkpoint(root: Path) -> Checkpoint | None:
    """The newest complete checkpoint, its digests checked. Raises CheckpointError if a complete-looking one is
    damaged.
    """
    complete = list_checkpoints(root)
    if not complete:
        return None
    newest = complete[-1]
    manifest = json.loads((newest.path / MANIFEST).read_text(encoding="utf-8"))
    for name, facts in manifest["files"].items():
        with (newest.path / name).open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != facts["sha256"]:
                raise CheckpointError(
                    f"{newest.path / name} is damaged (its digest differs). Remove {newest.path} to resume from an"
                    " earlier one"
                )
    return newest
