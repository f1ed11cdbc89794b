"""Which patches to look at: relevance of each low-res cell, then cells by relevance until each scale's share is spent (ps3.md, Stage 2)."""

from dataclasses import dataclass

import numpy as np

from .budget import share_budget
from .errors import QueryError

EPS = 1e-6  # under a vector's length: safe in half precision too
SHARPNESS, LIMIT = 5.0, 10.0  # of the logit, before the sigmoid


@dataclass(frozen=True, eq=False)
class Selection:
    """Chosen patches: one sorted int64 array (row * cols + col) a high-res scale, coarse to fine."""

    patches: tuple

    @staticmethod
    def none(plan):
        """Nothing chosen."""
        return Selection(tuple(np.empty(0, np.int64) for _ in plan.grids))

    @property
    def count(self):
        return sum(len(p) for p in self.patches)

    def union(self, other):
        """Both; the two must not share a patch."""
        return Selection(tuple(np.sort(np.concatenate(pair)) for pair in zip(self.patches, other.patches, strict=True)))


def normalised(vectors):
    """Rows of unit length: float32 [..., D] -> float32 [..., D]."""
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32(EPS))


def relevance_map(select_features, aux_features, prompt, prompt_aux):
    """How probable it is that each low-res cell shows what the prompt means: float32 [g, g] in (0, 1).

    select_features float32 [g*g, D], prompt [D]; aux_features [d, a, a] and prompt_aux [d], or None where there is no auxiliary branch.
    The mean of the two cosines, x 5, clamped to 10 either way, sigmoid.
    """
    g = int(round(len(select_features) ** 0.5))
    cosine = np.einsum("nd,d->n", normalised(select_features), normalised(prompt)).reshape(g, g)
    if aux_features is not None:
        lengths = np.sqrt(np.einsum("dyx,dyx->yx", aux_features, aux_features))
        aux = np.einsum("d,dyx->yx", normalised(prompt_aux), aux_features) / np.maximum(lengths, np.float32(EPS))
        cosine = (cosine + adaptive_max(aux, g)) / 2
    return sigmoid(np.clip(cosine * SHARPNESS, -LIMIT, LIMIT)).astype(np.float32)


def sigmoid(logit):
    """1 / (1 + exp(-logit)), without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(logit)))


def adaptive_max(values, g):
    """Largest value under each of g x g cells: [h, w] -> [g, g]; a cell spans floor(i * h / g) to ceil((i + 1) * h / g)."""
    for axis in (0, 1):
        n = values.shape[axis]
        spans = [slice(i * n // g, -(-(i + 1) * n // g)) for i in range(g)]
        values = np.stack([(values[span] if axis == 0 else values[:, span]).max(axis=axis) for span in spans], axis=axis)
    return values


def combine_prior(relevance, prior):
    """Relevance raised to an outside prior wherever that is larger: float32 [g, g].

    prior: [h, w] numbers in [0, 1] over the whole frame, at any resolution of at least one value; a cell takes the largest it covers, so a
    ground-truth box of 1 goes first. Raises QueryError.
    """
    prior = np.asarray(prior)
    if prior.ndim != 2 or prior.size == 0 or prior.dtype.kind not in "fiub":
        raise QueryError(f"prior is {prior.dtype} {list(prior.shape)} where a map [height, width] of numbers from 0 to 1 is needed")
    if not (prior.min() >= 0 and prior.max() <= 1):  # written so that NaN fails too
        raise QueryError(f"prior has values from {prior.min()} to {prior.max()} where 0 to 1 are needed; scale it first")
    return np.maximum(relevance, adaptive_max(prior.astype(np.float32), len(relevance)))


def select(relevance, plan, max_patches, taken=None, tokens=None):
    """Selection of one look: cells by relevance, equal cells by index, patches of a cell row-major, each scale until its share is spent.

    relevance: float [g, g]; taken: Selection of earlier looks, whose patches are left out; tokens: a budget under a full look's.
    The same on every platform. The work follows the cells that are visited, not the grid.
    """
    taken = Selection.none(plan) if taken is None else taken
    shares = share_budget(max_patches, plan.grids, [g.patches - len(p) for g, p in zip(plan.grids, taken.patches, strict=True)], tokens)
    order = np.argsort(-np.asarray(relevance, np.float64).ravel(), kind="stable")
    return Selection(tuple(_first(order, plan, s, share, taken.patches[s]) for s, share in enumerate(shares)))


def select_for_all(maps, plan, max_patches, taken=None):
    """Selection of one look that several questions share: each in turn takes an equal part of what is left, beside those before it.

    maps: float [Q, g, g], a question's relevance each. What two questions want is taken once, and the later one's part goes further.
    """
    taken = Selection.none(plan) if taken is None else taken
    chosen = Selection.none(plan)
    for n, relevance in enumerate(maps):
        part = (max_patches - chosen.count) // (len(maps) - n)
        if part:
            chosen = chosen.union(select(relevance, plan, max_patches, taken.union(chosen), part))
    return chosen


def _first(order, plan, s, share, taken):
    """The first `share` patches of scale s in cell order that are not taken, sorted."""
    if share == 0:
        return np.empty(0, np.int64)
    g, cols = plan.settings.grid, plan.grids[s].cols
    row_cell, col_cell = plan.cell_of(s)
    row_start, col_start = np.searchsorted(row_cell, np.arange(g + 1)), np.searchsorted(col_cell, np.arange(g + 1))
    i, j = np.divmod(order, g)
    heights, widths = (row_start[i + 1] - row_start[i]), (col_start[j + 1] - col_start[j])
    sizes = heights * widths
    taken_cells = np.bincount(row_cell[taken // cols] * g + col_cell[taken % cols], minlength=g * g)
    visited = int(np.searchsorted(np.cumsum(sizes - taken_cells[order]), share)) + 1
    i, j, sizes, widths = i[:visited], j[:visited], sizes[:visited], widths[:visited]
    local = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # 0, 1, ... within each cell
    width = np.repeat(widths, sizes)
    patches = (np.repeat(row_start[i], sizes) + local // width) * cols + np.repeat(col_start[j], sizes) + local % width
    if len(taken):
        patches = patches[~np.isin(patches, taken)]
    return np.sort(patches[:share]).astype(np.int64)
