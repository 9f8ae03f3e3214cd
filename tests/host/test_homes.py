"""A home folder that is missing, is a file or cannot be written: another place, or one message."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from reasonrl.errors import ModelError
from reasonrl.host.homes import ensure_home, home_folder, is_writable, temporary_folder
from reasonrl.models import embedded
from tests.test_cli import in_process


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A process of a user without a name and without HOME. Returns its folder for temporary files."""

    def unknown(*_: Any) -> Any:
        raise KeyError("uid not found")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("REASONRL_CACHE", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_without_a_home_caches_go_to_a_private_temporary_folder(
    nobody: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", "")
    monkeypatch.delenv("HOME")
    assert home_folder() is None
    folder = nobody / f"reasonrl-cache-{os.getuid()}"
    assert embedded.writable_cache() == folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    ensure_home()
    assert home_folder() == nobody / f"reasonrl-home-{os.getuid()}"
    assert "there is no home folder" in capsys.readouterr().err


def test_the_doctor_runs_without_a_home(
    nobody: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", "")
    monkeypatch.delenv("HOME")
    code, out, err = in_process(["doctor", "--json"], monkeypatch, capsys)
    assert code in (0, 1), err
    assert "Traceback" not in err
    assert json.loads(out)["findings"]


def test_a_temporary_folder_that_others_can_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / f"reasonrl-cache-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    assert temporary_folder("cache") is None
    folder.chmod(0o700)
    assert temporary_folder("cache") == folder
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    assert temporary_folder("cache") is None


def test_a_home_that_is_a_file_is_replaced_and_a_named_cache_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "afile").write_text("")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "afile"))
    monkeypatch.delenv("REASONRL_CACHE", raising=False)
    assert embedded.writable_cache() == tmp_path / f"reasonrl-cache-{os.getuid()}"
    assert embedded.cached_folder() is None
    monkeypatch.setenv("REASONRL_CACHE", str(tmp_path / "afile"))
    with pytest.raises(ModelError, match=r"REASONRL_CACHE=.*afile cannot be written\. Set REASONRL_CACHE to a folder"):
        embedded.smollm2_folder(offline=True)
    code, out, _ = in_process(["doctor", "--json"], monkeypatch, capsys)
    assert code == 1
    problems = [finding for finding in json.loads(out)["findings"] if finding["level"] == "problem"]
    assert any("no cache can be written" in finding["what"] for finding in problems)


def test_a_model_in_the_cache_is_used_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / ".cache" / "reasonrl" / "models" / f"{embedded.NAME}-{embedded.VERSION}"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("REASONRL_CACHE", raising=False)
    monkeypatch.setattr("reasonrl.models.embedded.is_writable", lambda folder: False)
    assert embedded.smollm2_folder(offline=True) == model


def test_whether_a_folder_is_writable_is_tried(tmp_path: Path) -> None:
    assert is_writable(tmp_path / "new" / "deeper")
    (tmp_path / "afile").write_text("")
    assert not is_writable(tmp_path / "afile")
    assert not is_writable(Path("/proc/x"))


@pytest.mark.parametrize(
    ("policy", "spin", "level", "words"),
    [
        ("passive", None, "ok", "OMP_WAIT_POLICY=passive: threads that wait leave"),
        ("active", None, "note", "OMP_WAIT_POLICY=active: threads that wait may keep"),
        ("passive", "1000000", "note", "GOMP_SPINCOUNT=1000000: threads that wait may keep"),
    ],
)
def test_the_doctor_names_the_setting_of_threads_that_wait(
    policy: str,
    spin: str | None,
    level: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    if spin is not None:
        monkeypatch.setenv("GOMP_SPINCOUNT", spin)
    _, out, _ = in_process(["doctor", "--json"], monkeypatch, capsys)
    findings = json.loads(out)["findings"]
    assert [finding["level"] for finding in findings if finding["what"].startswith(words)] == [level]
