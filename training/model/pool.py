"""The attention pool: one learned query over a frame's tokens, or over those of a region (ps3.md, Pooled output)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backbone import TRUNK_EPS
from .layers import Mlp, merge_heads, split_heads


class AttentionPool(nn.Module):
    def __init__(self, dim: int, heads: int, hidden: int):
        super().__init__()
        self.heads = heads
        self.latent = nn.Parameter(torch.randn(1, 1, dim) * dim**-0.5)
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.proj = nn.Linear(dim, dim)
        self.norm = nn.LayerNorm(dim, eps=TRUNK_EPS)
        self.mlp = Mlp(dim, hidden, dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [B, N, E], mask bool [B, R, N]: True = the token belongs to the region -> [B, R, E].

        The regions are the attention's queries, so they share keys and values, and R = N = 1024 costs one [heads, R, N] table rather
        than R copies of the tokens. A region without a token pools over all of them, as in the reference: a mean is finite, nothing is not.
        """
        mask = mask | ~mask.any(dim=-1, keepdim=True)
        k, v = (split_heads(part, self.heads) for part in self.kv(x).chunk(2, dim=-1))
        q = split_heads(self.q(self.latent), self.heads).expand(mask.shape[0], -1, mask.shape[1], -1)
        x = self.proj(merge_heads(F.scaled_dot_product_attention(q, k, v, attn_mask=mask.unsqueeze(1))))
        return x + self.mlp(self.norm(x))


class SiglipProjection(nn.Module):
    """C-RADIO's adapter ("v2") from the trunk's width to SigLIP's, between trunk.norm and the pool."""

    def __init__(self, width: int, hidden: int, out: int, inner: int):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, hidden)) for _ in range(inner))
        self.final = nn.Sequential(nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, out))

    def forward(self, x: Tensor) -> Tensor:
        """[..., width] -> [..., out]"""
        x = self.fc1(x)
        for block in self.blocks:
            x = x + block(x)
        return self.final(x)
