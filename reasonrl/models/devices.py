"""From the name of a device in a recipe to a device that torch can compute on."""

from __future__ import annotations

from typing import Any

import torch

from reasonrl.errors import ModelError

KNOWN = "Write device: auto, cpu, cuda, or cuda:N for the GPU with this number"


def choose_device(name: str) -> torch.device:
    """`auto` is the GPU if there is one.

    Raises:
        ModelError: torch does not know the name, or the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ModelError(f"device: torch {torch.__version__} knows no device '{name}'. {KNOWN}") from error
    if device.type == "cuda":
        _check_gpu(name, device)
    elif device.type == "meta":
        raise ModelError(f"device: '{name}' computes nothing. {KNOWN}")
    elif device.type != "cpu":
        _try(name, device)
    elif device.index:
        raise ModelError(f"device: there is no '{name}'; a machine has one device cpu. {KNOWN}")
    return device


def has_bfloat16() -> bool:
    """Whether this CPU's products of bfloat16 are not slower than those of float32."""
    supports: Any = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return torch.backends.cpu.get_cpu_capability() != "AVX2" and (supports is None or bool(supports()))


def computed_dtype(dtype: str, device: torch.device) -> str:
    """In which numbers the local engine computes with weights of `dtype`."""
    return "float32" if device.type == "cpu" and not has_bfloat16() else dtype


def dtype_warning(dtype: str, device: torch.device) -> str | None:
    """What is said of a data type that this CPU computes slowly with."""
    if dtype != "bfloat16" or device.type != "cpu" or has_bfloat16():
        return None
    return (
        "model.dtype: this CPU has no instructions for bfloat16: an update takes several times as long as with float32."
        " Write model.dtype: float32 where memory allows it"
    )


def _check_gpu(name: str, device: torch.device) -> None:
    if not torch.cuda.is_available():
        raise ModelError(
            f"device: {name} was asked for, but torch {torch.__version__} sees no GPU. Write device: auto or"
            " device: cpu"
        )
    count = torch.cuda.device_count()
    if device.index is not None and device.index >= count:
        raise ModelError(
            f"device: there is no {name}; torch sees {count} GPU{'s' if count > 1 else ''}, numbered from 0. Write"
            f" {' or '.join(f'cuda:{i}' for i in range(min(count, 8)))}"
        )


def _try(name: str, device: torch.device) -> None:
    """Torch's only common test of a device is to compute on it."""
    try:
        torch.ones(1, device=device).add_(1).item()
    except (RuntimeError, AssertionError, ImportError, AttributeError) as error:
        raise ModelError(f"device: '{name}' is not there for torch {torch.__version__}. {KNOWN}") from error
