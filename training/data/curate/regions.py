"""Which segments are worth a caption: small ones and places where many are close together, as in the PS3 paper, and text.

The paper captions regions with small or dense masks, because those are what a low-resolution model misses; the limits here are ours.
"""

from dataclasses import dataclass

import numpy as np

from ps3_ros.errors import Ps3Error

from .segment import iou


@dataclass(frozen=True)
class RegionSettings:
    """`budget`: regions a picture, of which `text` at most are text. `smallest`: px, longer side of a region. `largest`: of the picture's
    longer side, for a small mask. `dense_windows`: of the longer side; `dense_masks`: a window must hold so many small masks, and twice as
    many as the mean window. `overlap`: IoU from which two regions are one. `context`: how far a crop for the captioner exceeds its box."""

    budget: int = 16
    text: int = 8
    smallest: int = 16
    largest: float = 0.25
    dense_windows: tuple = (0.1, 0.2)
    dense_masks: int = 6
    overlap: float = 0.5
    context: float = 1.6

    def __post_init__(self):
        if self.budget < 1 or self.smallest < 1 or not 0 < self.largest <= 1 or self.context < 1:
            raise Ps3Error(
                f"budget {self.budget}, smallest {self.smallest}, largest {self.largest} and context {self.context} cannot be used; "
                "budget and smallest are at least 1, largest is in (0, 1], context at least 1."
            )


@dataclass(frozen=True)
class Region:
    """A box to caption: x1, y1, x2, y2 in px; `why`: "text", "small" or "dense"; `score` 0 to 1; `text`: what is written, for text;
    `plate`: whether the text stands on a surface of its own."""

    box: tuple
    why: str
    score: float
    text: str = ""
    plate: bool = False


def salient_regions(masks, width, height, settings=None):
    """At most `budget` Regions of the masks of a picture of width x height px: text first, then two small ones and a dense one by turns."""
    settings = settings or RegionSettings()
    longer = max(width, height)
    plain = [m for m in masks if not m.text and max(m.box[2] - m.box[0], m.box[3] - m.box[1]) >= settings.smallest]
    small = [m for m in plain if max(m.box[2] - m.box[0], m.box[3] - m.box[1]) <= settings.largest * longer]
    written = text_regions([m for m in masks if m.text], plain, settings)
    by_size = sorted((_small(m, settings.largest * longer) for m in small), key=lambda r: -r.score)
    close = sorted(dense_regions(small, width, height, settings), key=lambda r: -r.score)
    turns = [r for i, dense in enumerate(close) for r in (*by_size[2 * i : 2 * i + 2], dense)]
    chosen = []
    for region in written[: settings.text] + turns + by_size[2 * len(close) :]:
        if len(chosen) == settings.budget:
            break
        if not repeats(region, chosen, settings.overlap):
            chosen.append(region)
    return chosen


def _small(mask, longest):
    side = max(mask.box[2] - mask.box[0], mask.box[3] - mask.box[1])
    return Region(mask.box, "small", mask.score * (1 - 0.5 * side / longest))


def repeats(region, chosen, overlap):
    """True if the region says nothing new: the same box as one of `chosen`, a letter of a text, or most of a small one."""
    if not chosen:
        return False
    box, boxes = np.asarray(region.box, float), np.asarray([c.box for c in chosen], float)
    shared = np.prod(np.clip(np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]), 0, None), axis=1)
    own, theirs = np.prod(box[2:] - box[:2]), np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    for number, other in enumerate(chosen):
        limit = overlap / 2 if region.why == other.why == "dense" else overlap  # windows overlap by themselves
        inside, covers = shared[number] > 0.8 * own, shared[number] > 0.8 * theirs[number]
        if region.why == other.why == "text":
            if region.text == other.text and shared[number] > 0:
                return True
        elif iou(box, boxes[number : number + 1])[0] > limit:
            return True
        elif region.why == "small" and (inside and (other.why == "text" or (other.why == "small" and own > 0.2 * theirs[number]))):
            return True
        elif region.why == other.why == "small" and covers and theirs[number] > 0.2 * own:
            return True
    return False


def dense_regions(masks, width, height, settings):
    """Windows that hold many of the masks, as the box around those whose centre lies inside."""
    if len(masks) < settings.dense_masks:
        return []
    boxes = np.asarray([m.box for m in masks], float)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    found = []
    for part in settings.dense_windows:
        side = part * max(width, height)
        xs = np.arange(0, max(width - side / 2, 1), side / 2)
        ys = np.arange(0, max(height - side / 2, 1), side / 2)
        corners = np.stack(np.meshgrid(xs, ys), -1).reshape(-1, 2)
        inside = ((centres >= corners[:, None]) & (centres < corners[:, None] + side)).all(2)  # [windows, masks]
        counts = inside.sum(1)
        enough = np.flatnonzero((counts >= settings.dense_masks) & (counts >= 2 * counts.mean()))
        for window in enough:
            held = boxes[inside[window]]
            box = (*held[:, :2].min(0), *held[:, 2:].max(0))
            if max(box[2] - box[0], box[3] - box[1]) <= 2 * side:
                found.append(Region(tuple(int(v) for v in box), "dense", float(counts[window] / counts.max())))
    return found


def text_regions(lines, masks, settings):
    """Lines of text and, where several stand under each other, the block they make; on a plate where a mask lies closely around."""
    found = []
    for block in blocks(lines):
        if len(block) > 1:
            found.append(_text_region(block, masks))
        found += [_text_region([line], masks if len(block) == 1 else []) for line in block]
    found = [r for r in found if max(r.box[2] - r.box[0], r.box[3] - r.box[1]) >= settings.smallest]
    return sorted(found, key=lambda r: -r.score)


def _text_region(lines, masks):
    boxes = np.asarray([line.box for line in lines], float)
    box = (*boxes[:, :2].min(0), *boxes[:, 2:].max(0))
    own = (box[2] - box[0]) * (box[3] - box[1])
    around = [
        m.box
        for m in masks
        if m.box[0] <= box[0] + 2 and m.box[1] <= box[1] + 2 and m.box[2] >= box[2] - 2 and m.box[3] >= box[3] - 2
        and 1.15 * own < (m.box[2] - m.box[0]) * (m.box[3] - m.box[1]) < 5 * own
    ]  # fmt: skip
    plate = min(around, key=lambda b: (b[2] - b[0]) * (b[3] - b[1]), default=None)
    text = " ".join(line.text for line in lines)
    score = float(np.mean([line.score for line in lines]))
    return Region(tuple(int(v) for v in plate or box), "text", score, text, plate is not None)


def blocks(lines):
    """Lines grouped into blocks, top to bottom: near each other, of like height, and one under the other."""
    groups = []
    for line in sorted(lines, key=lambda m: (m.box[1], m.box[0])):
        for group in groups:
            last = group[-1].box
            high, low = max(line.box[3] - line.box[1], last[3] - last[1]), min(line.box[3] - line.box[1], last[3] - last[1])
            shared = min(line.box[2], last[2]) - max(line.box[0], last[0])
            narrow = min(line.box[2] - line.box[0], last[2] - last[0])
            if line.box[1] - last[3] < 0.9 * high and line.box[1] >= last[1] + 0.3 * low and high < 2.2 * low and shared > 0.4 * narrow:
                group.append(line)
                break
        else:
            groups.append([line])
    return groups


def crop(image, box, context):
    """The pixels of a box with its surroundings: a view of image [H, W, 3], `context` times the box's sides where the image has them."""
    x1, y1, x2, y2 = box
    dx, dy = (x2 - x1) * (context - 1) / 2, (y2 - y1) * (context - 1) / 2
    height, width = image.shape[:2]
    return image[max(0, int(y1 - dy)) : min(height, int(y2 + dy + 1)), max(0, int(x1 - dx)) : min(width, int(x2 + dx + 1))]
