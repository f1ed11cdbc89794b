"""What holds a thing: the post under a sign, the board under a cup. Where crops show none, its tokens come to match the thing's caption.
Ours.
"""

from __future__ import annotations

import cv2
import numpy as np

POST = 0.08, 0.3  # of a thing's width
BOARD = 0.15, 0.6  # of its height: how thick the edge is that shows


def draw_support(image: np.ndarray, x: int, y: int, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a post or a board under a thing, which is to be pasted over it. image uint8 [H, W, 3], changed in place; x, y, width, height:
    the thing's box in px, which may reach outside.

    Returns bool [H, W]: where the support is, what the thing will hide included.
    """
    if rng.random() < 0.5:
        half = max(1.0, rng.uniform(*POST) * width / 2)
        middle = x + width * rng.uniform(0.4, 0.6)
        sides, top, bottom = (middle - half, middle + half), y + height * rng.uniform(0.3, 0.95), image.shape[0]
    else:
        reach = rng.uniform(0.1, 3.0, 2) * width
        top = y + height * rng.uniform(0.93, 1.0)
        sides, bottom = (x - reach[0], x + width + reach[1]), top + max(2.0, rng.uniform(*BOARD) * height)
    covered = np.zeros(image.shape[:2], bool)
    left, right, top, bottom = (max(0, round(value)) for value in (*sides, top, bottom))
    covered[top:bottom, left:right] = True
    rows, columns = covered[top:bottom, left:right].shape
    if rows and columns:
        grey = rng.uniform(30, 220) + rng.normal(0, 18, 3)  # mostly metal, wood and stone
        shade = 1 + 0.25 * np.linspace(-1, 1, columns)[None, :, None] * rng.choice([-1, 1]) + rng.normal(0, 0.03, (rows, columns, 1))
        image[top:bottom, left:right] = np.clip(grey * shade, 0, 255).astype(np.uint8)
        if min(rows, columns) > 4 and rng.random() < 0.5:
            image[top:bottom, left:right] = cv2.GaussianBlur(image[top:bottom, left:right], (0, 0), 0.8)
    return covered
