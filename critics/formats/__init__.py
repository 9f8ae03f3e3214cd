"""Critique formats by name: one file each. `package.module:Class` is a user's."""

from __future__ import annotations

import dataclasses
import difflib
from typing import Any

from critics.formats.answer_tag import AnswerTag
from critics.formats.base import CritiqueFormat
from critics.formats.boxed_index import BoxedIndex
from critics.formats.conclusion import Conclusion
from critics.formats.dotted import format_at
from critics.formats.json_verdict import JsonVerdict
from critics.formats.long_cot import LongCoT
from critics.formats.overall_judgment import OverallJudgment
from critics.formats.step_sentence import StepSentence

FORMATS: dict[str, type[CritiqueFormat]] = {
    kind.name: kind for kind in (StepSentence, AnswerTag, BoxedIndex, OverallJudgment, JsonVerdict, Conclusion, LongCoT)
}

__all__ = ["FORMATS", "CritiqueFormat", "load_format"]


def load_format(name: str, **options: Any) -> CritiqueFormat:
    """A format by its name, or `package.module:Class`. Raises ValueError that names what is wrong and what there is."""
    kind = format_at(name) if ":" in name else FORMATS.get(name)
    if kind is None:
        near = difflib.get_close_matches(name, FORMATS, 1)
        hint = f"; did you mean '{near[0]}'?" if near else "."
        raise ValueError(
            f"there is no critique format '{name}'{hint} Write one of {', '.join(FORMATS)}, or package.module:Class"
        )
    known = [f.name for f in dataclasses.fields(kind)]
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(
            f"the format {name} has no option {', '.join(map(repr, unknown))}; its options: {', '.join(known)}"
        )
    return kind(**options)
