"""What streets and rooms are drawn with: the frame and its size, blending, grain, perspective, leaves, sky."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from .augment import fractal

WIDTH, HEIGHT = 3840, 2160  # px


@dataclass(frozen=True)
class Stand:
    """A line on which things can stand: x1 to x2 at height y, all px; `scale` = px a metre there (0 = any size)."""

    x1: float
    x2: float
    y: float
    scale: float = 0.0


@dataclass(frozen=True)
class Background:
    """A frame without objects. `place`: street, room, photo or texture. horizon in px and camera height in metres for streets, else 0."""

    pixels: np.ndarray  # uint8 [H, W, 3] BGR
    place: str
    stands: tuple = ()
    horizon: float = 0.0
    camera: float = 0.0
    road: tuple = (0.0, 0.0, 0.0)  # vanishing point x (px), left and right road edge in metres from the camera


def rgb(*color):
    return tuple(int(min(255, max(0, v))) for v in color)


def grain(rng, image, amount, cells=60):
    """Multiplies an image by 1 + amount * fine random field; in place, float-free for speed."""
    height, width = image.shape[:2]
    low = fractal(rng, max(8, height // 6), max(8, width // 6), cells=max(2, min(cells, width // 24)), octaves=3, falloff=0.8)
    field = cv2.resize(low, (width, height), interpolation=cv2.INTER_LINEAR) * (24 * amount)
    return cv2.add(image, cv2.merge([field] * 3), dtype=cv2.CV_8U)


def paste(image, color, alpha, x, y):
    """Blends color (BGR uint8) with alpha (uint8) onto the image at integer x, y; what lies outside is cut off."""
    height, width = alpha.shape
    x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x + width, image.shape[1]), min(y + height, image.shape[0])
    if x2 <= x1 or y2 <= y1:
        return
    part = image[y1:y2, x1:x2]
    weight = alpha[y1 - y : y2 - y, x1 - x : x2 - x].astype(np.float32)[..., None] * np.float32(1 / 255)
    top = color[y1 - y : y2 - y, x1 - x : x2 - x].astype(np.float32)
    part[...] = (part + (top - part) * weight + np.float32(0.5)).astype(np.uint8)


def warp_onto(image, texture_image, quad):
    """Pastes a texture onto a quadrilateral (float [4, 2], clockwise from its top left) of the image."""
    quad = np.asarray(quad, np.float32)
    x1, y1 = np.maximum(np.floor(quad.min(0)), 0).astype(int)
    x2, y2 = np.minimum(np.ceil(quad.max(0)), (image.shape[1], image.shape[0])).astype(int)
    if x2 - x1 < 2 or y2 - y1 < 2:
        return
    height, width = texture_image.shape[:2]
    source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    quad = (quad - [x1, y1]).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(source, quad)
    part = image[y1:y2, x1:x2]
    warped = cv2.warpPerspective(texture_image, matrix, (x2 - x1, y2 - y1), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = np.zeros(part.shape[:2], np.uint8)
    cv2.fillConvexPoly(mask, np.round(quad * 16).astype(np.int32), 255, cv2.LINE_8, 4)
    cv2.copyTo(warped, mask, part)


TREES, TEST_TREES = 12, 4  # crowns of training frames, and those of test frames


def crown(rng, held_out=False):
    """A random tree crown, leaves(n): held_out chooses among those that training frames never show."""
    return leaves(TREES + int(rng.integers(TEST_TREES)) if held_out else int(rng.integers(TREES)))


@lru_cache(maxsize=TREES + TEST_TREES)
def leaves(seed):
    """A tree crown or bush: RGBA-like (BGR uint8, alpha uint8), 512 px, from leaf-sized blots; from TREES on in autumn colours."""
    rng = np.random.default_rng([seed, 77])
    side = 512
    field = fractal(rng, side, side, cells=6, octaves=5, falloff=0.8)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    inside = 1.05 - np.sqrt((x * 1.05) ** 2 + (y * 1.1) ** 2) + 0.16 * field
    alpha = np.clip(inside * 9, 0, 1).astype(np.float32)
    speck = fractal(rng, side, side, cells=70, octaves=2, falloff=0.9)
    light = 0.75 + 0.22 * speck - 0.25 * y + 0.1 * field
    green = np.array([rng.uniform(25, 55), rng.uniform(75, 125), rng.uniform(40, 100)])
    if seed >= TREES:
        green = green[[0, 2, 1]] * (1.0, 1.0, 1.5)
    color = np.clip(green * light[..., None], 0, 255).astype(np.uint8)
    alpha *= np.clip(1.3 + 0.7 * speck, 0, 1)
    return color, (alpha * 255).astype(np.uint8)


def sky_over(rng, height, held_out=False):
    """A sky with clouds, uint8 [height, WIDTH, 3] BGR. held_out: in colours of test frames only (violet dusk, yellow haze)."""
    day = rng.random()
    if held_out:
        top, low = (
            ((rng.uniform(120, 170), rng.uniform(60, 90), rng.uniform(100, 140)), (rng.uniform(170, 210), rng.uniform(150, 180), 225))
            if day < 0.5
            else ((rng.uniform(130, 160), rng.uniform(170, 195), rng.uniform(190, 215)), (rng.uniform(160, 190), 215, 235))
        )
    elif day < 0.6:
        top, low = (
            (rng.uniform(190, 240), rng.uniform(120, 170), rng.uniform(60, 110)),
            (rng.uniform(225, 250), rng.uniform(205, 235), rng.uniform(180, 220)),
        )
    elif day < 0.85:  # overcast
        grey = rng.uniform(150, 225)
        top, low = (grey, grey - 3, grey - 8), (grey + 20, grey + 20, grey + 18)
    else:  # evening
        top, low = (
            (rng.uniform(90, 140), rng.uniform(60, 90), rng.uniform(50, 90)),
            (rng.uniform(90, 150), rng.uniform(140, 190), rng.uniform(220, 250)),
        )
    t = np.linspace(0, 1, height // 4, dtype=np.float32)[:, None, None]
    sky = np.asarray(top, np.float32) * (1 - t) + np.asarray(low, np.float32) * t
    sky = np.repeat(sky, WIDTH // 4, 1)
    clouds = np.clip(fractal(rng, sky.shape[0], sky.shape[1], cells=5, octaves=5) - rng.uniform(-0.3, 1.2), 0, 1.6)[..., None] / 1.6
    sky = sky * (1 - clouds) + np.asarray((246, 245, 244), np.float32) * clouds * (0.75 if day > 0.85 else 1)
    return cv2.resize(np.clip(sky, 0, 255).astype(np.uint8), (WIDTH, height), interpolation=cv2.INTER_LINEAR)
