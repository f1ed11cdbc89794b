"""How a frame that is not square maps to the grids of the high-res scales (docs/architecture.md, geometry)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .config import VisionConfig


def frame_grids(height: int, width: int, config: VisionConfig) -> list[tuple[int, int]]:
    """(rows, cols) of patches of each high-res scale, for a frame of height x width px."""
    long, short = max(height, width), min(height, width)
    low = config.ps3_scales[0]
    grids = []
    for scale, side in zip(config.ps3_scales[1:], config.sides, strict=True):
        if config.geometry == "native":
            # Half up, in whole numbers: the same on every platform.
            across = max(1, (2 * scale * short + long * config.patch) // (2 * long * config.patch))
        else:
            # In whole numbers: the reference divides first, in floats, which at some sizes that its processor never makes (613 x 613)
            # loses a row of a square.
            across = max(1, low * short // long // config.patch) * (scale // low)
        grids.append((side, across) if height >= width else (across, side))
    return grids


def grid_positions(grid: tuple[int, int], side: int, offset: int, geometry: str) -> Tensor:
    """Index of every patch of one scale in the concatenated G_s x G_s tables: int64 [rows * cols], row-major."""
    rows, cols = grid
    row, col = torch.arange(rows), torch.arange(cols)
    if geometry == "native":
        row = (2 * row + 1) * side // (2 * rows)
        col = (2 * col + 1) * side // (2 * cols)
    return (offset + row[:, None] * side + col[None, :]).flatten()


def spread(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """maps [B, g, h] -> [B, rows, cols]: patch (r, c) gets the value of the cell that owns it, (floor(r * g / rows), floor(c * h / cols)).

    Nearest neighbour as the reference's, in whole numbers: F.interpolate's float32 misses by one where rows is no multiple (24 on 74).
    """
    row, col = (torch.arange(new, device=maps.device) * old // new for new, old in zip(grid, maps.shape[1:], strict=True))
    return maps[:, row[:, None], col[None, :]]


def resize(pixels: Tensor, height: int, width: int, resampling: str) -> Tensor:
    """pixels [B, 3, H, W] -> [B, 3, height, width], as the manifest's `resampling` of that name."""
    if pixels.shape[-2:] == (height, width):
        return pixels
    if resampling == "bicubic":
        return F.interpolate(pixels, size=(height, width), mode="bicubic")
    if height > pixels.shape[-2] or width > pixels.shape[-1]:
        return F.interpolate(pixels, size=(height, width), mode="bilinear")
    rows, cols = (area_matrix(old, new).to(pixels) for old, new in ((pixels.shape[-2], height), (pixels.shape[-1], width)))
    return rows @ (pixels @ cols.T)


def area_matrix(old: int, new: int) -> Tensor:
    """[new, old] float32: each new sample is the mean of the old ones it covers, partly covered ones by their share (new <= old)."""
    edges = torch.arange(new + 1, dtype=torch.float64) * old / new
    cells = torch.arange(old, dtype=torch.float64)
    covered = torch.minimum(edges[1:, None], cells + 1) - torch.maximum(edges[:-1, None], cells)
    return (covered.clamp_min(0) * new / old).float()


def cut_grid(pixels: Tensor, patch: int) -> Tensor:
    """pixels [B, 3, rows*p, cols*p] -> every patch [B, rows*cols, 3*p*p], each flattened (c, y, x)."""
    rows, cols = pixels.shape[-2] // patch, pixels.shape[-1] // patch
    return pixels.unflatten(-1, (cols, patch)).unflatten(-3, (rows, patch)).permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)
