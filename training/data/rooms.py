"""Rooms drawn from scratch: a wall, shelves, a table; their tops are where things stand."""

from functools import lru_cache

import cv2
import numpy as np

from .augment import fractal
from .canvas import HEIGHT, WIDTH, Background, Stand, grain, rgb, sky_over, warp_onto


def _wood(rng, width, height):
    """Boards along x: BGR uint8 [height, width, 3]."""
    base = np.array([rng.uniform(30, 110), rng.uniform(60, 150), rng.uniform(90, 190)])
    rings = fractal(rng, max(4, height // 2), max(4, width // 16), cells=6, octaves=4)
    rings = cv2.resize(rings, (width, height), interpolation=cv2.INTER_LINEAR)
    fine = rng.standard_normal((height, max(2, width // 48)), np.float32)
    fine = cv2.resize(fine, (width, height), interpolation=cv2.INTER_LINEAR)
    light = (1 + 0.13 * np.sin(rings * 7) + 0.05 * fine)[..., None]
    image = np.clip(base * light, 0, 255).astype(np.uint8)
    boards = int(rng.integers(0, 7))
    for i in range(boards):
        y = int(height * (i + 1) / (boards + 1))
        cv2.line(image, (0, y), (width, y), rgb(*(base * 0.55)), max(2, height // 150))
    return image


BOARDS, TEST_BOARDS = 10, 4  # pieces of wood of training frames, and those of test frames


@lru_cache(maxsize=BOARDS + TEST_BOARDS)
def _wood_stock(seed):
    return _wood(np.random.default_rng([seed, 5]), 1600, 600)


def _test_wall(rng, image, base):
    """Draws what only walls of test frames have: bricks, or diamonds. In place."""
    w, h = int(rng.integers(90, 260)), int(rng.integers(45, 110))
    joint = rgb(*(base * rng.uniform(0.65, 0.9)))
    if rng.random() < 0.5:
        for row, y in enumerate(range(0, HEIGHT, h)):
            cv2.line(image, (0, y), (WIDTH, y), joint, 5)
            for x in range((row % 2) * w // 2, WIDTH, w):
                cv2.line(image, (x, y), (x, y + h), joint, 5)
    else:
        for x in range(-HEIGHT, WIDTH + HEIGHT, 2 * w):
            cv2.line(image, (x, 0), (x + HEIGHT, HEIGHT), joint, max(3, w // 20), cv2.LINE_AA)
            cv2.line(image, (x, 0), (x - HEIGHT, HEIGHT), joint, max(3, w // 20), cv2.LINE_AA)


def _wall(rng, held_out=False):
    base = np.array([1.0, 1.0, 1.0]) * rng.uniform(95, 215) + rng.normal(0, 16, 3)
    image = np.full((HEIGHT, WIDTH, 3), np.clip(base, 20, 250), np.uint8)
    kind = rng.random()
    if held_out:
        _test_wall(rng, image, base)
    elif kind < 0.3:  # tiles
        w, h = int(rng.integers(120, 420)), int(rng.integers(120, 320))
        joint = rgb(*(base * rng.uniform(0.7, 0.92)))
        for x in range(int(rng.integers(w)), WIDTH, w):
            cv2.line(image, (x, 0), (x, HEIGHT), joint, int(rng.integers(3, 9)))
        for y in range(int(rng.integers(h)), HEIGHT, h):
            cv2.line(image, (0, y), (WIDTH, y), joint, int(rng.integers(3, 9)))
    elif kind < 0.45:  # striped wallpaper
        w = int(rng.integers(50, 260))
        for x in range(0, WIDTH, 2 * w):
            cv2.rectangle(image, (x, 0), (x + w, HEIGHT), rgb(*(base * rng.uniform(0.85, 0.97))), -1)
    elif kind < 0.6:  # dots
        step, other = int(rng.integers(90, 300)), rgb(*(base * rng.uniform(0.75, 0.95)))
        for i, y in enumerate(range(0, HEIGHT, step)):
            for x in range((i % 2) * step // 2, WIDTH, step):
                cv2.circle(image, (x, y), step // 7, other, -1, cv2.LINE_AA)
    image = grain(rng, image, float(rng.uniform(0.03, 0.22)), 100)
    # light falls from one side
    small = (
        np.linspace(1 + rng.normal(0, 0.15), 1 + rng.normal(0, 0.15), 64, dtype=np.float32)[None]
        * np.linspace(1.05, 1 + rng.normal(-0.1, 0.1), 36, dtype=np.float32)[:, None]
    )
    light = cv2.resize(small, (WIDTH, HEIGHT))
    return cv2.multiply(image, cv2.merge([light] * 3), dtype=cv2.CV_8U)


def room(rng, held_out=False):
    """A wall with a table, and shelves or a cupboard; the tops of both are where things stand.

    held_out: in the styles kept for test frames: other walls, and other pieces of wood.
    """

    def wood():
        return _wood_stock(BOARDS + int(rng.integers(TEST_BOARDS)) if held_out else int(rng.integers(BOARDS)))

    image = _wall(rng, held_out)
    stands = []
    if rng.random() < 0.35:  # a window
        w, h = int(rng.uniform(500, 1200)), int(rng.uniform(500, 1000))
        x, y = int(rng.uniform(0, WIDTH - w)), int(rng.uniform(0, 500))
        image[y : y + h, x : x + w] = cv2.resize(sky_over(rng, 540, held_out)[:, : WIDTH // 2], (w, h))
        cv2.rectangle(image, (x, y), (x + w, y + h), (235, 238, 240), 36)
        cv2.line(image, (x + w // 2, y), (x + w // 2, y + h), (235, 238, 240), 26)
    table_y = HEIGHT * float(rng.uniform(0.55, 0.85))
    shelves = int(rng.integers(0, 4))
    if shelves:
        x1, x2 = sorted(rng.uniform(0, WIDTH, 2))
        if x2 - x1 < 1200:
            x1, x2 = max(0, x1 - 800), min(WIDTH, x2 + 800)
        top = float(rng.uniform(330, 600))
        gap = (table_y - top) / shelves
        if gap > 230:
            thick = int(rng.uniform(18, 50))
            stock = wood()
            if rng.random() < 0.4:  # a cupboard behind
                behind = image[max(0, int(top - gap * 0.8)) : int(table_y), int(x1) : int(x2)]
                behind[...] = cv2.convertScaleAbs(cv2.resize(stock, behind.shape[1::-1], interpolation=cv2.INTER_LINEAR), alpha=0.6)
            for i in range(shelves):
                y = int(top + i * gap)
                board = cv2.resize(stock[:60], (int(x2 - x1), thick), interpolation=cv2.INTER_LINEAR)
                image[y : y + thick, int(x1) : int(x1) + board.shape[1]] = board
                under = image[y + thick : y + thick + 26, int(x1) : int(x2)]
                under[...] = cv2.convertScaleAbs(under, alpha=0.7)
                stands.append(Stand(x1 + 30, x2 - 30, y + 2, min(gap * 0.85, 420) / 0.32))
    # the table: a board seen from a little above
    depth = HEIGHT - table_y
    inset = float(rng.uniform(0, 0.35)) * WIDTH * 0.3
    stock = wood()
    if rng.random() < 0.35:
        plain = np.full((60, 160, 3), np.clip(rng.uniform(60, 235) + rng.normal(0, 20, 3), 10, 250), np.uint8)
        stock = grain(rng, cv2.resize(plain, (1600, 600)), 0.3, 90)
    full = rng.random() < 0.55
    front = HEIGHT if full else table_y + depth * float(rng.uniform(0.4, 0.8))
    if not full:  # floor below the table
        floor = cv2.resize(wood(), (WIDTH, int(depth * 0.7) + 1))
        image[HEIGHT - floor.shape[0] :] = cv2.convertScaleAbs(floor, alpha=0.6)
    warp_onto(image, stock, [(inset, table_y), (WIDTH - inset, table_y), (WIDTH + 200, front), (-200, front)])
    if not full:
        edge = image[int(front) : int(front) + 60]
        edge[...] = cv2.convertScaleAbs(cv2.resize(stock[:60], (WIDTH, edge.shape[0])), alpha=0.7)
    for fraction in (0.08, 0.3, 0.55, 0.85):
        y = table_y + (front - table_y) * fraction
        pad = inset * (1 - fraction)
        stands.append(Stand(pad + 60, WIDTH - pad - 60, y, 900 * (0.75 + fraction) * float(rng.uniform(0.6, 1.6))))
    return Background(image, "room", tuple(stands))
