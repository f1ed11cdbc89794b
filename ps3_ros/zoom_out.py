"""Zooming out: a thing of 500 px is often answered by a piece of it, which matches as well as a small thing does.

So the best candidates are looked at again, each twice as wide and high, as a close-up shows any box equally large; as long as that looks
more like what is asked for, it is the candidate, and is zoomed out from again. Not in the paper; docs/notes/regions.md has what it gains.
"""

import numpy as np

from .boxes import grown

FACTOR = 2.0  # times as wide and high: a step
MISSES = 1  # steps in a row that may look less like it: from a piece to the whole can be more than one


def zoom_out(boxes, scores, numbers, steps, limits, judge):
    """Wider boxes in place of those that look less like what is asked for: changes boxes, float32 [R, 4] px, and scores, float64 [R, C].

    numbers: the candidates that may change, of boxes; steps: how many boxes are judged, each of the best candidate that is not given up;
    limits: the frame's (width, height); judge: function of boxes [1, 4] that gives their scores [1, C] and finer boxes [1, 4].
    """
    open_ones = {n: (boxes[n : n + 1].copy(), 0) for n in numbers}
    for _ in range(steps):
        if not open_ones:
            return
        n = max(open_ones, key=lambda n: scores[n].max())
        box, missed = open_ones.pop(n)
        wide = np.clip(grown(box, FACTOR), 0, list(limits) * 2).astype(np.float32)
        found, finer = judge(wide)
        if found.max() > scores[n].max():
            boxes[n], scores[n], open_ones[n] = finer[0], found[0], (finer, 0)
        elif missed < MISSES:
            open_ones[n] = wide, missed + 1
