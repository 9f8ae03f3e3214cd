"""The math verifier against math-verify and, where they are installed, verl's graders: accuracy, speed, hostile inputs,
in one run.

`make bench-math` runs it. The labelled file has columns gold, pred, equivalent, form (answer or response), source,
policy; rows with a policy are debatable and reported apart, as are the labels that we believe wrong (DISPUTED says
why). A verdict of null is an error. The file of reports holds pairs rebuilt from what users of other graders reported.

Speed: whole file, cold cache, everything pinned to one core, start-up of processes not counted for either side. Then
the rows that reach a worker, and some more for algebra, with one worker and with two, alternated, on all cores.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from reasonrl.stats import wilson
from verifiers.errors import VerifierError
from verifiers.math.algebra import POOL_INITIALIZER, POOL_TARGET
from verifiers.math.compare import compare
from verifiers.math.extract import extract
from verifiers.math.peer import MathVerify
from verifiers.math.verifier import MathVerifier
from verifiers.pool.pool import WorkerPool
from verifiers.response import Extraction
from verifiers.types import Verdict

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
DISPUTED = {
    # line: (beginning of the reference, why the label is believed wrong)
    23: ("10/9", "the response says that one half is 10/9"),
    34: ("Let's assume", "the reference is the text of a problem"),
    83: ("f'{math", "the reference is Python source"),
    120: ("Alina and", "the reference holds a piece of a sentence"),
    312: ("$221,$8$", "the reference is a garbled 221/8"),
    342: ("$\\sqrt{2}-1$", "one of two solutions is missing"),
    408: ("785.12", "784 is not 785.12"),
    422: ("113.4", "113.33% does not round to 113.4%"),
    444: ("[kπ-", "the answer is open where the reference is closed"),
    1447: ("k \\geqslant 2", "2 is not the set of all k from 2 on"),
    1507: ("17", "the response ends with 2T - 10"),
    1511: ("5,1", "the response gives one of two values"),
    1518: ("41352", "the response gives one of three labels"),
    1523: ("\\frac{567}{4}", "the response boxes 567"),
    1557: ("24", "the response boxes 12(sqrt A - 5)"),
    1570: ("3-\\sqrt{2}", "the response boxes 3 sqrt 2 - 2"),
}


@dataclass(frozen=True)
class Grader:
    name: str
    ask: Callable[[Sequence[dict[str, Any]]], list[Verdict]]
    repeats: int


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--labelled", type=Path, default=SHARED / "math_equivalence.jsonl")
    parser.add_argument("--reports", type=Path, default=SHARED / "math_reports.jsonl")
    parser.add_argument("--hostile", type=Path, default=SHARED / "math_pathological.jsonl")
    parser.add_argument(
        "--repeats", type=int, default=3, help="timed passes of ours (default 3); math-verify makes one"
    )
    parser.add_argument(
        "--worker-repeats", type=int, default=5, help="timed passes with one and with two workers (default 5)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    for path in (arguments.labelled, arguments.reports, arguments.hostile):
        if not path.exists():
            parser.error(f"{path} is not there; name another file with --labelled, --reports and --hostile")
    cases = [json.loads(line) for line in arguments.labelled.open(encoding="utf-8")]
    for line, (gold, _) in DISPUTED.items():
        if arguments.labelled == SHARED / "math_equivalence.jsonl" and not cases[line - 1]["gold"].startswith(gold):
            raise SystemExit(f"line {line} of {arguments.labelled} is not the one that is disputed")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # workers inherit it
    graders = [ours("lenient", arguments.repeats), ours("strict", 1), math_verify(), *verl_graders()]
    results = [measure(grader, cases, DISPUTED) for grader in graders]
    reports = [{"policy": "", **json.loads(line)} for line in arguments.reports.open(encoding="utf-8")]
    on_reports = [measure(grader, reports, {}) for grader in graders]
    os.sched_setaffinity(0, cores)
    workers = one_worker_and_two(cases, arguments.worker_repeats)
    hostile = hostile_rows(arguments.hostile)
    show(results, f"{arguments.labelled.name}: all rows but those marked as a matter of policy")
    show(on_reports, arguments.reports.name)
    show_rest(results, workers, hostile)
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"graders": results, "reports": on_reports, "workers": workers, "hostile": hostile}, indent=1)
            + "\n",
            encoding="utf-8",
        )
    return 0


COPIES = 10
FOR_ALGEBRA = [
    (r"\frac{n(n+1)}{2}", r"\sum_{k=1}^{n} k"),
    (r"\frac{n(n+1)(2n+1)}{6}", r"\sum_{k=1}^{n} k^2"),
    (r"\frac{n^2(n+1)^2}{4}", r"\sum_{k=1}^{n} k^3"),
    ("385", r"\sum_{k=1}^{10} k^2"),
    ("120", r"\prod_{k=1}^{5} k"),
    (r"\frac{1}{3}", r"\int_0^1 x^2 dx"),
    ("9", r"\int_0^3 x^2 dx"),
    ("2", r"\int_0^{\pi} \sin x dx"),
    ("-2", r"\begin{vmatrix} 1 & 2 \\ 3 & 4 \end{vmatrix}"),
]
"""Answer and reference. Few rows of the file reach a worker, and the slowest one alone would decide."""
WARM_UP = [{"pred": r"\boxed{\sum_{k=1}^{n} k}", "gold": r"\frac{n(n+1)}{2}", "form": "response"}] * 2
"""Goes to a worker: imports and start-up are paid before the clock runs, on every side."""


def ours(mode: Any, repeats: int) -> Grader:
    # Nothing is remembered between passes: a cold cache. Those of texts hold a few hundred, which one pass drives out.
    verifier = MathVerifier(mode=mode, workers=1, cache_size=0)

    def ask(rows: Sequence[dict[str, Any]]) -> list[Verdict]:
        return verifier.judge([read(row, mode) for row in rows], [{"answer": row["gold"]} for row in rows])

    return Grader(f"reasonrl {mode}", ask, repeats)


def math_verify() -> Grader:
    peer = MathVerify(timeout_s=5.0)

    def ask(rows: Sequence[dict[str, Any]]) -> list[Verdict]:
        boxed = [
            row["pred"] if row["form"] == "response" or "\\boxed" in row["pred"] else f"\\boxed{{{row['pred']}}}"
            for row in rows
        ]
        return peer.verify(boxed, [{"answer": row["gold"]} for row in rows])

    return Grader("math-verify", ask, 1)


def verl_graders() -> list[Grader]:
    """verl's own, if this environment has them."""
    try:
        from verl.utils.reward_score import math_dapo, math_reward, prime_math
    except ImportError:
        return []

    def made(name: str, score: Callable[[str, str], bool]) -> Grader:
        def ask(rows: Sequence[dict[str, Any]]) -> list[Verdict]:
            verdicts = []
            for row in rows:
                text = (
                    row["pred"]
                    if row["form"] == "response" or "\\boxed" in row["pred"]
                    else f"\\boxed{{{row['pred']}}}"
                )
                right = score(text, row["gold"])
                verdicts.append(_plain_verdict(right))
            return verdicts

        return Grader(f"verl {name}", ask, 1)

    return [
        made("math_reward", lambda text, gold: bool(math_reward.compute_score(text, gold))),
        made("math_dapo", lambda text, gold: bool(math_dapo.compute_score(text, gold)["acc"])),
        made("prime_math", lambda text, gold: bool(prime_math.compute_score(text, gold)[0])),
    ]


def _plain_verdict(right: bool) -> Verdict:
    from verifiers.types import Status

    return Verdict(right, float(right), Status.JUDGED, None, "", "", 0.0)


def measure(grader: Grader, cases: list[dict[str, Any]], disputed: Mapping[int, Any]) -> dict[str, Any]:
    grader.ask(WARM_UP)
    seconds, verdicts = [], []
    for _ in range(grader.repeats):
        started = time.perf_counter()
        verdicts = grader.ask(cases)
        seconds.append(time.perf_counter() - started)
    rows = list(enumerate(zip(cases, verdicts, strict=True), 1))
    plain = [(case, v) for _, (case, v) in rows if not case["policy"]]
    agreed = [(case, v) for line, (case, v) in rows if not case["policy"] and line not in disputed]
    tiny = [(case, v) for _, (case, v) in rows if case["source"].startswith("tinyv") and case["equivalent"]]
    print(f"  {grader.name}: {statistics.median(seconds):.2f} s", file=sys.stderr, flush=True)
    return {
        "name": grader.name,
        "all but policy": score(plain),
        "less disputed": score(agreed),
        "policy": score([(case, v) for _, (case, v) in rows if case["policy"]]),
        "tinyv equal found": share(sum(v.correct is True for _, v in tiny), len(tiny)),
        "seconds": seconds,
        "cases per second": len(cases) / statistics.median(seconds),
        "mistakes": [
            {
                "line": line,
                "gold": case["gold"][:80],
                "pred": case["pred"][-80:],
                "said": v.correct,
                "method": v.method,
                "reason": v.reason,
            }
            for line, (case, v) in rows
            if v.correct is not case["equivalent"]
        ],
    }


def score(pairs: list[tuple[dict[str, Any], Verdict]]) -> dict[str, Any]:
    equal = [v for case, v in pairs if case["equivalent"]]
    other = [v for case, v in pairs if not case["equivalent"]]
    found, accepted = sum(v.correct is True for v in equal), sum(v.correct is True for v in other)
    refused = sum(v.correct is False for v in other)
    return {
        "accuracy": share(found + refused, len(pairs)),
        "equal found": share(found, len(equal)),
        "wrong accepted": share(accepted, len(other)),
        "null": sum(v.correct is None for _, v in pairs),
    }


def read(row: dict[str, Any], mode: Any = "lenient") -> Extraction:
    if row["form"] == "response":
        return extract(row["pred"], mode)
    return Extraction(row["pred"], "the answer") if row["pred"].strip() else Extraction(None, "empty")


def one_worker_and_two(cases: list[dict[str, Any]], repeats: int) -> dict[str, Any]:
    """The pairs that only a worker process can judge, those of the file and `FOR_ALGEBRA`: seconds with one worker and
    with two, alternated. Each pair goes in `COPIES` times, or the slowest one alone would decide; the verifier itself
    would judge equal pairs once, so they go to its pool.
    """
    rows = {(answer, row["gold"]) for row in cases if (answer := read(row).answer) is not None}
    of_file = {pair for pair in rows if compare(*pair) is None}
    pairs = sorted(of_file.union(pair for pair in FOR_ALGEBRA if compare(*pair) is None))
    items = pairs * COPIES
    # in order, each of two workers would meet the same ten again and again, in sympy's cache
    random.Random(0).shuffle(items)
    pools = {
        count: WorkerPool(POOL_TARGET, workers=count, timeout_s=5.0, initializer=POOL_INITIALIZER) for count in (1, 2)
    }
    seconds: dict[int, list[float]] = {count: [] for count in pools}
    for pool in pools.values():
        pool.map(items[: 2 * len(pairs)])
    for _ in range(repeats):
        for count, pool in pools.items():
            started = time.perf_counter()
            pool.map(items)
            seconds[count].append(time.perf_counter() - started)
    for pool in pools.values():
        pool.close()
    ratios = [one / two for one, two in zip(seconds[1], seconds[2], strict=True)]
    return {
        "rows": len(items),
        "pairs": len(pairs),
        "of the file": len(of_file),
        "seconds": seconds,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    }


class PeakMemory:
    """Watches the workers of a verifier, dead ones included: the most resident memory that one took, in MB (Linux)."""

    def __init__(self, verifier: MathVerifier) -> None:
        self.mb = 0.0
        self._verifier, self._over = verifier, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.01):
            for pid in self._verifier.worker_pids:
                try:
                    status = Path(f"/proc/{pid}/status").read_text()
                except OSError:  # it has just ended; what it took was seen 10 ms ago
                    continue
                held = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
                self.mb = max(self.mb, int(held) / 1024)


def share(count: int, n: int) -> dict[str, Any] | None:
    if not n:
        return None
    interval = wilson(count, n)
    return {"value": count / n, "low": interval.low, "high": interval.high, "count": count, "n": n}


def hostile_rows(path: Path) -> dict[str, Any]:
    """Every hostile input through the verifier: the slowest, what was not judged, and the most memory a worker took."""
    rows = [json.loads(line) for line in path.open(encoding="utf-8")]
    verifier = MathVerifier(mode="lenient", workers=1, timeout_s=2.0)
    found, seconds = [], []
    with PeakMemory(verifier) as memory:
        for row in rows:
            started = time.perf_counter()
            (verdict,) = verifier.judge([read(row)], [{"answer": row["gold"]}])
            seconds.append(time.perf_counter() - started)
            found.append(
                {
                    "id": row["id"],
                    "correct": verdict.correct,
                    "status": verdict.status.value,
                    "method": verdict.method,
                    "seconds": seconds[-1],
                }
            )
    verifier.close()
    return {
        "rows": found,
        "slowest_s": max(seconds),
        "judged": sum(row["correct"] is not None for row in found),
        "worker_peak_mb": memory.mb,
    }


def console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=150)


def show(results: list[dict[str, Any]], title: str) -> None:
    table = Table(title=f"{title}; 95% Wilson intervals; null counts as an error")
    for column in (
        "",
        "accuracy",
        "equal found",
        "wrong accepted",
        "null",
        "less disputed labels",
        "policy rows",
        "TinyV equal found",
        "cases/s",
    ):
        table.add_column(column, justify="left" if not column else "right")

    def text(part: dict[str, Any] | None) -> str:
        return "-" if part is None else f"{part['value']:.1%} [{part['low']:.1%}, {part['high']:.1%}]"

    for made in results:
        plain = made["all but policy"]
        table.add_row(
            made["name"],
            text(plain["accuracy"]),
            text(plain["equal found"]),
            text(plain["wrong accepted"]),
            str(plain["null"]),
            text(made["less disputed"]["accuracy"]),
            text(made["policy"]["accuracy"]),
            text(made["tinyv equal found"]),
            f"{made['cases per second']:.0f}",
        )
    console().print(table)


def show_rest(results: list[dict[str, Any]], workers: dict[str, Any], hostile: dict[str, Any]) -> None:
    """Speed, workers and hostile inputs."""
    out = console()
    speeds = {made["name"]: made["cases per second"] for made in results}
    out.print(
        f"One core, cold cache: {speeds['reasonrl lenient'] / speeds['math-verify']:.1f} times math-verify's cases a"
        " second."
    )
    one, two = (statistics.median(workers["seconds"][count]) for count in (1, 2))
    out.print(
        f"{workers['of the file']} pairs of the file reach a worker. {workers['pairs']} pairs for algebra, {COPIES}"
        f" times each: {one:.2f} s with one worker, {two:.2f} s with two; {workers['ratio']:.2f} times as fast"
        f" (median of {len(workers['ratios'])}, from {min(workers['ratios']):.2f} to {max(workers['ratios']):.2f})."
    )
    out.print(
        f"{len(hostile['rows'])} hostile inputs: slowest {hostile['slowest_s']:.2f} s (deadline 2 s),"
        f" {hostile['judged']} judged, worker peak {hostile['worker_peak_mb']:.0f} MB; not judged: "
        + (", ".join(f"{row['id']} ({row['status']})" for row in hostile["rows"] if row["correct"] is None) or "none")
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VerifierError as error:
        sys.exit(f"error: {error}")
