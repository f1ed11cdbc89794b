"""What was looked at on one frame: every patch is encoded once, for however many questions are asked about it."""

from time import perf_counter

import numpy as np

from .encoder import Look
from .selection import Selection

KEPT_LOOKS = 16  # full looks whose tokens a new question finds: 40 MB for a nano


class Seen:
    """Tokens and token embeddings of a frame's patches, kept from question to question.

    A patch keeps the tokens of the look that first encoded it. It saw the glance and that look's other patches then, so a later question
    gets tokens that differ a little from those of a look of its own, as they do between several looks at one frame.
    """

    def __init__(self, encoder, glance):
        self.encoder, self.glance = encoder, glance
        self._forget()

    def trim(self):
        """Before a question: forgets everything where more is kept than KEPT_LOOKS looks; it is encoded again as it is asked for."""
        if self.known.count > KEPT_LOOKS * self.encoder.settings.max_patches:
            self._forget()

    def look(self, selection):
        """Encodes the patches of `selection` (at most max_patches) that were not seen before. Returns their number and milliseconds.

        Milliseconds: {"cut", "look", "region"}, the last for embedding single tokens; all 0 where nothing was missing. Raises BackendError.
        """
        missing = without(selection, self.known)
        if missing.count == 0:
            return 0, {"cut": 0.0, "look": 0.0, "region": 0.0}
        look = self.encoder.look(self.glance, missing)
        start = perf_counter()
        embeddings = self.encoder.embed_tokens(look)
        ms = {**look.ms, "region": (perf_counter() - start) * 1e3}
        split = np.cumsum([len(patches) for patches in missing.patches])[:-1]
        for name, values in (("tokens", look.tokens), ("boxes", look.boxes), ("embeddings", embeddings)):
            self.rows[name] = [np.concatenate(pair) for pair in zip(self.rows[name], np.split(values, split), strict=True)]
        order = [np.concatenate(pair) for pair in zip(self.order, missing.patches, strict=True)]
        self.order, self.known = order, self.known.union(missing)
        return missing.count, ms

    def gather(self, selection):
        """(Look, token embeddings float32 [N, E]) of patches that were all seen. Its ms are 0: `look` has told them."""
        places = []
        for order, wanted in zip(self.order, selection.patches, strict=True):
            by_patch = np.argsort(order)
            places.append(by_patch[np.searchsorted(order, wanted, sorter=by_patch)])
        rows = {name: np.concatenate([part[at] for part, at in zip(parts, places, strict=True)]) for name, parts in self.rows.items()}
        return Look(rows["tokens"], selection, rows["boxes"], {"cut": 0.0, "look": 0.0}), rows["embeddings"]

    def _forget(self):
        settings, scales = self.encoder.settings, len(self.glance.plan.grids)
        widths = {"tokens": settings.dim, "boxes": 4, "embeddings": settings.embed_dim}
        self.known = Selection.none(self.glance.plan)
        self.order = [np.empty(0, np.int64) for _ in range(scales)]  # patches in the order of the rows
        self.rows = {name: [np.empty((0, width), np.float32) for _ in range(scales)] for name, width in widths.items()}


def without(selection, other):
    """The patches of `selection` that are not in `other`."""
    pairs = zip(selection.patches, other.patches, strict=True)
    return Selection(tuple(a[~np.isin(a, b, assume_unique=True)] if len(b) else a for a, b in pairs))
