"""Whole images on the way through PS3.forward: cut at every scale, selected from, and put together again."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ps3_ros.errors import FrameError, QueryError

from .geometry import cut_grid, frame_grids, grid_positions, resize, spread
from .selection import look_schedule, select_patches, share_budget
from .vision import VisionModel


class Frames:
    """One batch of equally large images for PS3.forward. A patch is named by its index over all high-res grids, one after the other."""

    def __init__(self, pixels: Tensor, v: VisionModel):
        if pixels.ndim != 4 or pixels.shape[1] != 3 or 0 in pixels.shape or not pixels.is_floating_point():
            raise FrameError(f"pixel_values is {pixels.dtype} {list(pixels.shape)}; give a float tensor [B, 3, H, W].")
        self.pixels, self.v, self.config, self.batch = pixels.float(), v, v.config, pixels.shape[0]
        self.grids = frame_grids(pixels.shape[2], pixels.shape[3], v.config)
        self.counts = [rows * cols for rows, cols in self.grids]
        self.positions = torch.cat([
            grid_positions(grid, side, offset, v.config.geometry)
            for grid, side, offset in zip(self.grids, v.sides, v.position_offsets, strict=True)
        ]).to(pixels.device)
        cells = torch.arange(v.grid * v.grid, dtype=torch.float32, device=pixels.device).view(1, v.grid, v.grid)
        self.cells = [spread(cells, grid).flatten().long() for grid in self.grids]
        self.cut = None

    def low_res(self) -> Tensor:
        """[B, 3, S, S]"""
        return resize(self.pixels, self.v.scales[0], self.v.scales[0], self.config.resampling)

    def aux(self) -> Tensor:
        """[B, 3, A, A]"""
        return resize(self.pixels, self.config.aux_size, self.config.aux_size, self.config.resampling)

    def spread_map(self, logits: Tensor) -> list[Tensor]:
        """[B, H, g, g] -> probabilities of every scale, all from the first scale's map."""
        return [spread(torch.sigmoid(logits[:, 0]), grid) for grid in self.grids]

    def prefer(self, wanted: Tensor, probs: list[Tensor]) -> list[Tensor]:
        """Probabilities with 1 where wanted [B, H', W'] is positive within a patch of the coarsest high-res scale."""
        coarse = F.adaptive_avg_pool2d(wanted.float().unsqueeze(1), self.grids[0]).squeeze(1)
        return [torch.where(spread(coarse, grid) > 0, 1.0, p) for grid, p in zip(self.grids, probs, strict=True)]

    def inside(self, wanted: Tensor | None) -> Tensor:
        """bool [B, patches]: which patches touch wanted [B, H', W']."""
        if wanted is None:
            raise QueryError("pool_gt_token_only pools inside gt_selection_maps, which is None; give both or neither.")
        pooled = [F.adaptive_avg_pool2d(wanted.float().unsqueeze(1), grid).flatten(1) for grid in self.grids]
        return torch.cat(pooled, dim=1) > 0

    def choose(self, probs: list[Tensor], looks, tokens, first: list[int | None]) -> list[Tensor]:
        """Patches of each look, int64 [B, N], ascending."""
        if len(first) != self.batch or any(n is not None and not 1 <= n <= len(self.grids) for n in first):
            raise QueryError(f"only_select_first_n_scale is {first}; give 1 to {len(self.grids)} for each of the {self.batch} images.")
        budget = self.config.budget
        reach = len(self.grids) if first[0] is None else max(n or len(self.grids) for n in first)
        taken = [[torch.zeros(n, dtype=torch.bool, device=self.pixels.device) for n in self.counts] for _ in range(self.batch)]
        chosen = []
        for share in look_schedule(looks, tokens, sum(self.counts[:reach]), sum(budget)):
            rows = []
            for i in range(self.batch):
                counts = share_budget(budget, share, [int((~t).sum()) for t in taken[i]], first[i])
                picked = select_patches([p[i].detach().flatten() for p in probs], self.cells, taken[i], counts)
                for used, index in zip(taken[i], picked, strict=True):
                    used[index] = True
                rows.append(self._joined(picked))
            chosen.append(_stacked(rows))
        return chosen

    def forced(self, selection_maps: list) -> list[Tensor]:
        """Given maps -> patches of each look, int64 [B, N]."""
        looks = selection_maps if isinstance(selection_maps[0], (list, tuple)) else [selection_maps]
        chosen = []
        for maps in looks:
            if [tuple(m.shape) for m in maps] != [(self.batch, *grid) for grid in self.grids]:
                raise QueryError(
                    f"selection_maps are {[list(m.shape) for m in maps]}; this frame needs {[[self.batch, *grid] for grid in self.grids]}."
                )
            flat = torch.cat([m.flatten(1) for m in maps], dim=1) > 0
            chosen.append(_stacked([row.nonzero().squeeze(1) for row in flat]))
        return chosen

    def patches(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """chosen int64 [B, N] -> their pixels [B, N, 3*p*p] and positions int64 [B, N]"""
        if self.cut is None:
            p = self.v.patch
            self.cut = torch.cat(
                [cut_grid(resize(self.pixels, rows * p, cols * p, self.config.resampling), p) for rows, cols in self.grids], dim=1
            )
        return torch.gather(self.cut, 1, chosen.unsqueeze(-1).expand(-1, -1, self.cut.shape[-1])), self.positions[chosen]

    def maps(self, chosen: Tensor) -> list[Tensor]:
        """int64 [B, N] -> uint8 [B, rows, cols] a scale"""
        flat = torch.zeros(self.batch, sum(self.counts), dtype=torch.uint8, device=chosen.device).scatter_(1, chosen, 1)
        return [part.unflatten(1, grid) for part, grid in zip(flat.split(self.counts, dim=1), self.grids, strict=True)]

    def _joined(self, picked: list[Tensor]) -> Tensor:
        starts = [sum(self.counts[:s]) for s in range(len(self.counts))]
        return torch.cat([index + start for index, start in zip(picked, starts, strict=True)])


def _stacked(rows: list[Tensor]) -> Tensor:
    if len({len(row) for row in rows}) > 1 or len(rows[0]) == 0:
        raise QueryError(f"A look takes {[len(row) for row in rows]} patches of the batch's images; make them equally many, at least one.")
    return torch.stack(rows)


def smooth(prob: Tensor) -> Tensor:
    """[B, rows, cols] -> the means over 6 x 6 areas, spread back."""
    return F.interpolate(F.adaptive_avg_pool2d(prob.unsqueeze(1), (6, 6)), size=prob.shape[-2:], mode="nearest").squeeze(1)
