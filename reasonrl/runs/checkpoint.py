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
from os import strerror
from pathlib import Path
from typing import Any

from torch import Tensor

from reasonrl.errors import CheckpointError
from reasonrl.host.files import remove_folder, remove_leftovers, replace_folder
from reasonrl.models.saving import disk_errors, save_weights

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
    save_weights(model, folder)
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
    """Complete checkpoints, oldest first: the manifest is there and every file has its size.

    Raises CheckpointError for a folder that may not be read.
    """
    return [checkpoint for checkpoint in _step_folders(root) if incomplete_reason(checkpoint.path) is None]


def incomplete_checkpoints(root: Path) -> list[tuple[Checkpoint, str]]:
    """Checkpoints that are newer than the newest complete one, and what each lacks, oldest first."""
    reasons = [(checkpoint, incomplete_reason(checkpoint.path)) for checkpoint in _step_folders(root)]
    newest = max((index for index, (_, reason) in enumerate(reasons) if reason is None), default=-1)
    return [(checkpoint, reason) for checkpoint, reason in reasons[newest + 1 :] if reason is not None]


def is_complete(folder: Path) -> bool:
    return incomplete_reason(folder) is None


def incomplete_reason(folder: Path) -> str | None:
    """What a folder lacks to be a complete checkpoint, in words; None for a complete one.

    Raises CheckpointError where it may not be read.
    """
    try:
        sizes = {name: int(facts["bytes"]) for name, facts in _manifest_files(folder).items()}
        if not sizes:
            return f"{MANIFEST} lists no files"
        for name, size in sizes.items():
            if not (folder / name).is_file():
                return f"{name} is missing"
            if (actual := (folder / name).stat().st_size) != size:
                return f"{name} is {actual:,} of {size:,} bytes"
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except PermissionError as error:
        raise _not_readable(folder, error) from error
    except (ValueError, KeyError, TypeError, AttributeError, IsADirectoryError, RecursionError):
        return f"{MANIFEST} is damaged"
    return None


def newest_checkpoint(root: Path) -> Checkpoint | None:
    """The newest complete checkpoint, its digests checked. Raises CheckpointError if a complete-looking one is
    damaged, or may not be read.
    """
    complete = list_checkpoints(root)
    if not complete:
        return None
    newest = complete[-1]
    for name, facts in _manifest_files(newest.path).items():
        try:
            with (newest.path / name).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
        except PermissionError as error:
            raise _not_readable(newest.path, error) from error
        if digest != facts.get("sha256"):
            raise CheckpointError(
                f"{newest.path / name} is damaged (its digest differs). Remove {newest.path} to resume from an"
                " earlier one"
            )
    return newest


def _step_folders(root: Path) -> list[Checkpoint]:
    """The folders step-N, oldest first, complete or not."""
    try:
        names = [path.name for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    except PermissionError as error:
        raise _not_readable(root, error) from error
    numbers = [name.removeprefix("step-") for name in names if name.startswith("step-")]
    steps = sorted((int(number), number) for number in numbers if number.isascii() and number.isdigit())
    return [Checkpoint(root / f"step-{number}", step) for step, number in steps]


def _manifest_files(folder: Path) -> dict[str, dict[str, Any]]:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return dict(manifest["files"])


def _not_readable(path: Path, error: PermissionError) -> CheckpointError:
    return CheckpointError(
        f"{error.filename or path} cannot be read ({strerror(error.errno or 0)}). Make it readable:"
        f" chmod -R u+rwX {path}"
    )
