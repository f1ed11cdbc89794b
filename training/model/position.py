"""Where a patch is: positional embeddings of every scale, made from one table that was learned on a coarse grid.

The reference resamples its [g, g] table to each scale's grid with the antialiased bicubic filter (ps3.md, Forward). That filter is
separable and linear, so here it is a product with one small matrix on each side: the same numbers, a gradient, and plain MatMul in ONNX.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def interpolation_matrix(old: int, new: int) -> Tensor:
    """[new, old] float32 on the CPU: antialiased bicubic resampling (a = -0.5, half-pixel centres) from old to new samples.

    It is what F.interpolate makes of each unit vector, hence its own weights exactly.
    """
    eye = torch.eye(old, device="cpu")
    # One image whose rows are the unit vectors: only its height is resampled.
    return eye if old == new else F.interpolate(eye[None, None], size=(new, old), mode="bicubic", antialias=True)[0, 0]


def resample_table(table: Tensor, matrix: Tensor) -> Tensor:
    """table [1, g*g, D] learned on a square grid, matrix [G, g] -> [G*G, D], row-major."""
    new, old = matrix.shape
    if new == old:
        return table[0]
    square = table.view(old, old, -1)
    rows = torch.tensordot(matrix, square, dims=1)  # [G, g, D]
    return torch.matmul(matrix, rows).flatten(0, 1)  # [G, g] @ each row's [g, D] -> [G, G, D]


def crop_table(table: Tensor, side: int) -> Tensor:
    """C-RADIO: table [1, g*g, D] -> its top left corner [side*side, D], row-major."""
    grid = int(round(table.shape[1] ** 0.5))
    return table.view(grid, grid, -1)[:side, :side].reshape(side * side, -1)


def factor_position(position: Tensor, offsets: Tensor, starts: Tensor, sides: Tensor) -> tuple[Tensor, Tensor]:
    """Flat positions -> rows of the two factor tables.

    position int64 [...]: offsets[s] + row * G_s + col. offsets [H] (cumulated G_s^2), starts [H] (cumulated G_s), sides [H] (G_s)
    -> (starts[s] + row, starts[s] + col), int64 [...]. Comparisons, sums and one division, so that any runtime takes the graph: each scale
    that a position has passed adds the step from it to the next.
    """
    passed = (position.unsqueeze(-1) >= offsets[1:]).to(position.dtype)
    offset, start, side = (at[0] + (passed * (at[1:] - at[:-1])).sum(dim=-1) for at in (offsets, starts, sides))
    local = position - offset
    # Half a step keeps the quotient 1 / (2 * side) away from whole numbers, far more than float32 loses below 2^23 positions a scale;
    # a whole-number division would export as six nodes that round towards minus infinity.
    row = ((local.float() + 0.5) / side).to(position.dtype)
    return start + row, start + local - row * side
