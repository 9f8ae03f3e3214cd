"""The rows that `verify` and `audit` read: which fields stand for a reference and for an answer, by verifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reasonrl.commands.judging import Item
from reasonrl.data.files import half_pair_mistake
from reasonrl.data.json_text import parse_json, with_plain_numbers
from reasonrl.data.values import Unreadable, parsed
from verifiers.optional import answer_field, reads_reference, row_fields
from verifiers.types import Verifier


@dataclass(frozen=True)
class RowForm:
    """What a row may hold for one verifier."""

    needs_reference: bool
    reference_fields: tuple[str, ...]
    """Fields of a reference that may stand in the row itself. Then "reference" may also be one of them, as a text."""
    answer_fields: tuple[str, ...]
    """What a bare answer is called."""

    @classmethod
    def of_verifier(cls, verifier: Verifier) -> RowForm:
        """Raises VerifierError: the verifier declares fields that are not names."""
        names = dict.fromkeys(("answer", answer_field(verifier)))
        return cls(reads_reference(verifier), row_fields(verifier), tuple(names))

    @property
    def main_field(self) -> str:
        """The field of a reference that messages name; empty where a row needs "gold" or "reference"."""
        return self.reference_fields[0] if self.reference_fields else ""

    @property
    def example(self) -> str:
        gold = f'"{self.main_field}"' if self.main_field else '"gold" or "reference"'
        return f'{{"id": ..., {gold}: ..., "response" or "{self.answer_fields[-1]}": ...}}'

    def reference_in(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """The reference that stands in the row itself; None where "reference" holds it, or nothing does."""
        if isinstance(row.get("reference"), dict):
            return None
        fields = {name: with_plain_numbers(row[name]) for name in self.reference_fields if row.get(name) is not None}
        return fields or None

    def reference_mistake(self, row: Mapping[str, Any]) -> str:
        """What is wrong with how the row names its reference; empty if nothing is."""
        fields = self.reference_in(row)
        named = [name for name in ("gold", "reference", self.main_field) if name and row.get(name) is not None]
        if fields is not None and "reference" in fields:
            named.remove("reference")
            if not isinstance(fields["reference"], str):
                return f'"reference" is {_kind(fields["reference"])}; write a text (a right response), or an object'
        if len(named) > 1:
            return f'has both "{named[0]}" and "{named[1]}"; leave one out'
        if self.needs_reference and fields is None and not {"gold", "reference"} & set(row):
            wanted = f'"{self.main_field}", or "reference" (an object)' if self.main_field else '"gold" or "reference"'
            return f"needs {wanted} (it has {', '.join(map(repr, row)) or 'nothing'})"
        if fields is None and not isinstance(row.get("reference", {}), dict):
            instead = f'"{self.main_field}"' if self.main_field else '"gold" for a bare answer'
            return f'"reference" is {_kind(row["reference"])}; write an object, or {instead}'
        return ""

    def read_line(self, line: bytes) -> tuple[dict[str, Any], str]:
        """The row of a line of JSONL, and what is wrong with it; empty if nothing is."""
        try:
            row = parse_json(line.decode())
        except (ValueError, RecursionError) as error:
            return {}, f"not valid JSON: {error}"
        if not isinstance(row, dict):
            return {}, f"not a JSON object; write {self.example}"
        if mistake := half_pair_mistake(row):
            return {}, mistake
        try:
            reference = parsed(row.get("reference"))  # an object, or its JSON text as data sets hold it
        except Unreadable as error:
            return {}, str(error)
        if isinstance(reference, dict):
            row["reference"] = reference
        return row, self.reference_mistake(row) or self._text_mistake(row)

    def item(self, row: dict[str, Any], where: str) -> Item:
        """The item of a row that `read_line` finds sound."""
        name = self._text_names(row)[0]
        reference = self.reference_in(row)
        return Item(where, row[name], name != "response", row.get("gold"), reference or row.get("reference"))

    def _text_names(self, row: Mapping[str, Any]) -> list[str]:
        return [name for name in ("response", *self.answer_fields) if name in row]

    def _text_mistake(self, row: dict[str, Any]) -> str:
        names = self._text_names(row)
        if len(names) != 1:
            answers = '"answer" (a bare answer)'
            if len(self.answer_fields) > 1:
                answers = f'"{self.answer_fields[-1]}" (the bare answer)'
            return f'needs either "response" (a complete response) or {answers}, not both'
        (name,) = names
        text = row[name]
        if name == "answer" and isinstance(text, int | float) and not isinstance(text, bool):
            row[name] = str(text)
        elif not isinstance(text, str):
            return f'"{name}" is {_kind(text)}; write a string'
        return ""


def _kind(value: Any) -> str:
    names = {"NoneType": "null", "bool": "true or false", "int": "a number", "float": "a number"}
    return names.get(type(value).__name__, f"a {type(value).__name__}")
