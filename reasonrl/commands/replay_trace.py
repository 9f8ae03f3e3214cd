"""`reasonrl replay` of traces of the critic server and of `reasonrl refine`: the same calls, scored again."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from reasonrl.commands.output import emit, key_values
from reasonrl.errors import UsageError
from reasonrl.host.files import replacing
from reasonrl.host.outputs import check_file
from reasonrl.host.terminal import json_text
from reasonrl.serving.replaying import Replayed, Settings, replay_trace, settings_of
from reasonrl.serving.trace import Outcome, Trace
from reasonrl.stats import Interval, wilson
from verifiers.loading import load_verifier

SHOWN = 12
"""Traces that a terminal is shown one by one."""
SHOWN_CHARS = 60


@dataclass(frozen=True)
class _Saved:
    """One trace of a file."""

    place: str
    trace: Trace
    gold: str | None


@dataclass(frozen=True)
class _Score:
    """Whether the answer of a strategy, or the judgement of critiques, is right. None: nobody can say."""

    was_right: bool | None
    is_right: bool | None


def replay_trace_command(
    file: Path, overrides: list[str], *, reference: str | None, output: Path | None, as_json: bool
) -> None:
    """Replays every trace in a file of JSON or JSON lines. Raises UsageError."""
    if output is not None:
        check_file(output, "--output")
    settings = settings_of(key_values(overrides, "replay"))
    saved = _traces_in(file, reference)
    try:
        replayed = asyncio.run(_replay_all(saved, settings))
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error
    scores = _scores(saved, replayed)
    rows = [_row(*each) for each in zip(saved, replayed, scores, strict=True)]
    if output is not None:
        with replacing(output) as target:
            for row in rows:
                target.write((json_text(row) + "\n").encode())
    value = _summary(file, overrides, replayed, scores)
    emit(as_json, value | {"rows": rows}, "\n".join(_lines(value, rows)))


async def _replay_all(saved: Sequence[_Saved], settings: Settings) -> list[Replayed]:
    replayed = []
    for one in saved:
        try:
            replayed.append(await replay_trace(one.trace, settings))
        except UsageError as error:
            raise UsageError(f"{one.place}: {error}") from error
    return replayed


# ---------------------------------------------------------------- the file


def _traces_in(file: Path, reference: str | None) -> list[_Saved]:
    """Raises UsageError for a file without a trace, and for one that cannot be read."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: {error}") from error
    saved = []
    for place, value in _values(file, text):
        facts = list(_facts(place, value))
        if not facts:
            raise UsageError(
                f"{place}: there is no trace in it. Ask the server with `trace: true`, or save the output of `reasonrl"
                " refine --json`"
            )
        gold = value.get("gold") if isinstance(value, dict) else None
        answer = reference if gold is None else str(gold)
        saved += [_Saved(name, _trace(name, trace), answer) for name, trace in facts]
    if not saved:
        raise UsageError(f"{file}: it is empty")
    return saved


def _values(file: Path, text: str) -> Iterator[tuple[str, Any]]:
    """What the file holds: one JSON value, the values of a list, or one value in each line."""
    try:
        value = json.loads(text)
    except ValueError:
        pass
    else:
        several = value if isinstance(value, list) else [value]
        yield from ((str(file) if len(several) == 1 else f"{file}, entry {n}", v) for n, v in enumerate(several, 1))
        return
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield f"{file}:{number}", json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{file}:{number}: it is not JSON ({error})") from error


def _facts(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The traces in an answer of the server: in each choice, in the answer itself, or the value if it is one."""
    if not isinstance(value, dict):
        return
    if "calls" in value and "outcome" in value:
        yield place, value
    for holder in (value, value.get("reasonrl")):
        if isinstance(holder, dict) and isinstance(holder.get("trace"), dict):
            yield place, holder["trace"]
    choices = value.get("choices")
    for number, choice in enumerate(choices if isinstance(choices, list) else [], 1):
        name = f"{place}, choice {number}" if len(choices or []) > 1 else place
        yield from _facts(name, choice)


def _trace(place: str, value: Any) -> Trace:
    try:
        trace = Trace.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"{place}: its trace cannot be read: {where}: {first['msg']}") from error
    if (trace.strategy is None) == (trace.solution is None):
        raise UsageError(f"{place}: its trace has neither or both of a strategy and a solution")
    return trace


# ---------------------------------------------------------------- against the right answers


def _scores(saved: Sequence[_Saved], replayed: Sequence[Replayed]) -> list[_Score]:
    """By the math verifier. Critiques are right where they say of the solution what the verifier says of it."""
    wanted: list[tuple[int, bool, str, str]] = []
    for number, (one, now) in enumerate(zip(saved, replayed, strict=True)):
        if one.gold is None:
            continue
        if one.trace.solution is not None:
            solution = one.trace.solution
            text = solution.text or "\n".join(solution.steps or ())
            wanted.append((number, False, text, one.gold))
            continue
        wanted.append((number, False, one.trace.outcome.text or "", one.gold))
        if now.outcome is not None:
            wanted.append((number, True, now.outcome.text or "", one.gold))
    verdicts: dict[tuple[int, bool], bool | None] = {}
    if wanted:
        verifier = load_verifier("math", mode="lenient")
        results = verifier.verify([text for _, _, text, _ in wanted], [{"answer": gold} for *_, gold in wanted])
        verdicts = {(n, is_new): v.correct for (n, is_new, _, _), v in zip(wanted, results, strict=True)}
    return [_score(number, one, now, verdicts) for number, (one, now) in enumerate(zip(saved, replayed, strict=True))]


def _score(number: int, one: _Saved, now: Replayed, verdicts: dict[tuple[int, bool], bool | None]) -> _Score:
    old, new = verdicts.get((number, False)), verdicts.get((number, True))
    if one.trace.solution is None or old is None:
        return _Score(old, new)
    return _Score(_agrees(one.trace.outcome, old), None if now.outcome is None else _agrees(now.outcome, old))


def _agrees(outcome: Outcome, is_correct: bool) -> bool:
    """An abstention is not right."""
    return outcome.judgement is not None and (outcome.judgement.value == "correct") == is_correct


# ---------------------------------------------------------------- what is shown


def _row(one: _Saved, now: Replayed, score: _Score) -> dict[str, Any]:
    return {
        "trace": one.place,
        "same": now.is_same,
        "missing": now.missing,
        "changes": {name: list(pair) for name, pair in now.changes.items()},
        "other_prompts": list(now.other_prompts),
        "other_seeds": list(now.other_seeds),
        "outcome": None if now.outcome is None else now.outcome.model_dump(mode="json"),
        "gold": one.gold,
        "was_right": score.was_right,
        "is_right": score.is_right,
    }


def _summary(
    file: Path, overrides: list[str], replayed: Sequence[Replayed], scores: Sequence[_Score]
) -> dict[str, Any]:
    counts = Counter("missing" if now.outcome is None else "same" if now.is_same else "changed" for now in replayed)
    both = [score for score in scores if score.was_right is not None and score.is_right is not None]
    accuracy = None
    if both:
        accuracy = {
            "n": len(both),
            "was": wilson(sum(score.was_right is True for score in both), len(both))._asdict(),
            "is": wilson(sum(score.is_right is True for score in both), len(both))._asdict(),
        }
    return {
        "file": str(file),
        "overrides": overrides,
        "traces": len(replayed),
        **{name: counts[name] for name in ("same", "changed", "missing")},
        "accuracy": accuracy,
    }


def _lines(value: dict[str, Any], rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """For a terminal."""
    with_settings = f" with {' '.join(value['overrides'])}" if value["overrides"] else ""
    number = value["traces"]
    counts = f"{value['same']} the same, {value['changed']} changed, {value['missing']} without a call they need"
    yield f"{number} trace{'' if number == 1 else 's'} of {value['file']}{with_settings}: {counts}"
    different = [row for row in rows if not row["same"]]
    for row in different[:SHOWN]:
        yield f"{row['trace']}: {row['missing'] or _changes_text(row)}"
    if len(different) > SHOWN:
        yield f"... and {len(different) - SHOWN} more: --output FILE.jsonl has all"
    if value["accuracy"] is not None:
        was, now = (_share(Interval(**value["accuracy"][name])) for name in ("was", "is"))
        yield f"right, of {value['accuracy']['n']} with an answer to compare with: {was} as played, {now} now"


def _changes_text(row: dict[str, Any]) -> str:
    parts = [
        f"{name}: {_short(old)} -> {_short(new)}"
        for name, (old, new) in row["changes"].items()
        if name != "text" or "answer" not in row["changes"]
    ]
    for key, what in (("other_prompts", "another prompt"), ("other_seeds", "another seed")):
        if names := row[key]:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            parts.append(f"{names[0]}{more} would have {what}")
    return "; ".join(parts)


def _short(value: Any) -> str:
    if isinstance(value, dict) and "completion_tokens" in value:
        return f"{value['calls']} calls, {value['completion_tokens']:,} tokens"
    text = "-" if value is None else json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
    text = " ".join(text.split())
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."


def _share(interval: Interval) -> str:
    return f"{interval.estimate:.1%} [{interval.low:.1%}, {interval.high:.1%}]"
