"""Which patches to look at: relevance of each low-res cell, then cells by relevance until each scale's share is spent (ps3.md, Stage 2)."""

from dataclasses import dataclass

import cv2
import numpy as np

from .budget import share_budget
from .errors import QueryError

EPS = 1e-6  # under a vector's length: safe in half precision too
SHARPNESS, LIMIT = 5.0, 10.0  # of the logit, before the sigmoid
CERTAIN = 1e-7  # a prior of 1 is a logit of 16: before all relevance, and still a number


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
    """Largest value under each of g x g cells (g: int), or of g's rows x cols: [h, w] -> [g, g].

    A cell spans floor(i * h / g) to ceil((i + 1) * h / g).
    """
    for axis, count in enumerate((g, g) if isinstance(g, int) else g):
        n = values.shape[axis]
        spans = [slice(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]
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

    relevance: float [g, g]; a finer map (fine_relevance) chooses patch by patch. taken: Selection of earlier looks, whose patches are left
    out; tokens: a budget under a full look's. The same on every platform. The work follows the cells that are visited, not the grid.
    """
    taken = Selection.none(plan) if taken is None else taken
    if np.shape(relevance) != (plan.settings.grid,) * 2:
        return _select_fine(np.asarray(relevance, np.float64), plan, max_patches, taken, tokens)
    shares = share_budget(max_patches, plan.grids, [g.patches - len(p) for g, p in zip(plan.grids, taken.patches, strict=True)], tokens)
    order = np.argsort(-np.asarray(relevance, np.float64).ravel(), kind="stable")
    return Selection(tuple(_first(order, plan, s, share, taken.patches[s]) for s, share in enumerate(shares)))


def _first(order, plan, s, share, taken, shape=None):
    """The first `share` patches of scale s in cell order that are not taken, sorted. shape: cells, (rows, cols); None = g x g."""
    if share == 0:
        return np.empty(0, np.int64)
    (high, wide), rows, cols = shape or (plan.settings.grid,) * 2, plan.grids[s].rows, plan.grids[s].cols
    row_cell, col_cell = np.arange(rows) * high // rows, np.arange(cols) * wide // cols  # as FramePlan.cell_of
    row_start, col_start = np.searchsorted(row_cell, np.arange(high + 1)), np.searchsorted(col_cell, np.arange(wide + 1))
    i, j = np.divmod(order, wide)
    heights, widths = (row_start[i + 1] - row_start[i]), (col_start[j + 1] - col_start[j])
    sizes = heights * widths
    taken_cells = np.bincount(row_cell[taken // cols] * wide + col_cell[taken % cols], minlength=high * wide)
    visited = int(np.searchsorted(np.cumsum(sizes - taken_cells[order]), share)) + 1
    i, j, sizes, widths = i[:visited], j[:visited], sizes[:visited], widths[:visited]
    local = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # 0, 1, ... within each cell
    width = np.repeat(widths, sizes)
    patches = (np.repeat(row_start[i], sizes) + local // width) * cols + np.repeat(col_start[j], sizes) + local % width
    if len(taken):
        patches = patches[~np.isin(patches, taken)]
    return np.sort(patches[:share]).astype(np.int64)


def fine_relevance_map(select_features, aux_features, prompt, prompt_aux):
    """As `relevance_map`, at the auxiliary branch's own resolution: float32 [a, a] in (0, 1); a place takes the largest of its neighbours.

    Without an auxiliary branch it is relevance_map.
    """
    if aux_features is None:
        return relevance_map(select_features, None, prompt, None)
    g, a = int(round(len(select_features) ** 0.5)), aux_features.shape[1]
    cosine = np.einsum("nd,d->n", normalised(select_features), normalised(prompt)).reshape(g, g)
    cell = np.arange(a) * g // a
    lengths = np.sqrt(np.einsum("dyx,dyx->yx", aux_features, aux_features))
    aux = np.einsum("d,dyx->yx", normalised(prompt_aux), aux_features) / np.maximum(lengths, np.float32(EPS))
    cosine = cv2.dilate(((cosine[cell[:, None], cell] + aux) / 2).astype(np.float32), np.ones((3, 3), np.uint8))
    return sigmoid(np.clip(cosine * SHARPNESS, -LIMIT, LIMIT)).astype(np.float32)


def fine_relevance(glance, vectors):
    """fine_relevance_map of a question: float32 [a, a], the largest of its labels'. glance: encoder.Glance; vectors: text.TextVectors."""
    aux = [None] * len(vectors.prompt) if vectors.prompt_aux is None else vectors.prompt_aux
    features = glance.select_features, glance.aux_features
    return np.maximum.reduce([fine_relevance_map(*features, prompt, one) for prompt, one in zip(vectors.prompt, aux, strict=True)])


@dataclass(frozen=True, eq=False)
class Guide:
    """What looks go by beside the question's relevance: a look that is guided chooses patch by patch, by fine_relevance_map.

    gain: float [h, w] over the frame, added to relevance's logit: what is known from elsewhere for (above 0) or against a place;
    prior: float [r, c] as combine_prior takes it, or None.
    """

    gain: np.ndarray
    prior: np.ndarray | None = None


def select_guided(relevance, guide, plan, max_patches, taken=None, tokens=None):
    """As `select`, by relevance [a, a] of any resolution (fine_relevance_map) and a Guide."""
    taken = Selection.none(plan) if taken is None else taken
    raised = relevance if guide.prior is None else combine_prior(relevance, guide.prior)
    raised = np.clip(np.asarray(raised, np.float64), CERTAIN, 1 - CERTAIN)
    gain = cv2.resize(np.asarray(guide.gain, np.float32), raised.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return _select_fine(np.log(raised / (1 - raised)) + gain, plan, max_patches, taken, tokens)


def _select_fine(priority, plan, max_patches, taken, tokens):
    """As `select`, by a map [h, w] finer than the cells; a patch that covers several of its places has the largest."""
    shares = share_budget(max_patches, plan.grids, [g.patches - len(p) for g, p in zip(plan.grids, taken.patches, strict=True)], tokens)
    chosen = []
    for s, (grid, share) in enumerate(zip(plan.grids, shares, strict=True)):
        shape = min(priority.shape[0], grid.rows), min(priority.shape[1], grid.cols)
        values = priority if shape == priority.shape else adaptive_max(priority, shape)
        chosen.append(_first(np.argsort(-values.ravel(), kind="stable"), plan, s, share, taken.patches[s], shape))
    return Selection(tuple(chosen))
