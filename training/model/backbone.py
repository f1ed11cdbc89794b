"""The vision transformer that glance and look share (ps3.md, Parameters: trunk)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .layers import Mlp, merge_heads, split_heads

TRUNK_EPS = 1e-6


class Attention(nn.Module):
    """Self-attention that can also see keys and values cached from another pass."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, kv: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """x [B, N, D], kv [2, B, h, n0, D/h] or None, mask bool broadcastable to [B, h, N, n0 + N] (True = may be seen) or None
        -> [B, N, D] and this pass's own keys and values [2, B, h, N, D/h].

        kv may have F rows in place of B, where F divides B and there is no mask: each is then seen by B / F rows of x, one after another.
        """
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        own = torch.stack([k, v])
        if kv is not None and mask is None and kv.shape[1] != x.shape[0]:
            return self.proj(merge_heads(attend_shared(q, k, v, kv))), own
        if kv is not None:
            k, v = torch.cat([kv[0], k], dim=2), torch.cat([kv[1], v], dim=2)
        x = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.proj(merge_heads(x)), own


def attend_shared(q: Tensor, k: Tensor, v: Tensor, kv: Tensor) -> Tensor:
    """Attention of q [B, h, N, c] to its own k, v and to kv [2, F, h, n0, c], each of whose rows B / F of q's see -> [B, h, N, c].

    What concatenation gives, without B copies of the glance's keys and values: those of all rows that see one are one product.
    """
    count, frames = q.shape[0], kv.shape[1]
    together = lambda rows: rows.unflatten(0, (frames, -1)).transpose(1, 2).flatten(2, 3)  # noqa: E731  [B, h, N, .] -> [F, h, B/F * N, .]
    apart = lambda rows: rows.unflatten(2, (count // frames, -1)).transpose(1, 2).flatten(0, 1)  # noqa: E731
    q = q * q.shape[-1] ** -0.5
    logits = torch.cat([together(q) @ kv[0].transpose(-1, -2), together(q @ k.transpose(-1, -2))], dim=-1)
    seen, own = logits.softmax(-1).to(v.dtype).split([kv.shape[3], k.shape[2]], dim=-1)
    return apart(seen @ kv[1]) + apart(own) @ v


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, dim: int, heads: int, hidden: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=TRUNK_EPS)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=TRUNK_EPS)
        self.mlp = Mlp(dim, hidden, dim)

    def forward(self, x: Tensor, kv: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        attended, own = self.attn(self.norm1(x), kv, mask)
        x = x + attended
        return x + self.mlp(self.norm2(x)), own


class PatchEmbed(nn.Module):
    """A convolution whose stride is its kernel; also as a product with patches that are already cut.

    With stem "conv" (ours), a small ConvNet over each patch by itself is added: a small ViT trained from nothing learns what is inside a
    patch far sooner that way ("Early Convolutions Help Transformers See Better", arXiv 2106.14881), and a patch is still all it needs.
    """

    def __init__(self, patch: int, dim: int, stem: str = "linear"):
        super().__init__()
        self.patch = patch
        self.proj = nn.Conv2d(3, dim, kernel_size=patch, stride=patch)
        self.stem = PatchStem(patch, dim) if stem == "conv" else None

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, H/p * W/p, D], row-major"""
        if self.stem is None:
            return self.proj(pixels).flatten(2).transpose(1, 2)
        side = self.patch
        cut = pixels.unflatten(2, (-1, side)).unflatten(4, (-1, side))  # [B, 3, rows, p, cols, p]
        return self.embed(cut.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2))

    def embed(self, patches: Tensor) -> Tensor:
        """[B, N, 3*p*p], each flattened (c, y, x) -> [B, N, D]"""
        flat = F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)
        if self.stem is None:
            return flat
        image = patches.flatten(0, 1).unflatten(1, (3, self.patch, self.patch))
        return flat + self.stem(image).unflatten(0, patches.shape[:2])


class PatchStem(nn.Module):
    """Three convolutions of stride 2 over single patches, then one product: [M, 3, p, p] -> [M, D]."""

    WIDTHS = (32, 64, 128)

    def __init__(self, patch: int, dim: int):
        super().__init__()
        self.convs = strided_convs(3, self.WIDTHS)
        side = patch // 2 ** len(self.WIDTHS)
        self.proj = nn.Linear(self.WIDTHS[-1] * side * side, dim)

    def forward(self, patches: Tensor) -> Tensor:
        for conv in self.convs:
            patches = F.gelu(conv(patches))
        return self.proj(patches.flatten(1))


def strided_convs(channels: int, widths: tuple[int, ...]) -> nn.ModuleList:
    """3 x 3 convolutions of stride 2, one after the other."""
    return nn.ModuleList(
        nn.Conv2d(before, width, kernel_size=3, stride=2, padding=1) for before, width in zip((channels, *widths), widths, strict=False)
    )


def run_blocks(
    blocks: nn.ModuleList, x: Tensor, kv: Tensor | None = None, mask: Tensor | None = None, keep=()
) -> tuple[Tensor, dict[int, Tensor], list[Tensor]]:
    """x [B, N, D] through every block. kv [L, 2, B, h, n0, D/h] is what earlier tokens left.

    -> last hidden states [B, N, D], {layer: hidden states} for the layers in `keep`, and each block's own keys and values.
    """
    kept, own = {}, []
    for i, block in enumerate(blocks):
        x, block_kv = block(x, None if kv is None else kv[i], mask)
        own.append(block_kv)
        if i in keep:
            kept[i] = x
    return x, kept, own
