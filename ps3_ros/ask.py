"""The whole: `set_frame` once a frame (costly), `ask` as often as there are questions (cheap)."""

import time
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from .answer import Answer, Choice, frame_fields
from .encoder import Encoder, merge_looks
from .errors import FrameError, QueryError
from .frame import Frame, FramePlan
from .regions import find_regions
from .selection import Selection, combine_prior, select
from .text import check_query, split_choices

MAX_LOOKS = 256  # a 16384 px frame has fewer patches than that many looks of any sensible bundle


@dataclass(frozen=True, eq=False)
class AskDetail:
    """What an overlay needs of the last answer. relevance: float32 [g, g], with the prior in it."""

    relevance: np.ndarray
    selection: Selection
    plan: FramePlan
    regions: tuple  # of answer.Region


class Asker:
    """A bundle that answers. bundle: Bundle or its folder; clock: nanoseconds since the epoch of the frames' stamps, for their age.

    detail: AskDetail of the last answer, or None. Raises BundleError, BackendError when made.
    """

    def __init__(self, bundle, backend="onnxruntime:cpu", threads=0, clock=time.time_ns):
        self.encoder = Encoder(bundle, backend, threads)
        self.clock = clock
        self.detail = None
        self._glance, self._shared = None, {}

    @property
    def settings(self):
        return self.encoder.settings

    @property
    def glance(self):
        """encoder.Glance of the frame that is set, or None."""
        return self._glance

    def set_frame(self, frame):
        """The frame that questions are about from now on: runs the glance and the selector's features. Raises FrameError, BackendError.

        A frame that fails leaves no frame set: an answer is never about an older frame than the last one given.
        """
        self._glance, self.detail = None, None
        if not isinstance(frame, Frame):
            raise FrameError(
                f"frame is {type(frame).__name__} where a Frame is needed; wrap the picture: Frame(pixels, stamp_ns, frame_id)"
            )
        self._glance = self.encoder.glance(frame)
        self._shared = dict(self._glance.ms)  # counted in the first answer on this frame only

    def ask(self, query, looks=1, tokens=None, prior=None):
        """Answer to a question on the frame.

        query: text, which may offer choices ("red | green traffic light"): one look, the choices ranked.
        looks: how often to look, each at up to max_patches patches not looked at before; tokens: patches in all, in place of looks.
        prior: map [h, w] of numbers from 0 to 1 over the frame that raises relevance (combine_prior).
        Raises QueryError, BackendError, and FrameError where no frame is set.
        """
        if self._glance is None:
            raise FrameError("no frame is set; call set_frame with a camera image before asking")
        start, glance, settings = perf_counter(), self._glance, self.settings
        query, labels = check_query(query), split_choices(query)
        budgets = look_budgets(looks, tokens, settings.max_patches)
        vectors = self.encoder.text(labels)

        mark = perf_counter()
        maps = np.stack([self.encoder.relevance(glance, vectors, n) for n in range(len(labels))])
        relevance = maps.max(axis=0)
        if prior is not None:
            relevance = combine_prior(relevance, prior)
        taken, done, select_ms = Selection.none(glance.plan), [], _ms(mark)
        for budget in budgets:
            mark = perf_counter()
            chosen = select(relevance, glance.plan, settings.max_patches, taken, budget)
            taken = taken.union(chosen)
            select_ms += _ms(mark)
            if chosen.count == 0:
                break
            done.append(self.encoder.look(glance, chosen))
        look = merge_looks(done)

        mark = perf_counter()
        embeddings = self.encoder.embed_tokens(look)
        embed = lambda mask: self.encoder.embed(look, mask)  # noqa: E731
        regions, by_label = find_regions(look, glance.plan, relevance, vectors.text, labels, embeddings, embed, maps)
        ranked = np.argsort(-by_label, kind="stable") if len(labels) > 1 else []
        looked = looked_fraction(look.selection, glance.plan)
        region_ms = _ms(mark)

        shared, self._shared = self._shared, {}
        stage_ms = {"text": vectors.ms, "glance": shared.get("glance", 0.0), "select": shared.get("select", 0.0) + select_ms, **look.ms}
        stage_ms |= {"region": region_ms, "total": _ms(start) + sum(shared.values())}
        self.detail = AskDetail(relevance, look.selection, glance.plan, tuple(regions))
        stamp = glance.frame.stamp_ns
        return Answer(
            query=query,
            found=regions[0].score >= settings.found_threshold,
            label=regions[0].label,
            choices=tuple(Choice(labels[n], round(float(by_label[n]), 6)) for n in ranked),
            regions=tuple(regions),
            looked_fraction=looked,
            patches_used=look.selection.count,
            patches_allowed=int(tokens if tokens is not None else looks * settings.max_patches),
            looks=len(done),
            stage_ms={stage: round(ms, 3) for stage, ms in stage_ms.items()},
            **frame_fields(glance.frame),
            age_ms=round((self.clock() - stamp) / 1e6, 3) if stamp else None,
            model=self.encoder.bundle.manifest.model_name,
            backend=self.encoder.backend.name,
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
