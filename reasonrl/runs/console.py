"""What a person sees while a run trains: one line a step, one a evaluation, and a bar with the time left.

On a terminal the bar stays below the lines; anywhere else (a file, a pipe, CI) there are only plain lines without
control codes. No line is longer than 110 columns; on a narrower terminal the least important columns are left out.
"""

from __future__ import annotations

import io
import os
import sys
import textwrap
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from reasonrl.host.terminal import reader_is_gone
from reasonrl.runs.accuracy import MODES, accuracy_in_row
from reasonrl.runs.reading import eval_sets

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

WIDTH = 110
HEADER_EVERY = 25
_RECENT_STEPS = 20

MetricRow = Mapping[str, Any]


class _Column(NamedTuple):
    title: str
    width: int
    text: Callable[[MetricRow], str]
    rank: int
    """On a narrow terminal the columns with the highest rank go first."""


class TrainConsole:
    """Prints a run as it happens. Use it as a context manager, so that the terminal is left as it was found, whatever
    happens.

    Args:
        total_steps: how many steps the run will have done at its end.
        quiet: print nothing but warnings.
        stream: where to write; standard output by default.
    """

    def __init__(self, total_steps: int, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.total_steps = total_steps
        self.quiet = quiet
        self._stream = stream or sys.stdout or io.StringIO()  # a program may have no output
        self._reader_is_gone = False
        self._terminal = self._stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "")
        self._encoding = self._stream.encoding or "utf-8"
        self._console: Console = self._make_console()
        self._width = min(WIDTH, self._console.width)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._marks: deque[float] = deque(maxlen=_RECENT_STEPS + 1)
        self._table = ""
        self._lines = 0

    def __enter__(self) -> TrainConsole:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def start(self, seconds_ago: float = 0.0) -> None:
        """Show the bar and begin to count the time of the first step: call it when loading and the first evaluation are
        over.
        """
        self._marks.clear()
        self._marks.append(time.monotonic() - seconds_ago)
        if self._terminal and not self.quiet and self._progress is None:
            self._progress = self._make_progress()
            self._task = self._progress.add_task("training", total=self.total_steps, left="")
            self._progress.start()

    def step(self, row: MetricRow) -> None:
        """One line for a "train", "sft" or "offline" row of the metrics."""
        self._marks.append(time.monotonic())
        remaining = _duration(self._remaining_seconds(int(row["step"])))
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=int(row["step"]), left=f"{remaining} left")
        if self.quiet:
            return
        kind = str(row.get("kind", "train"))
        columns = self._fitting(
            _loss_columns(self.total_steps, kind) if kind != "train" else _train_columns(self.total_steps)
        )
        if kind != self._table or self._lines % HEADER_EVERY == 0:
            self._table, self._lines = kind, 0
            self._print("  ".join([*(f"{column.title:>{column.width}}" for column in columns), f"{'left':>8}"]), "bold")
        self._lines += 1
        self._print("  ".join([*(f"{column.text(row):>{column.width}}" for column in columns), f"{remaining:>8}"]))

    def evaluation(self, row: MetricRow) -> None:
        """One line for each evaluation set of an "eval" row: accuracy with its 95% interval, how many answers could not
        be judged, and the number of problems.
        """
        if self.quiet:
            return
        for name in eval_sets([dict(row)]):
            base = f"eval/{name}"
            parts = [text for mode in MODES if (text := _accuracy_text(row, name, mode))]
            if row.get(f"{base}/problems") is not None:
                samples = row.get(f"{base}/samples_per_problem")
                parts.append(f"n = {row[f'{base}/problems']:.0f}" + (f" x {samples:.0f}" if samples else ""))
            if row.get(f"{base}/greedy_refine") is not None:
                before = f"before {_share(row.get(f'{base}/greedy_refine_before'))}"
                parts.append(f"after refinement {_with_interval(row, f'{base}/greedy_refine')}, {before}")
            self._print(f"  eval at step {row['step']} on {name}: " + ", ".join(parts), "cyan")

    def note(self, text: str) -> None:
        """Print a note."""
        if not self.quiet:
            self._print(text)

    def warn(self, text: str) -> None:
        """A warning; the only thing that is printed when quiet."""
        self._print(f"warning: {text}", "yellow")

    def finish(self, text: str) -> None:
        """Remove the bar and print the last lines."""
        self._stop()
        if not self.quiet:
            self._print(text, "bold")

    def _print(self, text: str, style: str | None = None) -> None:
        """Print wrapped to the width. Control characters, which could move the cursor or hide text, are shown
        as `?`.
        """
        from rich.text import Text

        for line in text.splitlines() or [""]:
            clean = "".join(
                character if character.isprintable() else " " if character == "\t" else "?" for character in line
            )
            clean = clean.encode(self._encoding, "backslashreplace").decode(self._encoding)
            for piece in textwrap.wrap(clean, self._width, drop_whitespace=False, subsequent_indent="    ") or [""]:
                self._console.print(
                    Text(piece.rstrip(), style=style or ""), no_wrap=True, crop=False, overflow="ignore"
                )
        if reader_is_gone(self._stream) and not self._reader_is_gone:
            self._reader_is_gone = True
            note = "note: nobody reads the output any more; the run continues, and its folder has the numbers"
            print(note, file=sys.stderr)

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = self._task = None

    def _remaining_seconds(self, step: int) -> float:
        """The mean of the recent steps, evaluations between them included, times the steps left."""
        spent = self._marks[-1] - self._marks[0] if len(self._marks) > 1 else 0.0
        return spent / max(1, len(self._marks) - 1) * max(0, self.total_steps - step)

    def _fitting(self, columns: list[_Column]) -> list[_Column]:
        fitting = list(columns)
        while len(fitting) > 1 and sum(column.width + 2 for column in fitting) + 8 > self._width:
            fitting.remove(max(fitting, key=lambda column: column.rank))
        return fitting

    def _make_console(self) -> Console:
        from rich.console import Console

        if self._terminal:
            return Console(file=self._stream, highlight=False, markup=False, emoji=False)
        return Console(
            file=self._stream,
            highlight=False,
            markup=False,
            emoji=False,
            force_terminal=False,
            color_system=None,
            width=WIDTH,
        )

    def _make_progress(self) -> Progress:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        return Progress(*columns, console=self._console, transient=True)


def _train_columns(total: int) -> list[_Column]:
    width = max(5, 2 * len(str(total)) + 1)
    return [
        _Column("step", width, lambda row: f"{row['step']}/{total}", 0),
        _Column("reward", 6, lambda row: _number(row, "reward/mean", ".3f"), 1),
        _Column("right", 6, lambda row: _share(row.get("accuracy/train")), 2),
        _Column("groups: mixed", 13, lambda row: _number(row, "groups/mixed", ".0f"), 3),
        _Column("solved", 6, lambda row: _number(row, "groups/all_correct", ".0f"), 4),
        _Column("failed", 6, lambda row: _number(row, "groups/all_wrong", ".0f"), 5),
        _Column("unread", 6, lambda row: _rollout_share(row, "unparsed"), 8),
        _Column("cut off", 7, lambda row: _rollout_share(row, "truncated"), 9),
        _Column("tokens", 6, lambda row: _number(row, "response/tokens_mean", ".1f"), 6),
        _Column("entropy", 7, lambda row: _number(row, "policy/entropy", ".3f"), 7),
        _Column("s/step", 6, lambda row: _number(row, "time/step_s", ".1f"), 2),
    ]


def _loss_columns(total: int, kind: str) -> list[_Column]:
    """The columns of stages that sample nothing: sft and offline."""
    width = max(5, 2 * len(str(total)) + 1)
    losses = [_Column("loss", 7, lambda row: _number(row, "loss/sft", ".4f"), 1)]
    if kind == "offline":
        losses = [
            _Column("reward", 7, lambda row: _number(row, "reward/mean", ".3f"), 1),
            _Column("loss", 8, lambda row: _number(row, "loss/policy", ".4f"), 1),
            _Column("clipped", 7, lambda row: _number(row, "policy/clip_fraction", ".1%"), 3),
        ]
    return [
        _Column("step", width, lambda row: f"{row['step']}/{total}", 0),
        *losses,
        _Column("tokens", 8, lambda row: _number(row, "tokens/response", ",.0f"), 3),
        _Column("grad norm", 9, lambda row: _number(row, "optim/grad_norm", ".3f"), 4),
        _Column("lr", 8, lambda row: _number(row, "optim/lr", ".1e"), 5),
        _Column("s/step", 6, lambda row: _number(row, "time/step_s", ".1f"), 2),
    ]


def _number(row: MetricRow, name: str, form: str) -> str:
    value = row.get(name)
    return "-" if value is None else format(value, form)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}%"


def _rollout_share(row: MetricRow, name: str) -> str:
    count, total = row.get(f"rollouts/{name}"), row.get("rollouts/total")
    return "-" if count is None or not total else f"{100 * count / total:.0f}%"


def _accuracy_text(row: MetricRow, set_name: str, mode: str) -> str:
    """`greedy 45.0% (95% CI 35.6 to 54.8) (3 of 100 answers not judged, 43.7% if all of these were wrong)`."""
    accuracy = accuracy_in_row(row, set_name, mode)
    if accuracy is None:
        return ""
    if accuracy.interval is None:
        return f"{mode}: none of {accuracy.answers:,} answers could be judged"
    text = f"{mode} {_with_interval(row, f'eval/{set_name}/{mode}')}"
    return f"{text} ({accuracy.unjudged_text()})" if accuracy.unjudged else text


def _with_interval(row: MetricRow, name: str) -> str:
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    if row.get(name) is None:
        return "-"
    text = f"{100 * row[name]:.1f}%"
    return text if low is None or high is None else f"{text} (95% CI {100 * low:.1f} to {100 * high:.1f})"


def _duration(seconds: float) -> str:
    minutes, rest_s = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{rest_s:02d}s" if minutes else f"{rest_s}s"
