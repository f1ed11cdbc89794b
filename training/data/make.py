"""Makes training frames: ps3 data make DIR --frames N --seed S --split train (or python -m ps3_training.data.make --out DIR ...).

Frame i of seed s is always the same scene, whatever the workers. Shards that are there are kept, so a stopped run goes on where it was.
DIR/DONE (JSON: frames, shards, seed, split, boxes, seconds) is written when all are there.
"""

import argparse
import json
import multiprocessing
import os
import signal
import sys
import time
import zlib
from contextlib import nullcontext
from pathlib import Path

import cv2
import numpy as np

from ps3_ros.errors import Ps3Error
from ps3_ros.exits import exit_code
from ps3_training.files import write_whole

from . import canvas, catalogue, compose, scenes3d, shards
from .choosing import SPLITS

PER_SHARD = 25  # frames a shard
SIZE = (canvas.WIDTH, canvas.HEIGHT)  # px, width and height


def frame_sample(objects, seed, split, index, quality=90, size=SIZE, rendered=0.0):
    """(key, jpg bytes, JSON dict) of one frame. quality: the best of its JPEG; it varies down to 25 below, as cameras' does.

    rendered: the share of frames that scenes3d.py renders, half of them rooms; the others are composites.
    """
    number = [SPLITS[split], seed, index]
    which = np.random.default_rng([*number, 2]).random() if rendered else 1.0
    if which < rendered:
        scene = scenes3d.scene3d("room" if which < rendered / 2 else "street", number, split, size)
    else:
        scene = compose.scene(objects, number, split, size=size)
    quality = int(np.random.default_rng([*number, 1]).integers(max(1, quality - 25), quality + 1))
    ok, jpg = cv2.imencode(".jpg", scene.pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise Ps3Error(f"Frame {index} of {scene.pixels.shape} px could not be written as JPEG; check OpenCV's build.")
    return f"{split}{seed:03d}_{index:06d}", jpg.tobytes(), shards.label_of(scene)


def _shard(job):
    out, index, first, last, *settings = job
    cv2.setNumThreads(1)
    if all(path.is_file() for path in shards.shard_paths(out, index)):
        return index, 0
    seed, split, quality, size, rendered = settings
    objects = catalogue.load(restyled=split == "train")
    samples = [frame_sample(objects, seed, split, i, quality, size, rendered) for i in range(first, last)]
    shards.write_shard(out, index, samples)
    return index, last - first


def make(out, frames, seed=1, split="train", workers=1, quality=90, size=SIZE, rendered=0.0, per_shard=PER_SHARD, progress=True):
    """Makes the shards that are missing, `per_shard` frames each, and returns the content of DONE. rendered: as for frame_sample.

    Raises Ps3Error for bad arguments or missing pictures.
    """
    if split not in SPLITS:
        raise Ps3Error(f"There is no split named {split!r}; use {', '.join(SPLITS)}.")
    if frames < 1 or workers < 1:
        raise Ps3Error(f"frames is {frames} and workers {workers}; both must be at least 1.")
    if not 0 <= rendered <= 1:
        raise Ps3Error(f"The share of rendered frames is {rendered}; it must be from 0 to 1.")
    if rendered and not scenes3d.available():
        raise Ps3Error(
            "The renderer or its models are not here, so no frame can be rendered; install them as docs/data.md says, or ask for 0."
        )
    compose.window(size)
    names = [o.name for o in catalogue.load(require=True, restyled=split == "train")]
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    settings = {"seed": seed, "split": split, "frames": frames, "quality": quality, "size": list(size), "rendered": rendered}
    settings["per_shard"] = per_shard
    settings["catalogue"] = f"{len(names)} names, {zlib.crc32(' '.join(names).encode()):08x}"  # with other pictures, other frames
    note = out / "SETTINGS.json"
    if note.is_file():
        before = {"rendered": 0.0, "catalogue": settings["catalogue"], **json.loads(note.read_text())}  # early folders name neither
        if before != settings:
            raise Ps3Error(f"The folder {str(out)!r} was begun with {before}, not {settings}; use another folder or delete it.")
    write_whole(note, json.dumps(settings) + "\n")
    for part in out.glob("*/.*.part"):  # of a run that was killed
        part.unlink()
    jobs = [
        (str(out), i, first, min(first + per_shard, frames), seed, split, quality, tuple(size), rendered)
        for i, first in enumerate(range(0, frames, per_shard))
    ]
    start, made = time.perf_counter(), 0
    from tqdm import tqdm

    missing = [job for job in jobs if not all(path.is_file() for path in shards.shard_paths(out, job[1]))]
    workers = min(workers, len(missing))
    with (
        multiprocessing.get_context("spawn").Pool(workers, _begin_worker) if workers > 1 else nullcontext() as pool,
        tqdm(total=frames, initial=frames - sum(job[3] - job[2] for job in missing), unit="frame", disable=not progress) as bar,
    ):
        for index, count in pool.imap_unordered(_shard, missing) if pool else map(_shard, missing):
            made += count
            bar.update(jobs[index][3] - jobs[index][2])
        if pool:  # its workers end by themselves: one that is told to while it is ending prints a traceback
            pool.close()
            pool.join()
    boxes = sum(len(sample.text) for sample in shards.read_samples(out))
    done = {**settings, "shards": len(jobs), "boxes": boxes, "made_now": made, "seconds": round(time.perf_counter() - start, 1)}
    write_whole(out / "DONE", json.dumps(done) + "\n")
    return done


def _begin_worker():
    """In a worker process: Ctrl-C is for the parent, which then ends it by SIGTERM; that runs what removes a half-written shard."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def frame_size(text):
    """(width, height) of text such as 3840x2160. Raises Ps3Error for anything else."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(p.isascii() and p.isdigit() for p in parts):
        raise Ps3Error(f"The size {text!r} cannot be read; write WIDTHxHEIGHT in px, for example 3840x2160.")
    return int(parts[0]), int(parts[1])


def add_options(parser):
    """The options that `ps3 data make` and this module share."""
    parser.add_argument("--frames", type=int, default=2000, help="how many frames (default 2000)")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same frames (default 1)")
    parser.add_argument("--split", choices=list(SPLITS), default="train", help="what the frames are for; see docs/data.md (default train)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--size", default="x".join(map(str, SIZE)), help="px (default 3840x2160, the largest)")
    parser.add_argument("--rendered", type=float, default=0.0, metavar="SHARE", help="share of 3D rendered frames, 0 to 1 (default 0)")
    parser.add_argument("--quality", type=int, default=90, help="JPEG quality at most; frames vary down to 25 below (default 90)")


def run(arguments):
    """Makes what the parsed options ask for and prints a line of JSON."""
    options = dict(vars(arguments))
    options["size"] = frame_size(options["size"])
    names = ("out", "frames", "seed", "split", "workers", "size", "quality", "rendered")
    print(json.dumps(make(**{name: options[name] for name in names})))


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m ps3_training.data.make", description="Makes training frames with captions and boxes.")
    parser.add_argument("--out", required=True, help="folder for the shards")
    add_options(parser)
    arguments = parser.parse_args(argv)
    return exit_code("error", lambda: run(arguments))


if __name__ == "__main__":
    sys.exit(main())
