"""What is quicker to train on a CPU in another form: attention written out, and depthwise convolutions in float32.

Torch's fused attention is made for inference there, and its backward pass is slow in bf16.

Measured on two cores (bf16, forward and backward, ms), written out against fused: 128 crops of 36 tokens 9 against 115; 6 frames of 576
tokens 81 against 97; 6 looks of 448 tokens at 1,024 keys 41 against 158. The numbers it gives are the same up to rounding
(tests/training/test_attention.py). A depthwise convolution has no product that bf16 makes quicker, and its backward pass there takes the
selector's three blocks 0.15 s of a nano's step of 1.4 s; in float32 it takes a tenth of that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F


def plain_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, attn_mask: torch.Tensor | None = None) -> torch.Tensor:
    """softmax(q k^T / sqrt(c)) v for q [..., N, c], k and v [..., K, c]; attn_mask bool, True = may be seen."""
    logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if attn_mask is not None:
        logits = logits.masked_fill(~attn_mask, float("-inf"))
    return logits.softmax(-1).to(v.dtype) @ v


@contextmanager
def written_out() -> Iterator[None]:
    """While it lasts, F.scaled_dot_product_attention is plain_attention and F.conv2d computes depthwise ones in float32, so that the
    model's own code stays the one that is exported."""
    fused, conv2d = F.scaled_dot_product_attention, F.conv2d

    def conv(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        if groups == 1 or not torch.is_autocast_enabled(x.device.type):
            return conv2d(x, weight, bias, stride, padding, dilation, groups)
        with torch.autocast(x.device.type, enabled=False):
            return conv2d(x.float(), weight.float(), None if bias is None else bias.float(), stride, padding, dilation, groups)

    F.scaled_dot_product_attention, F.conv2d = plain_attention, conv
    try:
        yield
    finally:
        F.scaled_dot_product_attention, F.conv2d = fused, conv2d
