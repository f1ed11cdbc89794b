"""Ids that a standing query's regions keep from frame to frame. No ROS import."""

from dataclasses import dataclass

import numpy as np

LEAST_OVERLAP = 0.2  # intersection over union with where a track is expected
LONGEST_STEP = 1.0  # between middles, in parts of the larger box's diagonal: what moves fast no longer overlaps itself
FORGOTTEN_S = 3.0
SMOOTHING = 0.5  # of the velocity


@dataclass
class _Track:
    id: int
    box: np.ndarray  # float64 [4] x1 y1 x2 y2, source px
    velocity: np.ndarray  # float64 [2] px a second
    seen_s: float
    label: str


class Tracker:
    """Ids of one standing query: each frame's regions are matched to where the tracks are expected, best first; the rest is new."""

    def __init__(self):
        self._tracks, self._next = [], 1

    def update(self, boxes, labels, time_s):
        """An id a box: a list of ints. boxes: [n, 4] x1 y1 x2 y2 source px, best first; time_s: when the frame was taken, seconds.

        Times that go back (a restarted simulation, another camera's clock) begin anew; ids are never given twice.
        """
        if any(time_s < track.seen_s for track in self._tracks):
            self._tracks = []
        self._tracks = [track for track in self._tracks if time_s - track.seen_s <= FORGOTTEN_S]
        boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
        pairs = sorted(
            ((_fit(track, box, time_s), n, m) for n, track in enumerate(self._tracks) for m, box in enumerate(boxes)), reverse=True
        )
        ids, taken = [None] * len(boxes), set()
        for fit, n, m in pairs:
            track = self._tracks[n]
            if fit > 0 and ids[m] is None and n not in taken and track.label == labels[m]:
                taken.add(n)
                ids[m] = track.id
                _move(track, boxes[m], time_s)
        for m, box in enumerate(boxes):
            if ids[m] is None:
                ids[m] = self._next
                self._tracks.append(_Track(self._next, box, np.zeros(2), time_s, labels[m]))
                self._next += 1
        return ids


def _fit(track, box, time_s):
    """Above 1: overlap with where the track is expected; 0 to 1: no overlap, but near; 0: another thing."""
    expected = track.box + np.tile(track.velocity * (time_s - track.seen_s), 2)
    overlap = _overlap(expected, box)
    if overlap >= LEAST_OVERLAP:
        return 1 + overlap
    sizes = [max(np.hypot(b[2] - b[0], b[3] - b[1]), 1e-9) for b in (expected, box)]
    if max(sizes) > 2 * min(sizes):
        return 0.0
    return max(0.0, 1 - float(np.hypot(*(_middle(expected) - _middle(box)))) / (LONGEST_STEP * max(sizes)))


def _move(track, box, time_s):
    elapsed = time_s - track.seen_s
    if elapsed > 0:
        velocity = (_middle(box) - _middle(track.box)) / elapsed
        track.velocity = (1 - SMOOTHING) * track.velocity + SMOOTHING * velocity
    track.box, track.seen_s = box, time_s


def _middle(box):
    return np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])


def _overlap(a, b):
    """Intersection over union."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    inner = float(np.prod(np.maximum(sides, 0)))
    areas = [float(np.prod(np.maximum(x[2:] - x[:2], 0))) for x in (a, b)]
    return inner / max(sum(areas) - inner, 1e-9)
