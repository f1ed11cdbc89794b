"""A scene: a background, 4 to 10 named objects pasted where they could be, boxes from the pixels that stay visible, and captions.

scene = compose.scene(objects, seed, split="train")       # same arguments, same scene
scene.pixels  uint8 [2160, 3840, 3] BGR;  scene.things    tuple[Thing]: box, name, text, asks, ...
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from . import augment, backgrounds, canvas, captions, catalogue

SMALLEST, LARGEST = 24, 600  # px, longer side of a pasted object
VISIBLE = 0.45  # an object of which less than this fraction can be seen gets no caption
OPAQUE = 110  # alpha from which a pixel counts as the object's


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
    """A frame with what is in it. `absent`: names of catalogue objects that are not in it, for questions without an answer."""

    pixels: np.ndarray
    place: str
    things: tuple
    global_text: str
    absent: tuple


def paste_object(frame, ids, rgba, x, y, number):
    """Blends RGBA onto the BGR frame at integer x, y (parts may lie outside) and marks its opaque pixels `number` in ids [H, W]."""
    alpha = rgba[..., 3]
    canvas.paste(frame, rgba[..., 2::-1], alpha, x, y)
    height, width = alpha.shape
    x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x + width, frame.shape[1]), min(y + height, frame.shape[0])
    if x2 > x1 and y2 > y1:
        ids[y1:y2, x1:x2][alpha[y1 - y : y2 - y, x1 - x : x2 - x] >= OPAQUE] = number


def visible_box(ids, rgba, x, y, number):
    """((x1, y1, x2, y2), fraction) of the pixels of `number` that stayed visible; (None, 0.0) if none did."""
    total = int((rgba[..., 3] >= OPAQUE).sum())
    height, width = rgba.shape[:2]
    x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x + width, ids.shape[1]), min(y + height, ids.shape[0])
    if total == 0 or x2 <= x1 or y2 <= y1:
        return None, 0.0
    seen = ids[y1:y2, x1:x2] == number
    columns, rows = np.flatnonzero(seen.any(0)), np.flatnonzero(seen.any(1))
    if not len(rows):
        return None, 0.0
    return (x1 + int(columns[0]), y1 + int(rows[0]), x1 + int(columns[-1]) + 1, y1 + int(rows[-1]) + 1), float(seen.sum()) / total


def _size(rng, smallest=SMALLEST, largest=LARGEST):
    """Log-uniform, leaning to the small end: half of the objects are below about 90 px."""
    return int(round(smallest * (largest / smallest) ** (rng.random() ** 1.3)))


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


def _choose(objects, rng, count, split):
    """Objects for a scene; in 3 of 10 scenes half of them come from one group, so that telling them apart matters."""
    pool = [o for o in objects if not o.held_out]
    rare = [o for o in objects if o.held_out] if split == "test" else []
    lights = [o for o in pool if o.kind == "light"]
    chosen = []
    if rng.random() < 0.3:
        first = pool[rng.integers(len(pool))]
        alike = [o for o in pool if o.group == first.group]
        chosen = [alike[rng.integers(len(alike))] for _ in range(max(2, count // 2))]
    if lights and pool and chosen == [] and any(o.kind == "sign" for o in pool) and rng.random() < 0.5:
        chosen = [lights[rng.integers(len(lights))] for _ in range(int(rng.integers(1, 3)))]
    while len(chosen) < count:
        source = rare if rare and rng.random() < 0.12 else pool
        if source is pool and rng.random() < 0.5:  # first a group, then a member: not only signs because there are many
            groups = sorted({o.group for o in pool})
            group = groups[rng.integers(len(groups))]
            source = [o for o in pool if o.group == group]
        chosen.append(source[rng.integers(len(source))])
    return [chosen[i] for i in rng.permutation(len(chosen))]


def _place_in_street(background, obj, rng):
    """(size px, x centre, bottom y, ground y) for an object in a street, from its real size; None if no place was found."""
    center, left, right = background.road
    for _ in range(12):
        size = _size(rng)
        scale = size / obj.metres  # px a metre at its distance
        ground = background.horizon + background.camera * scale
        raised = 0.0
        if obj.kind in ("sign", "light"):
            raised = float(rng.uniform(1.5, 2.6)) if obj.kind == "sign" else float(rng.uniform(2.2, 4.5))
        bottom = ground - raised * scale
        if obj.kind in ("sign", "light"):
            side = left - rng.uniform(0.3, 2.2) if rng.random() < 0.45 else right + rng.uniform(0.3, 2.2)
            if obj.kind == "light" and rng.random() < 0.35:
                side = rng.uniform(left, right)  # hung over the road
        elif obj.group in ("vehicle", "two wheels"):
            side = rng.uniform(left + 1, right - 1)
        else:
            side = left - rng.uniform(0.2, 3) if rng.random() < 0.5 else right + rng.uniform(0.2, 3)
        x = center + side * scale
        if scale > 900 or not -0.1 * size < x < canvas.WIDTH + 0.1 * size:
            x = rng.uniform(size, canvas.WIDTH - size)  # near things: anywhere across
        if bottom - size * 0.8 > 0 and bottom - size * 0.4 < canvas.HEIGHT:
            return size, x, bottom, ground
    return None


def _place_in_room(background, obj, rng):
    stand = background.stands[rng.integers(len(background.stands))]
    if rng.random() < 0.15 and obj.group in ("clock", "furniture", "clothes", "music"):  # on the wall
        size = _size(rng, 48)
        return size, rng.uniform(size, canvas.WIDTH - size), rng.uniform(size, canvas.HEIGHT * 0.5), None
    relative = (obj.metres / 0.2) ** 0.45  # big things are bigger, but a shelf of matchsticks and wardrobes helps nobody
    size = _size(rng, SMALLEST, 420)
    size = int(
        np.clip(size * relative, SMALLEST, min(LARGEST, stand.scale * 0.32 if stand.y < background.pixels.shape[0] * 0.5 else LARGEST))
    )
    return size, rng.uniform(stand.x1, stand.x2), stand.y, stand.y


def _overlap(box, others):
    """Largest part of `box`, or of one of the others, that both share."""
    worst = 0.0
    for other in others:
        w = min(box[2], other[2]) - max(box[0], other[0])
        h = min(box[3], other[3]) - max(box[1], other[1])
        if w > 0 and h > 0:
            small = min((box[2] - box[0]) * (box[3] - box[1]), (other[2] - other[0]) * (other[3] - other[1]))
            worst = max(worst, w * h / max(small, 1))
    return worst


def scene(objects, seed, split="train", place=None):
    """One scene. objects: from catalogue.load(). seed: int or sequence of ints. split: train or test (held-out objects and phrasings).

    Raises ValueError for an unknown split or an empty catalogue.
    """
    if split not in ("train", "test"):
        raise ValueError(f"There is no split named {split!r}; use train or test.")
    if not objects:
        raise ValueError(
            "The catalogue is empty, so no scene can be made; fetch the pictures first (python -m ps3_training.data.fetch_assets)."
        )
    rng = np.random.default_rng(seed)
    background = backgrounds.make(rng, place)
    frame = background.pixels
    fitting = {"street": ("street", "any"), "room": ("room", "any")}.get(background.place, ("street", "room", "any"))
    pool = [o for o in objects if o.place in fitting] or list(objects)
    chosen = _choose(pool, rng, int(rng.integers(4, 11)), split)

    placed = []  # (object, colour, size, x centre, bottom, ground)
    for obj in chosen:
        colour = None
        if obj.recolour and rng.random() < 0.6:
            colour = list(catalogue.COLOURS)[rng.integers(len(catalogue.COLOURS))]
        if background.place == "street" and background.road[2] > background.road[1]:
            where = _place_in_street(background, obj, rng)
        elif background.place == "room" and background.stands:
            where = _place_in_room(background, obj, rng)
        else:
            size = _size(rng)
            where = size, rng.uniform(0, canvas.WIDTH), rng.uniform(size * 0.5, canvas.HEIGHT), None
        if where:
            placed.append((obj, colour, *where))
    placed.sort(key=lambda p: (p[5] or p[4]) if background.place == "street" else p[4])  # far first

    ids = np.zeros(frame.shape[:2], np.uint8)
    put = []  # (object, colour, rgba, x, y, number, on a pole)
    taken = []
    for obj, colour, size, center, bottom, ground in placed:
        lying = background.place in ("photo", "texture") and obj.kind not in ("sign", "light") and rng.random() < 0.3
        rgba = augment.dressed(catalogue.render(obj, rng, size, colour), rng, obj.kind, lying=lying)
        height, width = rgba.shape[:2]
        for _ in range(8):
            x, y = int(round(center - width / 2)), int(round(bottom - height))
            box = (x, y, x + width, y + height)
            if _overlap(box, taken) < 0.25:
                break
            center = center + rng.normal(0, 2.5 * size) if ground is not None else rng.uniform(0, canvas.WIDTH)
            if ground is None:
                bottom = rng.uniform(size * 0.5, canvas.HEIGHT)
        else:
            if rng.random() < 0.8:
                continue
        taken.append(box)
        number = len(put) + 1
        pole = background.place == "street" and obj.kind in ("sign", "light")
        if pole or ground is not None:
            stand(frame, ids, rng, rgba, x, y, size, ground if pole else None, standing=True)
        elif rng.random() < 0.4:  # a shadow thrown on what is behind
            offset = int(max(1, size * rng.uniform(0.02, 0.08)))
            shade = cv2.GaussianBlur(rgba[..., 3], (0, 0), max(0.6, size * 0.02))
            canvas.paste(frame, np.zeros((height, width, 3), np.uint8), (shade * 0.4).astype(np.uint8), x + offset, y + offset)
        paste_object(frame, ids, rgba, x, y, number)
        put.append((obj, colour, rgba, x, y, number, pole))
        if rng.random() < 0.05 and size > 60:  # something in front: leaves or a post
            if rng.random() < 0.5:
                color, alpha = canvas.leaves(int(rng.integers(12)))
                side = int(size * rng.uniform(0.4, 0.8))
                color, alpha = cv2.resize(color, (side, side)), cv2.resize(alpha, (side, side))
                lx, ly = int(x + rng.uniform(-0.3, 0.7) * width), int(y + rng.uniform(-0.3, 0.7) * height)
                canvas.paste(frame, color, alpha, lx, ly)
                x1, y1, x2, y2 = max(lx, 0), max(ly, 0), min(lx + side, frame.shape[1]), min(ly + side, frame.shape[0])
                if x2 > x1 and y2 > y1:
                    ids[y1:y2, x1:x2][alpha[y1 - ly : y2 - ly, x1 - lx : x2 - lx] >= OPAQUE] = 0
            else:
                _pole(
                    frame, ids, rng, x + width * rng.uniform(0.1, 0.9), y - height, y + height * 2, max(2, size * rng.uniform(0.05, 0.15))
                )

    things, present = [], set()
    for obj, colour, rgba, x, y, number, pole in put:
        box, fraction = visible_box(ids, rgba, x, y, number)
        if box is None:
            continue
        meaning = captions.means(obj, colour)
        present.update(meaning)
        if fraction < VISIBLE or max(box[2] - box[0], box[3] - box[1]) < 14:
            continue
        text, asks = captions.caption(
            obj,
            rng,
            colour,
            "pole" if pole else background.place,
            max(box[2] - box[0], box[3] - box[1]),
            held_out=split == "test" and rng.random() < 0.25,
        )
        things.append(Thing(obj.name, text, asks, meaning, box, round(fraction, 3), colour or "", not obj.held_out))
    absent = [o.name for o in objects if o.name not in present and not set(o.families) & present]
    absent = tuple(absent[i] for i in rng.permutation(len(absent))[:4])
    words = [f"{t.colour} {t.name}".strip() for t in sorted(things, key=lambda t: (t.box[0] - t.box[2]) * (t.box[3] - t.box[1]))]
    return Scene(augment.camera(frame, rng), background.place, tuple(things), captions.global_caption(background.place, words, rng), absent)
