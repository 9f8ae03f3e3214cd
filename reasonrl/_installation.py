"""Checks at import that the module `verifiers` is the one of reasonrl."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sys
from types import TracebackType

from reasonrl.errors import UsageError

CLASH = (
    "the module `verifiers` that Python finds ({path}) is not the one of reasonrl: another distribution of that name is"
    " installed or the current folder holds one. Uninstall it (pip uninstall verifiers), reinstall reasonrl, or use a"
    " fresh environment"
)


class InstallationError(UsageError, ImportError):
    """`import reasonrl` cannot continue. An ImportError too, for programs that can do without reasonrl."""


def check_verifiers() -> None:
    """Raise InstallationError when `import verifiers` would find another distribution: PyPI has one of the same import
    name.
    """
    spec = importlib.util.find_spec("verifiers")
    if spec is None:
        _refuse("the module `verifiers` of reasonrl is missing: the installation is broken. Reinstall reasonrl")
    elif not _is_ours():
        _refuse(CLASH.format(path=spec.origin or ", ".join(spec.submodule_search_locations or [])))


def installation_facts() -> str:
    """Versions, for a report of a fault: `reasonrl 0.1.0, Python 3.11.9, torch 2.13.0`."""
    versions = []
    for name in ("reasonrl", "torch", "transformers"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} missing")
    return ", ".join([versions[0], f"Python {platform.python_version()}", *versions[1:]])


def _is_ours() -> bool:
    try:
        import verifiers
    except Exception:  # another distribution may fail to import; ours needs the standard library only
        return False
    return getattr(verifiers, "__dist__", None) == "reasonrl"


def _refuse(message: str) -> None:
    """This is raised while a module is imported, where no caller of ours can print it without a traceback."""
    previous = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, InstallationError):
            print(f"error: {error}", file=sys.stderr)
        else:
            previous(kind, error, trace)

    sys.excepthook = hook
    raise InstallationError(message)
