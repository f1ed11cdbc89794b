"""Retrieval among the captions of a split: the embedding of a true box against all captions, and a caption against all boxes."""

from __future__ import annotations

import numpy as np

from ps3_ros.boxes import inside
from ps3_ros.encoder import Encoder, Glance
from ps3_ros.selection import Selection, normalised

from .selection_recall import patches_of
from .statistics import share

RANKS = (1, 5)


def box_selection(box: np.ndarray, glance: Glance, most: int) -> Selection:
    """The patches of a true box at all scales; where that is more than `most`, the finest are thinned evenly."""
    patches = [patches_of(box, glance.plan, s) for s in range(len(glance.plan.grids))]
    for s in reversed(range(len(patches))):
        over = sum(map(len, patches)) - most
        if over > 0:
            keep = max(0, len(patches[s]) - over)
            patches[s] = patches[s][np.linspace(0, len(patches[s]) - 1, keep).astype(np.int64)] if keep else patches[s][:0]
    return Selection(tuple(patches))


def box_embedding(encoder: Encoder, glance: Glance, box: np.ndarray) -> np.ndarray:
    """float32 [E], unit length: a look at a true box alone, pooled over the tokens that a region of that box has."""
    look = encoder.look(glance, box_selection(box, glance, encoder.settings.max_patches))
    return normalised(encoder.embed(look, inside(look.boxes, box[None])))[0]


def text_embeddings(encoder: Encoder, texts: list[str], batch: int = 64) -> np.ndarray:
    """float32 [C, E], unit length."""
    pieces = [encoder.text(texts[n : n + batch]).text for n in range(0, len(texts), batch)]
    return normalised(np.concatenate(pieces))


def retrieval(regions: np.ndarray, means: list, texts: np.ndarray, asks: list) -> dict:
    """R@1 and R@5 both ways, as shares with intervals.

    regions: float32 [R, E], means: for each the names it answers to; texts: float32 [C, E], asks: the name each caption means.
    A caption is right for a region that answers to what it asks.
    """
    right = np.array([[ask in meaning for ask in asks] for meaning in means], bool)  # [R, C]
    cosine = regions @ texts.T
    out = {"regions": len(regions), "captions": len(texts)}
    for name, scores, truth in (("caption", cosine, right), ("region", cosine.T, right.T)):
        order = np.argsort(-scores, axis=1, kind="stable")
        ranked = np.take_along_axis(truth, order, axis=1)
        answerable = truth.any(axis=1)
        for rank in RANKS:
            out[f"{name} R@{rank}"] = share(ranked[answerable, :rank].any(axis=1))
    return out
