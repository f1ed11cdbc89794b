"""The few layers that every tower of PS3 shares. Parameter names are the checkpoint's (ps3.md, Parameters)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Mlp(nn.Module):
    """fc1 -> GELU -> (LayerNorm over the hidden width) -> fc2, on the last axis."""

    def __init__(self, width: int, hidden: int, out: int, norm_eps: float | None = None, gelu: str = "none"):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.norm = nn.LayerNorm(hidden, eps=norm_eps) if norm_eps is not None else None
        self.fc2 = nn.Linear(hidden, out)
        self.gelu = gelu

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> [..., out]"""
        x = F.gelu(self.fc1(x), approximate=self.gelu)
        if self.norm is not None:
            x = self.norm(x)
        return self.fc2(x)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[B, N, heads * c] -> [B, heads, N, c]"""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """[B, heads, N, c] -> [B, N, heads * c]"""
    return x.transpose(1, 2).flatten(2)


def initialise(module: nn.Module):
    """The usual start of a ViT trained from nothing: truncated normals of 0.02, no biases, norms at one.

    Strided 3 x 3 convolutions (the stems) keep their input's variance instead: they stand in a row with no norm between them.
    """
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Conv2d)):
            if isinstance(part, nn.Conv2d) and part.kernel_size == (3, 3):
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            else:
                nn.init.trunc_normal_(part.weight, std=0.02)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Embedding):
            nn.init.normal_(part.weight, std=0.02)


def unit(x: Tensor, dim: int = -1, eps: float = 1e-12) -> Tensor:
    """x over its L2 norm along dim, as F.normalize."""
    return x / torch.linalg.vector_norm(x, dim=dim, keepdim=True).clamp_min(eps)
