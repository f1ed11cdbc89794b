"""Things without a name, for training frames: what stands out and is nothing that anybody asks for.

A model that sees only named things on scenery takes whatever is not scenery for one of its names.
"""

import cv2
import numpy as np

from .augment import fractal

SHARE = 0.5  # of training backgrounds that have any
MOST = 14  # blobs in one frame
SIZES = (24.0, 420.0)  # px, across, log-uniform, at 3840 px


def outline(rng, radius):
    """float64 [n, 2]: a closed curve about (0, 0), px. Smooth, cornered, or a rectangle that is turned."""
    kind = rng.integers(3)
    if kind == 0:
        angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        waves = sum(rng.normal(0, 0.28 / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in range(1, 6))
        reach = radius * np.clip(1 + waves, 0.25, 1.6)
    elif kind == 1:
        angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 9)))
        reach = radius * rng.uniform(0.5, 1.2, len(angle))
    else:
        angle = np.array([1.0, -1.0, 1.0, -1.0]) * rng.uniform(0.25, 1.3) + np.array([0, np.pi, np.pi, 2 * np.pi])
        reach = np.full(4, radius)
    turned = angle + (rng.uniform(0, 2 * np.pi) if kind < 2 else rng.normal(0, 0.2))
    squeezed = np.array([rng.uniform(0.4, 1.0), 1.0]) if kind < 2 else np.ones(2)
    return np.stack([np.cos(turned), np.sin(turned)], 1) * reach[:, None] * squeezed


def surface(rng, height, width):
    """float32 [height, width, 3]: two colours in noise, stripes or a gradient, lit from one side."""
    a, b = rng.uniform(0, 255, (2, 3)).astype(np.float32)
    if rng.random() < 0.4:  # most things have little colour
        a, b = (c.mean() + 0.2 * (c - c.mean()) for c in (a, b))
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width)
    turn = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(turn) + y * np.sin(turn)
    kind = rng.integers(4)
    if kind == 0:
        mix = np.zeros_like(x)
    elif kind == 1:
        mix = (np.sin(along * rng.uniform(8, 60)) > rng.uniform(-0.6, 0.6)).astype(np.float32)
    elif kind == 2:
        mix = np.clip(0.5 + 0.5 * fractal(rng, height, width, cells=int(rng.integers(2, 9))), 0, 1)
    else:
        mix = np.clip(along - along.min(), 0, 1)
    light = 1 + rng.uniform(-0.35, 0.35) * (x - 0.5) + rng.uniform(-0.35, 0.35) * (y - 0.5)
    return (a * (1 - mix[..., None]) + b * mix[..., None]) * light[..., None].astype(np.float32)


def scattered(rng, pixels):
    """The background with up to MOST blobs laid on it, in place. pixels: uint8 [H, W, 3]."""
    height, width = pixels.shape[:2]
    for _ in range(int(rng.integers(1, MOST + 1))):
        size = float(np.exp(rng.uniform(*np.log(SIZES)))) * width / 3840
        curve = outline(rng, max(size / 2, 2.0))
        low, high = np.floor(curve.min(0)).astype(int) - 2, np.ceil(curve.max(0)).astype(int) + 3
        w, h = high - low
        x, y = int(rng.integers(-w // 3, width - w // 3)), int(rng.integers(-h // 3, height - h // 3))
        mask = np.zeros((h, w), np.uint8)
        cv2.fillPoly(mask, [np.round(curve - low).astype(np.int32)], 255, cv2.LINE_AA)
        if rng.random() < 0.4:  # a soft edge, as out of focus
            mask = cv2.GaussianBlur(mask, (0, 0), 0.02 * size + 0.3)
        x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
        if x2 <= x1 or y2 <= y1:
            continue
        alpha = mask[y1 - y : y2 - y, x1 - x : x2 - x, None].astype(np.float32) / 255
        under = pixels[y1:y2, x1:x2]
        over = surface(rng, h, w)[y1 - y : y2 - y, x1 - x : x2 - x]
        pixels[y1:y2, x1:x2] = np.clip(under * (1 - alpha) + over * alpha, 0, 255).astype(np.uint8)
    return pixels
