"""What a rendered room is made of: floor, walls, ceiling, the outside behind a window, shelf boards and counters.

Metres, y up; the room is `width` wide (x about 0) and `depth` deep (z from -depth to 1.5), open to the camera's side.
"""

from dataclasses import dataclass

import numpy as np

from . import rooms, shapes
from .canvas import sky_over


@dataclass(frozen=True)
class Surface:
    """A flat top on which things stand: its middle, half its width and depth, and its turn about the vertical (degrees). Metres."""

    middle: tuple
    half: tuple
    turn: float
    room_above: float = 9.0


@dataclass(frozen=True)
class Wall:
    """One wall: `at(along, height, out)` is a point `out` metres before it, and the turn that faces the room."""

    name: str
    length: float
    width: float
    depth: float

    def at(self, along, height, out):
        if self.name == "back":
            return (along, height, -self.depth + out), 0.0
        side = -1 if self.name == "left" else 1
        return (side * (self.width / 2 - out), height, -self.depth / 2 + along), -90.0 * side


def _rgba(bgr):
    """A texture for the renderer from a BGR picture."""
    return np.dstack([bgr[..., ::-1], np.full(bgr.shape[:2], 255, np.uint8)])


def wood(rng, held_out):
    """One of the pieces of wood that drawn rooms are made of; test frames have their own."""
    seed = rooms.BOARDS + int(rng.integers(rooms.TEST_BOARDS)) if held_out else int(rng.integers(rooms.BOARDS))
    return _rgba(rooms._wood_stock(seed))


def colour(rng, low=0.35, high=0.95):
    """A wall's colour: light, little colour. sRGB in 0 to 1."""
    base = rng.uniform(low, high)
    return tuple(np.clip(base + rng.normal(0, 0.06, 3), 0.05, 0.98).tolist())


def _tiles(rng, held_out):
    """Tiles, one square metre: uint8 [256, 256, 4]. Test frames have bricks laid in bond, training frames a plain grid."""
    side, count = 256, int(rng.integers(2, 7))
    base, joint = np.array(colour(rng)) * 255, np.array(colour(rng, 0.2, 0.9)) * 255
    image = np.empty((side, side, 3))
    image[...] = base
    step = side / count
    for row in range(count):
        for column in range(count):
            shift = step / 2 if held_out and row % 2 else 0.0
            x1, y1 = int(column * step + shift), int(row * step)
            tone = base * (1 + rng.normal(0, 0.035))
            columns = np.arange(x1, int(x1 + step)) % side
            image[y1 : int(y1 + step), columns] = tone
            image[y1 : y1 + 3] = joint
            image[y1 : int(y1 + step), np.arange(x1, x1 + 3) % side] = joint
    return _rgba(np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8))


def _surface_look(rng, held_out):
    """(keyword arguments for a shape, metres the texture spans): wood, tiles or plain paint."""
    kind = rng.random()
    if kind < 0.4:
        return {"texture": wood(rng, held_out)}, float(rng.uniform(1.2, 2.6))
    if kind < 0.7 or held_out:
        return {"texture": _tiles(rng, held_out)}, float(rng.uniform(0.6, 2.0))
    return {"colour": colour(rng)}, 1.0


def shell(world, rng, width, depth, height, held_out):
    """Floor, ceiling and three walls. They throw no shadow: light comes in through them."""
    x, front = width / 2, 1.5
    floor, span = _surface_look(rng, held_out)
    repeat = (width / span, (depth + front) / span)
    ground = [(-x, 0, front), (x, 0, front), (x, 0, -depth), (-x, 0, -depth)]
    world.add(shapes.quad(ground, repeat=repeat, shine=0.15, **floor), (0, 0, 0), shadow=False)
    ceiling = colour(rng, 0.75, 0.97)
    above = [(-x, height, -depth), (x, height, -depth), (x, height, front), (-x, height, front)]
    world.add(shapes.quad(above, colour=ceiling), (0, 0, 0), shadow=False)
    look, span = ({"colour": colour(rng)}, 1.0) if rng.random() < 0.6 and not held_out else _surface_look(rng, held_out)
    other = look if rng.random() < 0.7 or "texture" in look else {"colour": colour(rng)}
    walls = (
        ([(-x, 0, -depth), (x, 0, -depth), (x, height, -depth), (-x, height, -depth)], width, look),
        ([(-x, 0, front), (-x, 0, -depth), (-x, height, -depth), (-x, height, front)], depth + front, other),
        ([(x, 0, -depth), (x, 0, front), (x, height, front), (x, height, -depth)], depth + front, other),
    )
    for corners, length, how in walls:
        world.add(shapes.quad(corners, repeat=(length / span, height / span), **how), (0, 0, 0), shadow=False)
    skirting = tuple(v * float(rng.uniform(0.5, 1.0)) for v in ceiling)
    if rng.random() < 0.7:
        world.add(shapes.box(width, 0.09, 0.02, skirting), (0, 0, -depth + 0.01), shadow=False)
        for side in (-1, 1):
            world.add(shapes.box(0.02, 0.09, depth + front, skirting), (side * (x - 0.01), 0, (front - depth) / 2), shadow=False)


def pane(world, rng, wall, along, low, size, held_out):
    """The bright outside behind a window: a picture of the sky on the wall."""
    sky = sky_over(rng, 256, held_out)[:, :512]
    quad = shapes.board(size[0] * 0.96, size[1] * 0.96, texture=_rgba(sky), glow=0.35)
    position, turn = wall.at(along, low + size[1] / 2, 0.006)
    world.add(quad, position, turn, shadow=False)


def boards(world, rng, wall, heights, taken, surfaces, held_out):
    """Shelf boards on a wall where nothing else is; two or three above one another, things stand on them."""
    length = float(rng.uniform(0.7, 1.8))
    along = float(rng.uniform(-wall.length / 2 + length / 2, wall.length / 2 - length / 2)) if wall.length > length + 0.2 else 0.0
    above = max([top for a, b, top in heights if a < along + length / 2 and b > along - length / 2], default=0.3)
    if any(a < along + length / 2 and b > along - length / 2 for a, b in taken) or above > 1.4:
        return
    deep, thick = float(rng.uniform(0.2, 0.32)), float(rng.uniform(0.018, 0.04))
    look = {"texture": wood(rng, held_out), "metre": 1.5} if rng.random() < 0.6 else {"colour": colour(rng)}
    board = shapes.box(length, thick, deep, **look)
    height = max(above + 0.4, float(rng.uniform(0.9, 1.4)))
    gap = float(rng.uniform(0.32, 0.48))
    for _ in range(int(rng.integers(1, 4))):
        if height > 2.1:
            break
        position, turn = wall.at(along, height - thick, deep / 2 + 0.01)
        world.add(board, position, turn)
        surfaces.append(Surface((position[0], height, position[2]), (length / 2, deep / 2), turn, gap - 0.04))
        height += gap


def counter(world, rng, position, turn, surfaces, held_out):
    """A plain counter in the room, seen from its long side."""
    width, height, depth = float(rng.uniform(1.2, 2.4)), float(rng.uniform(0.72, 0.98)), float(rng.uniform(0.5, 0.8))
    body = {"texture": wood(rng, held_out), "metre": 1.5} if rng.random() < 0.5 else {"colour": colour(rng, 0.2, 0.95)}
    top = {"texture": wood(rng, held_out), "metre": 1.7} if rng.random() < 0.5 else {"colour": colour(rng, 0.1, 0.95)}
    world.add(shapes.box(width - 0.06, height - 0.035, depth - 0.05, **body), position, turn)
    world.add(shapes.box(width, 0.035, depth, shine=0.3, **top), (position[0], height - 0.035, position[2]), turn)
    surfaces.append(Surface((position[0], height, position[2]), (width / 2, depth / 2), turn))
