"""Length in the reward: DAPO's soft punishment of long responses (arXiv:2503.14476, eq. 13).

    penalty(L) = min(0, -(L - (max_length - buffer)) / buffer) * factor

0 up to `max_length - buffer` tokens, then falling in a line to -factor at `max_length`. It softens the cliff of a
cut-off answer.
"""

from __future__ import annotations

from torch import Tensor


def overlong_penalty(lengths: Tensor, *, max_length: int, buffer: int, factor: float = 1.0) -> Tensor:
    """Penalties [B], 0 or below, from response lengths [B] in tokens. Raises ValueError unless 0 < buffer <=
    max_length.
    """
    if not 0 < buffer <= max_length:
        raise ValueError(
            f"overlong: the buffer is {buffer} tokens; it must be above 0 and at most max_length ({max_length})"
        )
    excess = lengths.float() - (max_length - buffer)
    return (-excess / buffer * factor).clamp(max=0.0)


def short_success_weights(length_ratios: Tensor, *, temperature: float = 0.1) -> Tensor:
    """DRPO's weights of the right responses of one prompt (arXiv:2510.04474, eq. 9): softmax(-length / max_length /
    temperature), [G].
    """
    return (-length_ratios / temperature).softmax(0)
