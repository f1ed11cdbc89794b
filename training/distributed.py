"""Several processes as one run: torchrun's ranks, sums and gathers over them, and the first rank's right to write.

Without torchrun everything here is a no-op for a single process, so that the losses and the loop are written once.
Convention: on every rank a loss is that rank's *share*; the sum of the shares over the ranks is the loss of the global batch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from .errors import TrainingError

POLL_S = 1.0  # how often a rank looks whether the first one has made what all need
PATIENCE = timedelta(hours=12)  # other ranks wait this long while the first decodes frames
_gathers: Any = None  # a group of its own: gathers inside a backward pass must not meet the gradients' sums


def start(device: torch.device) -> torch.device:
    """Join torchrun's group where there is one (gloo on CPU, nccl on CUDA); returns this rank's device. Raises TrainingError."""
    global _gathers
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or dist.is_initialized():
        return device
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device.type == "cuda":
        if local >= torch.cuda.device_count():
            raise TrainingError(f"local rank {local} has no GPU of its own among {torch.cuda.device_count()}; start fewer processes")
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    _gathers = dist.new_group(timeout=PATIENCE)
    return device


def finish() -> None:
    """Leave the group; ranks that still write or read do so first."""
    global _gathers
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
    _gathers = None


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    return rank() == 0


@contextmanager
def first_rank_first() -> Iterator[None]:
    """The first rank goes through the block alone (and writes files), then the others (and find them)."""
    if size() > 1 and not is_first():
        dist.barrier()
    yield
    if size() > 1 and is_first():
        dist.barrier()


def any_rank(*flags: bool) -> list[bool]:
    """Of each flag, whether it is set on any rank; the same answer on all."""
    if size() == 1:
        return list(flags)
    told = torch.tensor([int(flag) for flag in flags])
    dist.all_reduce(told, dist.ReduceOp.MAX)
    return [bool(one) for one in told]


def gather_json(value: Any) -> list:
    """[every rank's value], of what JSON can hold; all ranks call it together."""
    if size() == 1:
        return [value]
    data = torch.tensor(list(json.dumps(value).encode()), dtype=torch.uint8)
    everyone, counts = _gather(data)
    return [json.loads(bytes(part.tolist())) for part in everyone.split(counts)]


def total(value: Tensor) -> Tensor:
    """The sum of every rank's tensor, of one shape; no gradient."""
    if size() == 1:
        return value.detach()
    summed = value.detach().clone()
    dist.all_reduce(summed)
    return summed


def gather(rows: Tensor) -> Tensor:
    """Every rank's rows [n_r, ...], of any n_r, one rank after another: [sum n_r, ...]. Gradients go back to the rank they came from,
    summed over the ranks that used them.
    """
    if size() == 1:
        return rows
    return _Gather.apply(rows) if rows.is_floating_point() else _gather(rows)[0]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        everyone, counts = _gather(rows)
        ctx.counts = counts
        return everyone

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient, group=_gathers)
        return gradient.split(ctx.counts)[rank()]


def _gather(rows: Tensor) -> tuple[Tensor, list[int]]:
    own = torch.tensor([len(rows)], device=rows.device)
    sizes = [torch.empty_like(own) for _ in range(size())]
    dist.all_gather(sizes, own, group=_gathers)
    counts = [int(one) for one in sizes]
    kind = rows.dtype
    rows = rows.to(torch.uint8) if kind == torch.bool else rows
    padded = rows.new_zeros((max(counts), *rows.shape[1:]))
    padded[: len(rows)] = rows
    parts = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(parts, padded, group=_gathers)
    return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)]).to(kind), counts


def offset(count: int, device: torch.device) -> int:
    """How many of something the ranks before this one have."""
    if size() == 1:
        return 0
    counts = _gather(torch.tensor([count], device=device))[0]
    return int(counts[: rank()].sum())


class Objective(nn.Module):
    """A model and its loss as one module, so that DDP sees one forward pass whatever methods of the model the loss calls."""

    def __init__(self, model: nn.Module, loss: Callable[[Any], dict[str, Tensor]], beside: nn.Module | None = None):
        super().__init__()
        self.model, self.loss, self.beside = model, loss, beside

    def forward(self, take: Callable[[], Any]) -> dict[str, Tensor]:
        """take() gives the batch: a function passes DDP untouched, where it would search a batch for tensors to move."""
        return self.loss(take())


def wrap(objective: Objective, device: torch.device) -> nn.Module:
    """DistributedDataParallel where there are several ranks. Gradients are means over ranks there, so the loop multiplies by size().

    Parameters without a gradient in a stage (the selection head in the warm start) are looked for in each step.
    """
    if size() == 1:
        return objective
    devices = [device.index] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(
        objective, device_ids=devices, find_unused_parameters=True, forward_sync_buffers=False, gradient_as_bucket_view=False
    )
