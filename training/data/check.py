"""`ps3 data check DIR`: is every sample of a data set fit for training? Both forms, shards and folder.

Checked: both halves and a JSON that fits (shards.check_label), an image that decodes to its end and has the size its JSON says, boxes
inside it, lists as long as `text`, names that are not called absent though they are there, and keys that occur once.
"""

import multiprocessing
import tarfile
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import folder, shards

LISTS = ("name", "asks", "means", "visible", "colour", "seen")  # as long as text


@dataclass(frozen=True)
class Report:
    """What a check found. `bad`: one sentence a broken sample or shard."""

    samples: int
    boxes: int
    shards: int  # 0 for a folder of pictures
    bad: tuple

    def summary(self):
        where = f" in {self.shards} shards" if self.shards else ""
        broken = f"{len(self.bad)} problems" if len(self.bad) != 1 else "1 problem"
        return f"{self.samples} samples{where}, {self.boxes} boxes: {broken if self.bad else 'all fit'}"


def check_sample(sample):
    """Raises ShardError, one sentence that names the sample, if it does not fit itself."""
    key = sample.key
    height, width = sample.pixels().shape[:2]
    said = sample.extra.get("width", width), sample.extra.get("height", height)
    if said != (width, height):
        raise shards.ShardError(f"Sample {key!r} says {said[0]} x {said[1]} px and its image is {width} x {height}; correct the JSON.")
    for box in sample.box.tolist():
        if box[0] < 0 or box[1] < 0 or box[2] > width or box[3] > height:
            raise shards.ShardError(f"Sample {key!r} has the box {box} outside its image of {width} x {height} px; clip or remove it.")
    for name in LISTS:
        values = sample.extra.get(name)
        if values is not None and (not isinstance(values, list) or len(values) != len(sample.text)):
            raise shards.ShardError(f"Sample {key!r} has {len(sample.text)} texts and another number of `{name}`; write one a text.")
    absent = sample.extra.get("absent", [])
    if "absent_text" in sample.extra and len(sample.extra["absent_text"]) != len(absent):
        raise shards.ShardError(f"Sample {key!r} has {len(absent)} `absent` and another number of `absent_text`; write one a name.")
    there = {name for names in sample.extra.get("means", []) for name in names} | set(sample.extra.get("name", []))
    if both := sorted(there & set(absent)):
        raise shards.ShardError(f"Sample {key!r} calls {both[0]!r} absent, which one of its boxes is; take it out of `absent`.")


def _tried(entry):
    """(key or None, boxes, sentence or None) of an entry of shards.shard_entries or folder.entries."""
    try:
        sample = entry()
        check_sample(sample)
        return sample.key, len(sample.box), None
    except shards.ShardError as error:
        return None, 0, str(error)
    except (TypeError, AttributeError, KeyError) as error:
        return None, 0, f"A sample has a JSON of another shape than docs/data.md says ({error}); compare its keys with those there."


def _check_shard(path, index):
    """[(key or None, boxes, sentence or None), ...] of one shard, the keys that only one of its halves has included."""
    for half in shards.shard_paths(path, index):
        if not half.is_file():
            return [(None, 0, f"The shard {str(half)!r} is missing though its other half is there; delete that half and make it again.")]
    try:
        return [_tried(entry) for entry in shards.shard_entries(path, index)]
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        return [(None, 0, f"Shard {index} in {str(path)!r} cannot be read to its end ({error}); delete both halves and make it again.")]


def check(path, workers=1, progress=True):
    """A Report on a data set of either form. Raises ShardError if the path holds neither."""
    from tqdm import tqdm

    path = Path(path)
    numbers = sorted({int(p.stem) for stream, _ in shards.STREAMS for p in (path / stream).glob("*.tar") if p.stem.isdigit()})
    if numbers:
        jobs, work, unit = numbers, partial(_check_shard, path), "shard"
    elif folder.is_folder(path):
        jobs, work, unit = [entry for _, entry in folder.entries(path)], _tried, "picture"
    else:
        raise shards.ShardError(
            f"The folder {str(path)!r} has neither images/*.tar nor {folder.LABELS} nor pictures with a JSON beside them."
        )
    results = []
    with tqdm(total=len(jobs), unit=unit, disable=None if progress else True) as bar:
        for result in _each(work, jobs, workers):
            results += result if numbers else [result]
            bar.update()
    keys = Counter(key for key, _, _ in results if key is not None)
    bad = [sentence for _, _, sentence in results if sentence]
    bad += [f"The key {key!r} occurs {count} times; keys must be unique." for key, count in keys.items() if count > 1]
    return Report(sum(keys.values()), sum(boxes for _, boxes, _ in results), len(numbers), tuple(bad))


def _each(work, jobs, workers):
    """work(job) of every job, in order, over `workers` processes."""
    if workers <= 1 or len(jobs) < 2:
        yield from map(work, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(work, jobs)
