"""Frames and their boxes on disk: the two WebDataset streams of the PS3 paper's data, with equal keys; `open_data` reads folders too.

    OUT/images/00000.tar       KEY.jpg
    OUT/text_boxes/00000.tar   KEY.json: text [n], box [n][x1, y1, x2, y2] px, global_text;
                               ours adds name, asks, means, visible, colour, seen (lists of n), absent, absent_text, place,
                               width, height

Shards are written beside and renamed; both tars of a shard exist or it is made again.
"""

import io
import json
import os
import sys
import tarfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from ps3_ros.errors import Ps3Error
from ps3_ros.image_decoding import decode_compressed

STREAMS = (("images", "jpg"), ("text_boxes", "json"))


class ShardError(Ps3Error):
    """A sample or shard of training data that cannot be used: missing half, broken JPEG or JSON, boxes that fit nothing."""


@dataclass(frozen=True)
class Sample:
    """One frame of training data. `jpg`: bytes of a JPEG or PNG; `box`: float32 [n, 4] x1 y1 x2 y2 px; `extra`: its JSON's other keys."""

    key: str
    jpg: bytes
    text: tuple
    box: np.ndarray
    global_text: str
    extra: dict = field(default_factory=dict)

    def pixels(self):
        """The frame, uint8 [H, W, 3] BGR, upright. Raises ShardError if the picture is broken or cut off."""
        try:
            return decode_compressed(self.jpg, upright=True).pixels
        except Ps3Error as error:
            raise ShardError(f"The image of sample {self.key!r} ({len(self.jpg)} bytes) cannot be used: {error}.") from error


def shard_paths(folder, index):
    """(images tar, text_boxes tar) of shard `index`."""
    return tuple(Path(folder) / stream / f"{index:05d}.tar" for stream, _ in STREAMS)


def write_shard(folder, index, samples):
    """Writes one shard: samples are (key, jpg bytes, dict for the JSON). Both tars appear whole or not at all; returns the paths."""
    paths = shard_paths(folder, index)
    parts = [path.with_name(f".{path.name}.{os.getpid()}.part") for path in paths]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(parts[0], "w") as images, tarfile.open(parts[1], "w") as boxes:
            for key, jpg, label in samples:
                for tar, name, data in ((images, f"{key}.jpg", jpg), (boxes, f"{key}.json", json.dumps(label).encode())):
                    info = tarfile.TarInfo(name)
                    info.size = len(data)  # mtime and owner stay 0: the same samples give the same bytes
                    tar.addfile(info, io.BytesIO(data))
        for part, path in reversed(list(zip(parts, paths, strict=True))):  # images last: readers list shards by them
            os.replace(part, path)
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
    return paths


def label_of(scene):
    """The JSON of a compose.Scene."""
    things = scene.things
    label = {"text": [t.text for t in things], "box": [list(t.box) for t in things], "global_text": scene.global_text}
    for name in ("name", "asks", "means", "visible", "colour", "seen"):
        label[name] = [getattr(t, name) for t in things]
    height, width = scene.pixels.shape[:2]
    label |= {"absent": list(scene.absent), "absent_text": list(scene.absent_text)}
    return {**label, "place": scene.place, "width": width, "height": height}


def check_label(key, data):
    """The JSON of a sample, parsed and checked. Raises ShardError naming the sample."""
    try:
        label = json.loads(data)
    except ValueError as error:
        raise ShardError(f"The JSON of sample {key!r} cannot be parsed ({error}); make its shard again.") from error
    if not isinstance(label, dict) or not {"text", "box", "global_text"} <= set(label):
        raise ShardError(f"The JSON of sample {key!r} lacks one of text, box and global_text; write all three.")
    if not isinstance(label["text"], list) or not all(isinstance(t, str) and t.strip() for t in label["text"]):
        raise ShardError(f"Sample {key!r} has the captions {str(label['text'])[:80]}; write a list of texts, none of them empty.")
    if not isinstance(label["global_text"], str):
        raise ShardError(f"Sample {key!r} has the global_text {str(label['global_text'])[:80]}; write a text.")
    box = np.asarray(label["box"], np.float32).reshape(-1, 4) if _is_boxes(label["box"]) else None
    if box is None or len(box) != len(label["text"]):
        raise ShardError(
            f"Sample {key!r} has {len(label['text'])} texts and boxes {str(label['box'])[:80]}; each text needs one box of four numbers."
        )
    if not np.isfinite(box).all() or (box[:, 2:] <= box[:, :2]).any():
        raise ShardError(
            f"Sample {key!r} has a box that is empty or not finite, {box.tolist()[:3]}; write x1, y1, x2, y2 in px with x2 > x1, y2 > y1."
        )
    return label, box


def _is_boxes(value):
    return isinstance(value, list) and all(
        isinstance(b, list) and len(b) == 4 and all(isinstance(v, int | float) for v in b) for b in value
    )


def shard_numbers(folder):
    """The numbers of the shards of a folder, sorted. Raises ShardError where there are none."""
    found = sorted(int(p.stem) for p in (Path(folder) / "images").glob("*.tar") if p.stem.isdigit())
    if not found:
        raise ShardError(f"The folder {str(folder)!r} has no images/*.tar; make some with `ps3 data make {folder}`.")
    return found


def read_samples(folder, shards=None, on_broken="raise"):
    """Yields a Sample for every key, in shard order; `shards` limits to those indices.

    on_broken: "raise" stops with a ShardError at the first broken sample; "skip" leaves it out and says so on stderr.
    """
    folder = Path(folder)
    indices = shard_numbers(folder)
    if on_broken not in ("raise", "skip"):
        raise ValueError(f"on_broken is {on_broken!r}; use raise or skip.")
    for index in indices if shards is None else shards:
        paths = shard_paths(folder, index)
        for path in paths:
            if not path.is_file():
                raise ShardError(f"The shard {str(path)!r} is missing though its other half is there; delete that half and make it again.")
        for entry in shard_entries(folder, index):
            try:
                yield entry()
            except ShardError as error:
                if on_broken == "raise":
                    raise
                print(f"skipped: {error}", file=sys.stderr)


def shard_entries(folder, index):
    """Yields, for every key of a shard, a function that gives its Sample or raises the ShardError that says why there is none."""
    import webdataset  # here: it imports torch, which making frames needs not

    # Each stream is one tar: webdataset's own splitting would hide it from all loader workers but the first, and refuse more than one rank.
    whole = {"shardshuffle": False, "empty_check": False, "nodesplitter": _all, "workersplitter": _all}
    images, boxes = (webdataset.WebDataset(str(path), **whole) for path in shard_paths(folder, index))
    labels = {s["__key__"]: s.get("json") for s in boxes}
    for item in images:
        key = item["__key__"]
        yield partial(make_sample, key, item.get("jpg") or item.get("jpeg") or item.get("png"), labels.pop(key, None))
    for key, label in labels.items():
        yield partial(make_sample, key, None, label)


def _all(urls):
    return urls


def make_sample(key, image, label):
    """A Sample of an image's bytes and its JSON. Raises ShardError where one is missing or the JSON does not fit."""
    if label is None:
        raise ShardError(f"Sample {key!r} has an image but no JSON of the same key; write one, or take the image away.")
    label, box = check_label(key, label)
    if not image:
        raise ShardError(f"Sample {key!r} has a JSON but no image of the same key; write a JPEG or PNG, or take the JSON away.")
    extra = {k: v for k, v in label.items() if k not in ("text", "box", "global_text")}
    return Sample(key, image, tuple(label["text"]), box, label["global_text"], extra)


def open_data(path, on_broken="raise"):
    """Yields the Samples of a data set in either form: shards, or a folder of pictures with labels (folder.py).

    on_broken: as for read_samples. Raises ShardError if the path is neither.
    """
    from . import folder

    if any((Path(path) / "images").glob("*.tar")) or not folder.is_folder(path):
        return read_samples(path, on_broken=on_broken)
    return folder.read_folder(path, on_broken)


def read_shards(folder, decode=True, **options):
    """Yields (key, image, text, box, global_text); image is BGR uint8 [H, W, 3], or the JPEG's bytes where decode is False."""
    for sample in read_samples(folder, **options):
        yield sample.key, sample.pixels() if decode else sample.jpg, sample.text, sample.box, sample.global_text
