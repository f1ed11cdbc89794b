"""Rendered scenes: rooms and streets of 3D models, with boxes measured on the pixels that each thing really shows.

    if scenes3d.available():
        scene = scenes3d.scene3d("room", seed, "train")      # a compose.Scene; same arguments, same scene

What is drawn is put together in rooms3d.py and streets3d.py, and drawn by render.py.
"""

from functools import lru_cache

import cv2
import numpy as np

from ps3_ros.errors import Ps3Error

from . import augment, captions, catalogue, choosing, compose, models, named_models, relations, render, rooms3d, streets3d, words
from .canvas import HEIGHT, WIDTH

KINDS = {"room": rooms3d.room, "street": streets3d.street}
ALONE = 128  # px, the picture in which a thing is drawn alone to know how much of it is hidden
KEPT = 220  # models the renderer holds before it forgets them all


@lru_cache(maxsize=1)
def _catalogue():
    objects = catalogue.load()
    stock = named_models.stock(objects)
    known = {obj.name for obj in objects}
    new = {s.obj.name: s.obj for s in stock if s.obj.name not in known}
    return (*objects, *new.values()), stock


def available():
    """Whether 3D models and something to draw them with are here."""
    if not models.entries():
        return False
    try:
        render.shared()
    except render.RenderError:
        return False
    return True


def _alone(renderer, world, thing, view, clip, size):
    """How many of the frame's pixels a thing would have with nothing before it and no edge of the picture; None behind the camera."""
    points = np.concatenate([part.vertices[:, :3] for part in thing.model.parts])
    points = points[:: max(1, len(points) // 4000)]  # enough to know where it ends
    seen = clip @ view @ thing.matrix @ np.c_[points, np.ones(len(points))].T
    if seen[3].min() < world.camera.near:
        return None
    flat = seen[:2] / seen[3]
    low, high = flat.min(1), flat.max(1)
    half = np.maximum((high - low) / 2 * 1.03, 1e-6)
    fit = np.eye(4)
    fit[0, 0], fit[1, 1] = 1 / half
    fit[:2, 3] = -(low + high) / 2 / half
    numbers = renderer.numbers([thing], view, fit @ clip, (ALONE, ALONE))
    share = float((numbers == thing.number).mean())
    return share * half[0] * half[1] * size[0] * size[1]


def _boxes(ids, count):
    """{number: (x1, y1, x2, y2, pixels)} of the numbers 1 to count that can be seen in ids [H, W]."""
    found = {}
    height, width = ids.shape
    totals = np.bincount(ids.reshape(-1), minlength=count + 1)
    flags = np.zeros((count + 1, width), bool)
    rows = np.zeros((count + 1, height), bool)
    for y in range(height):
        present = np.flatnonzero(np.bincount(ids[y], minlength=count + 1))
        rows[present, y] = True
        flags[ids[y], np.arange(width)] = True
    for number in range(1, count + 1):
        if totals[number]:
            xs, ys = np.flatnonzero(flags[number]), np.flatnonzero(rows[number])
            found[number] = (int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1, int(totals[number]))
    return found


def draw(world, size):
    """(uint8 [H, W, 3] BGR, uint16 ids [H, W], {number: (box, visible fraction or None)}) of a World. size: (width, height) px."""
    renderer = render.shared()
    if len(renderer.sent) > KEPT:
        renderer.forget()
    background = (0.0, 0.0, 0.0, 1.0)
    if world.background is not None:
        background = cv2.resize(world.background, tuple(size), interpolation=cv2.INTER_LINEAR)
    pixels, ids = renderer.draw(world.things, world.camera, world.light, size, background=background)
    view, clip = world.camera.view(), world.camera.projection(size)
    boxes = _boxes(ids, len(world.items))
    by_number = {thing.number: thing for thing in world.things if thing.number}
    seen = {}
    for number, (*box, count) in boxes.items():
        whole = _alone(renderer, world, by_number[number], view, clip, size)
        seen[number] = (tuple(box), None if whole is None else min(1.0, float(count / max(whole, 1.0))))
    return np.ascontiguousarray(pixels[..., 2::-1]), ids, seen


def _captioned(world, seen, size, rng, split):
    """(things, what can be seen [(object, colour), ...], names of those without a caption), as compose does it."""
    things, there, silent = [], [], set()
    for item in world.items:
        if item.number not in seen:
            continue
        box, fraction = seen[item.number]
        meaning = captions.means(item.obj, item.colour)
        there.append((item.obj, item.colour if item.colour in catalogue.COLOURS else None))
        side = max(box[2] - box[0], box[3] - box[1])
        unread = words.is_text(item.obj) and (fraction is None or fraction < 0.8 or side * WIDTH / size[0] < words.least_size(item.obj))
        if item.quiet or fraction is None or fraction < compose.VISIBLE or side < compose.LEAST or unread:
            silent.update(meaning)
            continue
        third = tuple(min(int(1.5 * (box[k] + box[k + 2]) / size[k]), 2) for k in (0, 1))
        text, asks = captions.caption(
            item.obj, rng, item.colour, item.context, side, held_out=split == "test-phrasing", where=third, visible=fraction
        )
        thing = compose.Thing(item.obj.name, text, asks, meaning, box, round(fraction, 3), item.colour, not item.obj.held_out)
        things.append(thing)
    return things, there, silent


def scene3d(kind, seed, split="train", size=(WIDTH, HEIGHT)):
    """One rendered scene, a compose.Scene. kind: room or street. seed: int or sequence of ints. split: a key of choosing.SPLITS.

    size: (width, height) px, at most what OpenGL here can draw. Raises ValueError for an unknown kind or split, Ps3Error where the
    models or OpenGL are missing.
    """
    if kind not in KINDS:
        raise ValueError(f"There is no rendered scene of kind {kind!r}; use {' or '.join(KINDS)}.")
    if split not in choosing.SPLITS:
        raise ValueError(f"There is no split named {split!r}; use {', '.join(choosing.SPLITS)}.")
    if not models.entries():
        raise Ps3Error(
            f"There are no 3D models under {str(models.folder())!r}; install them (Debian: apt-get install sweethome3d-furniture) "
            f"or set {models.FOLDER} to where they are."
        )
    objects, stock = _catalogue()
    rng = np.random.default_rng(seed)
    world = KINDS[kind](stock, objects, rng, split)
    frame, _, seen = draw(world, size)
    things, there, silent = _captioned(world, seen, size, rng, split)
    nouns = [f"{t.colour} {t.name}".strip() for t in sorted(things, key=lambda t: (t.box[0] - t.box[2]) * (t.box[3] - t.box[1]))]
    things = relations.relate(things, rng, split == "test-phrasing")
    if split != "test-phrasing":
        things = relations.count(things, silent, rng)
    absent = choosing.absent_names(objects, there, rng, 4 if split == "train" else max(4, len(things)), split, kind)
    absent_text = tuple(captions.absent_caption(name, rng, split == "test-phrasing") for name in absent)
    if kind == "street":
        frame = augment.weather(frame, rng, size[1] * 0.5)
    return compose.Scene(augment.camera(frame, rng), kind, tuple(things), captions.global_caption(kind, nouns, rng), absent, absent_text)
