"""Time and memory against resolution at one budget of patches: this project, the reference, AnyRes tiles, S2, and a sliced detector's rule.

`python -m benchmarks.resolution`: frames of 1 to 16 megapixels, with top scales to match. First our own processes take turns, a size each,
so that growth is measured within one run; then at every size ours and the others take turns. What malloc keeps of freed memory differs by
10 MB from process to process, so our memory is measured in several, and once more where malloc keeps nothing: what is in use.
"""

import argparse
import math
import statistics
import sys
from pathlib import Path

from ps3_ros.errors import Ps3Error
from ps3_ros.exits import exit_code

from . import models
from .against_reference import REFERENCE_PYTHON
from .cases import make_case
from .measure import Contender, interleave
from .report import machine, print_table, save_plot, write_json

# Top scales that are whole multiples of the lowest scale, as the reference's geometry needs; a frame is as wide and 9/16 as high.
TOPS = {"tiny16": (1280, 2048, 2816, 3840, 5376), "smoke": (640, 1280)}
NOTHING_KEPT = {"MALLOC_MMAP_THRESHOLD_": str(1 << 17)}  # bytes from which glibc gives a freed block back: its own default, held fixed
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


def ours(top: int, bundle: Path, case: Path, threads: int, environ=()) -> Contender:
    command = [sys.executable, "-m", "benchmarks.ours", bundle, case, "--threads", threads]
    return Contender(f"ours, {top}", command, threads, dict(environ))


def growth_of(every: list, runs: int, processes: int, threads: int) -> list:
    """A row a size of ours alone: medians of all runs of `processes` processes and of the peaks. in_use_mb: the peak with NOTHING_KEPT."""
    found = [[ours(*size, threads) for size in every] for _ in range(processes)]
    for contenders in found:
        interleave(contenders, runs)
    tight = interleave([ours(*size, threads, NOTHING_KEPT) for size in every], runs=1)
    rows = []
    for (top, *_), same, in_use in zip(every, zip(*found, strict=True), tight, strict=True):
        peaks = [contender.peak_mb for contender in same]
        same[0].rows = [row for contender in same for row in contender.rows]
        memory = {"peak_mb": statistics.median(peaks), "all_peaks_mb": peaks, "in_use_mb": in_use.peak_mb}
        rows.append(row_of(same[0], "ours", top) | memory)
    return rows


def print_growth(rows: list) -> None:
    head = ["ours alone", "top scale", "frame MB", "seconds", "CPU s", "times", "peak MB", "in use MB", "more than frame", "tokens"]
    first, table = rows[0], []
    for row in rows:
        more = (row["in_use_mb"] - first["in_use_mb"]) - (row["frame_mb"] - first["frame_mb"])
        took = row["seconds"], row["cpu_seconds"], row["seconds"] / first["seconds"]
        memory = row["peak_mb"], f"{row['in_use_mb']:.1f}", f"{more:.1f}"
        table.append([f"{row['megapixels']:.1f} megapixels", row["top_scale"], row["frame_mb"], *took, *memory, row["tokens"]])
    print_table(head, table)


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
    parser.add_argument("--processes", type=int, default=3, help="of this project alone at each size")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reference-python", type=Path, default=REFERENCE_PYTHON)
    parser.add_argument("--alone", action="store_true", help="only how this project's own cost grows, without the others")
    parser.add_argument("--quick", action="store_true", help="a smoke run on a tiny model, two sizes, once, without the reference")
    a = parser.parse_args(argv)

    def run():
        if min(a.runs, a.processes) < 1:
            raise Ps3Error(f"--runs {a.runs} --processes {a.processes} measure nothing; give 1 or more of both")
        config = "smoke" if a.quick else "tiny16"
        reference = a.reference_python if not a.quick else Path("not asked for")
        here = machine() | {"threads": a.threads, "config": config, "runs": 1 if a.quick else a.runs}
        here["processes"] = 1 if a.quick else a.processes
        every, rows = sizes(config, a.threads), []
        growth = growth_of(every, here["runs"], here["processes"], a.threads)
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
        keys = ("way", "top_scale", "megapixels", "seconds", "peak_mb")
        print_growth(growth)
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
