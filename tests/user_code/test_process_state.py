"""What a user's module changes for the whole process is put back."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
import torch

from reasonrl.plugins import import_dotted
from reasonrl.user_code.process_state import process_as_before

CHANGES = (
    "os.chdir(os.path.dirname(os.getcwd()))",
    "torch.set_default_dtype(torch.bfloat16)",
    "torch.set_default_device('meta')",
    "torch.set_grad_enabled(False)",
    "torch.set_float32_matmul_precision('medium')",
    "signal.signal(signal.SIGINT, signal.SIG_IGN)",
    "torch.set_num_threads(torch.get_num_threads() + 1)",
)


def state() -> tuple[object, ...]:
    return (
        os.getcwd(),
        torch.get_default_dtype(),
        str(torch.get_default_device()),
        torch.is_grad_enabled(),
        torch.get_num_threads(),
        torch.get_float32_matmul_precision(),
        signal.getsignal(signal.SIGINT),
    )


@pytest.mark.parametrize("change", CHANGES)
def test_what_code_leaves_changed_is_put_back_where_it_raises_too(change: str) -> None:
    before = state()
    with pytest.raises(ZeroDivisionError), process_as_before():
        exec(change, {"os": os, "torch": torch, "signal": signal})
        assert state() != before
        raise ZeroDivisionError
    assert state() == before


def test_a_module_of_the_users_changes_nothing_for_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    (tmp_path / "careless_module.py").write_text("import os, signal, torch\n" + "\n".join(CHANGES) + "\nf = 1\n")
    before = state()
    assert import_dotted("careless_module:f", "subject") == 1
    assert state() == before


def test_a_folder_that_was_removed_meanwhile_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    with process_as_before():
        os.chdir(tmp_path)
        (tmp_path / "gone").rmdir()
    assert Path.cwd() == tmp_path
