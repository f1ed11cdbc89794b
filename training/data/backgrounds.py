"""What objects stand in front of: streets (streets.py), rooms (rooms.py), crops of real photographs, and textures."""

import os
import zlib
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from . import clutter, repaint
from .augment import fractal
from .canvas import HEIGHT, WIDTH, Background, grain
from .rooms import room
from .streets import street

PHOTO_FOLDERS = "PS3_PHOTOS"  # environment variable: folders of photographs, separated by os.pathsep; default: the Debian wallpapers

# Real photographs among the wallpapers (the rest is drawn, or shows a logo).
PHOTOS = (
    "Bridge_by_Sander_Klootwijk.jpg",
    "Dragonfly_by_Bolly.jpg",
    "Picture_0B_by_freespace.jpg",
    "aitzgorri_by_Aitzol_Berasategi.jpg",
    "life_by_Aitzol_Berasategi.jpg",
    "picosdeeuropa_by_Aitzol_Berasategi.jpg",
    "seeding_by_Clements_Engelhardt.jpg",
    "sunset_by_Aitzol_Berasategi.jpg",
    "Infinite-Sea_by_Aury88.jpg",
    "nature/Aqua.jpg",
    "nature/Blinds.jpg",
    "nature/Dune.jpg",
    "nature/GreenMeadow.jpg",
    "nature/RainDrops.jpg",
    "nature/Storm.jpg",
    "nature/Wood.jpg",
    "BytheWater",
    "ColdRipple",
    "DarkestHour",
    "EveningGlow",
    "FallenLeaf",
    "Grey",
    "Path",
    "OneStandsOut",
    "summer_1am",
)
# Kept out of training: real photographs that show something to ask for. The first is the sample frame.
HELD_OUT_PHOTOS = (
    "Kleiber_by_Lukas_Baubkus.jpg",
    "Wine_by_Jakkub_Mede.jpg",
    "friends_by_Aitzol_Berasategi.jpg",
    "greentock_by_Peter_Nerlich.jpg",
)


# What the scenery itself shows: the absence of such things is never claimed and none is pasted in. Last words of names and synonyms.
SHOWN = {
    "street": """
        tree trees house home building office road street window door sky cloud lamp post streetlight pole hill mountain grass sidewalk
        pavement wall crosswalk bush plant sun fog bridge roof town city store factory motorway wood forest sunset sunrise dusk evening
    """,
    "room": "table shelf shelves cupboard cabinet wall window wood board room desk sky cloud picture frame",
    "photo": """
        tree trees leaf leaves water wave sea ocean sky cloud sun sunset sunrise mountain hill grass meadow forest bridge insect dragonfly
        flower blossom bloom seedling herb plant wood sand desert dune rain drop droplet storm lightning moon star stars city town night
        evening island beach building house road path rock stone snow window blinds herd landscape park river lake wind
        bowl fruit fig pomegranate guava melon food
    """,
    "texture": "ball circle square diamond button pattern",
}


def shows(place, names):
    """True if scenery of this place may itself show one of the names, by its last word."""
    words = SHOWN[place].split()
    return any(name.lower().replace("-", " ").split()[-1] in words for name in names if name.strip())


def for_test(name):
    """True for a photograph that is kept for test frames: one in five, by a checksum of its name, wherever it lies."""
    return zlib.crc32(name.encode()) % 5 == 0


def photo_files(held_out=False):
    """{name: path} of the real photographs on this machine for training, or, held_out, of those kept for test frames."""
    return {name: path for name, path in _all_photos().items() if for_test(name) is held_out}


def _all_photos():
    folders = os.environ.get(PHOTO_FOLDERS)
    if folders:
        found = [p for f in folders.split(os.pathsep) for p in sorted(Path(f).glob("*.jpg"))]
        return {p.name: p for p in found if p.name not in HELD_OUT_PHOTOS}
    files = {}
    for name in PHOTOS:
        for path in (Path("/usr/share/backgrounds") / name, Path("/usr/share/backgrounds/mate") / name):
            if path.is_file():
                files[name] = path
        images = sorted(Path("/usr/share/wallpapers").glob(f"{name}/contents/images/*"), key=lambda p: p.stat().st_size)
        if images:
            files[name] = images[-1]
    return files


@lru_cache(maxsize=40)
def _photo(path):
    image = cv2.imread(path, cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"The photograph {path!r} cannot be read; remove it from the folder or install its package again.")
    scale = max(WIDTH / image.shape[1], HEIGHT / image.shape[0])
    if scale < 0.8:  # keep some room for crops, not more
        image = cv2.resize(image, None, fx=scale * 1.25, fy=scale * 1.25, interpolation=cv2.INTER_AREA)
    return image


def photo(rng, held_out=False):
    """A random crop of a real photograph, mirrored half of the time; a texture where there are none. held_out: one kept for test frames."""
    files = photo_files(held_out)
    if not files:
        return texture(rng, held_out)
    names = sorted(files)
    image = _photo(str(files[names[rng.integers(len(names))]]))
    height, width = image.shape[:2]
    part = float(rng.uniform(0.55, 1.0))
    crop_w = min(width, height * WIDTH / HEIGHT) * part
    crop_h = crop_w * HEIGHT / WIDTH
    x, y = int(rng.uniform(0, width - crop_w)), int(rng.uniform(0, height - crop_h))
    crop = image[y : y + int(crop_h), x : x + int(crop_w)]
    pixels = cv2.resize(crop, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA if crop.shape[1] > WIDTH else cv2.INTER_LINEAR)
    return Background(pixels[:, ::-1].copy() if rng.random() < 0.5 else pixels, "photo")


def texture(rng, held_out=False):
    """A colour field with noise, stripes, checks or blobs: nothing real, so that words rest on the objects alone.

    held_out: rings or a grid of dots, which only test frames have.
    """
    small_w, small_h = WIDTH // 4, HEIGHT // 4
    a, b = rng.uniform(0, 255, (2, 3)).astype(np.float32)
    kind = rng.integers(4)
    if held_out:
        y, x = np.mgrid[:small_h, :small_w].astype(np.float32)
        period, at = float(rng.uniform(20, 160)), rng.uniform(0, 1, 2) * (small_w, small_h)
        rings = np.sin(np.hypot(x - at[0], y - at[1]) * 2 * np.pi / period) * 1.5
        field = rings if kind < 2 else 3 * np.sin(x * np.pi / period) * np.sin(y * np.pi / period)
    elif kind == 0:
        field = fractal(rng, small_h, small_w, cells=int(rng.integers(2, 24)))
    elif kind == 1:
        angle, period = rng.uniform(0, np.pi), rng.uniform(12, 160)
        y, x = np.mgrid[:small_h, :small_w].astype(np.float32)
        field = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period) * 1.5
    elif kind == 2:
        side = int(rng.integers(10, 120))
        y, x = np.mgrid[:small_h, :small_w]
        field = (((x // side) + (y // side)) % 2 * 2 - 1).astype(np.float32) * float(rng.uniform(0.3, 1.5))
    else:
        field = np.tanh(4 * fractal(rng, small_h, small_w, cells=int(rng.integers(4, 40)), octaves=2))
    mix = (1 / (1 + np.exp(-field)))[..., None]
    image = np.clip(a * mix + b * (1 - mix), 0, 255).astype(np.uint8)
    image = cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    return Background(grain(rng, image, float(rng.uniform(0, 0.8)), 120), "texture")


def make(rng, place=None, held_out=False, varied=False):
    """A background of the given place, or of a random one: streets 38%, rooms 34%, photographs 20%, textures 8%.

    held_out: with the photographs, styles and colours that are kept for test frames, and none of those of training frames.
    varied: as training frames have it: some in other colours or cut up (repaint.py), half with things without a name (clutter.py).
    """
    if place is None:
        place = ("street", "room", "photo", "texture")[int(np.searchsorted([0.38, 0.72, 0.92, 1.0], rng.random(), side="right"))]
    makers = {"street": street, "room": room, "photo": photo, "texture": texture}
    if place not in makers:
        raise ValueError(f"There is no background named {place!r}; use one of {', '.join(makers)}.")
    made = makers[place](rng, held_out)
    if varied:
        own = np.random.default_rng(rng.integers(1 << 62))
        made = replace(made, pixels=repaint.repainted(own, made.pixels))
        if own.random() < clutter.SHARE:
            clutter.scattered(own, made.pixels)
    return made
