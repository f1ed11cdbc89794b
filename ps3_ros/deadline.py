"""Time into patches: what a question costs here at several patch counts, measured once, and corrected by what each answer really took."""

from collections import deque
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from .frame import Frame

REMEMBERED = 48  # answers that the correction is taken from: some seconds of a robot's questions, so that it follows the machine's load
FEW = 8  # below so many the slowest counts in place of a quantile
QUANTILE = 0.98  # of the corrections: what a budget is planned with; the next of 48 exceeds it 4 times in 100
UNKNOWN = 1.3  # correction before the first answer
MISSES_IN_A_ROW, SHRINK, LEAST_SHARE = 3, 0.5, 1 / 16
HITS_IN_A_ROW, GROW = 5, 1.5
FRACTIONS = (0, 1 / 8, 1 / 4, 1 / 2, 1)  # of a look's patches, at least one: where the costs are measured
PROBE_SIZE = (2160, 3840)  # px, height and width of the frame they are measured on
PROBE_QUERY = "stop sign"


@dataclass(frozen=True)
class Costs:
    """Milliseconds here. frame_ms: glance and selector of a 4K frame; text_ms: a label that was not asked before; patches: int, rising from
    0; ask_ms: a question over so many patches, not falling; look_patches: of a full look; a question over more takes several looks."""

    frame_ms: float
    text_ms: float
    patches: tuple
    ask_ms: tuple

    @property
    def look_patches(self):
        return self.patches[-1]

    def at(self, patches):
        """Milliseconds of a question over `patches`."""
        full, rest = divmod(patches, self.look_patches)
        if full and not rest:
            full, rest = full - 1, self.look_patches
        return full * (self.ask_ms[-1] - self.ask_ms[0]) + float(np.interp(rest, self.patches, self.ask_ms))

    def within(self, ms):
        """Most patches that a question of `ms` milliseconds can look at; None where even the glance alone takes longer."""
        if ms < self.ask_ms[0]:
            return None
        step = max(self.ask_ms[-1] - self.ask_ms[0], 1e-6)
        full = int((ms - self.ask_ms[0]) // step)
        rest = ms - full * step
        return full * self.look_patches + int(np.interp(rest, *_rising(self.ask_ms, self.patches)))


def measure(asker, glance_only, height=PROBE_SIZE[0], width=PROBE_SIZE[1]):
    """Costs of an Asker on this machine, on a frame of that size. glance_only: function of (asker, query) that answers without a look.

    The asker's frame is the probe afterwards. Raises BackendError. What it runs is also a self-test of every graph.
    """
    frame = Frame(_textured(height, width))
    asker.set_frame(frame)  # once unmeasured: first runs allocate
    text_ms = glance_only(asker, PROBE_QUERY).stage_ms["text"]
    full = asker.settings.max_patches
    asker.ask(PROBE_QUERY, tokens=max(1, full // 8))
    start = perf_counter()
    asker.set_frame(frame)
    frame_ms, times = _since(start), []
    start = perf_counter()
    glance_only(asker, PROBE_QUERY)
    counts, times = [0], [_since(start)]
    for fraction in FRACTIONS:
        count = max(1, int(full * fraction))
        if count > counts[-1]:
            start = perf_counter()
            used = asker.ask(PROBE_QUERY, tokens=count).patches_used
            if used > counts[-1]:
                counts.append(used)
                times.append(_since(start))
    counts[-1] = full  # a share that is rounded down is still a full look
    return Costs(frame_ms, text_ms, tuple(counts), tuple(float(t) for t in np.maximum.accumulate(times)))


class Pacer:
    """How many patches fit into the time left. Used by one thread at a time.

    Corrections are ratios of real to measured time. A prediction takes their median, a budget a high quantile. After
    MISSES_IN_A_ROW late answers the budget halves, after HITS_IN_A_ROW in time it grows again.
    """

    def __init__(self, costs=None):
        self.costs = costs
        self.share = 1.0  # of the patches that would fit
        self.misses, self.hits = 0, 0  # in a row
        self._asks, self._frames = deque(maxlen=REMEMBERED), deque(maxlen=REMEMBERED)

    def frame_ms(self):
        """Milliseconds that a new frame is planned with: decoding, glance, selector. None where nothing is known."""
        if self._frames:
            return _high(self._frames)
        return self.costs.frame_ms * UNKNOWN if self.costs else None

    def predict(self, patches, new_labels=0):
        """Milliseconds that a question over `patches` will most likely take; None where nothing is known."""
        if self.costs is None:
            return None
        return self._base(patches, new_labels) * (float(np.median(self._asks)) if self._asks else UNKNOWN)

    def afford(self, left_ms, most, new_labels=0):
        """Patches, at most `most`, that fit into the time left; 0: a glance only; None: not even that, or nothing is known."""
        if self.costs is None:
            return None
        ratio = _high(self._asks) if self._asks else UNKNOWN
        fit = self.costs.within(left_ms / ratio - new_labels * self.costs.text_ms)
        return None if fit is None else min(most, int(fit * self.share))

    def learn_frame(self, ms):
        """What a new frame took, decoding and all."""
        self._frames.append(ms)

    def learn(self, patches, ms, new_labels=0):
        """What a question over `patches` really took."""
        if self.costs is not None:
            self._asks.append(ms / max(self._base(patches, new_labels), 1e-3))

    def settle(self, missed):
        """After each answer that had a deadline."""
        self.misses, self.hits = (self.misses + 1, 0) if missed else (0, self.hits + 1)
        if self.misses >= MISSES_IN_A_ROW:
            self.share, self.misses = max(LEAST_SHARE, self.share * SHRINK), 0
        elif self.hits >= HITS_IN_A_ROW and self.share < 1:
            self.share, self.hits = min(1.0, self.share * GROW), 0

    def _base(self, patches, new_labels):
        return self.costs.at(patches) + new_labels * self.costs.text_ms


def _high(values):
    return max(values) if len(values) < FEW else float(np.quantile(values, QUANTILE))


def _rising(times, counts):
    """For np.interp over times that do not fall: of equal times the one with most patches."""
    kept = {t: n for t, n in zip(times, counts, strict=True)}
    return list(kept), list(kept.values())


def _textured(height, width):
    """uint8 [height, width, 3]: noise of 8 px, the same every time."""
    noise = np.random.default_rng(5).integers(0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    return np.repeat(np.repeat(noise, 8, axis=0), 8, axis=1)[:height, :width]


def _since(start):
    return (perf_counter() - start) * 1e3
