"""Pictures such as somebody would take of their own things, to try fine-tuning with: python -m ps3_training.data.own_pictures OUT

About twenty things, the same ones in all pictures: tools, kitchen things and furniture, each one 3D model of models.py in the colours it
has. Their looks (`python -m ps3_training.data.views` draws them) are pasted into rooms, photographs and textures as compose.py does it.
OUT is the folder form of docs/data.md, a JSON beside each picture. Picture i of seed s is always the same; a stopped
run goes on. `--split test-seen` has other sides of the things before other scenery.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from ps3_ros.errors import Ps3Error
from ps3_ros.exits import exit_code
from ps3_training.files import write_whole

from . import catalogue, compose, shards, views
from .choosing import SPLITS
from .make import frame_size

SIZE = "1920x1080"
QUALITY = 90  # of the JPEG
PLACES = ("room", "room", "photo", "texture")
THINGS = """drill; angle grinder; tape measure; toaster; coffee maker; blender; moka pot; rice cooker; kitchen scale; toy train;
workbench; desk; table; bookcase; shelves; wardrobe; chest of drawers; kitchen cabinet; armchair; stool; filing cabinet"""


def own_things(split):
    """The objects of THINGS, each with the looks of one 3D model from the sides that the split shows: a quarter of them is for test-seen.

    Names that ps3 data make holds out are taken, too. Raises Ps3Error where the looks were not drawn.
    """
    wanted = {name.strip() for name in THINGS.replace("\n", " ").split(";")}
    objects = []
    for thing in catalogue.load():
        looks = sorted(int(Path(path).stem) for root, path in thing.pictures if root == "model" and int(Path(path).stem) < views.MOST)
        shown = [n for n in looks if (n >= 0.75 * len(looks)) == (split != "train")]
        pictures = tuple((root, path) for root, path in thing.pictures if root == "model" and int(Path(path).stem) in shown)
        if thing.name in wanted and pictures:
            objects.append(replace(thing, pictures=pictures, color="", recolour=False, held_out=False))
    if not objects:
        raise Ps3Error("The looks of the 3D models are not here; run python -m ps3_training.data.views, as docs/data.md says.")
    return tuple(objects)


def make_pictures(out, pictures=200, seed=1, split="train", size=SIZE, progress=True):
    """Writes the pictures that are missing into the folder `out` and returns {pictures, made, things, boxes}.

    Raises Ps3Error for bad arguments, or where the things' looks are missing.
    """
    from tqdm import tqdm

    if pictures < 1 or split not in SPLITS:
        raise Ps3Error(f"pictures is {pictures} and split {split!r}; give at least 1 and one of {', '.join(SPLITS)}.")
    size, objects, made, boxes = frame_size(size), own_things(split), 0, 0
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for number in tqdm(range(pictures), unit="picture", disable=not progress):
        picture = out / f"own-{seed:02d}-{number:03d}.jpg"
        label = picture.with_suffix(".json")
        if not label.is_file():  # the picture comes first, so one with a label is whole
            draws = [11, SPLITS[split], seed, number]
            place = PLACES[np.random.default_rng([*draws, 1]).integers(len(PLACES))]
            scene = compose.scene(objects, draws, split, place, size)
            jpg = cv2.imencode(".jpg", scene.pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
            write_whole(picture, jpg.tobytes())
            write_whole(label, json.dumps(shards.label_of(scene)))
            made += 1
        boxes += len(json.loads(label.read_text())["box"])
    return {"pictures": pictures, "made": made, "things": len(objects), "boxes": boxes}


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m ps3_training.data.own_pictures", description=__doc__.split("\n\n")[0])
    parser.add_argument("out", help="folder for the pictures")
    parser.add_argument("--pictures", type=int, default=200, help="how many (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same pictures (default 1)")
    parser.add_argument("--split", choices=("train", "test-seen"), default="train", help="to train on, or to measure on (default train)")
    parser.add_argument("--size", default=SIZE, help=f"px (default {SIZE})")
    arguments = parser.parse_args(argv)
    return exit_code("error", lambda: print(json.dumps(make_pictures(**vars(arguments)))))


if __name__ == "__main__":
    sys.exit(main())
