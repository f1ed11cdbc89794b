"""What waits to be looked at and answered: the newest image, the frame that was looked at last, and the questions. Not locked.

Age is told by when an image arrived here (monotonic seconds): a stamp may come from another clock.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .query import Request


@dataclass(eq=False)
class Waiting:
    """A question, when it came, and when it must be told that there is no frame. Seconds of the monotonic clock.

    heard: function of each of its answers, or None where who asked hears them like everybody.
    """

    request: Request
    arrived: float
    expires: float
    heard: Callable | None = None


class Inbox:
    """Newest image wins; questions keep their order."""

    def __init__(self, clock=time.monotonic):
        self._clock = clock
        self.queries = deque()  # of Waiting
        self.in_hand = None  # the Waiting that is being answered; None once it has its answer
        self.clear()

    def clear(self):
        """Forgets image and frame."""
        self.image = self.image_arrived = None  # the newest one that nobody has looked at
        self.frame, self.frame_arrived = None, float("-inf")  # the one that was looked at last: questions are about it
        self.last_arrived = None  # of any image
        self.refusal = None  # why the last image was of no use

    def put_image(self, image):
        """Returns whether it took the place of one that waited."""
        replaced, self.image = self.image is not None, image
        self.image_arrived = self.last_arrived = self._clock()
        return replaced

    def fresh_image(self, timeout_s):
        """Whether an image waits that is not too old to be looked at."""
        return self.image is not None and self._clock() - self.image_arrived <= timeout_s

    def fresh_frame(self, timeout_s):
        """Whether a question can be about the frame that was looked at last."""
        return self.frame is not None and self._clock() - self.frame_arrived <= timeout_s

    def take_image(self):
        """(image, when it arrived); none waits afterwards."""
        taken = self.image, self.image_arrived
        self.image = self.image_arrived = None
        return taken

    def set_frame(self, frame, arrived):
        self.frame, self.frame_arrived = frame, arrived

    def put_query(self, request, timeout_s, deadline_ms, heard=None):
        """The Waiting. deadline_ms: the node's own, for a request that has none; None: no deadline. heard: see Waiting."""
        now, deadline = self._clock(), request.deadline_ms or deadline_ms
        patience = timeout_s if deadline is None else min(timeout_s, deadline / 1e3)
        self.queries.append(Waiting(request, now, now + patience, heard))
        return self.queries[-1]

    def expired(self):
        """The first question that has waited for a frame long enough, or None."""
        now = self._clock()
        return next((waiting for waiting in self.queries if waiting.expires <= now), None)

    def next_expiry_s(self):
        """Seconds until a question expires; None where none waits."""
        return max(0.0, min(w.expires for w in self.queries) - self._clock()) if self.queries else None

    def take(self, waiting):
        """A question out of the queue and into hand."""
        self.queries.remove(waiting)
        self.in_hand = waiting
        return waiting

    def cancel(self, wanted):
        """Takes away the questions for which wanted(Waiting) holds, the one in hand too. Returns them."""
        gone = [waiting for waiting in self.queries if wanted(waiting)]
        for waiting in gone:
            self.queries.remove(waiting)
        if self.in_hand is not None and wanted(self.in_hand):
            gone.append(self.in_hand)
            self.in_hand = None
        return gone

    def no_frame(self, waited_s):
        """Why a question gets no answer, in one sentence."""
        if self.refusal:
            seen = f"; the last image was refused: {self.refusal}"
        elif self.last_arrived is not None:
            seen = f"; the last image came {self._clock() - self.last_arrived:.1f} s ago"
        else:
            seen = ""
        return f"no frame came within {waited_s:g} s; check that the camera publishes on the node's image topic{seen}"
