"""Against the installed verl, without a run: its schema, its losses, and our reward manager in its hands."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import yaml

from reasonrl.cli import main
from reasonrl.errors import TrainingError
from reasonrl.recipe.reading import load_recipe, parse_recipe, shipped_recipes
from reasonrl.update.schedule import learning_rate
from tests.verl_backend.recipes import EVERYTHING

pytestmark = [
    pytest.mark.verl,
    pytest.mark.skipif(importlib.util.find_spec("verl") is None, reason="needs verl: make test-verl"),
]

ON_VERL = sorted(p.parent.name for p in shipped_recipes().glob("*/recipe.yaml") if "backend: verl" in p.read_text())


@pytest.mark.parametrize("name", ON_VERL)
def test_recipes_for_clusters_pass_the_dry_run(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["reasonrl", "train", name, "--dry-run", "--offline"])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert ended.value.code == 0, err
    said = " ".join(out.split())
    assert "settings are known to verl 0.9.1" in said
    assert "not checked the model" in said, "offline, nothing of the hub can be looked at, and that is said"
    assert any(stage.backend == "verl" and stage.kind == "rl" for stage in load_recipe(name).stages)


def test_a_setting_that_verl_does_not_know_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = "verl.settings=[actor_rollout_ref.actor.no_such_key=1]"
    monkeypatch.setattr("sys.argv", ["reasonrl", "train", ON_VERL[0], wrong, "--dry-run", "--offline"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "no_such_key" in capsys.readouterr().err


def item(text: str, ground_truth: Any) -> Any:
    """One row as verl hands it to a reward manager; the tokenizer below reads code points."""
    ids = torch.tensor([ord(c) for c in text])
    batch = {"responses": ids, "attention_mask": torch.ones(len(ids) + 3, dtype=torch.long)}
    one = SimpleNamespace(batch=batch, non_tensor_batch={"reward_model": {"ground_truth": ground_truth}})
    return [one]


class CodePoints:
    def decode(self, ids: Any, skip_special_tokens: bool = True) -> str:
        return "".join(chr(int(i)) for i in ids)


class BrokenVerifier:
    """A fake: every answer breaks it."""

    def verify(self, responses: Any, references: Any) -> Any:
        from verifiers.types import Status, Verdict

        return [Verdict(None, None, Status.ERROR, None, "fake", "it broke", 0.0)]


async def judged(manager: Any, text: str, ground_truth: Any) -> dict[str, Any]:
    return await manager.run_single(item(text, ground_truth))


def test_the_reward_manager_for_recipes_of_verl(tmp_path: Path) -> None:
    import asyncio

    from omegaconf import OmegaConf

    from reasonrl.verl_backend.reward_manager import ReasonrlRewardManager

    made: list[Any] = []

    async def everything() -> None:
        manager = ReasonrlRewardManager(
            OmegaConf.create({"reward": {"reward_kwargs": {"verifier": "math"}}}), CodePoints()
        )
        made.append(await judged(manager, "so \\boxed{0.5}", "1/2"))
        made.append(await judged(manager, "so \\boxed{3}", '{"answer": "1/2"}'))
        manager._verifier = BrokenVerifier()
        made.append(await judged(manager, "x", "1/2"))

    asyncio.run(everything())
    assert [(one["reward_score"], one["reward_extra_info"]["judged"]) for one in made] == [
        (1.0, 1.0),
        (0.0, 1.0),
        (0.0, 0.0),
    ]
    assert made[2]["reward_extra_info"]["reason"] == "it broke"


class TestEngine:
    """Our engine on a model of four weights, in this process: what it does around verl's forward and backward
    passes.
    """

    @pytest.fixture()
    def engine(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        import torch.distributed as dist

        from reasonrl.verl_backend import engine as module
        from reasonrl.verl_backend import stage

        class OneRowEngine(module.ReasonrlEngine):
            """A fake: a linear model, and as loss the mean over rows that `global_batch_size` makes of what the mask
            leaves.
            """

            def forward_backward_batch(self, data: Any, loss_function: Any, forward_only: bool = False) -> Any:
                tokens = float(data["loss_mask"].values().sum())
                assert tokens > 0, "the denominator over tokens"
                from verl.utils import tensordict_utils as tu

                kept = data["response_mask"].values().bool()
                values = self.module(data["x"].values()).squeeze(-1) * kept
                loss = values.sum() / tu.get_non_tensor_data(data, "global_batch_size", None)
                loss.backward()
                return {"loss": [loss.item()], "metrics": {}}

        recipe = parse_recipe(yaml.safe_dump(EVERYTHING), "test").stages[1]
        stage.VerlStage(tmp_path, recipe).write({})
        monkeypatch.setenv(stage.VARIABLE, str(tmp_path))
        stage.verl_stage.cache_clear()
        monkeypatch.setattr(module, "get_device_id", lambda: "cpu")
        dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
        made = object.__new__(OneRowEngine)
        made.module = torch.nn.Linear(4, 1, bias=False)
        made.optimizer = torch.optim.SGD(made.module.parameters(), lr=123.0)
        made.optimizer_config = SimpleNamespace(clip_grad=1e9)
        made.ulysses_device_mesh, made._qat_enabled = None, False
        yield made
        dist.destroy_process_group()
        stage.verl_stage.cache_clear()

    @staticmethod
    def rows(masks: list[list[int]], step: int, value: float = 1.0) -> Any:
        from tensordict import TensorDict
        from verl.utils import tensordict_utils as tu

        nested = torch.nested.as_nested_tensor([torch.tensor(mask) for mask in masks], layout=torch.jagged)
        x = torch.nested.as_nested_tensor([torch.full((len(mask), 4), value) for mask in masks], layout=torch.jagged)
        data = TensorDict({"response_mask": nested, "loss_mask": nested.clone(), "x": x}, batch_size=len(masks))
        tu.assign_non_tensor(data, global_batch_size=len(masks), reasonrl_step=step)
        return data

    def test_means_over_sequences_and_the_rate_of_the_step(self, engine: Any) -> None:
        before = engine.module.weight.detach().clone()
        made = engine.train_batch(self.rows([[1, 1], [0, 0, 0], [0, 1]], step=4), None)
        optim = parse_recipe(yaml.safe_dump(EVERYTHING), "test").stages[1].optim
        rate = learning_rate(optim, 4, 6)
        assert engine.lr_scheduler_step() == engine.lr_scheduler_step() == pytest.approx(rate)
        gradient = 3 / 2  # three tokens, over the two rows that are learnt from and not over three
        assert torch.allclose(before - engine.module.weight, torch.full((1, 4), rate * gradient), atol=1e-7)
        assert made["metrics"]["grad_norm"] == pytest.approx(2 * gradient)

    def test_nothing_to_learn_from_changes_nothing(self, engine: Any) -> None:
        before = engine.module.weight.detach().clone()
        made = engine.train_batch(self.rows([[0, 0], [0]], step=1), None)
        assert (
            torch.equal(before, engine.module.weight) and made["loss"] == [0.0] and made["metrics"]["grad_norm"] == 0.0
        )

    def test_a_gradient_that_is_no_number_ends_the_run(self, engine: Any) -> None:
        before = engine.module.weight.detach().clone()
        with pytest.raises(TrainingError, match="step 2: the gradient is not finite"):
            engine.train_batch(self.rows([[1]], step=2, value=math.inf), None)
        assert torch.equal(before, engine.module.weight)
