"""`reasonrl replay`: recomputes rewards and advantages of a saved run with other settings, without a model. A file
instead of a folder holds traces of strategies (`replay_trace`).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from statistics import fmean

from reasonrl.commands.inspect import last_stage
from reasonrl.commands.output import emit
from reasonrl.errors import UsageError
from reasonrl.host.files import replacing
from reasonrl.host.outputs import check_file
from reasonrl.host.terminal import json_text
from reasonrl.runs.replay import Replay, replay

SHOWN_STEPS = 12


def replay_command(
    run: Path, overrides: list[str], *, output: Path | None, as_json: bool, reference: str | None = None
) -> None:
    if run.is_file():
        from reasonrl.commands.replay_trace import replay_trace_command

        replay_trace_command(run, overrides, reference=reference, output=output, as_json=as_json)
        return
    if reference is not None:
        raise UsageError(f"--reference: {run} is not a file of traces; a run has its answers with it")
    if output is not None:
        check_file(output, "--output")
    result = replay(last_stage(run), overrides)
    if output is not None:
        with replacing(output) as file:
            for row in result.rows:
                file.write((json_text(row) + "\n").encode())
    value = {
        "run": result.run,
        "overrides": result.overrides,
        "notes": result.notes,
        "steps": [dataclasses.asdict(s) for s in result.steps],
    }
    emit(as_json, value, "")
    if not as_json:
        print_replay(result)


def print_replay(result: Replay) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(title=f"{result.run} with {' '.join(result.overrides) or 'its own settings'}")
    for title in (
        "step",
        "reward",
        "mixed groups",
        "mean |A|",
        "correlation of A",
        "verdicts changed",
        "rollouts a prompt",
    ):
        table.add_column(title, justify="right")
    every = max(1, -(-len(result.steps) // SHOWN_STEPS))
    for start in range(0, len(result.steps), every):
        part = result.steps[start : start + every]
        known = [s.correlation for s in part if s.correlation is not None]
        budgets = [count for s in part for count in s.replayed_budgets]
        table.add_row(
            str(part[0].step) if len(part) == 1 else f"{part[0].step} to {part[-1].step}",
            f"{fmean(s.reward for s in part):.3f} -> {fmean(s.replayed_reward for s in part):.3f}",
            f"{sum(s.mixed for s in part)} -> {sum(s.replayed_mixed for s in part)} of {sum(s.groups for s in part)}",
            f"{fmean(s.advantage for s in part):.3f} -> {fmean(s.replayed_advantage for s in part):.3f}",
            "-" if not known else f"{fmean(known):.3f}",
            str(sum(s.verdicts_changed for s in part)),
            f"{min(budgets)} to {max(budgets)}",
        )
    console.print(table)
    for note in result.notes:
        console.print(f"note: {note}")
