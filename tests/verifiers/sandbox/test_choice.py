"""Which layer is taken; and machines that do not offer one."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest

from tests.verifiers.sandbox.conftest import need
from verifiers.sandbox import Ending, SandboxUnavailable, Stdin, choice, open_sandbox
from verifiers.sandbox.interpreter import WORKING_FOLDER

pytestmark = pytest.mark.sandbox

NO_NAMESPACES = """
from verifiers.sandbox.inside import kernel, seccomp
seccomp._REFUSED = {"unshare": (272, 97)}
seccomp._BY_ARGUMENT = seccomp._BY_ARGUMENT[:1]  # clone
no_new_rights, _ = kernel.give_up_rights()
kernel.take([no_new_rights, kernel.refuse_system_calls(seccomp.seccomp_program())])
from verifiers.sandbox import SandboxUnavailable, open_sandbox
for layer in ("auto", "bubblewrap", "namespaces"):
    try:
        open_sandbox(layer)
    except SandboxUnavailable as error:
        print(error)
"""


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    choice.problem_of.cache_clear()
    yield
    choice.problem_of.cache_clear()


def test_bubblewrap_is_taken_where_it_works() -> None:
    need("bubblewrap")
    sandbox = open_sandbox()
    sandbox.close()

    assert sandbox.isolation == "bubblewrap"


def test_bare_namespaces_are_taken_without_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> None:
    need("namespaces")
    choice.problem_of.cache_clear()
    monkeypatch.setattr("shutil.which", lambda name: None)
    sandbox = open_sandbox()
    try:
        (outcome,) = sandbox.run("print(1)", [Stdin()])
    finally:
        sandbox.close()

    assert (sandbox.isolation, outcome.ending) == ("namespaces", Ending.FINISHED)
    with pytest.raises(SandboxUnavailable, match="bubblewrap is not installed; install it: apt-get install bubblewrap"):
        open_sandbox("bubblewrap")


def test_a_machine_without_user_namespaces_is_refused_in_one_sentence() -> None:
    done = subprocess.run([sys.executable, "-c", NO_NAMESPACES], capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()

    assert done.returncode == 0, done.stderr
    assert len(lines) == 3, done.stdout
    assert lines[0].startswith("no isolation works on this machine, so no program is run. bubblewrap: ")
    assert "namespaces: this kernel gives no user namespaces (unshare): Operation not permitted" in lines[0]
    assert lines[1].startswith("the isolation 'bubblewrap' does not work on this machine: ")
    assert lines[2].startswith("the isolation 'namespaces' does not work on this machine: this kernel gives no user")


def test_an_unknown_isolation_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="there is no isolation 'bubblewarp'; did you mean 'bubblewrap'"):
        open_sandbox("bubblewarp")


def test_a_layer_in_which_programs_go_wrong_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    need("bubblewrap")
    choice.problem_of.cache_clear()
    monkeypatch.setattr("verifiers.sandbox.local.LocalSandbox.run", lambda *args: iter([_outcome()]))

    with pytest.raises(SandboxUnavailable, match="a program that gives 42 ended with finished"):
        open_sandbox("bubblewrap")


def _outcome() -> object:
    from verifiers.sandbox import Outcome

    return Outcome(Ending.FINISHED, stdout=b"43\n")


@pytest.mark.parametrize("python", ["/nowhere/python", "/bin/true"])
def test_an_interpreter_that_does_not_start_is_refused(python: str) -> None:
    with pytest.raises(SandboxUnavailable, match=f"the Python for programs, '{python}', does not start"):
        open_sandbox(python=python)


def test_an_environment_brings_its_packages_along() -> None:
    need("bubblewrap")
    sandbox = open_sandbox(python=sys.executable)
    try:
        (outcome,) = sandbox.run("import numpy\nprint(numpy.arange(3).sum())", [Stdin()])
    finally:
        sandbox.close()

    assert (outcome.ending, outcome.stdout) == (Ending.FINISHED, b"3\n"), outcome.error


def test_an_interpreter_below_the_working_folder_is_refused() -> None:
    with tempfile.TemporaryDirectory(dir=WORKING_FOLDER) as place:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", f"{place}/venv"], check=True, timeout=120)
        with pytest.raises(
            SandboxUnavailable, match=r"venv.*is a folder of the program's own; take a Python that lies"
        ):
            open_sandbox(python=f"{place}/venv/bin/python")
