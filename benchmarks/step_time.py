"""One GRPO update of reasonrl against TRL's GRPOTrainer, side by side on this machine's CPU. `make bench` runs it.

Both sides do the same work: SmolLM2-135M in bfloat16 (or --dtype), 8 prompts x 8 rollouts of exactly 16 new tokens (or
--shape; --new-tokens 128 and 512 stand for 4x8x128 and 4x4x512), the same token ids of the prompts, the same reward, no
reference model, no vLLM, one AdamW step on the policy that sampled. TRL may not sample the end-of-sequence token
(min_new_tokens); ours goes on behind it (ignore_eos). The reward tells all responses apart, so every group is kept.

Every setting of TRL runs in a process of its own, and updates alternate: ours, TRL, ours, TRL. The side whose turn it
is not sleeps. The first update of each process is not counted. Two blocks stand alone: ours without gradient
checkpointing, which costs memory and saves time; and ours with a correctness reward, where groups without signal are
skipped, since TRL computes such groups.

TRL gets bfloat16 weights and moments without autocast, the way that takes least memory, though at this learning rate
such weights round most of an update away. Ours keeps float32 master weights and moments and pays for them, so it has
gradient checkpointing on.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from step_time_process import Side, Update
from step_time_task import Shape

IDLE_SHARE = 0.02
"""A side that burns more than this share of the other's time while it waits would disturb the measurement."""
AIM, LIMIT = 1 / 3, 1 / 2
SHAPES = {16: Shape(8, 8, 16), 128: Shape(4, 8, 128), 512: Shape(4, 4, 512)}


@dataclass
class Pair:
    """One setting of TRL and the updates of ours that alternated with its own."""

    name: str
    setting: dict[str, Any]
    theirs: list[Update]
    ours: list[Update]

    @property
    def seconds(self) -> float:
        return statistics.median(update["seconds"] for update in self.theirs)

    @property
    def ratios(self) -> list[float]:
        """Ours through theirs, round by round: what else the machine did in a round touches both."""
        return [mine["seconds"] / its["seconds"] for mine, its in zip(self.ours, self.theirs, strict=True)]


def main() -> int:
    arguments = read_arguments()
    from reasonrl.models.embedded import smollm2_folder

    base = {
        "model": str(smollm2_folder()),
        "threads": arguments.threads,
        "prompts": arguments.prompts,
        "seed": 0,
        "shape": str(arguments.shape),
        "dtype": arguments.dtype,
        "positions": arguments.positions,
    }
    kept = {**base, "reward": "spread", "skip_silent_groups": False}
    kept |= {"checkpointing": arguments.our_checkpointing == "on"}
    checkpointing = {"off": [False], "on": [True], "both": [False, True]}[arguments.checkpointing]
    before = os.getloadavg()[0]
    pairs = []
    with Side("ours", "step_time_ours.py", kept) as ours:
        for micro in arguments.micro_batches:
            for saving in checkpointing:
                name = f"micro-batch {micro}" + (", checkpointing" if saving else "")
                setting = {**base, "reward": "spread", "micro_batch": micro, "checkpointing": saving, "autocast": False}
                with Side(f"TRL {name}", "step_time_trl.py", setting) as trl:
                    mine, its = alternate([ours, trl], arguments.updates)
                pairs.append(Pair(name, setting, its, mine))
    # Sums, since eight rollouts of word problems are all wrong for this model, and then there would be nothing to
    # measure.
    silent = {**kept, "prompts": "few-shot", "reward": "correctness", "skip_silent_groups": True}
    roomy = {**kept, "checkpointing": False}
    alone: list[list[Update]] = []
    for name, setting in (
        () if arguments.pairs_only else (("silent groups skipped", silent), ("no checkpointing", roomy))
    ):
        with Side(f"ours, {name}", "step_time_ours.py", setting) as side:
            alone += alternate([side], arguments.updates)
    skipping, without = alone or ([], [])

    trouble = check(pairs, arguments)
    best = min(pairs, key=lambda pair: pair.seconds)
    facts = machine(arguments, before)
    show(pairs, best, skipping, without, facts, trouble)
    if arguments.json:
        result = {
            "machine": facts,
            "best": best.name,
            "ratio": {
                "median": statistics.median(best.ratios),
                "low": min(best.ratios),
                "high": max(best.ratios),
                "n": len(best.ratios),
            },
            "peak_rss_mb": {"ours": peak(best.ours), "trl": peak(best.theirs)},
            "trouble": trouble,
            "pairs": [asdict(pair) for pair in pairs],
            "silent_groups_skipped": {"setting": silent, "updates": skipping},
            "no_checkpointing": {"setting": roomy, "updates": without},
        }
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 1 if trouble else 0


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--updates", type=int, default=6, metavar="N", help="timed updates of each side and setting (default 6)"
    )
    parser.add_argument(
        "--shape", type=Shape.read, metavar="PxRxT", help="prompts x rollouts x new tokens (default 8x8x16)"
    )
    parser.add_argument(
        "--new-tokens", type=int, choices=sorted(SHAPES), default=16, help="one of the shapes by its new tokens"
    )
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16", help="of the weights")
    parser.add_argument(
        "--positions",
        type=int,
        metavar="N",
        help="ours: positions_per_micro_batch (default 352, or the rollouts of one prompt up to 1,088)",
    )
    parser.add_argument(
        "--micro-batches",
        type=lambda text: [int(part) for part in text.split(",")],
        metavar="N,N",
        help="TRL's per_device_train_batch_size; gradient accumulation makes up the rows (default: 8, 16, 32 and 64"
        " for 16 new tokens, 4 and 8 for more)",
    )
    parser.add_argument(
        "--our-checkpointing",
        choices=["off", "on"],
        default="on",
        help="ours: gradient checkpointing, without which an update takes less time and more memory (default on)",
    )
    parser.add_argument(
        "--pairs-only", action="store_true", help="only what alternates with TRL, none of the two blocks of ours alone"
    )
    parser.add_argument(
        "--checkpointing",
        choices=["off", "on", "both"],
        default="off",
        help="TRL's gradient_checkpointing (default off)",
    )
    parser.add_argument(
        "--prompts",
        choices=["distinct", "few-shot"],
        default="distinct",
        help=(
            "distinct prompts share no beginning (default); few-shot prompts share their examples, which ours computes"
            " once"
        ),
    )
    parser.add_argument(
        "--threads", type=int, default=os.cpu_count() or 1, metavar="N", help="CPU threads of each side (default all)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every update to FILE")
    arguments = parser.parse_args()
    arguments.shape = arguments.shape or SHAPES[arguments.new_tokens]
    responses = arguments.shape.rollouts * arguments.shape.new_tokens
    arguments.positions = arguments.positions or max(352, min(responses, max(1024, arguments.shape.new_tokens)) + 64)
    arguments.micro_batches = arguments.micro_batches or (
        [8, 16, 32, 64] if arguments.shape.new_tokens <= 16 else [4, 8]
    )
    rows = arguments.shape.rows
    if any(n < 1 or rows % n for n in arguments.micro_batches) or arguments.updates < 1:
        parser.error(f"--micro-batches must divide {rows} and --updates be at least 1")
    return arguments


def alternate(sides: list[Side], rounds: int) -> list[list[Update]]:
    """`rounds` updates of each side in turn, after one that is not counted for a side that has made none."""
    for side in sides:
        if not side.warm:
            progress(side, "warm-up", side.update())
    made: list[list[Update]] = [[] for _ in sides]
    for number in range(1, rounds + 1):
        for side, updates in zip(sides, made, strict=True):
            updates.append(side.update())
            progress(side, f"update {number} of {rounds}", updates[-1])
    return made


def progress(side: Side, what: str, update: Update) -> None:
    print(
        f"  {side.name}: {what}, {update['seconds']:.1f} s, {update['peak_rss_mb']:.0f} MB", file=sys.stderr, flush=True
    )


def check(pairs: list[Pair], arguments: argparse.Namespace) -> list[str]:
    """What makes the comparison unfair. Empty when both sides did the same work and left each other alone."""
    trouble = []
    shape = arguments.shape
    rows = shape.rows
    same = {
        "rollouts": rows,
        "response_tokens": rows * shape.new_tokens,
        "groups_mixed": shape.prompts,
        "optimizer_steps": 1,
        "dtype": f"torch.{arguments.dtype}",
    }
    prompts = pairs[0].ours[0]
    same |= {"prompts": prompts["prompts"], "prompt_tokens": prompts["prompt_tokens"]}
    for pair in pairs:
        for name, updates, other in ((f"TRL {pair.name}", pair.theirs, pair.ours), ("ours", pair.ours, pair.theirs)):
            for key, wanted in same.items():
                got = {update[key] for update in updates}
                if got != {wanted}:
                    trouble.append(f"{name}: {key} is {', '.join(map(str, sorted(got)))} instead of {wanted}")
            idle = sum(update["idle_cpu_s"] for update in updates[1:])
            if idle > IDLE_SHARE * sum(update["seconds"] for update in other):
                trouble.append(f"{name}: used {idle:.1f} s of CPU while the other side was measured")
        if any(update["rollouts_trained"] != rows for update in pair.ours):
            trouble.append("ours: not every rollout was trained on")
    return trouble


def peak(updates: list[Update]) -> float:
    return max(update["peak_rss_mb"] for update in updates)


def machine(arguments: argparse.Namespace, load_before: float) -> dict[str, Any]:
    names = ("reasonrl", "trl", "torch", "transformers")
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "threads": arguments.threads,
        "prompts": arguments.prompts,
        "shape": str(arguments.shape),
        "dtype": arguments.dtype,
        "positions": arguments.positions,
        "our_checkpointing": arguments.our_checkpointing,
        "load_before": load_before,
        "load_after": os.getloadavg()[0],
        "versions": {name: importlib.metadata.version(name) for name in names},
    }


def show(
    pairs: list[Pair],
    best: Pair,
    skipping: list[Update],
    without: list[Update],
    facts: dict[str, Any],
    trouble: list[str],
) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console() if sys.stdout.isatty() else Console(width=140)
    table = Table(
        title=(
            f"One update: {facts['shape']} (prompts x rollouts x new tokens), {facts['prompts']} prompts,"
            f" {facts['dtype']}"
        )
    )
    for title in (
        "",
        "seconds, median [range]",
        "n",
        "rollout s",
        "CPU s",
        "peak RSS MB",
        "ours / TRL, median [range]",
    ):
        table.add_column(title, justify="left" if title == "" else "right")

    def row(name: str, updates: list[Update], ratios: list[float] | None = None) -> None:
        def middle(key: str) -> float:
            return statistics.median(update[key] for update in updates)

        seconds = spread([update["seconds"] for update in updates], 1)
        ratio = "" if ratios is None else spread(ratios, 2)
        table.add_row(
            name,
            seconds,
            str(len(updates)),
            f"{middle('rollout_s'):.1f}",
            f"{middle('cpu_s'):.1f}",
            f"{peak(updates):.0f}",
            ratio,
        )

    row(
        f"reasonrl, all groups kept, checkpointing {facts['our_checkpointing']}",
        [update for pair in pairs for update in pair.ours],
    )
    for pair in pairs:
        row(f"TRL, {pair.name}" + (" (best)" if pair is best else ""), pair.theirs, pair.ratios)
    table.add_section()
    if skipping:
        trained = statistics.mean(update["rollouts_trained"] for update in skipping)
        row(
            f"reasonrl, few-shot sums, correctness reward,\nsilent groups skipped ({trained:.0f} of"
            f" {skipping[0]['rollouts']} rollouts trained)",
            skipping,
        )
    if without:
        row("reasonrl, all groups kept, no checkpointing", without)
    console.print(table)
    console.print(
        f"{facts['cpu']}, {facts['cores']} cores, {facts['threads']} threads; load before {facts['load_before']:.1f},"
        f" after {facts['load_after']:.1f} (1 side alone gives about {facts['threads']}). "
        + ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    )
    console.print("A range of 6 runs from the least to the greatest is a 97% interval for the median; of 5, a 94% one.")
    ratio = statistics.median(best.ratios)
    verdict = "the aim" if ratio <= AIM else "within the limit" if ratio <= LIMIT else "too slow"
    memory = "no more" if peak(best.ours) <= peak(best.theirs) else "MORE"
    console.print(
        f"Ours takes {ratio:.2f} of TRL's best time (aim {AIM:.2f}, limit {LIMIT:.2f}: {verdict}) and {memory} memory"
        " than that setting."
    )
    for line in trouble:
        console.print(f"NOT A FAIR COMPARISON: {line}")


def spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}, {max(values):.{digits}f}]"


if __name__ == "__main__":
    sys.exit(main())
