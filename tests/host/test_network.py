"""A hub that cannot be reached is noticed at once; what is in the cache is read all the same."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

from reasonrl.host import network
from reasonrl.host.network import HubUnreachable, hub_is_reachable, no_waiting_for_the_hub


@pytest.fixture(autouse=True)
def _no_proxy_and_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(network, "PAUSE_S", 0.0)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.fixture
def listening() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def refusing(listening: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address where nothing listens any more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    return address


def test_a_hub_that_answers_is_reachable(listening: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", listening)
    assert hub_is_reachable()


def test_an_address_that_refuses_is_not(refusing: str) -> None:
    assert not hub_is_reachable()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70, "täst..x"])
def test_a_name_that_is_not_known_is_not(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", f"https://{host}")
    assert not hub_is_reachable()


@pytest.mark.parametrize("error", [TimeoutError("slow"), None])
def test_a_slow_network_is_left_to_the_library(error: Exception | None, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = iter([ConnectionRefusedError(), error or OSError("no route"), OSError("no route")])

    def connect(*_: object, **__: object) -> None:
        raise next(tries)

    monkeypatch.setattr(socket, "create_connection", connect)
    assert hub_is_reachable() is (error is not None)


def test_a_proxy_is_asked_by_the_library(refusing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert hub_is_reachable()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert not hub_is_reachable()


@pytest.mark.parametrize("kind", [LocalEntryNotFoundError, OfflineModeIsEnabled])
def test_a_file_that_is_not_cached_names_the_connection(refusing: str, kind: type[Exception]) -> None:
    with pytest.raises(HubUnreachable, match="cannot be reached"), no_waiting_for_the_hub(asks=True):
        assert constants.HF_HUB_OFFLINE
        try:
            raise kind("not in the cache")
        except kind as error:
            raise OSError("the library's own words") from error
    assert not constants.HF_HUB_OFFLINE


def test_other_errors_keep_their_words(refusing: str) -> None:
    with pytest.raises(ValueError, match="a broken file"), no_waiting_for_the_hub(asks=True):
        raise ValueError("a broken file")
    with no_waiting_for_the_hub(asks=False):
        assert not constants.HF_HUB_OFFLINE
