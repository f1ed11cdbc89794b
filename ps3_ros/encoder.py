"""The three stages over a backend: a costly glance once a frame, then relevance and looks as often as there are questions."""

from dataclasses import dataclass
from functools import cached_property
from time import perf_counter

import numpy as np

from .backends import open_backend
from .bundle import Bundle, load_bundle
from .errors import BackendError
from .frame import Frame, FramePlan, cut_patches, frame_images
from .reading import LETTERS, SAID
from .selection import Selection, normalised, relevance_map
from .text import TextEncoder, TextVectors
from .wording import SAYS

TOKENS_AT_A_TIME = 256  # rows of the identity mask in embed_tokens: 256 x 256 keeps attention's memory small whatever the look


@dataclass(frozen=True, eq=False)
class Glance:
    """Stage 1 of one frame, shared by every question on it. ms: milliseconds of "glance" (both images, and its graph) and "select"."""

    frame: Frame
    plan: FramePlan
    tokens: np.ndarray  # float32 [n0, D]
    select_features: np.ndarray  # float32 [g*g, D]
    aux_features: np.ndarray | None  # float32 [d, a, a]
    kv: object  # opaque: goes back into the same backend
    ms: dict


@dataclass(frozen=True, eq=False)
class Look:
    """Tokens of the selected patches, coarse to fine, row-major in a scale. ms: milliseconds of "cut" and "look"."""

    tokens: np.ndarray  # float32 [N, D], before the final norm
    selection: Selection
    boxes: np.ndarray  # float32 [N, 4] x1 y1 x2 y2, source px
    ms: dict

    @property
    def rows(self):
        """The arrays that have a row a token, by name."""
        return {"tokens": self.tokens, "boxes": self.boxes}


class Encoder:
    """A bundle that runs, for one thread at a time. bundle: Bundle or its folder; backend: a name, or one that is open.

    Raises BundleError, BackendError.
    """

    def __init__(self, bundle, backend="onnxruntime:cpu", threads=0):
        self.bundle = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
        self.settings = self.bundle.settings
        self.backend = open_backend(self.bundle, backend, threads) if isinstance(backend, str) else backend
        self.images = None, None  # the same memory for every frame: a 4K nano's are 30 MB
        path = self.bundle.path(self.bundle.manifest.tokenizer.file)
        self.text_encoder = TextEncoder(path, self.settings, lambda ids: self.backend.run("text", {"ids": ids}))

    def text(self, queries):
        """TextVectors of a list of queries, from the cache where they were asked before. Raises QueryError."""
        start = perf_counter()
        vectors = self.text_encoder(queries)
        return TextVectors(vectors["text"], vectors["prompt"], vectors.get("prompt_aux"), _ms(start))

    @cached_property
    def letters(self):
        """Text embeddings of reading.LETTERS, raw: float32 [36, E]. Encoded when they are first needed."""
        return self._embedded(LETTERS)

    @cached_property
    def words(self):
        """What signs of whatever words have in common: the mean of the text embeddings of reading.SAID, float32 [E]."""
        return normalised(self._embedded([SAYS + words for words in SAID])).mean(axis=0)

    def _embedded(self, texts):
        return np.concatenate([self.text_encoder([text])["text"] for text in texts])  # one by one: some engines' batch is small

    def glance(self, frame, still=None):
        """Stage 1 and the selector's features of a frame. still: still.Still, which gives a graph's last outputs for the same image."""
        settings, start = self.settings, perf_counter()
        run = (self.backend if still is None else still).run
        self.images = frame_images(frame, settings, self.images)
        outputs = run("glance", {"pixels": self.images[0]})
        ms, aux = {"glance": _ms(start), "select": 0.0}, None
        if settings.aux_size:
            start = perf_counter()
            aux = run("select", {"pixels": self.images[1]})["aux_features"][0]
            ms["select"] = _ms(start)
        plan = FramePlan.of(frame.height, frame.width, settings)
        return Glance(frame, plan, outputs["tokens"][0], outputs["select_features"][0], aux, outputs["kv"], ms)

    def relevance(self, glance, vectors, index=0):
        """Top-down: float32 [g, g], how probable it is that a cell shows query `index` of `vectors`."""
        aux = None if vectors.prompt_aux is None else vectors.prompt_aux[index]
        return self._relevance(glance, vectors.prompt[index], aux)

    def saliency(self, glance):
        """Bottom-up: float32 [g, g], how probable it is that a cell shows something worth a look."""
        prompt, aux = np.split(self.bundle.prior, [self.settings.dim])
        return self._relevance(glance, prompt, aux if self.settings.aux_size else None)

    def _relevance(self, glance, prompt, aux):
        return _finite(relevance_map(glance.select_features, glance.aux_features, prompt, aux), "relevance", self.backend)

    def look(self, glance, selection, patches=None):
        """Stage 3: the selected patches, cut from the frame and encoded with the glance as context. At most max_patches of them.

        patches: float32 [N, 3 * p * p], where they were cut already.
        """
        if selection.count > self.settings.max_patches:
            limit = self.settings.max_patches
            raise BackendError(
                f"a look at {selection.count} patches was asked for where this bundle takes at most {limit}; use several looks"
            )
        plan, start = glance.plan, perf_counter()
        if selection.count == 0:
            return Look(np.empty((0, self.settings.dim), np.float32), selection, np.empty((0, 4), np.float32), {"cut": 0.0, "look": 0.0})
        patches = cut_patches(glance.frame, plan, self.settings, selection) if patches is None else patches
        position = np.concatenate([plan.positions(s, p) for s, p in enumerate(selection.patches)])
        boxes = np.concatenate([plan.boxes(s, p) for s, p in enumerate(selection.patches)])
        ms, start = {"cut": _ms(start)}, perf_counter()
        tokens = self.backend.run("look", {"patches": patches[None], "position": position, "kv": glance.kv})["tokens"][0]
        return Look(tokens, selection, boxes, {**ms, "look": _ms(start)})

    def embed(self, look, mask):
        """Masked attention pool: bool [R, N] -> float32 [R, E]. Every row must select a token."""
        embedding = self.backend.run("region", {"tokens": look.tokens[None], "mask": mask})["embedding"]
        return _finite(embedding, "region embeddings", self.backend)

    def embed_tokens(self, look):
        """Each token pooled alone, for its own match with a query: float32 [N, E]."""
        pieces = []
        for start in range(0, len(look.tokens), TOKENS_AT_A_TIME):
            tokens = look.tokens[start : start + TOKENS_AT_A_TIME]
            alone = np.eye(len(tokens), dtype=bool)
            pieces.append(self.backend.run("region", {"tokens": tokens[None], "mask": alone})["embedding"])
        embeddings = np.concatenate(pieces) if pieces else np.empty((0, self.settings.embed_dim), np.float32)
        return _finite(embeddings, "token embeddings", self.backend)


def merge_looks(looks):
    """Several looks at different patches of one frame as one Look: tokens in the order of the merged selection."""
    if len(looks) == 1:
        return looks[0]
    scales = range(len(looks[0].selection.patches))
    scale = np.concatenate([np.full(len(look.selection.patches[s]), s) for look in looks for s in scales])
    patch = np.concatenate([p for look in looks for p in look.selection.patches])
    order = np.lexsort((patch, scale))
    selection = looks[0].selection
    for look in looks[1:]:
        selection = selection.union(look.selection)
    ms = {key: sum(look.ms[key] for look in looks) for key in looks[0].ms}
    rows = {name: np.concatenate([look.rows[name] for look in looks])[order] for name in looks[0].rows}
    return Look(selection=selection, ms=ms, **rows)


def _finite(values, what, backend):
    if not np.isfinite(values).all():
        raise BackendError(f"{what} from {backend.name} hold NaN or infinity; check the bundle's weights and precision")
    return values


def _ms(start):
    return (perf_counter() - start) * 1e3
