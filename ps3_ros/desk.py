"""What lies between those who ask and the thread that looks: questions, the newest image, standing queries, counts. No ROS import.

Every query that was taken in gets exactly one final answer, if only an error.
"""

import threading
import time
from collections import Counter, deque
from dataclasses import dataclass

from .answer import Answer
from .errors import BackendError, Ps3Error, QueryError
from .inbox import Inbox
from .query import Request, id_of, parse_query, parse_unwatch, parse_watch
from .standby import Standby
from .standing import Watchlist

COUNTED = (
    "images", "looked_at", "dropped", "bad_images", "queries", "bad_queries", "failures", "answers", "deadline_misses", "cancelled",
    "hangs", "glimpses",
)  # fmt: skip
OPENING = 10  # times as long as a look may opening a backend take
IN_TIME_S = 0.05  # between two tries of what is not due yet


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


class Desk:
    """What any thread may ask of the worker, and what its own thread (worker.py) shares with them under one lock.

    Args: see worker.Worker.
    """

    def __init__(self, responder, deliver, asking, log, queue_size, glimpse, check):
        self._deliver, self._asking, self._log = deliver, asking, log
        self._queue_size, self._glimpse, self._check = queue_size, glimpse, check
        self._wake = threading.Condition()  # guards everything below
        self._responder = responder
        self._inbox, self._watchlist, self._standby = Inbox(), Watchlist(), Standby()
        self._round = deque()  # standing queries that this frame has still to be asked
        self._resumed, self._stopping, self._lost, self._prepared = False, False, False, False
        self._step = None  # (what is done, since when) while the thread works
        self._turn = 0  # what began before a pause or restart must not end after it
        self._counts = Counter()

    @property
    def responder(self):
        """For reading only: backend, model, share, trouble, pacer."""
        return self._responder

    def counts(self):
        """{what: how many} since the start, of COUNTED."""
        with self._wake:
            return {name: self._counts[name] for name in COUNTED}

    def standing(self):
        """The standing queries of now: a tuple of Request."""
        with self._wake:
            self._watchlist.set_base(self._asking().standing)
            return self._watchlist.listed()

    def idle_for(self):
        """ "query", "standing", "awake" or "standby": what the newest frame is wanted for."""
        with self._wake:
            if self._inbox.queries or self._inbox.in_hand is not None:
                return "query"
            self._watchlist.set_base(self._asking().standing)
            return "standing" if self._watchlist.listed() else "awake" if self._standby.awake else "standby"

    def image_age_s(self):
        """Seconds since an image came; None where none came since it was resumed."""
        with self._wake:
            last = self._inbox.last_arrived
        return None if last is None else time.monotonic() - last

    def hangs(self, limit_s):
        """(what, seconds) where one step takes longer than limit_s (opening a backend: OPENING times as long), else None."""
        with self._wake:
            if self._step is None:
                return None
            name, since = self._step
        seconds = time.monotonic() - since
        return (name, seconds) if seconds > limit_s * (OPENING if name == "open" else 1) else None

    def expire(self):
        """Answers those that have waited long enough while the thread opens a backend, which may take minutes."""
        with self._wake:
            gone = []
            while self._step is not None and self._step[0] == "open" and (waiting := self._inbox.expired()) is not None:
                self._inbox.queries.remove(waiting)
                gone.append(waiting)
            self._counts["answers"] += len(gone)
        self._refuse(gone, "the backend was still being opened when this query's time was over; ask again")

    def put_image(self, image):
        """The newest image, in whatever form `decode` takes. The one that waited is dropped."""
        with self._wake:
            if not self._resumed or self._lost:
                return
            self._counts["images"] += 1
            # An image that somebody's question waits for is lost to slowness; while nobody asks, nobody misses it.
            busy = self._step is not None and self._step[0] not in ("glimpse", "open")
            missed = self._prepared and (busy or self._has_work())
            self._counts["dropped"] += self._inbox.put_image(image) and missed
            self._wake.notify_all()

    def put_query(self, data):
        """A message on ~/query: a question, or a cancel. Text that cannot be asked, and one query too many, are answered at once."""
        with self._wake:
            if not self._resumed:
                return
            self._counts["queries"] += 1
            asking = self._asking()
            try:
                request = parse_query(data)
                if self._lost:
                    raise BackendError(self._responder.trouble)
                if isinstance(request, Request):
                    if len(self._inbox.queries) >= self._queue_size:
                        raise QueryError(f"{self._queue_size} queries wait already; ask more slowly, or raise the parameter query_queue")
                    self._inbox.put_query(request, asking.query_timeout_s, asking.deadline_ms)
                    self._wake.notify_all()
                    return
                gone = self._inbox.cancel(request.id)
                if not gone:
                    raise QueryError(f"no question with the id {request.id!r} waits; it has its answer already, or never came")
                self._counts["answers"] += len(gone)
                self._counts["cancelled"] += len(gone)
            except Ps3Error as error:
                self._counts["bad_queries"] += isinstance(error, QueryError)
                self._counts["answers"] += 1
                request, failure = None, error
        if request is None:
            self._log("query", str(failure))
            self._deliver(self._failed(data, failure, id=id_of(data)), None, None)
        else:
            self._refuse(gone, "the question was cancelled")

    def put_watch(self, data):
        """A message on ~/watch. Returns whether it was taken; otherwise an answer says why."""
        return self._change_standing(data, lambda: self._watch(parse_watch(data)))

    def put_unwatch(self, data):
        """A message on ~/unwatch. Returns whether it was taken; otherwise an answer says why."""
        return self._change_standing(data, lambda: self._watchlist.unwatch(parse_unwatch(data)))

    # ---- with the thread

    def _has_work(self):
        if self._resumed or self._lost:
            if self._responder.needs_mending():
                return True
        if not self._resumed:
            return False
        if not self._prepared:
            return True
        asking, inbox = self._asking(), self._inbox
        self._watchlist.set_base(asking.standing)
        image = inbox.fresh_image(asking.frame_timeout_s)
        if inbox.queries and (image or inbox.fresh_frame(asking.frame_timeout_s) or inbox.expired() is not None):
            return True
        if self._round:
            return True
        return image and (self._watchlist.any_due(asking.standing_rate_hz) or self._glimpse_due_s(asking) == 0.0)

    def _glimpse_due_s(self, asking):
        """Seconds until saliency is looked at; None where something is asked or nobody wants it."""
        if self._watchlist.listed() or self._inbox.queries or self._glimpse is None:
            return None
        return self._standby.due_s(asking.standby_rate_hz)

    def _patience(self):
        """Seconds until there is something to do without anything new coming in; None where there is none."""
        times = [self._inbox.next_expiry_s()]
        if self._resumed and self._inbox.image is not None:
            asking = self._asking()
            times.append(self._glimpse_due_s(asking))
            if self._watchlist.listed() and self._inbox.fresh_image(asking.frame_timeout_s):
                times.append(IN_TIME_S)  # a rate limit keeps it waiting
        if self._resumed or self._lost:
            times.append(self._responder.mending_due_s())
        times = [seconds for seconds in times if seconds is not None]
        return max(min(times), 1e-3) if times else None

    def _finish(self, answer, detail, frame, turn, waiting):
        """Delivers, unless a pause, restart or cancel has answered the query already."""
        with self._wake:
            if turn != self._turn or (waiting is not None and self._inbox.in_hand is not waiting):
                return
            if waiting is not None:
                self._inbox.in_hand = None
            self._counts["answers"] += 1
            self._counts["deadline_misses"] += answer.timing is not None and answer.timing["missed"]
        self._deliver(answer, detail, frame)

    def _forget(self):
        """Ends this turn, under the lock: frame and round are gone. Returns the Waiting in hand, now out of it, in a list."""
        self._turn += 1
        self._round.clear()
        self._inbox.clear()
        self._standby.reset()
        late, self._inbox.in_hand = [w for w in (self._inbox.in_hand,) if w is not None], None
        self._counts["answers"] += len(late)
        return late

    def _refuse(self, waiting, reason):
        for one in waiting:
            self._deliver(self._failed(one.request.text, reason, id=one.request.id), None, None)

    def _failed(self, query, error, frame=None, **fields):
        return Answer.failed(query, error, frame, model=self._responder.model, backend=self._responder.backend, **fields)

    def _mark(self, step, turn):
        with self._wake:
            if turn == self._turn:
                self._step = (step, time.monotonic())

    def _count(self, name):
        with self._wake:
            self._counts[name] += 1

    def _watch(self, request):
        if self._check is not None:
            self._check(request.text)
        self._watchlist.watch(request)

    def _change_standing(self, data, change):
        with self._wake:
            if not self._resumed:
                return False
            try:
                self._watchlist.set_base(self._asking().standing)
                change()
                self._wake.notify_all()
                return True
            except QueryError as error:
                self._counts["bad_queries"] += 1
                failure = error
        self._log("query", str(failure))
        self._deliver(self._failed(data, failure, id=id_of(data), standing=True), None, None)
        return False
