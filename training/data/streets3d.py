"""Streets in three dimensions: a road between kerbs, house fronts, traffic, trees and lamps, signs and lights on posts.

Metres, y up; the camera stands on the road at z = 0 and looks along -z, the way the road runs.
"""

import numpy as np

from . import augment, shapes
from .canvas import sky_over
from .models import Model, Part
from .placed import Camera, Light
from .signs3d import distance, free, grey, plates, signs
from .streets import _facade, _test_facade
from .world import Picker, World

END = 150.0  # metres of road that are drawn
FURNITURE = ("bench", "trash bin", "recycling bin", "mailbox", "fire hydrant", "street lamp", "fountain", "rock", "planter", "flower box")
TWO_WHEELS = ("bicycle", "motorcycle", "scooter", "skateboard", "tricycle", "baby stroller", "wheelchair")
OUTDOORS = ("seating", "table", "thing", "sport", "road thing", "toy")
LOOSE = (
    "package", "open cardboard box", "crate", "barrel", "pallet", "suitcase", "backpack", "wheelie bin", "traffic cone", "wheelbarrow",
    "basketball", "soccer ball", "umbrella", "folding chair", "snowman", "shipping container", "bulldog", "ladder", "lawn mower",
)  # fmt: skip


def _rgba(bgr):
    return np.dstack([bgr[..., ::-1], np.full(bgr.shape[:2], 255, np.uint8)])


def _rough(rng, base, amount, side=256):
    """A grainy texture about a colour (sRGB, 0 to 255): uint8 [side, side, 4]."""
    field = augment.fractal(rng, side, side, cells=24, octaves=3, falloff=0.9)[..., None] * amount
    return np.dstack([np.clip(np.asarray(base, float) + field, 0, 255).astype(np.uint8), np.full((side, side), 255, np.uint8)])


def _strip(world, x1, x2, z1, z2, y=0.0, span=4.0, **look):
    """A flat piece of ground from x1 to x2 and from z1 (near) to z2 (far, more negative)."""
    corners = [(x1, y, z1), (x2, y, z1), (x2, y, z2), (x1, y, z2)]
    world.add(shapes.quad(corners, repeat=((x2 - x1) / span, (z1 - z2) / span), **look), (0, 0, 0), shadow=False)


def _ground(world, rng, left, right, town):
    """Road, markings, kerbs and pavements or verges. Returns how wide the pavements are, metres."""
    walk = float(rng.uniform(1.8, 4.5))
    asphalt = rng.uniform(60, 120)
    far = -END * 2
    outside = (np.array([110, 120, 90]) if town else np.array([75, 115, 50])) * rng.uniform(0.7, 1.2)
    _strip(world, -120, 120, 20, far, -0.06, 9.0, texture=_rough(rng, outside, 16))
    _strip(world, left, right, 20, far, 0.0, 5.0, texture=_rough(rng, asphalt + rng.normal(0, 3, 3), 9))
    paved = _rough(rng, rng.uniform(120, 190) + rng.normal(0, 5, 3), 8) if town else _rough(rng, outside * 0.9, 18)
    if town:  # slabs
        paved[::64, :, :3] = (paved[::64, :, :3] * 0.7).astype(np.uint8)
        paved[:, ::64, :3] = (paved[:, ::64, :3] * 0.7).astype(np.uint8)
    kerb = grey(rng, 0.5, 0.75)
    for side, edge in ((-1, left), (1, right)):
        a, b = sorted((edge, edge + side * walk))
        _strip(world, a, b, 20, far, 0.12, 2.4, texture=paved)
        rim = [(edge, 0, 20), (edge, 0, far), (edge, 0.12, far), (edge, 0.12, 20)]
        world.add(shapes.quad(rim if side > 0 else rim[::-1], colour=kerb), (0, 0, 0), shadow=False)
        inner, outer = sorted((edge, edge + side * 0.15))
        _strip(world, inner, outer, 20, far, 0.125, 1.0, colour=kerb)
    white = grey(rng, 0.75, 0.92)
    line = white if rng.random() < 0.7 else (0.85, 0.66, 0.12)
    middle, period = (left + right) / 2, float(rng.uniform(4, 9))
    for z in np.arange(6, END, period):
        _strip(world, middle - 0.07, middle + 0.07, -z, -z - period * 0.45, 0.012, colour=line)
    if rng.random() < 0.6:
        for x in (left + 0.35, right - 0.35):
            _strip(world, x - 0.06, x + 0.06, 20, -END, 0.012, colour=white)
    if rng.random() < 0.4:
        z = float(rng.uniform(7, 25))
        for x in np.arange(left + 0.4, right - 0.5, 1.0):
            _strip(world, x, x + 0.5, -z, -z - 3, 0.014, colour=white)
    for _ in range(int(rng.integers(0, 7))):
        x, z, shade = rng.uniform(left + 0.5, right - 1.5), rng.uniform(5, 45), asphalt / 255 * rng.uniform(0.7, 1.15)
        _strip(world, x, x + rng.uniform(0.4, 1.4), -z, -z - rng.uniform(0.5, 4), 0.006, colour=(shade,) * 3)
    return walk


def _house(rng, front, width, height, depth):
    """A block with one texture on the side to the street (+z before it is turned) and on its ends; a flat roof."""
    x, z = width / 2, depth / 2
    texture = _rgba(front)
    floors = front.shape[0] / 110
    bays = max(1, round(width / (height / floors) / (front.shape[1] / 110)))
    around = max(1, round(bays * depth / width))
    wall = [
        shapes.face([(-x, 0, z), (x, 0, z), (x, height, z), (-x, height, z)], texture=texture, repeat=(bays, 1)),
        shapes.face([(x, 0, z), (x, 0, -z), (x, height, -z), (x, height, z)], texture=texture, repeat=(around, 1)),
        shapes.face([(-x, 0, -z), (-x, 0, z), (-x, height, z), (-x, height, -z)], texture=texture, repeat=(around, 1)),
    ]
    roof = float(rng.uniform(0.15, 0.5))
    edge = 0.3
    top = shapes.box(width + edge, 0.35, depth + edge, (roof, roof * 0.9, roof * 0.85))
    return shapes.together(*wall, *(shapes.moved(part, y=height) for part in top.parts))


def _houses(world, rng, edges, held_out):
    """House fronts on both sides, with gaps. Returns where walls face the street: (x, z, side, height)."""
    make = _test_facade if held_out else _facade
    fronts = [make(rng) for _ in range(4)]
    walls = []
    for side, edge in edges:
        z = -float(rng.uniform(-4, 12))
        while z > -END:
            width = float(rng.uniform(8, 24))
            front = fronts[rng.integers(4)]
            height, depth = front.shape[0] / 110 * float(rng.uniform(2.7, 3.5)), float(rng.uniform(7, 14))
            if rng.random() < 0.85:
                back = float(rng.uniform(0, 1.5))
                x = edge + side * (depth / 2 + back)
                world.add(_house(rng, front, width, height, depth), (x, 0, z - width / 2), -90.0 * side)
                walls.append((edge + side * back, z - width / 2, side, height))
            z -= width + (float(rng.uniform(2, 9)) if rng.random() < 0.35 else 0.0)
    return walls


def _traffic(world, picker, rng, left, right, taken):
    """Cars, buses, trucks and two-wheelers in their lanes and parked at the kerb."""
    middle = (left + right) / 2
    for _ in range(int(rng.integers(2, 9))):
        stocked = picker.pick(lambda e: e.group == "vehicle" and 2 < e.metres < 17 and e.name not in ("rowboat", "forklift"))
        if stocked is None:
            break
        width, _, depth = stocked.entry.size
        across = width > depth
        length, wide = max(width, depth), min(width, depth)
        parked, lane = rng.random() < 0.45, 1 if rng.random() < 0.5 else -1
        z = -distance(rng, 7 + length / 2, 90)
        x = (right - wide / 2 - 0.2 if lane > 0 else left + wide / 2 + 0.2) if parked else middle + lane * (right - left) / 4
        if not parked and lane > 0 and z > -16:
            continue  # not on our own bumper
        if not free(taken, x, z, length / 2):
            continue
        turn = (180.0 if lane > 0 else 0.0) + float(rng.normal(0, 3)) - (90.0 if across else 0.0)
        model, colour = picker.look(stocked)
        world.add(model, (x, 0, z), turn, stocked.obj, colour, "street")
    for _ in range(int(rng.integers(0, 4))):
        stocked = picker.pick(lambda e: e.name in TWO_WHEELS)
        if stocked is None:
            break
        side = 1 if rng.random() < 0.5 else -1
        on_road = rng.random() < 0.5
        x = (right if side > 0 else left) - side * (0.8 if on_road else -1.0)
        z = -distance(rng, 4, 45)
        if free(taken, x, z, stocked.entry.metres / 2):
            model, colour = picker.look(stocked)
            world.add(model, (x, 0.0 if on_road else 0.12, z), float(rng.uniform(0, 360)), stocked.obj, colour, "street")


def _pavement(world, picker, rng, left, right, walk, taken):
    """What stands on the pavements: trees, lamps, benches, bins, people, dogs, boxes."""
    kinds = (
        (lambda e: e.group == "plant" and e.category == "Exterior" and e.size[1] > 1.2, 0.28),
        (lambda e: e.name in FURNITURE, 0.26),
        (lambda e: e.group in ("person", "animal") and "lying" not in e.name and "sitting" not in e.name, 0.22),
        (lambda e: e.name in LOOSE, 0.18),
        (lambda e: e.place == "street" and e.group in OUTDOORS and e.metres < 4, 0.06),
    )
    bounds = np.cumsum([share for _, share in kinds])
    for _ in range(int(rng.integers(8, 20))):
        fits = kinds[int(np.searchsorted(bounds, rng.random() * bounds[-1], side="right"))][0]
        stocked = picker.pick(fits)
        if stocked is None:
            continue
        side = 1 if rng.random() < 0.5 else -1
        width, height, depth = stocked.entry.size
        radius = min(max(width, depth) / 2, 1.2)
        x = (right if side > 0 else left) + side * float(rng.uniform(min(0.3 + radius, walk * 0.5), max(walk - 0.2 - radius, walk * 0.55)))
        z = -distance(rng, 3.5, 70 if height > 1 else 25)
        if not free(taken, x, z, radius):
            continue
        model, colour = picker.look(stocked)
        turn = -90.0 * side + float(rng.normal(0, 30)) if stocked.obj.name in FURNITURE else float(rng.uniform(0, 360))
        scale = float(rng.uniform(0.8, 1.25)) if stocked.entry.group == "plant" else 1.0
        world.add(model, (x, 0.12 + stocked.entry.elevation, z), turn, stocked.obj, colour, "street", scale=scale)


def _wires(rng, left, right):
    """Thin dark wires across the street, as one Model."""
    rows = []
    for _ in range(int(rng.integers(1, 4))):
        z, height, sag = -float(rng.uniform(8, 60)), float(rng.uniform(6, 9)), float(rng.uniform(0.2, 0.9))
        x = np.linspace(left - 5, right + 5, 13)
        y = height - sag * (1 - ((x - x.mean()) / np.ptp(x) * 2) ** 2)
        for a in range(12):
            p = [(x[a], y[a]), (x[a + 1], y[a + 1]), (x[a + 1], y[a + 1] + 0.02), (x[a], y[a] + 0.02)]
            rows += [[*p[k], z, 0, 0, 1, 0, 0] for k in (0, 1, 2, 0, 2, 3)]
    part = Part(np.array(rows, np.float32), (0.05, 0.05, 0.05), 1.0, 0.0)
    return Model((part,), np.array([part.vertices[:, :3].min(0), part.vertices[:, :3].max(0)], float))


def _weather(rng, sky):
    """A Light that fits a sky picture: bright or dull, with or without haze."""
    haze = np.power(sky[-sky.shape[0] // 5 :].reshape(-1, 3).mean(0) / 255, 2.2)
    bright = rng.random() < 0.6
    sun, fill = (float(rng.uniform(*span)) for span in (((1.2, 2.4), (0.5, 0.8)) if bright else ((0.1, 0.5), (0.6, 1.1))))
    warm = float(rng.normal(0.03, 0.07))
    thick = float(rng.uniform(0.008, 0.03)) if rng.random() < 0.15 else float(rng.uniform(0.0005, 0.004))
    return Light(
        direction=(float(rng.uniform(-1.2, 1.2)), float(rng.uniform(0.5, 1.8)), float(rng.uniform(-0.6, 1.0))),
        sun=(sun * (1 + warm), sun, sun * (1 - warm)),
        sky=(fill * (1 - warm), fill, fill * (1 + warm)),
        ground=(fill * 0.55,) * 3,
        fog=(*haze.tolist(), thick),
        exposure=float(np.exp(rng.normal(-0.05, 0.2))) * (0.45 if rng.random() < 0.08 else 1.0),
        bounds=np.array([[-16.0, -0.1, -48.0], [16.0, 11.0, 6.0]]),
    )


def street(stock, objects, rng, split):
    """A World: a street as a driving or walking robot sees it. Arguments as rooms3d.room's."""
    held_out = split != "train"
    world = World("street")
    picker = Picker(stock, rng, split)
    town = rng.random() < 0.75
    lane = float(rng.uniform(2.8, 3.8))
    driving = rng.random() < 0.7
    here = lane / 2 if driving else float(rng.uniform(-1.3, 1.3)) * lane  # where the camera is between the road's edges
    left, right = -lane - here, lane - here
    focal = float(rng.uniform(0.6, 1.3))
    world.camera = Camera(
        (0.0, float(rng.uniform(1.1, 2.3) if driving else rng.uniform(0.5, 1.8)), 0.0),
        yaw=float(rng.normal(0, 7 if driving else 14)),
        pitch=float(rng.normal(2, 3)),
        roll=float(np.clip(rng.normal(0, 2), -5, 5)) if rng.random() < 0.4 else 0.0,
        focal=focal,
        near=0.3,
        far=400.0,
    )
    world.background = sky_over(rng, 1600, held_out)[::2, ::2, ::-1]
    world.light = _weather(rng, world.background)
    veil = np.clip(np.linspace(-0.6, 1, world.background.shape[0]), 0, 1)[:, None, None] * min(1.0, world.light.fog[3] / 0.015)
    haze = np.power(world.light.fog[:3], 1 / 2.2) * 255
    world.background = (world.background * (1 - veil) + haze * veil).astype(np.uint8)
    walk = _ground(world, rng, left, right, town)
    taken = []
    walls = _houses(world, rng, ((-1, left - walk), (1, right + walk)), held_out) if town else []
    if not town:
        _wood(world, picker, rng, left - walk, right + walk)
    signs(world, picker, rng, objects, left, right, focal, taken)
    if rng.random() < 0.5:
        plates(world, picker, rng, walls, left, right, focal, taken)
    _traffic(world, picker, rng, left, right, taken)
    _pavement(world, picker, rng, left, right, walk, taken)
    if rng.random() < 0.25:
        world.add(_wires(rng, left, right), (0, 0, 0))
    return world


def _wood(world, picker, rng, left, right):
    """Trees along a country road; few models, many trees."""
    kinds = [s for s in (picker.pick(lambda e: e.group == "plant" and e.category == "Exterior" and e.size[1] > 2.5) for _ in range(3)) if s]
    looks = [(s, *picker.look(s)) for s in kinds]
    for number in range(int(rng.integers(8, 26)) if looks else 0):
        stocked, model, colour = looks[rng.integers(len(looks))]
        side = 1 if rng.random() < 0.5 else -1
        x = (right if side > 0 else left) + side * float(rng.exponential(5))
        where, turn, scale = (x, -0.06, -distance(rng, 8, 130)), float(rng.uniform(0, 360)), float(rng.uniform(0.8, 1.6))
        world.add(model, where, turn, stocked.obj, colour, "street", scale=scale, quiet=number >= 4)
