"""Frames that hardly change: what a camera that stands still has shown already is not encoded again.

All is compared by the means of small blocks (4 x 4 pixels), in grey levels, against the pixels that were encoded, not those of the frame
before: a sensor's noise averages out in a block, a small thing that moved does not, and slow changes add up until they count.
"""

from collections import OrderedDict
from math import isfinite
from time import perf_counter

import cv2
import numpy as np

from .errors import Ps3Error
from .frame import cut_patches
from .seen import NOTHING_MS, Seen, key_of
from .selection import Selection

BLOCK = 4  # px a side, or less where a patch is no multiple of it
MOVED = 0.25  # part of the glance's cells that changed from which on nothing is kept: the camera moved, or the light changed
RENEW = 0.5  # part of a look's patches that are to be encoded from which on all are, so that they see each other
KEPT_QUESTIONS = 16  # whose tokens are kept: 40 MB for a nano's full looks


class Still:
    """What is kept from frame to frame. levels: grey levels (0 to 255) by which a block may change and still count as the same.

    Keeps graphs' outputs (`run`) while the image they were made of does not change at all, and tokens (`seen`) of patches that do not
    change, in cells whose glance does not. Raises Ps3Error.
    """

    def __init__(self, encoder, levels):
        if isinstance(levels, bool) or not isinstance(levels, (int, float)) or not isfinite(levels) or levels <= 0:
            raise Ps3Error(f"still_levels is {levels!r} where grey levels, a number above 0, are needed; try 6, or 0 to keep nothing")
        self.encoder, self.levels = encoder, float(levels)
        self.outputs, self.reference, self.kept = {}, None, OrderedDict()

    def run(self, graph, inputs):
        """Outputs of "glance" or "select": those of the last run where no block of the image changed since, else the backend's."""
        blocks = block_means(inputs["pixels"][0], _side(self.encoder.settings.patch), self.encoder.settings)
        before = self.outputs.get(graph)
        if before is not None and np.abs(blocks - before[0]).max() <= self.levels:
            return before[1]
        self.outputs.pop(graph, None)  # nothing is kept of a run that fails
        outputs = self.encoder.backend.run(graph, inputs)
        self.outputs[graph] = blocks, outputs
        return outputs

    def next_frame(self, glance):
        """After each new frame's glance: takes over what is kept of the cells whose glance did not change."""
        changed = self._changed(self.encoder.images[0][0])
        self.kept = OrderedDict((key, seen.carried(glance, changed)) for key, seen in self.kept.items())

    def seen(self, key, glance):
        """StillSeen of a question on the frame; key: what tells questions apart that do not share their looks."""
        found = self.kept.pop(key, None)
        if found is None or found.full:
            found = StillSeen(self.encoder, glance, self.levels)
        self.kept[key] = found
        while len(self.kept) > KEPT_QUESTIONS:
            self.kept.popitem(last=False)
        return found

    def _changed(self, image):
        """bool [g, g]: cells whose glance changed since their reference was taken, which is renewed. image: float32 [3, S, S]."""
        g = self.encoder.settings.grid
        blocks = block_means(image, _side(self.encoder.settings.patch), self.encoder.settings)
        k = blocks.shape[1] // g
        if self.reference is None:
            changed = np.ones((g, g), bool)
        else:
            changed = np.abs(blocks - self.reference).reshape(3, g, k, g, k).max(axis=(0, 2, 4)) > self.levels
        if changed.mean() > MOVED:
            changed[:] = True
            self.reference = blocks
        else:
            self.reference = np.where(np.repeat(np.repeat(changed, k, axis=0), k, axis=1), blocks, self.reference)
        return changed


class StillSeen(Seen):
    """Seen of one frame that began with what earlier frames left; a patch's tokens count only once its pixels were found unchanged."""

    def __init__(self, encoder, glance, levels):
        super().__init__(encoder, glance)
        self.levels = levels
        self.pictures = {}  # of close-ups, by box: (blocks, (x1, y1, x2, y2) of what it shows, px)
        self.sure = self.known  # encoded or compared on this very frame

    def look(self, selection):
        """As Seen.look; of what earlier frames left, it encodes the patches that changed."""
        start, plan, settings = perf_counter(), self.glance.plan, self.encoder.settings
        unsure = Selection(tuple(p[~np.isin(p, sure)] for p, sure in zip(selection.patches, self.sure.patches, strict=True)))
        if unsure.count == 0:
            return 0, {**NOTHING_MS, "region": 0.0}
        patches = cut_patches(self.glance.frame, plan, settings, unsure)
        side = settings.patch
        blocks = block_means(patches.reshape(-1, 3, side, side), _side(side), settings).reshape(unsure.count, -1)
        old = np.concatenate([np.isin(p, known) for p, known in zip(unsure.patches, self.known.patches, strict=True)])
        new = ~old
        if old.any():
            before = self.rows_of(_part(unsure, old), "blocks")["blocks"]
            new[old] = np.abs(blocks[old] - before).max(axis=1) > self.levels
        if new.mean() > RENEW:
            new[:] = True
        self._forget(_part(unsure, new & old))
        self.sure = self.sure.union(_part(unsure, ~new))
        ms = {**NOTHING_MS, "cut": (perf_counter() - start) * 1e3, "region": 0.0}
        if new.any():
            look = self.encoder.look(self.glance, _part(unsure, new), patches[new])
            ms = {"cut": ms["cut"] + look.ms["cut"], "look": look.ms["look"], "region": self.keep(look, blocks=blocks[new])}
            self.sure = self.sure.union(look.selection)
        return int(new.sum()), ms

    def encode_close_ups(self, boxes, patches, position, places, together=False):
        """As Seen.encode_close_ups; one that an earlier frame left counts where its pixels did not change."""
        settings = self.encoder.settings
        for key, some, (first, *_, last) in zip(map(key_of, boxes, places), patches, places, strict=True):
            window = (*first[:2], *last[2:])
            picture = some.reshape(-1, 3, settings.patch, settings.patch)
            blocks = block_means(picture, _block_of_close_up(first[2] - first[0], settings.patch), settings)
            before = self.pictures.get(key)
            if before is None or np.abs(blocks - before[0]).max() > self.levels:
                self.close_ups.pop(key, None)
                self.pictures[key] = blocks, window
        tokens = super().encode_close_ups(boxes, patches, position, places, together)
        self.pictures = {key: self.pictures[key] for key in self.close_ups}
        return tokens

    def carried(self, glance, changed):
        """StillSeen of the next frame: what is known here but in cells that changed (bool [g, g]). This one stays as it is."""
        found = StillSeen(self.encoder, glance, self.levels)
        plan = self.glance.plan
        if (glance.plan.height, glance.plan.width) != (plan.height, plan.width) or self.known.count == 0:
            return found
        self._spread()
        found.names, found.rows, found.order = self.names, dict(self.rows), list(self.order)
        stay = []
        for s, order in enumerate(self.order):
            row_cell, col_cell = plan.cell_of(s)
            row, col = np.divmod(order, plan.grids[s].cols)
            stay.append(~changed[row_cell[row], col_cell[col]])
        found._only(stay)
        for key, tokens in self.close_ups.items():
            x1, y1, x2, y2 = np.clip(np.array(self.pictures[key][1]) * len(changed) / ((plan.width, plan.height) * 2), 0, len(changed))
            if not changed[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))].any():
                found.close_ups[key], found.pictures[key] = tokens, self.pictures[key]
        return found

    def _forget(self, selection):
        if selection.count:
            self._spread()
            self._only([~np.isin(order, gone) for order, gone in zip(self.order, selection.patches, strict=True)])

    def _only(self, stay):
        """Keeps the rows of bool masks, one a scale."""
        self.order = [order[mask] for order, mask in zip(self.order, stay, strict=True)]
        self.rows = {name: [part[mask] for part, mask in zip(parts, stay, strict=True)] for name, parts in self.rows.items()}
        self.known = Selection(tuple(np.sort(order) for order in self.order))


def block_means(images, side, settings):
    """Means of side x side pixels: normalised float32 [..., 3, h, w] -> grey levels, float32 [..., 3, h / side, w / side]."""
    *lead, h, w = images.shape
    flat = np.ascontiguousarray(images).reshape(-1, w)
    means = cv2.resize(flat, (w // side, len(flat) // side), interpolation=cv2.INTER_AREA).reshape(*lead, h // side, w // side)
    return means * (255 * np.asarray(settings.std, np.float32))[:, None, None]


def _side(patch):
    return next(side for side in range(BLOCK, 0, -1) if patch % side == 0)


def _block_of_close_up(size, patch):
    """Pixels a side of the blocks in which a close-up is compared, `size` px of the frame a patch: where it is enlarged, as many of the
    frame's as elsewhere."""
    wanted = BLOCK * patch / max(1.0, size)
    return next((side for side in range(1, patch) if patch % side == 0 and side >= max(BLOCK, wanted)), patch)


def _part(selection, mask):
    """The patches of a selection where a mask over all of them, bool [N], is true."""
    split = np.cumsum([len(patches) for patches in selection.patches])[:-1]
    return Selection(tuple(patches[part] for patches, part in zip(selection.patches, np.split(mask, split), strict=True)))
