"""Rooms in three dimensions: furniture along the walls, things standing on tables, shelves and counters, a window's light.

Metres, y up; the camera looks along -z at the back wall. The room is `width` wide (x about 0) and `depth` deep (z from -depth to 1.5).
"""

import numpy as np

from . import shapes, words
from .placed import Camera, Light
from .room_walls import Surface, Wall, boards, counter, pane, shell
from .world import Picker, World

FLOOR_GROUPS = {
    "storage", "kitchen furniture", "appliance", "bed", "seating", "music", "plant", "lamp", "table", "bathroom", "door", "electronics",
}  # fmt: skip
SMALL_GROUPS = {
    "bottle", "cup", "dish", "cutlery", "food", "toy", "bag", "tool", "stationery", "electronics", "clothes", "appliance", "lamp",
    "plant", "sport", "bin", "thing", "switch", "music", "animal", "textile",
}  # fmt: skip
LOOSE_GROUPS = {"seating", "bag", "bin", "toy", "sport", "plant", "animal", "person", "two wheels", "tool", "thing", "clothes"}
HANGING = ("ceiling lamp", "chandelier", "pendant lamp", "ceiling fan", "fluorescent lamp", "hanging lantern", "track lights")
MOST = 40  # named things in a room


def _along(world, picker, wall, floor, surfaces, rng, held_out):
    """Furniture side by side along a wall, and things that hang above and between it."""

    def fits(e):
        small = e.size[0] < wall.length * 0.6 and e.size[2] < 2.3
        return e.place != "street" and e.elevation < 0.2 and e.group in FLOOR_GROUPS and 0.3 < e.metres < 3.2 and e.size[1] > 0.35 and small

    def hung(e):
        return e.place != "street" and (0.2 <= e.elevation < 2.3 and e.group != "lamp" or e.name == "wall lamp")

    at, end = -wall.length / 2 + 0.1, wall.length / 2 - (0.1 if wall.name == "back" else 1.0)
    heights = []  # (from, to, height) along the wall
    while at < end:
        at += float(rng.uniform(0.02, 0.9))
        stocked = picker.pick(fits)
        if stocked is None:
            break
        width, height, depth = stocked.entry.size
        if at + width > end:
            break
        position, turn = wall.at(at + width / 2, 0, depth / 2 + 0.02)
        if not claimed(floor, position[0], position[2], _turned((width / 2, depth / 2), turn)):
            at += 0.3
            continue
        model, colour = picker.look(stocked)
        world.add(model, position, turn, stocked.obj, colour, "photo")
        if stocked.entry.group in ("storage", "table", "kitchen furniture") and 0.3 < stocked.entry.top < 1.5:
            surfaces.append(Surface((position[0], stocked.entry.top, position[2]), (width / 2, depth / 2), turn))
        heights.append((at, at + width, height))
        at += width
    taken = []
    for _ in range(int(rng.integers(1, 5))):
        stocked = picker.pick(hung)
        if stocked is None:
            break
        width, height, depth = stocked.entry.size
        low = stocked.entry.elevation
        reach = max(wall.length - width - 0.3, 0.01)
        along = float(rng.uniform(0, reach)) - (wall.length - width) / 2
        clear = all(b < along - width / 2 or a > along + width / 2 or top < low - 0.02 for a, b, top in heights)
        apart = all(b < along - width / 2 or a > along + width / 2 for a, b in taken)
        if not (clear and apart) or low + height > 2.5:
            continue
        taken.append((along - width / 2, along + width / 2))
        model, colour = picker.look(stocked)
        position, turn = wall.at(along, low, depth / 2 + 0.012)
        if "window" in stocked.entry.name and "shutter" not in stocked.entry.name and "blind" not in stocked.entry.name:
            pane(world, rng, wall, along, low, (width, height), held_out)
        world.add(model, position, turn, stocked.obj, colour, "photo")
    return heights, taken


def claimed(floor, x, z, half):
    """True if nothing stands on that piece of floor yet; then it is taken. floor: list of (x1, x2, z1, z2) m. half: half its sides, m."""
    x1, x2, z1, z2 = x - half[0], x + half[0], z - half[1], z + half[1]
    if any(x1 < b and x2 > a and z1 < d and z2 > c for a, b, c, d in floor):
        return False
    floor.append((x1, x2, z1, z2))
    return True


def _turned(half, turn):
    """Half the sides of the upright rectangle around one that is turned by degrees."""
    c, s = abs(np.cos(np.radians(turn))), abs(np.sin(np.radians(turn)))
    return half[0] * c + half[1] * s, half[0] * s + half[1] * c


def _middle(world, picker, rng, width, depth, floor, surfaces, held_out):
    """A table or a counter before the camera."""
    x, z, turn = float(rng.uniform(-0.2, 0.2)) * width, -float(rng.uniform(0.35, 0.6)) * depth, float(rng.normal(0, 20))
    if rng.random() < 0.35:
        counter(world, rng, (x, 0, z), turn, surfaces, held_out)
    else:
        stocked = picker.pick(lambda e: e.group == "table" and 0.35 < e.top < 1.1 and e.size[0] > 0.5 and abs(e.top - e.size[1]) < 0.05)
        if stocked is None:
            return
        model, colour = picker.look(stocked)
        world.add(model, (x, 0, z), turn, stocked.obj, colour, "photo")
        half = stocked.entry.size[0] / 2, stocked.entry.size[2] / 2
        top = 0.7 if abs(half[0] - half[1]) < 0.03 else 1.0  # of a round one, the square inside
        surfaces.append(Surface((x, stocked.entry.top, z), (half[0] * top, half[1] * top), turn))
    claimed(floor, x, z, _turned(surfaces[-1].half, turn))


def _about(world, picker, rng, width, depth, floor):
    """Chairs, bags, bins, toys, persons: where the floor is free."""

    def loose(e):
        return e.place != "street" and e.group in LOOSE_GROUPS and e.elevation == 0 and 0.2 < e.metres < 1.9 and e.size[1] > 0.12

    for _ in range(int(rng.integers(2, 6))):
        stocked = picker.pick(loose)
        if stocked is None:
            break
        turn = float(rng.uniform(0, 360))
        half = _turned((stocked.entry.size[0] / 2, stocked.entry.size[2] / 2), turn)
        for _ in range(8):
            x, z = float(rng.uniform(-0.42, 0.42)) * width, -float(rng.uniform(0.2, 0.85)) * depth
            if z < -1.3 and claimed(floor, x, z, half):
                model, colour = picker.look(stocked)
                world.add(model, (x, 0, z), turn, stocked.obj, colour, "photo")
                break


def _stand(world, picker, rng, surface, count):
    """Named things standing on a surface, none in another."""
    taken = []
    tall, most = min(surface.room_above, 0.6), 0.2 + 0.45 * rng.random()  # on some tables only small things

    def fits(e):
        small = e.size[1] < tall and e.size[0] < 1.6 * surface.half[0] and e.size[2] < 1.9 * surface.half[1]
        return e.place != "street" and e.group in SMALL_GROUPS and e.elevation < 0.2 and 0.04 < e.metres < most and small

    angle = np.radians(surface.turn)
    for _ in range(count):
        stocked = picker.pick(fits)
        if stocked is None:
            return
        width, _, depth = stocked.entry.size
        radius = np.hypot(width, depth) / 2 * 0.85
        for _ in range(8):
            u = float(rng.uniform(-1, 1)) * max(surface.half[0] - width / 2, 0.0)
            v = float(rng.uniform(-1, 1)) * max(surface.half[1] - depth / 2, 0.0)
            if all(np.hypot(u - a, v - b) > radius + r for a, b, r in taken):
                x = surface.middle[0] + u * np.cos(angle) + v * np.sin(angle)
                z = surface.middle[2] - u * np.sin(angle) + v * np.cos(angle)
                model, colour = picker.look(stocked)
                turn = surface.turn + (float(rng.normal(0, 35)) if rng.random() < 0.75 else float(rng.uniform(0, 360)))
                world.add(model, (x, surface.middle[1], z), turn, stocked.obj, colour, "room")
                taken.append((u, v, radius))
                break


def _notice(world, picker, rng, wall, objects, held_out):
    """Words on the wall: a plate of words.py."""
    sign = picker.picture([s for s in words.signs() if s.place in ("room", "any") and s.held_out == (picker.split == "test-new")])
    if sign is None:
        return
    rgba = words.cut_out(sign, rng, 512)
    width = float(rng.uniform(0.25, 0.7))
    position, turn = wall.at(float(rng.uniform(-0.3, 0.3)) * wall.length, float(rng.uniform(1.5, 2.0)), 0.02)
    world.add(shapes.board(width, width * rgba.shape[0] / rgba.shape[1], texture=rgba), position, turn, sign, "", "photo")


def _camera(rng, width, depth):
    """From about a person's or a robot's height near the open side of the room, at something in it."""
    eye = np.array([rng.uniform(-0.3, 0.3) * width, rng.uniform(0.75, 1.75), rng.uniform(0.0, 1.4)])
    aim = np.array([rng.uniform(-0.3, 0.3) * width, rng.uniform(0.55, 1.15), -depth * rng.uniform(0.5, 0.9)])
    way = aim - eye
    yaw, pitch = np.degrees(np.arctan2(-way[0], -way[2])), np.degrees(np.arctan2(way[1], np.hypot(way[0], way[2])))
    roll = float(np.clip(rng.normal(0, 2), -5, 5)) if rng.random() < 0.5 else 0.0
    return Camera(tuple(eye.tolist()), float(yaw), float(pitch), roll, focal=float(rng.uniform(0.55, 1.05)), near=0.08, far=30.0)


def _light(rng, width, depth, height):
    """A window's sun from one side, light from the ceiling, and up to two lamps."""
    warm = float(rng.normal(0, 0.08))
    sun, fill = float(rng.uniform(0.4, 1.6)), float(rng.uniform(0.4, 0.95))
    side = 1 if rng.random() < 0.5 else -1
    lamps = []
    for glow in rng.uniform(0.3, 1.3, int(rng.integers(0, 3))).tolist():
        at = (float(rng.uniform(-0.3, 0.3)) * width, height - 0.2, -float(rng.uniform(0.2, 0.8)) * depth)
        lamps.append((at, (glow * 1.05, glow, glow * 0.85), 1.6))
    return Light(
        direction=(side * float(rng.uniform(0.4, 1.3)), float(rng.uniform(0.7, 1.4)), float(rng.uniform(0.1, 1.0))),
        sun=(sun * (1 + warm), sun, sun * (1 - warm)),
        sky=(fill * (1 + warm / 2), fill, fill * (1 - warm / 2)),
        ground=(fill * 0.62, fill * 0.6, fill * 0.57),
        lamps=tuple(lamps),
        fog=(0.0, 0.0, 0.0, 0.0),
        exposure=float(np.exp(rng.normal(0.05, 0.18))),
        bounds=np.array([[-width / 2, -0.05, -depth], [width / 2, height, 1.5]]),
    )


def room(stock, objects, rng, split):
    """A World: a furnished room. stock: from named_models.stock; objects: from catalogue.load(); split: a key of choosing.SPLITS."""
    held_out = split != "train"
    world = World("room")
    picker = Picker(stock, rng, split)
    width, depth, height = float(rng.uniform(3.4, 7)), float(rng.uniform(3.4, 6.5)), float(rng.uniform(2.35, 3.1))
    world.camera, world.light = _camera(rng, width, depth), _light(rng, width, depth, height)
    shell(world, rng, width, depth, height, held_out)
    floor, surfaces = [], []
    _middle(world, picker, rng, width, depth, floor, surfaces, held_out)
    for name in ("back", "left", "right"):
        wall = Wall(name, width if name == "back" else depth, width, depth)
        heights, taken = _along(world, picker, wall, floor, surfaces, rng, held_out)
        if rng.random() < 0.6:
            boards(world, rng, wall, heights, taken, surfaces, held_out)
        if name == "back" and rng.random() < 0.3:
            _notice(world, picker, rng, wall, objects, held_out)
    _about(world, picker, rng, width, depth, floor)
    if rng.random() < 0.5:
        lamp = picker.pick(lambda e: e.group in ("lamp", "appliance") and e.elevation > 1.2 and "wall" not in e.name and e.name in HANGING)
        if lamp is not None:
            model, colour = picker.look(lamp)
            where = (float(rng.uniform(-0.25, 0.25)) * width, height - lamp.entry.size[1], -float(rng.uniform(0.3, 0.8)) * depth)
            world.add(model, where, float(rng.uniform(0, 360)), lamp.obj, colour, "photo")
    for i, surface in enumerate(surfaces):  # the table in the middle comes first and has the most
        _stand(world, picker, rng, surface, int(rng.integers(4, 11)) if i == 0 else int(rng.integers(1, 5)))
        if len(world.items) > MOST:
            break
    return world
