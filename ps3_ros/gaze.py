"""Gaze across frames: what a standing query's last answers found, and where they looked in vain, guide its next look. No ROS import.

A look sees far more than the glance that chose it. What it made of each place, and the regions that counted as found, are carried along by
the picture's own motion (flow.py), and weigh for and against a place beside the next frame's relevance, which is taken patch by patch
(selection.Guide). docs/performance.md says what each part gains.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from .boxes import grown
from .flow import estimate_flow, grey_image
from .selection import Guide

FINER = 4  # places of a gaze a cell's side: 40 x 22 px of a 4K frame at 24 cells
KEPT = 3  # regions that are remembered
FOUND_WORTH, MOST = 0.5, 1.5  # of the logit by which a region's score was above the threshold of what counts as found; the most it adds
FOUND_FADING = 0.8  # of that, a frame
WIDER = 1.4  # a remembered region's sides are raised this much wider: boxes are seldom as large as the thing
SEEN_WORTH, SEEN_MOST = 0.5, 2.0  # of the logit by which a patch matched better or worse than the turning point; the most either way
TURNING = 0.2  # between what was looked at in the median and its best patch: from here on a match speaks for a place
REACH = 2  # patches around one that speaks for its place: the rest of the thing
SEEN_FADING = 0.9  # of both, a frame
SAME = 0.3  # of the smaller of two boxes covered by the other, from which on they are one thing
MAX_GAZES = 64  # of one camera; the one that was asked longest ago goes first


@dataclass(frozen=True, eq=False)
class Remembered:
    """A region of before. box: float64 [4] x1 y1 x2 y2, px of the newest frame; worth: logit that it adds there, faded."""

    box: np.ndarray
    worth: float


class Gaze:
    """The gaze of one standing query.

    For each frame: `move(flow)` with the motion since the last one (None where it cannot be told: all is forgotten), then `guide()` is what
    Asker.ask takes as prior, then `learn(...)` with what the answer found.

    settings: manifest.Settings of the bundle; size: (width, height) px of the frames.
    """

    def __init__(self, settings, size):
        self.settings, self.size = settings, tuple(size)
        self.forget()

    def forget(self):
        """As before the first frame."""
        side = FINER * self.settings.grid
        self.regions, self.seen = [], np.zeros((side, side), np.float32)  # seen: logit that a place's last look adds, faded

    @property
    def boxes(self):
        """Of the regions that are remembered: float64 [n, 4] px, for flow.estimate_flow."""
        return np.array([region.box for region in self.regions]).reshape(-1, 4)

    def move(self, flow):
        """To the next frame. flow: flow.Flow from the frame before, or None."""
        if flow is None or tuple(flow.size) != self.size:
            self.forget()
            return
        moved = np.clip(flow.moved(self.boxes), 0, np.array(self.size * 2, np.float64))
        pairs = zip(moved, self.regions, strict=True)
        self.regions = [Remembered(box, FOUND_FADING * region.worth) for box, region in pairs if (box[2:] - box[:2]).min() >= 1]
        self.seen = SEEN_FADING * flow.carried(self.seen)
        self.seen[flow.changed_at(self.seen.shape)] = 0  # something else is there now

    def guide(self, prior=None):
        """selection.Guide of the next look. prior: an outside one (prior.py), or None."""
        gain = self.seen.copy()
        for region in self.regions:
            places = self._places(grown(region.box[None], WIDER)[0])
            gain[places] = np.maximum(gain[places], region.worth)
        return Guide(gain, prior)

    def learn(self, regions, canvas):
        """After an answer. regions: of answer.Region, best first; canvas: regions.Canvas of what was looked at, None without a look."""
        if canvas is None:
            return
        looked, threshold = self._at_places(canvas.looked), _logit(self.settings.found_threshold)
        found = [(region, _logit(region.score) - threshold) for region in regions]
        kept = [Remembered(np.array(r.box, np.float64), min(MOST, FOUND_WORTH * above)) for r, above in found if above > 0][:KEPT]
        for region in self.regions:
            again = looked[self._places(region.box)].mean() > 0.5
            if not again and not any(_one(region.box, other.box) for other in kept):
                kept.append(region)
        self.regions = sorted(kept, key=lambda region: -region.worth)[:KEPT]
        said = self._at_places(self._said(canvas))
        self.seen = np.where(looked, said, np.where(said > 0, np.maximum(self.seen, said), self.seen))

    def _said(self, canvas):
        """What the look made of each patch of the finest grid and those around good ones: logit float32 [rows, cols], else -inf."""
        match = canvas.match[canvas.looked]
        usual = np.median(match)
        turning = usual + TURNING * (match.max() - usual)
        logit = SEEN_WORTH * self.settings.logit_scale * (canvas.match - turning)
        said = np.where(canvas.looked, np.clip(logit, -SEEN_MOST, SEEN_MOST), -np.inf).astype(np.float32)
        return cv2.dilate(said, np.ones((2 * REACH + 1,) * 2, np.uint8))

    def _places(self, box):
        """Index of a map's rows and columns under a box."""
        n = len(self.seen)
        x1, y1, x2, y2 = np.asarray(box, np.float64) / np.array(self.size * 2) * n
        low = [int(np.clip(np.floor(v), 0, n - 1)) for v in (y1, x1)]
        high = [int(np.clip(np.ceil(v), 1, n)) for v in (y2, x2)]
        return tuple(slice(a, max(a + 1, b)) for a, b in zip(low, high, strict=True))

    def _at_places(self, values):
        """Of an array over the finest patches, what stands at the middle of each place: [n, n]."""
        n = len(self.seen)
        rows, cols = ((2 * np.arange(n) + 1) * count // (2 * n) for count in values.shape)
        return values[rows[:, None], cols]


class Gazes:
    """The gazes of one camera's standing queries, by key. Used by the thread that looks.

    What several queries share, the small grey image of a frame and the flow between two frames, is made once.
    """

    def __init__(self):
        self.forget()

    def forget(self):
        """As before the first frame."""
        self._gazes, self._frame, self._grey = {}, None, None

    def guide(self, key, settings, frame, prior=None):
        """selection.Guide of a query's look at a frame. settings: manifest.Settings of the bundle; prior: an outside one, or None."""
        size = frame.width, frame.height
        if frame is not self._frame:
            self._move_all(frame, settings, size)
        gaze = self._gazes.pop(key, None)
        if gaze is None or gaze.size != size or gaze.settings != settings:
            gaze = Gaze(settings, size)
        self._gazes[key] = gaze
        while len(self._gazes) > MAX_GAZES:
            del self._gazes[next(iter(self._gazes))]
        return gaze.guide(prior)

    def learn(self, key, frame, regions, canvas):
        """After the answer to a query about the newest frame; another frame's is left out."""
        if key in self._gazes and frame is self._frame:
            self._gazes[key].learn(regions, canvas)

    def _move_all(self, frame, settings, size):
        grey = grey_image(frame, settings.scales[0])
        if self._grey is not None and self._gazes:
            boxes = np.concatenate([gaze.boxes for gaze in self._gazes.values()])
            same = self._grey.shape == grey.shape
            flow = estimate_flow(self._grey, grey, size, boxes) if same else None
            for gaze in self._gazes.values():
                gaze.move(flow)
        self._frame, self._grey = frame, grey


def _logit(p):
    p = min(max(float(p), 1e-6), 1 - 1e-6)
    return float(np.log(p / (1 - p)))


def _one(a, b):
    """Whether two boxes are of one thing."""
    sides = np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0)
    return np.prod(sides) >= SAME * min(np.prod(a[2:] - a[:2]), np.prod(b[2:] - b[:2]))
