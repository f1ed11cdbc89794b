"""Selection recall (paper, table 7): which part of a box's patches, over all high-res scales, a map selects for a share of all patches."""

from __future__ import annotations

import numpy as np

from ps3_ros.frame import FramePlan
from ps3_ros.selection import Selection, select

SHARES = (0.05, 0.1, 0.2, 0.44, 0.7)  # of all patches, besides one look; 0.44 is the paper's


def budgets(plan: FramePlan) -> dict[str, int]:
    """{name: patches}: one look, then SHARES of all patches."""
    total = sum(grid.patches for grid in plan.grids)
    return {"one look": min(plan.settings.max_patches, total), **{f"{share:.0%}": int(share * total) for share in SHARES}}


def patches_of(box: np.ndarray, plan: FramePlan, s: int) -> np.ndarray:
    """Patches of high-res scale s that share area with a box: sorted int64 [n]."""
    grid = plan.grids[s]
    high, wide = plan.height / grid.rows, plan.width / grid.cols
    rows = np.arange(int(box[1] // high), min(grid.rows, int(np.ceil(box[3] / high))))
    cols = np.arange(int(box[0] // wide), min(grid.cols, int(np.ceil(box[2] / wide))))
    return (rows[:, None] * grid.cols + cols[None]).ravel()


def recall(chosen: Selection, wanted: list[np.ndarray]) -> float:
    """Share of the wanted patches (one array a scale) that were chosen."""
    hits = sum(int(np.isin(want, have, assume_unique=True).sum()) for want, have in zip(wanted, chosen.patches, strict=True))
    return hits / max(1, sum(map(len, wanted)))


def selections(relevance: np.ndarray, plan: FramePlan) -> dict[str, Selection]:
    """{budget's name: what a map [g, g] selects with it}."""
    return {name: select(relevance, plan, budget) for name, budget in budgets(plan).items()}
