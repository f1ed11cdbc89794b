"""The `real` test split: real photographs, not retouched, pasted into 3840 x 2160 frames.

    python -m ps3_training.data.real OUT [--frames 48] [--seed 0]

The photographs come from Debian's labelme-examples, opencv-doc and lomiri-wallpapers-16.04/-20.04, and from the wheels of scikit-image
and scikit-learn (`pip download --no-deps -d .assets scikit-image scikit-learn`; they are read out of the wheels and not installed). Their
packages name no clear terms for most of the single pictures, so the frames are EVALUATED ON ONLY: never trained on, never committed.

One to three photographs a frame, at their own size or enlarged by at most 2 (the two of 6 to 10 megapixels are made smaller), on a
drawn street, room or texture or on another photograph kept out of training. Boxes move along (real_photos.py). A question is asked only
where every thing of that name in the frame has a box, and as many names are given as `absent` as there are questions.
"""

import argparse
import io
import json
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from ps3_ros.errors import Ps3Error
from ps3_ros.exits import exit_code

from . import backgrounds, catalogue, real_photos, shards

WIDTH, HEIGHT = 3840, 2160
FRAMES = 48
PER_SHARD = 12
SCALES = (1.0, 1.0, 1.5, 2.0)
GAP = 24  # px between photographs
TEMPLATES = ("{}", "{}", "the {}", "where is the {}?", "find the {}", "show me the {}")
FOLDERS = {
    "labelme": "/usr/share/doc/labelme-examples/examples",
    "opencv": "/usr/share/doc/opencv-doc/examples",
    "lomiri": "/usr/share/backgrounds",
}
WHEELS = {"skimage": ("scikit_image-*.whl", "skimage/data"), "sklearn": ("scikit_learn-*.whl", "sklearn/datasets/images")}


@dataclass(frozen=True)
class Item:
    """A thing in a photograph: every way to say it, the first being its name, and its box x1, y1, x2, y2 in px of the photograph."""

    names: tuple
    box: tuple


@dataclass(frozen=True)
class Photo:
    """A photograph: `pixels` uint8 [H, W, 3] BGR; `items`: what has a box; `others`: names of what is in it without one."""

    key: str
    pixels: np.ndarray
    items: tuple
    others: tuple

    def names(self):
        """Every name that one of its items answers to."""
        return {name for item in self.items for name in item.names}


def read_photo(key):
    """The pixels, uint8 [H, W, 3] BGR, of `collection:path`; None where its package is not on this machine."""
    collection, _, path = key.partition(":")
    if collection in FOLDERS:
        file = Path(FOLDERS[collection]) / path
        data = file.read_bytes() if file.is_file() else None
    else:
        pattern, inside = WHEELS[collection]
        wheels = sorted(catalogue.assets_folder().glob(pattern))
        data = zipfile.ZipFile(io.BytesIO(wheels[-1].read_bytes())).read(f"{inside}/{path}") if wheels else None
    if data is None:
        return None
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise Ps3Error(f"The photograph {key!r} cannot be read as a picture; install its package again.")
    return pixels


def labelme_items(key):
    """Items from the JSON beside a labelme photograph; shapes of one group_id are one thing. Labels outside LABELME are left out."""
    file = Path(FOLDERS["labelme"]) / key.partition(":")[2]
    groups = {}
    for number, shape in enumerate(json.loads(file.with_suffix(".json").read_text())["shapes"]):
        group = shape.get("group_id")
        if shape["label"] in real_photos.LABELME:
            groups.setdefault((shape["label"], number if group is None else f"group {group}"), []).extend(shape["points"])
    return [
        Item(real_photos.LABELME[label], tuple(int(round(v)) for v in (*np.min(points, 0), *np.max(points, 0))))
        for (label, _), points in groups.items()
    ]


def load_photos(table=None):
    """The photographs of the table that are on this machine, as a tuple of Photo. Raises Ps3Error for a line that cannot be used."""
    photos, missing = [], []
    for block in (table or real_photos.PHOTOS).strip().split("\n"):
        if not block.startswith(" "):
            key, _, others = (part.strip() for part in block.partition("|"))
            pixels = read_photo(key)
            if pixels is None:
                missing.append(key)
                current = None
                continue
            current, high = [], None
            photos.append((key, pixels, current, tuple(s.strip() for s in others.split(";") if s.strip())))
        elif current is None:
            continue
        elif block.strip() == "* labelme":
            current += labelme_items(key)
        elif block.strip().startswith("@"):
            high = float(block.strip()[1:])
        else:
            names, _, boxes = (part.strip() for part in block.partition("|"))
            factor = pixels.shape[0] / high if high else 1
            for numbers in boxes.split(","):
                box = tuple(int(round(float(v) * factor)) for v in numbers.split())
                if len(box) != 4 or not (0 <= box[0] < box[2] and 0 <= box[1] < box[3]):
                    raise Ps3Error(f"The box {numbers.strip()!r} of {names!r} in {key!r} is not x1 y1 x2 y2 with x2 > x1 and y2 > y1.")
                current.append(Item(tuple(n.strip() for n in names.split(";")), box))
    return tuple(Photo(key, pixels, tuple(items), others) for key, pixels, items, others in photos), tuple(missing)


def together(photo, others, unboxed):
    """True if `photo` may stand in a frame with `others` on a background that shows `unboxed`: no name that one has boxes for is in another
    without a box, and no two of them are of one scene."""
    hidden = set(unboxed).union(*(p.others for p in others)) if others else set(unboxed)
    shown = set().union(*(p.names() for p in others)) if others else set()
    scene = Path(photo.key).parent
    same = any(Path(p.key).parent == scene and "video" in photo.key for p in others)
    return not same and not (photo.names() & hidden) and not (shown & set(photo.others))


def background(rng):
    """(uint8 [2160, 3840, 3] BGR, names that it shows without a box): drawn, or a photograph that training never sees."""
    names = [n for n in real_photos.BACKGROUNDS if n.endswith(".jpg") and (Path(FOLDERS["lomiri"]) / n).is_file()]
    kind = ("street", "room", "texture", "photo")[int(np.searchsorted([0.3, 0.6, 0.75], rng.random(), side="right"))]
    if kind == "photo" and names:
        name = names[int(rng.integers(len(names)))]
        pixels = cv2.imread(str(Path(FOLDERS["lomiri"]) / name), cv2.IMREAD_COLOR)
        scale = max(WIDTH / pixels.shape[1], HEIGHT / pixels.shape[0])
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        return pixels[:HEIGHT, :WIDTH].copy(), real_photos.BACKGROUNDS[name]
    kind = kind if kind != "photo" else "texture"
    return backgrounds.make(rng, kind).pixels, real_photos.BACKGROUNDS[kind]


def paste(frame, rng, photo, taken):
    """Pastes the photograph where no other lies and returns its (x, y, scale); None if there is no place. `taken`: boxes of others."""
    high, wide = photo.pixels.shape[:2]
    fits = [s for s in SCALES if s * max(high, wide) <= 1400] or [min(1.0, 1900 / max(high, wide))]
    for _ in range(60):
        scale = fits[int(rng.integers(len(fits)))]
        w, h = int(wide * scale), int(high * scale)
        x, y = int(rng.integers(0, frame.shape[1] - w + 1)), int(rng.integers(0, frame.shape[0] - h + 1))
        if all(x >= b[2] + GAP or b[0] >= x + w + GAP or y >= b[3] + GAP or b[1] >= y + h + GAP for b in taken):
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            frame[y : y + h, x : x + w] = photo.pixels if scale == 1 else cv2.resize(photo.pixels, (w, h), interpolation=how)
            taken.append((x, y, x + w, y + h))
            return x, y, scale
    return None


def is_absent(name, boxed, vague):
    """True if `name` can be called absent: it is no name of what has a box nor a wider one ("sign" for "stop sign"), and no kind of what is
    there without a box, whose kind nobody wrote down ("stop sign" for "sign")."""
    return not any(set(name.split()) <= set(there.split()) for there in boxed) and not any(
        name == there or name.endswith(f" {there}") for there in vague
    )


def label(rng, pasted, unboxed, known, absent_pool):
    """The JSON of a frame. pasted: (Photo, x, y, scale) each; known: names that training shows; absent_pool: names to call absent."""
    rows = []
    for photo, x, y, scale in pasted:
        high, wide = photo.pixels.shape[:2]
        for item in photo.items:
            box = np.clip(item.box, 0, (wide, high, wide, high)) * scale + (x, y, x, y)
            rows.append((item.names, [round(float(v), 1) for v in box]))
    asks = [names[int(rng.integers(len(names)))] if rng.random() < 0.5 else names[0] for names, _ in rows]
    templates = [TEMPLATES[int(rng.integers(len(TEMPLATES)))] for _ in rows]
    text = [a if a.startswith(("text ", "the ")) else t.format(a) for t, a in zip(templates, asks, strict=True)]
    vague = set(unboxed).union(real_photos.COMMON, *(p.others for p, *_ in pasted))
    pool = [n for n in absent_pool if is_absent(n, {n for names, _ in rows for n in names}, vague)]
    names = [n[0] for n, _ in rows]
    return {
        "text": text,
        "box": [box for _, box in rows],
        "global_text": "a photo with " + ", ".join(list(dict.fromkeys(names))[:4]),
        "name": names,
        "asks": asks,
        "means": [list(n) for n, _ in rows],
        "visible": [1.0] * len(rows),
        "colour": [""] * len(rows),
        "seen": [n[0] in known for n, _ in rows],
        "absent": [pool[i] for i in rng.permutation(len(pool))[: len(rows)]],
        "place": "real",
        "photos": [p.key for p, *_ in pasted],
        "width": WIDTH,
        "height": HEIGHT,
    }


def known_names():
    """Names and synonyms of the catalogue's objects that training frames show, as far as their pictures are here."""
    objects = [o for o in catalogue.load() if not o.held_out]
    return {name for o in objects for name in (o.name, *o.synonyms, *o.families)}


def frame(seed, index, photos, known=frozenset()):
    """(uint8 [2160, 3840, 3] BGR, label dict) with photographs from the front of the list `photos`, which it takes out."""
    rng = np.random.default_rng([7, seed, index])
    pixels, unboxed = background(rng)
    wanted, pasted, taken = int(rng.integers(1, 4)), [], []
    for photo in list(photos):
        if together(photo, [p for p, *_ in pasted], unboxed) and (where := paste(pixels, rng, photo, taken)):
            pasted.append((photo, *where))
            photos.remove(photo)
        if len(pasted) == wanted:
            break
    pool = [n.strip() for n in real_photos.ABSENT.replace("\n", " ").split(";")]
    pool += sorted({item.names[0] for p in photos for item in p.items} - set(pool))
    return pixels, label(rng, pasted, unboxed, known, pool)


def make_real(out, frames=FRAMES, seed=0, progress=True):
    """Writes the split as shards into the folder `out` and returns {frames, questions, absent, photos, missing}. Same seed, same frames.

    Raises Ps3Error if none of the photographs is on this machine or `out` has shards already.
    """
    from tqdm import tqdm

    if frames < 1:
        raise Ps3Error(f"frames is {frames}; ask for at least 1.")
    photos, missing = load_photos()
    if not photos:
        raise Ps3Error(
            "None of the real photographs is on this machine; install Debian's labelme-examples, opencv-doc and lomiri-wallpapers-20.04."
        )
    if any((Path(out) / "images").glob("*.tar")):
        raise Ps3Error(f"The folder {str(out)!r} has shards already; delete it or name another.")
    known, queue, samples, counts = known_names(), [], [], {"frames": 0, "questions": 0, "absent": 0}
    for index in tqdm(range(frames), unit="frame", disable=not progress):
        if len(queue) < 8:  # a new round of all photographs, behind what is left of the last
            order = np.random.default_rng([8, seed, index]).permutation(len(photos))
            queue += [photos[i] for i in order]
        pixels, content = frame(seed, index, queue, known)
        if content["text"]:
            ok, jpg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])
            samples.append((f"real{seed:03d}_{index:06d}", jpg.tobytes(), content))
            counts = {k: counts[k] + n for k, n in zip(counts, (1, len(content["text"]), len(content["absent"])), strict=True)}
        if len(samples) == PER_SHARD or (index == frames - 1 and samples):
            shards.write_shard(out, index // PER_SHARD, samples)
            samples = []
    return {**counts, "photos": len(photos), "missing": list(missing)}


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m ps3_training.data.real", description="Real photographs in 4K frames, for tests only.")
    parser.add_argument("out", help="folder for the shards")
    parser.add_argument("--frames", type=int, default=FRAMES, help=f"how many frames (default {FRAMES})")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same frames (default 0)")
    arguments = parser.parse_args(argv)
    return exit_code("error", lambda: print(json.dumps(make_real(**vars(arguments)))))


if __name__ == "__main__":
    sys.exit(main())
