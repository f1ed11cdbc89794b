"""The thread that looks: callbacks only hand it the newest image and queries, it decodes, looks and delivers. No ROS import.

Newest frame wins: an image that waits is replaced by the next one. A look that never ends is left behind with its thread (restart).
"""

import threading
import time
import traceback
from collections import deque
from dataclasses import replace

from .desk import Asking, Desk
from .errors import FrameError, Ps3Error, QueryError
from .responder import FAILURES
from .standing import share

__all__ = ["Asking", "Worker"]


class Worker(Desk):
    """Answers queries about the newest image, in a thread of its own.

    Args:
        responder: responder.Responder; only the thread uses it.
        decode: function of what put_image was given -> Frame; runs in the thread; raises FrameError.
        deliver: function of (Answer, AskDetail or None, Frame or None); called for every answer, mostly from the thread.
        asking: function that gives the Asking of now.
        log: function of (kind, sentence), called for each bad input and each failure; it limits its own rate.
        queue_size: queries that may wait.
        glimpse: function of (saliency float32 [g, g], standby.Glimpse, Frame), called after each look in standby.
        lost: function of a sentence, called when no backend works any more; mended: function called when one works again.
        check: function of a query's text, called before it is watched; raises QueryError.
    """

    def __init__(self, responder, decode, deliver, asking, log, queue_size=64, glimpse=None, lost=None, mended=None, check=None):
        super().__init__(responder, deliver, asking, log, queue_size, glimpse, check)
        self._decode, self._lost_hook, self._mended = decode, lost, mended
        self._threads = []
        self._start()

    def resume(self):
        """Takes images and queries from now on."""
        with self._wake:
            self._resumed, self._lost = True, False
            self._wake.notify_all()

    def pause(self, timeout_s=1.5, reason="the node was deactivated before this query was answered; activate it and ask again", mend=False):
        """Answers every waiting query with `reason` as the error, lets the look in hand end, and forgets the frame.

        mend: go on trying to open a lost backend meanwhile.

        Returns whether the thread is idle: a look that takes longer than timeout_s goes on, and what comes of it is thrown away.
        """
        with self._wake:
            self._resumed, self._lost = False, self._lost and mend
            self._inbox.image = None
            left = list(self._inbox.queries)
            self._inbox.queries.clear()
            self._round.clear()
            self._counts["answers"] += len(left)
        self._refuse(left, reason)
        with self._wake:
            opening = self._step is not None and self._step[0] == "open"  # what may take minutes, and has no answer in hand
            idle = not opening and self._wake.wait_for(lambda: self._step is None, timeout_s)
            late = self._forget()
        self._refuse(late, reason)
        return idle

    def stop(self, timeout_s=1.5, reason="the node was shut down before this query was answered; start it and ask again"):
        """As pause, and ends the thread. Returns whether it ended."""
        idle = self.pause(timeout_s, reason)
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        if idle:
            self._threads[-1].join(timeout_s)
        return not self.is_alive()

    def restart(self, responder, reason):
        """Leaves a thread that hangs behind, with its responder, and begins anew with another. The query in hand gets `reason`."""
        with self._wake:
            self._counts["hangs"] += 1
            late = self._forget()
            self._responder, self._prepared, self._lost = responder, False, False
            self._step = None
            self._start()
        self._refuse(late, reason)

    def is_alive(self):
        """Whether a thread still runs, one that was left behind included."""
        return any(thread.is_alive() for thread in self._threads)

    # ---- the thread

    def _start(self):
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(threading.Thread(target=self._run, args=(self._responder,), name="ps3-worker", daemon=True))
        self._threads[-1].start()

    def _run(self, responder):
        while True:
            with self._wake:
                while responder is self._responder and not self._stopping and not self._has_work():
                    self._wake.wait(self._patience())
                if self._stopping or responder is not self._responder:
                    return
                turn = self._turn
                self._step = ("begin", time.monotonic())
            try:
                self._work(responder, turn)
            except Exception:  # a fault of ours or of a library: it must not end the thread, as the next good input is to be answered
                self._count("failures")
                self._log("failure", f"unexpected failure: {traceback.format_exc()}")
            finally:
                with self._wake:
                    if responder is self._responder:
                        self._step = None
                        self._wake.notify_all()

    def _work(self, responder, turn):
        """One image where one is wanted, then at most one query and one standing query, so that neither kind keeps the other waiting."""
        asking = self._asking()
        if not self._ready(responder, turn):
            return
        new = self._see(responder, asking, turn)
        with self._wake:
            if turn != self._turn:
                return
            inbox = self._inbox
            frame, arrived, waiting, late = inbox.frame, inbox.frame_arrived, None, False
            if new or inbox.fresh_frame(asking.frame_timeout_s):  # a new one may be old by now, where the glance takes long
                waiting = inbox.queries[0] if inbox.queries else None
            else:
                waiting = inbox.expired()
                late = waiting is not None
            if waiting is not None:
                inbox.take(waiting)
        if late:
            error = inbox.no_frame(round(waiting.expires - waiting.arrived, 3))
            self._finish(self._failed(waiting.request.text, error, id=waiting.request.id), None, None, turn, waiting)
        elif waiting is not None:
            self._answer(responder, waiting.request, waiting.arrived, frame, asking, turn, waiting)
        with self._wake:
            request, rest = None, tuple(self._round)
            if self._round and turn == self._turn and self._inbox.frame is frame:
                request = self._round.popleft()
                self._watchlist.asked(request)
                if not self._round:
                    self._watchlist.end_round()
        if request is not None:
            self._answer(responder, request, arrived, frame, asking, turn, None, rest)

    def _ready(self, responder, turn):
        """Opens and measures a backend where that is still to be done. Returns whether one works."""
        if not responder.needs_mending() and self._prepared:
            return True
        self._mark("open", turn)
        try:
            if responder.needs_mending():
                fine = responder.mend()
            else:
                responder.prepare()
                fine = True
        except Exception as error:  # whatever a runtime raises: another backend is tried next
            self._count("failures")
            responder.broken(error)
            return False
        with self._wake:
            if turn != self._turn:
                return False
            self._inbox.set_frame(None, float("-inf"))  # the asker has the one it measured with
            self._round.clear()
            self._prepared, was_lost, self._lost = True, self._lost, not fine
            left = [] if fine else list(self._inbox.queries)
            if not fine:
                self._inbox.queries.clear()
            self._counts["answers"] += len(left)
        self._refuse(left, responder.trouble)
        if not fine and not was_lost and self._lost_hook is not None:
            self._lost_hook(responder.trouble)
        if fine and was_lost and self._mended is not None:
            self._mended()
        return fine

    def _see(self, responder, asking, turn):
        """Looks at the newest image, where somebody wants it. Returns whether there is a new frame; a bad image leaves the last one."""
        with self._wake:
            inbox = self._inbox
            if not inbox.fresh_image(asking.frame_timeout_s):
                return False
            self._watchlist.set_base(asking.standing)
            standing, glimpse = bool(self._watchlist.listed()), False
            if inbox.queries:
                first = inbox.queries[0]
                if inbox.fresh_frame(asking.frame_timeout_s) and self._too_late_for_a_glance(responder, first, asking):
                    return False
            elif self._round:
                return False
            elif standing:
                if not self._watchlist.any_due(asking.standing_rate_hz):
                    return False
            elif not (glimpse := self._glimpse_due_s(asking) == 0.0):
                return False
            image, arrived = inbox.take_image()
        self._mark("glimpse" if glimpse else "glance", turn)
        start = time.monotonic()
        try:
            frame = self._decode(image)
        except FrameError as error:
            self._count("bad_images")
            self._inbox.refusal = str(error)
            self._log("image", str(error))
            return False
        try:
            responder.set_frame(frame)
        except Exception as error:
            with self._wake:
                self._counts["failures"] += 1
                if turn == self._turn:
                    self._inbox.set_frame(None, float("-inf"))  # the asker has none either now
                    self._round.clear()
            self._inbox.refusal = _sentence(error)
            self._log("failure", _sentence(error))
            return False
        responder.pacer.learn_frame((time.monotonic() - start) * 1e3)
        with self._wake:
            if turn != self._turn:
                return False
            self._inbox.set_frame(frame, arrived)
            self._inbox.refusal = None
            if not glimpse:
                self._counts["looked_at"] += 1
                self._round = deque(self._watchlist.begin_round(asking.standing_rate_hz))
        if glimpse:
            self._look_in_standby(responder, asking, frame, turn)
        return True

    def _too_late_for_a_glance(self, responder, waiting, asking):
        """Whether a deadline leaves no time for a new glance, so that the question is better asked about the last frame."""
        deadline, frame_ms = waiting.request.deadline_ms or asking.deadline_ms, responder.pacer.frame_ms()
        if deadline is None or frame_ms is None:
            return False
        return deadline - (time.monotonic() - waiting.arrived) * 1e3 < frame_ms + (responder.pacer.predict(0) or 0.0)

    def _look_in_standby(self, responder, asking, frame, turn):
        try:
            saliency = responder.saliency()
        except Exception as error:
            self._count("failures")
            self._log("failure", _sentence(error))
            return
        glimpse = self._standby.see(saliency, asking.wake_saliency, asking.awake_s)
        with self._wake:
            if turn != self._turn:
                return
            self._counts["glimpses"] += 1
            if glimpse.awake:
                self._round = deque(asking.wake_queries)
        self._glimpse(saliency, glimpse, frame)

    def _answer(self, responder, request, arrived, frame, asking, turn, waiting, others=()):
        """others: the standing queries that share what is left of this frame, this one among them."""
        self._mark("look", turn)
        deadline, detail, plan = request.deadline_ms or asking.deadline_ms, None, None
        elapsed = lambda: (time.monotonic() - arrived) * 1e3  # noqa: E731
        try:
            looks, most = _most(request, asking, responder.look_patches)
            left = None if deadline is None else deadline - elapsed()
            if others and left is not None:
                left = share(left, request, others)
            if others and asking.standing_patches is not None:
                looks, most = None, min(most, int(share(asking.standing_patches, request, self._sharers(request))))
            plan, before = responder.plan(request.text, most, left), elapsed()
            answer, detail = responder.answer(request.text, plan, looks)
        except Exception as error:
            expected = isinstance(error, QueryError)
            self._count("bad_queries" if expected else "failures")
            self._log("query" if expected else "failure", _sentence(error))
            if isinstance(error, FAILURES):
                responder.broken(error)
            answer, before = self._failed(request.text, _sentence(error), frame), 0.0
        real = elapsed()
        missed = deadline is not None and real > deadline
        predicted = None if plan is None or plan.predicted_ms is None else round(before + plan.predicted_ms, 3)
        timing = {"deadline_ms": deadline, "predicted_ms": predicted, "real_ms": round(real, 3), "missed": missed}
        if deadline is not None and answer.error is None and plan.allowed:
            responder.pacer.settle(missed)
        answer = replace(answer, id=request.id, standing=waiting is None, timing=timing)
        self._finish(answer, detail, frame, turn, waiting)

    def _sharers(self, request):
        """The standing queries that share a frame's patches: this one among them, even when it was unwatched meanwhile."""
        with self._wake:
            listed = self._watchlist.listed()
        return listed if request in listed else (*listed, request)


def _most(request, asking, look_patches):
    """(looks or None where a number of patches decides, patches) of a request."""
    tokens = request.max_patches
    if tokens is None and request.looks is None:
        tokens = asking.tokens
    looks = request.looks or asking.looks
    return (looks, looks * look_patches) if tokens is None else (None, tokens)


def _sentence(error):
    """Of an expected error its own; of any other what it was, with what to do."""
    if isinstance(error, Ps3Error):
        return str(error)
    return f"{type(error).__name__}: {error}; this is a fault in ps3_ros or a library of it, please report it"
