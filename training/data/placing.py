"""Where a thing goes in a street, in a room or on a photograph, and how large it is there."""

import numpy as np

from . import canvas, words

SMALLEST, LARGEST = 24, 600  # px, longer side of a pasted object


def size_of(obj, rng, smallest=SMALLEST, largest=LARGEST):
    """Longer side in px, log-uniform, leaning to the small end: half of the objects are below about 90 px; words can always be read."""
    if words.is_text(obj):
        smallest = max(smallest, words.least_size(obj))
        largest = max(largest, 2 * smallest)
    return int(round(smallest * (largest / smallest) ** (rng.random() ** 1.3)))


def in_street(background, obj, rng):
    """(size px, x centre, bottom y, ground y) for an object in a street, from its real size; None if no place was found."""
    center, left, right = background.road
    for _ in range(12):
        size = size_of(obj, rng)
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


def in_room(background, obj, rng):
    """(size px, x centre, bottom y, ground y or None) for an object on a shelf, on the table or on the wall."""
    stand = background.stands[rng.integers(len(background.stands))]
    if rng.random() < (0.5 if words.is_text(obj) else 0.15) and obj.group in (
        "clock",
        "furniture",
        "clothes",
        "music",
        "text sign",
    ):  # on the wall
        size = size_of(obj, rng, 48)
        return size, rng.uniform(size, canvas.WIDTH - size), rng.uniform(size, canvas.HEIGHT * 0.5), None
    relative = (obj.metres / 0.2) ** 0.45  # big things are bigger, but a shelf of matchsticks and wardrobes helps nobody
    size = size_of(obj, rng, SMALLEST, 420)
    least = words.least_size(obj) if words.is_text(obj) else SMALLEST
    size = int(
        np.clip(
            size * relative, least, max(least, min(LARGEST, stand.scale * 0.32 if stand.y < background.pixels.shape[0] * 0.5 else LARGEST))
        )
    )
    return size, rng.uniform(stand.x1, stand.x2), stand.y, stand.y


def anywhere(background, obj, rng):
    """(size px, x centre, bottom y, None) for an object on a photograph or a texture."""
    size = size_of(obj, rng)
    return size, rng.uniform(0, canvas.WIDTH), rng.uniform(size * 0.5, canvas.HEIGHT), None


def place(background, obj, rng):
    """Where the object goes on this background, as the functions above say; None if no place was found."""
    if background.place == "street" and background.road[2] > background.road[1]:
        return in_street(background, obj, rng)
    if background.place == "room" and background.stands:
        return in_room(background, obj, rng)
    return anywhere(background, obj, rng)


def overlap(box, others):
    """Largest part of `box`, or of one of the others, that both share."""
    worst = 0.0
    for other in others:
        w = min(box[2], other[2]) - max(box[0], other[0])
        h = min(box[3], other[3]) - max(box[1], other[1])
        if w > 0 and h > 0:
            small = min((box[2] - box[0]) * (box[3] - box[1]), (other[2] - other[0]) * (other[3] - other[1]))
            worst = max(worst, w * h / max(small, 1))
    return worst
