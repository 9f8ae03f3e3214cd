"""What `reasonrl doctor` says of the sandbox, on machines that offer it, offer less, or nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from reasonrl.commands import doctor
from tests.verifiers.sandbox.conftest import need
from tests.verifiers.sandbox.test_choice import NO_NAMESPACES
from verifiers.sandbox import choice

MISSING = "bubblewrap is not installed; install it: apt-get install bubblewrap"
REFUSED = "this kernel gives no user namespaces (unshare): Operation not permitted"


def finding(monkeypatch: pytest.MonkeyPatch, problems: dict[str, str]) -> doctor.Finding:
    asked = []
    monkeypatch.setattr(doctor, "problem_of", lambda name: asked.append(name) or problems[name])
    one = doctor._sandbox()
    assert asked == list(problems)
    return one


def test_the_strongest_layer_needs_no_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert finding(monkeypatch, {"bubblewrap": ""}) == doctor.Finding("ok", "sandbox for programs: bubblewrap")


def test_a_weaker_layer_is_named_with_the_line_that_gives_the_stronger(monkeypatch: pytest.MonkeyPatch) -> None:
    one = finding(monkeypatch, {"bubblewrap": MISSING, "namespaces": ""})

    assert (one.level, one.what) == ("ok", "sandbox for programs: namespaces")
    assert one.remedy == f"stronger, but not here: bubblewrap: {MISSING}"


def test_no_layer_is_a_note_with_the_settings_to_change(monkeypatch: pytest.MonkeyPatch) -> None:
    one = finding(monkeypatch, {"bubblewrap": MISSING, "namespaces": REFUSED})

    assert one.level == "note"
    assert one.what == (
        f"no sandbox for programs, so verifier: code does not start (bubblewrap: {MISSING}; namespaces: {REFUSED})"
    )
    for words in ("make sandbox", "user.max_user_namespaces", "isolation: fusion:http://HOST:PORT", "rlimits, no prot"):
        assert words in one.remedy


@pytest.mark.sandbox
def test_on_this_machine_it_says_what_works() -> None:
    need("bubblewrap")

    assert doctor._sandbox() == doctor.Finding("ok", "sandbox for programs: bubblewrap")


@pytest.mark.sandbox
def test_on_this_machine_without_bubblewrap_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    need("namespaces")
    choice.problem_of.cache_clear()
    monkeypatch.setattr("shutil.which", lambda name: None)
    one = doctor._sandbox()
    choice.problem_of.cache_clear()

    assert (one.level, one.what) == ("ok", "sandbox for programs: namespaces")
    assert "apt-get install bubblewrap" in one.remedy and "make sandbox" in one.remedy


@pytest.mark.sandbox
def test_where_the_kernel_gives_no_user_namespaces_it_says_so() -> None:
    setup = NO_NAMESPACES.partition("from verifiers.sandbox import SandboxUnavailable")[0]
    ask = (
        "import json\nfrom dataclasses import asdict\nfrom reasonrl.commands import doctor\n"
        "print(json.dumps(asdict(doctor._sandbox())))\n"
    )
    done = subprocess.run([sys.executable, "-c", setup + ask], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    one = json.loads(done.stdout)

    assert one["level"] == "note"
    assert f"namespaces: {REFUSED}" in one["what"]
    assert choice.REMEDY in one["remedy"]
