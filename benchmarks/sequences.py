"""Camera sequences with a thing to ask for: a window that pans, zooms and shakes over a large composed scene in which some things move.

The pieces are the training data's own: backgrounds of the test splits, objects that training showed. The same seed gives the same sequence.
Frames are 3840 x 2160.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from ps3_training.data import augment, backgrounds, canvas, captions, catalogue, choosing, compose, placing, words

STILL = (6144, 3456)  # px, width and height of what the camera pans over
WINDOW = (3840, 4700)  # px of the still, narrowest and widest view
SIDE = (32, 320)  # px in the frame, longer side of the thing that is asked for
THINGS = (12, 18)  # in the still
MOVING = 3  # of them move by themselves
MOVING_ASKED = 0.4  # share of sequences in which one of them is asked for, where one can be
SPEED = (10.0, 60.0)  # px of the still a frame
SHAKE = 3.0  # px, standard deviation of the hand's jitter
NOISE = 3.0  # grey levels, of the sensor


@dataclass(frozen=True, eq=False)
class Sequence:
    """query: what is asked of every frame; place: a street, a room ...; moves: whether the thing moves by itself; side: px of its longer
    side, the median; frames: function of a number -> uint8 [2160, 3840, 3] BGR; boxes: one a frame, (x1, y1, x2, y2) px, or None where less
    than 90% of it is in the frame."""

    query: str
    place: str
    moves: bool
    side: float
    frames: object
    boxes: tuple


@dataclass(frozen=True, eq=False)
class Piece:
    """A thing that is in the still, or moves over it. box: of its opaque pixels in the still, px; step: px a frame."""

    obj: object
    colour: str | None
    rgba: np.ndarray
    x: float
    y: float
    box: tuple
    step: tuple = (0.0, 0.0)


def make_sequence(objects, seed, length):
    """A Sequence. objects: catalogue.load(). seed: int; length: frames."""
    rng = np.random.default_rng([seed, 41])
    while True:
        still, place, pieces = _scene(objects, rng)
        of_moving = rng.random() < MOVING_ASKED
        for _ in range(30):
            windows = _windows(rng, length)
            order = rng.permutation(len(pieces))
            for target in sorted(order, key=lambda n: any(pieces[n].step) != of_moving):
                boxes = _boxes(pieces[target], windows)
                if _asks_one(pieces, target) and _fits(boxes, length):
                    return _sequence(still, place, pieces, int(target), windows, boxes, rng)


def _scene(objects, rng):
    """(still uint8 [h, w, 3], place, [Piece, ...]); what moves is not in the still. No thing covers another."""
    background = backgrounds.make(rng, None, held_out=True)
    zoom = STILL[0] / canvas.WIDTH
    still = cv2.resize(background.pixels, STILL, interpolation=cv2.INTER_CUBIC)
    ids = np.zeros(still.shape[:2], np.uint8)
    count = int(rng.integers(*THINGS))
    pieces, taken = [], []
    for obj in choosing.choose(objects, rng, count, "test-seen", background.place):
        where = placing.place(background, obj, rng)
        if where is None:
            continue
        size, centre, bottom, ground = where
        colour = None
        if obj.recolour and rng.random() < 0.6:
            colour = list(catalogue.COLOURS)[rng.integers(len(catalogue.COLOURS))]
        size = int(size * zoom / 1.2)
        rgba = augment.dressed(words.cut_out(obj, rng, size, colour), rng, obj.kind)
        height, width = rgba.shape[:2]
        for _ in range(10):
            x, y = int(centre * zoom - width / 2), int(bottom * zoom - height)
            box = (x, y, x + width, y + height)
            inside = x >= 0 and y >= 0 and box[2] <= STILL[0] and box[3] <= STILL[1]
            if inside and placing.overlap(box, taken) < 0.05:
                break
            centre, ground = rng.uniform(0, canvas.WIDTH), None
        else:
            continue
        taken.append(box)
        step = (0.0, 0.0)
        if obj.kind not in ("sign", "light") and sum(any(p.step) for p in pieces) < MOVING and rng.random() < 0.5:
            speed, angle = rng.uniform(*SPEED), rng.uniform(-0.4, 0.4) + (np.pi if rng.random() < 0.5 else 0)
            step = (speed * np.cos(angle), speed * np.sin(angle))
        else:
            pole = background.place == "street" and obj.kind in ("sign", "light") and ground is not None
            compose.stand(still, ids, rng, rgba, x, y, size, ground * zoom if pole else None, standing=ground is not None)
            compose.paste_object(still, ids, rgba, x, y, 1)
        rows, cols = (np.flatnonzero((rgba[..., 3] >= compose.OPAQUE).any(axis)) for axis in (1, 0))
        if len(rows):
            box = (x + cols[0], y + rows[0], x + cols[-1] + 1, y + rows[-1] + 1)
            pieces.append(Piece(obj, colour, rgba, float(x), float(y), tuple(int(v) for v in box), step))
    return still, background.place, pieces


def _windows(rng, length):
    """Affine matrices [length, 2, 3] from the still's px to the frame's: a smooth pan and zoom between two views, a slow roll, a jitter."""
    ease = np.linspace(0, 1, length)
    widths = rng.uniform(*WINDOW, 2)
    ends = [(rng.uniform(0, STILL[0] - w), rng.uniform(0, STILL[1] - w * canvas.HEIGHT / canvas.WIDTH)) for w in widths]
    roll = np.radians(rng.uniform(-1.5, 1.5, 2))
    matrices = []
    for t in ease:
        width = widths[0] * (1 - t) + widths[1] * t
        left, top = (ends[0][i] * (1 - t) + ends[1][i] * t + rng.normal(0, SHAKE) for i in (0, 1))
        scale, angle = canvas.WIDTH / width, roll[0] * (1 - t) + roll[1] * t
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        middle = np.array([left + width / 2, top + width * canvas.HEIGHT / canvas.WIDTH / 2])
        matrices.append(np.column_stack([turn, np.array([canvas.WIDTH, canvas.HEIGHT]) / 2 - turn @ middle]))
    return np.array(matrices)


def _boxes(piece, windows):
    """The box of a piece in every frame, or None where less than 90% of it can be seen."""
    found = []
    for n, matrix in enumerate(windows):
        x1, y1, x2, y2 = np.array(piece.box) + np.tile(np.multiply(piece.step, n), 2)
        corners = np.array([[x1, y1], [x2, y1], [x1, y2], [x2, y2]]) @ matrix[:, :2].T + matrix[:, 2]
        whole = np.concatenate([corners.min(0), corners.max(0)])
        seen = np.clip(whole, 0, [canvas.WIDTH, canvas.HEIGHT] * 2)
        share = np.prod(seen[2:] - seen[:2]) / np.prod(whole[2:] - whole[:2])
        found.append(tuple(float(v) for v in seen) if share >= 0.9 else None)
    return tuple(found)


def _fits(boxes, length):
    sides = [max(b[2] - b[0], b[3] - b[1]) for b in boxes if b]
    return len(sides) >= 0.7 * length and SIDE[0] <= min(sides) and max(sides) <= SIDE[1]


def _asks_one(pieces, target):
    """Whether the name asks for this thing alone."""
    name = pieces[target].obj.name
    others = [p for n, p in enumerate(pieces) if n != target]
    return not any({name, *pieces[target].obj.synonyms} & {*captions.means(p.obj, p.colour), *p.obj.synonyms} for p in others)


def _sequence(still, place, pieces, target, windows, boxes, rng):
    gains, seed = rng.uniform(0.94, 1.06, len(windows)), int(rng.integers(1 << 31))
    grain = np.random.default_rng(seed).normal(0, NOISE, (canvas.HEIGHT // 4 + 64, canvas.WIDTH // 4 + 64)).astype(np.int16)

    def frame(n):
        pixels = cv2.warpAffine(still, windows[n], (canvas.WIDTH, canvas.HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        scale = float(np.hypot(*windows[n][:, 0]))
        for piece in pieces:
            if any(piece.step):
                place = windows[n] @ [piece.x + piece.step[0] * n, piece.y + piece.step[1] * n, 1]
                size = (max(2, round(piece.rgba.shape[1] * scale)), max(2, round(piece.rgba.shape[0] * scale)))
                rgba = cv2.resize(piece.rgba, size, interpolation=cv2.INTER_AREA)
                canvas.paste(pixels, np.ascontiguousarray(rgba[..., 2::-1]), rgba[..., 3], round(place[0]), round(place[1]))
        dy, dx = np.random.default_rng([seed, n]).integers(0, 64, 2)
        noise = np.tile(grain[dy : dy + canvas.HEIGHT // 4, dx : dx + canvas.WIDTH // 4], (4, 4))
        return cv2.add(cv2.convertScaleAbs(pixels, alpha=gains[n]), cv2.merge([noise] * 3), dtype=cv2.CV_8U)

    thing, sides = pieces[target], [max(b[2] - b[0], b[3] - b[1]) for b in boxes if b]
    query = f"{thing.colour or ''} {thing.obj.name}".strip()
    return Sequence(query, place, any(thing.step), float(np.median(sides)), frame, boxes)
