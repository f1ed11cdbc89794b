"""Gradient checkpointing: the backbone's blocks forget what they computed and compute it again in the backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint


@contextmanager
def checkpointed_blocks(model: Any) -> Iterator[None]:
    """While it lasts, each block of model.vision_model.trunk keeps only its input. Weights, names and results are the same."""
    blocks = list(model.vision_model.trunk.blocks)

    def remembered(forward: Any, *inputs: Any) -> Any:
        return checkpoint(forward, *inputs, use_reentrant=False) if torch.is_grad_enabled() else forward(*inputs)

    for block in blocks:
        block.forward = partial(remembered, block.forward)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward
