"""Crops of text signs, each as large as a close-up for written words shows one, and which letters are where: to learn to read by.

On the crops of warm_batch.py a phrase of 14 letters has 80 px at most, often cut off, and one token of it is said to show it all: a model
learns that there is a text sign, and nothing of what it says (docs/notes/training.md). Here signs are drawn anew each time, and every token
is told the letters whose middle lies on it, each by the caption "the letter e": no head of its own, and no other loss than names have.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import torch

from ps3_ros.close_up import WRITTEN_SHAPES, shape_of
from ps3_ros.frame import FramePlan
from ps3_ros.manifest import Settings
from ps3_ros.reading import ALPHABET, LETTERS
from ps3_training.data import augment, words

from .crops import FRAME, covered_by, crop_tensors, jittered, magnified, patches_of, places, shows
from .sprites import Bank, distant_scenery, paste, premultiplied

FILLS = (0.5, 0.95)  # share of a crop's rows or columns that the sign takes, whichever it takes more of
NARROWER, ROLL = 0.75, 7.0  # a sign seen from the side is so much narrower at most; degrees it is turned by at most, either way
SMALLER = 1.6  # how much a photographed crop is made smaller before, at most
LEAST_LETTER = 7.0  # px, in what the camera saw
EM = 32  # px a letter that signs are drawn at
KEPT = min(rows * cols for rows, cols in WRITTEN_SHAPES)  # tokens of a crop, those that the sign covers most first
ROWS = 4  # masks of a crop, as warm_batch.py has them: the sign, most of it, nothing, one token beside it
BLURRED, PHOTOGRAPHED = 0.2, 0.6  # shares of crops
INVENTED = 4000  # phrases that no frame shows
NEW_WORDS = 0.5  # share of crops with one of these: whoever knows the frames' phrases by their look cannot read yet


def spoken(names: tuple[str, ...]) -> set[str]:
    """Every caption that these crops need. names: of the bank."""
    return {*LETTERS, *(sign.name for kind in _signs(tuple(names)) for sign in kind)}


@lru_cache(maxsize=2)
def _signs(names: tuple[str, ...]) -> tuple[tuple[words.TextSign, ...], tuple[words.TextSign, ...]]:
    """(the signs that frames show, invented ones of the bank's other words)."""
    shown = tuple(sign for sign in words.signs() if not sign.held_out)
    return shown, words.invented(names, INVENTED)


def make_word_crops(bank: Bank, count: int, spread: float, model: Settings, rng: np.random.Generator, named: bool) -> dict:
    """`count` crops of KEPT patches: the arrays of a WarmBatch that are about crops, by name, and `letters` bool [count, KEPT, 36], which
    of LETTERS a token shows.

    spread: of the colours' jitter; named: whether crop_names [count, V] is wanted.
    """
    shown, invented = _signs(tuple(bank.names))
    p, plan = model.patch, FramePlan.of(*FRAME, model)
    patches = np.empty((count, KEPT, 3 * p * p), np.float32)
    position, mask = np.empty((count, KEPT), np.int64), np.zeros((count, ROWS, KEPT), bool)
    letters = np.zeros((count, KEPT, len(ALPHABET)), bool)
    asks = []
    for m in range(count):
        signs = invented if rng.random() < NEW_WORDS else shown
        sign = signs[rng.integers(len(signs))]
        image, alpha, shape, where = _photograph(bank, sign, p, rng)
        every, covered = patches_of(jittered(image, spread, model, rng), shape, p), covered_by(alpha, shape, p)
        seen = _shown(where, shape, p)
        masks = _masks(covered, rng)
        keep = np.sort(np.argsort(-(covered + 2.0 * masks[3] + seen.any(1) + 0.1 * rng.random(len(covered))), kind="stable")[:KEPT])
        patches[m], mask[m], letters[m] = every[keep], masks[:, keep], seen[keep]
        position[m] = places(plan, int(rng.integers(len(plan.grids))), shape, rng)[keep]
        asks.append(sign.name)
    names = [[ask == name for name in bank.names] for ask in asks] if named else None
    answers = [[one == other for other in asks] for one in asks]
    return crop_tensors(patches, position, mask, asks, answers, names) | {"letters": torch.from_numpy(letters)}


def _photograph(bank: Bank, sign: words.TextSign, patch: int, rng: np.random.Generator) -> tuple:
    """(uint8 [h, w, 3], the sign's alpha uint8 [h, w], (rows, columns) of patches, [(letter, x, y)] px)."""
    rgba, where = words.lettered(sign, rng, EM)
    if rng.random() < 0.5:
        rgba = augment.lit(rgba, rng, 1.0)
    narrow, roll = float(rng.uniform(NARROWER, 1.0)), float(rng.uniform(-ROLL, ROLL))
    high, wide = rgba.shape[0], rgba.shape[1] * narrow
    around = abs(np.cos(np.radians(roll))), abs(np.sin(np.radians(roll)))
    box = wide * around[0] + high * around[1], high * around[0] + wide * around[1]  # width and height of the turned sign
    shape = shape_of(*box, WRITTEN_SHAPES)
    height, width = shape[0] * patch, shape[1] * patch
    scale = float(rng.uniform(*FILLS)) * min(height / box[1], width / box[0])
    size = max(4, round(wide * scale)), max(4, round(high * scale))
    sprite = cv2.resize(premultiplied(rgba), size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), roll, 1.0)
    turned = round(box[0] * scale), round(box[1] * scale)
    turn[:, 2] += (turned[0] - size[0]) / 2, (turned[1] - size[1]) / 2
    sprite = cv2.warpAffine(sprite, turn, turned, flags=cv2.INTER_LINEAR)
    image = distant_scenery(bank, rng, width, height)
    x, y = (int(rng.integers(max(0, px - length) + 1)) for px, length in ((width, turned[0]), (height, turned[1])))
    laid = paste(image, sprite, x, y)
    by = size[0] / rgba.shape[1], size[1] / rgba.shape[0]
    middles = turn @ np.array([[px * by[0], py * by[1], 1.0] for _, px, py in where]).T + np.array([[x], [y]])
    if rng.random() < BLURRED:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 1.0)))
    if rng.random() < PHOTOGRAPHED:
        image = magnified(image, max(1.0, min(SMALLER, EM * by[0] / LEAST_LETTER)), rng)
    return image, laid, shape, [(c, *at) for (c, _, _), at in zip(where, middles.T, strict=True)]


def _shown(where: list, shape: tuple[int, int], patch: int) -> np.ndarray:
    """bool [rows * cols, 36]: the letters whose middle lies on each patch."""
    shown = np.zeros((*shape, len(ALPHABET)), bool)
    for letter, x, y in where:
        number, row, col = ALPHABET.find(letter.lower()), int(y // patch), int(x // patch)
        if number >= 0 and 0 <= row < shape[0] and 0 <= col < shape[1]:
            shown[row, col, number] = True
    return shown.reshape(-1, len(ALPHABET))


def _masks(covered: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Share of each token that the sign covers [n] -> bool [ROWS, n]."""
    masks = np.zeros((ROWS, len(covered)), bool)
    masks[0] = shows(covered)
    masks[1] = masks[0] & (rng.random(len(covered)) < 0.9)
    if not masks[1].any():
        masks[1] = masks[0]
    free = np.flatnonzero(covered == 0)
    if len(free):
        masks[3, rng.choice(free)] = True
    return masks
