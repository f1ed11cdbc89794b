"""The two text towers: the reference's CLIP-like one, and ours around a BERT sentence encoder. Both end in `text` and `prompt`."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import TextConfig
from .layers import Mlp, merge_heads, split_heads, unit

PROMPT_EPS = 1e-5


class TextOutput(NamedTuple):
    text: Tensor  # [Q, E] what regions are matched with; not normalised
    prompt: Tensor  # [Q, D] what selection uses


class ClipAttention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.randn(3 * width, width) * width**-0.5)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        parts = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        q, k, v = (split_heads(part, self.heads) for part in parts)
        return self.out_proj(merge_heads(F.scaled_dot_product_attention(q, k, v, attn_mask=mask)))


class ClipBlock(nn.Module):
    """Pre-norm block with the names of open_clip's."""

    def __init__(self, config: TextConfig):
        super().__init__()
        hidden = int(config.width * config.mlp_ratio)
        self.ln_1 = nn.LayerNorm(config.width, eps=config.eps)
        self.attn = ClipAttention(config.width, config.heads)
        self.ln_2 = nn.LayerNorm(config.width, eps=config.eps)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(config.width, hidden), "c_proj": nn.Linear(hidden, config.width)})
        self.gelu = config.gelu

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.attn(self.ln_1(x), mask)
        return x + self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](self.ln_2(x)), approximate=self.gelu))


class ClipText(nn.Module):
    """The reference's text tower."""

    def __init__(self, config: TextConfig):
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.width)
        self.positional_embedding = nn.Parameter(torch.randn(config.context_length, config.width) * 0.01)
        self.transformer = nn.ModuleDict({"resblocks": nn.ModuleList(ClipBlock(config) for _ in range(config.layers))})
        self.ln_final = nn.LayerNorm(config.width, eps=config.eps)
        if config.proj_bias:
            self.text_projection = nn.Linear(config.width, config.output_dim)
        else:
            self.text_projection = nn.Parameter(torch.randn(config.width, config.output_dim) * config.width**-0.5)
        self.prompt_proj = Mlp(config.output_dim, config.prompt_proj_dim, config.prompt_proj_dim, norm_eps=PROMPT_EPS)

    def forward(self, ids: Tensor) -> TextOutput:
        """ids int64 [Q, T], T at most context_length; pool_type "last" needs T = context_length, as it pools whatever stands there."""
        place = torch.arange(ids.shape[1], device=ids.device)
        x = self.token_embedding(ids) + F.embedding(place, self.positional_embedding)
        mask = None if self.config.no_causal_mask else place[:, None] >= place[None, :]
        for block in self.transformer["resblocks"]:
            x = block(x, mask)
        x = self._pooled(self.ln_final(x), ids)
        return self.project(self.text_projection(x) if self.config.proj_bias else x @ self.text_projection)

    def project(self, text: Tensor) -> TextOutput:
        """Text embeddings [Q, E] that were made beforehand (training keeps the tower as it is, and trains prompt_proj)."""
        return TextOutput(text, self.prompt_proj(unit(text)))

    def _pooled(self, x: Tensor, ids: Tensor) -> Tensor:
        """[Q, T, W] -> [Q, W]: the first position, the last, or that of the highest id (the end token of CLIP's vocabulary)."""
        if self.config.pool_type == "first":
            return x[:, 0]
        if self.config.pool_type == "last":
            return x[:, -1]
        end = ids.argmax(dim=-1)[:, None, None].expand(-1, 1, x.shape[-1])
        return torch.gather(x, 1, end).squeeze(1)


class SentenceBlock(nn.Module):
    """BERT's post-norm block."""

    def __init__(self, config: TextConfig):
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.proj = nn.Linear(config.width, config.width)
        self.norm1 = nn.LayerNorm(config.width, eps=config.eps)
        self.mlp = Mlp(config.width, int(config.width * config.mlp_ratio), config.width, gelu=config.gelu)
        self.norm2 = nn.LayerNorm(config.width, eps=config.eps)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        x = self.norm1(x + self.proj(merge_heads(F.scaled_dot_product_attention(q, k, v, attn_mask=mask))))
        return self.norm2(x + self.mlp(x))


class SentenceEncoder(nn.Module):
    """BERT without its pooler: the mean over the tokens that are not padding, at unit length. token_type is always 0 and lives in
    the positional rows, to which sentence.py adds it."""

    def __init__(self, config: TextConfig):
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.width)
        self.position_embedding = nn.Embedding(config.context_length, config.width)
        self.norm = nn.LayerNorm(config.width, eps=config.eps)
        self.blocks = nn.ModuleList(SentenceBlock(config) for _ in range(config.layers))

    def forward(self, ids: Tensor) -> Tensor:
        """ids int64 [Q, T], T at most context_length, padded with pad_id -> [Q, W], unit length"""
        real = ids != self.config.pad_id
        x = self.norm(self.token_embedding(ids) + self.position_embedding(torch.arange(ids.shape[1], device=ids.device)))
        # A row of padding alone would attend to nothing: let it see everything, the mean below leaves it out.
        mask = (real | ~real.any(dim=-1, keepdim=True))[:, None, None, :]
        for block in self.blocks:
            x = block(x, mask)
        weight = real.unsqueeze(-1).to(x.dtype)
        return unit((x * weight).sum(dim=1) / weight.sum(dim=1).clamp_min(1.0), eps=1e-6)


class SentenceText(nn.Module):
    """Ours: a sentence encoder behind a small trained projection."""

    def __init__(self, config: TextConfig):
        super().__init__()
        self.config = config
        self.encoder = SentenceEncoder(config)
        self.text_projection = Mlp(config.width, config.projection_dim, config.output_dim, norm_eps=PROMPT_EPS)
        self.prompt_proj = Mlp(config.output_dim, config.prompt_proj_dim, config.prompt_proj_dim, norm_eps=PROMPT_EPS)

    def forward(self, ids: Tensor) -> TextOutput:
        """ids int64 [Q, T]"""
        return self.project(self.encoder(ids))

    def project(self, sentences: Tensor) -> TextOutput:
        """Sentence vectors [Q, W] of the encoder, which may have been made beforehand (training keeps the encoder as it is)."""
        text = self.text_projection(sentences)
        return TextOutput(text, self.prompt_proj(unit(text)))


def text_model(config: TextConfig) -> ClipText | SentenceText:
    return SentenceText(config) if config.kind == "sentence" else ClipText(config)
