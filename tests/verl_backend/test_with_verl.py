"""Against the installed verl, without a run: its schema, its losses, and our reward manager in its hands."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from reasonrl.cli import main
from reasonrl.recipe_files import load_recipe, shipped_recipes

pytestmark = [
    pytest.mark.verl,
    pytest.mark.skipif(importlib.util.find_spec("verl") is None, reason="needs verl: make test-verl"),
]

ON_VERL = sorted(p.parent.name for p in shipped_recipes().glob("*/recipe.yaml") if "backend: verl" in p.read_text())


@pytest.mark.parametrize("name", ON_VERL)
def test_recipes_for_clusters_pass_the_dry_run(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["reasonrl", "train", name, "--dry-run", "--offline"])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert ended.value.code == 0, err
    said = " ".join(out.split())
    assert "settings are known to verl 0.9.1" in said
    assert "not checked the model" in said, "offline, nothing of the hub can be looked at, and that is said"
    assert any(stage.backend == "verl" and stage.kind == "rl" for stage in load_recipe(name).stages)


def test_a_setting_that_verl_does_not_know_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
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
        manager = ReasonrlRewardManager(OmegaConf.create({"reward": {"reward_kwargs": {"verifier": "math"}}}), CodePoints())
        made.append(await judged(manager, "so \\boxed{0.5}", "1/2"))
        made.append(await judged(manager, "so \\boxed{3}", '{"answer": "1/2"}'))
        manager._verifier = BrokenVerifier()
        made.append(await judged(manager, "x", "1/2"))

    asyncio.run(everything())
    assert [(one["reward_score"], one["reward_extra_info"]["judged"]) for one in made] == [(1.0, 1.0), (0.0, 1.0), (0.0, 0.0)]
    assert made[2]["reward_extra_info"]["reason"] == "it broke"
