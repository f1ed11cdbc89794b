"""Log lines that a flood of bad input cannot multiply."""

import threading
import time
from collections import Counter


class LimitedLog:
    """Writes at most one line a kind in each period, with how many fell between.

    write: function of (kind, line); period_s: function that gives seconds.
    """

    def __init__(self, write, period_s):
        self._write, self._period_s = write, period_s
        self._lock, self._last, self._held = threading.Lock(), {}, Counter()

    def __call__(self, kind, sentence):
        now = time.monotonic()
        with self._lock:
            if kind in self._last and now - self._last[kind] < self._period_s():
                self._held[kind] += 1
                return
            held = self._held.pop(kind, 0)
            self._last[kind] = now
        self._write(kind, sentence + (f" ({held} more of this kind since the last line)" if held else ""))
