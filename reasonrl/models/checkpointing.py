"""Gradient checkpointing. From transformers 5.24 on it is called activation checkpointing, and the old names warn."""

from __future__ import annotations

from typing import Any


def compute_activations_again(model: Any) -> None:
    """Switches gradient checkpointing on."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable()


def computes_activations_again(model: Any) -> bool:
    """Whether gradient checkpointing is on. False for what is no model of transformers."""
    name = "activation" if hasattr(model, "is_activation_checkpointing") else "gradient"
    return bool(getattr(model, f"is_{name}_checkpointing", False))
