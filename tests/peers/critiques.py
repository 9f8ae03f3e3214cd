"""Written critiques through the code of `reasonrl critic eval --benchmarks processbench`: everything but the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from critics.formats import load_format
from reasonrl.data.critiques import critique_problem
from reasonrl.engines.base import RoleEngines
from reasonrl.environments.base import Trajectory
from reasonrl.evaluation.benchmarks import find_benchmark
from reasonrl.evaluation.benchmarks.loading import load_benchmark
from reasonrl.evaluation.critic_benchmark import Criticised, criticise


class WrittenCritic:
    """A critic whose replies are written beforehand, by the text of the prompt."""

    def __init__(self, replies: dict[str, str]) -> None:
        self._replies = replies

    async def say(self, chats: Sequence[Any], seeds: Sequence[int], engines: RoleEngines) -> list[Trajectory]:
        replies = [self._replies[json.dumps(chat)] for chat in chats]
        return [Trajectory("critic", [], [], [], [], reply, "stop") for reply in replies]


def criticised(rows: Sequence[dict[str, Any]], critiques: Sequence[str], folder: Path) -> list[Criticised]:
    """Rows of ProcessBench, in its columns, with one critique each."""
    file = folder / "processbench.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    form = load_format("boxed_index")
    loaded = load_benchmark(find_benchmark("processbench", for_critics=True), path=str(file))
    problems = [critique_problem(problem, form) for problem in loaded.problems]
    prompts = [json.dumps(problem.prompt) for problem in problems]
    assert len(problems) == len(critiques) == len(set(prompts))
    critic = WrittenCritic(dict(zip(prompts, critiques, strict=True)))
    return criticise(problems, form, critic, None, n=1, seed=0)
