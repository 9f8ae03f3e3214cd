"""One real run on verl with every method on, killed and resumed; then its numbers are computed again from what went
through it.

The run is a fixture of conftest.py.
"""

from __future__ import annotations

import importlib.util
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from reasonrl.algorithms.tempo import tempo_advantages
from reasonrl.algorithms.unlikeliness import unlikeliness_rewards
from reasonrl.engines.base import Generation, Request
from reasonrl.recipe.reading import parse_recipe
from reasonrl.runs.checkpoint import list_checkpoints
from reasonrl.runs.console import TrainConsole
from reasonrl.runs.folder import RunFolder
from reasonrl.stages.rl import RLStage
from reasonrl.stages.run_stage import prepare
from reasonrl.update.schedule import learning_rate
from tests.verl_backend.conftest import Run
from tests.verl_backend.recipes import ON_TWO

pytestmark = [
    pytest.mark.verl,
    pytest.mark.timeout(900),
    pytest.mark.skipif(importlib.util.find_spec("verl") is None, reason="needs verl: make test-verl"),
]
STEPS = 6


def test_all_methods_ran_and_the_run_went_on_where_it_was_killed(run: Run) -> None:
    rows = run.rows("train")
    assert run.killed_at == 3
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1)), "each step once, those after the kill too"
    assert any(row["budget/rollouts_min"] < row["budget/rollouts_max"] for row in rows), "ragged groups"
    assert all(row["rollouts/total"] == 32 and row["rollouts/failed"] == 0 for row in rows), (
        "the sum of the budget is kept"
    )
    assert max(row["policy/rollout_gap_max"] for row in rows) < 1e-3, "the servers have the weights of the moment"
    assert all(row["rollouts/trained"] > 0 for row in rows), "a step without mixed groups shows nothing: other warm-up"
    assert any(row["loss/kl"] > 0 for row in rows[1:]), "a reference policy"
    optim = parse_recipe(yaml.safe_dump(ON_TWO), "test").stages[1].optim
    assert [row["optim/lr"] for row in rows] == pytest.approx(
        [learning_rate(optim, step, STEPS) for step in range(1, STEPS + 1)]
    )
    assert all(row["rollouts/trained"] < 32 for row in rows), "silent groups are no part of the update"
    for group in ("credit/", "shaping/", "budget/", "value/"):
        assert any(name.startswith(group) for name in rows[-1]), f"nothing is said of {group}"
    log = (run.stage / "verl" / "log.txt").read_text(errors="replace")
    assert "critic/vf_loss" in log or "critic/critic/vf_loss" in log, "the value head was trained"
    for name in ("sums", "gsm8k"):  # the second is a published benchmark
        rows = [row for row in run.rows("eval") if f"eval/{name}/problems" in row]
        assert [row["step"] for row in rows] == [0, STEPS], name
    assert all(row["eval/gsm8k/problems"] == 4 for row in rows)
    assert [c.step for c in list_checkpoints(run.stage / "checkpoints")] == [3, 6]
    samples = [json.loads(line) for line in (run.stage / "samples.jsonl").read_text().splitlines()]
    assert sum(s["kind"] == "train" for s in samples) == 32 * STEPS
    assert (run.stage / "report.html").is_file()
    assert json.loads((run.stage / "best" / "manifest.json").read_text())["step"] == STEPS


def test_the_state_of_the_methods_is_in_the_checkpoint(run: Run) -> None:
    """What was seen up to the kill is known after it: the history has all prompts of all six steps, the value model all
    observations.
    """
    states = {}
    for step in (3, 6):
        folder = run.stage / "verl" / "checkpoints" / f"global_step_{step}" / "reasonrl"
        states[step] = json.loads((folder / "state.json").read_text())["methods"]
    seen = {problem for number in range(1, STEPS + 1) for problem, _ in run.step(number)["asked"]}
    history = json.dumps(states[6]["rates"])
    assert all(json.dumps(problem) in history for problem in seen)
    early = {problem for number in range(1, 4) for problem, _ in run.step(number)["asked"]}
    assert all(json.dumps(problem) in json.dumps(states[3]["rates"]) for problem in early)


def test_advantages_in_transfer_queue_equal_those_of_the_raw_fields(run: Run) -> None:
    """Done-when 2: token ids, masks, scores and uids as verl has them, and nothing of our trainer."""
    compared = 0
    for number in range(1, STEPS + 1):
        kept = run.step(number)
        raw, made = kept["raw"], kept["made"]
        width = max(map(len, raw["responses"]))

        def padded(name: str, fill: float = 0.0, raw: dict[str, Any] = raw, width: int = width) -> torch.Tensor:
            return torch.tensor([[*row, *[fill] * (width - len(row))] for row in raw[name]])

        mask, tokens = padded("response_mask").bool(), padded("responses").long()
        scores = padded("rm_scores").sum(1)
        uids = {uid: i for i, uid in enumerate(dict.fromkeys(raw["uid"]))}
        group = torch.tensor([uids[uid] for uid in raw["uid"]])
        keep = torch.zeros(len(group), dtype=torch.bool)
        for members in (group == g for g in uids.values()):
            keep |= members & (len(set(scores[members].tolist())) > 1)  # drop_silent_groups
        mean_logprobs = (padded("rollout_log_probs") * mask).sum(1) / mask.sum(1)
        shaped = scores.clone()
        shaped[keep] = unlikeliness_rewards(scores[keep], mean_logprobs[keep], group[keep], beta=0.25)
        wanted = torch.zeros(len(group), width)
        wanted[keep] = tempo_advantages(tokens[keep], mask[keep], shaped[keep], group[keep])
        for row, (advantages, learnt) in enumerate(zip(made["advantages"], kept["learnt"], strict=True)):
            length = len(advantages)
            assert advantages == pytest.approx(wanted[row, :length].tolist(), abs=1e-5), (number, row)
            assert [bool(m) for m in learnt] == (mask[row, :length] & keep[row]).tolist()
            assert made["response_mask"][row] == raw["response_mask"][row], (
                "the value head learns from silent groups too"
            )
            assert made["returns"][row] == pytest.approx([float(scores[row]) * m for m in raw["response_mask"][row]])
            compared += int(keep[row]) * length
    assert compared > 100, "hardly any group had something to compare; the test would show nothing"


def test_gradients_equal_those_of_the_local_trainer(run: Run, tmp_path: Path) -> None:
    """Done-when 3: the local trainer gets the rollouts of verl from a scripted engine, and the weights that
    verl had.
    """
    recipe = parse_recipe(
        yaml.safe_dump({**ON_TWO, "backend": "local", "curriculum": {"name": "uniform"}}), "test"
    ).stages[1]
    warm = list_checkpoints(run.folder / "run" / "stages" / "01-warm-up" / "checkpoints")[-1].path
    folder = RunFolder(tmp_path / "local")
    folder.open(after_step=None)
    context = prepare(
        recipe, folder, TrainConsole(STEPS, quiet=True), init_from=str(warm), checkpoint=None, offline=True
    )
    stage = RLStage(context)
    by_id = {problem.id: problem for problem in context.data.train}
    checked = 0
    for number in range(1, STEPS + 1):
        kept = run.step(number)
        weights = torch.load(run.probe / f"grads-{number}.pt", weights_only=True)
        own = dict(context.model.named_parameters())
        assert set(own) == set(weights)
        with torch.no_grad():
            for name, (value, _) in weights.items():
                own[name].copy_(value)
        stage.pipeline.prompts.choose = lambda count, kept=kept: [by_id[i] for i, _ in kept["asked"]]  # type: ignore[method-assign]
        stage.pipeline.prompts.allocate = lambda problems, kept=kept: [n for _, n in kept["asked"]]  # type: ignore[method-assign]
        context.engine = Replay(kept)
        found: dict[str, torch.Tensor] = {}

        def keep_gradient(step: int, found: dict[str, torch.Tensor] = found) -> float:
            found.update({name: p.grad.clone() for name, p in context.model.named_parameters()})
            context.optimizer.zero_grad()
            return 0.0

        context.optimizer.step = keep_gradient  # type: ignore[method-assign]
        stage.run_step(number)
        assert found
        difference = sum(float(((found[name] - theirs) ** 2).sum()) for name, (_, theirs) in weights.items()) ** 0.5
        length = sum(float((theirs**2).sum()) for _, theirs in weights.values()) ** 0.5
        assert length > 1e-3
        assert difference / length <= 1e-5, f"step {number}: relative difference {difference / length:.2e}"
        checked += 1
    assert checked == STEPS


class Replay:
    """The responses of a step on verl, handed out by prompt, group by group: a step that spans two passes over the data
    may have two groups of one prompt.
    """

    def __init__(self, kept: dict[str, Any]) -> None:
        raw = kept["raw"]

        def place(row: int) -> tuple[int, int]:
            uid, session, *_ = kept["keys"][row].split("_")
            return kept["places"][uid], int(session)

        order = sorted(range(len(kept["keys"])), key=place)
        self._left: dict[tuple[int, ...], list[Generation]] = defaultdict(list)
        for i in order:
            ids, logprobs = raw["responses"][i], raw["rollout_log_probs"][i]
            self._left[tuple(raw["prompts"][i])].append(Generation(ids, logprobs, "stop"))

    def generate_batch(self, requests: list[Request]) -> list[Generation]:
        return [self._left[tuple(request.token_ids)].pop(0) for request in requests]
