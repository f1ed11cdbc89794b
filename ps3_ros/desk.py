"""What lies between those who ask about one camera and the thread that looks: questions, the newest image, standing queries, counts.

Every query that was taken in gets exactly one final answer, if only an error. No ROS import.
"""

import time
from collections import Counter, deque
from dataclasses import replace

from .answer import Answer
from .errors import BackendError, Ps3Error, QueryError, sentence
from .inbox import Inbox
from .query import Request, id_of, parse_query, parse_unwatch, parse_watch
from .standby import Standby
from .standing import Watchlist

COUNTED = (
    "images", "looked_at", "dropped", "bad_images", "queries", "bad_queries", "failures", "answers", "deadline_misses", "cancelled",
    "hangs", "glimpses", "bad_calibrations", "bad_depths", "bad_priors",
)  # fmt: skip
CANCELLED = "the question was cancelled"
IN_TIME_S = 0.05  # between two tries of what is not due yet


class Desk:
    """One camera's questions and images. Any thread may ask; the thread that looks (serving.py) shares what lies here under one lock.

    Args:
        office: office.Office. name: of the camera; None for the only one of a node.
        deliver: function of (Answer, AskDetail or None, Frame or None); called for every answer, mostly from the thread.
        asking: function that gives the Asking of now.
        queue_size: queries that may wait.
        glimpse: function of (saliency float32 [g, g], standby.Glimpse, Frame), called after each look in standby; None for no standby.
        check: function of a query's text, called before it is watched; raises QueryError.

    Hooks that may be set before the thread works, all called by it:
        chosen: list of functions of a Frame, called when it is to be looked at, before the glance.
        prior: function of (Request, Frame, standing) -> what `Asker.ask` takes as prior, or None.
        complete: list of functions of (Answer, Request, Frame) -> Answer, called before an answer without an error goes out, the ones that
            are not final too. answer.standing says of which kind the question is.
    """

    def __init__(self, office, deliver, asking, queue_size=64, glimpse=None, check=None, name=None):
        self.office, self.name = office, name
        self.asking, self.glimpse = asking, glimpse
        self.chosen, self.prior, self.complete = [], None, []
        self._deliver, self._queue_size, self._check = deliver, queue_size, check
        self.inbox, self.watchlist, self.standby = Inbox(), Watchlist(), Standby()
        self.round = deque()  # standing queries that this frame has still to be asked
        self._counts = Counter()
        office.desks = (*office.desks, self)

    def counts(self):
        """{what: how many} since the start, of COUNTED."""
        with self.office.wake:
            return {name: self._counts[name] for name in COUNTED}

    def standing(self):
        """The standing queries of now: a tuple of Request."""
        with self.office.wake:
            self.watchlist.set_base(self.asking().standing)
            return self.watchlist.listed()

    def idle_for(self):
        """ "query", "standing", "awake" or "standby": what the newest frame is wanted for."""
        with self.office.wake:
            if self.inbox.queries or self.inbox.in_hand is not None:
                return "query"
            self.watchlist.set_base(self.asking().standing)
            return "standing" if self.watchlist.listed() else "awake" if self.standby.awake else "standby"

    def image_age_s(self):
        """Seconds since an image came; None where none came since it was resumed."""
        with self.office.wake:
            last = self.inbox.last_arrived
        return None if last is None else time.monotonic() - last

    def put_image(self, image):
        """The newest image, in whatever form the worker's `decode` takes. The one that waited is dropped."""
        office = self.office
        with office.wake:
            if not office.resumed or office.lost:
                return
            self._counts["images"] += 1
            # An image that somebody's question waits for is lost to slowness; while nobody asks, nobody misses it.
            busy = office.step is not None and office.step[2] is self and office.step[0] not in ("glimpse", "open")
            missed = office.prepared and (busy or self.has_work())
            self._counts["dropped"] += self.inbox.put_image(image) and missed
            office.wake.notify_all()

    def put_query(self, data, heard=None):
        """A message on ~/query: a question, or a cancel. Text that cannot be asked, and one query too many, are answered at once.

        heard: function of each answer to it, beside the node's own answers: of (Answer), from whatever thread answers. Returns what
        `withdraw` takes; None where nothing waits for an answer now.
        """
        office = self.office
        with office.wake:
            if not office.resumed:
                return None
            self._counts["queries"] += 1
            asking = self.asking()
            try:
                request = parse_query(data)
                if office.lost:
                    raise BackendError(office.responder.trouble)
                if isinstance(request, Request):
                    self._check_camera(request.camera)
                    if len(self.inbox.queries) >= self._queue_size:
                        raise QueryError(f"{self._queue_size} queries wait already; ask more slowly, or raise the parameter query_queue")
                    waiting = self.inbox.put_query(request, asking.query_timeout_s, asking.deadline_ms, heard)
                    office.wake.notify_all()
                    return waiting
                gone = [(desk, waiting) for desk in office.desks for waiting in desk.cancel(lambda w: w.request.id == request.id)]
                if not gone:
                    raise QueryError(f"no question with the id {request.id!r} waits; it has its answer already, or never came")
                failure = None
            except Exception as error:  # a fault of ours too: a question gets its answer
                self._counts["answers"] += 1
                failure = self._unasked(error)
        if failure is not None:
            self._tell(self.failed(data, failure, id=id_of(data)), None, None, heard)
        else:
            for desk, waiting in gone:
                desk.refuse([waiting], CANCELLED)
        return None

    def withdraw(self, waiting):
        """Takes back a question that put_query returned; its answer says so. Returns whether it still waited or was in hand."""
        with self.office.wake:
            gone = self.cancel(lambda each: each is waiting)
        self.refuse(gone, CANCELLED)
        return bool(gone)

    def put_watch(self, data):
        """A message on ~/watch. Returns whether it was taken; otherwise an answer says why."""
        return self._change_standing(data, lambda: self._watch(parse_watch(data)))

    def put_unwatch(self, data):
        """A message on ~/unwatch. Returns whether it was taken; otherwise an answer says why."""
        return self._change_standing(data, lambda: self._unwatch(parse_unwatch(data)))

    # ---- with the thread; what does not take the lock is called under it

    def has_work(self):
        """Whether there is something to look at or answer now; under the lock."""
        asking, inbox = self.asking(), self.inbox
        self.watchlist.set_base(asking.standing)
        image = inbox.fresh_image(asking.frame_timeout_s)
        if inbox.queries and (image or inbox.fresh_frame(asking.frame_timeout_s) or inbox.expired() is not None):
            return True
        if self.round:
            return True
        return image and (bool(self.watchlist.due(asking.standing_rate_hz)) or self.glimpse_due_s(asking) == 0.0)

    def glimpse_due_s(self, asking):
        """Seconds until saliency is looked at; None where something is asked or nobody wants it. Under the lock."""
        if self.watchlist.listed() or self.inbox.queries or self.glimpse is None:
            return None
        return self.standby.due_s(asking.standby_rate_hz)

    def patience_s(self):
        """Seconds until there is something to do without anything new coming in; None where there is none. Under the lock."""
        times = [self.inbox.next_expiry_s()]
        if self.office.resumed and self.inbox.image is not None:
            asking = self.asking()
            times.append(self.glimpse_due_s(asking))
            if self.watchlist.listed() and self.inbox.fresh_image(asking.frame_timeout_s):
                times.append(IN_TIME_S)  # a rate limit keeps it waiting
        return min((seconds for seconds in times if seconds is not None), default=None)

    def cancel(self, wanted):
        """Takes away the questions for which wanted(Waiting) holds. Returns them. Under the lock."""
        gone = self.inbox.cancel(wanted)
        self._counts["answers"] += len(gone)
        self._counts["cancelled"] += len(gone)
        return gone

    def clear(self):
        """Takes the questions that wait, counted as answered: the caller refuses them. Under the lock."""
        left = list(self.inbox.queries)
        self.inbox.queries.clear()
        self._counts["answers"] += len(left)
        return left

    def expire(self):
        """Takes the questions that have waited long enough, likewise. Under the lock."""
        gone = []
        while (waiting := self.inbox.expired()) is not None:
            self.inbox.queries.remove(waiting)
            gone.append(waiting)
        self._counts["answers"] += len(gone)
        return gone

    def forget(self):
        """Frame and round are gone. Returns the Waiting in hand, now out of it, in a list. Under the lock."""
        self.round.clear()
        self.inbox.clear()
        self.standby.reset()
        late, self.inbox.in_hand = [w for w in (self.inbox.in_hand,) if w is not None], None
        self._counts["answers"] += len(late)
        return late

    def forget_frame(self):
        """The asker has no frame of this camera any more. Under the lock."""
        self.inbox.set_frame(None, float("-inf"))
        self.round.clear()

    def finish(self, answer, detail, frame, turn, waiting):
        """Delivers, unless a pause, restart or cancel has answered the query already. Returns whether it did."""
        with self.office.wake:
            if turn != self.office.turn or (waiting is not None and self.inbox.in_hand is not waiting):
                return False
            if answer.final:
                if waiting is not None:
                    self.inbox.in_hand = None
                self._counts["answers"] += 1
                self._counts["deadline_misses"] += answer.timing is not None and answer.timing["missed"]
        self._tell(replace(answer, camera=self.name), detail, frame, None if waiting is None else waiting.heard)
        return True

    def refuse(self, waiting, reason):
        """Answers questions that were taken away, with the reason as the error."""
        for one in waiting:
            self._tell(self.failed(one.request.text, reason, id=one.request.id), None, None, one.heard)

    def failed(self, query, error, frame=None, **fields):
        """Answer of a question that could not be asked."""
        responder = self.office.responder
        return Answer.failed(query, error, frame, model=responder.model, backend=responder.backend, camera=self.name, **fields)

    def count(self, name):
        """One more of COUNTED."""
        with self.office.wake:
            self._counts[name] += 1

    # ---- standing queries

    def _watch(self, request):
        self._check_camera(request.camera)
        if self._check is not None:
            self._check(request.text)
        self.watchlist.watch(request)

    def _unwatch(self, named):
        key, camera = named
        self._check_camera(camera)
        self.watchlist.unwatch(key)

    def _check_camera(self, camera):
        if camera in (None, self.name):
            return
        names = [desk.name for desk in self.office.desks]
        if camera in names:
            raise QueryError(f"query names the camera {camera!r} on a topic of the camera {self.name!r}; use ~/{camera} or ~ itself")
        known = "this node has one camera without a name" if names == [None] else f"the cameras are {', '.join(names)}"
        raise QueryError(f"query names the camera {camera!r}, which is not known; {known}")

    def _change_standing(self, data, change):
        office = self.office
        with office.wake:
            if not office.resumed:
                return False
            try:
                self.watchlist.set_base(self.asking().standing)
                change()
                office.wake.notify_all()
                return True
            except Exception as error:
                failure = self._unasked(error)
        self._tell(self.failed(data, failure, id=id_of(data), standing=True), None, None)
        return False

    # ---- out

    def _tell(self, answer, detail, frame, heard=None):
        try:
            self._deliver(answer, detail, frame)
        finally:
            if heard is not None:
                try:
                    heard(answer)
                except Exception as error:  # who asked may be gone
                    self.office.log("failure", sentence(error))

    def _unasked(self, error):
        """Counts and logs what kept a message from being taken; returns its sentence. Under the lock."""
        expected = isinstance(error, Ps3Error)
        if not expected or isinstance(error, QueryError):
            self._counts["bad_queries" if expected else "failures"] += 1
        self.office.log("query" if expected else "failure", sentence(error))
        return sentence(error)
