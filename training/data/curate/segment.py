"""The shipped segmenter: classical OpenCV, no learned weights. Plug in a better one where you have it (docs/curation.md).

A segmenter is any callable: image uint8 [H, W, 3] BGR -> list[Mask], in any order.
"""

from dataclasses import dataclass

import cv2
import numpy as np

TILE = 1600  # px: a larger picture is also segmented in tiles of this side, so that small things keep their pixels
COARSE = 640  # px: longer side of the copy that is cut by colour
COLOURS = 12  # of that copy
SMALLEST = 12  # px of the picture, shorter side of a mask's box
LARGEST = 0.6  # of the picture's side
CONTRAST = 40.0  # CIELAB units (OpenCV's 8-bit scale) between inside and surroundings that count as full contrast
LEAST_SCORE = 0.12
MOST = 600  # masks a picture


@dataclass(frozen=True)
class Mask:
    """One segment. `box`: x1, y1, x2, y2 in px (x2, y2 exclusive); `area`: its px; `score` 0 to 1: how likely it is a thing; `text`: what
    is written there, if it is a line of text."""

    box: tuple
    area: float
    score: float
    text: str = ""


def segment(image):
    """Masks of an image, uint8 [H, W, 3] BGR, best first, at most MOST.

    Classical and so only a stand-in for a learned segmenter: extremal regions (MSER) of lightness and colour in tiles at full size and
    of the whole picture at two smaller sizes, and connected areas of like colour; scored by the contrast of a box with its surroundings.
    """
    height, width = image.shape[:2]
    found = []
    for x, y, tile in tiles(image, TILE):
        found += [_moved(row, 1.0, x, y) for row in extremal(tile)]
    for side in (TILE, TILE // 2):
        scale = side / max(height, width)
        if scale < 1:
            small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            found += [_moved(row, 1 / scale, 0, 0) for row in extremal(small)]
    scale = min(1.0, COARSE / max(height, width))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    found += [_moved(row, 1 / scale, 0, 0) for row in colour_areas(small)]
    if not found:
        return []
    rows = np.asarray(found, np.float64)  # x1 y1 x2 y2 area
    rows[:, [0, 2]] = rows[:, [0, 2]].clip(0, width)
    rows[:, [1, 3]] = rows[:, [1, 3]].clip(0, height)
    sides = rows[:, 2:4] - rows[:, :2]
    rows = rows[(sides.min(1) >= SMALLEST) & (sides[:, 0] <= LARGEST * width) & (sides[:, 1] <= LARGEST * height)]
    if not len(rows):
        return []
    sides = rows[:, 2:4] - rows[:, :2]
    fill = (rows[:, 4] / sides.prod(1)).clip(0, 1)
    scores = contrast(image, rows[:, :4]) * np.sqrt(fill)
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] >= LEAST_SCORE][: 6 * MOST]
    kept = order[suppress(rows[order, :4], 0.6)][:MOST]
    return [Mask(tuple(int(round(v)) for v in rows[i, :4]), float(rows[i, 4]), float(scores[i])) for i in kept]


def tiles(image, side, overlap=128):
    """(x, y, view) of tiles of at most `side` px that cover the image and overlap by at least `overlap` px."""
    starts = []
    for length in image.shape[:2]:
        count = 1 if length <= side else -(-(length - overlap) // (side - overlap))
        starts.append([round(i * (length - side) / max(count - 1, 1)) for i in range(count)] if count > 1 else [0])
    return [(x, y, image[y : y + side, x : x + side]) for y in starts[0] for x in starts[1]]


def _moved(row, factor, x, y):
    x1, y1, x2, y2, area = row
    return (x1 * factor + x, y1 * factor + y, x2 * factor + x, y2 * factor + y, area * factor * factor)


def extremal(image):
    """MSER of lightness and of colourfulness: rows of (x1, y1, x2, y2, area) in px of `image`."""
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2Lab)
    colourful = cv2.magnitude(lab[..., 1].astype(np.float32) - 128, lab[..., 2].astype(np.float32) - 128)
    rows = []
    for channel in (lab[..., 0], cv2.convertScaleAbs(colourful, alpha=2.5)):
        mser = cv2.MSER_create(delta=6, min_area=SMALLEST * SMALLEST // 2, max_area=int(0.1 * channel.size), max_variation=0.3)
        points, boxes = mser.detectRegions(channel)
        rows += [(x, y, x + w, y + h, len(p)) for p, (x, y, w, h) in zip(points, boxes, strict=True)]
    return rows


def colour_areas(image):
    """Connected areas of like colour: rows of (x1, y1, x2, y2, area) in px of `image`. Same image, same rows."""
    lab = cv2.cvtColor(cv2.medianBlur(image, 5), cv2.COLOR_BGR2Lab)
    pixels = lab.reshape(-1, 3).astype(np.float32)
    sample = pixels[:: max(1, len(pixels) // 8000)]
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 10, 1.0)
    cv2.setRNGSeed(0)
    colours = cv2.kmeans(sample, min(COLOURS, len(sample)), None, criteria, 1, cv2.KMEANS_PP_CENTERS)[2]
    nearest = ((pixels[:, None] - colours) ** 2).sum(2).argmin(1).reshape(image.shape[:2])
    rows = []
    for colour in range(len(colours)):
        stats = cv2.connectedComponentsWithStats((nearest == colour).astype(np.uint8), connectivity=4)[2][1:]
        rows += [(x, y, x + w, y + h, area) for x, y, w, h, area in stats if area >= 30]
    return rows


def contrast(image, boxes):
    """0 to 1 for each box [n, 4]: how far its mean colour is from that of a ring of 40% around it (CIELAB, over CONTRAST)."""
    scale = min(1.0, TILE / max(image.shape[:2]))
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image
    sums = cv2.integral(cv2.cvtColor(small, cv2.COLOR_BGR2Lab), sdepth=cv2.CV_64F)
    height, width = small.shape[:2]

    def total(x1, y1, x2, y2):
        x1, x2 = (np.clip(np.round(v), 0, width).astype(int) for v in (x1, x2))
        y1, y2 = (np.clip(np.round(v), 0, height).astype(int) for v in (y1, y2))
        return sums[y2, x2] - sums[y1, x2] - sums[y2, x1] + sums[y1, x1], ((x2 - x1) * (y2 - y1))[:, None]

    x1, y1, x2, y2 = (boxes * scale).T
    wide, high = np.maximum(2, 0.2 * (x2 - x1)), np.maximum(2, 0.2 * (y2 - y1))
    inside, count = total(x1, y1, x2, y2)
    around, count_around = total(x1 - wide, y1 - high, x2 + wide, y2 + high)
    difference = inside / np.maximum(count, 1) - (around - inside) / np.maximum(count_around - count, 1)
    return np.minimum(1, np.linalg.norm(difference, axis=1) / CONTRAST)


def iou(box, boxes):
    """Intersection over union of one box [4] with boxes [n, 4] -> [n]."""
    shared = np.prod(np.clip(np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]), 0, None), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    return shared / np.maximum(areas + np.prod(box[2:] - box[:2]) - shared, 1e-9)


def suppress(boxes, limit):
    """Indices of boxes [n, 4], best first, that no earlier kept box shares more than `limit` IoU with."""
    kept, left = [], np.arange(len(boxes))
    while len(left):
        kept.append(left[0])
        left = left[1:][iou(boxes[left[0]], boxes[left[1:]]) <= limit]
    return np.asarray(kept, int)
