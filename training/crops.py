"""What the crops of things (warm_batch.py) and of text signs (word_crops.py) have in common: from a picture to a look's patches."""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch

from ps3_ros.close_up import MARGIN, SHAPES, SIDE, shape_of
from ps3_ros.frame import FramePlan
from ps3_ros.manifest import Settings
from ps3_training.data import augment

from .batch import colour_jitter, lit

ZOOM = 3.0  # how much a magnified crop is enlarged, at most
LONGEST = 8  # times as long as high, or as high as long: a crop of more patches than a close-up has
FRAME = (2160, 3840)  # px, height and width: what positions and the squeeze of the selector's image are taken from


def jittered(pixels: np.ndarray, spread: float, model: Settings, rng: np.random.Generator) -> np.ndarray:
    """uint8 [h, w, 3] -> float32 [3, h, w], normalised, with other light."""
    return lit(pixels.transpose(2, 0, 1), model, *colour_jitter(spread, rng))


def magnified(image: np.ndarray, most: float, rng: np.random.Generator) -> np.ndarray:
    """The crop uint8 [h, w, 3] as a close-up shows it of a frame in which it is up to `most` times smaller."""
    height, width = image.shape[:2]
    smaller = np.exp(rng.uniform(0, np.log(most)))
    size = max(1, round(width / smaller)), max(1, round(height / smaller))
    taken = augment.photographed(cv2.resize(image, size, interpolation=cv2.INTER_AREA), rng)
    return cv2.resize(taken, (width, height), interpolation=cv2.INTER_LINEAR)


def camouflaged(image: np.ndarray, sprite: np.ndarray, rng: np.random.Generator) -> None:
    """Give scenery, uint8 [h, w, 3], changed in place, the mean colour of a premultiplied cut-out [h, w, 4], 60% of the way or more."""
    covered = float(sprite[..., 3].sum()) / 255
    if covered >= 1:
        wanted, here = sprite[..., :3].reshape(-1, 3).sum(0) / covered, image.reshape(-1, 3).mean(0)
        image[:] = np.clip(image + (wanted - here) * rng.uniform(0.6, 1.0), 0, 255).astype(np.uint8)


def crop_shape(width: float, height: float, patch: int, largest: int = SIDE) -> tuple[int, int]:
    """(rows, columns) of a crop of a thing of width x height px: a close-up's, or those of up to largest^2 patches where a close-up would
    have to make the thing smaller.
    """
    side = min(max(SIDE, math.ceil(MARGIN * math.sqrt(max(1.0, width * height)) / patch)), largest)
    if side <= SIDE:
        return shape_of(width, height, SHAPES)
    rows_cols = [(rows, min(side**2 // rows, LONGEST * rows)) for rows in range(2, side**2 + 1)]
    shapes = [(rows, cols) for rows, cols in rows_cols if rows <= LONGEST * cols]
    return shape_of(width, height, sorted(shapes, key=lambda one: abs(math.log(one[0] / one[1]))))


def patches_of(values: np.ndarray, shape: tuple[int, int], patch: int) -> np.ndarray:
    """A crop's values [3, rows * p, cols * p] -> [rows * cols, 3 * p * p], row-major. shape: (rows, cols)."""
    rows, cols = shape
    return values.reshape(3, rows, patch, cols, patch).transpose(1, 3, 0, 2, 4).reshape(rows * cols, -1)


def covered_by(alpha: np.ndarray, shape: tuple[int, int], patch: int) -> np.ndarray:
    """Share of each patch that a thing covers, float64 [rows * cols]. alpha: uint8 [rows * p, cols * p]."""
    return (alpha.reshape(shape[0], patch, shape[1], patch) > 127).mean((1, 3)).reshape(-1)


def shows(covered: np.ndarray) -> np.ndarray:
    """bool [n]: the tokens that show the thing, of the shares that it covers [n]: a fifth, or less where it covers none by much more."""
    return covered >= min(0.2, 0.6 * covered.max())


def places(plan: FramePlan, s: int, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """int64 [rows * cols]: positions of a crop somewhere on the grid of scale s."""
    grid = plan.grids[s]
    row, col = (_line(length, of, rng) for length, of in zip(shape, (grid.rows, grid.cols), strict=True))
    return plan.positions(s, (row[:, None] * grid.cols + col).reshape(-1))


def scale_odds(count: int) -> np.ndarray:
    """Finer scales more often, as looks have more of their patches: 1, 2, 4 ... to their sum."""
    odds = 2.0 ** np.arange(count)
    return odds / odds.sum()


def _line(length: int, of: int, rng: np.random.Generator) -> np.ndarray:
    """int64 [length]: rows or columns side by side somewhere among `of`; where these are fewer, the last one again."""
    fits = min(length, of)
    return int(rng.integers(of - fits + 1)) + np.minimum(np.arange(length), fits - 1)


def crop_tensors(patches: np.ndarray, position: np.ndarray, mask: np.ndarray, texts: list, answers: list, names: list | None) -> dict:
    """The fields of a WarmBatch that are about crops. answers: M x M, names: M x V or None, both bool."""
    return {
        "patches": torch.from_numpy(patches),
        "position": torch.from_numpy(position),
        "mask": torch.from_numpy(mask),
        "has_row": torch.from_numpy(mask.any(-1)),
        "texts": tuple(texts),
        "answers": torch.from_numpy(np.array(answers, bool)),
        "crop_names": None if names is None else torch.from_numpy(np.array(names, bool)),
    }
