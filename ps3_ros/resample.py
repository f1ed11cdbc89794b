"""The two resamplings a manifest can name, as separable taps: which source pixels make an output pixel, with which weights.

Taps are grouped by patch, so that one patch costs one small crop of the source frame and two small matrix products, and a frame is
never resized to a scale as a whole. `bicubic`: a = -0.75, half-pixel centres, no antialias, not clamped (torch's F.interpolate,
OpenCV's INTER_CUBIC). `area`: the mean of the covered source area (OpenCV's INTER_AREA, which equals it where an axis grows, too).
"""

from dataclasses import dataclass
from math import gcd

import cv2
import numpy as np

BICUBIC_A = -0.75
STRIP_ROWS = 64  # rows made at a time by bicubic_strips: bounds its float copy of the source to a few MB
GATHER_VALUES = 1 << 20  # source values gathered at a time by cut: bounds its float copy to 4 MB
PRODUCT_SIZE = 1 << 18  # multiply-adds up to which OpenBLAS stays in this thread: on busy cores its threads wait 20 ms for each other
SAMPLED_ROWS = 360  # source rows at a time in resize_near_area: bounds its samples of a 4K frame to 6 MB
HALVED_ROWS = 256  # source rows at a time in resize_halved, where that is whole bands: their half is 1 MB of a 16-megapixel frame
ONE_SAMPLE, TWO_SAMPLES = 1.1, 2.7  # source pixels along an output pixel up to which so many linear samples make nearly their mean
CROP_PIXELS = 1 << 13  # source pixels of a patch from which slicing one crop after the other beats gathering many at once


@dataclass(frozen=True, eq=False)
class AxisTaps:
    """Taps of one axis at one scale, grouped by patch. n patches along the axis, p output pixels a patch, m source pixels a patch.

    index: int64 [n, m], source pixels, the last repeated with weight 0 where a patch needs fewer; weight: float32 [n, p, m], rows sum to 1;
    identity: output pixels are the source's own; gapless: a patch needs every source pixel from its first to its last.
    """

    index: np.ndarray
    weight: np.ndarray
    identity: bool
    gapless: bool


def axis_taps(source, patches, patch, resampling):
    """AxisTaps that resize `source` pixels to patches * patch. resampling: "bicubic" or "area".

    Areas of whole pixels a patch are the same in every patch, whose weights are then one array: they do not grow with the source.
    """
    target = patches * patch
    if resampling == "area" and patches > 1 and source % patches == 0:
        return _repeated_taps(axis_taps(source // patches, 1, patch, resampling), source, patches)
    index, weight = (bicubic_taps if resampling == "bicubic" else area_taps)(source, target)
    k = index.shape[1]
    used = weight.reshape(patches, patch * k) != 0
    flat = np.where(used, index.reshape(patches, patch * k), -1)
    needed = [np.unique(row[row >= 0]) for row in flat]
    m = max(len(row) for row in needed)
    out_index = np.empty((patches, m), np.int64)
    out_weight = np.zeros((patches, patch, m), np.float32)
    for n, row in enumerate(needed):
        out_index[n, : len(row)] = row
        out_index[n, len(row) :] = row[-1]
        for j in range(k):
            places = np.searchsorted(row, index[n * patch : (n + 1) * patch, j]).clip(0, len(row) - 1)
            np.add.at(out_weight[n], (np.arange(patch), places), weight[n * patch : (n + 1) * patch, j])
    return AxisTaps(out_index, out_weight, source == target, all(len(row) == row[-1] - row[0] + 1 for row in needed))


def _repeated_taps(one, source, patches):
    """AxisTaps of an axis whose patches all are as the one patch of `one`. weight: a read-only view of its weights."""
    index = np.arange(source).reshape(patches, -1)
    return AxisTaps(index, np.broadcast_to(one.weight[0], (patches, *one.weight.shape[1:])), one.identity, True)


def bicubic_taps(source, target):
    """Four taps an output pixel: index int64 [target, 4] (clamped at the border), weight float64 [target, 4]."""
    centre = (np.arange(target) + 0.5) * (source / target) - 0.5
    base = np.floor(centre)
    t = (centre - base)[:, None]
    distance = np.abs(np.concatenate([t + 1, t, 1 - t, 2 - t], axis=1))
    a = BICUBIC_A
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    index = base.astype(np.int64)[:, None] + np.arange(-1, 3)
    return index.clip(0, source - 1), np.where(distance <= 1, near, far)


def area_taps(source, target):
    """Overlap of each source pixel with the span of an output pixel: index int64 [target, k], weight float64 [target, k]."""
    step = source / target
    start = np.arange(target) * source // target  # exact in integers: no drift at the far end
    k = int(np.ceil(step)) + 1
    index = start[:, None] + np.arange(k)
    low, high = (np.arange(target) * step)[:, None], (np.arange(1, target + 1) * step)[:, None]
    weight = (np.minimum(index + 1, high) - np.maximum(index, low)).clip(0) / step
    weight[weight < 1e-9] = 0  # rounding at the edge of a span is no overlap
    return index.clip(0, source - 1), weight / weight.sum(axis=1, keepdims=True)


def cut(pixels, rows, cols, row, col, out=None):
    """Patches of one scale, straight out of the source. pixels uint8 [H, W, 3]; row, col int64 [n] -> float32 [n, 3, p, p], 0 to 255.

    rows, cols: AxisTaps of the two axes. Channels stay in the order of `pixels`. out: where to write, of any strides; None = a new array.
    """
    p = rows.weight.shape[1]
    if out is None:
        out = np.empty((len(row), 3, p, p), np.float32)
    if rows.identity and cols.identity:
        grid = pixels.reshape(len(rows.index), p, len(cols.index), p, 3)
        out[:] = grid[row, :, col].transpose(0, 3, 1, 2)
        return out
    gapless = rows.gapless and cols.gapless
    if gapless and rows.index.shape[1] * cols.index.shape[1] > CROP_PIXELS:
        for n, (r, c) in enumerate(zip(row, col, strict=True)):
            crop = pixels[rows.index[r, 0] : rows.index[r, -1] + 1, cols.index[c, 0] : cols.index[c, -1] + 1]
            h, w = crop.shape[:2]
            values, step = crop.reshape(h, w * 3).astype(np.float32), max(1, PRODUCT_SIZE // (p * h))
            halfway = [rows.weight[r, :, :h] @ values[:, x : x + step] for x in range(0, w * 3, step)]  # p rows each
            out[n] = (cols.weight[c, :, :w] @ np.concatenate(halfway, axis=1).reshape(p, w, 3)).transpose(2, 0, 1)
        return out
    chunk = max(1, GATHER_VALUES // (3 * rows.index.shape[1] * cols.index.shape[1]))
    for start in range(0, len(row), chunk):
        r, c = row[start : start + chunk], col[start : start + chunk]
        planes = (_crops if gapless else _gathered)(pixels, rows, cols, r, c)
        out[start : start + chunk] = rows.weight[r][:, None] @ planes @ cols.weight[c].transpose(0, 2, 1)[:, None]
    return out


def _gathered(pixels, rows, cols, row, col):
    """The source pixels of each patch, pixel by pixel: float32 [n, 3, my, mx]."""
    crops = pixels[rows.index[row][:, :, None], cols.index[col][:, None, :]]  # uint8 [n, my, mx, 3]
    return crops.transpose(0, 3, 1, 2).astype(np.float32, order="C")


def _crops(pixels, rows, cols, row, col):
    """As _gathered where no patch has gaps: one crop each; what the taps' last index repeats has weight 0 and is 0 here."""
    planes = np.empty((len(row), 3, rows.index.shape[1], cols.index.shape[1]), np.float32)
    top, bottom, left, right = rows.index[row, 0], rows.index[row, -1] + 1, cols.index[col, 0], cols.index[col, -1] + 1
    for n, (y0, y1, x0, x1) in enumerate(zip(top.tolist(), bottom.tolist(), left.tolist(), right.tolist(), strict=True)):
        crop = pixels[y0:y1, x0:x1].transpose(2, 0, 1)
        if crop.shape != planes.shape[1:]:
            planes[n] = 0
        planes[n, :, : y1 - y0, : x1 - x0] = crop
    return planes


def resize_bicubic(pixels, height, width):
    """Whole image, plain bicubic and unclamped: uint8 [H, W, 3] -> float32 [height, width, 3]. For the small images only (glance, aux)."""
    out = np.empty((height, width, 3), np.float32)
    for start, strip in bicubic_strips(pixels, height, width):
        out[start : start + len(strip)] = strip
    return out


def bicubic_strips(pixels, height, width):
    """resize_bicubic in strips, top to bottom: (first row, float32 [n, width, 3]) each; a strip lasts until the next one is asked for.

    So a frame is never copied to floats as a whole. Where `step` source rows make `made` output rows with the same taps every time, OpenCV
    resizes both axes at once; other sizes, and those that leave most source rows out, have their few rows weighted here.
    """
    source = len(pixels)
    common = gcd(source, height)
    step, made = source // common, height // common
    if step > 2 * STRIP_ROWS or source >= 4 * height:
        yield from _weighted_strips(pixels, height, width)
        return
    margin, periods = -(-2 // step), max(1, STRIP_ROWS // step)  # taps reach two source rows beyond a strip
    floats = np.empty(((periods + 2 * margin) * step, *pixels.shape[1:]), np.float32)
    for first in range(0, common, periods):
        last = min(first + periods, common)
        low, high = max(0, first - margin), min(common, last + margin)
        rows = floats[: (high - low) * step]
        np.copyto(rows, pixels[low * step : high * step])
        strip = cv2.resize(rows, (width, (high - low) * made), interpolation=cv2.INTER_CUBIC)
        yield first * made, strip[(first - low) * made : (last - low) * made]


def _weighted_strips(pixels, height, width):
    """bicubic_strips of any size: columns by OpenCV on the rows that are needed, then rows by their weights."""
    index, weight = bicubic_taps(len(pixels), height)
    weight = weight.astype(np.float32)
    for start in range(0, height, STRIP_ROWS):
        taps = index[start : start + STRIP_ROWS]
        needed, places = np.unique(taps, return_inverse=True)
        strip = pixels[needed].astype(np.float32)
        if strip.shape[1] != width:
            strip = cv2.resize(strip, (width, len(needed)), interpolation=cv2.INTER_CUBIC)  # heights agree, so only columns change
        places = places.reshape(taps.shape)
        rows = weight[start : start + STRIP_ROWS, :, None, None]
        yield start, sum(strip[places[:, j]] * rows[:, j] for j in range(4))


def resize_area(pixels, height, width):
    """Whole image by area: uint8 [H, W, 3] -> uint8 [height, width, 3] (OpenCV rounds to whole grey levels)."""
    h, w = pixels.shape[:2]
    if (height - h) * (width - w) < 0:  # OpenCV leaves true areas where one axis grows and the other shrinks: shrink first
        pixels = cv2.resize(pixels, (min(w, width), min(h, height)), interpolation=cv2.INTER_AREA)
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)


def resize_near_area(pixels, height, width):
    """resize_area, made of linear samples where that is twice as fast and nearly the same: uint8 [H, W, 3] -> uint8 [height, width, 3].

    OpenCV is slow on areas that are no whole pixels. Where one is 1.1 to 2.7 pixels long, the mean of two linear samples in it is 0.3 grey
    levels away on photographs, a quarter of that by rounding halves up, and 16 at most; up to 1.1, so is one sample. Other areas are exact.
    """
    h, w = pixels.shape[:2]
    down, across = _samples(h, height), _samples(w, width)
    if not (down and across) or (h % height == 0 and w % width == 0):
        return resize_area(pixels, height, width)
    out, common = np.empty((height, width, 3), np.uint8), gcd(h, height)
    step, made = h // common, height // common
    periods = max(1, SAMPLED_ROWS // step)
    for first in range(0, common, periods):
        last = min(first + periods, common)
        low, high = max(0, first - 1), min(common, last + 1)  # a sample at an edge of the strip takes a row beyond it
        samples = cv2.resize(pixels[low * step : high * step], (across * width, (high - low) * made * down), interpolation=cv2.INTER_LINEAR)
        samples = samples[(first - low) * made * down : (last - low) * made * down]
        rows = out[first * made : last * made]
        cv2.resize(samples, (width, len(rows)), rows, interpolation=cv2.INTER_LINEAR)  # of pairs that is their mean
    return out


def _samples(source, target):
    """How many linear samples an output pixel are near the mean of its area along one axis; 0 where none are."""
    ratio = source / target
    return 0 if not 1 <= ratio <= TWO_SAMPLES else 1 + (ratio > ONE_SAMPLE)


def can_halve(height, width, least):
    """Whether a frame can be halved by pairs of pixels: both sides are even, and the shorter half is at least `least` pixels."""
    return height % 2 == 0 and width % 2 == 0 and min(height, width) >= 2 * least


def resize_halved(pixels, sizes):
    """Squares by area from means of 2 x 2 pixels, or of 4 x 4: uint8 [H, W, 3] -> a list of uint8 [side, side, 3].

    sizes: (side, times the frame is halved: 1 or 2) of each; see can_halve. The frame is halved in bands that make whole rows of every
    square, so the halved frame is not held as a whole, unless its rows and the sides have no common divisor: that is the number of bands.
    """
    most = max(times for _, times in sizes)
    height, count = len(pixels), gcd(len(pixels) >> most, *(side for side, _ in sizes))
    squares = [np.empty((side, side, 3), np.uint8) for side, _ in sizes]
    at_once = max(1, HALVED_ROWS * count // height)
    for first in range(0, count, at_once):
        last = min(first + at_once, count)
        band = pixels[first * height // count : last * height // count]
        for halved in range(1, most + 1):
            band = cv2.resize(band, (band.shape[1] // 2, len(band) // 2), interpolation=cv2.INTER_AREA)
            for (side, times), square in zip(sizes, squares, strict=True):
                if times == halved:
                    rows = square[first * side // count : last * side // count]
                    cv2.resize(band, (side, len(rows)), rows, interpolation=cv2.INTER_AREA)
    return squares
