"""The whole: `set_frame` once a frame (costly), `ask` as often as there are questions (cheap)."""

import time
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

import numpy as np

from .answer import Answer, Choice, frame_fields
from .close_up import Closer, split_budget
from .encoder import Encoder
from .errors import FrameError, QueryError
from .frame import Frame, FramePlan
from .regions import Canvas, find_regions, look_canvas
from .seen import Seen
from .selection import Guide, Selection, combine_prior, fine_relevance, select, select_guided
from .still import Still
from .text import TextVectors, check_query, split_choices
from .together import choose_together
from .wording import words_asked

MAX_LOOKS = 256  # a 16384 px frame has fewer patches than that many looks of any sensible bundle


@dataclass(frozen=True, eq=False)
class AskDetail:
    """What an overlay and a gaze need of the last answer. relevance: float32 [g, g], with the prior in it."""

    relevance: np.ndarray
    selection: Selection
    plan: FramePlan
    regions: tuple  # of answer.Region
    canvas: Canvas | None = None  # what was looked at, and how well it matches the question; None without a look


@dataclass(frozen=True, eq=False)
class Question:
    """A question on a frame before any look. maps: float32 [C, g, g], a label's relevance each; relevance: their largest, prior and all."""

    query: str
    labels: list
    vectors: TextVectors
    maps: np.ndarray
    relevance: np.ndarray
    seen: Seen  # of the glance it is about
    ms: dict  # spent until now, with the frame's own share where no question on it came before
    words: tuple  # for each label the words that it says are written, or None (wording.words_asked)
    guide: Guide | None = None  # what its looks go by beside relevance
    further: bool = False  # whether it finds patches that others on the frame looked at (share_looks)

    def choose(self, plan, max_patches, taken, tokens):
        """Selection of the next look."""
        if self.guide is None:
            return select(self.relevance, plan, max_patches, taken, tokens)
        return select_guided(fine_relevance(self.seen.glance, self.vectors), self.guide, plan, max_patches, taken, tokens)


class Asker:
    """A bundle that answers. bundle: Bundle or its folder; clock: nanoseconds since the epoch of the frames' stamps, for their age.

    share_looks: whether a question finds the patches that others on the same frame looked at (seen.py), or encodes all of its own anew. The
        first question on a frame is answered as without it.
    still_levels: above 0, what did not change by so many grey levels since it was encoded is not encoded again (still.py).
    detail: AskDetail of the last answer, or None. Raises BundleError, BackendError when made.
    """

    def __init__(self, bundle, backend="onnxruntime:cpu", threads=0, clock=time.time_ns, share_looks=False, still_levels=0):
        self.encoder = Encoder(bundle, backend, threads)
        self.clock, self.share_looks = clock, share_looks
        self.detail = None
        self._still = Still(self.encoder, still_levels) if still_levels else None
        self._glance, self._seen, self._shared = None, None, {}

    def beside(self, plain=False):
        """Another Asker on the same open backend, with a frame of its own: for a second camera, used by the same thread.

        plain: without share_looks and still_levels, so that each question costs what a new one on a new frame costs.
        """
        other = copy(self)
        other.share_looks = self.share_looks and not plain
        other._still = Still(self.encoder, self._still.levels) if self._still and not plain else None
        other._glance, other._seen, other._shared, other.detail = None, None, {}, None
        return other

    @property
    def settings(self):
        return self.encoder.settings

    @property
    def glance(self):
        """encoder.Glance of the frame that is set, or None."""
        return self._glance

    @property
    def further(self):
        """Whether a question on the frame now finds patches that others looked at, and so costs less than a first one."""
        return self.share_looks and self._seen is not None and not self._seen.full and self._seen.known.count > 0

    def set_frame(self, frame):
        """The frame that questions are about from now on: runs the glance and the selector's features. Raises FrameError, BackendError.

        A frame that fails leaves no frame set: an answer is never about an older frame than the last one given.
        """
        self._glance, self._seen, self.detail = None, None, None
        if not isinstance(frame, Frame):
            raise FrameError(
                f"frame is {type(frame).__name__} where a Frame is needed; wrap the picture: Frame(pixels, stamp_ns, frame_id)"
            )
        self._glance = self.encoder.glance(frame, self._still)
        if self._still:
            self._still.next_frame(self._glance)
        self._shared = dict(self._glance.ms)  # counted in the first answer on this frame only

    def ask(self, query, looks=1, tokens=None, prior=None):
        """Answer to a question on the frame.

        query: text, which may offer choices ("red | green traffic light"): one look, the choices ranked.
        looks: how often to look, each at up to max_patches patches not looked at before; tokens: patches in all, in place of looks.
        prior: map [h, w] of numbers from 0 to 1 over the frame that raises relevance (combine_prior), or a selection.Guide.
        Raises QueryError, BackendError, and FrameError where no frame is set.
        """
        budgets = look_budgets(looks, tokens, self.settings.max_patches)
        return next(self._looks(self._question(query, prior), budgets, anytime=False))

    def answers(self, query, looks=1, tokens=None, prior=None):
        """As `ask`, but one answer after the other: from the glance alone, then after each look; the last one is what `ask` gives.

        A generator of Answer, `final` False in all but the last. Times are of the question so far, without what is done between answers.
        Raises as `ask`, at the call; a look that fails raises BackendError, and the answers before it stand. It may be left early, and goes
        on about its own frame when another is set meanwhile.
        """
        budgets = look_budgets(looks, tokens, self.settings.max_patches)
        return self._looks(self._question(query, prior), budgets, anytime=True)

    def ask_all(self, queries, tokens=None, weights=None):
        """Answers to several questions from one look that they share: a generator of one Answer a question, in their order.

        Each question has its part of the look's patches, by weight (weights: numbers above 0; None = equal), and is answered from all of
        them, and from close-ups out of its own part. tokens: patches in all, at most one look's. The first answer's times have the look in
        them. Raises as `ask`, at the call.
        """
        full = self.settings.max_patches
        budgets = look_budgets(1, tokens, full)
        if len(budgets) > 1:
            raise QueryError(f"{tokens} tokens were asked for where one look takes at most {full}; ask for fewer")
        if not len(queries) or weights is not None and (len(weights) != len(queries) or not min(weights) > 0):
            raise QueryError(
                f"{len(queries)} questions with the weights {weights} where at least one, and a number above 0 each, are needed"
            )
        return self._shared_look([self._question(query, None) for query in queries], budgets[0] or full, weights)

    def _shared_look(self, questions, allowed, weights):
        seen, mark, full = questions[-1].seen, perf_counter(), self.settings.max_patches
        choosers = [partial(question.choose, seen.glance.plan, full) for question in questions]
        look = choose_together(choosers, seen.glance.plan, allowed, weights)
        spent = {"select": _ms(mark), **seen.look(look.selection)[1]}
        for question, close_ups in zip(questions, look.close_ups, strict=True):
            ms = {stage: before + spent.get(stage, 0.0) for stage, before in question.ms.items()}
            yield self._answer(replace(question, seen=seen), look.selection, 1, allowed, ms, True, close_ups)
            spent = {}

    def glance_answer(self, query, prior=None):
        """Answer without a look: nothing is found or ruled out (looked_fraction 0), but relevance tells where to look (`detail`).

        Raises as `ask`.
        """
        question = self._question(query, prior)
        return self._answer(question, Selection.none(question.seen.glance.plan), 0, 0, dict(question.ms), final=True)

    def _question(self, query, prior):
        if self._glance is None:
            raise FrameError("no frame is set; call set_frame with a camera image before asking")
        query, labels = check_query(query), split_choices(query)
        vectors, mark = self.encoder.text(labels), perf_counter()
        maps = np.stack([self.encoder.relevance(self._glance, vectors, n) for n in range(len(labels))])
        relevance = maps.max(axis=0)
        guide = prior if isinstance(prior, Guide) else None
        prior = prior if guide is None else guide.prior
        if guide is None and self.settings.fine_selection:
            guide = Guide(np.zeros((1, 1), np.float32), prior)
        if prior is not None:
            relevance = combine_prior(relevance, prior)
        further = self.further
        if self._still:
            self._seen = self._still.seen(None if self.share_looks else query, self._glance)
        elif self._seen is None or self._seen.full or not self.share_looks:
            self._seen = Seen(self.encoder, self._glance)
        shared, self._shared = self._shared, {}
        ms = {"text": vectors.ms, "glance": shared.get("glance", 0.0), "select": shared.get("select", 0.0) + _ms(mark)}
        ms |= dict.fromkeys(("cut", "look", "region"), 0.0)
        words = words_asked(labels, self.settings)
        return Question(query, labels, vectors, maps, relevance, self._seen, ms, words, guide, further)

    def _looks(self, question, budgets, anytime):
        """Generator of the answers after each look, and before them the glance's; of the last alone where not `anytime`."""
        plan, full, seen, ms = question.seen.glance.plan, self.settings.max_patches, question.seen, dict(question.ms)
        budgets = [full if budget is None else budget for budget in budgets]
        allowed, taken, looks = sum(budgets), Selection.none(plan), 0
        budgets[-1], close_ups = split_budget(budgets[-1], self.settings, question.words)
        if anytime:
            yield self._answer(question, taken, looks, allowed, ms, final=False)
        mark = perf_counter()
        chosen = question.choose(plan, full, taken, budgets[0])
        while chosen.count:
            taken, looks = taken.union(chosen), looks + 1
            ms["select"] += _ms(mark)
            for stage, spent in seen.look(chosen)[1].items():
                ms[stage] += spent
            mark = perf_counter()
            if looks < len(budgets):  # now, as an answer says whether it is the last
                chosen = question.choose(plan, full, taken, budgets[looks])
            final = looks == len(budgets) or chosen.count == 0
            ms["select"] += _ms(mark)
            if final or anytime:
                yield self._answer(question, taken, looks, allowed, ms, final, close_ups if final else 0)
            if final:
                return
            mark = perf_counter()

    def _answer(self, question, taken, looks, allowed, ms, final, close_ups=0):
        """Answer from the patches of `taken`, all of them in question.seen, and close-ups. ms: what was spent; this adds to it."""
        mark, glance, labels = perf_counter(), question.seen.glance, question.labels
        regions, by_label, used, canvas = [], [], taken.count, None
        if looks:
            look, embeddings = question.seen.gather(taken)
            embed = lambda mask: self.encoder.embed(look, mask)  # noqa: E731
            vectors, relevance = question.vectors.text, question.relevance
            encode = partial(question.seen.encode_close_ups, together=question.further)  # those are for answers that cost little
            closer = Closer(self.encoder, glance, vectors, close_ups, encode, question.words)
            canvas = look_canvas(look, glance.plan, vectors, embeddings)
            maps, plan = question.maps, glance.plan
            regions, by_label = find_regions(look, plan, relevance, vectors, labels, embeddings, embed, maps, closer, canvas)
            used += closer.patches
        ranked = np.argsort(-by_label, kind="stable") if looks and len(labels) > 1 else []
        looked, stamp = looked_fraction(taken, glance.plan), glance.frame.stamp_ns
        ms["region"] += _ms(mark)
        self.detail = AskDetail(question.relevance, taken, glance.plan, tuple(regions), canvas)
        return Answer(
            query=question.query,
            found=bool(regions) and regions[0].score >= self.settings.found_threshold,
            label=regions[0].label if regions else None,
            choices=tuple(Choice(labels[n], round(float(by_label[n]), 6)) for n in ranked),
            regions=tuple(regions),
            looked_fraction=looked,
            patches_used=used,
            patches_allowed=allowed,
            looks=looks,
            stage_ms={stage: round(spent, 3) for stage, spent in (ms | {"total": sum(ms.values())}).items()},
            **frame_fields(glance.frame),
            age_ms=round((self.clock() - stamp) / 1e6, 3) if stamp else None,
            model=self.encoder.bundle.manifest.model_name,
            backend=self.encoder.backend.name,
            final=final,
        )


def look_budgets(looks, tokens, full):
    """Patches of each look: a list, None for a full one of `full` patches. Raises QueryError."""
    for name, value in (("looks", looks), ("tokens", 1 if tokens is None else tokens)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise QueryError(f"{name} is {value!r} where a whole number from 1 is needed")
    if tokens is None:
        count, last = int(looks), None
    else:
        count = -(-int(tokens) // full)
        last = int(tokens) - (count - 1) * full
    if count > MAX_LOOKS:
        raise QueryError(f"{count} looks were asked for where at most {MAX_LOOKS} are taken; ask for fewer looks or tokens")
    return [None] * (count - 1) + [last]


def looked_fraction(selection, plan):
    """Part of the frame's area under looked-at patches of any scale, from 0 to 1. Exact: on the raster of all scales' patch edges."""
    edges = []
    for axis in ("rows", "cols"):
        counts = [getattr(grid, axis) for grid in plan.grids]
        edges.append(np.unique(np.concatenate([np.arange(n + 1) / n for n in counts])))
    centres = [(e[1:] + e[:-1]) / 2 for e in edges]
    seen = np.zeros((len(centres[0]), len(centres[1])), bool)
    for grid, patches in zip(plan.grids, selection.patches, strict=True):
        looked = np.zeros((grid.rows, grid.cols), bool)
        looked.flat[patches] = True
        row, col = (centres[0] * grid.rows).astype(np.int64), (centres[1] * grid.cols).astype(np.int64)
        seen |= looked[row[:, None], col]
    return round(min(1.0, float(np.diff(edges[0]) @ seen @ np.diff(edges[1]))), 6)


def _ms(start):
    return (perf_counter() - start) * 1e3
