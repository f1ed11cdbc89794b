"""The sample frames of the repository: python -m ps3_training.data.samples --out samples

Three frames of 3840 x 2160 with their queries and true boxes. All pictures in them may be redistributed, and none of the scenes or
photographs is in the training data: scene seeds begin with 9 (the splits use 0 to 3), the photograph is in backgrounds.HELD_OUT_PHOTOS.
"""

import argparse
import json
import sys
from pathlib import Path

import cv2
import numpy as np

from ps3_ros.errors import Ps3Error
from ps3_ros.exits import exit_code
from ps3_training.files import write_whole

from . import augment, backgrounds, canvas, catalogue, compose

QUALITY = 88  # of the JPEGs
SEED = 9  # first number of the sample scenes' seeds

SIGN_LICENSE = "traffic signs: mapillary_sprite_source, MIT, Copyright (c) 2015 mapillary"
EMOJI_LICENSE = "objects: Fluent Emoji 3D (@lobehub/fluent-emoji-3d), MIT, Copyright (c) 2023 LobeHub, pictures by Microsoft"
OWN_LICENSE = "everything else drawn by this project, Apache-2.0"

# name, longer side px, metres right of the camera, metres from its foot up to its lower edge (0: stands on the ground), colour, picture
STREET = (
    ("stop sign", 44, 5.6, 2.0, None, "regulatory--stop--g1"),
    ("speed limit 50 sign", 58, -8.6, 2.0, None, "regulatory--maximum-speed-limit-50--g1"),
    ("red traffic light", 150, 5.5, 2.6, None, None),
    ("pedestrian crossing sign", 140, -8.9, 1.9, None, "information--pedestrians-crossing--g1"),
    ("traffic cone", 96, 1.6, 0, None, "cone"),
    ("traffic cone", 120, 1.9, 0, None, "cone"),
    ("fire hydrant", 170, 6.2, 0, None, None),
    ("bicycle", 300, -7.6, 0, "blue", None),
)
# name, longer side px, x centre px, y of the bottom px, colour, picture (None: the first)
ROOM = (
    ("clock", 210, 3350, 560, None, "clock"),
    ("potted plant", 170, 1000, 452, None, None),
    ("book", 130, 1480, 452, "red", None),
    ("teapot", 140, 2060, 452, None, None),
    ("jar", 110, 2560, 452, None, None),
    ("radio", 150, 880, 838, None, None),
    ("camera", 96, 1500, 838, None, None),
    ("teddy bear", 150, 2250, 838, None, None),
    ("mug", 110, 2790, 838, "green", "mug"),
    ("scissors", 120, 1120, 1218, None, None),
    ("light bulb", 90, 1790, 1218, None, None),
    ("candle", 110, 2480, 1218, None, None),
    ("red apple", 150, 700, 1790, None, None),
    ("banana", 210, 1180, 1850, None, None),
    ("mug", 190, 1720, 1830, "blue", "mug"),
    ("bottle", 330, 2240, 1800, None, "bottle"),
    ("bowl", 250, 2760, 1880, None, "bowl"),
    ("key", 62, 3240, 1840, None, None),
)


def _pick(objects, name, picture):
    """The named object with only one picture, so that the frame is the same wherever it is made."""
    for obj in objects:
        if obj.name == name:
            chosen = [p for p in obj.pictures if picture is None or Path(p[1]).stem == picture]
            if chosen:
                preferred = [p for p in chosen if p[0] == "drawn"] if obj.kind == "light" else chosen
                return compose.replace_pictures(obj, preferred[:1])
    raise Ps3Error(f"The sample needs a picture {picture!r} of {name!r}; run `python -m ps3_training.data.fetch_assets .assets` first.")


def composite(background, items, seed):
    """A frame with the items put where they are listed: (BGR uint8, {name, or colour and name: [boxes]}).

    Raises Ps3Error if one is hidden.
    """
    objects = catalogue.load(only=catalogue.SHIPPABLE)
    rng = np.random.default_rng(seed)
    frame = background.pixels
    ids = np.zeros(frame.shape[:2], np.uint8)
    put = []
    for number, (name, size, center, bottom, colour, picture) in enumerate(items, 1):
        obj = _pick(objects, name, picture)
        ground = None
        if background.place == "street":  # metres -> px at the distance where the object has this size
            scale = size / obj.metres
            center = background.road[0] + center * scale
            ground = background.horizon + background.camera * scale
            bottom = ground - bottom * scale
        rgba = catalogue.render(obj, rng, size, colour)
        rgba = augment.lit(augment.tilted(rgba, rng, yaw=18, roll=3), rng, 0.35)
        height, width = rgba.shape[:2]
        x, y = int(center - width / 2), int(bottom - height)
        compose.stand(frame, ids, rng, rgba, x, y, size, ground if obj.kind in ("sign", "light") else None, standing=name != "clock")
        compose.paste_object(frame, ids, rgba, x, y, number)
        put.append((name, colour, rgba, x, y, number))
    boxes = {}
    for name, colour, rgba, x, y, number in put:
        box, fraction = compose.visible_box(ids, rgba, x, y, number)
        if box is None or fraction < 0.7:
            raise Ps3Error(f"The sample's {name!r} at {x}, {y} is hidden (visible {fraction:.2f}); move it.")
        for key in (name, f"{colour} {name}") if colour else (name,):
            boxes.setdefault(key, []).append(list(box))
    return augment.camera(frame, rng), boxes


def street():
    """A street with a stop sign under 48 px, a traffic light, other signs and things by the road."""
    background = backgrounds.street(np.random.default_rng([SEED, 10]))
    frame, boxes = composite(background, STREET, [SEED, 1])
    queries = [
        {"query": "stop sign", "boxes": boxes["stop sign"]},
        {"query": "red | amber | green traffic light", "boxes": boxes["red traffic light"], "label": "red traffic light"},
        {"query": "speed limit 50 sign", "boxes": boxes["speed limit 50 sign"]},
        {"query": "where is the fire hydrant?", "boxes": boxes["fire hydrant"]},
        {"query": "traffic cone", "boxes": boxes["traffic cone"]},
        {"query": "ambulance", "boxes": []},
    ]
    made = "drawn and composited by training/data/samples.py (seed 9): no real street; training scenes show the same signs elsewhere"
    return frame, {
        "title": "A street with a stop sign of 44 px",
        "license": [SIGN_LICENSE, EMOJI_LICENSE, OWN_LICENSE],
        "made_with": made,
        "queries": queries,
    }


def kitchen():
    """Shelves and a table with household things on them."""
    background = backgrounds.room(np.random.default_rng([SEED, 4]))
    frame, boxes = composite(background, ROOM, [SEED, 2])
    queries = [
        {"query": "blue mug", "boxes": boxes["blue mug"]},
        {"query": "banana", "boxes": boxes["banana"]},
        {"query": "clock", "boxes": boxes["clock"]},
        {"query": "pair of scissors", "boxes": boxes["scissors"]},
        {"query": "key", "boxes": boxes["key"]},
        {"query": "hammer", "boxes": []},
    ]
    made = "drawn and composited by training/data/samples.py (seed 9); training scenes show the same pictures of objects elsewhere"
    return frame, {"title": "A kitchen shelf and table", "license": [EMOJI_LICENSE, OWN_LICENSE], "made_with": made, "queries": queries}


def bird():
    """A real photograph of 6028 x 3391 px, made smaller and nothing else: a nuthatch on a tree."""
    path = Path("/usr/share/backgrounds") / backgrounds.HELD_OUT_PHOTOS[0]
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise Ps3Error(f"The photograph {str(path)!r} is not here; install the Debian package lomiri-wallpapers-20.04.")
    frame = cv2.resize(image, (canvas.WIDTH, canvas.HEIGHT), interpolation=cv2.INTER_AREA)
    box = [[1548, 750, 2072, 1424]]  # by hand
    queries = [
        {"query": "bird", "boxes": box},
        {"query": "where is the small bird?", "boxes": box},
        {"query": "stop sign", "boxes": []},
        {"query": "coffee mug", "boxes": []},
    ]
    text = (
        "photograph `Kleiber` by Lukas Baubkus, 2021, CC-BY-SA-3.0 (Debian lomiri-wallpapers-20.04); the resized frame is CC-BY-SA-3.0 too"
    )
    return frame, {
        "title": "A real photograph: a nuthatch on a tree trunk",
        "license": [text],
        "made_with": "resized from 6028 x 3391 px (OpenCV INTER_AREA), not retouched",
        "queries": queries,
    }


def write(out, names=("street", "kitchen", "bird")):
    """Writes NAME.jpg and NAME.json for each name; returns the JSONs."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for name in names:
        frame, label = {"street": street, "kitchen": kitchen, "bird": bird}[name]()
        ok, jpg = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1])
        if not ok:
            raise Ps3Error(f"The sample {name!r} could not be written as JPEG; check OpenCV's build.")
        label = {"image": f"{name}.jpg", **label}
        for path, data in ((out / f"{name}.jpg", jpg.tobytes()), (out / f"{name}.json", (json.dumps(label, indent=1) + "\n").encode())):
            write_whole(path, data)
        written.append(label)
    return written


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m ps3_training.data.samples", description="Makes the sample frames again.")
    parser.add_argument("--out", default="samples", help="folder (default samples)")
    folder = parser.parse_args(argv).out

    def run():
        for label in write(folder):
            print(label["image"], "·", label["title"], "·", ", ".join(q["query"] for q in label["queries"]))

    return exit_code("error", run)


if __name__ == "__main__":
    sys.exit(main())
