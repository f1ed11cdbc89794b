"""How a bundle stores a tower's weights: as trained, as halves, or as one byte a weight.

Compute stays float32 in every case: a stored half is cast, a stored byte is scaled, inside the graph. The rounding is done to the
torch module *before* the export, so the graph and the module hold the same numbers and their parity is exact; what the rounding
itself changed is measured apart (`parity.py`) and written into the manifest.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from ps3_ros.errors import CheckpointError

from .options import STORAGE

KINDS = ("fp32", "fp16", "int8")
TOWERS = ("text", "vision")  # the backbone is shared by glance, look and region, so they are stored in one way
ZERO = 128
HALVES = ("fc1.weight", "fc2.weight", "c_fc.weight", "c_proj.weight")  # of MLPs: half of what int8 does to a text comes from this third
MIN_NUMEL = 1024  # smaller tensors (biases, norms) are kept in float32: rounding them saves nothing and costs accuracy


@dataclass(frozen=True)
class Rows:
    """A weight as one byte a value with one float32 scale an output row: weight = (values - 128) * scale along `axis`.

    Unsigned, because TensorRT takes a signed byte for a quantised constant and refuses it anywhere but under DequantizeLinear.
    """

    values: np.ndarray  # uint8, the initializer's shape; ZERO means 0
    scale: np.ndarray  # float32 [values.shape[axis]]
    axis: int


@dataclass
class Rounded:
    """What the rounding did: `rows` finds an initializer's form in bytes by its float32 content; `halves` says fp16 is in use."""

    rows: dict[bytes, Rows] = field(default_factory=dict)
    halves: bool = False

    def find(self, array: np.ndarray) -> Rows | None:
        return self.rows.get(fingerprint(array)) if self.rows and array.dtype == np.float32 else None

    def is_half(self, array: np.ndarray) -> bool:
        """True where float16 holds the array exactly, as it does for every weight that `round_module` rounded."""
        if not self.halves or array.dtype != np.float32 or array.size < MIN_NUMEL:
            return False
        with np.errstate(over="ignore"):
            return bool(np.array_equal(array.astype(np.float16).astype(np.float32), array))


def parse_storage(storage: str | Mapping[str, str]) -> dict[str, str]:
    """A preset's name or a {tower: kind} mapping -> {"text": kind, "vision": kind}.

    Raises:
        CheckpointError: an unknown preset, tower or kind.
    """
    if isinstance(storage, str):
        if storage not in STORAGE:
            raise CheckpointError(f"storage {storage!r} is not known: choose one of {', '.join(STORAGE)}")
        return dict(STORAGE[storage])
    unknown = [f"{tower}={kind}" for tower, kind in storage.items() if tower not in TOWERS or kind not in KINDS]
    if unknown:
        raise CheckpointError(f"storage {', '.join(unknown)} is not known: towers are {', '.join(TOWERS)}, kinds {', '.join(KINDS)}")
    return {tower: storage.get(tower, "fp32") for tower in TOWERS}


def round_module(module: nn.Module, kind: str, rounded: Rounded) -> None:
    """Rounds the weights of `module` in place to what `kind` can store, and notes in `rounded` how to store them.

    In their own memory: a weight mapped from a file becomes a copy of its pages, and the file's are let go.
    int8 takes the matrices (2-D parameters), with one scale an output row (the largest magnitude at 127), and leaves those of HALVES
    to fp16, which takes every parameter of two or more dimensions. Both leave vectors and tensors under MIN_NUMEL values alone.

    Raises:
        CheckpointError: a weight that is not finite, or beyond float16's range.
    """
    for name, parameter in module.named_parameters():
        if kind == "fp32" or parameter.ndim < 2 or parameter.numel() < MIN_NUMEL:
            continue
        if kind == "int8" and parameter.ndim == 2 and not name.endswith(HALVES):
            values, scale = quantise_rows(parameter.detach())
            parameter.detach().copy_(values.float() * scale[:, None])
            note_rows(rounded, parameter.detach().numpy(), values.numpy(), scale.numpy())
        elif kind == "fp16" or name.endswith(HALVES):
            half = parameter.detach().half()
            if not torch.isfinite(half).all():
                worst = parameter.detach().abs().max().item()
                raise CheckpointError(f"{name} reaches {worst:.4g}, beyond float16's 65504: export it with storage fp32")
            parameter.detach().copy_(half)
            rounded.halves = True


def quantise_rows(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """weight float32 [rows, ...] -> int8 of the same shape in [-127, 127] and float32 scale [rows]; symmetric, no zero point."""
    if not torch.isfinite(weight).all():
        raise CheckpointError("a weight is not finite (nan or inf): the checkpoint cannot be stored as int8")
    largest = weight.abs().amax(1)
    scale = torch.where(largest > 0, largest / 127, torch.ones_like(largest))
    return (weight / scale[:, None]).round().clamp(-127, 127).to(torch.int8), scale


def note_rows(rounded: Rounded, weight: np.ndarray, values: np.ndarray, scale: np.ndarray) -> None:
    """The exporter keeps a weight as it is (a Gather's table) or transposed (a MatMul's operand): both are recognised."""
    values = (values.astype(np.int16) + ZERO).astype(np.uint8)
    rounded.rows[fingerprint(weight)] = Rows(values, scale, 0)
    rounded.rows[fingerprint(weight.T)] = Rows(np.ascontiguousarray(values.T), scale, 1)


def fingerprint(array: np.ndarray) -> bytes:
    """A hash of shape, type and content."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.digest()
