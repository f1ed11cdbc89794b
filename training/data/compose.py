"""A scene: a background, 4 to 10 named objects pasted where they could be, boxes from the pixels that stay visible, and captions.

scene = compose.scene(objects, seed, split="train")       # same arguments, same scene
scene.pixels  uint8 [2160, 3840, 3] BGR;  scene.things    tuple[Thing]: box, name, text, asks, ...

The objects are chosen in choosing.py, placed in placing.py and spoken of in captions.py and relations.py.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from ps3_ros.errors import Ps3Error

from . import augment, backgrounds, canvas, captions, catalogue, choosing, placing, relations, words

VISIBLE = 0.45  # an object of which less than this fraction can be seen gets no caption
OPAQUE = 110  # alpha from which a pixel counts as the object's
LEAST = 14  # px, longer side of the smallest box with a caption


@dataclass(frozen=True)
class Thing:
    """One captioned object of a scene. `box`: x1, y1, x2, y2 in px around its visible pixels (x2, y2 exclusive)."""

    name: str  # canonical name
    text: str  # the caption
    asks: str  # the name the caption means
    means: tuple  # every name this object answers to
    box: tuple
    visible: float  # fraction of its pixels that can be seen
    colour: str  # the colour it was given, or ""
    seen: bool  # False: an object that is kept out of training


@dataclass(frozen=True)
class Scene:
    """A frame with what is in it. `absent`: names that nothing in it answers to, for questions without an answer; `absent_text`: such
    questions in words, one a name.
    """

    pixels: np.ndarray
    place: str
    things: tuple
    global_text: str
    absent: tuple
    absent_text: tuple


@dataclass(frozen=True)
class Put:
    """An object as it was pasted: its cut-out `rgba` at x, y (px), its number in the ids, and whether it is on a pole."""

    obj: object
    colour: str | None
    rgba: np.ndarray
    x: int
    y: int
    number: int
    pole: bool


def paste_object(frame, ids, rgba, x, y, number):
    """Blends RGBA onto the BGR frame at integer x, y (parts may lie outside) and marks its opaque pixels `number` in ids [H, W]."""
    alpha = rgba[..., 3]
    canvas.paste(frame, rgba[..., 2::-1], alpha, x, y)
    height, width = alpha.shape
    x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x + width, frame.shape[1]), min(y + height, frame.shape[0])
    if x2 > x1 and y2 > y1:
        ids[y1:y2, x1:x2][alpha[y1 - y : y2 - y, x1 - x : x2 - x] >= OPAQUE] = number


def box_within(ids, region, number):
    """((x1, y1, x2, y2) or None, count) of the pixels of `number` inside the region, x1 y1 x2 y2 px."""
    x1, y1, x2, y2 = max(region[0], 0), max(region[1], 0), min(region[2], ids.shape[1]), min(region[3], ids.shape[0])
    if x2 <= x1 or y2 <= y1:
        return None, 0
    seen = ids[y1:y2, x1:x2] == number
    columns, rows = np.flatnonzero(seen.any(0)), np.flatnonzero(seen.any(1))
    if not len(rows):
        return None, 0
    return (x1 + int(columns[0]), y1 + int(rows[0]), x1 + int(columns[-1]) + 1, y1 + int(rows[-1]) + 1), int(seen.sum())


def visible_box(ids, rgba, x, y, number):
    """((x1, y1, x2, y2), fraction) of the pixels of `number` that stayed visible; (None, 0.0) if none did."""
    total = int((rgba[..., 3] >= OPAQUE).sum())
    box, seen = box_within(ids, (x, y, x + rgba.shape[1], y + rgba.shape[0]), number)
    return box, seen / total if box and total else 0.0


def _shadow(frame, x, y, width, height, strength):
    """A soft contact shadow: an ellipse about (x, y)."""
    width, height = int(width), max(2, int(height))
    alpha = np.zeros((height * 2 + 1, width + 1), np.uint8)
    cv2.ellipse(alpha, (width // 2, height), (int(width * 0.46), int(height * 0.7)), 0, 0, 360, int(255 * strength), -1, cv2.LINE_AA)
    alpha = cv2.GaussianBlur(alpha, (0, 0), max(0.6, height * 0.25))
    canvas.paste(frame, np.zeros((*alpha.shape, 3), np.uint8), alpha, int(x - width / 2), int(y - height))


def _pole(frame, ids, rng, x, top, ground, width):
    """A post under a sign or a light; it hides what is behind it, so its pixels belong to nobody (0)."""
    grey = float(rng.uniform(70, 190))
    x1, x2 = int(round(x - width / 2)), int(round(x + width / 2)) + 1
    y1, y2 = int(max(0, top)), int(min(frame.shape[0], ground))
    x1, x2 = max(0, x1), min(frame.shape[1], x2)
    if x2 <= x1 or y2 <= y1:
        return
    light = 1.1 - 0.7 * np.abs(np.linspace(-0.6, 1, x2 - x1))
    frame[y1:y2, x1:x2] = np.clip(grey * light[None, :, None] + rng.normal(0, 4, 3), 10, 245).astype(np.uint8)
    ids[y1:y2, x1:x2] = 0


def stand(frame, ids, rng, rgba, x, y, size, ground, standing):
    """What holds an object that will be pasted at x, y: a post down to `ground` px, or, where that is None and it stands, its shadow."""
    height, width = rgba.shape[:2]
    if ground is not None:
        _pole(frame, ids, rng, x + width / 2, y + height * 0.4, ground, max(1.0, size * float(rng.uniform(0.05, 0.1))))
    elif standing:
        _shadow(frame, x + width / 2, y + height, width * 1.1, height * 0.09, float(rng.uniform(0.25, 0.6)))


def replace_pictures(obj, pictures):
    """The object with only these pictures."""
    return replace(obj, pictures=tuple(pictures))


def _place_all(background, chosen, rng):
    """[(object, colour, size, x centre, bottom y, ground y), ...], far first; some come as two or three side by side."""
    placed = []
    for obj in chosen:
        colour = None
        if obj.recolour and rng.random() < 0.6:
            colour = list(catalogue.COLOURS)[rng.integers(len(catalogue.COLOURS))]
        where = placing.place(background, obj, rng)
        if not where:
            continue
        placed.append((obj, colour, *where))
        if rng.random() < 0.07 and obj.kind not in ("sign", "light"):
            size, center, bottom, ground = where
            side = 1 if center < canvas.WIDTH / 2 else -1
            for step in range(1, int(rng.integers(2, 4))):
                apart = center + side * step * size * rng.uniform(1.0, 1.25)
                placed.append((obj, colour, max(8, int(size * rng.uniform(0.9, 1.1))), apart, bottom, ground))
    placed.sort(key=lambda p: (p[5] or p[4]) if background.place == "street" else p[4])
    return placed


def _hide(frame, ids, rng, put, size, held_out):
    """Something in front of an object that was just pasted: leaves or a post."""
    height, width = put.rgba.shape[:2]
    if rng.random() < 0.5:
        color, alpha = canvas.crown(rng, held_out)
        side = int(size * rng.uniform(0.4, 0.8))
        color, alpha = cv2.resize(color, (side, side)), cv2.resize(alpha, (side, side))
        x, y = int(put.x + rng.uniform(-0.3, 0.7) * width), int(put.y + rng.uniform(-0.3, 0.7) * height)
        canvas.paste(frame, color, alpha, x, y)
        x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x + side, frame.shape[1]), min(y + side, frame.shape[0])
        if x2 > x1 and y2 > y1:
            ids[y1:y2, x1:x2][alpha[y1 - y : y2 - y, x1 - x : x2 - x] >= OPAQUE] = 0
    else:
        middle = put.x + width * rng.uniform(0.1, 0.9)
        _pole(frame, ids, rng, middle, put.y - height, put.y + height * 2, max(2, size * rng.uniform(0.05, 0.15)))


def _paste_all(background, placed, rng, held_out):
    """(ids uint8 [H, W], [Put, ...]): pastes onto the background's pixels; what would cover another thing is moved or left out."""
    frame = background.pixels
    ids = np.zeros(frame.shape[:2], np.uint8)
    done, taken = [], []
    for obj, colour, size, center, bottom, ground in placed:
        lying = background.place in ("photo", "texture") and obj.kind not in ("sign", "light") and rng.random() < 0.3
        rgba = augment.dressed(words.cut_out(obj, rng, size, colour), rng, obj.kind, lying=lying)
        height, width = rgba.shape[:2]
        for _ in range(8):
            x, y = int(round(center - width / 2)), int(round(bottom - height))
            box = (x, y, x + width, y + height)
            if placing.overlap(box, taken) < 0.25:
                break
            center = center + rng.normal(0, 2.5 * size) if ground is not None else rng.uniform(0, canvas.WIDTH)
            if ground is None:
                bottom = rng.uniform(size * 0.5, canvas.HEIGHT)
        else:
            if rng.random() < 0.8:
                continue
        taken.append(box)
        pole = background.place == "street" and obj.kind in ("sign", "light")
        if pole or ground is not None:
            stand(frame, ids, rng, rgba, x, y, size, ground if pole else None, standing=True)
        elif rng.random() < 0.4:  # a shadow thrown on what is behind
            offset = int(max(1, size * rng.uniform(0.02, 0.08)))
            shade = cv2.GaussianBlur(rgba[..., 3], (0, 0), max(0.6, size * 0.02))
            canvas.paste(frame, np.zeros((height, width, 3), np.uint8), (shade * 0.4).astype(np.uint8), x + offset, y + offset)
        paste_object(frame, ids, rgba, x, y, len(done) + 1)
        done.append(Put(obj, colour, rgba, x, y, len(done) + 1, pole))
        if rng.random() < 0.05 and size > 60:
            _hide(frame, ids, rng, done[-1], size, held_out)
    return ids, done


def window(size):
    """x1, y1, x2, y2 of the largest part of the canvas with the aspect of size (width, height) px. Raises Ps3Error for a size that is
    not within 64 px and the canvas.
    """
    width, height = (int(v) for v in size)
    if not (64 <= width <= canvas.WIDTH and 64 <= height <= canvas.HEIGHT):
        raise Ps3Error(f"A frame of {width} x {height} px cannot be made; ask for 64 x 64 to {canvas.WIDTH} x {canvas.HEIGHT} px.")
    scale = min(canvas.WIDTH / width, canvas.HEIGHT / height)
    w, h = round(width * scale), round(height * scale)
    x, y = (canvas.WIDTH - w) // 2, (canvas.HEIGHT - h) // 2
    return x, y, x + w, y + h


def turned_box(ids, put, matrix, zoom):
    """(box or None, fraction) of a pasted object in ids that were turned by `matrix` [2, 3] and enlarged by `zoom`."""
    height, width = put.rgba.shape[:2]
    corners = np.array([[put.x, put.y], [put.x + width, put.y], [put.x, put.y + height], [put.x + width, put.y + height]], np.float64)
    corners = corners @ matrix[:, :2].T + matrix[:, 2]
    (x1, y1), (x2, y2) = np.floor(corners.min(0)).astype(int) - 1, np.ceil(corners.max(0)).astype(int) + 1
    box, seen = box_within(ids, (int(x1), int(y1), int(x2), int(y2)), put.number)
    total = int((put.rgba[..., 3] >= OPAQUE).sum()) * zoom * zoom
    return box, min(1.0, seen / total) if box and total else 0.0


def _captioned(ids, done, background, size, matrix, zoom, rng, split):
    """(things, what can be seen [(object, colour), ...], names of those without a caption) of a frame of `size` (width, height) px."""
    scale = size[0] / ids.shape[1]
    things, seen, silent = [], [], set()
    for put in done:
        box, fraction = turned_box(ids, put, matrix, zoom)
        if box is None:
            continue
        obj, colour = put.obj, put.colour
        meaning = captions.means(obj, colour)
        seen.append((obj, colour))
        box = tuple(int(v) for v in (*np.floor(np.multiply(box[:2], scale)), *np.ceil(np.multiply(box[2:], scale))))
        box = (*box[:2], min(box[2], size[0]), min(box[3], size[1]))
        side = max(box[2] - box[0], box[3] - box[1])
        if fraction < VISIBLE or side < LEAST or (words.is_text(obj) and fraction < 0.8):
            silent.update(meaning)
            continue
        third = (int(1.5 * (box[0] + box[2]) / size[0]), int(1.5 * (box[1] + box[3]) / size[1]))
        text, asks = captions.caption(
            obj,
            rng,
            colour,
            "pole" if put.pole else background.place,
            side,
            held_out=split == "test-phrasing",
            where=(min(third[0], 2), min(third[1], 2)),
            visible=fraction,
        )
        things.append(Thing(obj.name, text, asks, meaning, box, round(fraction, 3), colour or "", not obj.held_out))
    return things, seen, silent


def scene(objects, seed, split="train", place=None, size=(canvas.WIDTH, canvas.HEIGHT)):
    """One scene. objects: from catalogue.load(). seed: int or sequence of ints. split: a key of choosing.SPLITS: `train`; `test-seen` (seen
    objects), `test-new` (held-out objects, seen ones beside them), `test-phrasing` (phrasings that train lacks); test backgrounds are never
    those of train. place: a key of captions.CONTEXT. size: (width, height) px of the frame, at most 3840 x 2160.

    Raises ValueError for an unknown split or place, a size that cannot be made, or an empty catalogue.
    """
    if split not in choosing.SPLITS:
        raise ValueError(f"There is no split named {split!r}; use {', '.join(choosing.SPLITS)}.")
    if not objects:
        raise ValueError(
            "The catalogue is empty, so no scene can be made; fetch the pictures first (python -m ps3_training.data.fetch_assets)."
        )
    x1, y1, x2, y2 = window(size)
    rng = np.random.default_rng(seed)
    held_out = split != "train"
    background = backgrounds.make(rng, place, held_out, varied=not held_out)
    chosen = choosing.choose(objects, rng, int(rng.integers(4, 11)), split, background.place)
    ids, done = _paste_all(background, _place_all(background, chosen, rng), rng, held_out)

    frame, matrix, zoom = background.pixels, np.eye(2, 3), 1.0
    if background.place == "street":
        frame = augment.weather(frame, rng, background.horizon)
    roll = augment.roll_of(rng)
    if roll:
        frame, ids, matrix, zoom = augment.rolled(frame, ids, roll)
    if (x1, y1, x2, y2) != (0, 0, canvas.WIDTH, canvas.HEIGHT):
        frame, ids, matrix = frame[y1:y2, x1:x2], ids[y1:y2, x1:x2], matrix - [[0, 0, x1], [0, 0, y1]]
    if frame.shape[1::-1] != tuple(size):
        frame = cv2.resize(frame, tuple(size), interpolation=cv2.INTER_AREA)

    things, seen, silent = _captioned(ids, done, background, size, matrix, zoom, rng, split)
    nouns = [f"{t.colour} {t.name}".strip() for t in sorted(things, key=lambda t: (t.box[0] - t.box[2]) * (t.box[3] - t.box[1]))]
    things = relations.relate(things, rng, split == "test-phrasing")
    if split != "test-phrasing":
        things = relations.count(things, silent, rng)
    count = 4 if split == "train" else max(4, len(things))
    absent = choosing.absent_names(objects, seen, rng, count, split, background.place)
    absent_text = tuple(captions.absent_caption(name, rng, split == "test-phrasing") for name in absent)
    words_for_all = captions.global_caption(background.place, nouns, rng)
    return Scene(augment.camera(frame, rng), background.place, tuple(things), words_for_all, absent, absent_text)
