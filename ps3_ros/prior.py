"""Priors from outside (a map, a lidar, a tracker): where to look, as an image over the frame or as regions. No ROS import.

Several priors at once: a place counts with the largest of them, and so does it beside the question's own relevance, which a prior only
raises. So a prior of 0 rules nothing out, and no prior can hide what another one shows.
"""

import json
import threading
from dataclasses import dataclass
from math import isfinite

import numpy as np

from .errors import Ps3Error

SIDE = 96  # places a side that a prior is kept at: four a cell of 24
MAX_SIDE = 16384  # px of a prior's image
MAX_REGIONS = 1000
MAX_MESSAGE = 262_144  # characters
MAX_SOURCES = 8


class PriorError(Ps3Error):
    """A prior that cannot be used: one sentence."""


@dataclass(frozen=True, eq=False)
class Prior:
    """values: float32 [SIDE, SIDE] from 0 to 1 over the whole frame; stamp_ns: of what it tells about, 0 where it does not say."""

    values: np.ndarray
    stamp_ns: int = 0


def prior_from_image(height, width, encoding, step, data, stamp_ns=0):
    """The fields of a sensor_msgs/Image, mono8 or 8UC1, stretched over the frame: 255 is 1 -> Prior. Raises PriorError.

    A place takes the largest value it covers, so that a small mark on a large image is not lost.
    """
    if encoding not in ("mono8", "8UC1"):
        raise PriorError(f"prior has the encoding {encoding[:40]!r}; publish mono8, where 255 is certain")
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE) or step < width or len(data) != step * height:
        raise PriorError(f"prior is {width} x {height} px with a step of {step} and {len(data)} bytes, which do not fit; send whole rows")
    pixels = np.ndarray((height, width), np.uint8, memoryview(data), strides=(step, 1))
    for axis in (0, 1):
        n = pixels.shape[axis]
        spans = [slice(i * n // SIDE, -(-(i + 1) * n // SIDE)) for i in range(SIDE)]
        pixels = np.stack([(pixels[span] if axis == 0 else pixels[:, span]).max(axis=axis) for span in spans], axis=axis)
    return Prior(pixels.astype(np.float32) / 255, stamp_ns)


def prior_from_regions(text):
    """Regions as JSON -> Prior. Raises PriorError.

    {"width": W, "height": H, "regions": [{"box": [x1, y1, x2, y2], "weight": 0.9}, ...], "stamp": {"sec": 0, "nanosec": 0}}: boxes in px of
    a frame of W x H, weight from 0 to 1 (1 where it is not given), stamp of the frame they tell about (none: of now). What lies outside the
    frame is cut off.
    """
    if len(text) > MAX_MESSAGE:
        raise PriorError(f"prior has {len(text)} characters where at most {MAX_MESSAGE} are read; send fewer regions")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PriorError(f"prior is not JSON ({error}); send an object with width, height and regions") from error
    if not isinstance(data, dict) or not {"width", "height", "regions"} <= set(data) <= {"width", "height", "regions", "stamp"}:
        raise PriorError(f"prior is {_short(data)} where an object with width, height, regions and at most a stamp is needed")
    size = [_number(data[key], key, 1, MAX_SIDE) for key in ("width", "height")]
    regions = data["regions"]
    if not isinstance(regions, list) or len(regions) > MAX_REGIONS:
        raise PriorError(f"prior has the regions {_short(regions)} where a list of at most {MAX_REGIONS} is needed")
    values = np.zeros((SIDE, SIDE), np.float32)
    for region in regions:
        box, weight = _region(region)
        x1, y1, x2, y2 = np.clip(np.array(box) / np.array(size * 2) * SIDE, 0, SIDE)
        if x1 < x2 and y1 < y2:
            part = values[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))]
            np.maximum(part, weight, out=part)
    return Prior(values, _stamp(data.get("stamp")))


class Priors:
    """The newest prior of each source, from their callbacks; `newest` is called by the thread that looks."""

    def __init__(self):
        self._lock, self._kept = threading.Lock(), {}

    def clear(self):
        """As after a deactivation."""
        with self._lock:
            self._kept = {}

    def put(self, source, prior, now_ns):
        """A Prior in place of the source's last one. now_ns: when it came, which is its stamp where it has none."""
        with self._lock:
            if source not in self._kept and len(self._kept) >= MAX_SOURCES:
                raise PriorError(f"prior is from a source beyond the {MAX_SOURCES} that are kept; send those of one kind together")
            self._kept[source] = Prior(prior.values, prior.stamp_ns or now_ns)

    def newest(self, stamp_ns, timeout_s):
        """The priors for a frame of this stamp, together: float32 [SIDE, SIDE], or None where there is none.

        One whose stamp is more than timeout_s before or after the frame's is stale and does not count.
        """
        with self._lock:
            kept = list(self._kept.values())
        fresh = [prior.values for prior in kept if abs(stamp_ns - prior.stamp_ns) <= timeout_s * 1e9]
        return np.maximum.reduce(fresh) if fresh else None


def _region(region):
    if not isinstance(region, dict) or not {"box"} <= set(region) <= {"box", "weight"}:
        raise PriorError(f"prior has the region {_short(region)} where an object with a box and at most a weight is needed")
    box = region["box"]
    if not isinstance(box, list) or len(box) != 4:
        raise PriorError(f"prior has the box {_short(box)} where [x1, y1, x2, y2] px are needed")
    box = [_number(value, "box", -1e6, 1e6) for value in box]
    if not (box[0] < box[2] and box[1] < box[3]):
        raise PriorError(f"prior has the box {_short(box)} where x1 < x2 and y1 < y2 are needed")
    return box, _number(region.get("weight", 1.0), "weight", 0, 1)


def _stamp(stamp):
    if stamp is None:
        return 0
    if not isinstance(stamp, dict) or set(stamp) != {"sec", "nanosec"}:
        raise PriorError(f"prior has the stamp {_short(stamp)} where an object with sec and nanosec is needed")
    sec, nanosec = (_number(stamp[key], key, 0, high) for key, high in (("sec", 2**32), ("nanosec", 999_999_999)))
    return int(sec) * 1_000_000_000 + int(nanosec)


def _number(value, name, low, high):
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high or not isfinite(value):
        raise PriorError(f"prior has the {name} {_short(value)} where a number from {low} to {high} is needed")
    return value


def _short(value):
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
