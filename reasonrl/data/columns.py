"""From a row of any known form to a Problem. A form is recognised by its columns (docs/data.md, for users).

| form | columns |
|---|---|
| ours | id, prompt, reference or answer, kind, source, meta; prompt, reference and meta may be JSON text |
| question and answer | problem or question; answer, or solution that ends in a box or in "#### 42" |
| verl | data_source, prompt (messages), ability, reward_model {style, ground_truth}, extra_info |
| TRL | prompt (text or messages), and any columns, of which answer or solution is the gold answer |
| reasoning-gym | question, answer, metadata with source_dataset |
| critiques | ProcessBench, BIG-Bench-Mistake, PRM800K: see `reasonrl.data.critiques` |
| programs | prompt and tests; HumanEval, EvalPlus, MBPP, LiveCodeBench, CodeContests: see `reasonrl.data.code_rows` |
| theorems | formal_statement, header, proof; miniF2F, ProofNet, Lean-Workbook: see `reasonrl.data.theorem_rows` |

All other columns of a row are kept in `meta`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from reasonrl.data import code_rows, critiques, theorem_rows
from reasonrl.data.answers import boxed_answer, marked_answer
from reasonrl.data.json_text import LongNumber, with_plain_numbers
from reasonrl.data.messages_text import read_prompt
from reasonrl.data.mistakes import Mistakes, suggestion
from reasonrl.data.problem import KINDS, checked_list
from reasonrl.data.rows import SourceRow
from reasonrl.data.values import Unreadable, as_object, is_blank, number_as_text, parsed
from reasonrl.errors import DataError
from verifiers.types import Problem

FIELDS = ("id", "prompt", "answer", "solution", "reference", "kind", "source", "meta", *code_rows.FIELDS)
"""What `columns` may map."""
_NOT_JUDGING = ("id", "prompt", "kind", "source", "meta")
PROMPT_NAMES = ("prompt", "problem", "question")
GOLD_NAMES = ("reference", "answer", "solution")
HOUSE_KEY = "reasonrl"
"""The key of `extra_info` under which our own fields travel through verl, as JSON."""

_Reader = Callable[[dict[str, Any]], dict[str, Any] | None]


def problems_from_rows(
    rows: Iterable[SourceRow],
    mistakes: Mistakes,
    *,
    stem: str,
    source: str = "",
    kind: str = "math",
    columns: dict[str, str] | None = None,
    prompt_form: str | None = None,
) -> list[Problem]:
    """Reads rows of any known form.

    Args:
        rows: the rows with their places.
        mistakes: may already hold what the reader could not parse.
        stem: rows without an id get "<stem>/<row number>".
        source: for rows that name none.
        kind: for rows that name none.
        columns: our field -> the column that holds it, for the names in FIELDS.
        prompt_form: of rows that do not say theirs. "text": a prompt is text, even where it looks like messages.

    Raises:
        DataError: every mistake of every row, or no rows.
    """
    unknown = [name for name in columns or {} if name not in FIELDS]
    if unknown:
        text = " ".join(
            f"columns maps {name!r}, which is not one of our fields.{suggestion(name, FIELDS)}" for name in unknown
        )
        raise DataError(f"{mistakes.source}: {text} Our fields: {', '.join(FIELDS)}")

    if prompt_form not in (None, "text", "chat"):
        raise DataError(f"{mistakes.source}: the option prompt_form must be text or chat, not {prompt_form!r}")

    def problems() -> Iterable[tuple[str, Problem | None]]:
        for row in rows:
            if code_rows.reads_files(row.fields):
                continue
            try:
                default_id = f"{stem}/{row.number}"
                yield row.where, _problem(row.fields, default_id, source, kind, columns or {}, prompt_form)
            except Unreadable as mistake:
                mistakes.add(row.where, str(mistake))

    return checked_list(problems(), mistakes)


def _problem(
    row: dict[str, Any], default_id: str, source: str, kind: str, columns: dict[str, str], prompt_form: str | None
) -> Problem:
    mapped = {}
    for field, column in columns.items():
        if column not in row:
            raise Unreadable(
                f"columns maps {field} to {column!r}, which is not a column here.{suggestion(column, row)}"
                f" {_present(row)}"
            )
        mapped[field] = row[column]
    unmapped = {name: value for name, value in row.items() if name not in columns.values()}
    gold_is_mapped = any(name in mapped for name in GOLD_NAMES)
    program = _published(functools.partial(code_rows.read, kind=kind), {**unmapped, **mapped})
    if program is not None:
        fields = program
        mapped = {name: value for name, value in mapped.items() if name in _NOT_JUDGING}
    elif not columns and (judged := _critique(row)) is not None:
        fields = judged
    elif not gold_is_mapped and (theorem := _published(functools.partial(theorem_rows.read, kind=kind), unmapped)):
        fields = theorem
    elif "reward_model" in unmapped and not gold_is_mapped:
        fields = _verl(unmapped)
    elif not gold_is_mapped and _is_gym(unmapped):
        fields = _gym(unmapped)
    else:
        fields = _plain(unmapped, mapped)
    fields |= mapped
    if "prompt" not in fields:
        near = next(filter(None, (suggestion(name, row) for name in PROMPT_NAMES)), "")
        raise Unreadable(
            f"no column 'prompt', 'problem' or 'question'.{near} {_present(row)} Name the right one with columns:"
            " {prompt: ...}"
        )
    kind = kind if fields.get("kind") is None else fields["kind"]
    return Problem(
        id=_id(fields.get("id"), default_id),
        prompt=_prompt(fields["prompt"], fields.get("prompt_form"), prompt_form),
        kind=kind,
        reference=_reference(fields, kind, row),
        source=source if fields.get("source") is None else fields["source"],
        meta=as_object(fields.get("meta") or {}, "meta"),
    )


def _published(read: _Reader, row: dict[str, Any]) -> dict[str, Any] | None:
    """The fields of a row in a published shape. What contradicts itself there is a mistake of the row."""
    try:
        return read(row)
    except ValueError as error:
        raise Unreadable(str(error)) from error
    except (LookupError, TypeError, AttributeError) as error:
        raise Unreadable(f"the row cannot be read: {type(error).__name__}: {error}") from error


def _critique(row: dict[str, Any]) -> dict[str, Any] | None:
    fields = _published(critiques.published, row)
    return fields and {"prompt_form": "text" if isinstance(fields["prompt"], str) else None, **fields}


def _plain(row: dict[str, Any], mapped: dict[str, Any]) -> dict[str, Any]:
    """Ours, question and answer, and TRL."""
    fields: dict[str, Any] = {}
    used = set()
    name = next((name for name in PROMPT_NAMES if name in row), None)
    if name and "prompt" not in mapped:
        fields["prompt"] = row[name]
        used.add(name)
    if not any(gold in mapped for gold in GOLD_NAMES):
        golds = [gold for gold in GOLD_NAMES if not is_blank(row.get(gold))]
        if golds:
            fields[golds[0]] = row[golds[0]]
            used.add(golds[0])
        if golds[:2] == ["reference", "answer"]:
            fields["answer"] = row["answer"]
        used |= {"answer", "reference"} & set(row)
    # In other people's data a column of our name may hold anything: then it is kept in meta like any other.
    for field, fits in (
        ("id", True),
        ("source", isinstance(row.get("source"), str)),
        ("meta", isinstance(parsed(row.get("meta")), dict)),
    ):
        if field in row and field not in mapped and (fits or row[field] is None):
            fields[field] = row[field]
            used.add(field)
    # "kind" is ours when the row speaks our language or names a kind we know.
    if "kind" in row and "kind" not in mapped and ("prompt" in row or row["kind"] in KINDS):
        fields["kind"] = row["kind"]
        used.add("kind")
    if "prompt_form" in row and row["prompt_form"] in ("text", "chat"):
        fields["prompt_form"] = row["prompt_form"]
        used.add("prompt_form")
    _keep(fields, row, used)
    return fields


def _verl(row: dict[str, Any]) -> dict[str, Any]:
    judge = as_object(row["reward_model"], "reward_model")
    extra = as_object(row.get("extra_info") or {}, "extra_info")
    fields: dict[str, Any] = {"prompt": row["prompt"]} if "prompt" in row else {}
    fields |= {"id": extra.get("id"), "source": row.get("data_source"), "prompt_form": row.get("prompt_form")}
    gold = judge.get("ground_truth")
    reference = parsed(gold)
    if isinstance(reference, dict):
        fields["reference"] = reference
    else:
        fields["answer"] = gold
    house = parsed(extra.get(HOUSE_KEY))
    if isinstance(house, dict):
        return fields | {"kind": row.get("ability"), "prompt_form": house.get("prompt_form"), "meta": house.get("meta")}
    ability = str(row.get("ability") or "").lower()
    fields["kind"] = ability if ability in KINDS else None
    fields["meta"] = {name: value for name, value in extra.items() if name != "id" and value is not None}
    _keep(fields, row, {"prompt", "prompt_form", "data_source", "ability", "reward_model", "extra_info"})
    return fields


def _is_gym(row: dict[str, Any]) -> bool:
    if not {"question", "answer", "metadata"} <= set(row):
        return False
    metadata = parsed(row["metadata"])
    return isinstance(metadata, dict) and isinstance(metadata.get("source_dataset"), str)


def _gym(row: dict[str, Any]) -> dict[str, Any]:
    metadata = parsed(row["metadata"])
    entry = {"question": row["question"], "answer": row["answer"], "metadata": metadata}
    name = metadata["source_dataset"]
    fields = {
        "prompt": row["question"],
        "prompt_form": None if isinstance(row["question"], list) else "text",
        "kind": "reasoning_gym",
        "source": row.get("source") or f"reasoning_gym/{name}",
    }
    fields |= {"reference": {"dataset": name, "entry": entry}, "id": row.get("id")}
    _keep(fields, row, {"question", "answer", "metadata", "id", "source"})
    return fields


def _keep(fields: dict[str, Any], row: dict[str, Any], used: set[str]) -> None:
    """Columns that nothing else reads go to meta; what meta already says stands."""
    other_columns = {name: value for name, value in row.items() if name not in used}
    if other_columns:
        fields["meta"] = other_columns | as_object(fields.get("meta") or {}, "meta")


def _reference(fields: dict[str, Any], kind: str, row: dict[str, Any]) -> dict[str, Any]:
    if kind == "code" and (tests := code_rows.list_of_tests(fields.get("answer"))) is not None:
        return {"tests": with_plain_numbers(tests)}
    if not is_blank(fields.get("reference")):
        reference = as_object(fields["reference"], "reference")
        if kind == "code":
            return dict(with_plain_numbers(reference))
        if isinstance(reference.get("answer"), LongNumber):
            reference = reference | {"answer": number_as_text(reference["answer"])}
        answer = fields.get("answer")
        if (
            answer is not None
            and "answer" in reference
            and number_as_text(answer) != number_as_text(reference["answer"])
        ):
            raise Unreadable(
                f"answer says {answer!r:.60}, but the reference says {reference['answer']!r:.60}. Leave one out"
            )
        return reference
    if kind == "code":
        raise Unreadable(
            f"no column 'tests' or 'reference'.{suggestion('tests', row)} {_present(row)} Name the right one with"
            " columns: {tests: ...}"
        )
    if not is_blank(fields.get("answer")):
        answer = number_as_text(fields["answer"])
        marked = marked_answer(answer) if kind == "math" and isinstance(answer, str) else None
        return {"answer": answer if marked is None else marked}
    if not is_blank(fields.get("solution")):
        answer = number_as_text(fields["solution"])
        gold = None if not isinstance(answer, str) else boxed_answer(answer) or marked_answer(answer)
        if not gold:
            raise Unreadable(
                "the solution has neither a \\boxed{...} nor a line '#### answer'. If it is the bare answer, say so"
                " with columns: {answer: solution}; else name a column that holds the answer"
            )
        return {"answer": gold}
    if "reward_model" in row:
        raise Unreadable("the answer is missing: reward_model has no ground_truth")
    if any(name in fields or name in row for name in GOLD_NAMES):
        raise Unreadable("the answer is missing or empty")
    near = next(filter(None, (suggestion(name, row) for name in GOLD_NAMES)), "")
    raise Unreadable(
        f"no column 'answer', 'reference' or 'solution'.{near} {_present(row)} Name the right one with columns:"
        " {answer: ...}"
    )


def _prompt(value: Any, form: Any, source_form: str | None) -> Any:
    if isinstance(value, str) and (form or source_form) != "text":
        value = read_prompt(value)
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return value if value is not None else ""
    messages = []
    for message in value:
        if isinstance(message, dict):
            # A parquet file gives every struct the fields of all of them, with None where there was nothing.
            message = {name: item for name, item in message.items() if item is not None or name in ("role", "content")}
        messages.append(message)
    if form == "text":
        if len(messages) != 1 or not isinstance(messages[0], dict) or not isinstance(messages[0].get("content"), str):
            raise Unreadable("prompt_form is 'text', which needs exactly one message in the prompt")
        return messages[0]["content"]
    return messages


def _id(value: Any, default: str) -> Any:
    return default if is_blank(value) else number_as_text(value)


def _present(row: Iterable[str]) -> str:
    return f"Columns: {', '.join(row)}."
