"""Is what is imported what we think it is?"""

from __future__ import annotations

import importlib.util

from reasonrl.errors import UsageError

CLASH = (
    "the module `verifiers` that Python finds is not the one of reasonrl ({path}): another distribution of that name is installed or the "
    "current folder holds one. Uninstall it (pip uninstall verifiers), reinstall reasonrl, or use a fresh environment"
)


def check_verifiers() -> None:
    """Raise UsageError when `import verifiers` would find another distribution: PyPI has one of the same import name."""
    spec = importlib.util.find_spec("verifiers")
    if spec is None:
        raise UsageError("the module `verifiers` of reasonrl is missing: the installation is broken. Reinstall reasonrl")
    if importlib.util.find_spec("verifiers.types") is None or not _is_ours():
        raise UsageError(CLASH.format(path=spec.origin))


def _is_ours() -> bool:
    import verifiers

    return getattr(verifiers, "__dist__", None) == "reasonrl"
