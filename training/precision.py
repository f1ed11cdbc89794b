"""What numbers a run computes with: autocast where the device is quick at it, and on a CPU attention that is quick to train."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from . import distributed
from .attention import written_out

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


@contextmanager
def computing(device: torch.device, autocast: str) -> Iterator[None]:
    """How forward and backward passes compute: new tensors on the device, and on a CPU attention that is quick to train."""
    with ExitStack() as stack:
        if device.type == "cpu":
            stack.enter_context(written_out())
        else:
            stack.enter_context(device)
        stack.enter_context(torch.autocast(device.type, AUTOCAST.get(autocast, torch.bfloat16), enabled=autocast != "none"))
        yield


def agreed(device: torch.device, autocast: str) -> str:
    """The autocast that all ranks use: the one asked for, or none where the device of any of them only emulates it; stderr then says so.

    An emulated product takes many times as long as one of float32, which is no less exact. All ranks alike, as fp16 scales the loss.
    """
    if everywhere(device, autocast):
        return autocast
    if distributed.is_first():
        print(f"autocast {autocast} is slower than float32 on a CPU without instructions for it; computing in float32", file=sys.stderr)
    return "none"


def everywhere(device: torch.device, autocast: str) -> bool:
    """Whether every rank's device has products of these numbers. All ranks must ask."""
    return all(distributed.gather_json(supported(device, autocast)))


def supported(device: torch.device, autocast: str) -> bool:
    """Whether the device has products of these numbers; oneDNN is asked about a CPU."""
    if device.type != "cpu" or autocast == "none":
        return True
    ops = torch.ops.mkldnn
    return bool(ops._is_mkldnn_bf16_supported() if autocast == "bf16" else ops._is_mkldnn_fp16_supported())
