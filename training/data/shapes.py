"""Plain bodies for rendered scenes: boards, boxes, posts and discs, as models of triangles in metres, y up."""

import numpy as np

from .models import Model, Part


def _model(parts):
    points = np.concatenate([part.vertices[:, :3] for part in parts])
    return Model(tuple(parts), np.array([points.min(0), points.max(0)], float))


def face(corners, colour=(0.7, 0.7, 0.7), texture=None, repeat=(1.0, 1.0), opacity=1.0, shine=0.0, glow=0.0):
    """A flat four-cornered Part. corners: [4, 3] metres, against the clock as seen from its front, the texture's bottom left first.

    colour: sRGB in 0 to 1. texture: uint8 [h, w, 4] red first, shown `repeat` times across and up.
    """
    corners = np.asarray(corners, float)
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    normal /= max(np.linalg.norm(normal), 1e-12)
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * repeat
    rows = np.concatenate([corners, np.tile(normal, (4, 1)), uv], 1)[[0, 1, 2, 0, 2, 3]]
    return Part(rows.astype(np.float32), tuple(colour) if texture is None else (1.0, 1.0, 1.0), opacity, shine, texture, glow)


def quad(corners, **looks):
    """A Model of one face."""
    return _model([face(corners, **looks)])


def board(width, height, back=(0.45, 0.45, 0.47), thick=0.012, **looks):
    """An upright board in the plane z = 0 looking along +z, its middle at the origin: a sign. Behind it the same outline in `back`."""
    x, y = width / 2, height / 2
    front = face([(-x, -y, 0), (x, -y, 0), (x, y, 0), (-x, y, 0)], **looks)
    behind = [(x, -y, -thick), (-x, -y, -thick), (-x, y, -thick), (x, y, -thick)]
    texture = looks.get("texture")
    if texture is not None:  # only its outline shows from behind
        plain = np.empty_like(texture)
        plain[..., :3] = np.array(back) * 255
        plain[..., 3] = texture[:, ::-1, 3]
        return _model([front, face(behind, texture=plain)])
    return _model([front, face(behind, colour=back)])


def box(width, height, depth, colour=(0.7, 0.7, 0.7), texture=None, metre=1.0, shine=0.0, glow=0.0):
    """A box standing on y = 0, its middle at x = z = 0. texture repeats every `metre` metres on all sides."""
    x, z, y = width / 2, depth / 2, height
    sides = (
        ([(-x, 0, z), (x, 0, z), (x, y, z), (-x, y, z)], (width, height)),
        ([(x, 0, -z), (-x, 0, -z), (-x, y, -z), (x, y, -z)], (width, height)),
        ([(x, 0, z), (x, 0, -z), (x, y, -z), (x, y, z)], (depth, height)),
        ([(-x, 0, -z), (-x, 0, z), (-x, y, z), (-x, y, -z)], (depth, height)),
        ([(-x, y, z), (x, y, z), (x, y, -z), (-x, y, -z)], (width, depth)),
        ([(-x, 0, -z), (x, 0, -z), (x, 0, z), (-x, 0, z)], (width, depth)),
    )
    faces = [face(c, colour, texture, (a / metre, b / metre), shine=shine, glow=glow) for c, (a, b) in sides]
    rows = np.concatenate([f.vertices for f in faces])
    return _model([Part(rows, faces[0].colour, 1.0, shine, texture, glow)])


def post(radius, height, colour=(0.5, 0.5, 0.52), sides=12, shine=0.3):
    """A round post standing on y = 0 at the origin."""
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    ring = np.stack([np.cos(angle), np.zeros_like(angle), np.sin(angle)], 1)
    rows = []
    for a, b in zip(ring[:-1], ring[1:], strict=True):
        low_a, low_b = a * radius, b * radius
        up = np.array([0, height, 0])
        for point, normal in ((low_a, a), (low_a + up, a), (low_b + up, b), (low_a, a), (low_b + up, b), (low_b, b)):
            rows.append([*point, *normal, 0, 0])
        for point in (up, low_b + up, low_a + up):
            rows.append([*point, 0, 1, 0, 0, 0])
    return _model([Part(np.array(rows, np.float32), tuple(colour), 1.0, shine)])


def disc(radius, colour, glow=0.0, sides=20, shine=0.2):
    """A Part: a round plate in the plane z = 0 looking along +z, its middle at the origin."""
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    edge = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], 1) * radius
    rows = [[*p, 0, 0, 1, 0, 0] for a, b in zip(edge[:-1], edge[1:], strict=True) for p in (np.zeros(3), a, b)]
    return Part(np.array(rows, np.float32), tuple(colour), 1.0, shine, None, glow)


def moved(part, x=0.0, y=0.0, z=0.0):
    """The Part shifted by metres."""
    vertices = part.vertices.copy()
    vertices[:, :3] += (x, y, z)
    return Part(vertices, part.colour, part.opacity, part.shine, part.texture, part.glow)


def together(*models):
    """One Model of several and of single Parts."""
    return _model([part for model in models for part in (model.parts if isinstance(model, Model) else (model,))])


LENS = {"red": (1.0, 0.1, 0.06), "amber": (1.0, 0.62, 0.05), "green": (0.08, 0.95, 0.45)}


def traffic_light(rng, state):
    """A traffic light looking along +z, its middle at the origin, 0.9 m high: a housing, three visors, one of three lenses lit."""
    shell = [(0.06, 0.06, 0.065), (0.06, 0.06, 0.065), (0.16, 0.17, 0.17), (0.75, 0.6, 0.1), (0.12, 0.22, 0.16)][rng.integers(5)]
    width, height, lens = float(rng.uniform(0.26, 0.34)), float(rng.uniform(0.84, 1.0)), float(rng.uniform(0.095, 0.115))
    housing = together(*(moved(part, y=-height / 2, z=-0.1) for part in box(width, height, 0.2, shell, shine=0.25).parts))
    parts = list(housing.parts)
    if rng.random() < 0.4:  # a back plate
        edge = float(rng.uniform(0.08, 0.2))
        plate = box(width + edge, height + edge, 0.015, (0.03, 0.03, 0.03))
        parts += [moved(part, y=-(height + edge) / 2, z=-0.12) for part in plate.parts]
    for row, name in enumerate(("red", "amber", "green")):
        y = (1 - row) * height / 3.1
        lit = name == state
        colour = LENS[name] if lit else tuple(0.09 + 0.2 * v for v in LENS[name])
        parts.append(moved(disc(lens * 1.12, (0.02, 0.02, 0.02)), y=y, z=0.002))
        parts.append(moved(disc(lens, colour, glow=float(rng.uniform(0.5, 1.1)) if lit else 0.0), y=y, z=0.006))
        angles = np.linspace(np.pi * 0.05, np.pi * 0.95, 9)
        for a, b in zip(angles[:-1], angles[1:], strict=True):  # the visor over it
            p, q = (np.array([np.cos(v) * lens * 1.15, y + np.sin(v) * lens * 1.15, 0.0]) for v in (a, b))
            deep = np.array([0, 0, 0.16])
            parts.append(face([p, q, q + deep, p + deep], shell))
    return _merged(parts)


def _merged(parts):
    """A Model with one Part a look, so that a body of many faces is few draws."""
    looks = {}
    for part in parts:
        looks.setdefault((part.colour, part.opacity, part.shine, id(part.texture), part.glow), []).append(part)
    return _model([Part(np.concatenate([p.vertices for p in same]), *_look(same[0])) for same in looks.values()])


def _look(part):
    return part.colour, part.opacity, part.shine, part.texture, part.glow
