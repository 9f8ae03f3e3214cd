"""The pages of a run: the run itself, its metrics, its samples, as plain data. No HTTP in here.

Samples come grouped by problem, because one asks "what did it answer to this?" and not "what is row 512?"; pages count
groups.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from reasonrl.errors import UsageError
from reasonrl.runs.metrics import ROW_KEYS, describe
from reasonrl.runs.reading import Row, Run
from reasonrl.runs.samples import SampleFilter, SampleKey, main_verdict, outcome
from reasonrl.runs.token_credit import checkpoint_decoder, has_token_credit, token_credit
from reasonrl.runs.transcript import TranscriptTurn, other_judged_text, transcript
from reasonrl.runs.viewer_page import Route, page_html
from reasonrl.runs.viewer_query import known_version, one_of, refuse_unknown, whole_number

OUTCOME_FILTERS = {
    "correct": frozenset({"correct"}),
    "wrong": frozenset({"wrong", "unparsed"}),
    "unparsed": frozenset({"unparsed"}),
    "unjudged": frozenset({"timeout", "error", "none"}),
}
LARGEST_PAGE = 200
_SAMPLE_PARAMETERS = ("step", "kind", "set", "mode", "problem", "correct", "q", "offset", "limit")


class RunPages:
    """The pages of `reasonrl view RUN`.

    Raises:
        UsageError: the folder is not a run.
    """

    def __init__(self, path: str | Path) -> None:
        self.run = Run.open(path)

    @cached_property
    def html(self) -> bytes:
        return page_html("reasonrl.runs", "viewer.html")

    @property
    def routes(self) -> Mapping[str, Route]:
        return {
            "/api/run": lambda query: run_data(self.run),
            "/api/metrics": lambda query: metrics_data(self.run, known_version(query)),
            "/api/samples": partial(samples_data, self.run),
            "/api/tokens": partial(tokens_data, self.run),
        }

    def check(self) -> None:
        self.run.metrics()
        self.run.samples.scan()


def run_data(run: Run) -> dict[str, Any]:
    """The run in short: name, recipe, what was written so far, and which filters have rows."""
    keys = run.samples.scan()
    count = Counter((key.kind, key.step) for key in keys)
    return {
        "name": run.name,
        "path": str(run.path),
        "command": run.command,
        "started": run.session.get("started"),
        "recipe": (run.path / "recipe.yaml").read_text(encoding="utf-8"),
        "checkpoints": [{"step": checkpoint.step, "complete": checkpoint.complete} for checkpoint in run.checkpoints()],
        "samples": len(keys),
        "steps": [{"kind": kind, "step": step, "samples": count[kind, step]} for kind, step in sorted(count)],
        "sets": sorted({key.set for key in keys if key.set}),
        "modes": sorted({key.mode for key in keys}),
    }


def metrics_data(run: Run, have: int | None = None) -> dict[str, Any]:
    """Every metric as a list of points [kind, step, value], with its meaning. Points without a finite value are left
    out.

    Args:
        have: the `version` of an earlier answer; if nothing is new, the answer is only `{"version", "unchanged":
            True}`.
    """
    rows = run.metrics()
    # The number of rows alone does not tell a resumed run, which drops rows and writes as many again.
    version = hash((len(rows), str(rows[-1]) if rows else "")) & 0x7FFFFFFF
    if have == version:
        return {"version": version, "unchanged": True}
    points: dict[str, list[list[Any]]] = {}
    for row in rows:
        for name, value in row.items():
            if (
                name not in ROW_KEYS
                and isinstance(value, int | float)
                and not isinstance(value, bool)
                and math.isfinite(value)
            ):
                points.setdefault(name, []).append([row["kind"], row["step"], value])
    return {
        "version": version,
        "rows": len(rows),
        "metrics": [_described(name) | {"points": series} for name, series in points.items()],
    }


def samples_data(run: Run, query: Mapping[str, str]) -> dict[str, Any]:
    """One page of samples, grouped by (kind, step, set, mode, problem), newest step first.

    Raises:
        UsageError: an unknown or badly written parameter.
    """
    refuse_unknown(query, _SAMPLE_PARAMETERS)
    wanted = _filter(query)
    offset, limit = whole_number(query, "offset", 0, 10**9), whole_number(query, "limit", 20, LARGEST_PAGE)
    groups = run.samples.groups(wanted)
    groups.sort(key=lambda group: -group[0].step)
    return {
        "groups_total": len(groups),
        "samples_total": sum(map(len, groups)),
        "offset": offset,
        "rows": len(run.samples.scan()),
        "groups": [_group(run, group) for group in groups[offset : offset + limit]],
    }


def tokens_data(run: Run, query: Mapping[str, str]) -> dict[str, Any]:
    """The tokens of one sample with their advantages, turn by turn: None for tokens of the environment.

    Raises:
        UsageError: `row` is not that of a sample, as `samples_data` gives it.
    """
    offset = whole_number(query, "row", 0, 10**15)
    key = next((key for key in run.samples.scan() if key.offset == offset), None)
    if key is None:
        raise UsageError(f"row={offset}: there is no such sample. The run may have been resumed: load the page again.")
    [row] = run.samples.read([key])
    parts = token_credit(row, checkpoint_decoder(run))
    return {
        "parts": [
            {"turn": turn_data(turn) if turn else None, "tokens": [asdict(token) for token in tokens]}
            for turn, tokens in parts
        ]
    }


def _filter(query: Mapping[str, str]) -> SampleFilter:
    correct = one_of(query, "correct", OUTCOME_FILTERS)
    return SampleFilter(
        kind=query.get("kind") or None,
        step=whole_number(query, "step", 0, 10**9) if query.get("step") else None,
        set=query.get("set") or None,
        mode=query.get("mode") or None,
        problem_id=query.get("problem") or None,
        outcomes=OUTCOME_FILTERS[correct] if correct else None,
        text=query.get("q") or None,
    )


def _group(run: Run, keys: list[SampleKey]) -> dict[str, Any]:
    rows = list(run.samples.read(keys))
    key = keys[0]
    return {
        "kind": key.kind,
        "step": key.step,
        "set": key.set,
        "mode": key.mode,
        "problem_id": key.problem_id,
        "prompt": rows[0].get("prompt"),
        "reference": rows[0].get("reference"),
        "samples": [_sample(key, row) for key, row in zip(keys, rows, strict=True)],
    }


def _sample(key: SampleKey, row: Row) -> dict[str, Any]:
    verdict, turns = main_verdict(row), transcript(row)
    names = (
        "rollout",
        "response",
        "finish_reason",
        "response_tokens",
        "reward",
        "reward_parts",
        "advantage",
        "verdicts",
        "reviews",
    )
    return {name: row.get(name) for name in names} | {
        "outcome": outcome(row),
        "main_part": verdict[0] if verdict else None,
        "turns": [turn_data(turn) for turn in turns],
        "other_judged_text": other_judged_text(row, turns),
        "row": key.offset,
        "has_token_credit": has_token_credit(row),
    }


def turn_data(turn: TranscriptTurn) -> dict[str, Any]:
    """A turn of a transcript as the page shows it."""
    return asdict(turn) | {"speaker": turn.speaker, "length": turn.length}


def _described(name: str) -> dict[str, Any]:
    try:
        metric = describe(name)
    except KeyError:
        return {"name": name, "meaning": "not registered", "unit": "", "healthy": ""}
    return {"name": name, "meaning": metric.meaning, "unit": metric.unit, "healthy": metric.healthy}
