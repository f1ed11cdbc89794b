"""An Asker that keeps deadlines and outlives its backend: less is looked at before a question goes without an answer. No ROS import."""

import gc
from dataclasses import dataclass, replace
from time import perf_counter

from .answer import Answer, frame_fields
from .ask import AskDetail
from .deadline import Pacer, measure
from .errors import BackendError, FrameError, Ps3Error
from .recovery import Backoff, Ladder
from .selection import Selection
from .text import split_choices

FAILURES = (BackendError, MemoryError)  # a backend's; anything else is a fault of ours, which another backend would not mend


@dataclass(frozen=True)
class Plan:
    """What a question may look at. allowed: patches; looks: None where `allowed` decides; predicted_ms: None where nothing is known."""

    allowed: int
    predicted_ms: float | None
    note: str | None = None


class Responder:
    """Answers with what works here. Only the thread that looks uses it, but `model`, `backend`, `trouble` and `share` may be read by any.

    Args:
        make: function of a backend's name that gives an open Asker; raises BackendError or BundleError.
        backend: name of the one that was asked for; fallbacks: names to try in its place, in this order.
        asker: one that is open already, of `backend`; None opens it at the first mend().
        log: function of (kind, sentence).
    """

    def __init__(self, make, backend, fallbacks=(), asker=None, log=lambda kind, sentence: None):
        self._make, self._wanted, self._log = make, backend, log
        self._names = tuple(dict.fromkeys((backend, *fallbacks)))
        self.asker, self.pacer, self.ladder = asker, Pacer(), Ladder()
        self.model, self.backend = "", backend
        self.trouble = None  # what is wrong with the backend, one sentence; None while nothing is
        self._retry = Backoff()
        self._in_place = None  # why another backend than the wanted one runs, where one does
        if asker is not None:
            self._opened()

    @property
    def share(self):
        """Part of a look's patches that is looked at: 1 where nothing failed, 0 for a glance only."""
        return self.ladder.share

    def needs_mending(self):
        """Whether a look or the glance failed so that only another backend can help, and it is time to try one."""
        return (self.asker is None or self.ladder.share == 0.0) and self._retry.due()

    def mending_due_s(self):
        """Seconds until a broken backend is tried anew; None where none is broken."""
        return self._retry.left_s() if self.asker is None or self.ladder.share == 0.0 else None

    def prepare(self):
        """Measures costs, which is also a self-test of every graph. Raises BackendError or MemoryError."""
        costs = measure(self.asker, glance_only)
        self.pacer = Pacer(costs)
        self._log(
            "measured",
            f"a new 4K frame costs {costs.frame_ms:.0f} ms, a question {costs.ask_ms[0]:.0f} ms from the glance alone and "
            f"{costs.ask_ms[-1]:.0f} ms with {costs.look_patches} patches",
        )

    def mend(self):
        """Opens the backend anew, or a fallback, or at least one whose glance works. Returns whether any works."""
        before, reason, glancing = self.backend, self.trouble or "the backend failed", None
        for name in self._names:
            self.asker = None  # before a new one is opened: there may not be memory for two
            gc.collect()
            try:
                self.asker = self._make(name)
                self.prepare()
            except Exception as error:  # whatever a runtime raises while it opens: the next one is tried
                reason = sentence(error)
                self._log("failure", f"backend {name} does not work: {reason}")
                if glancing is None and self.asker is not None and self.asker.glance is not None:
                    glancing = name
                continue
            self._opened()
            self.ladder, self._retry = Ladder(), Backoff()
            self._in_place = None if name == self._wanted else f"{self._wanted} failed, {name} runs in its place ({reason})"
            self.trouble = self._in_place
            self._log("failure", f"backend {name} was opened in place of {before}, which failed")
            return True
        self.asker = None
        self._retry.failed()
        self.trouble = f"no backend works ({reason}); check the machine's memory and the bundle"
        if glancing is not None:
            try:
                self.asker = self._make(glancing)
            except Exception as error:
                self._log("failure", f"backend {glancing} does not work: {sentence(error)}")
        if self.asker is not None:
            self._opened()
            while self.ladder.failed():
                pass
            self.trouble = f"no backend can look closely ({reason}), so answers come from the glance alone"
        return self.asker is not None

    def _opened(self):
        self.model, self.backend = self.asker.encoder.bundle.manifest.model_name, self.asker.encoder.backend.name

    def set_frame(self, frame):
        """Runs the glance. A backend that fails is closed (needs_mending). Raises BackendError, FrameError."""
        if self.asker is None:
            raise BackendError(self.trouble or "no backend is open; configure the node")
        try:
            self.asker.set_frame(frame)
        except FAILURES as error:
            self.broken(error)
            raise

    def broken(self, error):
        """Closes the backend after a failure that looking at less does not mend."""
        self.trouble, self.asker = sentence(error), None

    @property
    def look_patches(self):
        """Of one look. Raises BackendError where no backend is open."""
        if self.asker is None:
            raise BackendError(self.trouble or "no backend is open; configure the node")
        return self.asker.settings.max_patches

    def plan(self, text, most, left_ms=None):
        """Plan of a question over at most `most` patches, with left_ms milliseconds to go (None: no deadline)."""
        labels = split_choices(text)
        new = sum(label not in self.asker.encoder.text_encoder.cache for label in labels)
        allowed, note = most, None
        if self.ladder.share < 1:
            allowed = min(most, int(self.ladder.share * self.asker.settings.max_patches))
            note = f"the backend failed ({self.trouble}), so at most {allowed} patches are looked at for now"
        if left_ms is not None:
            fit = self.pacer.afford(left_ms, allowed, new)
            if fit is None:
                cost = self.pacer.predict(0, new)
                told = f"about {cost:.0f} ms" if cost is not None else "an unknown time"
                allowed, note = 0, f"the answer from the glance alone takes {told} where {max(0.0, left_ms):.0f} ms were left"
            elif fit < allowed:
                allowed, note = fit, f"the deadline left time for {fit} of {allowed} patches"
        return Plan(allowed, self.pacer.predict(allowed, new), note)

    def answer(self, text, plan, looks=None):
        """(Answer, AskDetail) of a question on the frame. Where a look fails, at fewer patches, then from the glance alone.

        Raises QueryError, FrameError; BackendError where not even the glance helps.
        """
        new = sum(label not in self.asker.encoder.text_encoder.cache for label in split_choices(text))
        allowed, note = plan.allowed, plan.note
        while True:
            start = perf_counter()
            try:
                if allowed == 0:
                    answer = glance_only(self.asker, text)
                elif looks is not None and allowed >= looks * self.asker.settings.max_patches:
                    answer = self.asker.ask(text, looks=looks)
                else:
                    answer = self.asker.ask(text, tokens=allowed)
                break
            except FAILURES as error:
                self.trouble = sentence(error)
                self._log("failure", f"a look at {allowed} patches failed: {self.trouble}")
                if allowed == 0 or not self.ladder.failed():
                    raise
                allowed = min(allowed, int(self.ladder.share * self.asker.settings.max_patches))
                note = f"the backend failed ({self.trouble}), so at most {allowed} patches were looked at"
        self.pacer.learn(answer.patches_used, (perf_counter() - start) * 1e3, new)
        if self.ladder.share > 0:
            self.ladder.worked()
            if self.ladder.share == 1:
                self.trouble = self._in_place
        return replace(answer, patches_allowed=allowed, note=note), self.asker.detail

    def saliency(self):
        """Bottom-up relevance of the frame: float32 [g, g]. Raises FrameError, BackendError."""
        return self.asker.encoder.saliency(_glance(self.asker))


def glance_only(asker, query):
    """Answer without a look: nothing is found or ruled out (looked_fraction 0), but relevance tells where to look (`asker.detail`)."""
    start, glance, encoder = perf_counter(), _glance(asker), asker.encoder
    vectors = encoder.text(split_choices(query))
    relevance = encoder.relevance(glance, vectors)
    for n in range(1, len(vectors.text)):
        relevance = relevance.clip(min=encoder.relevance(glance, vectors, n))
    asker.detail = AskDetail(relevance, Selection.none(glance.plan), glance.plan, ())
    answer = Answer(query=query, found=False, model=encoder.bundle.manifest.model_name, backend=encoder.backend.name)
    stages = {**answer.stage_ms, "text": round(vectors.ms, 3), "total": round((perf_counter() - start) * 1e3, 3)}
    stamp = glance.frame.stamp_ns
    age = round((asker.clock() - stamp) / 1e6, 3) if stamp else None
    return replace(answer, stage_ms=stages, age_ms=age, **frame_fields(glance.frame))


def sentence(error):
    """What went wrong, of an expected error its own words."""
    if isinstance(error, MemoryError):
        return f"out of memory ({str(error) or 'MemoryError'}); look at fewer patches"
    return str(error) if isinstance(error, Ps3Error) else f"{type(error).__name__}: {error}"


def _glance(asker):
    if asker.glance is None:
        raise FrameError("no frame is set; call set_frame with a camera image before asking")
    return asker.glance
