"""Streets drawn from scratch: no street photograph at 4K that may be given away is in the packages at hand."""

import cv2
import numpy as np

from .augment import fractal
from .canvas import HEIGHT, WIDTH, Background, crown, grain, paste, rgb, sky_over, warp_onto


def _facade(rng):
    """A house front as a texture, uint8 [h, w, 3]: wall, rows of windows, a door or shop windows at the foot."""
    floors, columns = int(rng.integers(2, 7)), int(rng.integers(3, 8))
    cell_w, cell_h = 90, 110
    width, height = columns * cell_w, floors * cell_h
    base = rng.uniform(70, 215)
    wall = np.array([base + rng.normal(0, 18), base + rng.normal(0, 14), base + rng.normal(8, 18)])
    image = np.full((height, width, 3), np.clip(wall, 25, 245), np.uint8)
    if rng.random() < 0.4:  # bricks
        for y in range(0, height, 10):
            cv2.line(image, (0, y), (width, y), rgb(*(wall * 0.85)), 1)
            for x in range((y // 10 % 2) * 12, width, 24):
                cv2.line(image, (x, y), (x, y + 10), rgb(*(wall * 0.85)), 1)
    image = grain(rng, image, 0.35, 30)
    frame = rgb(*((wall * 0.6) if rng.random() < 0.5 else np.array([235, 235, 235])))
    win_w, win_h = int(cell_w * rng.uniform(0.35, 0.7)), int(cell_h * rng.uniform(0.4, 0.7))
    for row in range(floors):
        for column in range(columns):
            x, y = column * cell_w + (cell_w - win_w) // 2, row * cell_h + (cell_h - win_h) // 2
            if row == floors - 1 and rng.random() < 0.4:  # ground floor: door or shop window
                x, y, w, h = column * cell_w + 8, row * cell_h + 24, cell_w - 16, cell_h - 26
            else:
                w, h = win_w, win_h
            glass = rng.uniform(25, 120)
            if rng.random() < 0.08:
                pane = rgb(120 + 40 * rng.random(), 190 + 40 * rng.random(), 230)
            else:
                pane = rgb(glass * 1.25, glass * 1.05, glass * 0.9)
            cv2.rectangle(image, (x, y), (x + w, y + h), frame, -1)
            cv2.rectangle(image, (x + 4, y + 4), (x + w - 4, y + h - 4), pane, -1)
            cv2.line(image, (x + 5, y + h - 6), (x + int(w * rng.random()), y + 5), rgb(*[v * 1.25 for v in pane]), 4)
            if rng.random() < 0.6:
                cv2.line(image, (x + w // 2, y + 3), (x + w // 2, y + h - 3), frame, 3)
    cv2.rectangle(image, (0, 0), (width, 8), rgb(*(wall * 0.6)), -1)
    return image


def _test_facade(rng):
    """A house front that only test frames show: timber frame, or an office front of glass. uint8 [h, w, 3]."""
    image = _facade(rng)
    height, width = image.shape[:2]
    if rng.random() < 0.5:  # beams over a light wall
        image = cv2.addWeighted(image, 0.55, np.full_like(image, 225), 0.45, 0)
        beam = rgb(*(np.array([30, 45, 70]) * rng.uniform(0.7, 1.4)))
        for x in range(0, width + 1, 90):
            cv2.line(image, (x, 0), (x, height), beam, 11)
        for y in range(0, height + 1, 110):
            cv2.line(image, (0, y), (width, y), beam, 11)
        for x in range(0, width, 180):
            cv2.line(image, (x, 0), (x + 90, 110), beam, 9)
        return image
    glass = np.clip(np.array([150, 125, 95]) * rng.uniform(0.5, 1.5) + rng.normal(0, 12, 3), 15, 245)
    shades = rng.uniform(0.8, 1.2, (height // 55, width // 30)).astype(np.float32)
    panes = cv2.resize(shades, (width, height), interpolation=cv2.INTER_NEAREST)[..., None] * glass
    image = np.clip(panes, 0, 255).astype(np.uint8)
    mullion = rgb(*([rng.uniform(60, 200)] * 3))
    for x in range(0, width + 1, 30):
        cv2.line(image, (x, 0), (x, height), mullion, 3)
    for y in range(0, height + 1, 55):
        cv2.line(image, (0, y), (width, y), mullion, 7)
    return image


def _tree(rng, image, x, ground, height, held_out=False):
    """A tree with its foot at (x, ground), `height` px tall."""
    trunk = max(2, int(height * rng.uniform(0.03, 0.06)))
    top = int(ground - height * 0.5)
    brown = rgb(rng.uniform(30, 60), rng.uniform(45, 80), rng.uniform(60, 100))
    cv2.rectangle(image, (int(x - trunk // 2), top), (int(x + trunk // 2), int(ground)), brown, -1)
    color, alpha = crown(rng, held_out)
    size = (max(4, int(height * rng.uniform(0.55, 0.85))), max(4, int(height * rng.uniform(0.6, 0.75))))
    how = cv2.INTER_AREA if size[0] < 512 else cv2.INTER_LINEAR
    color, alpha = cv2.resize(color, size, interpolation=how), cv2.resize(alpha, size, interpolation=how)
    if rng.random() < 0.5:
        color, alpha = color[:, ::-1], alpha[:, ::-1]
    paste(image, color, alpha, int(x - size[0] / 2), int(ground - height))


def street(rng, held_out=False):
    """A road in perspective between pavements, house fronts, trees and poles, under a sky.

    held_out: in the styles kept for test frames: other house fronts, skies and trees, and a road of concrete slabs or red brick.
    """
    horizon = HEIGHT * float(rng.uniform(0.38, 0.58))
    camera = float(rng.uniform(1.2, 2.2))  # metres above the road
    center = WIDTH * float(rng.uniform(0.3, 0.7))
    focal = WIDTH * float(rng.uniform(0.6, 1.1))

    def point(x, y, z):  # metres right, up, ahead -> px
        return np.array([center + focal * x / z, horizon + focal * (camera - y) / z])

    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    row = int(horizon) + 1
    image[:row] = sky_over(rng, row, held_out)
    # far ridge of hills or woods
    far = np.cumsum(rng.normal(0, 6, 49)) * rng.uniform(0.3, 1.5)
    ridge = row - np.abs(far - far.mean()) - rng.uniform(5, 120)
    outline = [(0, row)] + [(int(x), int(y)) for x, y in zip(np.linspace(0, WIDTH, 49), ridge, strict=True)] + [(WIDTH, row)]
    cv2.fillPoly(image, [np.array(outline, np.int32)], rgb(rng.uniform(80, 170), rng.uniform(90, 160), rng.uniform(60, 140)))

    # ground: verge or pavement, then road with its edges
    town = rng.random() < 0.7
    ground = (
        rgb(*(rng.uniform(110, 185, 1) + rng.normal(0, 5, 3)))
        if town
        else rgb(rng.uniform(30, 70), rng.uniform(90, 140), rng.uniform(60, 110))
    )
    image[row:] = ground
    left, right = -float(rng.uniform(2.5, 9)), float(rng.uniform(2.5, 9))
    near = focal * camera / (HEIGHT - horizon) * 0.9

    def strip(x1, x2, color, z1=near, z2=300.0):
        quad = np.array([point(x1, 0, z2), point(x2, 0, z2), point(x2, 0, z1), point(x1, 0, z1)])
        cv2.fillConvexPoly(image, np.round(quad * 16).astype(np.int32), color, cv2.LINE_AA, 4)

    asphalt = rng.uniform(55, 125)
    strip(left - 0.25, right + 0.25, rgb(*(np.array([1, 1, 1]) * rng.uniform(130, 190))))
    if held_out:
        slabs = rng.random() < 0.5
        stone = rgb(asphalt + 60, asphalt + 62, asphalt + 66) if slabs else rgb(asphalt - 10, asphalt, asphalt + 55)
        strip(left, right, stone)
        joint = rgb(*(0.72 * v for v in stone))
        for z in np.geomspace(near, 120, 22 if slabs else 60):
            strip(left, right, joint, z, z * 1.008)
        for x in np.linspace(left, right, 5)[1:-1]:
            strip(x - 0.03, x + 0.03, joint)
    else:
        strip(left, right, rgb(asphalt + 3, asphalt, asphalt - 2))
    noise = fractal(rng, 400, 400, cells=50, octaves=3, falloff=0.9)
    depth_rows = np.linspace(0, 1, HEIGHT - row, dtype=np.float32)[:, None]
    field = cv2.resize(noise, (WIDTH, HEIGHT - row), interpolation=cv2.INTER_LINEAR) * (3 + 7 * depth_rows)
    image[row:] = cv2.add(image[row:], cv2.merge([field] * 3), dtype=cv2.CV_8U)
    white = rgb(*(np.array([1, 1, 1]) * rng.uniform(190, 240)))
    yellow = rgb(60, rng.uniform(170, 200), rng.uniform(210, 235))
    middle = (left + right) / 2
    line = white if rng.random() < 0.7 else yellow
    period = float(rng.uniform(5, 12))
    for z in np.arange(near, 90, period):
        strip(middle - 0.07, middle + 0.07, line, z, z + period * 0.45)
    if rng.random() < 0.6:
        for x in (left + 0.3, right - 0.3):
            strip(x - 0.05, x + 0.05, white)
    if rng.random() < 0.35:  # zebra crossing
        z = float(rng.uniform(5, 22))
        for x in np.arange(left + 0.4, right - 0.4, 1.0):
            strip(x, x + 0.5, white, z, z + 3)
    for _ in range(int(rng.integers(0, 6))):  # patches and manholes
        x, z = rng.uniform(left, right), rng.uniform(4, 40)
        shade = asphalt * rng.uniform(0.6, 1.15)
        strip(x, x + rng.uniform(0.4, 2), rgb(shade, shade, shade), z, z + rng.uniform(0.5, 4))

    # house fronts on both sides, far to near
    fronts = [_test_facade(rng) if held_out else _facade(rng) for _ in range(4)]
    for side, edge in ((-1, left - rng.uniform(2, 7)), (1, right + rng.uniform(2, 7))):
        z = 160.0
        while z > near * 1.2 and town:
            length = float(rng.uniform(8, 26))
            height = float(rng.uniform(5, 18))
            nearer = max(z - length, near * 0.7)
            if rng.random() < 0.85:
                front = fronts[rng.integers(4)]
                a, b = (nearer, z) if side < 0 else (z, nearer)
                quad = [point(edge, height, a), point(edge, height, b), point(edge, 0, b), point(edge, 0, a)]
                quad = np.array(quad)
                haze = min(0.6, (z + nearer) / 2 / 220)
                shown = cv2.addWeighted(front, 1 - haze, np.full_like(front, 200), haze, 0)
                warp_onto(image, shown, quad)
            z = nearer - (float(rng.uniform(0, 5)) if rng.random() < 0.3 else 0)
            if nearer <= near * 0.71:
                break
        count = int(rng.integers(0, 5)) if town else int(rng.integers(4, 14))
        for z in sorted(rng.uniform(6, 90, count), reverse=True):
            out = edge * (1 if town else rng.uniform(1.0, 3.0)) - side * (rng.uniform(0.2, 1.5) if town else 0)
            foot = point(out, 0, z)
            _tree(rng, image, foot[0], foot[1], min(3200, focal * rng.uniform(3.5, 9) / z), held_out)
        for z in sorted(rng.uniform(8, 70, int(rng.integers(0, 4))), reverse=True):  # lamp posts
            x = (left - 0.6) if side < 0 else (right + 0.6)
            foot, head = point(x, 0, z), point(x, 6.5, z)
            thick = max(1, int(focal * 0.14 / z))
            grey = rgb(*(np.array([1, 1, 1]) * rng.uniform(60, 130)))
            cv2.line(image, tuple(foot.astype(int).tolist()), tuple(head.astype(int).tolist()), grey, thick, cv2.LINE_AA)
            arm = (int(head[0] - side * focal * 1.4 / z), int(head[1] - focal * 0.1 / z))
            cv2.line(image, tuple(head.astype(int).tolist()), arm, grey, max(1, thick // 2), cv2.LINE_AA)
    if rng.random() < 0.25:  # wires across the sky
        for _ in range(int(rng.integers(1, 4))):
            y1, y2 = rng.uniform(0, horizon * 0.6, 2)
            x = np.linspace(0, WIDTH, 40)
            y = y1 + (y2 - y1) * x / WIDTH + 160 * (x / WIDTH) * (1 - x / WIDTH)
            cv2.polylines(image, [np.stack([x, y], 1).astype(np.int32)], False, (50, 50, 50), int(rng.integers(2, 6)), cv2.LINE_AA)
    light = float(np.exp(rng.normal(-0.05, 0.15)))
    image = cv2.convertScaleAbs(image, alpha=light)
    return Background(image, "street", (), horizon, camera, (center, left, right))
