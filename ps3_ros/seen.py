"""What was looked at on one frame: every patch is encoded once, for however many questions are asked about it."""

from dataclasses import replace
from time import perf_counter

import numpy as np

from .close_up import encode_close_ups
from .encoder import Look
from .selection import Selection

KEPT_LOOKS = 16  # full looks whose tokens a new question finds: 40 MB for a nano
KEPT_CLOSE_UPS = 64  # 1.6 MB for a nano
NOTHING_MS = {"cut": 0.0, "look": 0.0}


class Seen:
    """Tokens and token embeddings of a frame's patches, kept from look to look, and from question to question where they share it.

    A patch keeps the tokens of the look that first encoded it. It saw the glance and that look's other patches then, so a later question
    gets tokens that differ a little from those of a look of its own, as they do between several looks at one frame.
    """

    def __init__(self, encoder, glance):
        self.encoder, self.glance = encoder, glance
        self.known = Selection.none(glance.plan)
        self.order = [np.empty(0, np.int64) for _ in glance.plan.grids]  # patches in the order of the rows
        self.rows, self.names = {}, ()  # name: one array a scale, from the second look on: a first one may stay on its GPU; names: a look's
        self.first = None  # (Look, its rows beside its own) while there is no other
        self.close_ups = {}  # box: tokens, the one that was used longest ago first

    @property
    def full(self):
        """Whether more is kept than KEPT_LOOKS looks, so that the next question should begin with a new one."""
        return self.known.count > KEPT_LOOKS * self.encoder.settings.max_patches

    def look(self, selection):
        """Encodes the patches of `selection` (at most max_patches) that were not seen before. Returns their number and milliseconds.

        Milliseconds: {"cut", "look", "region"}, the last for embedding single tokens; all 0 where nothing was missing. Raises BackendError.
        """
        missing = without(selection, self.known)
        if missing.count == 0:
            return 0, {**NOTHING_MS, "region": 0.0}
        look = self.encoder.look(self.glance, missing)
        return missing.count, {**look.ms, "region": self.keep(look)}

    def keep(self, look, **more):
        """Keeps a look at patches that are not known. more: further arrays with a row a token. Returns milliseconds."""
        start = perf_counter()
        more["embeddings"] = self.encoder.embed_tokens(look)
        if self.known.count == 0:
            self.first = look, more
        else:
            self._spread()
            self._append(look, more)
        self.known = self.known.union(look.selection)
        return (perf_counter() - start) * 1e3

    def encode_close_ups(self, boxes, patches, position, places, together=False):
        """As close_up.encode_close_ups; what is known of a box that had a close-up before is not encoded again."""
        keys = [key_of(box, at) for box, at in zip(boxes, places, strict=True)]
        new = [n for n, key in enumerate(keys) if key not in self.close_ups]
        if new:
            parts = ([each[n] for n in new] for each in (patches, position, places))
            tokens = encode_close_ups(self.encoder, self.glance, boxes[new], *parts, together)
            self.close_ups.update(zip([keys[n] for n in new], tokens, strict=True))
        found = [self.close_ups[key] for key in keys]
        for key in keys:
            self.close_ups[key] = self.close_ups.pop(key)  # the newest
        while len(self.close_ups) > KEPT_CLOSE_UPS:
            del self.close_ups[next(iter(self.close_ups))]
        return found

    def gather(self, selection):
        """(Look, token embeddings float32 [N, E]) of patches that were all seen. Its ms are 0: `look` has told them."""
        if self.first is not None and selection.count == self.known.count:
            look, more = self.first
            return replace(look, selection=selection, ms=dict(NOTHING_MS)), more["embeddings"]
        if selection.count == 0:
            look = self.encoder.look(self.glance, selection)
            return look, self.encoder.embed_tokens(look)
        self._spread()
        rows = self.rows_of(selection, *self.rows)
        embeddings = rows.pop("embeddings")
        return Look(selection=selection, ms=dict(NOTHING_MS), **{name: rows[name] for name in self.names}), embeddings

    def rows_of(self, selection, *names):
        """{name: rows of the patches of `selection`, all of them seen}."""
        self._spread()
        places = []
        for order, wanted in zip(self.order, selection.patches, strict=True):
            by_patch = np.argsort(order)
            places.append(by_patch[np.searchsorted(order, wanted, sorter=by_patch)])
        return {name: np.concatenate([part[at] for part, at in zip(self.rows[name], places, strict=True)]) for name in names}

    def _spread(self):
        """Moves the first look into the rows."""
        if self.first is not None:
            (look, more), self.first = self.first, None
            self._append(look, more)

    def _append(self, look, more):
        split = np.cumsum([len(patches) for patches in look.selection.patches])[:-1]
        self.names = tuple(look.rows)
        for name, values in {**look.rows, **more}.items():
            parts = np.split(np.asarray(values), split)
            kept = self.rows.get(name)
            self.rows[name] = parts if kept is None else [np.concatenate(pair) for pair in zip(kept, parts, strict=True)]
        self.order = [np.concatenate(pair) for pair in zip(self.order, look.selection.patches, strict=True)]


def key_of(box, places):
    """What a close-up is known by: bytes of its box [4], px, and how many patches it has, as written words take more. places: [n, 4]."""
    return np.asarray(box, np.float32).tobytes(), len(places)


def without(selection, other):
    """The patches of `selection` that are not in `other`."""
    pairs = zip(selection.patches, other.patches, strict=True)
    return Selection(tuple(a[~np.isin(a, b, assume_unique=True)] if len(b) else a for a, b in pairs))
