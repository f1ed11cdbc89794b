"""`python -m ps3_training.evaluate BUNDLE DATA [--limit N] [--out FOLDER]`: how well a bundle finds what is in held-out frames.

Everything goes through the robot's own code (ps3_ros.ask.Asker), so the figures are those of the product:
- selection recall: share of a box's patches, over all high-res scales, that are selected (paper table 7), for one look and for given
  shares of all patches, top-down (the caption's map), bottom-up (the prior's map) and with random cells;
- pointing: the best region's centre lies in a box that the caption asks for; IoU of that region with the box;
- found / not found: precision, recall and F1 of `found`, where half of the questions are for things that are not in the frame. A `found`
  whose region lies elsewhere counts as a wrong one.
All of it also by object size, the longer side of the box in pixels of the frame.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from ps3_ros.ask import Asker
from ps3_ros.exits import exit_code
from ps3_ros.frame import Frame, FramePlan
from ps3_ros.selection import select

from .cache import held_out, overlap
from .loop import TrainingError

SIZES = (0, 32, 48, 64, 96, 192, 10**6)  # px; buckets of object size
SHARES = (0.05, 0.2, 0.44)  # of all patches, besides one look; 0.44 is the paper's
RELEVANCE_CANDIDATES = (0.01, 0.03, 0.05, 0.1)


def evaluate(asker: Asker, samples, limit: int | None = None, seed: int = 0, recall_only: bool = False) -> list[dict]:
    """One row a question. samples: as ps3_training.data.shards.read_samples gives them; limit: frames.

    A row of a present thing has: present True, size px, recall {budget: {way: share}}, and from its answer score, pointed, iou, found, ms.
    One of an absent thing: present False, score, found. recall_only leaves the answers out.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for number, sample in enumerate(tqdm(samples, total=limit, unit="frame", mininterval=5)):
        if limit is not None and number >= limit:
            break
        frame = Frame(sample.pixels())
        asker.set_frame(frame)
        boxes = np.asarray(sample.box, np.float32)
        means = sample.extra.get("means") or [[name] for name in sample.extra.get("name", sample.text)]
        asks = sample.extra.get("asks") or sample.extra.get("name", sample.text)
        for place, (text, ask, box) in enumerate(zip(sample.text, asks, boxes, strict=True)):
            right = np.array([ask in meaning for meaning in means]) | (boxes == box).all(1)
            row = {"frame": sample.key, "query": text, "present": True, "size": float((box[2:] - box[:2]).max())}
            if "seen" in sample.extra:
                row["seen"] = bool(sample.extra["seen"][place])
            row["recall"] = recalls(asker, text, box, rng)
            if not recall_only:
                row.update(_answer(asker.ask(text), boxes[right]))
            rows.append(row)
        if not recall_only:
            for name in list(sample.extra.get("absent", []))[: len(boxes)]:
                answer = asker.ask(f"the {name}")
                rows.append(
                    {"frame": sample.key, "query": f"the {name}", "present": False, "score": answer.regions[0].score, "found": answer.found}
                )
    if not rows:
        raise TrainingError("there is no sample to evaluate; give a folder that ps3_training.data.make wrote")
    return rows


def _answer(answer, boxes: np.ndarray) -> dict:
    """What an answer is worth where any of `boxes` [n, 4] would be right."""
    best = np.asarray(answer.regions[0].box, np.float32)
    centre = (best[:2] + best[2:]) / 2
    inside = ((centre >= boxes[:, :2]) & (centre <= boxes[:, 2:])).all(1)
    shared = overlap(best[None], boxes)[0]
    area = np.prod(best[2:] - best[:2]) + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) - shared
    return {
        "score": answer.regions[0].score,
        "found": answer.found,
        "pointed": bool(inside.any()),
        "iou": float((shared / area).max()),
        "ms": answer.stage_ms["total"],
    }


def recalls(asker: Asker, text: str, box: np.ndarray, rng: np.random.Generator) -> dict[str, dict[str, float]]:
    """{budget: {"top_down", "bottom_up", "random": share of the box's patches that are selected}}."""
    encoder, glance = asker.encoder, asker._glance
    plan, settings = glance.plan, asker.settings
    maps = {
        "top_down": encoder.relevance(glance, encoder.text([text])),
        "bottom_up": encoder.saliency(glance),
        "random": rng.random((settings.grid, settings.grid), np.float32),
    }
    total = sum(grid.patches for grid in plan.grids)
    budgets = {"one look": settings.max_patches, **{f"{share:.0%}": int(share * total) for share in SHARES}}
    wanted = [patches_of(box, plan, s) for s in range(len(plan.grids))]
    found = {}
    for name, budget in budgets.items():
        found[name] = {}
        for way, relevance in maps.items():
            chosen = select(relevance, plan, budget)
            hits = sum(np.isin(want, have).sum() for want, have in zip(wanted, chosen.patches, strict=True))
            found[name][way] = float(hits / sum(map(len, wanted)))
    return found


def patches_of(box: np.ndarray, plan: FramePlan, s: int) -> np.ndarray:
    """Patches of high-res scale s that share area with a box: int64 [n]."""
    grid = plan.grids[s]
    high, wide = plan.height / grid.rows, plan.width / grid.cols
    rows = np.arange(int(box[1] // high), min(grid.rows, int(np.ceil(box[3] / high))))
    cols = np.arange(int(box[0] // wide), min(grid.cols, int(np.ceil(box[2] / wide))))
    return (rows[:, None] * grid.cols + cols[None]).ravel()


def found_figures(rows: list[dict], threshold: float | None = None) -> dict[str, float]:
    """Precision, recall and F1 of `found`; a right one must also point at the thing. threshold replaces the bundle's own."""
    said = [row for row in rows if (row["score"] >= threshold if threshold is not None else row["found"])]
    right = sum(row["present"] and row["pointed"] for row in said)
    present = sum(row["present"] for row in rows)
    precision, recall = right / max(len(said), 1), right / max(present, 1)
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / max(precision + recall, 1e-9)}


def best_threshold(rows: list[dict]) -> float:
    """The score from which on `found` has the best F1 over these rows."""
    scores = np.unique([row["score"] for row in rows])
    figures = [found_figures(rows, score)["f1"] for score in scores]
    best = int(np.argmax(figures))
    below = scores[best - 1] if best else scores[best] * 0.9
    return float((scores[best] + below) / 2)


def summary(rows: list[dict]) -> dict:
    """The rows' means, over all, by object size, and apart for objects that training never showed."""
    present = [row for row in rows if row["present"]]
    out = {"questions": len(rows), "present": len(present), "recall": {}, "groups": {}}
    for budget in present[0]["recall"]:
        out["recall"][budget] = {
            way: float(np.mean([row["recall"][budget][way] for row in present])) for way in present[0]["recall"][budget]
        }
    answered = "score" in present[0]
    if answered:
        out["found"] = found_figures(rows)
        out["best_threshold"] = best_threshold(rows)
        out["found_at_best_threshold"] = found_figures(rows, out["best_threshold"])
        out["pointing"], out["iou"] = (float(np.mean([row[key] for row in present])) for key in ("pointed", "iou"))
        out["median_ms"] = float(np.median([row["ms"] for row in present]))
    groups = {
        f"{low}-{high} px" if high < 10**6 else f"{low} px and more": [row for row in present if low <= row["size"] < high]
        for low, high in zip(SIZES, SIZES[1:], strict=False)
    }
    for name, seen in (("objects trained on", True), ("objects never trained on", False)):
        groups[name] = [row for row in present if row.get("seen") is seen]
    for name, group in groups.items():
        if group:
            out["groups"][name] = {"count": len(group), "recall": float(np.mean([row["recall"]["one look"]["top_down"] for row in group]))}
            if answered:
                out["groups"][name].update({key: float(np.mean([row[key] for row in group])) for key in ("pointed", "iou", "found")})
    return out


def table(figures: dict) -> str:
    """The summary as markdown."""
    lines = [
        f"{figures['questions']} questions, {figures['present']} of them for what is there",
        "",
        "| patches | top-down | bottom-up | random |",
        "|---|---|---|---|",
    ]
    for budget, ways in figures["recall"].items():
        lines.append(f"| {budget} | " + " | ".join(f"{100 * ways[way]:.1f}%" for way in ("top_down", "bottom_up", "random")) + " |")
    answered = "found" in figures
    lines += [
        "",
        "| objects | count | recall, one look |" + (" pointing | IoU | found |" if answered else ""),
        "|---|---|---|" + ("---|---|---|" if answered else ""),
    ]
    for name, group in figures["groups"].items():
        end = f" {100 * group['pointed']:.1f}% | {group['iou']:.2f} | {100 * group['found']:.1f}% |" if answered else ""
        lines.append(f"| {name} | {group['count']} | {100 * group['recall']:.1f}% |" + end)
    if answered:
        lines += [
            "",
            f"Pointing {100 * figures['pointing']:.1f}%, IoU {figures['iou']:.2f}; {figures['median_ms']:.0f} ms a question (median).",
            f"Found: {_said(figures['found'])}; at the threshold that is best here, {figures['best_threshold']:.4f}: "
            f"{_said(figures['found_at_best_threshold'])}.",
        ]
    return "\n".join(lines)


def _said(figures: dict[str, float]) -> str:
    return f"precision {100 * figures['precision']:.1f}%, recall {100 * figures['recall']:.1f}%, F1 {figures['f1']:.3f}"


def calibrate(asker: Asker, samples: list) -> dict[str, float]:
    """found_threshold and relevance_threshold that do best on `samples`: relevance by pointing accuracy, then found by F1.

    Sets both on the asker. samples must not be those the figures are reported on, nor those it was trained on.
    """
    tried = {}
    for candidate in RELEVANCE_CANDIDATES:
        asker.encoder.settings = dataclasses.replace(asker.encoder.settings, relevance_threshold=candidate)
        rows = evaluate(asker, samples)
        tried[candidate] = (summary(rows)["pointing"], rows)
    best = max(tried, key=lambda candidate: tried[candidate][0])
    threshold = best_threshold(tried[best][1])
    asker.encoder.settings = dataclasses.replace(asker.encoder.settings, relevance_threshold=best, found_threshold=threshold)
    return {"found_threshold": threshold, "relevance_threshold": best, "pointing": {str(c): pointing for c, (pointing, _) in tried.items()}}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m ps3_training.evaluate", description="How well a bundle finds what is in held-out frames."
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path, help="folder with images/ and text_boxes/ shards")
    parser.add_argument("--limit", type=int, help="frames (default: all)")
    parser.add_argument("--skip", type=int, default=0, help="frames left out at the start")
    parser.add_argument("--out", type=Path, help="folder for evaluation.json and evaluation.md")
    parser.add_argument("--held-out-share", type=float, metavar="X", help="only the frames that training with held_out_share X left out")
    parser.add_argument("--calibrate", action="store_true", help="choose found_threshold and relevance_threshold on these frames instead")
    parser.add_argument("--recall-only", action="store_true", help="selection recall alone: no looks, many times faster")
    parser.add_argument("--backend", default="onnxruntime:cpu")
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args(arguments)
    return exit_code("error", lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    from ps3_training.data.shards import read_samples

    cv2.setNumThreads(1)
    asker = Asker(options.bundle, backend=options.backend, threads=options.threads)
    share = options.held_out_share
    samples = (
        sample
        for place, sample in enumerate(read_samples(options.data, on_broken="skip"))
        if place >= options.skip and (share is None or held_out(sample.key, share))
    )
    if options.calibrate:
        chosen = calibrate(asker, [sample for sample, _ in zip(samples, range(options.limit or 20), strict=False)])
        print(json.dumps(chosen, indent=1))
        return 0
    rows = evaluate(asker, samples, options.limit, recall_only=options.recall_only)
    figures = summary(rows)
    print(table(figures))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        for name, text in (
            ("evaluation.json", json.dumps({**figures, "rows": rows}, indent=1)),
            ("evaluation.md", table(figures) + "\n"),
        ):
            part = options.out / f"{name}.part"
            part.write_text(text)
            os.replace(part, options.out / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
