"""Named objects as cut-outs with the words people use for them.

Published for the training loop, and kept stable:

    objects = catalogue.load()                                # tuple[NamedObject, ...]; objects without pictures here are left out
    rgba = catalogue.render(object, rng, size, colour=None)   # uint8 [h, w, 4], RED FIRST, longer side == size px; alpha straight
    text, asks = captions.caption(object, rng)                # words for it, and the name those words mean (captions.py)

Pictures are found under roots that an environment variable can move (see ROOTS); what is missing is skipped, and
`load(require=...)` says what to install.
"""

import os
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

import cv2
import numpy as np

from ps3_ros.errors import Ps3Error

from . import kinds, photographs, wide
from . import objects as table
from . import restyled as styles
from .drawing import DRAWN, draw, trim

ASSETS = "PS3_ASSETS"  # environment variable: the folder that fetch_assets filled; default: .assets in the working folder
DRAWINGS = 24  # variants of each drawn object
RASTER = 512  # px, longer side at which vector pictures are kept

# The colours an object marked `*` may be given: OpenCV hue (0 to 179), and the word.
COLOURS = {"red": 0, "orange": 12, "yellow": 27, "green": 62, "blue": 112, "purple": 140, "pink": 164}


class AssetError(Ps3Error):
    """Pictures the data generator needs are not on this machine."""


def assets_folder():
    """The folder with the npm packages: $PS3_ASSETS, or .assets in the working folder or beside the package."""
    if os.environ.get(ASSETS):
        return Path(os.environ[ASSETS])
    here = Path.cwd() / ".assets"
    return here if here.is_dir() else Path(__file__).resolve().parents[2] / ".assets"


def roots():
    """{root: folder} of the picture collections that are on this machine."""
    assets = assets_folder()
    places = {
        "sign": sorted(assets.glob("mapillary_sprite_source-*/package/package_signs")),
        "emoji": sorted(assets.glob("lobehub-fluent-emoji-3d-*/package/assets")),
        "clip": [Path(os.environ.get("PS3_OPENCLIPART", "/usr/share/openclipart/svg"))],
        "tux": [Path(os.environ.get("PS3_TUXPAINT", "/usr/share/tuxpaint/stamps"))],
        "model": [path.parent for path in [assets / "model_views" / "models.json"] if path.is_file()],
        "style": [path.parent for path in [assets / "emoji_styles" / "DONE"] if path.is_file()],
        "photo": [path.parent for path in [assets / "photographs" / photographs.LIST] if path.is_file()],
    }
    return {name: found[-1] for name, found in places.items() if found and found[-1].is_dir()}


SHIPPABLE = ("sign", "emoji", "clip", "drawn")  # roots whose pictures may be redistributed: MIT, MIT, public domain, ours
# Roots that load(require=True) does without: made here by views.py, which needs a renderer, restyled.py and photographs.py.
OPTIONAL = {"model", "style", "photo"}


@dataclass(frozen=True)
class NamedObject:
    """One thing that can be asked for. `pictures` are (root, path) pairs; path is a drawing's name for root `drawn`."""

    name: str
    synonyms: tuple
    color: str  # the colour it comes in, or ""
    recolour: bool  # may be given any of COLOURS
    place: str  # street, room or any
    group: str  # objects of one group are easily confused
    metres: float  # longer side of the real thing
    kind: str  # sign, light, street or room
    pictures: tuple
    held_out: bool = False  # never in training frames
    wider: tuple = ()  # names it answers to beside those of table.FAMILIES
    core: bool = True  # of the hand-written table; False: of wide.py, with no words but its name
    restyled: tuple = ()  # other looks, in styles.SHARE of all: by other hands (restyled.py), 3D models (views.py), photographs

    @property
    def families(self):
        """The wider names, and those of the same thing, that it answers to: ("speed limit sign", "traffic sign")."""
        wider = [family for family, members in table.FAMILIES.items() if self.name in members]
        return tuple(dict.fromkeys([*wider, *self.wider, *kinds.of(self.name), *["traffic sign"] * (self.kind == "sign")]))


def _parse(line, kind):
    fields = [field.strip() for field in line.split("|")]
    if len(fields) != 7:
        raise ValueError(f"The catalogue line {line!r} has {len(fields)} fields; write 7, separated by |.")
    name, synonyms, color, place, group, metres, pictures = fields
    return name, tuple(s.strip() for s in synonyms.split(";") if s.strip()), color, place, group, float(metres), pictures.split(), kind


def rows():
    """All lines of the table, parsed, whether or not their pictures are here."""
    tables = (("sign", table.SIGNS), ("light", table.LIGHTS), ("street", table.STREET), ("room", table.ROOM))
    return [_parse(line, kind) for kind, text in tables for line in text.strip().splitlines()]


@cache
def _table_names():
    return frozenset(row[0] for row in rows())


def is_held_out(name):
    """Whether no training caption may say this name: it is one of HELD_OUT, or a wide name that is kept from training."""
    return name in table.HELD_OUT if name in _table_names() else wide.held_out(name)


def _find(pattern, places):
    root, _, path = pattern.partition(":")
    if root == "drawn":
        if path not in DRAWN:
            raise ValueError(f"The catalogue asks for the drawing {path!r}; drawing.py has {', '.join(sorted(DRAWN))}.")
        return [("drawn", path)]
    if root not in places:
        return []
    if root == "emoji":
        path += ".webp"
    found = sorted(places[root].glob(path)) if "*" in path else [p for p in [places[root] / path] if p.is_file()]
    return [(root, str(p)) for p in found if p.stem not in table.EXCLUDED]


def missing():
    """The collections of pictures, of those that every machine can have, that are not on this one: a sorted list."""
    return sorted({"sign", "emoji", "clip", "tux"} - set(roots()))


def load(require=False, only=None, core_only=False, restyled=False):
    """The objects whose pictures are here, as a tuple: the table's in its order, then the wide ones (wide.py).

    require: True raises AssetError where a whole collection is missing, saying what to install.
    only: keep only pictures of these roots, for example SHIPPABLE for frames that are given away.
    core_only: leave the wide ones out. restyled: with pictures in other styles, views of 3D models of them, and the things that only
    other styles show: for training.
    """
    places = roots()
    styled = {root: places[root] for root in ("style", "model", "photo") if root in places and restyled}
    if not restyled:
        places.pop("style", None)
    if require and missing():
        raise AssetError(
            f"The picture collections {', '.join(missing())} are missing under {str(assets_folder())!r} and the Debian paths; "
            "run `python -m ps3_training.data.fetch_assets .assets` and install the Debian packages it names."
        )
    loaded = []
    for name, synonyms, color, place, group, metres, patterns, kind in rows():
        pictures = [picture for pattern in patterns for picture in _find(pattern, places)]
        if only is not None:
            pictures = [picture for picture in pictures if picture[0] in only]
        if pictures:
            natural = color.replace("*", "").lstrip("=")
            loaded.append(
                NamedObject(name, synonyms, natural, "*" in color, place, group, metres, kind, tuple(pictures), name in table.HELD_OUT)
            )
    if not core_only:
        taken = {o.name for o in loaded} | {s for o in loaded for s in o.synonyms} | {"traffic sign", *table.FAMILIES}
        taken |= {picture for o in loaded for picture in o.pictures}
        found = [row for row in wide.rows(places, taken) if only is None or row[-1][0][0] in only]
        names = {o.name for o in loaded} | {row[0] for row in found}
        for name, place, group, metres, kind, pictures in found:
            wider = wide.wider(name, kind, names)
            loaded.append(NamedObject(name, (), "", False, place, group, metres, kind, pictures, wide.held_out(name), wider, core=False))
    return tuple(replace(o, restyled=_restyled(o, styled)) for o in loaded) if styled else tuple(loaded)


def _restyled(thing, places):
    """The same thing as others drew it, and photographs and views of 3D models of it where it has no colour of its own; none for signs and
    lights, whose colours and forms are the law's.
    """
    if thing.kind in ("sign", "light"):
        return ()
    found = []
    if "style" in places:
        found += [p for root, path in thing.pictures if root == "emoji" for p in styles.of_emoji(path, places["style"])]
        found += styles.of_name(thing.name, places["style"])
    if "model" in places and not thing.color:
        found += wide.views(places["model"], (thing.name, *thing.synonyms))
    if "photo" in places and not thing.color:
        found += photographs.of_names(places["photo"], (thing.name, *thing.synonyms))
    return tuple(picture for picture in found if picture not in thing.pictures)


@lru_cache(maxsize=2048)
def picture(root, path, variant=0):
    """One cut-out as RGBA uint8 [h, w, 4], red first, trimmed to what is visible. `variant` chooses among drawings."""
    if root == "drawn":
        return draw(path, variant)
    if path.endswith(".svg"):
        import cairosvg  # here, so that the drawn objects need no cairo

        data = cairosvg.svg2png(url=path, output_width=RASTER, output_height=RASTER)
        rgba = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
    else:
        from PIL import Image  # OpenCV drops the transparency of palette pictures

        try:
            rgba = np.array(Image.open(path).convert("RGBA"))
        except OSError as error:
            raise AssetError(f"The picture {path!r} cannot be read ({error}); install it again or take it out of the catalogue.") from error
    rgba = trim(rgba)
    return resized(rgba, RASTER) if max(rgba.shape[:2]) > RASTER else rgba


def recoloured(rgba, colour):
    """The cut-out with its saturated pixels (all of them where it is grey) given one of COLOURS; lightness kept."""
    if colour not in COLOURS:
        raise ValueError(f"There is no colour named {colour!r}; use one of {', '.join(COLOURS)}.")
    hsv = cv2.cvtColor(rgba[..., :3], cv2.COLOR_RGB2HSV)
    visible = rgba[..., 3] > 128
    vivid = (hsv[..., 1] > 60) & visible
    if vivid.sum() < 0.25 * max(visible.sum(), 1):  # a grey thing: colour all but its darkest parts
        change = visible & (hsv[..., 2] > 60)
        hsv[..., 1] = np.where(change, 190, hsv[..., 1])
    else:
        change = hsv[..., 1] > 40
        hsv[..., 1] = np.where(change, np.maximum(hsv[..., 1], 150), hsv[..., 1])
    hsv[..., 0] = np.where(change, COLOURS[colour], hsv[..., 0])
    hsv[..., 2] = np.where(change, np.clip(hsv[..., 2].astype(np.int16) + 25, 70, 255), hsv[..., 2])
    result = rgba.copy()
    result[..., :3] = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    return result


def resized(rgba, size):
    """The cut-out with its longer side `size` px, at least 1 px on the other; colours do not bleed from transparent pixels."""
    if size < 1:
        raise ValueError(f"A cut-out of {size} px cannot be drawn; ask for at least 1 px.")
    height, width = rgba.shape[:2]
    scale = size / max(height, width)
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    shape = (size, shape[1]) if width >= height else (shape[0], size)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    alpha = rgba[..., 3:].astype(np.float32) / 255
    soft = cv2.resize(np.concatenate([rgba[..., :3] * alpha, alpha], 2), shape, interpolation=how)
    alpha = np.clip(soft[..., 3:], 0, 1)
    rgb = soft[..., :3] / np.maximum(alpha, 1e-3)
    return np.clip(np.concatenate([rgb, alpha * 255], 2) + 0.5, 0, 255).astype(np.uint8)


def render(object, rng, size, colour=None):
    """One look of the object: a picture chosen by rng, recoloured where asked, its longer side `size` px.

    Returns uint8 [h, w, 4], RED FIRST, straight alpha. Same rng state, same picture.
    """
    pictures = object.restyled if object.restyled and rng.random() < styles.SHARE else object.pictures
    root, path = pictures[rng.integers(len(pictures))] if object.kind != "light" else _light(object, rng)
    rgba = picture(root, path, int(rng.integers(DRAWINGS)) if root == "drawn" else 0)
    if colour is not None:
        rgba = recoloured(rgba, colour)
    return resized(rgba, int(size))


def _light(object, rng):
    """Traffic lights are mostly drawn ones: one stamp against many drawings would else show half of the time."""
    drawn = [p for p in object.pictures if p[0] == "drawn"]
    others = [p for p in object.pictures if p[0] != "drawn"]
    return others[rng.integers(len(others))] if others and rng.random() < 0.12 else drawn[0]
