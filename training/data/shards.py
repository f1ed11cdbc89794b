"""Frames and their boxes on disk: the two WebDataset streams of the PS3 paper's data, with equal keys.

    OUT/images/00000.tar       KEY.jpg
    OUT/text_boxes/00000.tar   KEY.json: text [n], box [n][x1, y1, x2, y2] px, global_text;
                               ours adds name, asks, means, visible, colour, seen (lists of n), absent, place, width, height

Shards are written beside and renamed; both tars of a shard exist or it is made again.
"""

import io
import json
import os
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import webdataset

from ps3_ros.errors import Ps3Error

STREAMS = (("images", "jpg"), ("text_boxes", "json"))


class ShardError(Ps3Error):
    """A sample or shard of training data that cannot be used: missing half, broken JPEG or JSON, boxes that fit nothing."""


@dataclass(frozen=True)
class Sample:
    """One frame of training data. `jpg`: bytes; `box`: float32 [n, 4] x1 y1 x2 y2 px; `extra`: the other keys of its JSON."""

    key: str
    jpg: bytes
    text: tuple
    box: np.ndarray
    global_text: str
    extra: dict = field(default_factory=dict)

    def pixels(self):
        """The frame, uint8 [H, W, 3] BGR. Raises ShardError if the JPEG is broken."""
        return _decode(self.key, self.jpg)


def _decode(key, jpg):
    image = cv2.imdecode(np.frombuffer(jpg, np.uint8), cv2.IMREAD_COLOR) if jpg else None
    if image is None:
        raise ShardError(f"The image of sample {key!r} ({len(jpg)} bytes) is no readable JPEG; make its shard again.")
    return image


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
    return {**label, "absent": list(scene.absent), "place": scene.place, "width": width, "height": height}


def check_label(key, data):
    """The JSON of a sample, parsed and checked. Raises ShardError naming the sample."""
    try:
        label = json.loads(data)
    except ValueError as error:
        raise ShardError(f"The JSON of sample {key!r} cannot be parsed ({error}); make its shard again.") from error
    if not isinstance(label, dict) or not {"text", "box", "global_text"} <= set(label):
        raise ShardError(f"The JSON of sample {key!r} lacks one of text, box and global_text; make its shard again.")
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


def read_samples(folder, shards=None, on_broken="raise"):
    """Yields a Sample for every key, in shard order; `shards` limits to those indices.

    on_broken: "raise" stops with a ShardError at the first broken sample; "skip" leaves it out and says so on stderr.
    """
    folder = Path(folder)
    indices = sorted(int(p.stem) for p in (folder / "images").glob("*.tar"))
    if not indices:
        raise ShardError(f"The folder {str(folder)!r} has no images/*.tar; make it with `python -m ps3_training.data.make --out {folder}`.")
    if on_broken not in ("raise", "skip"):
        raise ValueError(f"on_broken is {on_broken!r}; use raise or skip.")
    for index in indices if shards is None else shards:
        paths = shard_paths(folder, index)
        for path in paths:
            if not path.is_file():
                raise ShardError(f"The shard {str(path)!r} is missing though its other half is there; delete that half and make it again.")
        streams = [webdataset.WebDataset(str(p), shardshuffle=False, empty_check=False) for p in paths]
        labels = {s["__key__"]: s.get("json") for s in streams[1]}
        for item in streams[0]:
            key = item["__key__"]
            try:
                if labels.get(key) is None:
                    raise ShardError(f"Sample {key!r} has an image but no JSON of the same key; make shard {index} again.")
                label, box = check_label(key, labels.pop(key))
                if not item.get("jpg"):
                    raise ShardError(f"Sample {key!r} has no image bytes; make shard {index} again.")
            except ShardError as error:
                if on_broken == "raise":
                    raise
                print(f"skipped: {error}", file=sys.stderr)
                continue
            extra = {k: v for k, v in label.items() if k not in ("text", "box", "global_text")}
            yield Sample(key, item["jpg"], tuple(label["text"]), box, label["global_text"], extra)


def read_shards(folder, decode=True, **options):
    """Yields (key, image, text, box, global_text); image is BGR uint8 [H, W, 3], or the JPEG's bytes where decode is False."""
    for sample in read_samples(folder, **options):
        yield sample.key, sample.pixels() if decode else sample.jpg, sample.text, sample.box, sample.global_text
