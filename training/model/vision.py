"""The vision side of PS3: glance, selection features, look and pool. Each is one graph of a bundle and exports as it stands."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backbone import TRUNK_EPS, Block, PatchEmbed, run_blocks
from .config import RADIO_POOL, VisionConfig
from .layers import Mlp
from .pool import AttentionPool, SiglipProjection
from .position import crop_table, factor_position, interpolation_matrix, resample_table
from .selection import AuxBranch, relevance_logits

SELECTION_EPS = 1e-5


class GlanceOutput(NamedTuple):
    tokens: Tensor  # [B, n0, D] hidden states before the final norm
    select_features: Tensor  # [B, H, g*g, D], one vector a high-res scale and low-res cell
    kv: Tensor  # [L, 2, B, h, n0, D/h]


class Trunk(nn.Module):
    """The parameters of the transformer and its pool, under the names of the checkpoint."""

    def __init__(self, config: VisionConfig):
        super().__init__()
        shape, grid = config.backbone, config.position_grid
        self.patch_embed = PatchEmbed(shape.patch, shape.dim, config.patch_stem)
        if config.position == "factored":
            self.pos_embed_row = nn.Parameter(torch.randn(grid, shape.dim) * 0.02)
            self.pos_embed_col = nn.Parameter(torch.randn(grid, shape.dim) * 0.02)
        else:
            self.pos_embed = nn.Parameter(torch.randn(1, grid * grid, shape.dim) * 0.02)
        self.blocks = nn.ModuleList(Block(shape.dim, shape.heads, int(shape.dim * shape.mlp_ratio)) for _ in range(shape.depth))
        has_norm = config.final_norm or not config.radio
        self.norm = nn.LayerNorm(shape.dim, eps=TRUNK_EPS) if has_norm else nn.Identity()
        pool = RADIO_POOL if config.radio else shape
        self.attn_pool = AttentionPool(pool.dim, pool.heads, int(pool.dim * pool.mlp_ratio))
        self.siglip_proj = None
        if config.radio:
            self.siglip_proj = SiglipProjection(
                shape.dim, config.radio_adapter_mlp_hidden_dim, pool.dim, config.radio_adapter_mlp_num_inner or 0
            )


class VisionModel(nn.Module):
    """D = dim, E = embed_dim, g = grid, H high-res scales of sides G_s, L layers, h heads, n0 = g*g, p = patch."""

    def __init__(self, config: VisionConfig):
        super().__init__()
        self.config = config
        self.dim, self.heads, self.layers = config.backbone.dim, config.backbone.heads, config.backbone.depth
        self.grid, self.patch, self.embed_dim = config.grid, config.patch, config.embed_dim
        self.sides, self.scales = config.sides, config.ps3_scales
        starts, offsets = [0], [0]
        for side in self.sides:
            starts.append(starts[-1] + side)
            offsets.append(offsets[-1] + side * side)
        self.position_offsets = tuple(offsets[:-1])  # where each scale begins in position_table()
        self.position_count = offsets[-1]

        self.trunk = Trunk(config)
        wide = self.dim * len(config.select_based_on_layer)
        self.selection_feature_proj = Mlp(wide, wide, self.dim * len(self.sides), norm_eps=SELECTION_EPS)
        self.prior_prompt = nn.Parameter(torch.randn(self.dim))
        self.highres_selection_feature_module = self.prompt_proj_for_highres = None
        if config.highres_selection_feature:
            out = config.highres_selection_module_out_dim
            self.highres_selection_feature_module = AuxBranch(
                config.highres_selection_module_hidden_dim,
                out,
                config.highres_selection_module_depth,
                config.highres_selection_module_kernel_size,
                config.aux_stem,
            )
            self.prompt_proj_for_highres = nn.Linear(self.dim, out * len(self.sides))
        self.pos_emb_residual = None
        if config.separate_pos_emb and config.position == "factored":
            grid = config.position_grid
            self.pos_emb_residual = nn.ModuleList(
                nn.ParameterDict({axis: torch.zeros(grid, self.dim) for axis in ("row", "col")}) for _ in self.sides
            )
        elif config.separate_pos_emb:
            self.pos_emb_residual = nn.ParameterList(torch.zeros(1, side * side, self.dim) for side in self.sides)

        # Constants, not part of a checkpoint. Made on the CPU even while the parameters are on the meta device.
        self.register_buffer("_offsets", torch.tensor(offsets[:-1], device="cpu"), persistent=False)
        self.register_buffer("_starts", torch.tensor(starts[:-1], device="cpu"), persistent=False)
        self.register_buffer("_sides", torch.tensor(self.sides, device="cpu"), persistent=False)
        for i, side in enumerate((self.grid, *self.sides)):
            self.register_buffer(f"_resample_{i}", interpolation_matrix(config.position_grid, side), persistent=False)

    # Positions

    def _scale_table(self, i: int) -> Tensor:
        """trunk's positions on scale i's grid (0 = low-res): [side*side, D]"""
        side, matrix = (self.grid, *self.sides)[i], getattr(self, f"_resample_{i}")
        if self.config.position == "factored":
            rows, cols = matrix @ self.trunk.pos_embed_row, matrix @ self.trunk.pos_embed_col
            return (rows[:, None] + cols[None, :]).flatten(0, 1)
        if self.config.radio:
            return crop_table(self.trunk.pos_embed, side)
        return resample_table(self.trunk.pos_embed, matrix)

    def low_res_positions(self) -> Tensor:
        """[n0, D]: what the glance adds to its patches."""
        return self._scale_table(0)

    def position_table(self) -> Tensor:
        """[sum G_s^2, D]: what a look adds to a patch, by its `position`. Dense whatever the config; see position_factors."""
        if self.config.position == "factored":
            rows, cols = self.position_factors()
            return torch.cat([
                (r[:, None] + c[None, :]).flatten(0, 1) for r, c in zip(rows.split(self.sides), cols.split(self.sides), strict=True)
            ])
        tables = [self._scale_table(i + 1) for i in range(len(self.sides))]
        if self.pos_emb_residual is not None:
            tables = [table + residual[0] for table, residual in zip(tables, self.pos_emb_residual, strict=True)]
        return torch.cat(tables)

    def position_factors(self) -> tuple[Tensor, Tensor]:
        """position "factored" only: (rows, cols), each [sum G_s, D]; a patch's position is rows[start_s + y] + cols[start_s + x].

        The tables and their residuals are learned on the positional grid and resampled to each G_s by the antialiased bicubic filter.
        """
        if self.config.position != "factored":
            raise ValueError('position_factors needs vision_config.position "factored"; this model\'s is "full", so use position_table.')
        factors = []
        for axis, table in (("row", self.trunk.pos_embed_row), ("col", self.trunk.pos_embed_col)):
            scales = []
            for i in range(len(self.sides)):
                learned = table if self.pos_emb_residual is None else table + self.pos_emb_residual[i][axis]
                scales.append(getattr(self, f"_resample_{i + 1}") @ learned)
            factors.append(torch.cat(scales))
        return factors[0], factors[1]

    def positions(self) -> Tensor | tuple[Tensor, Tensor]:
        """What `look` takes as `table`: position_factors() or position_table(). An export makes it once and keeps it as a constant."""
        return self.position_factors() if self.config.position == "factored" else self.position_table()

    def embed_position(self, position: Tensor, table=None) -> Tensor:
        """position int64 [B, N] -> [B, N, D]; table: from positions(), or None to make it now."""
        table = self.positions() if table is None else table
        if self.config.position != "factored":
            return F.embedding(position, table)
        row, col = factor_position(position, self._offsets, self._starts, self._sides)
        return F.embedding(row, table[0]) + F.embedding(col, table[1])

    # Stages

    def glance(self, pixels: Tensor) -> GlanceOutput:
        """Stage 1. pixels [B, 3, S, S], normalised."""
        return self.glance_layers(pixels, ())[0]

    def glance_layers(self, pixels: Tensor, keep) -> tuple[GlanceOutput, dict[int, Tensor]]:
        """glance, and the hidden states [B, n0, D] of the layers in `keep`."""
        x = self.trunk.patch_embed(pixels) + self.low_res_positions()
        chosen = self.config.select_based_on_layer
        x, kept, own = run_blocks(self.trunk.blocks, x, keep={*chosen, *keep})
        features = self.selection_feature_proj(torch.cat([kept[i] for i in chosen], dim=-1))
        features = features.unflatten(-1, (len(self.sides), self.dim)).transpose(1, 2)
        return GlanceOutput(x, features, torch.stack(own)), kept

    def aux_features(self, aux_pixels: Tensor, fixed: int = 0) -> Tensor:
        """[B, 3, A, A], normalised -> [B, d, a, a]. One map serves all high-res scales; only the prompt has a slice for each.

        fixed: layers of its stem that take no gradient (AuxBranch).
        """
        if self.highres_selection_feature_module is None:
            raise ValueError("aux_features needs vision_config.highres_selection_feature; this model has no auxiliary branch.")
        return self.highres_selection_feature_module(aux_pixels, fixed)

    def prompt_aux(self, prompt: Tensor) -> Tensor:
        """[..., D] -> [..., d]: the auxiliary branch's prompt for the first high-res scale, whose map all scales use."""
        return self._prompts_aux(prompt)[..., 0, :]

    def _prompts_aux(self, prompt: Tensor) -> Tensor:
        """[..., D] -> [..., H, d]"""
        if self.prompt_proj_for_highres is None:
            raise ValueError("prompt_aux needs vision_config.highres_selection_feature; this model has no auxiliary branch.")
        return self.prompt_proj_for_highres(prompt).unflatten(-1, (len(self.sides), -1))

    def relevance(self, glance: GlanceOutput, aux: Tensor | None, prompt: Tensor) -> Tensor:
        """Stage 2's logits; sigmoid makes them relevance (the first scale's map is the one that selection uses for all).

        aux from aux_features, None where the model has no such branch. prompt [B, D] -> [B, H, g, g]; prompt [B, Q, D] -> [B, Q, H, g, g].
        """
        prompts = prompt if prompt.ndim == 3 else prompt.unsqueeze(1)
        logits = relevance_logits(glance.select_features, aux, prompts, None if aux is None else self._prompts_aux(prompts))
        return logits if prompt.ndim == 3 else logits.squeeze(1)

    def saliency(self, glance: GlanceOutput, aux: Tensor | None) -> Tensor:
        """Relevance without a query: the logits [B, H, g, g] of the bottom-up prompt."""
        return self.relevance(glance, aux, self.prior_prompt.expand(glance.tokens.shape[0], -1))

    def look(self, patches: Tensor, position: Tensor, kv: Tensor, mask: Tensor | None = None, table=None) -> Tensor:
        """Stage 3.

        patches [B, N, 3*p*p], each RGB (c, y, x), normalised; position int64 [B, N] into the concatenated G_s x G_s grids;
        kv [L, 2, B, h, n0, D/h] of the glance; mask bool [B, N]: True = a real patch, others are seen by none; table: from positions(),
        where it was made beforehand -> [B, N, D], hidden states before the final norm.
        """
        return self.look_layers(patches, position, kv, mask, table, ())[0]

    def look_layers(self, patches: Tensor, position: Tensor, kv: Tensor, mask, table, keep) -> tuple[Tensor, dict[int, Tensor]]:
        """look, and the hidden states [B, N, D] of the layers in `keep`."""
        x = self.trunk.patch_embed.embed(patches) + self.embed_position(position, table)
        if mask is not None:
            glance = torch.ones(mask.shape[0], kv.shape[4], dtype=torch.bool, device=mask.device)
            mask = torch.cat([glance, mask], dim=1)[:, None, None, :]
        x, kept, _ = run_blocks(self.trunk.blocks, x, kv, mask, keep)
        return x, kept

    def pool(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """tokens [B, N, D] (before the final norm), mask bool [B, R, N] -> [B, R, E]. An empty region pools over all tokens."""
        x = self.trunk.norm(tokens)
        if self.trunk.siglip_proj is not None:
            x = self.trunk.siglip_proj(x)
        return self.trunk.attn_pool(x, mask)
