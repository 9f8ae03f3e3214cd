"""Every attack of the table, with each layer, as the user who runs the tests. See `arena.held` for what is checked."""

from __future__ import annotations

import platform

import pytest

from tests.verifiers.sandbox import arena
from tests.verifiers.sandbox.arena import Report
from tests.verifiers.sandbox.attacks import CALLS, SCRIPTS
from tests.verifiers.sandbox.attacks.escapes import ESCAPES
from tests.verifiers.sandbox.attacks.kernel import KERNEL
from tests.verifiers.sandbox.attacks.neighbours import NEIGHBOURS
from tests.verifiers.sandbox.conftest import need
from verifiers.sandbox import Ending, Stdin, bubblewrap, choice
from verifiers.sandbox.interpreter import find_interpreter
from verifiers.sandbox.local import LocalSandbox

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the attacks use the call numbers of x86-64"),
]


@pytest.fixture(scope="module")
def with_bubblewrap() -> dict[str, Report]:
    need("bubblewrap")
    return {report.name: report for report in arena.all_held("bubblewrap")}


@pytest.fixture(scope="module")
def with_namespaces() -> dict[str, Report]:
    need("namespaces")
    return {report.name: report for report in arena.all_held("namespaces", [*ESCAPES, *KERNEL, *NEIGHBOURS])}


def test_the_names_of_attacks_are_unique() -> None:
    names = [attack.name for attack in (*SCRIPTS, *CALLS)]

    assert len(names) == len(set(names)) > 200


@pytest.mark.parametrize("name", [attack.name for attack in (*SCRIPTS, *CALLS)])
def test_bubblewrap_holds(with_bubblewrap: dict[str, Report], name: str) -> None:
    assert with_bubblewrap[name].problems == []


@pytest.mark.parametrize("name", [attack.name for attack in (*ESCAPES, *KERNEL, *NEIGHBOURS)])
def test_namespaces_hold(with_namespaces: dict[str, Report], name: str) -> None:
    assert with_namespaces[name].problems == []


def test_nothing_is_left_after_all(with_bubblewrap: dict[str, Report], with_namespaces: dict[str, Report]) -> None:
    left = [report for found in (with_bubblewrap, with_namespaces) for name, report in found.items() if name == "left"]

    assert left == []


def test_without_the_filter_of_system_calls_the_attacks_on_the_kernel_get_further() -> None:
    need("bubblewrap")
    launch = choice.LAYERS["bubblewrap"]
    settings = bubblewrap.layer_settings() | {"seccomp": False}
    sandbox = LocalSandbox("test", lambda *rest: launch(find_interpreter(), *rest), settings, workers=1)
    wanted = {"memory in files without a name", "every kind of namespace", "watching files", "another host name"}
    try:
        attacks = [attack for attack in SCRIPTS if attack.name in wanted]
        reached = {attack.name for attack in attacks if list(arena.script_problems(sandbox, attack))}
    finally:
        sandbox.close()

    assert len(attacks) == len(wanted)
    assert reached == wanted - {"another host name"}, "which needs a right besides"


def test_a_look_for_processes_finds_those_that_are_there(sandbox: LocalSandbox) -> None:
    list(sandbox.run("", [Stdin()]))

    assert len(arena.descendants(sandbox.pids[0])) >= 1


def test_an_honest_program_is_no_attack(sandbox: LocalSandbox) -> None:
    (outcome,) = sandbox.run("print(input()[::-1])", [Stdin("abc\n")])

    assert (outcome.ending, outcome.stdout) == (Ending.FINISHED, b"cba\n")
