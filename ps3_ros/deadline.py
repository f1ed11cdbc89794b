"""Time into patches: what a question costs here at several patch counts, measured once, and corrected by what each answer really took."""

from collections import deque
from dataclasses import dataclass
from math import exp
from time import perf_counter

import numpy as np

from .close_up import SHARE, SIDE
from .frame import Frame

REMEMBERED = 48  # answers that the correction is taken from: some seconds of a robot's questions, so that it follows the machine's load
FEW = 8  # below so many the slowest counts in place of a quantile
QUANTILE = 0.95  # of the corrections: what a budget is planned with, times the margin
UNKNOWN = 1.3  # correction before the first answer
TARGET = 0.03  # of the answers that a deadline cut short may miss it: what the margin is moved by
WIDER = 0.08  # a miss widens the margin by that; answers in time narrow it by so much less that it rests where TARGET of them miss
MARGIN, WIDEST = 1.05, 1.5  # at first; at most
SLOWER = 0.5  # power: where a frame took so many times its median, the machine is busy, and a budget is planned with that power of it
MISSES_IN_A_ROW, SHRINK, LEAST_SHARE = 3, 0.5, 1 / 16
HITS_IN_A_ROW, GROW = 5, 1.5
FRACTIONS = (0, 1 / 8, 1 / 4, 1 / 2, 1)  # of a look's patches, at least one: where the costs are measured
WITHOUT_CLOSE_UP = SHARE * SIDE * SIDE - 1  # patches: and there, as the first close-up is a step in the costs
TRIES = 3  # at each; the least counts, as what else the machine did in that moment is no cost
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
    frame_ms = min(_timed(lambda: asker.set_frame(frame))[0] for _ in range(TRIES))
    counts, times = [0], [min(_timed(lambda: glance_only(asker, PROBE_QUERY))[0] for _ in range(TRIES))]
    for count in sorted({*(max(1, int(full * fraction)) for fraction in FRACTIONS), min(full, WITHOUT_CLOSE_UP)}):
        runs = [_timed(lambda count=count: asker.ask(PROBE_QUERY, tokens=count)) for _ in range(TRIES)]
        used = runs[0][1].patches_used
        if used > counts[-1]:
            counts.append(used)
            times.append(min(ms for ms, _ in runs))
    counts[-1] = full  # a share that is rounded down is still a full look
    return Costs(frame_ms, text_ms, tuple(counts), tuple(float(t) for t in np.maximum.accumulate(times)))


class Pacer:
    """How many patches fit into the time left. Used by one thread at a time.

    Corrections are ratios of real to measured time, of three kinds apart, as none says anything of another: answers with a look; those of
    further questions, which find patches that others on their frame looked at (Asker.further), a tenth to all of that time; and those from
    the glance alone, one or two milliseconds, most of it around the graphs. A prediction takes their median, a budget a high quantile,
    times a margin that is moved until TARGET of the answers that the deadline cut short miss it (adaptive conformal inference, Gibbs and
    Candes 2021). After MISSES_IN_A_ROW late answers the budget halves, after HITS_IN_A_ROW in time it grows again.
    """

    def __init__(self, costs=None):
        self.costs = costs
        self.share = 1.0  # of the patches that would fit
        self.margin = MARGIN
        self.misses, self.hits = 0, 0  # in a row
        self._looks, self._further, self._glances, self._frames = (deque(maxlen=REMEMBERED) for _ in range(4))
        self._slower = 1.0  # than usual: the machine, by the frame that was just looked at

    def frame_ms(self, usual=False):
        """Milliseconds that a new frame is planned with: decoding, glance, selector; usual: half take less. None where nothing is known."""
        if self._frames:
            return float(np.median(self._frames)) if usual else _high(self._frames)
        return self.costs.frame_ms * UNKNOWN if self.costs else None

    def predict(self, patches, new_labels=0, further=False):
        """Milliseconds that a question over `patches` will most likely take; None where nothing is known."""
        if self.costs is None:
            return None
        ratios = self._ratios(patches, further) or self._ratios(patches)
        return self._base(patches, new_labels) * (float(np.median(ratios)) if ratios else UNKNOWN)

    def afford(self, left_ms, most, new_labels=0, further=False):
        """Patches, at most `most`, that fit into the time left; 0: a glance only; None: not even that, or nothing is known."""
        if self.costs is None:
            return None
        looks = self._ratios(1, further) or self._looks
        fit = self.costs.within(left_ms / (self._slowest(looks) * self._slower) - new_labels * self.costs.text_ms)
        if fit:
            return min(most, max(1, int(fit * self.share)))
        if most and self.costs.within(left_ms - new_labels * self.costs.text_ms):
            self._doubt(looks)
        return 0 if self._base(0, new_labels) * self._slowest(self._glances) <= left_ms else None

    def learn_frame(self, ms):
        """What a new frame took, decoding and all."""
        if self._frames:
            self._slower = max(1.0, ms / max(float(np.median(self._frames)), 1e-3)) ** SLOWER
        self._frames.append(ms)

    def learn(self, patches, ms, new_labels=0, further=False):
        """What a question over `patches` really took, from its plan to its publication."""
        self._slower = 1.0  # what the frame told is of the past
        if self.costs is not None:
            self._ratios(patches, further).append(ms / max(self._base(patches, new_labels), 1e-3))

    def settle(self, missed, cut=True):
        """After each answer that had a deadline. cut: whether it had fewer patches for it: others say nothing of a tight budget."""
        if missed:
            self.margin = min(WIDEST, self.margin * exp(WIDER))
        elif cut:
            self._narrow()
        self.misses, self.hits = (self.misses + 1, 0) if missed else (0, self.hits + 1)
        if self.misses >= MISSES_IN_A_ROW:
            self.share, self.misses = max(LEAST_SHARE, self.share * SHRINK), 0
        elif self.hits >= HITS_IN_A_ROW and self.share < 1:
            self.share, self.hits = min(1.0, self.share * GROW), 0

    def _doubt(self, looks):
        """Only the corrections stand in the way of a look, and only a look would renew them: they are forgotten by and by."""
        if looks:
            looks.popleft()
        self._narrow()

    def _narrow(self):
        self.margin = max(1.0, self.margin * exp(-WIDER * TARGET / (1 - TARGET)))

    def _ratios(self, patches, further=False):
        return (self._further if further else self._looks) if patches else self._glances

    def _slowest(self, ratios):
        """What a budget is planned with: the ratio that is seldom exceeded."""
        return (_high(ratios) if ratios else UNKNOWN) * self.margin

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


def _timed(call):
    """(milliseconds, what it gave)."""
    start = perf_counter()
    given = call()
    return (perf_counter() - start) * 1e3, given
