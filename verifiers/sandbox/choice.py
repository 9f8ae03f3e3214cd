"""Which isolation layer is taken. It fails closed: nothing weaker is taken in silence."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable
from typing import IO

from verifiers.sandbox import bubblewrap, fusion, namespaces, rlimits
from verifiers.sandbox.cell import Process
from verifiers.sandbox.interpreter import Interpreter, find_interpreter
from verifiers.sandbox.local import LocalSandbox
from verifiers.sandbox.types import Call, Ending, Sandbox, SandboxUnavailable, Stdin

LAYERS: dict[str, Callable[[Interpreter, int, IO[bytes]], Process]] = {
    bubblewrap.NAME: bubblewrap.launch,
    namespaces.NAME: namespaces.launch,
}
"""The strongest first. All of them keep programs apart from this machine; a layer that does not has no place here."""

REMEDY = (
    "as root: apt-get install bubblewrap (make sandbox), and allow user namespaces"
    " (sysctl user.max_user_namespaces=15000; on Ubuntu 24.04 kernel.apparmor_restrict_unprivileged_userns=0;"
    " in Docker --security-opt seccomp=unconfined)"
)
BY_NAME = "rlimits, fusion:http://HOST:PORT"
"""Never taken by themselves."""


def open_sandbox(isolation: str = "auto", *, workers: int = 1, python: str = "") -> Sandbox:
    """A sandbox with the isolation that is named; auto: the first of `LAYERS` that works here, tried with a program.

    Args:
        isolation: auto, one of `LAYERS`, rlimits, or fusion:http://HOST:PORT for a server of SandboxFusion.
        workers: samples that run at one time.
        python: the interpreter for programs; see `find_interpreter` for the default. A server has its own.

    Raises:
        ValueError: there is no such isolation.
        SandboxUnavailable: this machine does not offer it, or the server does not answer.
    """
    if isolation != "auto":
        _check_name(isolation, python)
        if fusion.is_fusion(isolation):  # a server may come back: nothing is remembered
            problem, place = _tried(isolation, python), ""
        else:
            problem, place = problem_of(isolation, python), " on this machine"
        if problem:
            raise SandboxUnavailable(f"the isolation {isolation!r} does not work{place}: {problem}")
        if isolation == rlimits.NAME:
            rlimits.warn_once()
    else:
        problems = {}
        for isolation in LAYERS:
            problems[isolation] = problem_of(isolation, python)
            if not problems[isolation]:
                break
        else:
            listed = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
            raise SandboxUnavailable(f"no isolation works on this machine, so no program is run. {listed}")
    return _open(isolation, python, workers)


def _check_name(isolation: str, python: str) -> None:
    """Raises ValueError."""
    if fusion.is_fusion(isolation):
        fusion.address_of(isolation)
        if python:
            raise ValueError(
                f"python is {python!r}, but programs run on the server {isolation!r} with its own: drop one"
            )
    elif isolation not in (*LAYERS, rlimits.NAME):
        near = difflib.get_close_matches(isolation, (*LAYERS, rlimits.NAME), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"there is no isolation {isolation!r}{hint} Write auto, {', '.join(LAYERS)}, {BY_NAME}")


@functools.cache
def problem_of(isolation: str, python: str = "") -> str:
    """Empty if this layer works here; otherwise one line. Tried once, with a program that runs and is called."""
    return _tried(isolation, python)


def _tried(isolation: str, python: str) -> str:
    sandbox = _open(isolation, python, 1)
    try:
        (outcome,) = sandbox.run("print(6 * 7)", [Stdin()])
        called = [*sandbox.run("def double(x): return 2 * x", [Call("double", (21,))])] if outcome.stdout else []
    except SandboxUnavailable as error:
        return str(error)
    finally:
        sandbox.close()
    if outcome.ending is Ending.FINISHED and outcome.stdout == b"42\n":
        outcome = called[0]
        if outcome.value == 42:
            return ""
    return outcome.error or f"a program that gives 42 ended with {outcome.ending.value}"


def _open(isolation: str, python: str, workers: int) -> Sandbox:
    if fusion.is_fusion(isolation):
        return fusion.FusionSandbox(fusion.address_of(isolation), workers=workers)
    is_apart = isolation in LAYERS
    launch = functools.partial(LAYERS.get(isolation, rlimits.launch), find_interpreter(python))
    settings = bubblewrap.layer_settings() if is_apart else rlimits.layer_settings()
    return LocalSandbox(isolation, launch, settings, workers=workers)
