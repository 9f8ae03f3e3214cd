"""Tiny models: one thread is faster than handing work to several, and far faster when the machine is busy."""

import torch

torch.set_num_threads(1)
