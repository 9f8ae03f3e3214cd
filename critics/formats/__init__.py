"""Critique formats by name: one file each. `package.module:Class` is a user's."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
from typing import Any

from critics.formats.base import CritiqueFormat
from critics.formats.loading import format_class

_BUILT_IN = (
    "step_sentence:StepSentence",
    "answer_tag:AnswerTag",
    "boxed_index:BoxedIndex",
    "overall_judgment:OverallJudgment",
    "json_verdict:JsonVerdict",
    "conclusion:Conclusion",
    "long_cot:LongCoT",
)
"""module:Class in `critics.formats`."""


def _built_in(path: str) -> type[CritiqueFormat]:
    module, _, name = path.partition(":")
    kind: type[CritiqueFormat] = getattr(importlib.import_module(f"critics.formats.{module}"), name)
    return kind


FORMATS: dict[str, type[CritiqueFormat]] = {kind.name: kind for kind in map(_built_in, _BUILT_IN)}

__all__ = ["FORMATS", "CritiqueFormat", "load_format"]


def load_format(name: str, **options: Any) -> CritiqueFormat:
    """A format by its name, or `package.module:Class`. Raises ValueError that names what is wrong and what there is."""
    kind = format_class(name) if ":" in name else FORMATS.get(name)
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
