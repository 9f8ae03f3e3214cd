"""What a load writes: nothing into a file, a bar on a terminal, and one line where the embedded model is converted."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from tqdm.auto import tqdm

from reasonrl.models import embedded, tiny
from reasonrl.models.loading import load_model
from reasonrl.models.progress import bars_on_terminals_only

LOAD = "import sys; from reasonrl.models.loading import load_model; load_model(sys.argv[1], device='cpu', offline=True)"


def command(name: str) -> list[str]:
    return [sys.executable, "-c", LOAD, name]


def output_in_a_file(name: str, folder: Path, **environment: str) -> str:
    """stdout and stderr of a process that loads a model, both in one file."""
    path = folder / "output.txt"
    with path.open("w") as stream:
        subprocess.run(
            command(name), stdout=stream, stderr=stream, env={**os.environ, **environment}, check=True, timeout=280
        )
    return path.read_text(encoding="utf-8")


def output_on_a_terminal(name: str) -> str:
    parent, child = pty.openpty()
    termios.tcsetwinsize(child, (24, 120))
    process = subprocess.Popen(command(name), stdout=child, stderr=child)
    os.close(child)
    chunks = []
    while True:
        try:
            chunk = os.read(parent, 65536)
        except OSError:  # Linux says so when the last writer has closed the terminal
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(parent)
    assert process.wait(timeout=60) == 0
    return b"".join(chunks).decode()


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("saved") / "model"
    model = load_model(tiny.NAME, device="cpu")
    model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return str(folder)


def test_a_load_writes_nothing_into_a_file(saved: str, tmp_path: Path) -> None:
    assert output_in_a_file(saved, tmp_path) == ""


def test_a_load_shows_a_bar_on_a_terminal(saved: str) -> None:
    assert "Loading weights" in output_on_a_terminal(saved)


def test_bars_outside_are_as_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyError), bars_on_terminals_only():
        assert list(tqdm(range(3), desc="inside")) == [0, 1, 2]
        with bars_on_terminals_only():
            pass
        raise KeyError
    list(tqdm(range(3), desc="outside"))
    written = capsys.readouterr().err
    assert "inside" not in written and "outside" in written


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.skipif(embedded._installed_gguf() is None, reason=f"needs the package: {embedded.INSTALL_HINT}")
def test_the_first_load_of_the_embedded_model_writes_one_line_and_the_second_none(tmp_path: Path) -> None:
    first, second = (output_in_a_file(embedded.NAME, tmp_path, REASONRL_CACHE=str(tmp_path)) for _ in range(2))
    target = tmp_path / "models" / f"{embedded.NAME}-{embedded.VERSION}"
    assert first == f"{embedded.NAME}: converting the weights of {embedded.DISTRIBUTION}, once, to {target}\n"
    assert second == ""
