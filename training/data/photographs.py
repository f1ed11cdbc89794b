"""Real photographs of things, out of Debian's gcompris-qt-data: python -m ps3_training.data.photographs [OUT]

236 photographs of tools, household things, animals, fishes, monuments and windmills, 400 to 1000 px wide, each with its own licence
(CC0, CC-BY, CC-BY-SA, public domain, GPL: /usr/share/doc/gcompris-qt-data/copyright names author and source of each). Used for training
only. What shows a held-out thing is left out, so that `test-new` stays unseen.

OUT/<activity>/<file>.webp are the photographs as they come, OUT/cut_outs/<activity>-<file>.png the named things cut out of them by GrabCut
(Rother et al. 2004), which looks well for most and was looked at for all; OUT/photographs.json is written last.
"""

import argparse
import json
import os
import re
import sys
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from ps3_ros.errors import Ps3Error
from ps3_ros.exits import exit_code
from ps3_training.files import write_whole

from .qt_resources import read_resources

FOLDER = "PS3_GCOMPRIS"  # environment variable: the folder of gcompris' .rcc files
SYSTEM = "/usr/share/gcompris-qt/rcc"
LEAST = 120  # px, shorter side of a photograph
CUT_PX = 320  # longer side at which things are cut out
COVERED = (0.05, 0.75)  # of a photograph, by its thing: less or more is no cut-out
LIST = "photographs.json"

ANIMALS = ("erase", "explore_farm_animals", "explore_world_animals")  # whose files are named by what they show
ACTIVITIES = ("categorization", *ANIMALS, "explore_monuments", "explore_world_music", "details")
NO_PHOTOGRAPHS = re.compile(r"alphabets|numbers|blackslate|NDP_0|Gogh|Tanguy|Auvers")  # boards, a part of one that is there, paintings
OTHER_THINGS = {"dragon", "narwhal", "crocodile"}  # a bearded dragon, a drawing; others of the name look otherwise
NOT_CUT_OUT = {  # whose cut-outs show other things, too, or half of it
    "bee", "toucan", "knife", "igloo", "screwDriver", "screwDriver1", "screwDriver3", "squirrel", "kitten", "rhinoceros", "spoonbills",
}  # fmt: skip
NAMES = {  # file of `categorization`, without its number: a name of the catalogue
    "scissors": "scissors",
    "screwDriver": "screwdriver",
    "plier": "pliers",
    "sideCutter": "pliers",
    "wrench": "wrench",
    "hammer": "hammer",
    "spray": "spray bottle",
    "measuringTape": "tape measure",
    "fish": "fish",
    "chair": "chair",
    "bulb": "light bulb",
    "baseball": "baseball",
    "volleyball": "volleyball",
    "spoons": "spoon",
    "igloo": "igloo",
    "pan": "frying pan",
    "plate": "plate",
    "weighingMachine": "scales",
    "knife": "knife",
    "bucket": "basket",
    "windmill": "windmill",
    "solar": "solar panel",
    "sickle": "sickle",
}


def found(folder: Path) -> list[tuple[str, str, bytes]]:
    """(activity/file, what it shows or "", bytes of a WebP) of each photograph in gcompris' folder. Raises Ps3Error where there is none."""
    shown = []
    for activity in ACTIVITIES:
        if not (folder / f"{activity}.rcc").is_file():
            raise Ps3Error(
                f"{activity}.rcc is not in {str(folder)!r}; install it (Debian: apt-get install gcompris-qt-data), "
                f"or set {FOLDER} to its folder."
            )
        for inside, data in read_resources(folder / f"{activity}.rcc"):
            if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or NO_PHOTOGRAPHS.search(inside):
                continue
            stem = Path(inside).stem
            name = stem.replace("_", " ") if activity in ANIMALS else NAMES.get(re.sub(r"\d+$", "", stem), "")
            shown.append((f"{activity}/{'-'.join(Path(inside).parts[-2:])}", "" if name in OTHER_THINGS else name, data))
    return shown


def cut_out(pixels: np.ndarray) -> np.ndarray | None:
    """The thing in the middle of a photograph: uint8 [h, w, 3] -> [h, w, 4], straight alpha. None where nothing, or nearly all, stays."""
    height, width = pixels.shape[:2]
    scale = min(1.0, CUT_PX / max(height, width))
    small = cv2.resize(pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    h, w = small.shape[:2]
    y, x = np.mgrid[0:h, 0:w]
    mask = np.where(((2 * x / w - 1) ** 2 + (2 * y / h - 1) ** 2) > 1, cv2.GC_PR_BGD, cv2.GC_PR_FGD).astype(np.uint8)
    rim = max(2, round(0.02 * min(h, w)))
    mask[:rim], mask[-rim:], mask[:, :rim], mask[:, -rim:] = (cv2.GC_BGD,) * 4
    cv2.setRNGSeed(0)
    cv2.grabCut(small, mask, None, np.zeros((1, 65)), np.zeros((1, 65)), 6, cv2.GC_INIT_WITH_MASK)
    thing = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    thing = cv2.morphologyEx(thing, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    thing = cv2.morphologyEx(thing, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    _, part, sizes, _ = cv2.connectedComponentsWithStats(thing)
    areas = sizes[1:, cv2.CC_STAT_AREA]
    if not len(areas):
        return None
    kept = np.isin(part, 1 + np.flatnonzero(areas >= 0.12 * areas.max())).astype(np.float32)
    if not COVERED[0] <= kept.mean() <= COVERED[1]:
        return None
    alpha = cv2.resize(cv2.GaussianBlur(kept, (0, 0), 0.7), (width, height))
    return np.dstack([pixels, np.round(alpha * 255).astype(np.uint8)])


def write(out: Path, folder: Path, progress: bool = True) -> int:
    """Writes the photographs that training may see under `out`; returns how many. Raises Ps3Error where gcompris' are not here."""
    from tqdm import tqdm

    from . import catalogue

    listed = []
    for file, name, data in tqdm(found(folder), unit="photograph", disable=not progress):
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if pixels is None or min(pixels.shape[:2]) < LEAST or name and catalogue.is_held_out(name):
            continue
        write_whole(Path(out) / file, data)
        listed.append({"file": file, "name": name, "cut_out": ""})
        thing = cut_out(pixels) if name and Path(file).stem.split("-")[-1] not in NOT_CUT_OUT else None
        if thing is not None:
            listed[-1]["cut_out"] = f"cut_outs/{file.replace('/', '-').removesuffix('.webp')}.png"
            write_whole(Path(out) / listed[-1]["cut_out"], cv2.imencode(".png", thing)[1].tobytes())
    write_whole(Path(out) / LIST, json.dumps(listed, indent=1) + "\n")
    return len(listed)


def of_names(folder: Path, names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Cut-outs, as ("photo", path), of the things that have one of these names."""
    known = _cut_outs(folder)
    return tuple(picture for name in names for picture in known.get(name, ()))


@cache
def _cut_outs(folder: Path) -> dict[str, tuple]:
    known = {}
    for one in json.loads((Path(folder) / LIST).read_text()):
        if one["cut_out"]:
            known.setdefault(one["name"], []).append(("photo", str(Path(folder) / one["cut_out"])))
    return {name: tuple(pictures) for name, pictures in known.items()}


def main(argv: list[str] | None = None) -> int:
    from . import catalogue

    parser = argparse.ArgumentParser(prog="python -m ps3_training.data.photographs", description="Unpacks gcompris' photographs of things.")
    parser.add_argument("out", nargs="?", type=Path, help="folder for them (default: photographs in the folder of pictures)")
    arguments = parser.parse_args(argv)
    out = arguments.out or catalogue.assets_folder() / "photographs"
    return exit_code("error", lambda: print(f"{write(out, Path(os.environ.get(FOLDER, SYSTEM)))} photographs in {out}"))


if __name__ == "__main__":
    sys.exit(main())
