"""Reads data sets of the Hugging Face hub through `datasets`, with one clear message when one cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reasonrl.data.mistakes import refuse_unknown
from reasonrl.data.rows import SourceRow, jsonable
from reasonrl.errors import DataError, DataNotHere
from reasonrl.host.network import hub_is_reachable

OPTIONS = ("revision", "data_dir", "data_files")
INSTEAD = "Or download it once elsewhere and name the local file (.jsonl, .json, .parquet, .csv) as the source"


def hub_rows(
    hub_id: str,
    *,
    name: str | None,
    split: str,
    offline: bool,
    options: dict[str, Any] | None = None,
    instead: str = INSTEAD,
) -> Iterator[SourceRow]:
    """The rows of one split.

    Args:
        hub_id: "org/name".
        name: the configuration, as in `load_dataset(path, name)`.
        split: as `datasets` takes it, slices such as "train[:10%]" included.
        offline: use only what is already in the local cache.
        options: any of OPTIONS, handed to `load_dataset`.
        instead: what the message tells the user to do when the data set cannot be reached.

    Raises:
        DataError: it cannot be reached, does not exist, or has no such configuration or split.
    """
    refuse_unknown(options or {}, OPTIONS, f"{hub_id}: a hub data set", shown=("prompt_form",))
    try:
        import datasets
        from huggingface_hub.errors import HTTPError  # the base class of whichever HTTP client this version uses
    except ImportError as error:
        raise DataError(f"{hub_id}: reading from the hub needs `pip install datasets` ({error}). {instead}") from error
    try:
        reachable = offline or Path(hub_id).is_dir() or hub_is_reachable()
        with _offline_mode(offline or not reachable):
            rows = datasets.load_dataset(hub_id, name, split=split, **(options or {}))
    except (OSError, HTTPError) as error:
        if offline:
            why = "it is not in the local cache, and offline was asked for"
        elif not reachable and "offline" in str(error).lower():
            why = "the connection to the hub failed, and it is not in the local cache"
        else:
            why = f"{type(error).__name__}: {_first_line(error)}"
        online = "Run once with a network and without --offline" if offline else "Check the name and the network"
        kind = DataNotHere if offline else DataError
        raise kind(f"the data set {hub_id!r} cannot be reached: {why}. {online}. {instead}") from error
    except (ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        part = f"split {split!r}" + (f", name {name!r}" if name else "")
        raise DataError(f"the data set {hub_id!r} has no {part}, or cannot be read: {_first_line(error)}") from error
    return _exact_rows(rows, hub_id)


def _exact_rows(rows: Any, hub_id: str) -> Iterator[SourceRow]:
    """The rows of a `datasets.Dataset`, narrow floats as they were written."""
    from reasonrl.data.arrow import exact_floats

    converts = {field.name: exact_floats(field.type) for field in rows.features.arrow_schema}
    number = 0
    try:
        for number, fields in enumerate(rows, 1):
            exact = {name: value if (to := converts.get(name)) is None else to(value) for name, value in fields.items()}
            yield SourceRow(number, f"row {number}", jsonable(exact))
    except (ValueError, OverflowError, OSError, ImportError) as error:
        raise DataError(f"{hub_id}: the row after row {number} cannot be read: {_first_line(error)}") from error


@contextmanager
def _offline_mode(offline: bool) -> Iterator[None]:
    """The libraries read HF_HUB_OFFLINE once, when they are imported; these are the values that they look at
    afterwards.
    """
    if not offline:
        yield
        return
    import datasets.config
    import huggingface_hub.constants

    previous = datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = huggingface_hub.constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE = previous


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0].rstrip(".")
