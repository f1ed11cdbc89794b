"""The thread that looks, for all cameras: callbacks only hand their desks the newest image and queries, it goes from desk to desk.

Newest frame wins: an image that waits is replaced by the next one. The desks that have something to do are served in turns, so no camera
waits for more than one visit to each other one. A look that never ends is left behind with its thread (restart). No ROS import.
"""

import threading
import time
import traceback
from collections import deque

from .desk import Desk
from .office import Asking, Office
from .serving import serve

__all__ = ["Asking", "Desk", "Office", "Worker"]

OPENING = 10  # times as long as a look may opening a backend take


class Worker:
    """Answers queries about the newest images, in a thread of its own.

    Args:
        office: office.Office with the desks of all cameras.
        decode: function of what put_image was given -> Frame; runs in the thread; raises FrameError.
        lost: function of a sentence, called when no backend works any more; mended: function called when one works again.
    """

    def __init__(self, office, decode, lost=None, mended=None):
        self.office = office
        self._decode, self._lost_hook, self._mended = decode, lost, mended
        self._queue = deque(office.desks)  # the one that was served last is last
        self._threads = []
        self._start()

    @property
    def desks(self):
        """All of them, the first the one for questions that name no camera."""
        return self.office.desks

    @property
    def responder(self):
        """For reading only: backend, model, share, trouble, pacer."""
        return self.office.responder

    def desk(self, name):
        """The desk of a camera; the first where none is called so, which then says so to who asked."""
        return next((desk for desk in self.desks if desk.name == name), self.desks[0])

    def counts(self):
        """{what: how many} since the start, of all desks together."""
        each = [desk.counts() for desk in self.desks]
        return {name: sum(counts[name] for counts in each) for name in each[0]}

    def hangs(self, limit_s):
        """(what, seconds) where one step takes longer than limit_s (opening a backend: OPENING times as long), else None."""
        with self.office.wake:
            if self.office.step is None:
                return None
            name, since, _ = self.office.step
        seconds = time.monotonic() - since
        return (name, seconds) if seconds > limit_s * (OPENING if name == "open" else 1) else None

    def expire(self):
        """Answers those that have waited long enough while the thread opens a backend, which may take minutes."""
        with self.office.wake:
            opening = self.office.step is not None and self.office.step[0] == "open"
            gone = [(desk, desk.expire()) for desk in self.desks] if opening else []
        _refuse(gone, "the backend was still being opened when this query's time was over; ask again")

    def resume(self):
        """Takes images and queries from now on."""
        with self.office.wake:
            self.office.resumed, self.office.lost = True, False
            self.office.wake.notify_all()

    def pause(self, timeout_s=1.5, reason="the node was deactivated before this query was answered; activate it and ask again", mend=False):
        """Answers every waiting query with `reason` as the error, lets the look in hand end, and forgets the frames.

        mend: go on trying to open a lost backend meanwhile.

        Returns whether the thread is idle: a look that takes longer than timeout_s goes on, and what comes of it is thrown away.
        """
        office = self.office
        with office.wake:
            office.resumed, office.lost = False, office.lost and mend
            left = [(desk, desk.clear()) for desk in self.desks]
            for desk in self.desks:
                desk.inbox.image = None
                desk.round.clear()
        _refuse(left, reason)
        with office.wake:
            opening = office.step is not None and office.step[0] == "open"  # what may take minutes, and has no answer in hand
            idle = not opening and office.wake.wait_for(lambda: office.step is None, timeout_s)
            late = self._forget()
        _refuse(late, reason)
        return idle

    def stop(self, timeout_s=1.5, reason="the node was shut down before this query was answered; start it and ask again"):
        """As pause, and ends the thread. Returns whether it ended."""
        idle = self.pause(timeout_s, reason)
        with self.office.wake:
            self.office.stopping = True
            self.office.wake.notify_all()
        if idle:
            self._threads[-1].join(timeout_s)
        return not self.is_alive()

    def restart(self, responder, reason):
        """Leaves a thread that hangs behind, with its responder, and begins anew with another. The query in hand gets `reason`."""
        office = self.office
        with office.wake:
            at = self.desks[0] if office.step is None else office.step[2]
            at.count("hangs")
            late = self._forget()
            office.responder, office.prepared, office.lost = responder, False, False
            office.step = None
            self._start()
        _refuse(late, reason)

    def is_alive(self):
        """Whether a thread still runs, one that was left behind included."""
        return any(thread.is_alive() for thread in self._threads)

    # ---- the thread

    def _start(self):
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        self._threads.append(threading.Thread(target=self._run, args=(self.office.responder,), name="ps3-worker", daemon=True))
        self._threads[-1].start()

    def _run(self, responder):
        office = self.office
        while True:
            with office.wake:
                while responder is office.responder and not office.stopping and (desk := self._next()) is None:
                    office.wake.wait(self._patience())
                if office.stopping or responder is not office.responder:
                    return
                turn = office.turn
                office.step = ("begin", time.monotonic(), desk)
            try:
                self._work(responder, turn, desk)
            except Exception:  # a fault of ours or of a library: it must not end the thread, as the next good input is to be answered
                desk.count("failures")
                office.log("failure", f"unexpected failure: {traceback.format_exc()}")
            finally:
                with office.wake:
                    if responder is office.responder:
                        office.step = None
                        office.wake.notify_all()

    def _next(self):
        """The desk to serve now, None where there is nothing to do. Under the lock."""
        office = self.office
        if (office.resumed or office.lost) and office.responder.needs_mending():
            return self._queue[0]
        if not office.resumed:
            return None
        if not office.prepared:
            return self._queue[0]
        desk = next((desk for desk in self._queue if desk.has_work()), None)
        if desk is not None:
            self._queue.remove(desk)
            self._queue.append(desk)
        return desk

    def _patience(self):
        """Seconds until there is something to do without anything new coming in; None where there is none. Under the lock."""
        times = [desk.patience_s() for desk in self.desks]
        if self.office.resumed or self.office.lost:
            times.append(self.office.responder.mending_due_s())
        times = [seconds for seconds in times if seconds is not None]
        return max(min(times), 1e-3) if times else None

    def _work(self, responder, turn, desk):
        if self._ready(responder, turn, desk):
            serve(desk, responder, self._decode, turn)

    def _ready(self, responder, turn, desk):
        """Opens and measures a backend where that is still to be done. Returns whether one works. desk: where failures are counted."""
        office = self.office
        if not responder.needs_mending() and office.prepared:
            return True
        office.mark("open", turn, desk)
        try:
            if responder.needs_mending():
                fine = responder.mend()
            else:
                responder.prepare()
                fine = True
        except Exception as error:  # whatever a runtime raises: another backend is tried next
            desk.count("failures")
            responder.broken(error)
            return False
        with office.wake:
            if turn != office.turn:
                return False
            for each in self.desks:  # the asker has the frame it measured with
                each.forget_frame()
            office.prepared, was_lost, office.lost = True, office.lost, not fine
            left = [] if fine else [(each, each.clear()) for each in self.desks]
        _refuse(left, responder.trouble)
        if not fine and not was_lost and self._lost_hook is not None:
            self._lost_hook(responder.trouble)
        if fine and was_lost and self._mended is not None:
            self._mended()
        return fine

    def _forget(self):
        """Ends this turn, under the lock. Returns what was in hand: (desk, [Waiting]) each."""
        self.office.turn += 1
        return [(desk, desk.forget()) for desk in self.desks]


def _refuse(taken, reason):
    for desk, waiting in taken:
        desk.refuse(waiting, reason)
