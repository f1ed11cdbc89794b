"""A camera frame, the grids of its size, and what is cut out of it: the glance image, the selector's image, and chosen patches."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from .errors import FrameError
from .manifest import Settings
from .resample import axis_taps, bicubic_strips, can_halve, cut, resize_area, resize_halved, resize_near_area

MIN_SIDE, MAX_SIDE = 32, 16384  # px; below there is nothing to select from, above a frame is 800 MB


@dataclass(frozen=True, eq=False)
class Frame:
    """One camera image. pixels: uint8 [H, W, 3] BGR, not copied when contiguous; stamp_ns: when it was taken; frame_id: by which camera.

    Raises FrameError where size, dtype, shape or stamp do not fit.
    """

    pixels: np.ndarray
    stamp_ns: int = 0
    frame_id: str = ""

    def __post_init__(self):
        pixels = self.pixels
        if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            got = f"{pixels.dtype} {list(pixels.shape)}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
            raise FrameError(f"frame is {got} where uint8 [height, width, 3] (BGR) is needed; convert it first")
        if not (MIN_SIDE <= pixels.shape[0] <= MAX_SIDE and MIN_SIDE <= pixels.shape[1] <= MAX_SIDE):
            size = f"{pixels.shape[1]} x {pixels.shape[0]}"
            raise FrameError(f"frame is {size} pixels where each side must be {MIN_SIDE} to {MAX_SIDE}; crop, pad or resize it first")
        stamp = self.stamp_ns
        if isinstance(stamp, bool) or not isinstance(stamp, (int, np.integer)) or stamp < 0:
            raise FrameError(f"frame has the stamp {stamp!r} where nanoseconds, an integer from 0, are needed; pass stamp_ns=0 if unknown")
        if not isinstance(self.frame_id, str):
            raise FrameError(f"frame has the frame_id {self.frame_id!r} where text is needed; pass '' if unknown")
        object.__setattr__(self, "pixels", np.ascontiguousarray(pixels))
        object.__setattr__(self, "stamp_ns", int(stamp))

    @property
    def height(self):
        return self.pixels.shape[0]

    @property
    def width(self):
        return self.pixels.shape[1]


@dataclass(frozen=True)
class Grid:
    """One high-res scale of one frame size: rows x cols patches; `side` squared positions from `offset` on in the positional table."""

    scale: int  # px of the longer side
    rows: int
    cols: int
    offset: int
    side: int  # G_s = scale / patch

    @property
    def patches(self):
        return self.rows * self.cols


@dataclass(frozen=True, eq=False)
class FramePlan:
    """The grids of one frame size, and the taps that cut their patches. Patches of a scale are numbered row * cols + col."""

    height: int
    width: int
    settings: Settings
    grids: tuple  # of Grid, coarse to fine
    taps: tuple  # of (AxisTaps of the rows, AxisTaps of the columns), one pair a grid

    @staticmethod
    def of(height, width, settings):
        """The plan of a frame size; plans of the sizes seen last are kept."""
        return _plan(int(height), int(width), settings)

    def cell_of(self, s):
        """Low-res cell of each patch row and column of high-res scale s: int64 [rows], int64 [cols] (nearest neighbour)."""
        grid, g = self.grids[s], self.settings.grid
        return np.arange(grid.rows) * g // grid.rows, np.arange(grid.cols) * g // grid.cols

    def positions(self, s, patches):
        """Rows of the positional table: int64 [n] -> int64 [n]. See "geometry" in docs/architecture.md."""
        grid = self.grids[s]
        row, col = np.divmod(np.asarray(patches, np.int64), grid.cols)
        if self.settings.geometry == "native":
            row, col = (2 * row + 1) * grid.side // (2 * grid.rows), (2 * col + 1) * grid.side // (2 * grid.cols)
        return grid.offset + row * grid.side + col

    def boxes(self, s, patches):
        """Boxes in source pixels: int64 [n] -> float32 [n, 4] x1 y1 x2 y2. A grid always spans the whole frame."""
        grid = self.grids[s]
        row, col = np.divmod(np.asarray(patches, np.int64), grid.cols)
        corners = np.stack([col, row, col + 1, row + 1], axis=-1)
        size = np.array([self.width / grid.cols, self.height / grid.rows] * 2)
        return (corners * size).astype(np.float32)


def grid_shape(height, width, scale, settings):
    """Patches (rows, cols) of a high-res scale for a frame of height x width px. See "geometry" in docs/architecture.md."""
    long, short, patch = max(height, width), min(height, width), settings.patch
    if settings.geometry == "reference":
        low = settings.scales[0]
        across = max(1, low * short // long // patch) * (scale // low)
    else:
        across = max(1, (2 * scale * short + long * patch) // (2 * long * patch))  # rounded, halves up
    along = scale // patch
    return (across, along) if width >= height else (along, across)


@lru_cache(maxsize=8)
def _plan(height, width, settings):
    grids, taps, offset = [], [], 0
    for scale in settings.high_scales:
        rows, cols = grid_shape(height, width, scale, settings)
        side = scale // settings.patch
        grids.append(Grid(scale, rows, cols, offset, side))
        taps.append(tuple(axis_taps(n, count, settings.patch, settings.resampling) for n, count in ((height, rows), (width, cols))))
        offset += side * side
    return FramePlan(height, width, settings, tuple(grids), tuple(taps))


def glance_image(frame, settings, out=None):
    """The whole frame squashed to the low-res scale: float32 [1, 3, S, S], RGB, normalised. out: where to write; None = a new array."""
    return _squashed(frame.pixels, settings.scales[0], settings, out)


def aux_image(frame, settings, out=None):
    """The whole frame squashed to the selector's size: float32 [1, 3, A, A], RGB, normalised. out: as glance_image's."""
    return _squashed(frame.pixels, settings.aux_size, settings, out)


def frame_images(frame, settings, out=(None, None)):
    """glance_image and aux_image (None without an auxiliary branch), reading the frame as little as is as good; out: where to write them.

    By area there are short cuts, all means of means. A glance image whose side divides the auxiliary image's is made from that one: their
    areas nest, so it differs by the rounding in between, at most one grey level. An image of at most half the frame's sides is made from
    means of 2 x 2 pixels, where the sides are even, which OpenCV does many times faster than other ratios: where the edge of an area falls
    between the two pixels of a pair, it takes half of both. A glance image of at most a quarter is made from means of 4 x 4. And another
    auxiliary image is resize_near_area's. Each is 0.1 to 0.8 grey levels from the exact mean, on average over a photograph.
    """
    size, aux_size, pixels = settings.scales[0], settings.aux_size, frame.pixels
    if settings.resampling == "area":
        images = zip(_area_squares(pixels, size, aux_size), out, strict=True)
        return tuple(None if square is None else _normalised(square, settings, o) for square, o in images)
    return tuple(_bicubic(pixels, side, settings, o) if side else None for side, o in zip((size, aux_size), out, strict=True))


def _area_squares(pixels, size, aux_size):
    """frame_images' short cuts: uint8 [size, size, 3], and uint8 [aux_size, aux_size, 3] or None."""
    height, width = pixels.shape[:2]
    nested = aux_size > 0 and aux_size % size == 0 and min(height, width) >= aux_size
    half = can_halve(height, width, aux_size if nested else size)
    sizes = {"aux": (aux_size, 1)} if half and 0 < aux_size <= min(height, width) // 2 else {}
    if half and not nested:
        sizes["glance"] = size, 2 if can_halve(height // 2, width // 2, 2 * size) else 1
    squares = dict(zip(sizes, resize_halved(pixels, list(sizes.values())), strict=True)) if sizes else {}
    if aux_size and "aux" not in squares:
        squares["aux"] = resize_near_area(pixels, aux_size, aux_size)
    if "glance" not in squares:
        squares["glance"] = resize_area(squares["aux"] if nested else pixels, size, size)
    return squares["glance"], squares.get("aux")


def cut_patches(frame, plan, settings, selection):
    """The selected patches, straight out of the frame: float32 [N, 3 * p * p], RGB, channel first, normalised; coarse to fine.

    Raises FrameError where the plan is another frame size's.
    """
    if (frame.height, frame.width) != (plan.height, plan.width):
        raise FrameError(
            f"frame is {frame.width} x {frame.height} but its plan is for {plan.width} x {plan.height}; make a plan of its size"
        )
    patch = settings.patch
    out = np.empty((selection.count, 3, patch, patch), np.float32)
    start = 0
    for grid, (rows, cols), patches in zip(plan.grids, plan.taps, selection.patches, strict=True):
        if len(patches):
            row, col = np.divmod(patches, grid.cols)
            cut(frame.pixels, rows, cols, row, col, out[start : start + len(patches), ::-1])  # BGR, written backwards
            start += len(patches)
    gain, shift = _normalisation(settings)
    out *= gain[:, None, None]
    out -= shift[:, None, None]
    return out.reshape(selection.count, 3 * patch * patch)


def _squashed(pixels, size, settings, out):
    """uint8 [H, W, 3] -> float32 [1, 3, size, size], RGB, normalised."""
    if settings.resampling == "area":
        return _normalised(resize_area(pixels, size, size), settings, out)
    return _bicubic(pixels, size, settings, out)


def _normalised(square, settings, out):
    """uint8 [S, S, 3] -> float32 [1, 3, S, S], RGB, normalised."""
    out = np.empty((1, 3, *square.shape[:2]), np.float32) if out is None else out
    levels = np.arange(256, dtype=np.float32)
    for plane, values, gain, shift in zip(out[0, ::-1], cv2.split(square), *(each[::-1] for each in _normalisation(settings)), strict=True):
        cv2.LUT(values, levels * gain - shift, plane)
    return out


def _bicubic(pixels, size, settings, out):
    """uint8 [H, W, 3] -> float32 [1, 3, size, size], RGB, normalised."""
    out = np.empty((1, 3, size, size), np.float32) if out is None else out
    gains, shifts = _normalisation(settings)
    for start, strip in bicubic_strips(pixels, size, size):
        for plane, values, gain, shift in zip(out[0, ::-1], cv2.split(strip), gains[::-1], shifts[::-1], strict=True):
            rows = plane[start : start + len(strip)]
            np.multiply(values, gain, out=rows)
            rows -= shift
    return out


def _normalisation(settings):
    """(gain, shift), float32 [3] each, RGB: value * gain - shift is (value / 255 - mean) / std."""
    std = np.asarray(settings.std, np.float64)
    return (1 / (255 * std)).astype(np.float32), (np.asarray(settings.mean) / std).astype(np.float32)
