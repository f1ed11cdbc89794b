"""One visit of the thread to one camera's desk: the newest image where one is wanted, then at most one question of each kind.

A visit is short, so that the worker can go round the cameras, and so that neither kind of question keeps the other waiting. No ROS import.
"""

import time
from collections import deque
from dataclasses import replace

from .errors import FrameError, QueryError, sentence
from .responder import FAILURES
from .standing import share


def serve(desk, responder, decode, turn):
    """See above. decode: function of what put_image was given -> Frame, raises FrameError; turn: Office.turn when the visit began."""
    office, inbox, asking = desk.office, desk.inbox, desk.asking()
    new = _see(desk, responder, decode, asking, turn)
    with office.wake:
        if turn != office.turn:
            return
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
        desk.finish(desk.failed(waiting.request.text, error, id=waiting.request.id), None, None, turn, waiting)
    elif waiting is not None:
        _answer(desk, responder, waiting.request, waiting.arrived, frame, asking, turn, waiting)
    with office.wake:
        request, rest = None, tuple(desk.round)
        if desk.round and turn == office.turn and inbox.frame is frame:
            request = desk.round.popleft()
            desk.watchlist.asked(request)
            if not desk.round:
                desk.watchlist.end_round()
    if request is not None:
        _answer(desk, responder, request, arrived, frame, asking, turn, None, rest)


def _see(desk, responder, decode, asking, turn):
    """Looks at the newest image, where somebody wants it. Returns whether there is a new frame; a bad image leaves the last one."""
    office, inbox = desk.office, desk.inbox
    with office.wake:
        if not inbox.fresh_image(asking.frame_timeout_s):
            return False
        desk.watchlist.set_base(asking.standing)
        standing, glimpse = bool(desk.watchlist.listed()), False
        if inbox.queries:
            first = inbox.queries[0]
            if inbox.fresh_frame(asking.frame_timeout_s) and _too_late_for_a_glance(responder, first, asking):
                return False
        elif desk.round:
            return False
        elif standing:
            due = desk.watchlist.due(asking.standing_rate_hz)
            if not due:
                return False
            if _better_asked_about_the_next(responder, due, time.monotonic() - inbox.image_arrived, asking):
                inbox.take_image()
                desk.count("dropped")
                return False
        elif not (glimpse := desk.glimpse_due_s(asking) == 0.0):
            return False
        image, arrived = inbox.take_image()
    office.mark("glimpse" if glimpse else "glance", turn, desk)
    start = time.monotonic()
    try:
        frame = decode(image)
    except FrameError as error:
        desk.count("bad_images")
        inbox.refusal = str(error)
        office.log("image", str(error))
        return False
    try:
        for chosen in desk.chosen:
            chosen(frame)
        responder.set_frame(frame, desk.name)
    except Exception as error:
        desk.count("failures")
        with office.wake:
            if turn == office.turn:
                for each in office.desks if responder.asker is None else (desk,):  # a closed backend has nobody's frame
                    each.forget_frame()
        inbox.refusal = sentence(error)
        office.log("failure", sentence(error))
        return False
    responder.pacer.learn_frame((time.monotonic() - start) * 1e3)
    with office.wake:
        if turn != office.turn:
            return False
        inbox.set_frame(frame, arrived)
        inbox.refusal = None
        if not glimpse:
            desk.count("looked_at")
            desk.round = deque(desk.watchlist.begin_round(asking.standing_rate_hz))
    if glimpse:
        _look_in_standby(desk, responder, asking, frame, turn)
    return True


def _too_late_for_a_glance(responder, waiting, asking):
    """Whether a deadline leaves no time for a new glance, so that the question is better asked about the last frame."""
    deadline, frame_ms = waiting.request.deadline_ms or asking.deadline_ms, responder.pacer.frame_ms()
    if deadline is None or frame_ms is None:
        return False
    return deadline - (time.monotonic() - waiting.arrived) * 1e3 < frame_ms + (responder.pacer.predict(0) or 0.0)


def _better_asked_about_the_next(responder, due, waited_s, asking):
    """Whether every standing query that is due would miss its deadline with an image that waited so long, and not with a new one."""
    deadlines, pacer = [request.deadline_ms or asking.deadline_ms for request in due], responder.pacer
    if None in deadlines or pacer.frame_ms() is None:
        return False
    deadline, glance = max(deadlines), pacer.predict(0) or 0.0
    seldom_more, usual = pacer.frame_ms() + glance, pacer.frame_ms(usual=True) + glance
    needed = seldom_more if seldom_more <= deadline else usual  # where a new image is in time at most now and then, now and then is better
    return needed <= deadline < needed + waited_s * 1e3


def _look_in_standby(desk, responder, asking, frame, turn):
    try:
        saliency = responder.saliency(desk.name)
    except Exception as error:
        desk.count("failures")
        desk.office.log("failure", sentence(error))
        return
    glimpse = desk.standby.see(saliency, asking.wake_saliency, asking.awake_s)
    with desk.office.wake:
        if turn != desk.office.turn:
            return
        desk.count("glimpses")
        if glimpse.awake:
            desk.round = deque(asking.wake_queries)
    desk.glimpse(saliency, glimpse, frame)


def _answer(desk, responder, request, arrived, frame, asking, turn, waiting, others=()):
    """others: the standing queries that share what is left of this frame, this one among them."""
    office = desk.office
    office.mark("look", turn, desk)
    deadline = request.deadline_ms or asking.deadline_ms
    elapsed = lambda: (time.monotonic() - arrived) * 1e3  # noqa: E731
    try:
        looks, most = _most(request, asking, responder.look_patches)
        prior = None if desk.prior is None else desk.prior(request, frame, waiting is None)
        left = None if deadline is None else deadline - elapsed()
        if others and left is not None:
            left = share(left, request, others)
        if others and asking.standing_patches is not None:
            looks, most = None, min(most, int(share(asking.standing_patches, request, _sharers(desk, request))))
        plan, before = responder.plan(request.text, most, left, desk.name), elapsed()
        predicted = None if plan.predicted_ms is None else round(before + plan.predicted_ms, 3)
        anytime = asking.anytime if request.anytime is None else request.anytime
        for answer, detail in responder.answers(request.text, plan, looks, desk.name, prior, anytime):
            answer = replace(answer, id=request.id, standing=waiting is None)
            for complete in desk.complete:
                answer = complete(answer, request, frame)
            answer = replace(answer, timing=_timing(deadline, predicted, elapsed()))
            if not desk.finish(answer, detail, frame, turn, waiting):
                return  # cancelled, or the node was deactivated
            if answer.final:
                responder.settle(plan, answer, elapsed() - before, None if deadline is None else answer.timing["missed"])
    except Exception as error:
        expected = isinstance(error, QueryError)
        desk.count("bad_queries" if expected else "failures")
        office.log("query" if expected else "failure", sentence(error))
        if isinstance(error, FAILURES):
            responder.broken(error)
        timing = _timing(deadline, None, elapsed())
        answer = desk.failed(request.text, sentence(error), frame, id=request.id, standing=waiting is None, timing=timing)
        desk.finish(answer, None, frame, turn, waiting)


def _timing(deadline, predicted, real):
    """Answer.timing, milliseconds each."""
    missed = deadline is not None and real > deadline
    return {"deadline_ms": deadline, "predicted_ms": predicted, "real_ms": round(real, 3), "missed": missed}


def _sharers(desk, request):
    """The standing queries that share a frame's patches: this one among them, even when it was unwatched meanwhile."""
    with desk.office.wake:
        listed = desk.watchlist.listed()
    return listed if request in listed else (*listed, request)


def _most(request, asking, look_patches):
    """(looks or None where a number of patches decides, patches) of a request."""
    tokens = request.max_patches
    if tokens is None and request.looks is None:
        tokens = asking.tokens
    looks = request.looks or asking.looks
    return (looks, looks * look_patches) if tokens is None else (None, tokens)
