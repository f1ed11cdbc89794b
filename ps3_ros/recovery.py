"""What to do when the backend fails: look at less, then at nothing but the glance, and back up again when it has been quiet for a while."""

import time

STEPS = (1.0, 0.5, 0.25, 0.125, 0.0)  # of a look's patches; the last is the glance alone
QUIET_S, LONGEST_S = 30.0, 600.0


class Ladder:
    """Where on STEPS a backend is. One that fails again soon after a step up waits twice as long for the next try."""

    def __init__(self, clock=time.monotonic):
        self._clock = clock
        self.step, self._wait, self._since, self._trying = 0, QUIET_S, 0.0, False

    @property
    def share(self):
        """Part of a look's patches that may be looked at."""
        return STEPS[self.step]

    def failed(self):
        """One step down. Returns False where there is none: the backend itself must be replaced."""
        if self._trying:
            self._wait = min(LONGEST_S, 2 * self._wait)
        self._since, self._trying = self._clock(), False
        if self.step == len(STEPS) - 1:
            return False
        self.step += 1
        return True

    def worked(self):
        """After an answer: one step up, as a try, where it has been quiet long enough. A try that holds as long is none any more."""
        if self._clock() - self._since < self._wait:
            return
        self._since = self._clock()
        if self.step:
            self.step, self._trying = self.step - 1, True
        else:
            self._wait, self._trying = QUIET_S, False


class Backoff:
    """When to try next what failed: after first_s, then twice as long each time, at most longest_s."""

    def __init__(self, first_s=10.0, longest_s=300.0, clock=time.monotonic):
        self._clock, self._first, self._longest = clock, first_s, longest_s
        self._wait, self._due = first_s, 0.0

    def due(self):
        return self._clock() >= self._due

    def failed(self):
        self._due = self._clock() + self._wait
        self._wait = min(self._longest, 2 * self._wait)

    def left_s(self):
        """Seconds until it is due."""
        return max(0.0, self._due - self._clock())
