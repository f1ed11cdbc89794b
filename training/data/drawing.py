"""Objects drawn from scratch: traffic lights with their state, and simple shaded shapes. No picture files needed.

Every function takes a numpy Generator and returns RGBA uint8 [h, w, 4] (red first), longer side about 320 px, cut to what is visible.
"""

import cv2
import numpy as np

LENS = {"red": (255, 40, 30), "amber": (255, 176, 20), "green": (30, 235, 120)}
SHIFT = 4  # cv2 draws at 1/16 px: smooth edges even for small shapes
ONE = 1 << SHIFT


def _canvas(height, width):
    return np.zeros((height, width, 4), np.uint8)


def _polygon(canvas, points, color):
    cv2.fillPoly(canvas, [np.round(np.asarray(points, float) * ONE).astype(np.int32)], (*map(int, color), 255), cv2.LINE_AA, SHIFT)


def _ellipse(canvas, center, axes, color, start=0, end=360, thickness=-1):
    center = tuple(int(round(c * ONE)) for c in center)
    axes = tuple(int(round(max(a, 0.5) * ONE)) for a in axes)
    cv2.ellipse(canvas, center, axes, 0, start, end, (*map(int, color), 255), thickness, cv2.LINE_AA, SHIFT)


def _shade(canvas, light):
    """Multiplies the colours by light (float, broadcast to [h, w]), alpha untouched."""
    shaded = canvas[..., :3].astype(np.float32) * np.asarray(light, np.float32)[..., None]
    canvas[..., :3] = np.clip(shaded, 0, 255).astype(np.uint8)
    return canvas


def _round_body(width, center=0.35, dark=0.45):
    """Light across a cylinder: float32 [1, width], brightest at `center` of the width."""
    x = np.linspace(0, 1, width, dtype=np.float32)
    return (1.15 - (1.15 - dark) * np.abs(x - center) ** 1.4 / max(center, 1 - center) ** 1.4)[None]


def trim(rgba):
    """Cuts away fully transparent borders. Raises ValueError where nothing is visible."""
    rows, cols = np.flatnonzero(rgba[..., 3].max(1) > 8), np.flatnonzero(rgba[..., 3].max(0) > 8)
    if not len(rows):
        raise ValueError(f"The picture of {rgba.shape[1]} x {rgba.shape[0]} px is fully transparent; leave it out of the catalogue.")
    return np.ascontiguousarray(rgba[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1])


def _color(rng, low=20, high=235):
    return tuple(int(v) for v in rng.integers(low, high, 3))


def traffic_light(rng, state):
    """A three-lens traffic light with one lens lit; state is red, amber or green."""
    lens = 38 + float(rng.uniform(-4, 4))
    gap = float(rng.uniform(2, 14))
    margin = float(rng.uniform(6, 20))
    width, height = int(2 * (lens + margin)), int(6 * lens + 2 * gap + 2 * margin)
    housing = [(28, 28, 30), (28, 28, 30), (52, 56, 58), (206, 168, 30), (34, 62, 44), (90, 94, 96)][rng.integers(6)]
    canvas = _canvas(height, width)
    if rng.random() < 0.5:
        _polygon(canvas, [(0, 0), (width - 1, 0), (width - 1, height - 1), (0, height - 1)], housing)
    else:  # rounded housing
        radius = width * float(rng.uniform(0.15, 0.5))
        _polygon(canvas, [(0, radius), (width - 1, radius), (width - 1, height - 1 - radius), (0, height - 1 - radius)], housing)
        _polygon(canvas, [(radius, 0), (width - 1 - radius, 0), (width - 1 - radius, height - 1), (radius, height - 1)], housing)
        for x in (radius, width - 1 - radius):
            for y in (radius, height - 1 - radius):
                _ellipse(canvas, (x, y), (radius, radius), housing)
    _shade(canvas, _round_body(width, float(rng.uniform(0.2, 0.8)), 0.75))
    glow = np.zeros((height, width, 3), np.float32)
    visor = rng.random() < 0.7
    off = float(rng.uniform(0.10, 0.3))
    for row, name in enumerate(("red", "amber", "green")):
        center = (width / 2, margin + lens + row * (2 * lens + gap))
        tint = np.array(LENS[name], float)
        if visor:
            _ellipse(canvas, (center[0], center[1] - lens * 0.08), (lens * 1.1, lens * 1.1), (10, 10, 11))
        if name != state:
            _ellipse(canvas, center, (lens * 0.96, lens * 0.96), tint * off * 0.6 + 10)
            _ellipse(canvas, (center[0], center[1] - lens * 0.25), (lens * 0.55, lens * 0.4), tint * off + 14)
            continue
        _ellipse(canvas, center, (lens * 0.98, lens * 0.98), tint)
        hot = float(rng.uniform(0.15, 0.7))
        for step in (0.85, 0.65, 0.45):
            mix = hot * (1 - step)
            _ellipse(canvas, center, (lens * step, lens * step), tint * (1 - mix) + 255 * mix)
        if rng.random() < 0.3:  # a lens of separate diodes
            for dx in np.arange(-lens, lens, 7):
                for dy in np.arange(-lens, lens, 7):
                    if dx * dx + dy * dy < lens * lens * 0.92:
                        cv2.circle(canvas, (int(center[0] + dx), int(center[1] + dy)), 1, (*[int(v * 0.55) for v in tint], 255), -1)
        spot = np.zeros((height, width), np.float32)
        cv2.circle(spot, (int(center[0]), int(center[1])), int(lens), 1.0, -1)
        glow += cv2.GaussianBlur(spot, (0, 0), lens * 0.6)[..., None] * tint.astype(np.float32) * float(rng.uniform(0.1, 0.45))
    if visor:
        for row in range(3):
            center = (width / 2, margin + lens + row * (2 * lens + gap))
            _ellipse(canvas, center, (lens * 1.06, lens * 1.06), (12, 12, 13), 190, 350, int(lens * 0.16))
    canvas[..., :3] = np.clip(canvas[..., :3] + glow, 0, 255).astype(np.uint8)
    if rng.random() < 0.35:  # back plate, often with a light border
        edge, border = int(rng.uniform(10, 34)), int(rng.integers(0, 7))
        plate = _canvas(height + 2 * edge, width + 2 * edge)
        plate[...] = (16, 16, 18, 255)
        if border:
            color = [(235, 235, 235, 255), (240, 210, 40, 255)][rng.integers(2)]
            cv2.rectangle(plate, (border, border), (plate.shape[1] - 1 - border, plate.shape[0] - 1 - border), color, border)
        inner = canvas[..., 3:].astype(np.float32) / 255
        target = plate[edge : edge + height, edge : edge + width]
        target[..., :3] = (canvas[..., :3] * inner + target[..., :3] * (1 - inner)).astype(np.uint8)
        canvas = plate
    if rng.random() < 0.12:  # hung on its side: red left
        canvas = np.ascontiguousarray(np.rot90(canvas))
    return canvas


def mug(rng):
    """A mug with its handle at one side."""
    color = _color(rng)
    width, height = int(rng.uniform(150, 200)), int(rng.uniform(180, 240))
    handle = int(rng.uniform(50, 80))
    canvas = _canvas(height + 40, width + handle + 10)
    _ellipse(canvas, (width, height * 0.5 + 20), (handle, height * rng.uniform(0.24, 0.33)), color, 270, 450, int(rng.uniform(14, 24)))
    taper = rng.uniform(0, 0.12) * width
    lip = width * rng.uniform(0.08, 0.16)
    body = _canvas(*canvas.shape[:2])
    _polygon(body, [(0, lip), (width, lip), (width - taper, height), (taper, height)], color)
    _ellipse(body, (width / 2, height), (width / 2 - taper, lip * 0.9), color)
    if rng.random() < 0.3:
        stripe = _color(rng)
        mask = body[..., 3] > 0
        top, bottom = sorted(rng.integers(int(height * 0.3), int(height * 0.9), 2))
        body[top:bottom][mask[top:bottom]] = (*stripe, 255)
    shaded = _shade(body, np.pad(_round_body(width, float(rng.uniform(0.25, 0.75))), ((0, 0), (0, canvas.shape[1] - width)), mode="edge"))
    canvas = np.where(shaded[..., 3:] > 0, shaded, canvas)
    _ellipse(canvas, (width / 2, lip), (width / 2, lip), np.minimum(np.array(color) * 1.15 + 12, 255))
    inside = (70, 40, 20) if rng.random() < 0.5 else np.array(color) * 0.45
    _ellipse(canvas, (width / 2, lip + 2), (width / 2 - 7, lip - 3), inside)
    return canvas if rng.random() < 0.5 else np.ascontiguousarray(canvas[:, ::-1])


def bottle(rng):
    """A bottle with neck, cap and label."""
    color, cap, label = _color(rng, 10, 200), _color(rng), _color(rng, 120, 250)
    width, height = int(rng.uniform(80, 120)), 320
    neck, shoulder = width * rng.uniform(0.14, 0.22), height * rng.uniform(0.3, 0.45)
    canvas = _canvas(height, width)
    middle = width / 2
    _polygon(
        canvas,
        [
            (middle - neck, 20),
            (middle + neck, 20),
            (middle + neck, shoulder * 0.6),
            (width - 1, shoulder),
            (width - 1, height - 8),
            (width - 8, height - 1),
            (8, height - 1),
            (0, height - 8),
            (0, shoulder),
            (middle - neck, shoulder * 0.6),
        ],
        color,
    )
    if rng.random() < 0.75:
        top = shoulder + rng.uniform(15, 40)
        _polygon(canvas, [(0, top), (width - 1, top), (width - 1, top + 90), (0, top + 90)], label)
        _polygon(canvas, [(width * 0.2, top + 30), (width * 0.8, top + 30), (width * 0.8, top + 42), (width * 0.2, top + 42)], _color(rng))
    _polygon(canvas, [(middle - neck - 3, 0), (middle + neck + 3, 0), (middle + neck + 3, 26), (middle - neck - 3, 26)], cap)
    _shade(canvas, _round_body(width, float(rng.uniform(0.25, 0.75)), 0.4))
    cv2.line(canvas, (int(width * 0.22), int(shoulder + 6)), (int(width * 0.22), height - 24), (255, 255, 255, 255), 3, cv2.LINE_AA)
    return canvas


def can(rng):
    """A tin or drink can."""
    color, band = _color(rng), _color(rng)
    width, height = 170, int(rng.uniform(200, 320))
    lip = width * 0.12
    canvas = _canvas(height + 30, width)
    _polygon(canvas, [(0, lip), (width - 1, lip), (width - 1, height), (0, height)], color)
    top = height * rng.uniform(0.3, 0.5)
    _polygon(canvas, [(0, top), (width - 1, top), (width - 1, top + height * 0.25), (0, top + height * 0.25)], band)
    _ellipse(canvas, (width / 2, height), (width / 2, lip), color)
    _shade(canvas, _round_body(width, float(rng.uniform(0.25, 0.75)), 0.4))
    _ellipse(canvas, (width / 2, lip), (width / 2, lip), (200, 202, 205))
    _ellipse(canvas, (width / 2, lip + 1), (width / 2 - 8, lip - 4), (150, 152, 156))
    return canvas


def bowl(rng):
    """An empty or filled bowl."""
    color = _color(rng, 40)
    width, height = 300, int(rng.uniform(110, 150))
    lip = rng.uniform(22, 40)
    canvas = _canvas(height + 40, width)
    _ellipse(canvas, (width / 2, lip), (width / 2 - 1, height), color, 0, 180)
    foot = width * rng.uniform(0.16, 0.22)
    _polygon(
        canvas,
        [(width / 2 - foot, height), (width / 2 + foot, height), (width / 2 + foot, height + 26), (width / 2 - foot, height + 26)],
        color,
    )
    _shade(canvas, _round_body(width, float(rng.uniform(0.25, 0.75)), 0.4))
    _ellipse(canvas, (width / 2, lip), (width / 2 - 1, lip), np.minimum(np.array(color) * 1.1 + 15, 255))
    _ellipse(canvas, (width / 2, lip + 2), (width / 2 - 9, lip - 4), np.array(color) * 0.6 if rng.random() < 0.5 else _color(rng))
    return canvas


def cone(rng):
    """A traffic cone with its white bands."""
    orange = (int(rng.uniform(220, 255)), int(rng.uniform(70, 120)), int(rng.uniform(10, 50)))
    canvas = _canvas(320, 220)
    _polygon(canvas, [(98, 6), (122, 6), (184, 292), (36, 292)], orange)
    for top in (90, 170)[: int(rng.integers(1, 3))]:
        half = 12 + (top - 6) * 62 / 286
        low = 12 + (top + 34) * 62 / 286
        _polygon(canvas, [(110 - half, top), (110 + half, top), (110 + low, top + 40), (110 - low, top + 40)], (238, 238, 238))
    _shade(canvas, _round_body(220, float(rng.uniform(0.35, 0.65)), 0.35))
    _polygon(canvas, [(4, 296), (22, 284), (198, 284), (216, 296), (216, 316), (4, 316)], np.array(orange) * rng.uniform(0.3, 0.9))
    return canvas


def hydrant(rng):
    """A fire hydrant, red unless recoloured."""
    red = (int(rng.uniform(170, 225)), int(rng.uniform(15, 50)), int(rng.uniform(15, 50)))
    canvas = _canvas(320, 220)
    _polygon(canvas, [(70, 90), (150, 90), (154, 290), (66, 290)], red)
    _ellipse(canvas, (110, 90), (52, 66), red, 180, 360)
    _polygon(canvas, [(52, 84), (168, 84), (168, 104), (52, 104)], np.array(red) * 0.85)
    _polygon(canvas, [(100, 8), (120, 8), (122, 34), (98, 34)], red)
    for x in (40, 180):
        _ellipse(canvas, (x, 160), (26, 26), np.array(red) * 0.8)
        _ellipse(canvas, (x, 160), (12, 12), np.array(red) * 0.55)
    _shade(canvas, _round_body(220, float(rng.uniform(0.35, 0.65)), 0.4))
    _ellipse(canvas, (110, 165), (30, 30), np.minimum(np.array(red) * 1.15, 255))
    _ellipse(canvas, (110, 165), (14, 14), (205, 190, 90) if rng.random() < 0.4 else np.array(red) * 0.7)
    _polygon(canvas, [(48, 284), (172, 284), (172, 312), (48, 312)], np.array(red) * 0.75)
    return canvas


def barrier(rng):
    """A striped barrier board on two legs."""
    stripe = [(215, 30, 30), (235, 110, 20)][rng.integers(2)]
    canvas = _canvas(220, 320)
    for x in (40, 262):
        _polygon(canvas, [(x, 20), (x + 18, 20), (x + 18, 214), (x, 214)], (110, 110, 112))
    for top in (30, 110)[: int(rng.integers(1, 3))]:
        board = _canvas(220, 320)
        _polygon(board, [(2, top), (318, top), (318, top + 52), (2, top + 52)], (240, 240, 238))
        mask = board[..., 3] > 0
        for x in range(-60, 360, 64):
            _polygon(board, [(x, top + 52), (x + 32, top + 52), (x + 76, top), (x + 44, top)], stripe)
        canvas[mask] = board[mask]
    return canvas


def clock(rng):
    """A round wall clock at a random time."""
    rim, face = _color(rng), ((245, 245, 240) if rng.random() < 0.8 else (35, 35, 40))
    ink = (20, 20, 22) if sum(face) > 380 else (240, 240, 240)
    canvas = _canvas(320, 320)
    _ellipse(canvas, (160, 160), (158, 158), rim)
    edge = rng.uniform(128, 148)
    _ellipse(canvas, (160, 160), (edge, edge), face)
    for hour in range(12):
        angle = hour * np.pi / 6
        far, near = edge - 8, edge - (34 if hour % 3 == 0 else 20)
        for width, a, b in (((9 if hour % 3 == 0 else 5), near, far),):
            start = (int(160 + a * np.sin(angle)), int(160 - a * np.cos(angle)))
            cv2.line(canvas, start, (int(160 + b * np.sin(angle)), int(160 - b * np.cos(angle))), (*ink, 255), width, cv2.LINE_AA)
    time = rng.uniform(0, 12)
    for angle, length, width in ((time * np.pi / 6, 0.52, 11), (time * 2 * np.pi, 0.8, 7)):
        end = (int(160 + edge * length * np.sin(angle)), int(160 - edge * length * np.cos(angle)))
        cv2.line(canvas, (160, 160), end, (*ink, 255), width, cv2.LINE_AA)
    return canvas


DRAWN = {
    "traffic_light_red": lambda rng: traffic_light(rng, "red"),
    "traffic_light_amber": lambda rng: traffic_light(rng, "amber"),
    "traffic_light_green": lambda rng: traffic_light(rng, "green"),
    "mug": mug,
    "bottle": bottle,
    "can": can,
    "bowl": bowl,
    "cone": cone,
    "hydrant": hydrant,
    "barrier": barrier,
    "clock": clock,
}


def draw(name, seed):
    """The drawn object `name` (a key of DRAWN), always the same for the same seed: RGBA uint8 [h, w, 4]."""
    if name not in DRAWN:
        raise ValueError(f"There is no drawing named {name!r}; use one of {', '.join(sorted(DRAWN))}.")
    return trim(DRAWN[name](np.random.default_rng([seed, *name.encode()])))
