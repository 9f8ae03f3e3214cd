"""Every command and every Python block of README.md is run, in the order of the page, as a new user would: in an empty
folder, with the real pretrained model and the recipe of the page.

Runs are cut short by overrides that are laid over what the page says; nothing else is changed. Installing (make, pip)
is what CI does.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from reasonrl import load_recipe

README = Path(__file__).parent.parent / "README.md"
INSTALLS = ("make ", "pip ")
SHORT = [
    "train.steps=1",
    "train.prompts_per_step=2",
    "rollout.rollouts_per_prompt=2",
    "evaluation.samples_per_problem=1",
    "checkpoint.keep_best=false",
]
HELDOUT = {"recipe of the page": "data.heldout.test.limit=3", "shipped recipe": "data.heldout.arithmetic.limit=3"}
"""What cuts the held-out set short, whose name differs."""
ROWS = [{"question": f"{i} + {i + 1}", "target": str(2 * i + 1)} for i in range(12)]
"""Rows of the files that the recipe of the page names."""
PROBLEMS = [{"id": f"p{i}", "question": f"What is {i} + {i + 1}?", "answer": str(2 * i + 1)} for i in range(3)]

PYTHON_OVERRIDE = '"train.steps=50"'
"""What the page's Python sets, and what is replaced here by the short overrides."""
ROOT = README.parent


def blocks(page: str) -> list[tuple[str, str]]:
    """(language, text) of the fenced blocks, in order; the language of commands is empty."""
    return re.findall(r"^```(\w*)\n(.*?)^```", page, re.M | re.S)


def commands(block: str) -> list[str]:
    lines = [line.split("  #")[0].split(" #")[0].strip() for line in block.splitlines()]
    return [line for line in lines if line.startswith(("reasonrl ", *INSTALLS))]


def parts() -> list[tuple[str, str]]:
    """What a reader can do, in order: ("", command), ("python", block) or ("yaml", recipe of the page)."""
    runnable: list[tuple[str, str]] = []
    for language, text in blocks(README.read_text(encoding="utf-8")):
        if language in ("python", "yaml"):
            runnable.append((language, text))
        elif not language:
            runnable += [("", line) for line in commands(text)]
    return runnable


def run(line: str, cwd: Path, more: list[str]) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "reasonrl.cli", *shlex.split(line)[1:], *more]
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=600)


def view(line: str, cwd: Path) -> None:
    words = [sys.executable, "-m", "reasonrl.cli", *shlex.split(line)[1:], "--port", "0", "--json"]
    with subprocess.Popen(
        words, cwd=cwd, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
    ) as server:
        try:
            assert server.stdout is not None
            url = json.loads(server.stdout.readline())["url"]
            page = urllib.request.urlopen(url, timeout=10).read().decode()
            assert "<html" in page
        finally:
            server.terminate()
            server.wait(timeout=10)


def serve(line: str, cwd: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "reasonrl.cli", *shlex.split(line)[1:], "--port", str(port)]
    with subprocess.Popen(words, cwd=cwd, stdout=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 120
            while True:
                assert server.poll() is None and time.monotonic() < deadline, line
                try:
                    page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).read().decode()
                    break
                except urllib.error.URLError:
                    time.sleep(0.5)
            assert "<html" in page
        finally:
            server.terminate()
            server.wait(timeout=60)


def python(block: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a Python block, cut short, without its prints of the training."""
    assert block.count(PYTHON_OVERRIDE) == 1
    overrides = [*SHORT, HELDOUT["recipe of the page"]]
    short = block.replace(PYTHON_OVERRIDE, ", ".join(f'"{override}"' for override in overrides))
    return subprocess.run([sys.executable, "-c", short], cwd=cwd, capture_output=True, text=True, timeout=600)


def test_the_page_has_commands_and_python() -> None:
    assert len([text for language, text in parts() if text.startswith("reasonrl ")]) >= 15
    assert [language for language, _ in parts() if language] == ["yaml", "python"]


def test_the_page_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 200


def test_the_links_of_the_page_resolve() -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", README.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (ROOT / target).is_file()]
    assert len(targets) > 20 and missing == []


def recipe_text() -> str:
    (text,) = [text for language, text in blocks(README.read_text(encoding="utf-8")) if language == "yaml"]
    return text


def test_the_recipe_on_the_page_trains_as_the_quickstart_does() -> None:
    """The quickstart was measured; the page's recipe differs from it in where its problems come from."""
    page, measured = load_recipe(yaml.safe_load(recipe_text())).stages[0], load_recipe("quickstart").stages[0]
    assert (page.model, page.rollout, page.train, page.optim) == (
        measured.model,
        measured.rollout,
        measured.train,
        measured.optim,
    )
    assert (page.data.prompt, page.verifier) == (measured.data.prompt, measured.verifier)


def test_the_run_on_the_page_can_be_resumed() -> None:
    """By default only the end is saved."""
    assert load_recipe(yaml.safe_load(recipe_text())).stages[0].checkpoint.every_steps is not None


def test_every_make_target_on_the_page_exists() -> None:
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make ([a-z-]+)", README.read_text(encoding="utf-8")):
        assert re.search(rf"^{target}:", makefile, re.M), f"README names make {target}, the Makefile does not have it"


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(1800)
def test_every_command_and_python_block_runs_in_order(tmp_path: Path) -> None:
    for name, rows in (("train", ROWS[:8]), ("test", ROWS[8:])):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(p) + "\n" for p in PROBLEMS), encoding="utf-8")
    (tmp_path / "answers.jsonl").write_text(
        json.dumps({"id": 1, "gold": "1/2", "response": r"\boxed{0.5}"}) + "\n", encoding="utf-8"
    )
    (tmp_path / "labelled.jsonl").write_text(
        json.dumps({"gold": "1/2", "pred": "0.5", "equivalent": True}) + "\n", encoding="utf-8"
    )
    solutions = [
        {"problem": "1 + 1?", "steps": ["1 + 1 = 3", "So 3."], "label": 0},
        {"problem": "2 + 2?", "steps": ["It is 4."], "label": -1},
    ]
    (tmp_path / "solutions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in solutions), encoding="utf-8")
    for language, line in parts():
        started = time.perf_counter()
        if language == "yaml":
            (tmp_path / "my-task").mkdir()
            (tmp_path / "my-task" / "recipe.yaml").write_text(line, encoding="utf-8")
            continue
        if language:
            done = python(line, tmp_path)
            assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            assert re.search(r"^Interval\(estimate=.*n=3\)$", done.stdout, re.M), done.stdout
            print(f"{time.perf_counter() - started:6.1f} s  python")
            continue
        if line.startswith(INSTALLS):
            continue
        if line.startswith("reasonrl view"):
            view(line, tmp_path)
            continue
        if line.startswith("reasonrl serve"):
            serve(line, tmp_path)
            continue
        more: list[str] = []
        if line.startswith("reasonrl train") and "--dry-run" not in line:
            if "--resume" not in line:  # a run that is resumed has its overrides already
                more = [*SHORT, HELDOUT["recipe of the page" if "my-task" in line else "shipped recipe"]]
        elif line.startswith("reasonrl eval"):
            more = ["--limit", "2", "--set", "rollout.max_new_tokens=8"]
        done = run(line, tmp_path, more)
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        assert "Traceback" not in done.stderr, line
        print(f"{time.perf_counter() - started:6.1f} s  {line}")
