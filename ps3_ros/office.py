"""What the desks of a node share with the one thread that serves them, and what the node's parameters say of a camera's questions."""

import threading
import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asking:
    """What may change between two questions. standing: tuple of query.Request; tokens: patches over all looks, or None for full looks."""

    standing: tuple = ()
    looks: int = 1
    tokens: int | None = None
    query_timeout_s: float = 5.0
    frame_timeout_s: float = 5.0  # an older frame counts as none
    deadline_ms: float | None = None
    standing_patches: int | None = None  # a frame, shared by priority; None: each standing query as any other
    standing_rate_hz: float | None = None  # of standing queries that name none; None: every frame
    standby_rate_hz: float = 0.0  # looks at saliency with nothing to ask; 0: none
    wake_saliency: float = 1.0
    wake_queries: tuple = ()  # of Request: asked about every frame while awake by saliency
    awake_s: float = 10.0
    anytime: bool = False  # a first answer after the glance, a better one after each look


@dataclass(eq=False)
class Office:
    """What the desks of a node share with the one thread that serves them, all of it guarded by `wake`."""

    responder: object  # responder.Responder; only the thread calls it, others read
    log: object  # function of (kind, sentence)
    wake: threading.Condition = field(default_factory=threading.Condition)
    desks: tuple = ()
    resumed: bool = False
    stopping: bool = False
    lost: bool = False  # no backend works
    prepared: bool = False  # the backend was measured
    step: tuple | None = None  # (what is done, since when, at which desk) while the thread works
    turn: int = 0  # what began before a pause or restart must not end after it

    def mark(self, step, turn, desk):
        """From the thread: what it does now."""
        with self.wake:
            if turn == self.turn:
                self.step = (step, time.monotonic(), desk)
