"""Rows of a split -> figures, each with its 95% interval: {"value", "low", "high", "count"}."""

from __future__ import annotations

import numpy as np

from ps3_ros.encoder import Encoder

from .calibration import reliability
from .measure import Plan, flat
from .retrieval import retrieval, text_embeddings
from .statistics import best_threshold, found_curve, found_figures, mean, scores_and_truth, separation, share

SIZES = (0, 32, 48, 64, 96, 192, 10**6)  # px, of the longer side
SMALL = (24, 64)  # px: the sizes that the project's target names
CURVE_POINTS = 60  # of the precision / recall curve, for the plot


def summarise(rows: list[dict], plan: Plan, encoder: Encoder | None = None) -> dict:
    """All figures of a split. encoder: for retrieval among its captions; None leaves that out."""
    base = flat(rows)
    present = [row for row in base if row["present"]]
    out = {
        "frames": len(rows),
        "questions": len(base),
        "present": len(present),
        **answered(base),
        "choice": share([row["choice"] for row in present if "choice" in row]),
        "recall": recall_figures(present),
        "groups": group_figures(present),
        "reliability": reliability(*scores_and_truth(base)),
        "curve": {"points at it": _thinned(found_curve(base)), "in the frame": _thinned(found_curve(base, pointing=False))},
        "best_threshold": best_threshold(base),
    }
    out["best"] = {name: figure["value"] for name, figure in found_figures(base, out["best_threshold"]).items()}
    study = [row for row in rows if row["study"]]
    out["study_frames"] = len(study)
    out["conditions"] = {}
    for condition in plan.conditions:
        asked = flat(study, condition.name)
        if asked:
            out["conditions"][condition.name] = {
                **answered(asked),
                "looks": condition.looks,
                "scales": condition.scales,
                "patches": float(np.mean([row["patches"] for row in asked])),
            }
    if encoder is not None and present:
        captions = {row["text"]: row["asks"] for row in present}
        vectors = text_embeddings(encoder, list(captions))
        regions = np.array([row["embedding"] for row in present], np.float32)
        out["retrieval"] = retrieval(regions, [row["means"] for row in present], vectors, list(captions.values()))
    return out


def answered(rows: list[dict]) -> dict:
    """Figures of the answers to some questions: pointing, IoU, found / not found (with and without the place), separation."""
    present = [row for row in rows if row["present"]]
    frames = [row["frame"] for row in present]
    return {
        "pointing": share([row["pointed"] for row in present]),
        "iou": mean(frames, [row["iou"] for row in present]),
        "found": found_figures(rows),
        "present_or_not": found_figures(rows, pointing=False),
        "separation": separation(rows),
    }


def recall_figures(present: list[dict]) -> dict:
    """{budget: {way: figure}} over the captioned boxes."""
    if not present:
        return {}
    frames = [row["frame"] for row in present]
    return {
        budget: {way: mean(frames, [row["recall"][budget][way] for row in present]) for way in ways}
        for budget, ways in present[0]["recall"].items()
    }


def group_figures(present: list[dict]) -> dict:
    """Figures by object size, and apart for objects that training did not show. Groups without a question are left out."""
    groups = {size_name(low, high): _sized(present, low, high) for low, high in zip(SIZES, SIZES[1:], strict=False)}
    groups[size_name(*SMALL)] = _sized(present, *SMALL)
    groups["trained on"] = [row for row in present if row["seen"] is True]
    groups["never trained on"] = [row for row in present if row["seen"] is False]
    out = {}
    for name, rows in groups.items():
        if rows:
            frames = [row["frame"] for row in rows]
            out[name] = {
                "pointing": share([row["pointed"] for row in rows]),
                "iou": mean(frames, [row["iou"] for row in rows]),
                "found": share([row["found"] for row in rows]),
                "recall": mean(frames, [row["recall"]["one look"]["top-down"] for row in rows]),
                "choice": share([row["choice"] for row in rows if "choice" in row]),
            }
    return out


def size_name(low: int, high: int) -> str:
    if not low:
        return f"under {high} px"
    return f"{low} px and more" if high >= SIZES[-1] else f"{low}-{high} px"


def _sized(rows: list[dict], low: int, high: int) -> list[dict]:
    return [row for row in rows if low <= row["size"] < high]


def _thinned(curve: dict[str, np.ndarray]) -> dict[str, list]:
    """A curve with at most CURVE_POINTS points, for JSON."""
    count = len(curve["threshold"])
    keep = np.unique(np.linspace(0, count - 1, min(count, CURVE_POINTS)).astype(np.int64))
    return {name: [round(float(v), 5) for v in values[keep]] for name, values in curve.items()}
