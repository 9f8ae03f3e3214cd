"""One generated case: the files that a user wrote, a command, and what must come of it; and the check of what came."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from unittest import mock

from reasonrl import cli
from reasonrl.runs.lock import LOCK_FILE

LONGEST_MESSAGE = 4000
"""Characters. Nobody reads more."""

Right = Callable[[Path, "Outcome"], str | None]


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str
    escaped: str = ""
    """The traceback that a user would see."""

    def json(self) -> Any:
        """The one JSON object on the standard output. Raises ValueError where it is not one, or holds NaN."""

        def refuse(name: str) -> None:
            raise ValueError(f"{name} is not JSON")

        return json.loads(self.out, parse_constant=refuse)


@dataclass(frozen=True)
class Case:
    about: str
    """What is wrong, or harmless, in words."""
    arguments: tuple[str, ...]
    files: Mapping[str, bytes | Path] = field(default_factory=dict)
    """Name -> content; a path is linked, not copied."""
    expected: Literal["refused", "right", "either"] = "refused"
    """`either`: a clear message or a right result."""
    words: tuple[str, ...] = ()
    """The message names one of these."""
    right: Right | None = None
    """What is wrong with a result of exit code 0, or None."""

    def __repr__(self) -> str:
        texts = [
            f"--- {name}\n"
            + (f"-> {content}" if isinstance(content, Path) else content[:3000].decode(errors="replace"))
            for name, content in self.files.items()
        ]
        return "\n".join([self.about, f"reasonrl {' '.join(map(repr, self.arguments))}", *texts])


def run_command(arguments: tuple[str, ...], folder: Path) -> Outcome:
    """The public command in this process, in `folder`. Modules of the folder are forgotten afterwards."""
    out, err = io.StringIO(), io.StringIO()
    code, escaped = 0, ""
    before, search_path = set(sys.modules), list(sys.path)
    streams = contextlib.ExitStack()
    with streams, mock.patch.object(sys, "argv", ["reasonrl", *arguments]):
        for guard in (contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)):
            streams.enter_context(guard)
        importlib.invalidate_caches()
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except BaseException:  # what a user would see as a traceback
            code, escaped = 1, traceback.format_exc()
    sys.path[:] = search_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
    return Outcome(code, out.getvalue(), err.getvalue(), escaped)


def listing(folder: Path) -> dict[str, int]:
    """Path -> size of every file and folder, without Python's caches."""
    return {
        str(path.relative_to(folder)): path.lstat().st_size if not path.is_dir() else -1
        for path in sorted(folder.rglob("*"))
        if "__pycache__" not in path.parts
    }


def complaints(case: Case) -> tuple[list[str], Outcome]:
    """Run a case in a folder of its own: what is wrong with what came of it."""
    with tempfile.TemporaryDirectory(prefix="generated-") as scratch:
        folder = Path(scratch).resolve() / "wörk dir"
        for name, content in case.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(content) if isinstance(content, Path) else path.write_bytes(content)
        folder.mkdir(exist_ok=True)
        before = listing(folder)
        outcome = run_command(case.arguments, folder)
        wrong = [*_of_the_words(case, outcome), *_of_the_files(folder, before, outcome)]
        if outcome.code == 0 and not wrong and case.right is not None:
            problem = case.right(folder, outcome)
            wrong += [f"exit 0 with a wrong result: {problem}"] if problem else []
        return wrong, outcome


def check(case: Case) -> None:
    """Raises AssertionError with the case and all that it printed."""
    wrong, outcome = complaints(case)
    assert not wrong, "\n".join(
        [*wrong, "", repr(case), f"--- exit {outcome.code}", outcome.out[-3000:], outcome.err[-3000:], outcome.escaped]
    )


def _of_the_words(case: Case, outcome: Outcome) -> list[str]:
    if outcome.escaped or "Traceback (most recent call last)" in outcome.err + outcome.out:
        return ["a traceback: " + (outcome.escaped or outcome.err).strip().splitlines()[-1][:300]]
    as_json = "--json" in case.arguments
    if outcome.code == 0:
        if case.expected == "refused":
            return ["exit 0: what is wrong was accepted"]
        if as_json:
            try:
                outcome.json()
            except ValueError as error:
                return [f"--json printed something else: {error}"]
        return []
    if outcome.code not in (1, 2):
        return [f"exit code {outcome.code}"]
    if case.expected == "right":
        return ["what is right was refused"]
    try:
        messages = [outcome.json()["error"]] if as_json else _messages(outcome.err)
    except (ValueError, KeyError, TypeError) as error:
        return [f"--json without one error: {error!r}"]
    if len(messages) != 1:
        return [f"{len(messages)} messages instead of one"]
    if len(messages[0]) > LONGEST_MESSAGE + 2 * sum(map(len, case.arguments)):
        return [f"a message of {len(messages[0])} characters"]
    if case.words and not any(word in messages[0] for word in case.words):
        return [f"the message names none of {case.words}"]
    return []


def _messages(text: str) -> list[str]:
    """From the line of each error to the next: `error:` is ours, `Error:` comes from the reader of the command line."""
    messages: list[str] = []
    for line in text.splitlines():
        if line.startswith(("error:", "Error:")):
            messages.append(line)
        elif messages:
            messages[-1] += "\n" + line
    return messages


def _of_the_files(folder: Path, before: dict[str, int], outcome: Outcome) -> list[str]:
    """Half-written files; any new file where the command was refused before it began."""
    after = listing(folder)
    new = [name for name in after if after[name] != before.get(name)]
    wrong = [f"left behind: {name}" for name in new if ".tmp" in name or os.path.basename(name) == LOCK_FILE]
    wrong += [f"lost: {name}" for name in before if name not in after]
    run = {str(Path(name).parent) for name in new if name.endswith("run.json")}
    unexpected = [name for name in new if not _of_a_run_that_never_began(name, run)]
    if outcome.code == 2 and unexpected:
        wrong.append(f"refused with exit code 2, and yet written: {unexpected[:5]}")
    for name in new:
        path = folder / name
        try:
            if name.endswith(".json"):
                json.loads(path.read_text(encoding="utf-8"))
            elif name.endswith(".jsonl"):
                for line in path.read_text(encoding="utf-8").split("\n"):  # splitlines() would cut at U+0085 too
                    json.loads(line or "null")
            elif os.path.basename(name).startswith("step-") and path.is_dir() and not (path / "manifest.json").exists():
                wrong.append(f"half-written: {name}")
        except ValueError as error:
            wrong.append(f"half-written: {name} ({error})")
    return wrong


def _of_a_run_that_never_began(name: str, runs: set[str]) -> bool:
    """A run is claimed before its model is loaded: its folder, and who began it with which recipe. It can be reused."""
    path = Path(name)
    claimed = str(path.parent) in runs and path.name in ("recipe.yaml", "run.json", "inputs.json")
    return claimed or any(path in (Path(run), *Path(run).parents) for run in runs)
