"""Which backend judges. It fails closed: where none works, nothing is judged, and one sentence says what to do."""

from __future__ import annotations

import difflib
import functools
from typing import Any

from verifiers.lean.backends import bundled, kimina, project, repl
from verifiers.lean.types import Backend, LeanUnavailable

NAMES = (project.NAME, repl.NAME, kimina.NAME, bundled.NAME)
REMEDY = (
    "a full Lean: install elan and a project with Mathlib, then --option project=FOLDER; a server:"
    " --option backend=kimina --option url=http://HOST:PORT; the kernel without a library, for term proofs and tests:"
    f" {bundled.INSTALL}"
)


def open_backend(
    name: str = "auto",
    *,
    project_folder: str = "",
    url: str = "",
    isolation: str = "auto",
    workers: int = 1,
    try_server: bool = True,
    **other: Any,
) -> Backend:
    """The backend that is named. auto: what the options name (a project, a url), else the bundled kernel.

    Args:
        name: auto, project, repl, kimina or bundled.
        project_folder: of a Lean project that is built, for project and repl.
        url: of a Kimina Lean Server.
        isolation: of the sandbox, for what runs here.
        workers: proofs at one time.
        try_server: whether a server is tried at once; else before its first proof.
        other: options of the backend alone.

    Raises:
        ValueError: there is no such backend, or an option does not fit.
        LeanUnavailable: it does not work here. Nothing weaker is taken in silence.
    """
    if name == "auto":
        name = project.NAME if project_folder else kimina.NAME if url else bundled.NAME
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"there is no backend {name!r}{hint} Write auto, {', '.join(NAMES)}")
    if name == kimina.NAME:
        if not url:
            raise ValueError("backend kimina needs url: http://HOST:PORT")
        return kimina.KiminaServer(url, workers=workers, try_now=try_server, **other)
    if url:
        raise ValueError(f"url is for backend kimina, not {name}")
    if name == bundled.NAME:
        if project_folder:
            raise ValueError("project is for the backends project and repl, not bundled")
        return bundled.BundledKernel(isolation=isolation, workers=workers, **other)
    if not project_folder:
        raise ValueError(f"backend {name} needs project: the folder of a Lean project that is built")
    opened = project.LeanProject if name == project.NAME else repl.LeanRepl
    return opened(project_folder, isolation=isolation, workers=workers, **other)


@functools.cache
def problem_of(name: str) -> str:
    """Empty if this backend works here without options; otherwise one line."""
    try:
        open_backend(name).close()
    except (LeanUnavailable, ValueError) as error:
        return str(error)
    return ""
