"""The folder form of a data set: pictures, and their labels beside them. For a few hundred pictures; shards are for more.

    DIR/labels.jsonl        one JSON a line: {"image": "shelf/one.jpg", "text": [...], "box": [[x1, y1, x2, y2], ...]}
    DIR/shelf/one.jpg       or, instead of labels.jsonl, DIR/shelf/one.json beside it (without "image")

`text` and `box` must be there; all other keys of a shard's JSON may. A key is the path without its ending, `_` for `/` and `.`.
"""

import json
import sys
from functools import partial
from pathlib import Path

from . import shards

PICTURES = (".jpg", ".jpeg", ".png")
LABELS = "labels.jsonl"


def is_folder(path):
    """True if the path holds labels of this form."""
    path = Path(path)
    return (path / LABELS).is_file() or any(p.with_suffix(".json").is_file() for p in _pictures(path))


def _pictures(path):
    return (p for p in sorted(Path(path).rglob("*")) if p.suffix.lower() in PICTURES and not p.name.startswith("."))


def key_of(relative):
    """The key of a picture from its path inside the folder: no dots, which WebDataset would cut it at."""
    return Path(relative).with_suffix("").as_posix().replace("/", "_").replace(".", "_")


def entries(path):
    """[(key, function), ...], sorted by key: each function gives the picture's Sample or raises the ShardError that says why there is none.

    What has a label but no picture, and the other way round, is in it too. Raises ShardError if two pictures have one key.
    """
    path = Path(path)
    labels = _labels(path)
    found, seen = [], {}
    names = {p.relative_to(path).as_posix() for p in _pictures(path)}
    for name in sorted(names | set(labels)):
        key = key_of(name)
        if key in seen:
            raise shards.ShardError(f"The pictures {seen[key]!r} and {name!r} would both have the key {key!r}; rename one of them.")
        seen[key] = name
        found.append((key, partial(_sample, path, name, key, labels.get(name))))
    return sorted(found)


def _labels(path):
    """{picture's path inside the folder: JSON bytes, or the ShardError that stands for them}."""
    table = path / LABELS
    if not table.is_file():
        return {
            p.relative_to(path).as_posix(): p.with_suffix(".json").read_bytes() for p in _pictures(path) if p.with_suffix(".json").is_file()
        }
    labels = {}
    for number, line in enumerate(table.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            name = json.loads(line)["image"]
            name = Path(name).as_posix()
        except (ValueError, KeyError, TypeError) as error:
            labels[f"{LABELS} line {number}"] = shards.ShardError(
                f"Line {number} of {str(table)!r} is no JSON object with the key `image` ({error}); write one object a line."
            )
            continue
        if name in labels:
            line = shards.ShardError(f"Line {number} of {str(table)!r} is about {name!r} again; put all boxes of a picture on one line.")
        elif ".." in Path(name).parts or Path(name).is_absolute():
            line = shards.ShardError(f"Line {number} of {str(table)!r} names the picture {name!r}; write a path inside the folder.")
        labels[name] = line
    return labels


def _sample(path, name, key, label):
    if isinstance(label, shards.ShardError):
        raise label
    if label is None:
        raise shards.ShardError(
            f"The picture {name!r} has no label; add it to {LABELS}, or write {Path(name).with_suffix('.json').name!r}."
        )
    picture = path / name
    if not picture.is_file():
        raise shards.ShardError(f"The label of {name!r} has no picture; put it into {str(path)!r} or take the label away.")
    return shards.make_sample(key, picture.read_bytes(), _completed(label))


def _completed(label):
    """The JSON with a global_text made of its captions where it has none, and without `image`."""
    try:
        content = json.loads(label)
    except ValueError:
        return label  # make_sample names the sample
    if not isinstance(content, dict):
        return label
    content.pop("image", None)
    if "global_text" not in content and isinstance(content.get("text"), list):
        content["global_text"] = "a picture" + " with " * bool(content["text"]) + ", ".join(str(t) for t in content["text"][:4])
    return json.dumps(content).encode()


def read_folder(path, on_broken="raise"):
    """Yields a Sample for every picture, sorted by key. on_broken: as for shards.read_samples."""
    if on_broken not in ("raise", "skip"):
        raise ValueError(f"on_broken is {on_broken!r}; use raise or skip.")
    for _, entry in entries(path):
        try:
            yield entry()
        except shards.ShardError as error:
            if on_broken == "raise":
                raise
            print(f"skipped: {error}", file=sys.stderr)


def pack(path, out, per_shard=25):
    """Writes the folder's pictures as shards into `out`; returns the number of samples. PNG pictures become JPEG of quality 95.

    Raises ShardError at the first broken sample (`ps3 data check` names them all), and if `out` has shards already.
    """
    if any((Path(out) / "images").glob("*.tar")):
        raise shards.ShardError(f"The folder {str(out)!r} has shards already; delete it or name another.")
    listed = entries(path)
    if not listed:
        raise shards.ShardError(f"The folder {str(path)!r} has no pictures with labels; write {LABELS} as docs/data.md says.")
    for first in range(0, len(listed), per_shard):
        shards.write_shard(out, first // per_shard, (_packed(entry()) for _, entry in listed[first : first + per_shard]))
    return len(listed)


def _packed(sample):
    import cv2

    jpg = sample.jpg
    if not jpg.startswith(b"\xff\xd8"):
        jpg = cv2.imencode(".jpg", sample.pixels(), [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    label = {"text": list(sample.text), "box": sample.box.tolist(), "global_text": sample.global_text, **sample.extra}
    return sample.key, jpg, label
