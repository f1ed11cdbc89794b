"""An Asker that keeps deadlines and outlives its backend: less is looked at before a question goes without an answer. No ROS import."""

import gc
from dataclasses import dataclass, replace

from .ask import Asker
from .deadline import Pacer, measure
from .errors import BackendError, FrameError, Ps3Error
from .recovery import Backoff, Ladder
from .text import split_choices

FAILURES = (BackendError, MemoryError)  # a backend's; anything else is a fault of ours, which another backend would not mend


@dataclass(frozen=True)
class Plan:
    """What a question may look at. allowed: patches; predicted_ms: None where nothing is known; new_labels: that were never asked before;
    cut: whether the deadline took patches; further: whether it finds patches that others on the frame looked at."""

    allowed: int
    predicted_ms: float | None
    note: str | None = None
    new_labels: int = 0
    cut: bool = False
    further: bool = False


class Responder:
    """Answers with what works here. Only the thread that looks uses it, but `model`, `backend`, `trouble` and `share` may be read by any.

    Args:
        make: function of a backend's name that gives an open Asker; raises BackendError or BundleError.
        backend: name of the one that was asked for; fallbacks: names to try in its place, in this order.
        asker: one that is open already, of `backend`; None opens it at the first mend().
        log: function of (kind, sentence).

    Each camera (a name, or None where there is one) keeps the frame that was set for it, on the same open backend.
    """

    def __init__(self, make, backend, fallbacks=(), asker=None, log=lambda kind, sentence: None):
        self._make, self._wanted, self._log = make, backend, log
        self._names = tuple(dict.fromkeys((backend, *fallbacks)))
        self.asker, self.pacer, self.ladder = asker, Pacer(), Ladder()
        self._askers, self._probe = {}, None  # camera: Asker; what costs are measured with, while they are
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
        self._probe = self.asker.beside(plain=True)
        costs = measure(self._probe, Asker.glance_answer)
        self._probe, self.pacer = None, Pacer(costs)
        self._log(
            "measured",
            f"a new 4K frame costs {costs.frame_ms:.0f} ms, a question {costs.ask_ms[0]:.0f} ms from the glance alone and "
            f"{costs.ask_ms[-1]:.0f} ms with {costs.look_patches} patches",
        )

    def mend(self):
        """Opens the backend anew, or a fallback, or at least one whose glance works. Returns whether any works."""
        before, reason, glancing = self.backend, self.trouble or "the backend failed", None
        for name in self._names:
            self._close()  # before a new one is opened: there may not be memory for two
            self._probe = None
            gc.collect()
            try:
                self.asker = self._make(name)
                self.prepare()
            except Exception as error:  # whatever a runtime raises while it opens: the next one is tried
                reason = sentence(error)
                self._log("failure", f"backend {name} does not work: {reason}")
                if glancing is None and self._probe is not None and self._probe.glance is not None:
                    glancing = name
                continue
            self._opened()
            self.ladder, self._retry = Ladder(), Backoff()
            self._in_place = None if name == self._wanted else f"{self._wanted} failed, {name} runs in its place ({reason})"
            self.trouble = self._in_place
            self._log("failure", f"backend {name} was opened in place of {before}, which failed")
            return True
        self._close()
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

    def _close(self):
        self.asker, self._askers = None, {}

    def _opened(self):
        self.model, self.backend = self.asker.encoder.bundle.manifest.model_name, self.asker.encoder.backend.name

    def set_frame(self, frame, camera=None):
        """Runs the glance. A backend that fails is closed (needs_mending). Raises BackendError, FrameError."""
        try:
            self._of(camera).set_frame(frame)
        except FAILURES as error:
            self.broken(error)
            raise

    def broken(self, error):
        """Closes the backend after a failure that looking at less does not mend."""
        self.trouble = sentence(error)
        self._close()

    def _of(self, camera):
        """The camera's Asker. Raises BackendError where no backend is open."""
        if self.asker is None:
            raise BackendError(self.trouble or "no backend is open; configure the node")
        if camera not in self._askers:
            self._askers[camera] = self.asker.beside() if self._askers else self.asker
        return self._askers[camera]

    @property
    def look_patches(self):
        """Of one look. Raises BackendError where no backend is open."""
        if self.asker is None:
            raise BackendError(self.trouble or "no backend is open; configure the node")
        return self.asker.settings.max_patches

    def plan(self, text, most, left_ms=None, camera=None):
        """Plan of a question on the camera's frame over at most `most` patches, with left_ms milliseconds to go (None: no deadline).

        Raises QueryError; BackendError where no backend is open.
        """
        labels, asker = split_choices(text), self._of(camera)
        new = sum(label not in asker.encoder.text_encoder.cache for label in labels)
        allowed, note, cut, further = most, None, False, asker.further
        if self.ladder.share < 1:
            allowed = min(most, int(self.ladder.share * asker.settings.max_patches))
            note = f"the backend failed ({self.trouble}), so at most {allowed} patches are looked at for now"
        if left_ms is not None:
            fit = self.pacer.afford(left_ms, allowed, new, further)
            if fit is None:
                cost = self.pacer.predict(0, new)
                told = f"about {cost:.0f} ms" if cost is not None else "an unknown time"
                allowed, cut, note = 0, True, f"the answer from the glance alone takes {told} where {max(0.0, left_ms):.0f} ms were left"
            elif fit < allowed:
                allowed, cut, note = fit, True, f"the deadline left time for {fit} of {allowed} patches"
        return Plan(allowed, self.pacer.predict(allowed, new, further), note, new, cut, further)

    def settle(self, plan, answer, ms, missed):
        """After an answer was published, `ms` after its plan. missed: its deadline; None where it had none."""
        if answer.patches_allowed == plan.allowed:  # else a look failed meanwhile: its time says nothing
            self.pacer.learn(answer.patches_used, ms, plan.new_labels, plan.further)
        if missed is not None and plan.allowed:
            self.pacer.settle(missed, plan.cut)

    def answers(self, text, plan, looks=None, camera=None, prior=None, anytime=False):
        """(Answer, AskDetail) of a question on the camera's frame, one after the other: a generator, of one where not `anytime`.

        Where a look fails, at fewer patches, then from the glance alone; what was given before it stands. The last one is final.
        prior: as Asker.ask takes it. Raises QueryError, FrameError; BackendError where not even the glance helps.
        """
        asker, allowed, note, given = self._of(camera), plan.allowed, plan.note, False
        while True:
            try:
                for answer in _ask(asker, text, allowed, looks, prior, anytime and not given):
                    if answer.final:
                        break
                    given = True
                    yield replace(answer, patches_allowed=allowed, note=note), asker.detail
                break
            except FAILURES as error:
                self.trouble = sentence(error)
                self._log("failure", f"a look at {allowed} patches failed: {self.trouble}")
                if allowed == 0 or not self.ladder.failed():
                    raise
                allowed = min(allowed, int(self.ladder.share * asker.settings.max_patches))
                note = f"the backend failed ({self.trouble}), so at most {allowed} patches were looked at"
        if self.ladder.share > 0:
            self.ladder.worked()
            if self.ladder.share == 1:
                self.trouble = self._in_place
        yield replace(answer, patches_allowed=allowed, note=note), asker.detail

    def saliency(self, camera=None):
        """Bottom-up relevance of the camera's frame: float32 [g, g]. Raises FrameError, BackendError."""
        asker = self._of(camera)
        if asker.glance is None:
            raise FrameError("no frame is set; call set_frame with a camera image before asking")
        return asker.encoder.saliency(asker.glance)


def _ask(asker, text, allowed, looks, prior, anytime):
    """The answers of an Asker within `allowed` patches: an iterable."""
    if allowed == 0:
        return [asker.glance_answer(text, prior)]
    full = looks is not None and allowed >= looks * asker.settings.max_patches
    budget = {"looks": looks} if full else {"tokens": allowed}
    if anytime:
        return asker.answers(text, **budget, prior=prior)
    return [asker.ask(text, **budget, prior=prior)]


def sentence(error):
    """What went wrong, of an expected error its own words."""
    if isinstance(error, MemoryError):
        return f"out of memory ({str(error) or 'MemoryError'}); look at fewer patches"
    return str(error) if isinstance(error, Ps3Error) else f"{type(error).__name__}: {error}"
