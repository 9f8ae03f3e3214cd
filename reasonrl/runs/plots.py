"""The report's charts: one function a chart, rows of metrics.jsonl in, an inline SVG out (None when the run lacks the
series).

matplotlib draws, with text left as text, so that the page's font is used and numbers can be searched. Ids are prefixed
by the chart's name because all charts live in one HTML document.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from reasonrl.runs.accuracy import MODES
from reasonrl.runs.reading import Row, eval_sets, series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#2563eb", "#d97706", "#0f9d74", "#d64545", "#7c5cbf", "#9aa5b1"
INK, GRID = "#3e4c59", "#e9edf1"
FONT = "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
MAX_BARS = 80
SMOOTH_FROM = 30


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawn chart. `svg` can be embedded in HTML as it is; a `wide` chart takes a full row of the page."""

    name: str
    title: str
    caption: str
    svg: str
    wide: bool = False


def charts(rows: list[Row]) -> list[Chart]:
    """Every chart that these metrics allow, in reading order."""
    makers: list[Callable[[list[Row]], Chart | None]] = [
        accuracy, sft_loss, reward, groups, response_length, turns, entropy, kl, rollout_gap, unjudged, phases,
        gradient,
    ]  # fmt: skip
    return [chart for maker in makers if (chart := maker(rows)) is not None]


def accuracy(rows: list[Row]) -> Chart | None:
    train, evals = _rows_of_kind(rows, "train"), _rows_of_kind(rows, "eval")
    lines = [(name, mode) for name in eval_sets(evals) for mode in MODES if series(evals, f"eval/{name}/{mode}")]
    on_train = series(train, "accuracy/train")
    if not lines and not on_train:
        return None
    bounded = False
    with _figure("accuracy", wide=True) as (axes, finish):
        if on_train:
            _line(axes, on_train, GREY, "training rollouts")
            bounded |= _bound(axes, train_bound(train), on_train, GREY)
        colours = [BLUE, ORANGE, GREEN, PURPLE, RED]
        for position, (name, mode) in enumerate(lines):
            colour, base = colours[position % len(colours)], f"eval/{name}/{mode}"
            banded = [
                row for row in evals if row.get(f"{base}_low") is not None and row.get(f"{base}_high") is not None
            ]
            if banded:
                steps, low, high = ([row[key] for row in banded] for key in ("step", f"{base}_low", f"{base}_high"))
                axes.fill_between(steps, low, high, color=colour, alpha=0.13, linewidth=0)
            points = series(evals, base)
            axes.plot(
                *zip(*points, strict=True),
                color=colour,
                marker="o",
                markersize=4.5,
                linewidth=2,
                label=f"{_spoken(name)}, {mode}",
            )
            bounded |= _bound(axes, series(evals, f"{base}_if_unjudged_wrong"), points, colour)
        _percent(axes)
    caption = (
        "Share of correct answers among those that could be judged. Bands are 95% intervals over held-out problems."
        if lines
        else "Share of correct answers among the training answers that could be judged."
    )
    caption += " Dotted: the share if all unjudged answers were wrong." if bounded else ""
    return Chart("accuracy", "Accuracy", caption, finish(), wide=True)


def train_bound(train: list[Row]) -> list[tuple[int, float]]:
    """(step, accuracy of the training rollouts if all unjudged ones were wrong)."""
    known = [row for row in train if row.get("rollouts/unjudged_share", 0.0) is not None]
    unjudged = dict(series(known, "rollouts/unjudged_share"))
    return [(step, value * (1 - unjudged.get(step, 0.0))) for step, value in series(known, "accuracy/train")]


def _bound(axes: Axes, bound: list[tuple[int, float]], accuracy: list[tuple[int, float]], colour: str) -> bool:
    """A dotted line where the bound lies below the accuracy somewhere. Returns whether it does."""
    estimates = dict(accuracy)
    if all(value >= estimates.get(step, 1.0) for step, value in bound):
        return False
    axes.plot(*zip(*bound, strict=True), color=colour, linewidth=1.1, linestyle=(0, (1, 2)))
    return True


def reward(rows: list[Row]) -> Chart | None:
    train = _rows_of_kind(rows, "train")
    mean = series(train, "reward/mean")
    if not mean:
        return None
    parts = sorted(
        {name for row in train for name in row if name.startswith("reward/")} - {"reward/mean", "reward/std"}
    )
    with _figure("reward") as (axes, finish):
        if len(parts) > 1:
            for part, colour in zip(parts, (GREEN, PURPLE, ORANGE, RED, GREY), strict=False):
                points = series(train, part)
                if points:
                    _line(axes, points, colour, _spoken(part.removeprefix("reward/")), width=1.2)
        _line(axes, mean, BLUE, "total")
    return Chart(
        "reward",
        "Reward",
        "Mean over the judged rollouts of each step" + (", and its parts before weighting." if len(parts) > 1 else "."),
        finish(),
    )


def groups(rows: list[Row]) -> Chart | None:
    needed = [
        ("groups/all_correct", "all right", GREEN),
        ("groups/mixed", "mixed", BLUE),
        ("groups/all_wrong", "all wrong", RED),
    ]
    train = [row for row in _rows_of_kind(rows, "train") if all(row.get(name) is not None for name, _, _ in needed)]
    train = [row for row in train if row.get("groups/unjudged", 0) is not None]
    layers = (
        [*needed, ("groups/unjudged", "not judged", GREY)]
        if any(row.get("groups/unjudged") for row in train)
        else needed
    )
    if not train:
        return None
    with _figure("groups") as (axes, finish):
        _stack(
            axes,
            [row["step"] for row in train],
            [(label, colour, [row.get(name) or 0 for row in train]) for name, label, colour in layers],
        )
        axes.set_ylabel("prompts")
    return Chart(
        "groups",
        "Groups of answers",
        "Only groups with both correct and incorrect answers (mixed) carry signal.",
        finish(),
    )


def response_length(rows: list[Row]) -> Chart | None:
    train = _rows_of_kind(rows, "train")
    mean, longest = series(train, "response/tokens_mean"), series(train, "response/tokens_max")
    outside = series(train, "response/environment_tokens")
    if not mean:
        return None
    with _figure("length") as (axes, finish):
        if longest:
            axes.plot(*zip(*longest, strict=True), color=GREY, linewidth=1.1, linestyle=(0, (4, 3)), label="longest")
        if any(value for _, value in outside):
            _line(axes, outside, GREEN, "of the environment, mean", width=1.4)
        _line(axes, mean, BLUE, "mean")
        axes.set_ylim(bottom=0)
        axes.set_ylabel("tokens")
    return Chart("length", "Response length", "Tokens of each answer.", finish())


def turns(rows: list[Row]) -> Chart | None:
    """For runs with episodes of several turns."""
    if all(value <= 1 for _, value in series(rows, "response/turns")):
        return None
    caption = "How many turns the policy took, on average."
    return _single(rows, "turns", "response/turns", "Turns of an episode", caption, BLUE, "", zero=True)


def entropy(rows: list[Row]) -> Chart | None:
    """Of the whole next-token distribution, and the surprise of what was sampled, which estimates it."""
    train = _rows_of_kind(rows, "train")
    points, surprise = series(train, "policy/entropy"), series(train, "policy/surprise")
    if not points and not surprise:
        return None
    with _figure("entropy") as (axes, finish):
        if surprise:
            _line(axes, surprise, GREY, "surprise of the sampled tokens", width=1.2)
        if points:
            _line(axes, points, PURPLE, "entropy" if surprise else "")
        axes.set_ylabel("nats")
        axes.set_ylim(bottom=0)
    return Chart("entropy", "Entropy", "Per response token. Near 0 the model no longer explores.", finish())


def kl(rows: list[Row]) -> Chart | None:
    return _single(
        rows,
        "kl",
        "policy/kl_ref",
        "Distance from the reference model",
        "Estimated KL divergence per token.",
        ORANGE,
        "nats",
        zero=True,
    )


def rollout_gap(rows: list[Row]) -> Chart | None:
    caption = "Mean |log-prob in training - log-prob in sampling| per token; it should stay near 0."
    return _single(rows, "gap", "policy/rollout_gap", "Rollout gap", caption, GREEN, "nats", zero=True)


def gradient(rows: list[Row]) -> Chart | None:
    return _single(rows, "gradient", "optim/grad_norm", "Gradient norm", "Before clipping.", INK, "", zero=True)


def sft_loss(rows: list[Row]) -> Chart | None:
    caption = "Cross-entropy per response token of the supervised phase."
    return _single(rows, "sft", "loss/sft", "Supervised loss", caption, BLUE, "nats", zero=True, wide=True)


def unjudged(rows: list[Row]) -> Chart | None:
    kinds = [
        ("truncated", "cut off", ORANGE),
        ("unparsed", "unparsed", PURPLE),
        ("timeout", "timed out", RED),
        ("error", "verifier broke", INK),
    ]
    train = [row for row in _rows_of_kind(rows, "train") if row.get("rollouts/total")]
    totals = {row["step"]: row["rollouts/total"] for row in train}
    drawn = [
        (label, colour, [(step, count / totals[step]) for step, count in series(train, f"rollouts/{kind}")])
        for kind, label, colour in kinds
    ]
    if not any(points for _, _, points in drawn):
        return None
    with _figure("unjudged") as (axes, finish):
        for label, colour, points in drawn:
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, linewidth=1.7, label=label)
        _percent(axes)
    caption = "Share of the rollouts. Unparsed answers count as wrong; timed-out and broken ones are left out."
    return Chart("unjudged", "Answers cut off or not judged", caption, finish())


def phases(rows: list[Row]) -> Chart | None:
    names = [("rollout", BLUE), ("verify", GREEN), ("update", ORANGE), ("eval", PURPLE)]
    steps = _rows_of_kind(rows, "train") or _rows_of_kind(rows, "sft")
    steps = [row for row in steps if None not in [row.get(f"time/{name}_s", 0) for name in ("step", *dict(names))]]
    spent = [{name: float(row.get(f"time/{name}_s") or 0) for name, _ in names} for row in steps]
    # An evaluation may be in the train row or in a separate row.
    evals: dict[int, float] = {}
    for step, seconds in series(_rows_of_kind(rows, "eval"), "time/eval_s"):  # one row a set
        evals[step] = evals.get(step, 0.0) + seconds
    for row, parts in zip(steps, spent, strict=True):
        parts["other"] = max(0.0, float(row.get("time/step_s") or 0) - sum(parts.values()))
        parts["eval"] = parts["eval"] or evals.get(row["step"], 0.0)
    layers = [(name, colour, [parts[name] for parts in spent]) for name, colour in [*names, ("other", GREY)]]
    layers = [layer for layer in layers if any(layer[2])]
    if not layers:
        return None
    with _figure("time") as (axes, finish):
        _stack(axes, [row["step"] for row in steps], layers)
        axes.set_ylabel("seconds a step")
    return Chart("time", "Where the time goes", "Seconds of each step by phase.", finish())


def _single(
    rows: list[Row],
    name: str,
    metric: str,
    title: str,
    caption: str,
    colour: str,
    unit: str,
    zero: bool,
    wide: bool = False,
) -> Chart | None:
    points = series([row for row in rows if row["kind"] != "eval"], metric)
    if not points:
        return None
    with _figure(name, wide=wide) as (axes, finish):
        _line(axes, points, colour, "")
        axes.set_ylabel(unit)
        if zero:
            axes.set_ylim(bottom=min(0.0, min(value for _, value in points)))
    return Chart(name, title, caption, finish(), wide=wide)


def _spoken(name: str) -> str:
    return name.replace("_", " ")


def _rows_of_kind(rows: list[Row], kind: str) -> list[Row]:
    return [row for row in rows if row["kind"] == kind]


def _line(axes: Axes, points: list[tuple[int, float]], colour: str, label: str, width: float = 2) -> None:
    """A line; a long noisy one is drawn faintly under its centred moving average."""
    steps, values = [step for step, _ in points], [value for _, value in points]
    if len(points) < SMOOTH_FROM:
        marker = "o" if len(points) == 1 else None
        axes.plot(steps, values, color=colour, linewidth=width, label=label, marker=marker, markersize=4)
        return
    half = max(2, len(points) // 40)
    smooth = [sum(part) / len(part) for part in (values[max(0, i - half) : i + half + 1] for i in range(len(values)))]
    axes.plot(steps, values, color=colour, linewidth=0.4 * width, alpha=0.3)
    axes.plot(steps, smooth, color=colour, linewidth=width, label=label)


def _stack(axes: Axes, steps: list[int], layers: list[tuple[str, str, list[float]]]) -> None:
    """Stacked bars, one a step; of long runs one a stretch of steps, with its mean."""
    size = -(-len(steps) // MAX_BARS)
    starts = range(0, len(steps), size)
    centres = [sum(steps[i : i + size]) / len(steps[i : i + size]) for i in starts]
    bottom = [0.0] * len(centres)
    for label, colour, values in layers:
        heights = [sum(values[i : i + size]) / len(values[i : i + size]) for i in starts]
        axes.bar(centres, heights, bottom=bottom, width=size * 0.86, color=colour, alpha=0.88, linewidth=0, label=label)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]


def _percent(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(lambda value, _: f"{round(100 * value, 6):g}%")
    axes.set_ylim(0, min(1.02, max(axes.get_ylim()[1], 0.01)))


@contextmanager
def _figure(name: str, wide: bool = False) -> Iterator[tuple[Axes, Callable[[], str]]]:
    """Axes in the house style, and a function that returns the SVG once they are drawn (call it before or after the
    block ends).
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    style: dict[str, Any] = {
        "svg.fonttype": "none",
        "text.parse_math": False,
        "svg.hashsalt": name,
        "font.family": ["DejaVu Sans"],
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.edgecolor": "#cbd2d9",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.axisbelow": True,
        "grid.color": GRID,
        "grid.linewidth": 1,
        "xtick.major.size": 3,
        "ytick.major.size": 0,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
        "axes.xmargin": 0.02,
    }
    drawn: list[str] = []
    with matplotlib.rc_context(cast(Any, style)):
        figure = Figure(figsize=(9.6, 3.4) if wide else (4.7, 2.75), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.set_xlabel("step")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=9 if wide else 6))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(lambda value, _: f"{round(value, 12):g}")
        yield axes, lambda: drawn[0]
        handles, labels = axes.get_legend_handles_labels()
        if any(labels):
            figure.legend(
                handles,
                labels,
                loc="outside upper left",
                ncols=6,
                handlelength=1.3,
                columnspacing=1.2,
                borderaxespad=0.1,
            )
        text = io.StringIO()
        figure.savefig(
            text, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
        drawn.append(_inline(text.getvalue(), name))


def _inline(svg: str, name: str) -> str:
    """The <svg> element alone, sized by the page, with ids that no other chart has."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"', r'<svg role="img" \1', svg, count=1)
    svg = re.sub(r'(<svg [^>]*?)height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    return svg.replace("'DejaVu Sans'", FONT.replace('"', "'")).strip()
