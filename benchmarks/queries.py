"""What each further question on one frame costs: 1, 4, 16 and 64 of them, each looking anew or finding what was looked at before.

`python -m benchmarks.queries --bundle engines/nano`. A first question pays for the glance; with `seen` a later one pays for the patches
that no question before it looked at, and `same cells` asks one with other words whose cells were all looked at already.
"""

import argparse
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from tqdm import tqdm

from ps3_ros.bundle import default_bundle
from ps3_ros.encoder import Encoder, merge_looks
from ps3_ros.exits import exit_code
from ps3_ros.frame import Frame
from ps3_ros.regions import find_regions
from ps3_ros.seen import Seen
from ps3_ros.selection import select, select_for_all

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


def answer(encoder, glance, vectors, relevance, look, embeddings) -> None:
    find_regions(look, glance.plan, relevance, vectors.text, ["x"], embeddings, lambda mask: encoder.embed(look, mask))


def ask_in_turn(encoder, frame, queries: list, keep: bool) -> list:
    """A Cost a question; the first has the glance in it. keep: find what was looked at before (ps3_ros/seen.py)."""
    start, costs = perf_counter(), []
    glance = encoder.glance(frame)
    seen = Seen(encoder, glance) if keep else None
    for query in queries:
        vectors = encoder.text([query])
        relevance = encoder.relevance(glance, vectors)
        chosen = select(relevance, glance.plan, encoder.settings.max_patches)
        if keep:
            seen.trim()
            encoded, _ = seen.look(chosen)
            look, embeddings = seen.gather(chosen)
        else:
            look, encoded = merge_looks([encoder.look(glance, chosen)]), chosen.count
            embeddings = encoder.embed_tokens(look)
        answer(encoder, glance, vectors, relevance, look, embeddings)
        costs.append(Cost((perf_counter() - start) * 1e3, encoded, chosen.count))
        start = perf_counter()
    return costs


def ask_together(encoder, frame, queries: list) -> list:
    """One look that all questions share (selection.select_for_all): a Cost a question; the first has glance and look in it."""
    start, costs = perf_counter(), []
    glance = encoder.glance(frame)
    vectors = [encoder.text([query]) for query in queries]
    maps = [encoder.relevance(glance, v) for v in vectors]
    chosen = select_for_all(maps, glance.plan, encoder.settings.max_patches)
    look = encoder.look(glance, chosen)
    embeddings = encoder.embed_tokens(look)
    for n, (v, relevance) in enumerate(zip(vectors, maps, strict=True)):
        answer(encoder, glance, v, relevance, look, embeddings)
        costs.append(Cost((perf_counter() - start) * 1e3, 0 if n else chosen.count, chosen.count))
        start = perf_counter()
    return costs


def same_cells(encoder, frame) -> list:
    """Two questions with the same cells: the second's words are new, the patches it looks at are the first's."""
    glance = encoder.glance(frame)
    seen, costs = Seen(encoder, glance), []
    relevance = encoder.relevance(glance, encoder.text(questions(1)))
    for query in questions(2):
        start = perf_counter()
        if not costs:
            glance = encoder.glance(frame)
            seen = Seen(encoder, glance)
        vectors = encoder.text([query])
        encoder.relevance(glance, vectors)
        chosen = select(relevance, glance.plan, encoder.settings.max_patches)
        encoded, _ = seen.look(chosen)
        look, embeddings = seen.gather(chosen)
        answer(encoder, glance, vectors, relevance, look, embeddings)
        costs.append(Cost((perf_counter() - start) * 1e3, encoded, chosen.count))
    return costs


def measure(encoder, frame, counts, runs: int) -> dict:
    """{way: {count: rows of Cost}}, the ways in turn, each with its text cache emptied first."""
    jobs = [(way, count) for count in counts for way in WAYS] + [("same cells", 2)]
    found = {(way, count): [] for way, count in jobs}
    with tqdm(total=(runs + 1) * len(jobs), desc="questions", unit="round") as bar:
        for turn in range(runs + 1):
            for way, count in jobs:
                bar.set_postfix_str(f"{way}, {count}")
                encoder.text_encoder.cache.clear()
                if way == "same cells":
                    costs = same_cells(encoder, frame)
                elif way == "one look for all":
                    costs = ask_together(encoder, frame, questions(count))
                else:
                    costs = ask_in_turn(encoder, frame, questions(count), way == "seen")
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
        encoder, frame = Encoder(a.bundle or default_bundle(), a.backend, a.threads), Frame(read_frame(size))
        here = machine() | {"threads": a.threads, "frame": list(size), "runs": runs}
        here |= {"backend": encoder.backend.name, "model": encoder.bundle.manifest.model_name}
        entries = summarise(measure(encoder, frame, counts, runs))
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
