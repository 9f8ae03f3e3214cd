"""What the verifiers raise.

Only mistakes of the caller and of the machine are raised. What a *response* holds never is: that becomes a `Verdict`.
"""

from __future__ import annotations


class VerifierError(Exception):
    """Base class of everything in this package."""


class BadReference(VerifierError, ValueError):
    """A reference cannot be read: no answer, an empty one, or one of the wrong type."""


class NoGoldResponse(VerifierError, ValueError):
    """A reference is sound and holds no right response, such as tests without a reference solution."""


class UnknownVerifier(VerifierError, ValueError):
    """No verifier has this name, or the dotted path does not lead to one."""


class BadOption(VerifierError, ValueError):
    """A verifier was given an option that it does not have, or lacks one that it needs."""


class MissingMethod(VerifierError, TypeError):
    """An optional method of a verifier is needed, and it does not have it."""


class MissingPackage(VerifierError, ImportError):
    """An optional package is needed and not installed. The message holds the pip line."""


class PoolError(VerifierError, RuntimeError):
    """The worker processes cannot be used at all: they do not start, or the pool is closed."""
