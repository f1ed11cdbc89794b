"""Pictures of answers for viewers: drawn in a thread of their own, only while somebody wants them, at a limited rate. No ROS import."""

import threading
import time
import traceback

import cv2

from .overlay import draw_answers

JPEG_QUALITY = 80
SETTLE_S = 0.1  # with no further answer about a frame for so long, it is drawn with those that came
IDLE_S = 2.0  # then the thread ends; the next answer starts another


class Group:
    """The answers about one frame: the last of each question."""

    def __init__(self, frame):
        self.frame, self._explained, self.changed, self.fresh = frame, {}, 0.0, False

    def add(self, answer, detail):
        self._explained[answer.id or answer.query] = (answer, detail)
        self.changed, self.fresh = time.monotonic(), True

    def take(self):
        """(frame, its answers so far)."""
        self.fresh = False
        return self.frame, tuple(self._explained.values())


class Painter:
    """Draws the answers about a frame into one JPEG. The newest frame whose answers are complete wins: no rate picks out one question.

    Args:
        publish: function of (JPEG bytes, Frame), called from the painter's thread.
        wanted: function that tells whether anybody looks on; asked before each answer is kept.
        settings: function that gives (width px, pictures a second) of now.
        failed: function of a traceback, where drawing or publishing failed.
    """

    def __init__(self, publish, wanted, settings, failed):
        self._publish, self._wanted, self._settings, self._failed = publish, wanted, settings, failed
        self._wake = threading.Condition()
        self._group = self._complete = self._thread = None
        self._last = float("-inf")

    def put(self, answer, detail, frame):
        """Takes an answer; costs no drawing. answer: answer.Answer; detail: ask.AskDetail; frame: Frame."""
        wanted = self._wanted()
        with self._wake:
            if not wanted:
                self._group = self._complete = None  # frees the frames
                return
            if self._group is None or self._group.frame is not frame:
                if self._group is not None and self._group.fresh:
                    self._complete = self._group
                self._group = Group(frame)
            self._group.add(answer, detail)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="ps3-pictures", daemon=True)
                self._thread.start()
            self._wake.notify_all()

    def _run(self):
        try:
            while (work := self._next()) is not None:
                frame, explained, width = work
                picture = draw_answers(frame.pixels, explained, width)
                self._publish(cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1].tobytes(), frame)
        except Exception:  # a publisher that went with its node, or a fault of ours: the next answer starts anew
            self._failed(traceback.format_exc())
            with self._wake:
                self._group = self._complete = self._thread = None

    def _next(self):
        """(frame, answers, width) as soon as there is something to draw and the rate allows it; None when nothing came for IDLE_S."""
        width, rate_hz = self._settings()
        with self._wake:
            idle = time.monotonic() + IDLE_S
            while True:
                now = time.monotonic()
                if self._complete is not None:
                    ready = self._last + 1 / rate_hz
                elif self._group is not None and self._group.fresh:
                    ready = max(self._last + 1 / rate_hz, self._group.changed + SETTLE_S)
                else:
                    ready = idle
                    if now >= idle:
                        self._group = self._thread = None
                        return None
                if now >= ready:
                    group, self._complete = self._complete or self._group, None
                    self._last = now
                    return *group.take(), width
                self._wake.wait(ready - now)
