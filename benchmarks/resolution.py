"""Time and memory against resolution at one budget of patches: this project, the reference, AnyRes tiles, S2, and a sliced detector's rule.

`python -m benchmarks.resolution`: frames of 1 to 16 megapixels, with top scales to match. First our own processes take turns, a size each,
so that growth is measured within one run; then at every size ours and the others take turns.
"""

import argparse
import math
import sys
from pathlib import Path

from ps3_ros.exits import exit_code

from . import models
from .against_reference import REFERENCE_PYTHON
from .cases import make_case
from .measure import Contender, interleave
from .report import machine, print_table, save_plot, write_json

# Top scales that are whole multiples of the lowest scale, as the reference's geometry needs; a frame is as wide and 9/16 as high.
TOPS = {"tiny16": (1280, 2048, 2816, 3840, 5376), "smoke": (640, 1280)}
SLICE_OVERLAP = 0.2  # of a slice's side, a sliced detector's usual choice


def frame_of(top: int) -> tuple[int, int]:
    return top, top * 9 // 16


def slices(width: int, height: int, side: int) -> int:
    """Windows of `side` px that overlap by SLICE_OVERLAP and cover the frame."""
    step = side * (1 - SLICE_OVERLAP)
    return math.prod(max(1, math.ceil((length - side) / step) + 1) for length in (width, height))


def sizes(config: str, threads: int) -> list:
    """(top, bundle, case) of every size."""
    found = []
    for top in TOPS[config]:
        bundle = models.bundle(config, top_scale=top, native=True, frame=frame_of(TOPS[config][0]))
        found.append((top, bundle, make_case(f"{config}-{top}", bundle, frame_of(top), threads)))
    return found


def ours(top: int, bundle: Path, case: Path, threads: int) -> Contender:
    return Contender(f"ours, {top}", [sys.executable, "-m", "benchmarks.ours", bundle, case, "--threads", threads], threads)


def rivals(config: str, top: int, bundle: Path, case: Path, threads: int, reference: Path) -> list:
    tiled = [sys.executable, "-m", "benchmarks.tiled"]
    found = [Contender(f"{way}, {top}", [*tiled, way, bundle, case, "--threads", threads], threads) for way in ("anyres", "s2")]
    why_not, checkpoint = "" if reference.is_file() else f"no Python at {reference}", None
    if not why_not:
        checkpoint = models.checkpoint(config, top_scale=top)
    # Its own selection: where positions and resampling differ, the patches would too.
    command = [reference, "-m", "benchmarks.reference", checkpoint, case, "--mode", "square", "--threads", threads]
    return [*found, Contender(f"reference, {top}", command, threads, why_not=why_not)]


def row_of(contender: Contender, way: str, top: int) -> dict:
    width, height = frame_of(top)
    return {
        "way": way, "top_scale": top, "megapixels": width * height / 1e6, "frame_mb": width * height * 3 / 1e6,
        "seconds": contender.median(), "cpu_seconds": contender.cpu_seconds, "peak_mb": contender.peak_mb,
        "all_totals": [row["seconds"]["total"] for row in contender.rows], **contender.about,
    }  # fmt: skip


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.resolution", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reference-python", type=Path, default=REFERENCE_PYTHON)
    parser.add_argument("--alone", action="store_true", help="only how this project's own cost grows, without the others")
    parser.add_argument("--quick", action="store_true", help="a smoke run on a tiny model, two sizes, once, without the reference")
    a = parser.parse_args(argv)

    def run():
        config = "smoke" if a.quick else "tiny16"
        reference = a.reference_python if not a.quick else Path("not asked for")
        here = machine() | {"threads": a.threads, "config": config, "runs": 1 if a.quick else a.runs}
        every, rows = sizes(config, a.threads), []
        alone = {top: ours(top, bundle, case, a.threads) for top, bundle, case in every}
        interleave(list(alone.values()), here["runs"])
        growth = [row_of(contender, "ours", top) for top, contender in alone.items()]
        for top, bundle, case in every if not a.alone else ():
            both = [ours(top, bundle, case, a.threads), *rivals(config, top, bundle, case, a.threads, reference)]
            ran = interleave(both, here["runs"])
            rows += [row_of(c, c.name.split(",")[0], top) for c in ran]
            side = models.config_of(config)["vision_config"]["ps3_scales"][0]
            tiles = next(row for row in rows if row["way"] == "anyres" and row["top_scale"] == top)
            count = slices(*frame_of(top), side)
            one = tiles["seconds"] / tiles["images"]
            rows.append(row_of(both[1], "sliced (arithmetic)", top) | {"seconds": count * one, "images": count, "all_totals": []})
        head = ["way", "top scale", "megapixels", "seconds", "peak MB", "tokens or images"]
        keys, smallest = ("way", "top_scale", "megapixels", "seconds", "peak_mb"), growth[0]["seconds"]
        print("ours alone:")
        print_table([*head, "times the smallest"], [[*(r[key] for key in keys), r["tokens"], r["seconds"] / smallest] for r in growth])
        if rows:
            print("in turns:")
            print_table(head, [[*(row[key] for key in keys), row.get("images", row.get("tokens"))] for row in rows])

        def draw(axes):
            for way in dict.fromkeys(row["way"] for row in rows):
                mine = [row for row in rows if row["way"] == way]
                axes.plot([r["megapixels"] for r in mine], [r["seconds"] for r in mine], marker="o", label=way)
            axes.set_yscale("log")
            axes.set_xlabel("megapixels of the frame")
            axes.set_ylabel("seconds to the tokens")
            axes.legend()

        name = f"resolution-{config}" + ("-alone" if a.alone else "")
        rows = rows or growth
        print(write_json(name, {"machine": here, "ours_alone": growth, "rows": rows}))
        print(save_plot(name, draw) or "no plot: matplotlib is not installed")

    return exit_code("resolution", run)


if __name__ == "__main__":
    sys.exit(main())
