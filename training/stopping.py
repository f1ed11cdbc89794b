"""SIGTERM and Ctrl-C end a run after the step under way, with everything saved; a second signal ends it at once.

Under torchrun one Ctrl-C is two signals: every process of the terminal gets SIGINT, and torchrun passes its own on to its workers.
"""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType

PASSED_ON_S = 2.0  # within which another signal is the first one, passed on


class StopSignals:
    """While it is open, `name` is that of the first signal received, else None."""

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.name: str | None = None
        self._at = 0.0  # when it came, by the monotonic clock
        self._before: dict[int, object] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():  # Python lets no other thread handle signals
            for number in self.SIGNALS:
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.name is None:
            self.name, self._at = signal.Signals(number).name, time.monotonic()
        elif time.monotonic() - self._at > PASSED_ON_S:
            raise KeyboardInterrupt
