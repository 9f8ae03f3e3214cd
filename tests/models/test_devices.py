"""Names of devices that torch does not have."""

from __future__ import annotations

import pytest
import torch

from reasonrl.errors import ModelError
from reasonrl.models.devices import choose_device


@pytest.mark.parametrize(
    "name", ["gpu", "", " ", "cpu ", "CPU", "0", "cuda:x", "cuda:-1", "cpu:3", "meta", "xpu", "fpga"]
)
def test_a_device_that_is_not_there_is_one_message(name: str) -> None:
    with pytest.raises(ModelError, match=r"^device: .*Write device: auto, cpu, cuda, or cuda:N") as caught:
        choose_device(name)
    assert f"'{name}'" in str(caught.value)


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="a Mac")
def test_no_mac() -> None:
    with pytest.raises(ModelError, match="device: 'mps' is not there"):
        choose_device("mps")


def test_gpus_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda")
    with pytest.raises(
        ModelError, match=r"there is no cuda:2; torch sees 2 GPUs, numbered from 0\. Write cuda:0 or cuda:1"
    ):
        choose_device("cuda:2")


def test_devices_that_are_there() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("cpu:0").type == "cpu"
