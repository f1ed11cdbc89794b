"""The thread that looks: callbacks only hand it the newest image and queries, it decodes, looks and delivers. No ROS import.

Newest frame wins: an image that waits is replaced by the next one. Every query that was taken in gets exactly one answer, if only an error.
"""

import threading
import time
import traceback
from collections import Counter, deque
from dataclasses import dataclass

from .answer import Answer
from .errors import FrameError, Ps3Error, QueryError
from .text import check_query, split_choices

COUNTED = ("images", "looked_at", "dropped", "bad_images", "queries", "bad_queries", "failures", "answers")
REPLACEMENT = "\ufffd"  # what ROS puts where bytes were not UTF-8


@dataclass(frozen=True)
class Asking:
    """What may change between two questions. standing: tuple of queries; tokens: patches over all looks, or None."""

    standing: tuple = ()
    looks: int = 1
    tokens: int | None = None
    query_timeout_s: float = 5.0


class Worker:
    """Answers queries about the newest image, in a thread of its own.

    Args:
        asker: ask.Asker; only the thread uses it.
        decode: function of what put_image was given -> Frame; runs in the thread; raises FrameError.
        deliver: function of (Answer, AskDetail or None, Frame or None); called for every answer, mostly from the thread.
        asking: function that gives the Asking of now.
        log: function of (kind, sentence), called for each bad input and each failure; it limits its own rate.
        queue_size: queries that may wait.
    """

    def __init__(self, asker, decode, deliver, asking, log, queue_size=64):
        self._asker, self._decode, self._deliver, self._asking, self._log = asker, decode, deliver, asking, log
        self._model, self._backend = asker.encoder.bundle.manifest.model_name, asker.encoder.backend.name
        self._queue_size = queue_size
        self._wake = threading.Condition()  # guards everything below
        self._queries = deque()  # of (query, deadline)
        self._in_hand = None  # the query that is being answered; None once it has its answer
        self._image = None  # the newest one that nobody has looked at
        self._frame = None  # the one that was looked at last: questions are about it
        self._round = deque()  # standing queries that this frame has still to be asked
        self._busy, self._resumed, self._stopping = False, False, False
        self._standing_asked = 0
        self._pauses = 0  # what began before a pause must not end after it
        self._last_frame_error = None
        self._counts = Counter()
        self._thread = threading.Thread(target=self._run, name="ps3-worker", daemon=True)
        self._thread.start()

    def counts(self):
        """{what: how many} since the start: images, looked_at, dropped, bad_images, queries, bad_queries, failures, answers."""
        with self._wake:
            return {name: self._counts[name] for name in COUNTED}

    def resume(self):
        """Takes images and queries from now on."""
        with self._wake:
            self._resumed = True
            self._wake.notify_all()

    def pause(self, timeout_s=1.5, reason="the node was deactivated before this query was answered; activate it and ask again"):
        """Lets the look in hand end, answers every waiting query with `reason` as the error, and forgets the frame.

        Returns whether the thread is idle: a look that takes longer than timeout_s goes on, and what comes of it is thrown away.
        """
        with self._wake:
            self._resumed, self._image = False, None
            left = [query for query, _ in self._queries]
            self._queries.clear()
            self._round.clear()
            idle = self._wake.wait_for(lambda: not self._busy, timeout_s)
            self._pauses += 1
            self._round.clear()
            self._frame = self._last_frame_error = None
            if self._in_hand is not None:
                left.insert(0, self._in_hand)
                self._in_hand = None
            self._counts["answers"] += len(left)
        for query in left:
            self._deliver(self._failed(query, reason), None, None)
        return idle

    def stop(self, timeout_s=1.5, reason="the node was shut down before this query was answered; start it and ask again"):
        """As pause, and ends the thread. Returns whether it ended."""
        idle = self.pause(timeout_s, reason)
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if idle:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def is_alive(self):
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def put_image(self, image):
        """The newest image, in whatever form `decode` takes. The one that waited is dropped."""
        with self._wake:
            if not self._resumed:
                return
            self._counts["images"] += 1
            # An image that somebody's question waits for is lost to slowness; while nobody asks, nobody misses it.
            self._counts["dropped"] += self._image is not None and (self._busy or self._has_work())
            self._image = image
            self._wake.notify_all()

    def put_query(self, query):
        """A question about the newest image. Text that cannot be asked, and one query too many, are answered at once."""
        with self._wake:
            if not self._resumed:
                return
            self._counts["queries"] += 1
            if len(self._queries) >= self._queue_size:
                error = QueryError(f"{self._queue_size} queries wait already; ask more slowly, or raise the parameter query_queue")
            else:
                error = self._why_not(query)
            if error is None:
                self._queries.append((query, time.monotonic() + self._asking().query_timeout_s))
                self._wake.notify_all()
                return
            self._counts["bad_queries"] += 1
            self._counts["answers"] += 1
        self._log("query", str(error))
        self._deliver(self._failed(query, error), None, None)

    # ---- the thread

    def _run(self):
        while True:
            with self._wake:
                while not self._stopping and not self._has_work():
                    self._wake.wait(self._patience())
                if self._stopping:
                    return
                self._busy, turn = True, self._pauses
            try:
                self._work(turn)
            except Exception:  # a fault of ours or of a library: it must not end the thread, as the next good input is to be answered
                self._count("failures")
                self._log("failure", f"unexpected failure: {traceback.format_exc()}")
            finally:
                with self._wake:
                    self._busy = False
                    self._wake.notify_all()

    def _has_work(self):
        if not self._resumed:
            return False
        if self._queries and (self._image is not None or self._frame is not None or self._queries[0][1] <= time.monotonic()):
            return True
        return bool(self._round) or (self._image is not None and bool(self._asking().standing))

    def _patience(self):
        """Seconds until the first waiting query must be told that there is no frame; None where none waits."""
        return max(0.0, self._queries[0][1] - time.monotonic()) if self._queries else None

    def _work(self, turn):
        """One image where one is wanted, then at most one query and one standing query, so that neither kind keeps the other waiting."""
        asking = self._asking()
        with self._wake:
            image = self._image if self._queries or not self._round else None
            if image is not None:
                self._image = None
        if image is not None:
            self._look_at(image, asking, turn)
        with self._wake:
            if turn != self._pauses:
                return
            frame, query, late = self._frame, None, False
            if self._queries:
                late = frame is None and self._queries[0][1] <= time.monotonic()
                if frame is not None or late:
                    query = self._in_hand = self._queries.popleft()[0]
        if late:
            self._finish(self._failed(query, self._no_frame(asking)), None, None, turn)
        elif query is not None:
            self._answer(query, frame, asking, turn)
        with self._wake:
            standing = self._round.popleft() if self._round and turn == self._pauses else None
            self._standing_asked += standing is not None
        if standing is not None:
            self._answer(standing, frame, asking, turn, in_hand=False)

    def _look_at(self, image, asking, turn):
        """Decodes and glances. A bad image leaves the last good frame in place: its stamp tells how old it is."""
        try:
            frame = self._decode(image)
        except FrameError as error:
            self._count("bad_images")
            self._last_frame_error = str(error)
            self._log("image", str(error))
            return
        try:
            self._asker.set_frame(frame)
        except Exception as error:
            with self._wake:
                self._counts["failures"] += 1
                self._frame = None  # the asker has none either now
                self._round.clear()
            self._last_frame_error = _sentence(error)
            self._log("failure", _sentence(error))
            return
        with self._wake:
            if turn == self._pauses:
                self._counts["looked_at"] += 1
                self._frame = frame
                self._round = deque(asking.standing)
                self._round.rotate(-self._standing_asked)  # where queries cut rounds short, each standing query has its turn

    def _answer(self, query, frame, asking, turn, in_hand=True):
        detail = None
        try:
            answer = self._asker.ask(query, looks=asking.looks, tokens=asking.tokens)
            detail = self._asker.detail
        except Exception as error:
            expected = isinstance(error, QueryError)
            self._count("bad_queries" if expected else "failures")
            self._log("query" if expected else "failure", _sentence(error))
            answer = self._failed(query, _sentence(error), frame)
        self._finish(answer, detail, frame, turn, in_hand)

    def _finish(self, answer, detail, frame, turn, in_hand=True):
        """Delivers, unless a pause has answered the query already."""
        with self._wake:
            if turn != self._pauses:
                return
            if in_hand:
                self._in_hand = None
            self._counts["answers"] += 1
        self._deliver(answer, detail, frame)

    def _failed(self, query, error, frame=None):
        return Answer.failed(query, error, frame, model=self._model, backend=self._backend)

    def _why_not(self, query):
        """What is wrong with a query, as far as that can be told without the model; None where nothing is."""
        try:
            if isinstance(query, str) and REPLACEMENT in query:
                raise QueryError(
                    f"query has the character U+FFFD at {query.index(REPLACEMENT)}, which stands for bytes that are not UTF-8; send UTF-8"
                )
            split_choices(check_query(query))
        except QueryError as error:
            return error
        return None

    def _no_frame(self, asking):
        seen = f"; the last image was refused: {self._last_frame_error}" if self._last_frame_error else ""
        return f"no frame came within {asking.query_timeout_s:g} s; check that the camera publishes on the node's image topic{seen}"

    def _count(self, name):
        with self._wake:
            self._counts[name] += 1


def _sentence(error):
    """Of an expected error its own; of any other what it was, with what to do."""
    if isinstance(error, Ps3Error):
        return str(error)
    return f"{type(error).__name__}: {error}; this is a fault in ps3_ros or a library of it, please report it"


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
