"""Errors that one message explains to a user, without a traceback.

Each class also derives from the nearest exception of the standard library, so that code which calls reasonrl as a
library can catch either. `exit_code` is what the command line returns: 1 the run failed, 2 the request itself is wrong.
"""

from __future__ import annotations


class ReasonRLError(Exception):
    """The run failed for a reason that the message states: a full disk, a NaN loss, a broken verifier."""

    exit_code = 1


class UsageError(ReasonRLError, ValueError):
    """The request is wrong, so repeating it cannot help: the message says what to write instead."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe or an override is wrong. The message lists every mistake, not only the first."""


class DataError(UsageError):
    """A data set cannot be read as problems. The message names the file, the row and the field."""


class DataNotHere(DataError):
    """A data set of the hub is not in the local cache, and offline was asked for."""


class ModelError(UsageError):
    """A model cannot be found or loaded."""


class ModelNotHere(ModelError):
    """A model of the hub is not in the local cache, and offline was asked for."""


class TrainingError(ReasonRLError, RuntimeError):
    """Training cannot continue: a NaN loss, too many answers without a verdict. What was saved can be resumed."""


class NotFiniteError(TrainingError, ValueError):
    """A number of the run is NaN or infinite: a logit, a loss, a gradient, a weight. The training diverged, or the
    computation overflows.
    """


class CheckpointError(ReasonRLError, RuntimeError):
    """A checkpoint is incomplete, damaged, or belongs to another recipe."""
