"""The 3D models as objects that can be asked for: the catalogue's words for them, and their colours.

stock = named_models.stock(objects)          # tuple[Stocked, ...]: an entry of models.py and the NamedObject it shows
model, colour = named_models.look(stocked, rng)   # its triangles, painted where that is possible, and the colour it has, or ""
"""

import colorsys
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from . import catalogue, models, render, wide
from .placed import Camera, Placed

PAINTED = 0.4  # share of what is seen of a model that one look must have to be given a colour
CLEAR = 0.6  # share of it that must have a colour for the model to be called by it
HUES = ((10, "red"), (22, "orange"), (35, "yellow"), (85, "green"), (130, "blue"), (152, "purple"), (172, "pink"), (181, "red"))
PAINTABLE = {"seating", "vehicle", "two wheels", "bag", "textile", "cup", "bin", "bed", "storage", "kitchen furniture", "clothes", "dish"}


@dataclass(frozen=True)
class Stocked:
    """A model and the object it shows. What the table says of the object's colour does not hold for the model, so `obj` has none."""

    entry: models.Entry
    obj: catalogue.NamedObject


def named(entry, known):
    """The NamedObject that a model shows: the catalogue's of that name, or a new one. known: {name: NamedObject}."""
    obj = known.get(entry.name)
    if obj is None:
        names = set(known)
        wider = wide.wider(entry.name, "room", names)
        held_out = wide.held_out(entry.name)
        kind = "street" if entry.place == "street" else "room"
        return catalogue.NamedObject(
            entry.name, (), "", False, entry.place, entry.group, entry.metres, kind, (), held_out, wider=wider, core=False
        )
    synonyms = tuple(s for s in obj.synonyms if not set(s.split()) & {*catalogue.COLOURS, "white", "black"})
    return replace(obj, color="", synonyms=synonyms, pictures=())


def stock(objects):
    """Every model with the object it shows. objects: from catalogue.load()."""
    known = {obj.name: obj for obj in objects}
    return tuple(Stocked(entry, named(entry, known)) for entry in models.entries())


@lru_cache(maxsize=400)
def loaded(entry):
    """The model of an entry; kept, as scenes share them."""
    return models.load(entry)


@lru_cache(maxsize=1024)
def seen_shares(entry):
    """How much of what one sees of a model is each of its parts: float [parts], about 1 in sum. From four sides, a little from above."""
    model, renderer = loaded(entry), render.shared()
    low, high = model.bounds
    radius = float(np.linalg.norm(high - low)) / 2
    apart = [Placed(models.Model((part,), model.bounds), np.eye(4), i + 1) for i, part in enumerate(model.parts)]
    counts = np.zeros(len(apart) + 1)
    for azimuth in (25, 115, 205, 295):
        a = np.radians(azimuth)
        eye = (low + high) / 2 + 4 * radius * np.array([np.sin(a) * 0.95, 0.31, np.cos(a) * 0.95])
        camera = Camera(tuple(eye), azimuth, -18.0, focal=1.9, near=radius, far=7 * radius)
        numbers = renderer.numbers(apart, camera.view(), camera.projection((96, 96)), (96, 96))
        counts += np.bincount(numbers.reshape(-1), minlength=len(counts))
    for placed in apart:
        renderer.drop(placed.model)
    return counts[1:] / max(counts[1:].sum(), 1.0)


def colour_word(red, green, blue):
    """The word for a colour of 0 to 1 (sRGB), or "" for one between words."""
    hue, saturation, value = (float(v) for v in cv2.cvtColor(np.float32([[[red, green, blue]]]), cv2.COLOR_RGB2HSV)[0, 0])
    if value < 0.12 or (value < 0.2 and saturation < 0.35):
        return "black"
    if saturation < 0.13:  # lit from one side, a light grey is called white and a dark one black: neither is said
        return "white" if value > 0.78 else "grey" if 0.32 < value < 0.58 else ""
    if saturation < 0.3 or value < 0.25:
        return ""
    word = next(name for limit, name in HUES if hue / 2 < limit)
    if word in ("red", "orange", "yellow") and value < 0.55 and saturation < 0.85:
        return "brown" if word != "yellow" else ""
    return word


@lru_cache(maxsize=1024)
def own_colour(entry):
    """The word for the colour a model has as it comes, "" where it has several, none that is clear, or one that goes without saying."""
    if entry.group in ("plant", "food", "person", "animal"):
        return ""
    model = loaded(entry)
    areas = seen_shares(entry)
    shares = {}
    for part, area in zip(model.parts, areas, strict=True):
        if part.opacity < 0.7:
            continue
        if part.texture is None:
            word = colour_word(*part.colour)
        else:
            seen = part.texture[part.texture[..., 3] > 128]
            spread = float(seen[:, :3].std(0).mean()) if len(seen) else 99.0
            word = colour_word(*(seen[:, :3].mean(0) / 255)) if spread < 45 else ""
        shares[word] = shares.get(word, 0.0) + float(area)
    best = max(shares, key=shares.get, default="")
    return best if shares and shares[best] > CLEAR else ""


@lru_cache(maxsize=256)
def painted(entry, colour, shade):
    """The model with its largest plain part in one of catalogue.COLOURS (shade 0 to 2: dark to light); None where none is large enough."""
    model = loaded(entry)
    areas = seen_shares(entry)
    looks = {}
    for i, part in enumerate(model.parts):
        if part.texture is None and part.opacity > 0.9:
            looks.setdefault(part.colour, []).append(i)
    if not looks:
        return None
    members = max(looks.values(), key=lambda parts: areas[parts].sum())
    if areas[members].sum() < PAINTED:
        return None
    hue = catalogue.COLOURS[colour] / 180
    paint = colorsys.hsv_to_rgb(hue, (0.9, 0.85, 0.75)[shade], (0.55, 0.78, 0.95)[shade])
    parts = tuple(replace(part, colour=paint) if i in members else part for i, part in enumerate(model.parts))
    return models.Model(parts, model.bounds)


def paintable(stocked):
    """Whether things of this kind come in any colour."""
    return stocked.obj.recolour or stocked.entry.group in PAINTABLE


def look(stocked, rng):
    """(Model, colour word or ""): in half of the frames a thing that comes in any colour is given one."""
    entry = stocked.entry
    if paintable(stocked) and rng.random() < 0.5:
        colour = list(catalogue.COLOURS)[rng.integers(len(catalogue.COLOURS))]
        shade = int(rng.integers(3))
        model = painted(entry, colour, shade)
        if model is not None:
            return model, colour
    return loaded(entry), own_colour(entry)
