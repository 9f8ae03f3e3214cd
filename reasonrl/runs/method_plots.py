"""The report's charts of the learning methods: one for each that was switched on, beside those that every run has
(`plots`).
"""

from __future__ import annotations

from reasonrl.runs.plots import BLUE, GREEN, GREY, ORANGE, PURPLE, Chart, _figure, _line, _percent, _rows_of_kind
from reasonrl.runs.reading import Row, series

Lines = list[tuple[str, str, str]]
"""(metric, colour, label)"""


def charts(rows: list[Row]) -> list[Chart]:
    """Every chart of a method that these metrics allow."""
    return [chart for maker in (effective, budget, value, credit, shaping) if (chart := maker(rows)) is not None]


def effective(rows: list[Row]) -> Chart | None:
    lines = [("rollouts/effective_share", GREEN, "")]
    return _several(
        rows,
        "effective",
        "Rollouts with a gradient",
        "Share of rollouts in groups whose rewards differ.",
        lines,
        percent=True,
    )


def budget(rows: list[Row]) -> Chart | None:
    lines = [
        ("budget/rollouts_max", ORANGE, "most"),
        ("budget/rollouts_median", BLUE, "median"),
        ("budget/rollouts_min", GREY, "fewest"),
    ]
    return _several(rows, "budget", "Rollouts of a prompt", "How the knapsack gives out the rollouts of a step.", lines)


def value(rows: list[Row]) -> Chart | None:
    lines = [("value/explained_variance", BLUE, "explained variance"), ("value/bias", ORANGE, "bias")]
    caption = (
        "Predictions against the success rates that followed. Explained variance below 0 is worse than a constant."
    )
    return _several(rows, "value", "Value model", caption, lines)


def credit(rows: list[Row]) -> Chart | None:
    lines = [("credit/moved_share", PURPLE, "credit moved"), ("credit/branching_share", GREY, "tokens that branch")]
    return _several(
        rows,
        "credit",
        "Credit by TEMPO",
        "Near 0, answers share too little for the tree to matter.",
        lines,
        percent=True,
    )


def shaping(rows: list[Row]) -> Chart | None:
    lines = [
        ("shaping/likelihood_correlation", PURPLE, "reward and likelihood, rank correlation"),
        ("shaping/mean", ORANGE, "added to the reward"),
    ]
    return _several(rows, "shaping", "Shaping", "Near 1, the policy only sharpens what it already does.", lines)


def _several(rows: list[Row], name: str, title: str, caption: str, lines: Lines, percent: bool = False) -> Chart | None:
    train = _rows_of_kind(rows, "train")
    drawn = [(points, colour, label) for metric, colour, label in lines if (points := series(train, metric))]
    if not drawn:
        return None
    with _figure(name) as (axes, finish):
        for points, colour, label in drawn:
            _line(axes, points, colour, label)
        if percent:
            _percent(axes)
    return Chart(name, title, caption, finish())
