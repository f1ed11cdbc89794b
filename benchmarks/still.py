"""What a camera that stands still need not pay: a sequence with noise, without and with a thing that moves, and one where all moves.

`python -m benchmarks.still --levels 6`: every frame is asked the same questions of an asker that encodes all anew, and of one that keeps
what did not change (ps3_ros/still.py), in turns. Time of a frame with its questions, patches encoded for it, and how the answers differ.
"""

import argparse
import statistics
import sys
from pathlib import Path
from time import perf_counter, process_time

import cv2
import numpy as np
from tqdm import tqdm

from ps3_ros.ask import Asker
from ps3_ros.bundle import default_bundle
from ps3_ros.exits import exit_code
from ps3_ros.frame import Frame

from .cases import read_frame
from .models import FRAME
from .queries import Counter
from .report import machine, print_table, write_json
from .sharing import centre_in

QUERIES = ("stop sign", "bicycle")
NOISE = 2.0  # grey levels: a good camera's by day
THING, STEP = 0.08, 0.02  # side of what moves, and how far it moves a frame: parts of the frame's height
SCENES = ("still", "a thing moves", "all moves")


def sequence(scene: str, still: np.ndarray, count: int):
    """Frames, uint8 [H, W, 3]: noise over all of them. A thing is a piece of the frame itself; where all moves, the frame is shifted."""
    rng, (height, width) = np.random.default_rng(0), still.shape[:2]
    noise = np.clip(rng.normal(0, NOISE, still.shape), -100, 100).round().astype(np.int8)
    side, step = int(THING * height), int(STEP * height)
    thing = still[height // 2 : height // 2 + side, width // 2 : width // 2 + side].copy()
    for n in range(count):
        frame = still.copy() if scene != "all moves" else np.roll(still, n * step, axis=1)
        if scene == "a thing moves":
            x = width // 8 + n * step
            frame[height // 3 : height // 3 + side, x : x + side] = thing
        moved = np.roll(noise, tuple(rng.integers(0, (height, width))), axis=(0, 1))
        yield np.clip(cv2.add(frame.astype(np.int16), moved.astype(np.int16)), 0, 255).astype(np.uint8)


def measure(askers: dict, counters: dict, frames, bar) -> dict:
    """{way: {"ms", "cpu_ms", "encoded", "other_best", "jumped", "score_change"}}: lists, an entry a frame or question but the first frame.

    other_best: the best region's centre is not in that of the asker that encodes all anew; jumped: not in its own of the frame before.
    """
    found = {way: {"ms": [], "cpu_ms": [], "encoded": [], "other_best": [], "jumped": [], "score_change": []} for way in askers}
    last = {}
    for number, pixels in enumerate(frames):
        first = None
        for way, asker in askers.items():
            counters[way].encoded, start, cpu = 0, perf_counter(), process_time()
            asker.set_frame(Frame(pixels))
            answers = [asker.ask(query) for query in QUERIES]
            ms, cpu_ms, first = (perf_counter() - start) * 1e3, (process_time() - cpu) * 1e3, first or answers
            if number:
                found[way]["ms"].append(ms)
                found[way]["cpu_ms"].append(cpu_ms)
                found[way]["encoded"].append(counters[way].encoded)
                for answer, anew, before in zip(answers, first, last[way], strict=True):
                    found[way]["other_best"].append(not centre_in(answer.regions[0].box, anew.regions[0].box))
                    found[way]["jumped"].append(not centre_in(answer.regions[0].box, before.regions[0].box))
                    found[way]["score_change"].append(abs(answer.regions[0].score - anew.regions[0].score))
            last[way] = answers
        bar.update()
    return found


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.still", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, help="default: the bundle that the project ships")
    parser.add_argument("--backend", default="onnxruntime:cpu")
    parser.add_argument("--levels", type=float, default=6.0, help="grey levels by which a block of 4 x 4 px may change (default 6)")
    parser.add_argument("--frames", type=int, default=8, help="of each sequence, the first uncounted")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a smoke run: three small frames of each sequence")
    a = parser.parse_args(argv)

    def run():
        cv2.setNumThreads(a.threads)
        size, count = (FRAME, a.frames) if not a.quick else ((640, 360), 3)
        still, bundle, entries = read_frame(size), a.bundle or default_bundle(), []
        with tqdm(total=count * len(SCENES), desc="frames", unit="frame") as bar:
            for scene in SCENES:
                askers = {"anew": Asker(bundle, a.backend, a.threads), "kept": Asker(bundle, a.backend, a.threads, still_levels=a.levels)}
                counters = {way: Counter(asker) for way, asker in askers.items()}
                found = measure(askers, counters, sequence(scene, still, count), bar)
                for way, values in found.items():
                    entry = {"scene": scene, "way": way, **{key: statistics.median(values[key]) for key in ("ms", "cpu_ms")}}
                    entries.append(
                        entry | {key: statistics.mean(values[key]) for key in ("encoded", "other_best", "jumped", "score_change")}
                    )
        keys = ("scene", "way", "ms", "cpu_ms", "encoded", "other_best", "jumped", "score_change")
        print_table(
            ["scene", "way", "ms a frame", "CPU ms", "patches encoded", "other best region", "best jumped", "score change"],
            [[e[k] for k in keys] for e in entries],
        )
        here = machine() | {"threads": a.threads, "frame": list(size), "frames": count, "levels": a.levels, "questions": len(QUERIES)}
        print(write_json("still", {"machine": here, "scenes": entries}))

    return exit_code("still", run)


if __name__ == "__main__":
    sys.exit(main())
