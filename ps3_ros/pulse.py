"""A beat of its own thread, which neither an inference nor a callback that blocks can hold up."""

import threading
import traceback


class Pulse:
    """Calls `beat()` every period_s() seconds until it is stopped. failed: function of a traceback; a beat that fails ends nothing."""

    def __init__(self, beat, period_s, failed):
        self._beat, self._period_s, self._failed = beat, period_s, failed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ps3-pulse", daemon=True)
        self._thread.start()

    def stop(self, timeout_s=0.5):
        self._stop.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    def _run(self):
        while not self._stop.wait(self._period_s()):
            try:
                self._beat()
            except Exception:
                if not self._stop.is_set():  # else what it beat for is being taken apart
                    self._failed(traceback.format_exc())
