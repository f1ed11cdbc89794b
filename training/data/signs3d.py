"""What stands on posts beside a rendered street: traffic signs, traffic lights, words; and finding a free place for things.

Metres, y up; x across the road, z negative ahead, as in streets3d.py.
"""

import numpy as np

from . import augment, catalogue, shapes, words
from .canvas import WIDTH


def grey(rng, low, high):
    """A colour near grey, 0 to 1."""
    return tuple(np.clip(rng.uniform(low, high) + rng.normal(0, 0.02, 3), 0.02, 0.98).tolist())


def distance(rng, near, far):
    """Metres ahead, log-uniform: as many far as near ones on the picture's scale."""
    return float(near * (far / near) ** rng.random())


def free(taken, x, z, radius):
    """Whether nothing is there yet; if so it is taken now."""
    if any(np.hypot(x - a, z - b) < radius + r for a, b, r in taken):
        return False
    taken.append((x, z, radius))
    return True


def sign_model(rgba, metres):
    """A sign of a picture, its longer side `metres`."""
    height, width = rgba.shape[:2]
    scale = metres / max(height, width)
    return shapes.board(width * scale, height * scale, texture=rgba), width * scale, height * scale


def signs(world, picker, rng, objects, left, right, focal, taken):
    """Traffic signs and lights on posts beside the road, some signs two to a post, some lights over the road."""
    pictured = [o for o in objects if o.kind == "sign"]
    lights = [o for o in objects if o.kind == "light" and o.name.split()[0] in shapes.LENS]
    for _ in range(int(rng.integers(3, 8))):
        light = lights and rng.random() < 0.35
        obj = lights[rng.integers(len(lights))] if light else picker.picture(pictured)
        if obj is None:
            break
        metres = 0.92 if light else float(np.clip(obj.metres, 0.5, 1.1)) * float(rng.uniform(0.85, 1.15))
        far = metres * focal * WIDTH / 26  # where it is 26 px of a frame of the full size
        side = 1 if rng.random() < 0.65 else -1
        x = (right if side > 0 else left) + side * float(rng.uniform(0.35, 1.0))
        z = -distance(rng, 5, min(far, 110))
        if not free(taken, x, z, 0.35):
            continue
        turn = float(rng.normal(0, 14)) - side * float(rng.uniform(0, 12))
        pole = shapes.post(float(rng.uniform(0.03, 0.06)), 1.0, grey(rng, 0.3, 0.75))
        if light:
            _light_on_post(world, rng, obj, pole, x, z, turn, side)
            continue
        bottom = float(rng.uniform(1.7, 2.4))
        shown = [obj]
        if rng.random() < 0.2 and (second := picker.picture(pictured)) is not None and second.name != obj.name:
            shown.append(second)
        for one in shown:
            rgba = catalogue.render(one, rng, 384)
            if rng.random() < 0.6:
                rgba = augment.weathered(rgba, rng, float(rng.random()))
            model, _, height = sign_model(rgba, metres)
            world.add(model, (x, bottom + height / 2, z + 0.07), turn, one, "", "pole")
            bottom += height + 0.05
        world.add(pole, (x, 0.1, z), 0.0, scale=(1.0, bottom - 0.1, 1.0))


def _light_on_post(world, rng, obj, pole, x, z, turn, side):
    """A traffic light on its post, or on an arm over the road."""
    model = shapes.traffic_light(rng, obj.name.split()[0])
    if rng.random() < 0.3:
        reach, height = float(rng.uniform(2.0, 4.5)), float(rng.uniform(5.0, 6.0))
        world.add(pole, (x, 0.1, z), 0.0, scale=(1.6, height, 1.6))
        world.add(shapes.box(reach, 0.1, 0.1, (0.35, 0.35, 0.36)), (x - side * reach / 2, height - 0.1, z))
        world.add(model, (x - side * reach, height - 0.6, z + 0.12), turn, obj, "", "pole")
        return
    height = float(rng.uniform(2.6, 3.6))
    world.add(pole, (x, 0.1, z), 0.0, scale=(1.3, height, 1.3))
    world.add(model, (x, height - 0.35, z + 0.16), turn, obj, "", "pole")


def plates(world, picker, rng, walls, left, right, focal, taken):
    """Words: shop signs on house fronts, plates on posts."""
    boards = [s for s in words.signs() if s.place in ("street", "any") and s.held_out == (picker.split == "test-new")]
    for _ in range(int(rng.integers(1, 3))):
        sign = picker.picture(boards)
        if sign is None:
            return
        rgba = words.cut_out(sign, rng, 640)
        near = [w for w in walls if -30 < w[1] < -6]
        if near and rng.random() < 0.5:
            x, z, side, height = near[rng.integers(len(near))]
            model, _, tall = sign_model(rgba, float(rng.uniform(1.5, 4.0)))
            at = (x - side * 0.06, min(float(rng.uniform(2.9, 3.8)), height - tall), z + float(rng.uniform(-2, 2)))
            world.add(model, at, -90.0 * side, sign, "", "street")
            continue
        side = 1 if rng.random() < 0.5 else -1
        x = (right if side > 0 else left) + side * float(rng.uniform(0.5, 1.2))
        metres = float(rng.uniform(0.8, 1.8))
        z = -distance(rng, 5, metres * focal * WIDTH / (2.0 * words.least_size(sign)) + 6)
        if free(taken, x, z, 0.35):
            model, _, tall = sign_model(rgba, metres)
            bottom = float(rng.uniform(1.8, 2.5))
            world.add(model, (x, bottom + tall / 2, z + 0.07), float(rng.normal(0, 12)), sign, "", "pole")
            world.add(shapes.post(0.045, bottom + tall, grey(rng, 0.3, 0.7)), (x, 0.1, z))
