"""A LoRA target that is misspelt is an error, alone or beside others that exist."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from reasonrl.errors import RecipeError
from reasonrl.models.lora import check_target_modules, check_targets_of_config, refuse_tied_targets
from reasonrl.models.tiny import build_model
from reasonrl.recipe.model import LoraSpec
from reasonrl.setup.models import add_lora


@pytest.fixture(scope="module")
def model() -> Any:
    return build_model(0, torch.float32, "tiny-arithmetic")


@pytest.mark.parametrize(
    "targets",
    [
        ["q_proj"],
        ["q_proj", "v_proj"],
        ["self_attn.q_proj"],
        ["model.layers.0.mlp.up_proj"],
        ["lm_head"],
        ["embed_tokens", "down_proj"],
        "all-linear",
    ],
)
def test_names_of_modules_that_take_an_adapter_pass_and_peft_takes_them(model: Any, targets: list[str] | str) -> None:
    from peft import LoraConfig, get_peft_model

    check_target_modules(model, targets)
    check_targets_of_config(model.config, targets)
    fresh = build_model(0, torch.float32, "tiny-arithmetic")
    wrapped = get_peft_model(fresh, LoraConfig(r=2, target_modules=targets, task_type="CAUSAL_LM"))
    names = [name for name, parameter in wrapped.named_parameters() if parameter.requires_grad]
    words = ["proj"] if isinstance(targets, str) else targets
    assert all(any(word in name for name in names) for word in words)


@pytest.mark.parametrize(
    ("targets", "messages"),
    [
        (["q_proj", "v_prj"], ["target_modules.1: the model has no module 'v_prj'; did you mean 'v_proj'?"]),
        (["v_prj"], ["target_modules.0: the model has no module 'v_prj'; did you mean 'v_proj'?"]),
        (["Q_Proj"], ["did you mean 'q_proj'?"]),
        (["zzz"], ["no module 'zzz'; write some of ", "down_proj", "or all-linear"]),
        (["q_proj", "v_prj", "upproj"], ["modules.1: ", "modules.2: the model has no module 'upproj'"]),
        (["proj"], ["the model has no module 'proj'"]),
        ([""], ["the model has no module ''"]),
        ([], ["model.lora.target_modules: an empty list trains nothing; write some of"]),
        (["norm"], ["'norm' is a module of type", "which takes no adapter"]),
        (["q_proj", "mlp"], ["target_modules.1: 'mlp' is a module of type"]),
    ],
)
def test_every_other_name_is_named(model: Any, targets: list[str], messages: list[str]) -> None:
    for check, subject in ((check_target_modules, model), (check_targets_of_config, model.config)):
        with pytest.raises(RecipeError) as caught:
            check(subject, targets)
        assert all(message in str(caught.value) for message in messages)


def test_tied_targets_are_refused_where_adapters_are_merged_in_place(model: Any) -> None:
    tied = copy.deepcopy(model.config)
    tied.tie_word_embeddings = True
    for targets, name in ((["q_proj", "lm_head"], "lm_head"), (["q_proj", "model.embed_tokens"], "model.embed_tokens")):
        refuse_tied_targets(model.config, targets)
        with pytest.raises(RecipeError, match=rf"target_modules\.1: .* Leave out '{name}', or write backend: local"):
            refuse_tied_targets(tied, targets)
    refuse_tied_targets(tied, ["q_proj"])
    refuse_tied_targets(tied, "all-linear")


def test_what_peft_refuses_is_one_message(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: Any) -> None:
        raise ValueError("no such\nthing")

    monkeypatch.setattr("peft.get_peft_model", refuses)
    with pytest.raises(
        RecipeError, match=r"^model\.lora: peft cannot add adapters of rank 3 .*ValueError: no such thing$"
    ):
        add_lora(model, LoraSpec(rank=3, target_modules=["q_proj"]), seed=0)
