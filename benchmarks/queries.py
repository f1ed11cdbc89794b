"""What each further question on one frame costs: 1, 4, 16 and 64 of them, each looking anew or finding what was looked at before.

`python -m benchmarks.queries --bundle engines/nano`. A first question pays for the glance; with `seen` a later one pays for the patches
that no question before it looked at, and `same cells` asks one with other words whose patches were all looked at already, but for its
close-ups. All is the asker's own way to do it (ps3_ros/ask.py): `ask`, `ask` with share_looks, `ask_all`.
"""

import argparse
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from tqdm import tqdm

from ps3_ros.ask import Asker
from ps3_ros.bundle import default_bundle
from ps3_ros.exits import exit_code
from ps3_ros.frame import Frame

from .cases import read_frame
from .models import FRAME
from .report import machine, print_table, save_plot, write_json

COUNTS = (1, 4, 16, 64)
COLOURS = ("red", "blue", "green", "yellow", "white", "black", "orange", "silver")
THINGS = ("stop sign", "traffic light", "car", "bicycle", "mug", "bottle", "clock", "traffic cone")
WAYS = ("anew", "seen", "one look for all")


@dataclass(frozen=True)
class Cost:
    """Milliseconds of one question; patches that were encoded for it, of how many that it looked at."""

    ms: float
    encoded: int
    looked: int


def questions(count: int) -> list:
    """Different ones, as a robot's standing questions are."""
    return [f"{colour} {thing}" for thing in THINGS for colour in COLOURS][:count]


class Counter:
    """Counts the patches that an asker encodes, those of close-ups too."""

    def __init__(self, asker):
        self.encoded, self.inner = 0, asker.encoder.backend.run
        asker.encoder.backend.run = self.run

    def run(self, graph, inputs):
        self.encoded += len(inputs["position"]) if graph == "look" else 0
        return self.inner(graph, inputs)


def timed(steps, counter: Counter) -> list:
    """A Cost a step of an iterable of answers; each has what was done since the one before."""
    costs, start, counter.encoded = [], perf_counter(), 0
    for answer in steps:
        costs.append(Cost((perf_counter() - start) * 1e3, counter.encoded, answer.patches_used))
        start, counter.encoded = perf_counter(), 0
    return costs


def ask_in_turn(asker, frame, queries: list, prior=None):
    """An answer a question; the first has the glance in it."""
    asker.set_frame(frame)
    for query in queries:
        yield asker.ask(query, prior=prior)


def ask_together(asker, frame, queries: list):
    """One look that all questions share; the first has glance and look in it."""
    asker.set_frame(frame)
    yield from asker.ask_all(queries)


def a_quarter(asker) -> np.ndarray:
    """A prior that takes more than a look: whatever is asked, the same patches are looked at."""
    g = asker.settings.grid
    prior = np.zeros((g, g), np.float32)
    prior[: g // 2, : g // 2] = 1
    return prior


def measure(asker, frame, counts, runs: int) -> dict:
    """{way: {count: rows of Cost}}, the ways in turn, each with its text cache emptied first."""
    jobs = [(way, count) for count in counts for way in WAYS] + [("same cells", 2)]
    found, counter = {(way, count): [] for way, count in jobs}, Counter(asker)
    with tqdm(total=(runs + 1) * len(jobs), desc="questions", unit="round") as bar:
        for turn in range(runs + 1):
            for way, count in jobs:
                bar.set_postfix_str(f"{way}, {count}")
                asker.encoder.text_encoder.cache.clear()
                asker.share_looks = way in ("seen", "same cells")
                if way == "one look for all":
                    steps = ask_together(asker, frame, questions(count))
                else:
                    steps = ask_in_turn(asker, frame, questions(count), a_quarter(asker) if way == "same cells" else None)
                costs = timed(steps, counter)
                if turn:  # the first round warms up
                    found[way, count].append(costs)
                bar.update()
    return found


def summarise(found: dict) -> list:
    """Medians over the rounds: {way, count, first_ms, further_ms, further_part, encoded}."""
    entries = []
    for (way, count), rounds in found.items():
        first = statistics.median(costs[0].ms for costs in rounds)
        later = [statistics.mean(c.ms for c in costs[1:]) for costs in rounds] if count > 1 else []
        further = statistics.median(later) if later else None
        encoded = statistics.mean(c.encoded for costs in rounds for c in costs[1:]) if later else None
        entries.append({
            "way": way, "questions": count, "first_ms": first, "further_ms": further, "further_part": further / first if later else None,
            "encoded_each": encoded, "all_ms": statistics.median(sum(c.ms for c in costs) for costs in rounds),
        })  # fmt: skip
    return entries


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queries", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, help="default: the bundle that the project ships")
    parser.add_argument("--backend", default="onnxruntime:cpu")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a smoke run: 1 and 4 questions on a small frame, once")
    a = parser.parse_args(argv)

    def run():
        import cv2

        cv2.setNumThreads(a.threads)
        counts, size, runs = (COUNTS, FRAME, a.runs) if not a.quick else ((1, 4), (640, 360), 1)
        asker, frame = Asker(a.bundle or default_bundle(), a.backend, a.threads), Frame(read_frame(size))
        here = machine() | {"threads": a.threads, "frame": list(size), "runs": runs}
        here |= {"backend": asker.encoder.backend.name, "model": asker.encoder.bundle.manifest.model_name}
        entries = summarise(measure(asker, frame, counts, runs))
        head = ["way", "questions", "first ms", "further ms", "of the first", "patches encoded for each", "all ms"]
        keys = ("way", "questions", "first_ms", "further_ms", "further_part", "encoded_each", "all_ms")
        print_table(head, [[entry[key] for key in keys] for entry in entries])

        def draw(axes):
            for way in WAYS:
                mine = [entry for entry in entries if entry["way"] == way]
                axes.plot([e["questions"] for e in mine], [e["all_ms"] for e in mine], marker="o", label=way)
            axes.set_xscale("log", base=2)
            axes.set_xlabel("questions on one frame")
            axes.set_ylabel("milliseconds for all of them")
            axes.legend()

        print(write_json("queries", {"machine": here, "ways": entries}))
        print(save_plot("queries", draw) or "no plot: matplotlib is not installed")

    return exit_code("queries", run)


if __name__ == "__main__":
    sys.exit(main())
