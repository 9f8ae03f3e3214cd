"""A run whose numbers are no longer finite ends with one message: the step, the newest checkpoint, what to change."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from reasonrl.cli import main
from reasonrl.engines.base import Generation, Request, Sampling
from reasonrl.engines.finite import require_finite_logprobs
from reasonrl.errors import ModelError, NotFiniteError
from reasonrl.models.loading import load_model
from reasonrl.recipe.schema import Recipe
from reasonrl.recipe.training import OptimSpec
from reasonrl.trainer.diverged import explain_divergence
from reasonrl.trainer.optimizer import MasterAdamW
from reasonrl.trainer.packing import choose_packing
from tests.tiny_runs import tiny, write_recipe

REWARD = "def f(responses, problems):\n    return [float(len(response)) for response in responses]\n"
SFT = {"kind": "sft", "sft": {"steps": 3, "response": " {gold}\n"}}
RL = {"reward": {"correctness": 1.0, "mine": {"weight": 1.0, "function": "my_lengths:f"}}}


@pytest.mark.parametrize(
    ("stage", "lr", "words"),
    [
        (SFT, 1e20, "step 1: this update at the learning rate 1e+20 made weights infinite, NaN or larger than"),
        (SFT, 1e15, "step 2: the loss is nan on "),
        (SFT, 1e5, "step 2: the gradient is not finite (first in "),
        (RL, 1e20, "step 1: this update at the learning rate 1e+20 made weights infinite, NaN or larger than"),
        (RL, 1e15, "step 2: the model gives logits that are not finite numbers"),
    ],
)
def test_a_learning_rate_that_is_far_too_high(
    stage: dict[str, Any],
    lr: float,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_lengths", raising=False)
    (tmp_path / "my_lengths.py").write_text(REWARD)
    write_recipe(tmp_path, tiny(**stage, optim={"lr": lr}, checkpoint={"every_steps": 1}))
    monkeypatch.setattr(sys, "argv", ["reasonrl", "train", "tiny.yaml", "run_dir=run"])
    with pytest.raises(SystemExit) as ended:
        main()
    error = capsys.readouterr().err
    assert ended.value.code == 1
    assert error.count("error: ") == 1
    assert f"error: {words}" in error
    assert "Traceback" not in error
    assert f"a lower optim.lr ({lr:g} here)" in error
    saved = [path.name for path in (tmp_path / "run" / "checkpoints").glob("*")]
    if words.startswith("step 1"):
        assert saved == []
        assert "Nothing was saved before it. Start again" in error
    else:
        assert saved == ["step-000001"]
        assert (
            "The newest checkpoint is run/checkpoints/step-000001. Start a new run from it, or from an earlier" in error
        )


def test_weights_are_looked_at_after_each_update() -> None:
    model = torch.nn.Linear(2, 1)
    optimizer = MasterAdamW(model, OptimSpec(lr=1e-3, warmup_steps=0), 3)
    for value, fine in ((1.0, True), (1e21, False)):
        with torch.no_grad():
            model.bias.fill_(value)
        model(torch.ones(1, 2)).sum().backward()
        if fine:
            optimizer.step(1)
        else:
            with pytest.raises(NotFiniteError, match=r"step 2: this update .*\(first in bias\)"):
                optimizer.step(2)


def test_log_probs_that_are_not_numbers_name_the_role() -> None:
    requests = [Request((1, 2, 3), Sampling(4), 0)] * 2
    good = Generation([1, 2], [-0.5, -0.1], "stop")
    require_finite_logprobs("", requests, [good, good])
    for value in (float("nan"), float("-inf")):
        bad = Generation([1, 2], [-0.5, value], "stop")
        with pytest.raises(NotFiniteError, match=r"the model of the role critic gives .* at token 2 .* of 3 tokens"):
            require_finite_logprobs("critic", requests, [good, bad])


def with_dtype(dtype: str) -> Recipe:
    recipe = Recipe.model_validate(tiny())
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"dtype": dtype})})


@pytest.mark.parametrize("step", [0, 3])
def test_float32_is_no_advice_for_a_run_in_float32(step: int) -> None:
    texts = [
        str(explain_divergence(NotFiniteError("x"), with_dtype(dtype), step, None)) for dtype in ("float32", "bfloat16")
    ]
    assert ["model.dtype: float32" in text for text in texts] == [False, True]


def test_finite_weights_whose_logits_overflow_are_not_taken_for_an_architecture() -> None:
    model = load_model("tiny-arithmetic", device="cpu").model
    with torch.no_grad():
        model.lm_head.weight.fill_(3e38)
        model.model.norm.weight.fill_(1e10)
    advice = {"float32": "an earlier checkpoint", "bfloat16": "checkpoint, or write model.dtype: float32"}
    for dtype, words in advice.items():
        recipe = with_dtype(dtype)
        with pytest.raises(ModelError, match=f"the logits of this LlamaForCausalLM are not finite .*{words}$"):
            choose_packing(recipe, model, warn=lambda text: None)
