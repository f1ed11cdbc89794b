"""Cut-outs of the 3D models, each from several sides: python -m ps3_training.data.views [OUT] --views 10

OUT/<name>/<n>.webp are RGBA pictures of 256 px on the longer side; OUT/models.json lists the names with what is known of
them. A stopped run goes on where it was; models.json is written last.
"""

import argparse
import json
import re
import sys
import zlib
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from ps3_ros.errors import Ps3Error
from ps3_ros.exits import exit_code
from ps3_training.files import write_whole

from . import catalogue, model_names, models
from .placed import Camera, Light, Placed
from .render import Renderer

SIDE = 256  # px, longer side of a cut-out
OVER = 2  # drawn at this many times the size, then averaged
MOST = 100  # views of one model; picture n shows model n // MOST of the name
GLASS = 0.5  # glass is drawn at least this opaque: a cut-out has no room behind it
ALL_AROUND = {"vehicle", "two wheels", "animal", "person"}  # groups that turn any side to a camera
HUES = (8, 20, 34, 85, 130, 150, 170, 180)  # OpenCV hues at which the first colours of WORDS end
WORDS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "red", "brown", "black", "grey", "white")


def slug(name):
    """A folder name: "french press" -> french_press."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def colour_of(pictures):
    """The colour word of RGBA pictures, or "" where no colour has 65% of what is visible."""
    counts = np.zeros(len(WORDS), int)
    for rgba in pictures:
        seen = rgba[::2, ::2][rgba[::2, ::2, 3] > 200][:, :3]
        if not len(seen):
            continue
        hue, saturation, value = cv2.cvtColor(seen[None], cv2.COLOR_RGB2HSV)[0].T
        word = np.searchsorted(HUES, hue, side="right")
        word[((word == 1) & (value < 150)) | (np.isin(word, (0, 7)) & (value < 70))] = 8
        grey = 9 + (value >= 60) + (value > 185)
        word = np.where((saturation < 45) | (value < 35), grey, word)
        counts += np.bincount(word, minlength=len(WORDS))[: len(WORDS)]
    counts[0] += counts[7]
    counts[7] = 0
    best = int(counts.argmax())
    return WORDS[best] if counts[best] > 0.65 * counts.sum() else ""


def _pose(entry, rng, view):
    """(azimuth, elevation) in degrees: evenly spread with some noise. What stands or hangs at walls is mostly seen from the front."""
    azimuth = (view * 0.618034 + rng.uniform(-0.1, 0.1)) % 1 * 360  # the golden ratio: even however many are made
    elevation = float(rng.uniform(-5, 35))
    if entry.group not in ALL_AROUND and view % 10 not in (2, 5, 8):
        azimuth = (azimuth % 160) - 80
    width, height, depth = entry.size
    if entry.group in model_names.WALL or (depth < 0.12 * min(width, height) and entry.group not in ("two wheels", "clothes")):
        azimuth = (azimuth % 120) - 60  # flat and upright: from the front
    if height < 0.15 * min(width, depth):
        elevation = float(rng.uniform(25, 60))  # flat on the ground: from above
    return azimuth, elevation


def cut_out(renderer, model, rng, azimuth, elevation):
    """One look of a model: uint8 [h, w, 4] red first, straight alpha, longer side SIDE px. azimuth, elevation: degrees.

    Raises Ps3Error where nothing of it can be seen.
    """
    low, high = model.bounds
    middle, radius = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    distance = radius * float(rng.uniform(2.6, 6.0))
    a, e = np.radians([azimuth, elevation])
    eye = middle + distance * np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
    camera = Camera(tuple(eye), azimuth, -elevation, near=max(distance - radius * 1.5, 1e-3), far=distance + radius * 1.5)
    view, clip = camera.view(), camera.projection((SIDE, SIDE))
    points = np.concatenate([part.vertices[:, :3] for part in model.parts])
    seen = clip @ view @ np.c_[points, np.ones(len(points))].T
    flat = seen[:2] / seen[3]
    left, right = flat.min(1), flat.max(1)
    half = (right - left) / 2
    grow = (SIDE - 4) / SIDE / max(half.max(), 1e-9)  # the longer side fills the picture but for 2 px of border
    shape = np.maximum(np.ceil(half * grow * SIDE + 4), 8).astype(int) * OVER
    fit = np.eye(4)
    fit[0, 0], fit[1, 1] = grow * SIDE * OVER / shape
    fit[:2, 3] = -(left + right) / 2 * np.diag(fit)[:2]
    sun = np.radians(azimuth + rng.uniform(-80, 80))
    height = float(rng.uniform(0.5, 2.0))
    warmth = float(rng.normal(0, 0.08))
    key = float(rng.uniform(0.6, 2.0))
    fill = float(rng.uniform(0.45, 1.0))
    light = Light(
        direction=(float(np.sin(sun)), height, float(np.cos(sun))),
        sun=(key * (1 + warmth), key, key * (1 - warmth)),
        sky=(fill * (1 - warmth), fill, fill * (1 + warmth)),
        ground=(fill * 0.6,) * 3,
        fog=(0.0, 0.0, 0.0, 0.0),
        exposure=float(np.exp(rng.normal(0, 0.12))),
        bounds=np.array([low - 0.02 * radius, high + 0.02 * radius]),
    )
    pixels, _ = renderer.draw(
        [Placed(model, np.eye(4), 1)], camera, light, shape, samples=0, view=view, clip=fit @ clip, ids=False, least_opacity=GLASS
    )
    height, width = pixels.shape[0] // OVER, pixels.shape[1] // OVER
    small = cv2.resize(pixels.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    alpha = small[..., 3:]
    if float((alpha > 110).mean()) < 0.01:
        raise Ps3Error(f"Nothing is seen of a 3D model from azimuth {azimuth:.0f} and elevation {elevation:.0f} degrees; leave it out.")
    rgb = small[..., :3] * 255 / np.maximum(alpha, 1)
    return np.clip(np.concatenate([rgb, alpha], 2) + 0.5, 0, 255).astype(np.uint8)


def make(out, views=10, only=None, progress=True):
    """Renders what is missing under `out` and returns the content of models.json, one dict a name.

    only: names to make, for a try. Raises Ps3Error for bad arguments, or where the models or OpenGL are missing.
    """
    if not 1 <= views <= MOST:
        raise Ps3Error(f"views is {views}; use 1 to {MOST}.")
    entries = [e for e in models.entries() if only is None or e.name in only]
    if not entries:
        raise Ps3Error(
            f"There are no 3D models under {str(models.folder())!r}; install them (Debian: apt-get install sweethome3d-furniture) "
            f"or set {models.FOLDER} to where they are."
        )
    from tqdm import tqdm

    out = Path(out)
    renderer = Renderer(shadow=512)
    named = defaultdict(list)
    for entry in entries:
        named[entry.name].append(entry)
    table = []
    with tqdm(total=len(entries), unit="model", disable=not progress) as bar:
        for name, group in named.items():
            shown = []
            for number, entry in enumerate(group):
                pictures = _entry_views(renderer, entry, out, number, views)
                bar.update()
                if pictures:
                    shown.append((entry, colour_of(pictures)))
            if shown:
                table.append(_row(name, shown))
    write_whole(out / "models.json", json.dumps(table, indent=1, ensure_ascii=False) + "\n")
    return table


def _entry_views(renderer, entry, out, number, views):
    """The pictures of one model, read where they are there, drawn where not; [] for a model that cannot be drawn."""
    model, pictures = None, []
    for view in range(views):
        path = out / slug(entry.name) / f"{number * MOST + view}.webp"
        if path.is_file():
            seen = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            if seen is not None and seen.ndim == 3 and seen.shape[2] == 4:
                pictures.append(cv2.cvtColor(seen, cv2.COLOR_BGRA2RGBA))
                continue
        try:
            model = model or models.load(entry)
            rng = np.random.default_rng([zlib.crc32(entry.id.encode()), view])
            rgba = cut_out(renderer, model, rng, *_pose(entry, rng, view))
        except Ps3Error as error:
            print(f"left out: {entry.id}: {error}", file=sys.stderr)
            return []
        pictures.append(rgba)
        write_whole(path, cv2.imencode(".webp", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA), [cv2.IMWRITE_WEBP_QUALITY, 92])[1].tobytes())
    renderer.forget()
    return pictures


def _row(name, shown):
    """What models.json says of a name. `models`: of what its pictures are, in their order."""
    first = shown[0][0]
    colours = {colour for _, colour in shown}
    return {
        "name": name,
        "folder": slug(name),
        "place": first.place,
        "group": first.group,
        "metres": round(float(np.median([e.metres for e, _ in shown])), 3),
        "colour": colours.pop() if len(colours) == 1 else "",
        "models": [
            {"id": e.id, "colour": c, "size": [round(v, 3) for v in e.size], "licence": e.licence, "author": e.author, "library": e.library}
            for e, c in shown
        ],
    }


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m ps3_training.data.views", description="Makes cut-outs of the 3D models.")
    parser.add_argument("out", nargs="?", metavar="OUT", help="folder for the pictures (default: model_views in the folder of pictures)")
    parser.add_argument("--views", type=int, default=10, help="pictures of each model (default 10)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these names")
    arguments = parser.parse_args(argv)
    out = arguments.out or catalogue.assets_folder() / "model_views"

    def run():
        table = make(out, arguments.views, arguments.only)
        print(f"{len(table)} names, {sum(len(row['models']) for row in table) * arguments.views} pictures in {out}")

    return exit_code("error", run)


if __name__ == "__main__":
    sys.exit(main())
