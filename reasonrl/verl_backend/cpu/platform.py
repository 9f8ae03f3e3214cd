"""The platform "cpu" of verl: gloo for NCCL, and a device module whose memory is always empty."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Iterator
from typing import Any

import torch
from verl.plugin.platform.platform_base import PlatformBase
from verl.plugin.platform.platform_manager import PlatformRegistry

_IGNORED = {
    "empty_cache",
    "set_device",
    "reset_peak_memory_stats",
    "ipc_collect",
    "synchronize",
    "manual_seed",
    "manual_seed_all",
}
_ZERO = {"max_memory_allocated", "max_memory_reserved", "memory_allocated", "memory_reserved", "current_device"}
_ANSWERS: dict[str, Any] = {"mem_get_info": (0, 0), "is_available": True, "get_device_name": "CPU", "device_count": 1}


class _Device(types.ModuleType):
    """torch.cpu, and those names of torch.cuda that verl calls without asking whether there is a GPU."""

    def __getattr__(self, name: str) -> Any:
        if name in _IGNORED:
            return lambda *_, **__: None
        if name in _ZERO:
            return lambda *_, **__: 0
        if name in ("get_rng_state", "set_rng_state"):  # a checkpoint keeps that of the device beside that of the CPU
            return lambda state=None, *_, **__: torch.get_rng_state() if state is None else torch.set_rng_state(state)
        if name in _ANSWERS:
            return lambda *_, **__: _ANSWERS[name]
        return getattr(torch.cpu, name)


@PlatformRegistry.register(platform="cpu")
class CpuPlatform(PlatformBase):
    device_name = "cpu"
    vendor_name = "cpu"
    device_module = _Device("reasonrl_cpu_device")

    def is_available(self) -> bool:
        return True

    def current_device(self) -> str:  # verl hands it to tensor.to(), where a number would mean a GPU
        return "cpu"

    def device_count(self) -> int:
        return 1

    def set_device(self, device_index: int) -> None:
        return None

    def synchronize(self, device_index: int | None = None) -> None:
        return None

    def manual_seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    def manual_seed_all(self, seed: int) -> None:
        torch.manual_seed(seed)

    def set_allocator_settings(self, settings: str) -> None:
        return None

    def empty_cache(self) -> None:
        return None

    def get_device_capability(self, device_index: int = 0) -> tuple[int | None, int | None]:
        return None, None

    def communication_backend_name(self) -> str:
        return "gloo"

    def visible_devices_envvar(self) -> str:
        return "CUDA_VISIBLE_DEVICES"

    @contextlib.contextmanager
    def nvtx_range(self, msg: str) -> Iterator[None]:
        yield

    def profiler_start(self) -> None:
        return None

    def profiler_stop(self) -> None:
        return None

    def ray_resource_name(self) -> str:
        return "GPU"  # the only name that verl counts; the launcher tells Ray that there is one

    def ray_noset_envvars(self) -> list[str]:
        return ["RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES"]

    def is_ipc_supported(self) -> bool:
        return False

    def cudart(self) -> Any:
        return None
