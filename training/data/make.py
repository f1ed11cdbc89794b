"""Makes training frames: python -m ps3_training.data.make --out DIR --frames N --seed S --workers 2 --split train|test

Frame i of seed s is always the same scene, whatever the workers. Shards that are there are kept, so a stopped run goes on where it was.
DIR/DONE (JSON: frames, shards, seed, split, boxes, seconds) is written when all are there.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from pathlib import Path

import cv2

from ps3_ros.errors import Ps3Error
from ps3_ros.exits import exit_code

from . import catalogue, compose, shards

PER_SHARD = 25  # frames a shard
SPLITS = {"train": 0, "test": 1}  # part of the seed: train and test never share a scene


def frame_sample(objects, seed, split, index, quality=90):
    """(key, jpg bytes, JSON dict) of one frame. quality: of the JPEG."""
    scene = compose.scene(objects, [SPLITS[split], seed, index], split)
    ok, jpg = cv2.imencode(".jpg", scene.pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise Ps3Error(f"Frame {index} of {scene.pixels.shape} px could not be written as JPEG; check OpenCV's build.")
    return f"{split}{seed:03d}_{index:06d}", jpg.tobytes(), shards.label_of(scene)


def _shard(job):
    out, index, first, last, seed, split, quality = job
    cv2.setNumThreads(1)
    if all(path.is_file() for path in shards.shard_paths(out, index)):
        return index, 0
    objects = catalogue.load()
    samples = [frame_sample(objects, seed, split, i, quality) for i in range(first, last)]
    shards.write_shard(out, index, samples)
    return index, last - first


def make(out, frames, seed=1, split="train", workers=1, quality=90, per_shard=PER_SHARD, progress=True):
    """Makes the shards that are missing, `per_shard` frames each, and returns the content of DONE.

    Raises Ps3Error for bad arguments or missing pictures.
    """
    if split not in SPLITS:
        raise Ps3Error(f"There is no split named {split!r}; use train or test.")
    if frames < 1 or workers < 1:
        raise Ps3Error(f"frames is {frames} and workers {workers}; both must be at least 1.")
    catalogue.load(require=True)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    settings = {"seed": seed, "split": split, "frames": frames, "quality": quality, "per_shard": per_shard}
    note = out / "SETTINGS.json"
    if note.is_file() and (before := json.loads(note.read_text())) != settings:
        raise Ps3Error(f"The folder {str(out)!r} was begun with {before}, not {settings}; use another folder or delete it.")
    _write(note, settings)
    jobs = [
        (str(out), i, first, min(first + per_shard, frames), seed, split, quality) for i, first in enumerate(range(0, frames, per_shard))
    ]
    start, made = time.perf_counter(), 0
    from tqdm import tqdm

    with multiprocessing.get_context("spawn").Pool(workers) as pool, tqdm(total=frames, unit="frame", disable=not progress) as bar:
        for index, count in pool.imap_unordered(_shard, jobs):
            made += count
            bar.update(jobs[index][3] - jobs[index][2])
    boxes = sum(len(sample.text) for sample in shards.read_samples(out))
    done = {**settings, "shards": len(jobs), "boxes": boxes, "made_now": made, "seconds": round(time.perf_counter() - start, 1)}
    _write(out / "DONE", done)
    return done


def _write(path, content):
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(content) + "\n")
    os.replace(part, path)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m ps3_training.data.make", description="Makes training frames with captions and boxes.")
    parser.add_argument("--out", required=True, help="folder for the shards")
    parser.add_argument("--frames", type=int, default=2000, help="how many 3840 x 2160 frames (default 2000)")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same frames (default 1)")
    parser.add_argument(
        "--split", choices=sorted(SPLITS), default="train", help="test frames have objects and phrasings that train frames lack"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--quality", type=int, default=90, help="JPEG quality (default 90)")
    arguments = parser.parse_args(argv)
    return exit_code("error", lambda: print(json.dumps(make(**vars(arguments)))))


if __name__ == "__main__":
    sys.exit(main())
