"""report.html of a run in stages: what each stage did, in one table, with its figures before and after and a link to
its own report.

Stages that do not train (`collect`, `game`) have no metrics by step; their counts and their first rows are shown here.
"""

from __future__ import annotations

import itertools
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from reasonrl.errors import UsageError
from reasonrl.host.files import replace_text
from reasonrl.recipe.kinds import KINDS
from reasonrl.runs import headline
from reasonrl.runs.accuracy import MODES
from reasonrl.runs.reading import Row, Run, first_session, json_object, read_rows, series
from reasonrl.runs.report import duration

BESIDE = (
    ("error_recall", "errors found"),
    ("false_alarm", "false alarms"),
    ("process_f1", "first wrong step, F1"),
    ("refine", "right after refinement"),
)
"""Figures of a critic that are shown beside its accuracy."""
EXAMPLES = 6
GAME_FIELDS = ("original", "spoilt", "before", "after", "validated", "detected")


def write_stages_report(run_path: str | Path) -> Path:
    """Write RUN/report.html of a run in stages and return its path.

    Raises:
        UsageError: the folder holds no stages, or a file of one is damaged.
    """
    folder = Path(run_path)
    stages = [Run.open(inner.parent) for inner in sorted(folder.glob("stages/*/recipe.yaml"))]
    if not stages:
        raise UsageError(f"{folder} has no stages; name the folder of a run in stages")
    info = json_object(folder / "run.json") if (folder / "run.json").is_file() else {}
    started = str(first_session(info).get("started", ""))[:16].replace("T", " ")
    style = resources.files("reasonrl.runs").joinpath("assets/report.css").read_text(encoding="utf-8")
    seconds = sum(_seconds(stage.metrics()) for stage in stages)
    meta = " · ".join(
        filter(
            None, [f"{len(stages)} stages", f"started {started}" if started else "", f"{duration(seconds)} in steps"]
        )
    )
    rows = "".join(_row(stage) for stage in stages)
    head = "<thead><tr><th>stage<th>kind<th>did<th>result</thead>"
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport"'
        f' content="width=device-width, initial-scale=1"><title>{escape(folder.resolve().name)}:'
        f" stages</title><style>{style}</style></head>\n<body><main>\n<header><p class=eyebrow>Run in"
        f" stages</p><h1>{escape(folder.resolve().name)}</h1><p class=meta>{meta}</p></header>\n<article><div"
        f" class=scroll><table>{head}<tbody>{rows}</tbody></table></div></article>\n"
        + "\n".join(filter(None, map(_examples, stages)))
        + "\n</main></body></html>\n"
    )
    target = folder / "report.html"
    replace_text(target, page)
    return target


def _row(stage: Run) -> str:
    kind = str(stage.recipe.get("kind", "rl"))
    if kind not in KINDS:
        raise UsageError(f"{stage.path / 'recipe.yaml'}: kind: there is no kind {kind!r} of stage")
    name = escape(stage.name)
    rows = stage.metrics()
    if (stage.path / "report.html").exists():
        name = f'<a href="stages/{escape(stage.path.name)}/report.html">{name}</a>'
    if not KINDS[kind].trains:
        counts = _counts(stage)
        did, result = (
            "gathered" if counts else "not finished",
            "<br>".join(f"{escape(k)}: {v}" for k, v in _counted(counts)),
        )
    else:
        steps = max((int(row["step"]) for row in rows), default=0)
        did = f"{steps:,} steps, {duration(_seconds(rows))}" if rows else "not begun"
        result = "<br>".join(line for change in headline.changes(stage) for line in _change(change, rows)) or _loss(
            rows
        )
    return f"<tr><td><b>{name}</b><td>{kind}<td>{did}<td>{result}"


def _change(change: headline.Change, rows: list[Row]) -> list[str]:
    """One evaluation set: accuracy before and after, then a critic's other figures."""
    label = f"{change.set.replace('_', ' ')}, {MODES.get(change.mode, change.mode)}"
    before = f"{100 * change.before.estimate:.1f} &rarr; " if change.before is not None else ""
    low, high = 100 * change.after.low, 100 * change.after.high
    lines = [f"{escape(label)}: {before}<b>{100 * change.after.estimate:.1f}%</b> [{low:.1f}, {high:.1f}]"]
    lines += [f"<span class=meta>{escape(note)}</span>" for note in change.unjudged_notes()]
    for name, words in BESIDE:
        points = series(rows, f"eval/{change.set}/{change.mode}_{name}")
        if points:
            first = f"{100 * points[0][1]:.1f} &rarr; " if len(points) > 1 else ""
            lines.append(f"<span class=meta>{words}: {first}{100 * points[-1][1]:.1f}%</span>")
    return lines


def _loss(rows: list[Row]) -> str:
    kind = rows[-1]["kind"] if rows else "sft"
    points = series(rows, "loss/sft" if kind == "sft" else "loss/policy")
    return f"loss {points[0][1]:.3f} &rarr; {points[-1][1]:.3f}" if points else ""


def _counts(stage: Run) -> dict[str, Any]:
    for name in ("collect.json", "game.json"):
        if (stage.path / name).is_file():
            return json_object(stage.path / name)
    return {}


def _counted(counts: dict[str, Any]) -> list[tuple[str, str]]:
    """Lines of collect.json (counts by set) or of game.json (counts, and shares with their intervals)."""
    lines = []
    for name, value in counts.items():
        if not isinstance(value, dict):
            lines.append((name, _count(value)))
        elif "estimate" in value:
            low, high, n = (value.get(key) for key in ("low", "high", "n"))
            lines.append(
                (name, f"<b>{_percent(value['estimate'])}%</b> [{_percent(low)}, {_percent(high)}], n = {_count(n)}")
            )
        else:
            lines.append((name, ", ".join(f"{_count(count)} {escape(what)}" for what, count in value.items())))
    return lines


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else escape(str(value))


def _percent(value: object) -> str:
    return f"{100 * value:.1f}" if isinstance(value, int | float) else "-"


def _examples(stage: Run) -> str:
    """The first rows that a stage wrote."""
    games = _first(stage.path / "games.jsonl", GAME_FIELDS)
    if games:
        cells = "".join(
            f"<tr><td>{escape(str(game['original']))}<td>{escape(str(game['spoilt']))}<td>{_share(game['before'])}<td>{_share(game['after'])}"
            f"<td>{'yes' if game['validated'] else 'no'}<td>{_yes_no(game['detected'])}"
            for game in games
        )
        head = (
            "<tr><th>correct step<th>corrupted step<th>solved from the first<th>from the second<th>harmful<th>detected"
        )
        return (
            f"<details><summary>{escape(stage.name)}: the first games</summary><table>{head}{cells}</table></details>"
        )
    rows = _first(stage.path / "train.jsonl")
    if not rows:
        return ""
    blocks = "".join(
        f"<article><pre class=prompt>{_prompt(row)}</pre><pre>{_output(row)}</pre></article>" for row in rows[:3]
    )
    return f"<details><summary>{escape(stage.name)}: the first rows</summary>{blocks}</details>"


def _prompt(row: Row) -> str:
    prompt = row.get("prompt", "")
    last = prompt[-1] if isinstance(prompt, list) and prompt else prompt
    return escape(str(last.get("content", "") if isinstance(last, dict) else last))[-400:]


def _output(row: Row) -> str:
    reference = row.get("reference")
    if not isinstance(reference, dict):
        return ""
    if "solution" not in reference:
        return escape(str(reference.get("demonstration", "")))
    wrong, steps = reference.get("first_error"), reference.get("steps")
    lines = steps if isinstance(steps, list) and steps else [reference["solution"]]
    return escape(
        "\n".join(f"{step}    <- the first wrong step" if i == wrong else str(step) for i, step in enumerate(lines))
    )


def _first(path: Path, fields: tuple[str, ...] = ()) -> list[Row]:
    return list(itertools.islice(read_rows(path, fields), EXAMPLES))


def _share(value: object) -> str:
    return f"{100 * value:.0f}%" if isinstance(value, int | float) else ""


def _yes_no(value: bool | None) -> str:
    return "" if value is None else "yes" if value else "no"


def _seconds(rows: list[Row]) -> float:
    return sum(value for _, value in series(rows, "time/step_s"))
