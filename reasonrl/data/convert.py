"""From problems to verl's and TRL's rows and back, without loss, and to files that both read.

A parquet file gives every struct of a column the same fields, and fills with None what a row does not have. So whatever
must come back as it went (reference, meta) travels as JSON text. Formats: verl 0.9 `RLHFDataset` rows; TRL 1.x `prompt`
plus columns.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from reasonrl.data.columns import HOUSE_KEY, problems_from_rows
from reasonrl.data.messages_text import looks_like_messages
from reasonrl.data.mistakes import Mistakes
from reasonrl.data.problem import checked_list
from reasonrl.data.rows import SourceRow, jsonable
from reasonrl.errors import DataError
from reasonrl.host.files import replacing
from verifiers.types import Message, Problem


def to_verl(problems: Iterable[Problem], *, split: str = "train") -> list[dict[str, Any]]:
    """verl's rows: {data_source, prompt: [messages], ability, reward_model: {style, ground_truth}, extra_info}.

    A prompt that is plain text becomes one user message, since verl takes only messages; `from_verl` makes it text
    again. `ground_truth` is the reference as JSON. `extra_info` has `index` (the position, an int), `split`, `id`, and
    the rest as JSON.

    Raises:
        DataError: a reference or meta that JSON cannot keep.
    """
    return [
        {
            "data_source": problem.source,
            "prompt": _messages(problem.prompt),
            "ability": problem.kind,
            "reward_model": {"style": "rule", "ground_truth": _json(problem, "reference")},
            "extra_info": {
                "index": index,
                "split": split,
                "id": problem.id,
                HOUSE_KEY: json.dumps(
                    {"prompt_form": _form(problem.prompt), "meta": json.loads(_json(problem, "meta"))}
                ),
            },
        }
        for index, problem in enumerate(problems)
    ]


def from_verl(rows: Iterable[dict[str, Any]], *, kind: str = "math") -> list[Problem]:
    """Problems from verl's rows, ours or anyone's; a `ground_truth` that is not a JSON object is the bare answer.

    Raises:
        DataError: every mistake, with its row counted from 1.
    """
    return _from_rows(rows, "verl", kind)


def to_trl(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """TRL's rows: `prompt`, and columns that its reward functions get as arguments.

    The columns are id, kind, source, reference and meta (both JSON text), prompt_form, and `answer` if every reference
    has one that is text. Prompts are all text or, if any is not, all messages: a TRL data set cannot mix them;
    `from_trl` restores the mix.

    Raises:
        DataError: a reference or meta that JSON cannot keep.
    """
    problems = list(problems)
    all_text = all(isinstance(problem.prompt, str) for problem in problems)
    with_answer = all(isinstance(problem.reference.get("answer"), str) for problem in problems)
    return [
        {
            "prompt": problem.prompt if all_text else _messages(problem.prompt),
            **({"answer": problem.reference["answer"]} if with_answer else {}),
            "id": problem.id,
            "kind": problem.kind,
            "source": problem.source,
            "reference": _json(problem, "reference"),
            "meta": _json(problem, "meta"),
            "prompt_form": _form(problem.prompt),
        }
        for problem in problems
    ]


def from_trl(rows: Iterable[dict[str, Any]], *, kind: str = "math") -> list[Problem]:
    """Problems from TRL's rows, ours or anyone's with a gold column `answer` or `solution`.

    Raises:
        DataError: every mistake, with its row counted from 1.
    """
    return _from_rows(rows, "trl", kind)


def to_plain(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Our own rows {id, prompt, kind, reference, source, meta}, nested as they are: for .jsonl files that a person
    reads.

    Raises:
        DataError: a reference or meta that JSON cannot keep.
    """
    return [
        {
            "id": problem.id,
            "prompt": problem.prompt,
            **_text_mark(problem.prompt),
            "kind": problem.kind,
            "reference": json.loads(_json(problem, "reference")),
            "source": problem.source,
            "meta": json.loads(_json(problem, "meta")),
        }
        for problem in problems
    ]


FORMS: dict[str, Callable[[list[Problem]], list[dict[str, Any]]]] = {"plain": to_plain, "verl": to_verl, "trl": to_trl}


def write_problems(problems: Iterable[Problem], path: str | Path, *, form: str | None = None) -> Path:
    """Writes a .jsonl or .parquet file that `load_problems` reads back as it was. An existing file is replaced at once,
    or not at all.

    Args:
        problems: at least one, each sound, with ids that differ.
        path: ends in .jsonl or .parquet.
        form: "plain", "verl" or "trl". By default "plain" for .jsonl and "trl" for .parquet, which cannot hold mixed
            nested rows.

    Raises:
        DataError: a problem that is not sound, or a suffix or form that is not known.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".jsonl", ".parquet"):
        raise DataError(f"{path}: the suffix must be .jsonl or .parquet, not {path.suffix!r}")
    form = form or ("plain" if suffix == ".jsonl" else "trl")
    if form not in FORMS or (form, suffix) == ("plain", ".parquet"):
        allowed = "plain, verl, trl" if suffix == ".jsonl" else "verl, trl"
        raise DataError(f"{path}: the form of a {suffix} file must be one of {allowed}, not {form!r}")
    places = ((f"problem {number}", problem) for number, problem in enumerate(problems, 1))
    sound = checked_list(places, Mistakes(str(path)))
    rows = FORMS[form](sound)
    with replacing(path) as file:
        if suffix == ".jsonl":
            file.writelines(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
        else:
            import pyarrow as pa
            import pyarrow.parquet as pq

            pq.write_table(pa.Table.from_pylist(rows), file)
    return path


def _from_rows(rows: Iterable[dict[str, Any]], form: str, kind: str) -> list[Problem]:
    places = (SourceRow(number, f"row {number}", jsonable(row)) for number, row in enumerate(rows, 1))
    return problems_from_rows(places, Mistakes(f"{form} rows"), stem=form, kind=kind)


def _messages(prompt: str | list[Message]) -> list[Message]:
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt


def _text_mark(prompt: str | list[Message]) -> dict[str, str]:
    """The field that keeps a text a text where it looks like messages."""
    return {"prompt_form": "text"} if isinstance(prompt, str) and looks_like_messages(prompt) else {}


def _form(prompt: str | list[Message]) -> str:
    return "text" if isinstance(prompt, str) else "chat"


def _json(problem: Problem, field: str) -> str:
    value = getattr(problem, field)
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()
        round_trips = json.loads(text) == value
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"problem {problem.id!r}: {field} cannot be written as JSON: {error}") from error
    if not round_trips:
        raise DataError(
            f"problem {problem.id!r}: {field} would change in JSON. Use lists instead of tuples, and strings as keys"
        )
    return text
