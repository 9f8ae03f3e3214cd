"""`verify` and `audit` with a verifier of the user's own that breaks: one message, exit code 2."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from reasonrl.cli import main

HEAD = "from verifiers.types import Status, Verdict\n\nclass Mine:\n    def gold_response(self, g): return 'a'\n"
VERDICT = "Verdict(True, 1.0, Status.JUDGED, None, 'm', '', 0.0)"


def call(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str, *arguments: str) -> int:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    name = f"broken_{folder.name.replace('-', '_')}"
    (folder / f"{name}.py").write_text(code)
    row: dict[str, Any] = {"response": "a", "reference": {"answer": "a"}}
    if arguments[0] == "audit":
        row = {"pred": "a", "form": "response", "reference": {"answer": "a"}, "equivalent": True}
    (folder / "in.jsonl").write_text(json.dumps(row) + "\n")
    command, *options = arguments
    ways = {
        "verify": [f"{name}:Mine", "--input", "in.jsonl", "--output", "out.jsonl"],
        "audit": ["in.jsonl", "--verifier", f"{name}:Mine"],
    }
    monkeypatch.setattr(sys, "argv", ["reasonrl", command, *ways[command], *options])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0\n", r"cannot be imported: ZeroDivisionError: division by zero (broken_"),
        ("class Mine\n", "cannot be imported: SyntaxError: "),
        ("import sys\nsys.exit(0)\n", "cannot be imported: sys.exit(0) was called (broken_"),
        ("class Mine:\n    def __init__(self): {}['key']\n", "cannot be loaded: KeyError: 'key' (broken_"),
        ("class Mine: ...\n", "has no method verify and no gold_response"),
        (HEAD + "    def verify(self, r, g): return g[0]['x']\n", "Mine.verify: KeyError: 'x' (broken_"),
        (HEAD + "    def verify(self, r, g): exit(0)\n", "Mine.verify: sys.exit(0) was called (broken_"),
        (HEAD + "    def verify(self, r, g): return None\n", "Mine.verify: returned None; return a list"),
        (HEAD + "    def verify(self, r, g): return [1.0 for _ in r]\n", "returned a value of type float for a"),
        (HEAD + f"    def verify(self, r, g): return [{VERDICT}] * 3\n", "returned 3 verdicts for 1 responses"),
    ],
)
@pytest.mark.parametrize("command", ["verify", "audit"])
def test_a_verifier_that_breaks_is_one_message(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    code: str,
    message: str,
) -> None:
    assert call(tmp_path, monkeypatch, code, command) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("error: ") == 1
    assert "Traceback" not in error
    assert {path.name for path in tmp_path.iterdir()} - {"in.jsonl"} == {next(tmp_path.glob("broken_*")).name}


def test_what_a_verifier_prints_is_not_among_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = (
        "print('loaded')\n"
        + HEAD
        + f"    def verify(self, r, g):\n        print('judging')\n        return [{VERDICT}]\n"
    )
    assert call(tmp_path, monkeypatch, code, "audit", "--json") == 0
    written = capsys.readouterr()
    assert json.loads(written.out)
    assert "loaded" in written.err
    assert "judging" in written.err


def test_an_async_verifier_is_awaited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(tmp_path, monkeypatch, HEAD + f"    async def verify(self, r, g): return [{VERDICT}]\n", "verify") == 0
