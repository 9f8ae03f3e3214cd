"""report.html: one self-contained page about the result of a run.

It needs no JavaScript and no network. What a series lacks leaves its chart out. Everything that a model wrote is
escaped.
"""

from __future__ import annotations

from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from reasonrl.host.files import replace_text
from reasonrl.runs import headline, method_plots, plots
from reasonrl.runs.accuracy import MODES
from reasonrl.runs.inputs import changes_allowed
from reasonrl.runs.metrics import ROW_KEYS, describe
from reasonrl.runs.reading import Row, Run, series
from reasonrl.runs.samples import SampleFilter, is_correct, main_verdict, outcome
from reasonrl.runs.transcript import TranscriptTurn, other_judged_text, transcript

EXAMPLES = (("wrong", "correct", 3), ("wrong", "wrong", 2), ("correct", "correct", 1), ("correct", "wrong", 2))
"""How many problems of each (before, after) the report shows."""
LAST_STEP_EXAMPLES = 6
PROMPT_CHARACTERS, RESPONSE_CHARACTERS, TURN_CHARACTERS = 360, 1200, 500
FIRST_TURNS, LAST_TURNS = 4, 4
"""Of a longer episode, the turns between them are left out."""


def write_report(run_path: str | Path) -> Path:
    """Write RUN/report.html (replacing an older one in one move) and return its path.

    Raises:
        UsageError: the folder is not a run, or a file of it is damaged.
    """
    run = Run.open(run_path)
    page = report_html(run)
    target = run.path / "report.html"
    replace_text(target, page)
    return target


def report_html(run: Run) -> str:
    """The page as text. Half a surrogate pair, which a file cannot hold, is shown by its number."""
    rows = run.metrics()
    changes = headline.changes(run)
    style = resources.files("reasonrl.runs").joinpath("assets/report.css").read_text(encoding="utf-8")
    sections = [
        _header(run, rows),
        _result(changes, rows),
        _facts(rows),
        _changed_inputs(run),
        _charts(rows),
        _examples(run, changes),
        _recipe(run),
        _glossary(rows),
    ]
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport"'
        f' content="width=device-width, initial-scale=1"><title>{escape(run.name)}: run'
        f" report</title><style>{style}</style></head>\n<body><main>\n"
        + "\n".join(sections)
        + "\n</main></body></html>\n"
    )
    return page.encode("utf-8", "backslashreplace").decode("utf-8")


def _header(run: Run, rows: list[Row]) -> str:
    last = max((int(row["step"]) for row in rows), default=0)
    session = run.session
    versions = session.get("versions")
    version = versions.get("reasonrl") if isinstance(versions, dict) else None
    facts = [f"model <b>{escape(run.model)}</b>" if run.model else "", f"{last} steps"]
    facts += [f"started {escape(str(session['started'])[:16].replace('T', ' '))}" if session.get("started") else ""]
    facts += [f"reasonrl {escape(str(version))}" if version else ""]
    meta = " · ".join(fact for fact in facts if fact)
    return f"<header><p class=eyebrow>Run report</p><h1>{escape(run.name)}</h1><p class=meta>{meta}</p></header>"


def _result(changes: list[headline.Change], rows: list[Row]) -> str:
    if not changes:
        losses = series([row for row in rows if row["kind"] == "sft"], "loss/sft")
        if losses:
            text = (
                f"The supervised loss went from {losses[0][1]:.3f} to {losses[-1][1]:.3f} nats a token in {len(losses)}"
                " logged steps."
            )
            return f"<section class=result><p class=lead>{text} No held-out evaluation was run.</p></section>"
        evaluated = any(row["kind"] == "eval" for row in rows)
        why = "No held-out answer could be judged" if evaluated else "No held-out evaluation was run"
        return f"<section class=result><p class=lead>{why}, so this run shows no result yet.</p></section>"
    cards = "".join(_card(change) for change in changes)
    words = "".join(f"<li>{escape(change.sentence())}</li>" for change in changes)
    return f"<section class=result><div class=cards>{cards}</div><ul class=words>{words}</ul></section>"


def _card(change: headline.Change) -> str:
    label = f"{change.set.replace('_', ' ')} · {MODES.get(change.mode, change.mode)}"
    tone = {"rose": "up", "fell": "down"}.get(change.direction, "flat")
    after = f"<div class=side><b>{100 * change.after.estimate:.1f}%</b><i>{_range(change.after)}</i></div>"
    before = arrow = ""
    if change.before is not None:
        before = (
            f"<div class='side past'><b>{100 * change.before.estimate:.1f}%</b><i>{_range(change.before)}</i></div>"
        )
        arrow = "<span class=arrow aria-label=to>&rarr;</span>"
    moved = f"<p class=moved>{escape(headline.points_text(change.points))}</p>" if change.points else ""
    n = f"{change.after.n} held-out problems" + (
        f", {change.samples_per_problem} samples each" if change.samples_per_problem > 1 else ""
    )
    notes = "".join(f"<p class=n>{escape(note)}</p>" for note in change.unjudged_notes())
    return (
        f"<div class='card {tone}'><h2>{escape(label)}</h2><div class=jump>{before}{arrow}{after}</div>{moved}<p"
        f" class=n>{n}</p>{notes}</div>"
    )


def _range(interval: Any) -> str:
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f}%"


def _facts(rows: list[Row]) -> str:
    train = [row for row in rows if row["kind"] == "train"]
    total = sum(value for _, value in series(train, "rollouts/total"))
    groups, mixed = (sum(value for _, value in series(train, f"groups/{name}")) for name in ("total", "mixed"))
    turns = [value for _, value in series(train, "response/turns")]
    seconds = sum(value for _, value in series(rows, "time/step_s"))
    peak = max((value for _, value in series(rows, "memory/rss_peak_mb")), default=0)
    facts = [
        (f"{total:,.0f}", "answers sampled") if total else None,
        (
            (f"{sum(value for _, value in series(rows, 'tokens/response')):,.0f}", "response tokens")
            if series(rows, "tokens/response")
            else None
        ),
        (f"{sum(turns) / len(turns):.1f}", "turns an episode") if any(value > 1 for value in turns) else None,
        (f"{100 * mixed / groups:.0f}%", f"of {groups:,.0f} groups carried signal") if groups else None,
        (duration(seconds), "in training steps") if seconds else None,
        (f"{peak / 1024:.1f} GB", "peak memory") if peak else None,
    ]
    for kind, label in (("truncated", "of answers cut off"), ("unparsed", "of answers unparsed")):
        count = sum(value for _, value in series(train, f"rollouts/{kind}"))
        facts.append((f"{100 * count / total:.1f}%", label) if total and series(train, f"rollouts/{kind}") else None)
    unjudged = sum((row.get("rollouts/unjudged_share") or 0.0) * (row.get("rollouts/total") or 0) for row in train)
    facts.append((f"{100 * unjudged / total:.1f}%", "of answers not judged") if total and unjudged else None)
    cells = "".join(f"<div><b>{number}</b><span>{label}</span></div>" for number, label in filter(None, facts))
    return f"<section class=facts>{cells}</section>" if cells else ""


def _changed_inputs(run: Run) -> str:
    """What was allowed to change when the run was resumed."""
    changes = changes_allowed(run.path)
    items = [f"after step {change['step']}: {difference}" for change in changes for difference in change["differences"]]
    if not items:
        return ""
    listed = "".join(f"<li>{escape(item)}</li>" for item in items)
    title = "Changed while the run was stopped (--allow-changes)"
    return f"<section class=result><p class=lead>{title}</p><ul class=words>{listed}</ul></section>"


def duration(seconds: float) -> str:
    """A duration in words: "3 min 20 s"."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {left:02d} s" if minutes else f"{left} s"


def _charts(rows: list[Row]) -> str:
    figures = "".join(map(_chart, [*plots.charts(rows), *method_plots.charts(rows)]))
    smoothed = len([row for row in rows if row["kind"] != "eval"]) >= plots.SMOOTH_FROM
    note = "<p class=note>Faint lines are single steps, strong lines their moving average.</p>" if smoothed else ""
    return f"{note}<section class=charts>{figures}</section>" if figures else ""


def _chart(chart: plots.Chart) -> str:
    label = f'aria-label="{escape(chart.title)} by step"'
    caption = f"<figcaption><b>{escape(chart.title)}</b><span>{escape(chart.caption)}</span></figcaption>"
    return (
        "<figure"
        f" class='{'wide' if chart.wide else ''}'>{caption}{chart.svg.replace('<svg ', f'<svg {label} ', 1)}</figure>"
    )


def _examples(run: Run, changes: list[headline.Change]) -> str:
    """The same held-out problems before and after; without an evaluation, some training rollouts of the last step."""
    change = next((change for change in changes if change.before is not None), None)
    if change is not None:
        before, after = (_first_answers(run, change, step) for step in (change.first_step, change.last_step))
        blocks = []
        for was, now, count in EXAMPLES:
            shown = [
                problem
                for problem in before
                if problem in after and _judgement(before[problem]) == was and _judgement(after[problem]) == now
            ]
            blocks += [_pair(before[problem], after[problem], change) for problem in shown[:count]]
        if not blocks:
            return ""
        note = (
            "The first problems of each kind: newly correct, still wrong, always correct, newly wrong. They are"
            " examples, not frequencies."
        )
        return f"<section><h2>Before and after</h2><p class=note>{note}</p>{''.join(blocks)}</section>"
    steps = [key.step for key in run.samples.scan() if key.kind == "train"]
    if not steps:
        return ""
    groups = run.samples.groups(SampleFilter(kind="train", step=max(steps)))
    first = run.samples.read([group[0] for group in groups[:LAST_STEP_EXAMPLES]])
    blocks = [
        f"<article><pre class=prompt>{_tail(row.get('prompt'))}</pre>{_answer(row, f'step {max(steps)}')}</article>"
        for row in first
    ]
    return f"<section><h2>Answers of the last step</h2>{''.join(blocks)}</section>"


def _first_answers(run: Run, change: headline.Change, step: int) -> dict[str, Row]:
    """Problem id -> its first answer in one evaluation; only one row of each problem is read."""
    wanted = SampleFilter(kind="eval", step=step, set=change.set, mode=change.mode)
    first = {key.problem_id: key for key in reversed(run.samples.scan()) if wanted.takes(key)}
    keys = sorted(first.values(), key=lambda key: key.offset)
    return {str(row["problem_id"]): row for row in run.samples.read(keys)}


def _judgement(row: Row) -> str:
    """correct, wrong or unjudged."""
    return {True: "correct", False: "wrong", None: "unjudged"}[is_correct(row)]


def _pair(before: Row, after: Row, change: headline.Change) -> str:
    columns = _answer(before, f"before (step {change.first_step})") + _answer(after, f"after (step {change.last_step})")
    return f"<article><pre class=prompt>{_tail(after.get('prompt'))}</pre><div class=pair>{columns}</div></article>"


def _answer(row: Row, label: str) -> str:
    result, verdict = outcome(row), main_verdict(row)
    reason = str((verdict[1].get("reason") if verdict else "") or "")
    turns = transcript(row)
    body = _transcript(turns, row) if turns else _text(row.get("response"), RESPONSE_CHARACTERS)
    return (
        f"<div class=answer><p class=who>{escape(label)} <span class='badge {result}'>{result}</span></p>{body}<p"
        f" class=reason>{escape(reason[:200])}</p></div>"
    )


def _transcript(turns: list[TranscriptTurn], row: Row) -> str:
    """The turns with who spoke, how long, and which text the verifier read."""
    blocks = [_turn(turn) for turn in turns]
    left_out = len(blocks) - FIRST_TURNS - LAST_TURNS
    if left_out > 1:
        blocks[FIRST_TURNS:-LAST_TURNS] = [f"<p class=reason>… {left_out} turns left out …</p>"]
    judged = other_judged_text(row, turns)
    if judged is not None:
        text = _text(judged, RESPONSE_CHARACTERS)
        blocks.append(f"<div class='turn judged'><p class=who><b>what the verifier read</b></p>{text}</div>")
    return f"<div class=turns>{''.join(blocks)}</div>"


def _turn(turn: TranscriptTurn) -> str:
    kinds = ("policy" if turn.by_policy else "partner") + (" judged" if turn.judged else "")
    badge = " <span class='badge read'>the verifier read this turn</span>" if turn.judged else ""
    who = f"<p class=who><b>{escape(turn.speaker)}</b> {escape(turn.length)}{badge}</p>"
    text = _text(turn.text, RESPONSE_CHARACTERS if turn.judged else TURN_CHARACTERS)
    return f"<div class='turn {kinds}'>{who}{text}</div>"


def _text(text: object, limit: int) -> str:
    text = str(text or "")
    return f"<pre>{escape(text[:limit]) or '<i>(empty)</i>'}{'…' if len(text) > limit else ''}</pre>"


def _tail(prompt: object) -> str:
    """The end of a prompt: of a few-shot prompt, that is the question."""
    text = str(prompt or "")
    return escape(text if len(text) <= PROMPT_CHARACTERS else "… " + text[-PROMPT_CHARACTERS:])


def _recipe(run: Run) -> str:
    text = (run.path / "recipe.yaml").read_text(encoding="utf-8")
    command = (
        f"<p class=note>Started with <code>{escape(str(run.info['command']))}</code></p>"
        if isinstance(run.info.get("command"), str)
        else ""
    )
    return (
        f"<section><details><summary>The recipe</summary>{command}<pre"
        f" class=code>{escape(text)}</pre></details></section>"
    )


def _glossary(rows: list[Row]) -> str:
    """What each metric in this run means, with its last value."""
    last: dict[str, Any] = {}
    for row in rows:
        last |= {name: value for name, value in row.items() if name not in ROW_KEYS}
    lines = []
    for name, value in last.items():
        try:
            metric = describe(name)
            meaning, unit, healthy = metric.meaning, metric.unit, metric.healthy
        except KeyError:
            meaning, unit, healthy = "not registered", "", ""
        shown = f"{value:.4g}" if isinstance(value, int | float) else "not a number" if value is None else str(value)
        lines.append(
            f"<tr><td><code>{escape(name)}</code><td>{escape(meaning)}<td>{escape(unit)}<td>{escape(healthy)}<td"
            f" class=num>{escape(shown)}"
        )
    if not lines:
        return ""
    table = (
        "<table><thead><tr><th>metric<th>meaning<th>unit<th>healthy<th"
        f" class=num>last</thead><tbody>{''.join(lines)}</tbody></table>"
    )
    return (
        "<section><details><summary>What each metric means</summary><div"
        f" class=scroll>{table}</div></details></section>"
    )
