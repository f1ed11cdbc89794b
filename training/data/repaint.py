"""Scenery in other colours and cut up, for training frames: what is drawn here comes in few styles, and a model that knows a style by heart
takes each new one for things.

Test frames have walls, skies and textures of their own (backgrounds.py). None of those is drawn here: colours are mixed anew, and parts of
the same picture lie elsewhere in it, turned, mirrored and in other sizes.
"""

import cv2
import numpy as np

SHARE = 0.5  # of training backgrounds in other colours
CUT_SHARE = 0.35  # of training backgrounds with parts of themselves elsewhere
MOST = 7  # such parts
SIZES = (120.0, 1600.0)  # px, their longer sides, log-uniform, at 3840 px
INVERTED = 0.15  # of the repainted ones: light is dark


def recoloured(rng, pixels):
    """The picture uint8 [H, W, 3] with its channels in another order, each with a brightness and a gamma of its own, some inverted."""
    tables = np.empty((256, 1, 3), np.uint8)
    level = np.linspace(0, 1, 256)
    inverted = rng.random() < INVERTED
    gamma, gain = np.exp(rng.normal(0, 0.35) + rng.normal(0, 0.2, 3)), np.exp(rng.normal(0, 0.12) + rng.normal(0, 0.1, 3))
    for channel in range(3):
        value = gain[channel] * (1 - level if inverted else level) ** gamma[channel]
        tables[:, 0, channel] = np.clip(255 * value, 0, 255)
    order = rng.permutation(3)
    return cv2.LUT(np.ascontiguousarray(pixels[..., order]), tables)


def cut_up(rng, pixels):
    """Lays up to MOST rectangles of the picture uint8 [H, W, 3] elsewhere in it, in place: turned by quarters, mirrored, resized."""
    height, width = pixels.shape[:2]
    for _ in range(int(rng.integers(1, MOST + 1))):
        side = np.exp(rng.uniform(*np.log(SIZES))) * width / 3840
        w, h = (max(4, int(v)) for v in side * np.exp(rng.uniform(-1.2, 0, 2)))
        w, h = min(w, width), min(h, height)
        zoom = float(np.exp(rng.uniform(-0.7, 0.7)))
        from_w, from_h = max(2, min(width, int(w * zoom))), max(2, min(height, int(h * zoom)))
        x, y = int(rng.integers(width - from_w + 1)), int(rng.integers(height - from_h + 1))
        part = pixels[y : y + from_h, x : x + from_w]
        part = np.rot90(part, int(rng.integers(4)))
        if rng.random() < 0.5:
            part = part[:, ::-1]
        part = cv2.resize(np.ascontiguousarray(part), (w, h), interpolation=cv2.INTER_AREA if zoom > 1 else cv2.INTER_LINEAR)
        if rng.random() < 0.5:
            part = recoloured(rng, part)
        x, y = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
        pixels[y : y + h, x : x + w] = part
    return pixels


def repainted(rng, pixels):
    """The background as a training frame may show it: recoloured, cut up, both or as it was."""
    if rng.random() < SHARE:
        pixels = recoloured(rng, pixels)
    return cut_up(rng, pixels) if rng.random() < CUT_SHARE else pixels
