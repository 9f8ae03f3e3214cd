"""slowhttptest against `reasonrl serve`: hundreds of clients that send or read next to nothing. The server closes their
connections, and honest clients keep their answers.
"""

from __future__ import annotations

import asyncio
import csv
import os
import shutil
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed (extra: serve)")

from benchmarks.serve_load import CHAT, ROUTES, Load, Reply, ask_alone, ask_by_clients, make_jobs
from reasonrl.serving.guard import Limits
from reasonrl.serving.run import HEAD_S, KEEP_ALIVE_S
from tests.serving.test_serve_command import Served, serving

CONNECTIONS, PER_SECOND = 500, 100
OPENED_S = CONNECTIONS / PER_SECOND
LEEWAY_S = 20.0
"""The server closes within its limits on a machine that has something else to do, too."""
LONGEST_S = 150
CLIENTS, TOKENS = 8, 24

pytestmark = [
    pytest.mark.soak,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        shutil.which("slowhttptest") is None, reason="slowhttptest is not installed (make load-tools, as root)"
    ),
]


@dataclass(frozen=True)
class Attack:
    """What came of one run of slowhttptest.

    Attributes:
        closed_s: seconds until the server held no more connections than before. None: it held them until the end.
        rows: what slowhttptest saw in each second.
        loads: what honest clients got meanwhile.
    """

    closed_s: float | None
    rows: list[dict[str, str]]
    loads: list[Load]

    def check(self, calm: Load, most_s: float) -> None:
        """`most_s`: until all are closed. An honest client may wait ten times as long as it does without the others."""
        assert max(int(row["Connected"]) for row in self.rows) > CONNECTIONS / 2, "too few came through for this test"
        assert self.closed_s is not None and self.closed_s < most_s + OPENED_S + LEEWAY_S, self.closed_s
        available = {row["Service Available"] for row in self.rows}  # the number of connections, or 0
        assert available == {str(CONNECTIONS)}, "slowhttptest's own honest request failed"
        assert [problem for one in self.loads for problem in one.problems] == []
        seconds = [reply.seconds for one in self.loads for reply in one.replies]
        assert len(seconds) >= CLIENTS
        longest = max(reply.seconds for reply in calm.replies)
        assert statistics.median(seconds) < 10 * longest and max(seconds) < 10 * longest + 5, (longest, max(seconds))


async def attack(served: Served, folder: Path, alone: Sequence[Reply], *words: str) -> Attack:
    """Runs slowhttptest to its end, or until the server has closed what it opened, with honest clients beside it."""
    words = ("-c", str(CONNECTIONS), "-r", str(PER_SECOND), "-l", str(LONGEST_S), *words)
    before = sockets(served)
    tool = await asyncio.create_subprocess_exec(
        "slowhttptest", *words, "-v", "1", "-g", "-o", "slow", cwd=folder, stdout=asyncio.subprocess.DEVNULL
    )
    started = time.monotonic()
    closed_s: float | None = None
    has_opened = False
    loads: list[Load] = []

    async def watch() -> None:
        nonlocal closed_s, has_opened
        while tool.returncode is None and closed_s is None:
            await asyncio.sleep(0.5)
            held = sockets(served) - before
            has_opened = has_opened or held > CONNECTIONS / 2
            if has_opened and held <= 2 * CLIENTS and time.monotonic() - started > OPENED_S:
                closed_s = time.monotonic() - started

    async def be_honest() -> None:
        while tool.returncode is None and closed_s is None:
            loads.append(await ask_by_clients(served.base, alone, clients=CLIENTS, requests=CLIENTS))

    await asyncio.gather(watch(), be_honest())
    if tool.returncode is None:
        await asyncio.sleep(2)  # it writes its rows once a second
    if tool.returncode is None:
        tool.terminate()
    await tool.wait()
    with (folder / "slow.csv").open(encoding="utf-8", newline="") as file:
        return Attack(closed_s, list(csv.DictReader(file)), loads)


def sockets(served: Served) -> int:
    """That the server holds."""
    folder = Path(f"/proc/{served.process.pid}/fd")
    count = 0
    for name in os.listdir(folder):
        try:
            count += os.readlink(folder / name).startswith("socket:")
        except FileNotFoundError:  # closed meanwhile
            continue
    return count


def test_slow_heads_slow_bodies_and_slow_readers(tmp_path: Path) -> None:
    with serving(tmp_path, "--max-new-tokens", str(TOKENS)) as served:
        alone = asyncio.run(ask_alone(served.base, make_jobs(2 * len(ROUTES), "tiny-critic", TOKENS)))
        calm = asyncio.run(ask_by_clients(served.base, alone, clients=CLIENTS, requests=4 * CLIENTS))
        assert calm.problems == []
        chat = ("-t", "POST", "-f", "application/json", "-s", "8192", "-u", served.base + CHAT)
        page = ("-w", "10", "-y", "20", "-n", "5", "-z", "5", "-k", "10", "-u", f"{served.base}/")
        for name, words, most_s in (
            ("heads", ("-H", "-i", "3", "-u", f"{served.base}/v1/models"), HEAD_S),
            ("bodies", ("-B", "-i", "3", *chat), Limits().body_s),
            # What fits into the system's own buffer is sent at once: then the connection ends as an idle one.
            ("readers", ("-X", *page), float(KEEP_ALIVE_S)),
        ):
            folder = tmp_path / name
            folder.mkdir()
            asyncio.run(attack(served, folder, alone, *words)).check(calm, most_s)
        assert served.get("/health").status_code == 200
