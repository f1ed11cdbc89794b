"""What gaze across frames saves: recall of the asked thing's patches against patches a frame, chosen by cells, one by one, and with gaze.

`python -m benchmarks.gaze`. A standing query is asked of every frame of generated camera sequences (sequences.py) at several budgets; each
budget has a memory of its own. Seeds from TUNED on were not looked at while the gaze's numbers were chosen.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np
from tqdm import tqdm

from ps3_ros.ask import Asker
from ps3_ros.bundle import default_bundle
from ps3_ros.exits import exit_code
from ps3_ros.flow import estimate_flow, grey_image
from ps3_ros.frame import Frame
from ps3_ros.gaze import Gaze

from .report import machine, print_table, save_plot, write_json

BUDGETS = (1024, 512, 256, 128, 64)
CELLS, PATCHES, GAZE = "by cells", "patch by patch", "with gaze"  # with gaze patches are chosen one by one, too
WAYS = (CELLS, PATCHES, GAZE)
TUNED = 100  # seeds below were used to choose the gaze's numbers


@dataclass(frozen=True)
class Row:
    """One answer. recall: share of the true box's finest patches that were looked at; pointed: the best region's middle is in the box."""

    seed: int
    frame: int
    way: str
    budget: int
    recall: float
    pointed: bool
    score: float
    patches: int
    gaze_ms: float


def recall(box, selection, plan) -> float:
    """Share of the finest patches under a box (x1, y1, x2, y2 px) that were looked at."""
    grid = plan.grids[-1]
    high, wide = plan.height / grid.rows, plan.width / grid.cols
    rows = np.arange(int(box[1] // high), min(grid.rows, int(np.ceil(box[3] / high))))
    cols = np.arange(int(box[0] // wide), min(grid.cols, int(np.ceil(box[2] / wide))))
    wanted = (rows[:, None] * grid.cols + cols).ravel()
    return float(np.isin(wanted, selection.patches[-1]).mean())


def points(box, regions) -> bool:
    """Whether the best region's middle is in the box."""
    if not regions:
        return False
    x, y = (regions[0].box[0] + regions[0].box[2]) / 2, (regions[0].box[1] + regions[0].box[3]) / 2
    return bool(box[0] <= x <= box[2] and box[1] <= y <= box[3])


def ask(asker, query: str, budget: int, way: str, guide):
    """Answer of one of WAYS, whatever the bundle's own is. guide: selection.Guide of the last; the frame is set."""
    encoder, settings = asker.encoder, asker.settings
    encoder.settings = replace(settings, fine_selection=way != CELLS)
    try:
        return asker.ask(query, tokens=budget, prior=guide)
    finally:
        encoder.settings = settings


def run_sequence(asker, sequence, seed: int, budgets: tuple, bar) -> list:
    """Rows of every frame in which the thing can be seen; the others are looked at too. One glance a frame serves all."""
    gazes, rows, before = {}, [], None
    for n, box in enumerate(sequence.boxes):
        frame = Frame(sequence.frames(n))
        asker.set_frame(frame)
        grey, size = grey_image(frame, asker.settings.scales[0]), (frame.width, frame.height)
        for budget in budgets:
            for way in WAYS:
                gaze = gazes.setdefault(budget, Gaze(asker.settings, size)) if way == GAZE else None
                start = perf_counter()
                if gaze is not None and before is not None:
                    gaze.move(estimate_flow(before, grey, size, gaze.boxes))
                guide = None if gaze is None else gaze.guide()
                spent = perf_counter() - start
                answer = ask(asker, sequence.query, budget, way, guide)
                start = perf_counter()
                if gaze is not None:
                    gaze.learn(answer.regions, asker.detail.canvas)
                spent += perf_counter() - start
                if box is not None:
                    seen = recall(box, asker.detail.selection, asker.detail.plan)
                    best = answer.regions[0].score if answer.regions else 0.0
                    pointed = points(box, answer.regions)
                    rows.append(Row(seed, n, way, budget, seen, pointed, best, answer.patches_used, spent * 1e3))
        before = grey
        bar.update()
    return rows


def summarise(rows: list) -> list:
    """{way, budget, recall, later, pointed, patches, gaze_ms}, means; `later`: recall from the fourth frame on."""
    entries = []
    for way, budget in dict.fromkeys((row.way, row.budget) for row in rows):
        mine = [row for row in rows if (row.way, row.budget) == (way, budget)]
        later = [row.recall for row in mine if row.frame >= 3]
        entries.append({
            "way": way, "budget": budget, "recall": float(np.mean([r.recall for r in mine])),
            "later": float(np.mean(later)) if later else None,
            "pointed": float(np.mean([r.pointed for r in mine])), "patches": float(np.mean([r.patches for r in mine])),
            "gaze_ms": float(np.median([r.gaze_ms for r in mine])), "answers": len(mine),
        })  # fmt: skip
    return entries


def patches_for(wanted: float, entries: list, key: str = "recall") -> float | None:
    """Patches a frame at which a way's curve reaches a recall, between its budgets by the logarithm; None where it never does."""
    curve = sorted((e["patches"], e[key]) for e in entries)
    if curve[0][1] >= wanted:
        return curve[0][0]  # with the fewest that were tried, or less
    for (p1, r1), (p2, r2) in zip(curve, curve[1:], strict=False):
        if r1 < wanted <= r2:
            return float(np.exp(np.log(p1) + (wanted - r1) / (r2 - r1) * np.log(p2 / p1)))
    return None


def savings(entries: list, key: str = "recall") -> list:
    """For each budget of each way and each way after it: {against, way, budget, recall, needed: its patches for that recall, part}."""
    found = []
    for n, against in enumerate(WAYS):
        for way in WAYS[n + 1 :]:
            mine = [e for e in entries if e["way"] == way]
            for entry in [e for e in entries if e["way"] == against and e[key] is not None]:
                needed = patches_for(entry[key], mine, key)
                part = None if needed is None else needed / entry["patches"]
                found.append({"against": against, "way": way, "budget": entry["budget"], key: entry[key], "needed": needed, "part": part})
    return found


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gaze", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, help="default: the bundle that the project ships")
    parser.add_argument("--backend", default="onnxruntime:cpu")
    parser.add_argument("--sequences", type=int, default=10)
    parser.add_argument("--frames", type=int, default=12, help="of each sequence")
    parser.add_argument("--first", type=int, default=TUNED, help=f"seed of the first sequence; below {TUNED} they were used for tuning")
    parser.add_argument("--budgets", type=int, nargs="+", default=list(BUDGETS), help="patches a frame")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a smoke run: one sequence of two frames at two budgets")
    a = parser.parse_args(argv)

    def run():
        import cv2

        from ps3_training.data import catalogue, words

        from .sequences import make_sequence

        cv2.setNumThreads(a.threads)
        count, length, budgets = (1, 2, (128, 64)) if a.quick else (a.sequences, a.frames, tuple(a.budgets))
        objects = catalogue.load() or words.signs()
        asker, rows, about = Asker(a.bundle or default_bundle(), a.backend, a.threads), [], []
        with tqdm(total=count * length, desc="frames") as bar:
            for seed in range(a.first, a.first + count):
                sequence = make_sequence(objects, seed, length)
                bar.set_postfix_str(sequence.query)
                mine = run_sequence(asker, sequence, seed, budgets, bar)
                rows += mine
                least = {way: np.mean([r.recall for r in mine if r.way == way and r.budget == min(budgets)]) for way in WAYS}
                about.append({
                    "seed": seed, "query": sequence.query, "place": sequence.place, "moves": sequence.moves, "side": round(sequence.side),
                    "recall_at_least_budget": {way: round(float(value), 3) for way, value in least.items()},
                })  # fmt: skip
        entries = summarise(rows)
        keys = ("way", "budget", "recall", "later", "pointed", "gaze_ms")
        print_table(["way", "patches a frame", "recall", "from frame 4", "pointed", "gaze ms"], [[e[key] for key in keys] for e in entries])
        saved = {key: savings(entries, key) for key in ("recall", "later")}
        for key, rows_of in saved.items():
            keys = ("against", "budget", key, "way", "needed", "part")
            head = ["against", "patches", "recall" if key == "recall" else "from frame 4", "way", "patches for it", "part"]
            print_table(head, [[s[key] for key in keys] for s in rows_of])
        here = machine() | {"threads": a.threads, "model": asker.encoder.bundle.manifest.model_name, "seeds": [a.first, a.first + count]}

        def draw(axes):
            for way in WAYS:
                mine = [e for e in entries if e["way"] == way]
                axes.plot([e["patches"] for e in mine], [e["recall"] for e in mine], marker="o", label=way)
            axes.set_xscale("log", base=2)
            axes.set_ylim(0, 1)
            axes.set_xlabel("patches a frame")
            axes.set_ylabel("recall of the thing's finest patches")
            axes.legend()

        print(write_json("gaze", {"machine": here, "ways": entries, "savings": saved, "sequences": about}))
        print(save_plot("gaze", draw) or "no plot: matplotlib is not installed")

    return exit_code("gaze", run)


if __name__ == "__main__":
    sys.exit(main())
