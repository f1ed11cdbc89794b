"""With nothing to ask: saliency at a low rate, and whether something new has come into view that the robot should wake for."""

import time
from dataclasses import dataclass

import numpy as np

FORGETTING = 0.2  # of the background at each look: what stays salient for about ten looks is part of the scene


@dataclass(frozen=True)
class Glimpse:
    """One look at saliency. peak: its largest value; place: (x, y) of the cell where it rose most, as parts of the frame from 0 to 1;
    woke: whether it has just risen over the threshold somewhere; awake: whether the node is awake by it."""

    peak: float
    place: tuple
    woke: bool
    awake: bool


class Standby:
    """When to look, and what counts as new. Rates are what the node is told each time, so that parameters apply at once."""

    def __init__(self, clock=time.monotonic):
        self._clock = clock
        self.reset()

    def reset(self):
        """As after a deactivation: the scene may be another one."""
        self._background, self._last, self._awake_until = None, float("-inf"), float("-inf")

    @property
    def awake(self):
        """Whether something new was seen in the last awake_s."""
        return self._clock() < self._awake_until

    def due_s(self, rate_hz):
        """Seconds until the next look: 0 while awake, None where the rate is 0."""
        if rate_hz <= 0:
            return None
        return 0.0 if self.awake else max(0.0, self._last + 1 / rate_hz - self._clock())

    def see(self, saliency, threshold, awake_s):
        """Glimpse of a saliency map [g, g]. threshold: a cell wakes when it rises to it from a background below it."""
        now, was_awake = self._clock(), self.awake
        self._last = now
        if self._background is None or self._background.shape != saliency.shape:
            self._background = saliency.astype(np.float32)  # the first look is the scene: a robot that starts is awake anyway
        rise = saliency - self._background
        new = (saliency >= threshold) & (self._background < threshold)
        at = np.argmax(np.where(new, saliency, -1.0) if new.any() else rise)
        row, col = np.unravel_index(at, saliency.shape)
        place = ((col + 0.5) / saliency.shape[1], (row + 0.5) / saliency.shape[0])
        self._background = (1 - FORGETTING) * self._background + FORGETTING * saliency
        if new.any():
            self._awake_until = now + awake_s
        return Glimpse(float(saliency.max()), place, bool(new.any()) and not was_awake, self.awake)
