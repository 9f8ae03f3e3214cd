"""A model folder that cannot be used is one message that names `model.path`, at loading and in the checks before a run.

transformers itself reports several of these in its log alone: weights that are missing are random.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from reasonrl.errors import ModelError
from reasonrl.models.loading import check_model_files, load_model, load_tokenizer_and_config
from reasonrl.models.weights import is_finite

UP = "model.layers.1.mlp.up_proj.weight"
Fault = Callable[[Path], object]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good") / "model"
    model = load_model("tiny-arithmetic", device="cpu")
    model.model.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    return folder


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Fault:
    def apply(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return apply


def config(**changes: Any) -> Fault:
    def apply(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return apply


def text(name: str, content: str) -> Fault:
    return lambda folder: (folder / name).write_text(content)


def cut(share: float) -> Fault:
    def apply(folder: Path) -> None:
        data = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(data[: int(len(data) * share)])

    return apply


def without(*names: str) -> Fault:
    return lambda folder: [(folder / name).unlink() for name in names]


def set_value(value: float, name: str = UP) -> Fault:
    return weights(lambda tensors: tensors[name].view(-1).__setitem__(7, value))


FAULTS: dict[str, tuple[Fault, str]] = {
    "one NaN": (set_value(float("nan")), f"{UP} of its weights hold values that are not finite numbers"),
    "one infinity": (set_value(float("-inf"), "model.norm.weight"), "model.norm.weight of its weights hold values"),
    "no head": (weights(lambda w: w.pop("lm_head.weight")), "lack weights that config.json asks for: lm_head.weight;"),
    "no layer": (
        config(num_hidden_layers=3),
        r"lack weights .* model\.layers\.2\.\S+ and 8 more; they would be random",
    ),
    "a layer too many": (config(num_hidden_layers=1), r"has no place for: model\.layers\.1\.\S+ and 8 more"),
    "a bias": (
        weights(lambda w: w.update({"model.layers.0.self_attn.q_proj.bias": torch.zeros(96)})),
        "has no place for: model.layers.0.self_attn.q_proj.bias",
    ),
    "an adapter": (
        weights(lambda w: w.update({"model.layers.0.self_attn.q_proj.lora_A.default.weight": torch.zeros(2, 96)})),
        "Merge the adapter into its base model first",
    ),
    "wrong shape": (
        weights(lambda w: w.update({"lm_head.weight": torch.zeros(5, 96)})),
        r"lm_head\.weight has the shape \[5, 96\] in the file and \[28, 96\] in the model",
    ),
    "integers": (
        weights(lambda w: w.update({"lm_head.weight": w["lm_head.weight"].to(torch.int8)})),
        r"lm_head\.weight holds integers \(I8\)",
    ),
    "half a file": (cut(0.5), r"model\.safetensors is cut off or damaged"),
    "an empty file": (cut(0), r"model\.safetensors is cut off or damaged"),
    "no weights": (without("model.safetensors"), "its weights: "),
    "no tokenizer": (without("tokenizer.json", "tokenizer_config.json"), "its tokenizer: there is no tokenizer.json"),
    "broken tokenizer": (text("tokenizer.json", "{nope"), "its tokenizer: it is not valid JSON"),
    "another file as tokenizer": (text("tokenizer.json", '{"version": "1.0"}'), "its tokenizer: KeyError"),
    "broken config": (text("config.json", "{nope"), "config.json: .*not a valid JSON file"),
    "a list as config": (text("config.json", "[1]"), "config.json: "),
    "unknown type": (config(model_type="nonsense"), "config.json: .*nonsense"),
    "not a causal model": (config(model_type="t5"), "config.json: "),
    "unknown activation": (config(hidden_act="zz"), "config.json: KeyError: 'zz'. Name the folder of a causal"),
    "a width that does not fit": (config(hidden_size=97), "config.json: .*multiple of the number of attention heads"),
    "broken generation config": (text("generation_config.json", "{x"), "generation_config.json is not a JSON object"),
    "an adapter beside": (text("adapter_config.json", "{}"), "holds an adapter beside a model. Merge it"),
    "code of its own": (
        config(model_type="own", auto_map={"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"}),
        "Code that comes with a model is not run",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_folder_is_refused_when_it_is_loaded_and_before(
    fault: str, good: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    apply, words = FAULTS[fault]
    folder = tmp_path / "model"
    shutil.copytree(good, folder)
    apply(folder)
    for check in (load, checks_before_a_run):
        with pytest.raises(ModelError, match=words) as caught:
            check(folder)
        message = str(caught.value)
        assert message.startswith("model.path: ")
        assert str(folder) in message
        assert "\n" not in message
    output = capfd.readouterr()
    assert "MISMATCH" not in output.err + output.out, "the table of transformers"


def load(folder: Path) -> object:
    return load_model(str(folder), device="cpu")


def checks_before_a_run(folder: Path) -> None:
    check_model_files(str(folder), *load_tokenizer_and_config(str(folder)))


def test_a_folder_without_fault_passes_and_keeps_its_weights(good: Path) -> None:
    checks_before_a_run(good)
    loaded = load_model(str(good), device="cpu").model.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in load_file(good / "model.safetensors").items())


def test_parts_that_the_language_model_lacks_may_be_left_out(good: Path, tmp_path: Path) -> None:
    """The encoder of images of a model for both, and constants that older versions saved."""
    folder = tmp_path / "model"
    shutil.copytree(good, folder)
    more = (
        "vision_tower.layers.0.weight",
        "model.visual.merger.weight",
        "model.layers.0.self_attn.rotary_emb.inv_freq",
    )
    weights(lambda w: w.update({name: torch.zeros(3) for name in more}))(folder)
    load(folder)
    checks_before_a_run(folder)


def test_an_adapter_without_its_base_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"holds an adapter without its base model\. Merge it"):
        load(tmp_path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_what_is_finite(dtype: torch.dtype) -> None:
    tensor = torch.zeros(3, 5, dtype=dtype)
    assert is_finite(tensor)
    assert is_finite(torch.zeros(0, dtype=dtype))
    for value in (float("nan"), float("inf"), float("-inf")):
        for place in (0, 7, 14):
            broken = tensor.clone()
            broken.view(-1)[place] = value
            assert not is_finite(broken)
    assert is_finite(torch.tensor([1e18], dtype=torch.float32), square=True)
    assert not is_finite(torch.tensor([-1e20], dtype=torch.float32), square=True)
