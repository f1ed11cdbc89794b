"""Close-ups: the best candidates of a question cut out of the frame anew, each so that it fills a few patches, and encoded by itself.

A thing of 30 px lies on two or three patches, wherever their edges happen to fall, and one of 400 px on hundreds. Cut out by itself, it
lies in the middle of about SIDE x SIDE patches, which is how training shows things (training/warm_start.py): a long one on fewer rows and
more columns, so that the words of a sign are not made too small to read. So each candidate gets a second opinion on what it is, and a box
finer than patches. Not in the paper; docs/notes/regions.md has what it gains.
"""

from functools import partial

import cv2
import numpy as np

from .boxes import inside
from .encoder import Look
from .reading import legible, likelihood, spelled
from .regions import FLAT_MATCH, THRESHOLD_BETWEEN, spread
from .selection import Selection, normalised

SIDE = 5  # patches along a close-up of a square box
SHAPES = ((SIDE, SIDE), (4, 6), (6, 4), (3, 8), (8, 3), (2, 12), (12, 2))  # rows and columns; none has more than SIDE^2 patches
WRITTEN_SHAPES = ((7, 6), (6, 8), (5, 9), (4, 12), (3, 16))  # for written words: larger, and fewer, so that letters can be read
MARGIN, WRITTEN_MARGIN = 1.5, 1.2  # what it shows, as a multiple of the box's sides: some surroundings
WEIGHT = 0.5  # of a close-up's match beside the look's: it shows a thing as large as crops in training do (docs/notes/regions.md)
WRITTEN_WEIGHT = 0.75  # for written words: letters are read in close-ups, hardly in looks
READING = 0.08  # of a close-up's match: a standard deviation by which it spells the words better than others (reading.py)
EXPECTED, SURE = 2.0, 5.0  # of those deviations: what leaves a match as it is; the most
VIEWS = 2  # close-ups of a candidate whose words are read: its box, and the sign round it
LEAST_PX = 12.0  # of a box's sides: below, a close-up would show nothing but interpolation
SHARE = 5  # close-ups take at most the fifth part of a look's patches
OVERSAMPLING = 4  # a larger window is first thinned to so many pixels a pixel of the close-up: its cost must not grow with the box
FINER = 4  # the match is interpolated to so many points a patch before a box is drawn round it


def split_budget(patches, settings, words=()):
    """A look's patches -> how many are left to choose, and how many close-ups there are, those that zoom out among them: (int, int). words:
    as Closer takes them.
    """
    views = VIEWS if settings.reads and any(words) else 1
    wanted = settings.close_ups * views + (0 if any(words) else settings.zoom_outs)
    count = min(wanted, patches // (SHARE * SIDE * SIDE))
    return patches - count * SIDE * SIDE, count


def shape_of(width, height, shapes=SHAPES):
    """(rows, columns) of the close-up, one of `shapes`, that shows a box of width x height px the largest; the first of equals."""
    return min(shapes, key=lambda shape: max(width / shape[1], height / shape[0]))


def close_look(encoder, glance, boxes, encode=None, written=False):
    """Close-ups of the boxes, float32 [K, 4] px: (Look of their tokens, one close-up after the other, each row-major; their shapes, a list
    of K (rows, columns)). written: larger ones, for written words.

    The Look's selection is empty, as these are no patches of a scale. encode: encode_close_ups with its first two arguments given, or what
    knows some of them already (Seen.encode_close_ups); None = all are encoded, each by itself.
    """
    encode = partial(encode_close_ups, encoder, glance) if encode is None else encode
    patches, position, places, own_shapes = zip(*(close_up(glance.frame, glance.plan, box, written) for box in boxes), strict=True)
    tokens = encode(boxes, [normalise(some, encoder.settings) for some in patches], position, places)
    return Look(np.concatenate(tokens), Selection.none(glance.plan), np.concatenate(places), {}), list(own_shapes)


def encode_close_ups(encoder, glance, boxes, patches, position, places, together=False):
    """Tokens of close-ups, a list of K float32 [n, D], with the glance as context.

    boxes: [K, 4] px; then K each of patches float32 [n, 3 * p * p], position int64 [n] and places float32 [n, 4] px; n differs by shape.
    together: in one run, for half the time; they see each other then, and a question by itself gains less by them (docs/notes/regions.md,
    docs/performance.md).
    """
    if together:
        patches, position = [np.concatenate(patches)], [np.concatenate(position)]
    tokens = [
        encoder.backend.run("look", {"patches": some[None], "position": at, "kv": glance.kv})["tokens"][0]
        for some, at in zip(patches, position, strict=True)
    ]
    return np.split(tokens[0], np.cumsum([len(each) for each in places])[:-1]) if together else tokens


def close_up(frame, plan, box, written=False):
    """One box, and whether it is for written words -> uint8 [n, 3, p, p] RGB, position int64 [n], the patches' own boxes float32 [n, 4] in
    source px, and its shape (rows, columns), of which n is the product.

    Beyond the frame's edge its last pixels go on. Positions are those of the scale whose patches are nearest in size, around the box.
    """
    settings, patch = plan.settings, plan.settings.patch
    centre = (np.asarray(box[:2], np.float64) + box[2:]) / 2
    width, height = (max(LEAST_PX, float(v)) for v in (box[2] - box[0], box[3] - box[1]))
    shape = shape_of(width, height, WRITTEN_SHAPES if written else SHAPES)
    margin = WRITTEN_MARGIN if written else MARGIN
    size = margin * max(height / shape[0], width / shape[1])  # px of the frame that one patch shows, a side
    sides = [max(1, round(size * count)) for count in shape]
    top, left = (int(round(c - side / 2)) for c, side in zip(centre[::-1], sides, strict=True))
    step = max(1, int(size / (OVERSAMPLING * patch)))
    along = [np.arange(0, side, step) for side in sides]
    rows, cols = np.clip(top + along[0], 0, frame.height - 1), np.clip(left + along[1], 0, frame.width - 1)
    window = frame.pixels[rows[0] : rows[-1] + 1][rows - rows[0]][:, cols]
    how = cv2.INTER_AREA if len(along[0]) > shape[0] * patch else cv2.INTER_LINEAR
    if settings.resampling == "bicubic":
        how = cv2.INTER_CUBIC
    pixels = cv2.resize(window, (shape[1] * patch, shape[0] * patch), interpolation=how)[..., ::-1]
    patches = pixels.reshape(shape[0], patch, shape[1], patch, 3).transpose(0, 2, 4, 1, 3).reshape(-1, 3, patch, patch)

    sizes = np.array([plan.height / grid.rows for grid in plan.grids])
    s = int(np.abs(np.log(sizes / size)).argmin())
    grid = plan.grids[s]
    around = [np.arange(count) - count // 2 for count in shape]
    row = np.clip(int(centre[1] / plan.height * grid.rows) + around[0], 0, grid.rows - 1)
    col = np.clip(int(centre[0] / plan.width * grid.cols) + around[1], 0, grid.cols - 1)
    position = plan.positions(s, (row[:, None] * grid.cols + col).reshape(-1))

    y, x = np.divmod(np.arange(shape[0] * shape[1]), shape[1])
    places = np.stack([x, y, x + 1, y + 1], axis=1) * ([sides[1] / shape[1], sides[0] / shape[0]] * 2) + (left, top, left, top)
    return patches, position, places.astype(np.float32), shape


def normalise(patches, settings):
    """uint8 [..., 3, p, p] RGB -> float32 [..., 3 * p * p], (value / 255 - mean) / std."""
    mean, std = (np.asarray(values, np.float32)[:, None, None] for values in (settings.mean, settings.std))
    return ((patches.astype(np.float32) / 255 - mean) / std).reshape(*patches.shape[:-3], -1)


class Closer:
    """Close-ups for one question. vectors: its text embeddings [C, E], raw; count: how many, as split_budget gives it: of `self.count`
    candidates, and `self.steps` out from them (zoom_out.py); encode: as close_look takes it; words: for each label those that are to be
    read, or None (wording.words_asked): they take fewer and larger close-ups of no more patches in all, and no steps; weight: of their
    match beside the look's; unread: float64 [C], what a candidate without a close-up gains; patches: used so far.
    """

    def __init__(self, encoder, glance, vectors, count, encode=None, words=()):
        self.encoder, self.glance, self.text, self.patches = encoder, glance, normalised(vectors), 0
        self.steps = 0 if any(words) else min(encoder.settings.zoom_outs, max(0, count - encoder.settings.close_ups))
        self.count = count - self.steps
        self.encode, self.weight, self.views = encode, WEIGHT, 1
        larger = count * SIDE * SIDE // max(rows * cols for rows, cols in WRITTEN_SHAPES)
        self.written = bool(larger) and any(words)
        reads = self.written and encoder.settings.reads
        self.spelt = [one if reads and one and legible(one) else None for one in words or [None] * len(vectors)]
        self.reads = any(self.spelt)
        if self.written:
            self.views = VIEWS if self.reads and larger >= VIEWS * VIEWS else 1
            self.count, self.weight = larger // self.views, WRITTEN_WEIGHT
        self.unread = -EXPECTED * READING * self.weight * np.array([bool(one) for one in self.spelt], np.float64)

    def __call__(self, boxes, canvas_of=None):
        """boxes float32 [K, 4] px -> the match of their close-ups with each text, cosine float64 [K, C], and finer boxes [K, 4].

        The match is that of the patches inside the box, pooled; for words that are read, more or less by how well they are spelled there. A
        finer box is the mean of the box and of the one that the match draws.
        canvas_of: function of a text embedding [E] that gives regions.Canvas of the look, to find the sign round a candidate by.
        """
        views = [boxes]
        if self.views > 1 and canvas_of is not None:
            canvas = canvas_of(self.encoder.words)
            views.append(np.array([spread(canvas, box) for box in boxes], np.float32))
        count, (cosine, read, finer) = len(boxes), self._look_at(np.concatenate(views))
        best = (cosine + READING * read).max(axis=1).reshape(-1, count).argmax(axis=0) * count + np.arange(count)
        cosine, read = (each.reshape(len(views), count, -1) for each in (cosine, read))
        return cosine.mean(axis=0) + READING * read.max(axis=0), finer[best]

    def _look_at(self, boxes):
        """One close-up a box: its match with each text float64 [K, C], how well a label's words are spelled there [K, C], finer boxes."""
        look, shapes = close_look(self.encoder, self.glance, boxes, self.encode, self.written)
        self.patches += len(look.tokens)
        split = np.cumsum([rows * cols for rows, cols in shapes])[:-1]
        own = np.split(np.arange(len(look.tokens)), split)
        mask = np.zeros((len(boxes), len(look.tokens)), bool)
        for k, box in enumerate(boxes):
            mask[k, own[k]] = inside(look.boxes[own[k]], box[None])[0]
        cosine = (normalised(self.encoder.embed(look, mask)) @ self.text.T).astype(np.float64)
        alone = normalised(self.encoder.embed_tokens(look))
        match = (alone @ self.text.T).max(axis=1)
        each = list(zip(own, shapes, boxes, strict=True))
        read = np.zeros_like(cosine)
        if self.reads:
            letters = alone @ normalised(self.encoder.letters).T
            read[:] = [self._read(letters[at], look.boxes[at], shape, box) for at, shape, box in each]
        drawn = np.array([drawn_box(match[at].reshape(shape), look.boxes[at], box) for at, shape, box in each], np.float32)
        limits = np.array([self.glance.plan.width, self.glance.plan.height] * 2, np.float32)
        return cosine, read, np.clip((boxes + drawn) / 2, 0, limits)

    def _read(self, letters, places, shape, box):
        """By how much each label's words are spelled better on one close-up than can be expected, a list of C; 0 for one without words."""
        likely = likelihood(letters, shape)
        return [np.clip(spelled(likely, places, box, words), -SURE, SURE) - EXPECTED if words else 0.0 for words in self.spelt]


def drawn_box(match, places, box):
    """The box round what matches better than halfway between a close-up's rim and the best place inside `box`: [4] px.

    match: float32 [rows, cols]; places: [rows * cols, 4] px. `box` itself where nothing stands out.
    """
    rows, cols = (count * FINER for count in match.shape)
    fine = cv2.resize(np.asarray(match, np.float32), (cols, rows), interpolation=cv2.INTER_LINEAR)
    (left, top), (right, bottom) = places[0, :2], places[-1, 2:]
    step_x, step_y = (right - left) / cols, (bottom - top) / rows
    x, y = left + (np.arange(cols) + 0.5) * step_x, top + (np.arange(rows) + 0.5) * step_y
    within = ((y >= box[1]) & (y <= box[3]))[:, None] & ((x >= box[0]) & (x <= box[2]))
    if not within.any():
        return box
    place = int(np.where(within, fine, -np.inf).argmax())
    low = float(np.median(np.concatenate([fine[0], fine[-1], fine[:, 0], fine[:, -1]])))
    if fine.flat[place] - low < FLAT_MATCH:
        return box
    level = low + THRESHOLD_BETWEEN * (fine.flat[place] - low)
    _, labels = cv2.connectedComponents((fine >= level).astype(np.uint8), connectivity=8)
    rows, cols = np.nonzero(labels == labels.flat[place])
    return np.array([cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]) * ([step_x, step_y] * 2) + (left, top, left, top)
