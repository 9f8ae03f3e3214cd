"""Models of the hub, from a server on this machine: revisions, what may not be read, and connections that break."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants

from reasonrl.errors import ModelError, ModelNotHere
from reasonrl.models.loading import load_model, load_tokenizer_and_config
from tests.models.hub_server import HubServer, hub_server

NAME = "someone/sums"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two revisions of one model, with other weights."""
    root = tmp_path_factory.mktemp("hub")
    for seed, revision in enumerate(("main", "v2")):
        model = load_model("tiny-arithmetic", seed=seed, device="cpu")
        model.model.save_pretrained(root / revision)
        model.tokenizer.save_pretrained(root / revision)
    return {revision: root / revision for revision in ("main", "v2")}


@pytest.fixture
def hub(folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with hub_server() as server:
        server.repositories[NAME] = dict(folders)
        point_to(server.address, monkeypatch)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        yield server


def point_to(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As HF_ENDPOINT does for a new process."""
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(huggingface_hub.hf_api.api, "endpoint", address)
    # transformers shares one client, with the address of the moment when a process first needed it.
    monkeypatch.setattr("transformers.utils.hub._hf_api", None, raising=False)


def first_weights(model: object) -> torch.Tensor:
    return next(model.parameters())  # type: ignore[attr-defined, no-any-return]


def test_a_model_is_loaded_from_the_hub_once_and_then_without_it(hub: HubServer, folders: dict[str, Path]) -> None:
    expected = load_model(str(folders["main"]), device="cpu").model
    model = load_model(NAME, device="cpu").model
    assert torch.equal(first_weights(model), first_weights(expected))
    assert any("model.safetensors" in request for request in hub.requests)
    hub.requests.clear()
    again = load_model(NAME, device="cpu", offline=True).model
    assert torch.equal(first_weights(again), first_weights(expected))
    assert not hub.requests


def test_a_revision_is_named_behind_an_at_sign(hub: HubServer, folders: dict[str, Path]) -> None:
    expected = load_model(str(folders["v2"]), device="cpu").model
    for _ in range(2):
        model = load_model(f"{NAME}@v2", device="cpu").model
        assert torch.equal(first_weights(model), first_weights(expected))
    assert load_tokenizer_and_config(f"{NAME}@v2", offline=True)[1].hidden_size == 96
    with pytest.raises(ModelError, match=r"'someone/sums@v9' cannot be loaded: the hub has no such revision of it"):
        load_model(f"{NAME}@v9", device="cpu")


def test_what_the_hub_does_not_give_is_one_message(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for load in (load_model, load_tokenizer_and_config):
        with pytest.raises(
            ModelError, match=r"someone/nothing' cannot be loaded: the hub has no such repository, or it"
        ):
            load("someone/nothing")
        with pytest.raises(ModelNotHere, match="someone/sums' cannot be loaded"):
            load(NAME, offline=True)
    hub.gated.add(NAME)
    for name in (NAME, f"{NAME}@main"):
        with pytest.raises(ModelError, match=rf"'{name}' cannot be loaded: .*it is gated\. Accept its terms"):
            load_model(name, device="cpu")
    hub.gated.clear()
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between attempts
    for status, words in (
        (401, r"let you read it \(HTTP 401\)"),
        (403, r"let you read it \(HTTP 403\)"),
        (503, "HTTP 503"),
    ):
        hub.status = status
        with pytest.raises(ModelError, match=words):
            load_model(NAME, device="cpu")


def test_a_connection_that_breaks_is_one_message_and_leaves_no_model(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.cut_off = "model.safetensors"
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between attempts
    with pytest.raises(ModelError, match="someone/sums' cannot be loaded: the connection to the hub failed"):
        load_model(NAME, device="cpu")
    assert not list((tmp_path / "cache").rglob("snapshots/*/model.safetensors"))
    hub.cut_off = None
    assert load_model(NAME, device="cpu").eos_ids == [1]


def test_a_hub_that_is_not_there(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    point_to("http://127.0.0.1:9", monkeypatch)
    for name in (NAME, f"{NAME}@main"):
        with pytest.raises(ModelError, match=f"'{name}' cannot be loaded"):
            load_model(name, device="cpu")


def test_a_model_in_the_cache_needs_no_hub(
    hub: HubServer, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_model(NAME, device="cpu")
    point_to("http://127.0.0.1:9", monkeypatch)
    monkeypatch.setattr("reasonrl.host.network.PAUSE_S", 0.0)
    again = load_model(NAME, device="cpu").model
    assert torch.equal(first_weights(again), first_weights(load_model(str(folders["main"]), device="cpu").model))
