"""From looked-at tokens to regions: where in the looked-at part is what the query means, how tight a box, how good a match.

Cells that were looked at and are relevant form components; inside one, the tokens' own match with the query finds the patches that show it,
below cell size; the masked pool over those patches gives the region's embedding and so its match (paper, section 3: pooled inside a box).
A region's score is of its match, of the match with some surroundings, and of what the selector made of the place, less what the question
matches anywhere (docs/notes/regions.md).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from .answer import Region
from .boxes import EPS_PX, grown, inside, suppress
from .selection import normalised, sigmoid
from .zoom_out import zoom_out

MAX_REGIONS = 8  # an answer is read by a person or a planner: more are noise
MAX_CANDIDATES = 24  # regions scored before overlapping ones are dropped: bounds the region graph's R
MAX_PER_COMPONENT = 6  # found one after the other in one component: a row of mugs, not every patch of a texture
SPREAD_BETWEEN = 0.35  # as below, for a sign of whatever words
THRESHOLD_BETWEEN = 0.5  # a patch belongs to a region from here on between the background's match and the peak's
FLAT_MATCH = 0.02  # cosine: where the peak rises less above the background, the match says nothing and the component stays whole
SURROUNDINGS = (1.0, 1.5)  # a region is pooled as it is, and this much wider and higher: patches cut a small thing's edge off
RELEVANCE_WEIGHT = 0.05  # of the relevance logit beside the cosine: the selector saw the place with other eyes, the glance's and its own
MAX_LOGIT = 10.0  # relevance is the sigmoid of a logit that was clamped to this (ps3.md, Stage 2)


@dataclass(frozen=True, eq=False)
class Canvas:
    """Looked-at tokens on the finest grid, rows x cols.

    match: float32 [rows, cols], mean over the scales that cover a patch (0 where none); looked: bool [rows, cols];
    cell: int64 [rows, cols], the low-res cell of each patch, row * g + col; size: (height, width) of a patch in source px.
    """

    match: np.ndarray
    looked: np.ndarray
    cell: np.ndarray
    size: tuple


@dataclass(frozen=True, eq=False)
class Component:
    """Connected patches of the canvas: bool [h, w], the window whose upper left patch is (top, left)."""

    patches: np.ndarray
    top: int
    left: int

    def of(self, values):
        """The window of a canvas array."""
        h, w = self.patches.shape
        return values[self.top : self.top + h, self.left : self.left + w]


def look_canvas(look, plan, vectors, token_embeddings):
    """Canvas of one question's look: a patch's match is that of the label it fits best. Arguments as of find_regions."""
    return project(token_match(vectors, token_embeddings), look.selection, plan)


def token_match(vectors, token_embeddings):
    """Cosine of each token with the label it fits best, float32 [N]. Arguments as of find_regions."""
    return np.einsum("ne,ce->nc", normalised(token_embeddings), normalised(vectors)).max(axis=1)


def find_regions(look, plan, relevance, vectors, labels, token_embeddings, embed, maps=None, closer=None, canvas=None):
    """Regions of one question, best first: a list of answer.Region, and the best score of each label, float64 [C].

    look: encoder.Look, of at least one patch; relevance: float32 [g, g]; vectors: text embeddings of the labels, float32 [C, E], raw;
    token_embeddings: float32 [N, E], each token pooled alone; embed: function of a mask bool [R, N] that gives float32 [R, E].
    maps: float32 [C, g, g], the relevance of each label by itself, without a prior; None = `relevance` for all.
    closer: close_up.Closer, which looks again at the best candidates; its weight is the share of their match that is then the close-up's.
    canvas: look_canvas of the same, where it was made already.
    """
    settings, text = plan.settings, normalised(vectors)
    canvas = look_canvas(look, plan, vectors, token_embeddings) if canvas is None else canvas
    boxes = candidates(relevance, canvas, settings)
    boxes = sorted(boxes, key=lambda found: -found[0])[:MAX_CANDIDATES]
    boxes = np.array([box for _, box in boxes], np.float32)
    maps, level = np.broadcast_to(relevance, (len(labels), *relevance.shape)) if maps is None else maps, level_of(text, settings)

    def match(boxes):  # cosine float64 [R, C]
        mask = np.concatenate([inside(look.boxes, grown(boxes, factor)) for factor in SURROUNDINGS])
        cosine = np.einsum("re,ce->rc", normalised(embed(mask)), text).astype(np.float64)
        return cosine.reshape(len(SURROUNDINGS), len(boxes), -1).mean(axis=0)

    def beside(boxes):
        return RELEVANCE_WEIGHT * relevance_logits(boxes, maps, plan) - level

    def score(cosine, beside):
        return sigmoid(settings.logit_scale * (cosine + beside) + settings.logit_bias)

    cosine, evidence = match(boxes), beside(boxes)
    scores = score(cosine, evidence)  # [R, C]
    if closer is not None and closer.count:
        again = suppress(boxes, scores.max(axis=1))[: closer.count]
        canvas_of = lambda vector: look_canvas(look, plan, vector[None], token_embeddings)  # noqa: E731
        closely, boxes[again] = closer(boxes[again], canvas_of)
        others = np.setdiff1d(np.arange(len(boxes)), again)
        cosine[again] += closer.weight * (closely - cosine[again])
        cosine[others] += closer.unread
        scores = score(cosine, evidence)

        def judge(wide):
            closely, finer = closer(wide, canvas_of)
            cosine = match(wide)
            return score(cosine + closer.weight * (closely - cosine), beside(wide)), finer

        if closer.steps:
            apart = [n for n in suppress(boxes, scores.max(axis=1)) if n in again]
            zoom_out(boxes, scores, apart, closer.steps, (plan.width, plan.height), judge)
    best = scores.max(axis=1)
    kept = suppress(boxes, best)[:MAX_REGIONS]
    limits = [plan.width, plan.height] * 2
    regions = [
        Region(
            tuple(min(round(float(v), 2), float(limit)) for v, limit in zip(boxes[n], limits, strict=True)),
            round(float(best[n]), 6),
            labels[int(scores[n].argmax())],
        )
        for n in kept
    ]
    return regions, scores.max(axis=0)


def candidates(relevance, canvas, settings):
    """Boxes of a canvas: a list of (peak match, box) as peaks gives them, of every component."""
    median = float(np.median(canvas.match[canvas.looked]))
    boxes = []
    for component in components(relevance, canvas, settings):
        # Background: what is not the thing. A thing can fill its component, but seldom all that was looked at: the lower median of the two.
        low = min(median, float(np.median(component.of(canvas.match)[component.patches])))
        boxes += peaks(canvas, component, low)
    return boxes


def level_of(text, settings):
    """How well a question matches places where it is not, as far as it tells: texts float32 [C, E], normalised -> a cosine's share, float.

    The mean over a question's labels: their order among each other is not changed. 0 for a bundle that says no background.
    """
    return float((text @ np.asarray(settings.background, np.float32)).mean()) if settings.background else 0.0


def project(token_match, selection, plan):
    """Canvas of token matches [N], tokens coarse to fine as the selection lists them."""
    fine = plan.grids[-1]
    total = np.zeros((fine.rows, fine.cols), np.float32)
    count = np.zeros((fine.rows, fine.cols), np.float32)
    start = 0
    for grid, patches in zip(plan.grids, selection.patches, strict=True):
        match, looked = np.zeros(grid.patches, np.float32), np.zeros(grid.patches, np.float32)
        match[patches], looked[patches] = token_match[start : start + len(patches)], 1
        start += len(patches)
        # the patch of this scale that holds the centre of each finest patch
        row = (2 * np.arange(fine.rows) + 1) * grid.rows // (2 * fine.rows)
        col = (2 * np.arange(fine.cols) + 1) * grid.cols // (2 * fine.cols)
        places = row[:, None] * grid.cols + col
        total += match[places]
        count += looked[places]
    row_cell, col_cell = plan.cell_of(len(plan.grids) - 1)
    cell = row_cell[:, None] * plan.settings.grid + col_cell
    return Canvas(total / np.maximum(count, 1), count > 0, cell, (plan.height / fine.rows, plan.width / fine.cols))


def components(relevance, canvas, settings):
    """Connected (8 neighbours) looked-at patches of cells that are relevant enough: a list of Component.

    Where no looked-at cell is relevant enough, those of the most relevant ones: then the tokens' own match decides.
    """
    of_patch = relevance.ravel()[canvas.cell]
    chosen = canvas.looked & (of_patch >= settings.relevance_threshold)
    if not chosen.any():
        chosen = canvas.looked & (of_patch >= of_patch[canvas.looked].max())
    count, labels, stats, _ = cv2.connectedComponentsWithStats(chosen.astype(np.uint8), connectivity=8)
    found = []
    for n in range(1, count):
        left, top, w, h = (int(v) for v in stats[n, :4])
        found.append(Component(labels[top : top + h, left : left + w] == n, top, left))
    return found


def peaks(canvas, component, low):
    """Regions of one component: a list of (peak match, (x1, y1, x2, y2) in source px), strongest first. low: the background's match.

    Around each peak, patches that match better than halfway between background and peak and are connected edge to edge: two things side by
    side often touch by a corner. Then the next peak outside them, as long as it reaches the first one's halfway mark.
    """
    match, left = component.of(canvas.match), component.patches.copy()
    found, floor = [], None
    while left.any() and len(found) < MAX_PER_COMPONENT:
        place = int(np.where(left, match, -np.inf).argmax())
        peak = float(match.flat[place])
        if floor is not None and peak < floor:
            break
        if peak - low < FLAT_MATCH:
            if not found:
                found.append((peak, _box(component, component.patches, canvas.size)))
            break
        level = low + THRESHOLD_BETWEEN * (peak - low)
        floor = level if floor is None else floor
        _, labels = cv2.connectedComponents((left & (match >= level)).astype(np.uint8), connectivity=4)
        here = labels == labels.flat[place]
        found.append((peak, _box(component, here, canvas.size)))
        rows, cols = np.nonzero(here)  # one patch wider, so that a thing's own edge is no second thing
        left[max(0, rows.min() - 1) : rows.max() + 2, max(0, cols.min() - 1) : cols.max() + 2] = False
    return found


def spread(canvas, box):
    """The box [4] px of what goes on round the best match inside `box`: looked-at patches, connected edge to edge, that match better than
    SPREAD_BETWEEN of the way from the look's median to it. `box` itself where nothing inside it was looked at or stands out."""
    high, wide = canvas.size
    top, left = int(box[1] // high), int(box[0] // wide)
    window = slice(top, max(top + 1, int(np.ceil(box[3] / high)))), slice(left, max(left + 1, int(np.ceil(box[2] / wide))))
    inner = np.where(canvas.looked, canvas.match, -np.inf)[window]
    low, peak = float(np.median(canvas.match[canvas.looked])), float(inner.max())
    if peak - low < FLAT_MATCH:
        return box
    on = canvas.looked & (canvas.match >= low + SPREAD_BETWEEN * (peak - low))
    _, labels = cv2.connectedComponents(on.astype(np.uint8), connectivity=4)
    rows, cols = np.nonzero(labels == labels[window].flat[int(inner.argmax())])
    return np.array([cols.min() * wide, rows.min() * high, (cols.max() + 1) * wide, (rows.max() + 1) * high], np.float32)


def _box(component, patches, size):
    rows, cols = np.nonzero(patches)
    top, left = component.top + rows.min(), component.left + cols.min()
    return (left * size[1], top * size[0], (component.left + cols.max() + 1) * size[1], (component.top + rows.max() + 1) * size[0])


def relevance_logits(boxes, maps, plan):
    """The largest relevance logit of the cells under each box: boxes [R, 4] px, maps [C, g, g] of probabilities -> float64 [R, C]."""
    g = plan.settings.grid
    limit = sigmoid(MAX_LOGIT)
    inside_limits = np.clip(np.asarray(maps, np.float64), 1 - limit, limit)
    logits = np.log(inside_limits / (1 - inside_limits))
    cells = np.asarray(boxes, np.float64) * (np.array([g / plan.width, g / plan.height] * 2))
    low = np.clip(np.floor(cells[:, :2] + EPS_PX), 0, g - 1).astype(np.int64)
    high = np.maximum(np.clip(np.ceil(cells[:, 2:] - EPS_PX), 1, g).astype(np.int64), low + 1)
    return np.array([logits[:, y1:y2, x1:x2].max(axis=(1, 2)) for (x1, y1), (x2, y2) in zip(low, high, strict=True)])
