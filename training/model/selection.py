"""Stage 2: which patches to look at (ps3.md, Stage 2 and Budget).

The auxiliary branch, relevance as logits, and the reference's budget and top-k on whole batches as PS3.forward needs them for parity.
The robot selects by cells in numpy (ps3_ros/selection.py); ties go the same way here: by cell, then row-major.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backbone import strided_convs
from .layers import Mlp, unit

AUX_EPS = 1e-6


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of [B, C, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvBlock(nn.Module):
    """A ConvNeXt block; its layer scale is stored as `weight`."""

    def __init__(self, width: int):
        super().__init__()
        self.conv_dw = nn.Conv2d(width, width, kernel_size=7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=AUX_EPS)
        self.mlp = Mlp(width, 4 * width, width)
        # The reference starts at 1e-6, made for networks many times as deep; three blocks from nothing would stay a plain convolution.
        self.weight = nn.Parameter(torch.full((width,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, H, W]"""
        y = self.mlp(self.norm(self.conv_dw(x).permute(0, 2, 3, 1))) * self.weight
        return x + y.permute(0, 3, 1, 2)


class AuxBranch(nn.Module):
    """A shallow ConvNet over a mid-size image: small things that the glance is too coarse for."""

    def __init__(self, width: int, out: int, depth: int, kernel: int, stem: str = "linear"):
        super().__init__()
        if stem == "conv":
            # Ours: strides of 2 down to a cell's size, so that a thing of half a cell still has a shape.
            widths = tuple(max(8, width >> i) for i in range(kernel.bit_length() - 2, -1, -1))
            first = [layer for conv in strided_convs(3, widths) for layer in (conv, nn.GELU())][:-1]
        else:
            first = [nn.Conv2d(3, width, kernel_size=kernel, stride=kernel)]
        self.stem = nn.Sequential(*first, ChannelNorm(width, eps=AUX_EPS))
        self.blocks = nn.Sequential(*(ConvBlock(width) for _ in range(depth)))
        self.out_proj = nn.Conv2d(width, out, kernel_size=1)

    def forward(self, pixels: Tensor, fixed: int = 0) -> Tensor:
        """[B, 3, A, A] -> [B, d, a, a], a = A // kernel. The first `fixed` layers of the stem take no gradient from this call."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not fixed):
            x = self.stem[:fixed](pixels)
        return self.out_proj(self.blocks(self.stem[fixed:](x)))


def relevance_logits(select_features: Tensor, aux: Tensor | None, prompt: Tensor, prompt_aux: Tensor | None) -> Tensor:
    """Logit = 5 * the mean of two cosines, within [-10, 10]; relevance is its sigmoid.

    select_features [B, H, g*g, D], aux [B, d, a, a] (one map for all H scales) or None, prompt [B, Q, D], prompt_aux [B, Q, H, d] or None
    -> [B, Q, H, g, g]
    """
    grid = math.isqrt(select_features.shape[2])
    logits = torch.einsum("bhnd,bqd->bqhn", unit(select_features), unit(prompt)).unflatten(-1, (grid, grid))
    if aux is not None:
        close = torch.einsum("bcyx,bqhc->bqhyx", unit(aux, dim=1), unit(prompt_aux))
        close = F.adaptive_max_pool2d(close.flatten(0, 1), (grid, grid)).unflatten(0, close.shape[:2])
        logits = (logits + close) / 2
    return (logits * 5.0).clamp(-10, 10)


def share_budget(budget: tuple[int, ...], tokens: int | None, available: list[int], first: int | None = None) -> list[int]:
    """Patches of each scale in one look.

    budget: a full look's shares. tokens: how many this look may take in all (None = a full look). available: unselected patches a scale.
    first: only_select_first_n_scale. A scale with fewer patches than its share passes the rest on.
    """
    counts = list(budget)
    if tokens is not None:
        counts = [int(x * tokens / sum(budget)) for x in budget]
    if first is not None:
        total, head = sum(counts), sum(counts[:first])
        counts = [(int(x / head * total) if head else 0) if i < first else 1 for i, x in enumerate(counts)]
        counts[-1] = max(0, counts[-1] + sum(budget) - sum(counts))
    for i, left in enumerate(available):
        if left < counts[i]:
            if i + 1 < len(counts):
                counts[i + 1] += counts[i] - left
            counts[i] = left
    return counts


def look_schedule(looks: int | str | None, tokens: int | str | None, total: int, per_look: int) -> list[int | None]:
    """Tokens of each look; None = a full look. total: patches there are; per_look: those of a full look.

    looks: how many, or "all"; tokens: how many patches over all looks, or "all" (used where looks is None).
    """
    most = math.ceil(total / per_look)
    if looks == "all" or (looks is None and tokens == "all"):
        return [None] * most
    if looks is not None:
        return [None] * min(looks, most)
    tokens = min(tokens, total)
    count = math.ceil(tokens / per_look)
    return [None] * (count - 1) + [tokens - per_look * (count - 1)]


def select_patches(probs: list[Tensor], cells: list[Tensor], taken: list[Tensor], counts: list[int]) -> list[Tensor]:
    """The likeliest untaken patches of every scale.

    probs float [n_s], cells int64 [n_s] (the low-res cell that owns a patch), taken bool [n_s], one each a scale; counts: patches a scale
    -> int64 indices a scale, ascending. Equal patches are taken by cell, then row-major, whatever the platform.
    """
    chosen = []
    for prob, cell, used, count in zip(probs, cells, taken, counts, strict=True):
        by_cell = torch.argsort(cell, stable=True)
        prob = prob.masked_fill(used, -1.0)[by_cell]
        best = torch.argsort(prob, descending=True, stable=True)[:count]
        chosen.append(by_cell[best].sort().values)
    return chosen
