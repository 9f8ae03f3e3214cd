"""The math verifier inside Ray, as verl calls it: the same verdicts as in the main thread. `make test-verl` runs it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from verifiers.adapters import compute_score
from verifiers.math.verifier import MathVerifier

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.verl, pytest.mark.timeout(600)]

ROWS = [
    (r"\boxed{0.5}", "1/2"),
    (r"\boxed{3}", "4"),
    ("nothing", "4"),
    (r"\boxed{\sum_{k=1}^{n} k}", "n(n+1)/2"),
    (r"\boxed{x+1}", "1+x"),
    (r"\boxed{1}", ""),
    # an integral that the reference asks for; others are refused by their size
    (r"\boxed{\int_0^1 \frac{\sin(\sin(x^x))}{\ln(1+x^{x^x})} dx}", r"\int_0^1 x dx"),
]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=100_000_000,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}},
    )
    yield
    ray.shutdown()


def verdicts() -> list[tuple[Any, ...]]:
    """Everything of a verdict but the time it took, and words that hold a time."""
    texts, golds = zip(*ROWS, strict=True)
    verifier = MathVerifier(timeout_s=10.0)  # Ray and 9 workers share what may be two cores
    found = verifier.verify(texts, [{"answer": gold} for gold in golds])
    verifier.close()
    return [(v.correct, v.score, v.status.value, v.extracted, v.method) for v in found]


def test_the_same_verdicts_in_an_actor_an_async_actor_and_a_task(cluster: None) -> None:
    @ray.remote(num_cpus=0)
    class Judge:
        def judge(self) -> list[tuple[Any, ...]]:
            return verdicts()

    @ray.remote(num_cpus=0)
    class AsyncJudge:
        async def judge(self) -> list[tuple[Any, ...]]:
            return verdicts()

    expected = verdicts()
    assert [row[2] for row in expected] == ["judged", "judged", "unparsed", "judged", "judged", "error", "timeout"]
    threaded = Judge.options(max_concurrency=8).remote()
    found = ray.get(
        [Judge.remote().judge.remote(), AsyncJudge.remote().judge.remote(), ray.remote(num_cpus=0)(verdicts).remote()]
    )
    assert found == [expected] * 3
    assert ray.get([threaded.judge.remote() for _ in range(8)]) == [expected] * 8


def test_verls_own_reward_loader_finds_compute_score(cluster: None) -> None:
    """The file and function as verl's configuration names them, in a Ray task: the process in which verl calls a reward
    function.
    """
    config = pytest.importorskip("omegaconf").OmegaConf.create(
        {
            "reward": {
                "custom_reward_function": {
                    "path": "pkg://verifiers.adapters",
                    "name": "compute_score",
                    "reward_kwargs": {"mode": "lenient"},
                }
            }
        }
    )

    def score(config: Any) -> list[float]:
        from verl.trainer.ppo.reward import get_custom_reward_fn

        function = get_custom_reward_fn(config)
        return [
            function(data_source="any", solution_str=text, ground_truth=gold, extra_info={})["score"]
            for text, gold in ROWS[:5]
        ]

    expected = [compute_score("any", text, gold, mode="lenient")["score"] for text, gold in ROWS[:5]]
    assert expected == [1.0, 0.0, 0.0, 1.0, 1.0]
    assert ray.get(ray.remote(num_cpus=1)(score).remote(config)) == expected


def test_programs_are_judged_in_a_sandbox_from_a_task(cluster: None) -> None:
    program = "```python\ndef double(x):\n    return 2 * x\n```"
    tests = [["assert double(2) == 4"], ["assert double(2) == 5"], []]

    def score() -> list[tuple[Any, ...]]:
        rows = [compute_score("any", program, reference, verifier="code") for reference in tests]
        return [(row["score"], row["status"]) for row in rows]

    expected = score()
    assert expected == [(1.0, "judged"), (0.0, "judged"), (0.0, "error")]
    assert ray.get(ray.remote(num_cpus=1)(score).remote()) == expected
