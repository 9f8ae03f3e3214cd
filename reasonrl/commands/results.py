"""The folder that `reasonrl eval` and `reasonrl critic eval` write: results.json and samples.jsonl."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import typer

from reasonrl.commands.output import emit
from reasonrl.errors import ReasonRLError, UsageError
from reasonrl.host.files import remove_empty, replace_text
from reasonrl.host.outputs import cannot_write, check_folder, os_error_text
from reasonrl.host.terminal import json_text
from reasonrl.runs.folder import append_rows, claimed_run_dir
from reasonrl.runs.lock import locked, refuse_locked

ADVICE = "Wait for it, or name another folder with --output"


def refuse_old_results(output: Path | None) -> None:
    """Raises UsageError for a folder that already holds results or a run, or that another process writes."""
    if output is None:
        return
    refuse_locked(output, ADVICE)
    try:
        holds = _content(output)
    except OSError as error:
        raise cannot_write(output, error, "--output") from error
    if holds:
        raise UsageError(f"{output} already holds {holds}; name another folder with --output")


@contextmanager
def results_folder(output: Path | None) -> Iterator[None]:
    """Claim the folder for results until the end of the block. Enter it before anything is loaded.

    Raises:
        UsageError: the folder cannot be written, holds results or a run already, or another process writes it.
    """
    refuse_old_results(output)
    if output is None:
        yield
        return
    with locked(output, ADVICE):
        refuse_old_results(output)
        check_folder(output, "--output")
        yield


def write_results(output: Path, results: Mapping[str, Any], samples: list[dict[str, Any]]) -> None:
    """Write both files, in the block of `results_folder`. Replaces the samples of an attempt that stopped before its
    results.

    Raises:
        UsageError: another process has written `output` since the evaluation began, on a file system without locks, or
            writes it. The results are then in a new folder beside it, which the message names.
        ReasonRLError: the folder cannot be written any more. The results are then in a temporary folder, which the
            message names, unless that is full as well.
    """
    try:
        with locked(output, ADVICE):
            holds = _content(output)
            if holds is None:
                _write(output, results, samples)
                return
        reason = f"{output} holds {holds} that another process wrote in the meantime"
    except UsageError as error:
        reason = str(error).removesuffix(f" {ADVICE}").removesuffix(".")
    except OSError as error:
        _write_elsewhere(output, error, results, samples)
    with claimed_run_dir(output.parent, output.name) as beside:
        _write(beside, results, samples)
    raise UsageError(f"{reason}. The results of this evaluation are in {beside}")


def write_and_emit(
    output: Path | None, results: Mapping[str, Any], samples: list[dict[str, Any]], text: str, *, as_json: bool
) -> None:
    """Write the results where a folder is asked for, and print them whether that succeeds or not. As JSON, they are one
    object with the error in it.

    Raises ReasonRLError as `write_results`; typer.Exit where that is in the JSON.
    """
    try:
        if output is not None:
            write_results(output, results, samples)
            text = f"{text}\nwritten to {output}"
    except ReasonRLError as error:
        emit(as_json, {**results, "error": str(error)}, text)
        if as_json:
            raise typer.Exit(error.exit_code) from error
        raise
    emit(as_json, results, text)


def _write_elsewhere(
    output: Path, error: OSError, results: Mapping[str, Any], samples: list[dict[str, Any]]
) -> NoReturn:
    reason = f"{output} could not be written: {os_error_text(error) or error}"
    _remove_samples(output)
    beside: Path | None = None
    try:
        beside = Path(tempfile.mkdtemp(prefix="reasonrl-results-"))
        _write(beside, results, samples)
    except OSError:
        if beside is not None:
            _remove_samples(beside)
            remove_empty([beside])
        raise ReasonRLError(reason) from error
    raise ReasonRLError(f"{reason}. The results of this evaluation are in {beside}") from error


def _remove_samples(folder: Path) -> None:
    with suppress(OSError):
        (folder / "samples.jsonl").unlink(missing_ok=True)


def _content(output: Path) -> str | None:
    """What a folder holds that these results must not replace."""
    files = {"results.json": "results", "recipe.yaml": "a run"}
    return next((what for name, what in files.items() if (output / name).exists()), None)


def _write(output: Path, results: Mapping[str, Any], samples: list[dict[str, Any]]) -> None:
    (output / "samples.jsonl").unlink(missing_ok=True)
    append_rows(output / "samples.jsonl", samples)
    replace_text(output / "results.json", json_text(results, indent=1) + "\n")
