"""Scores that mean what they say: a score of 0.7 is right seven times out of ten.

Platt's fit (1999): score = sigmoid(a * logit + b). The logit is scale * cosine + bias already, so the calibrated score is the same formula
with another scale and bias, and nothing on the robot changes but two numbers of the manifest.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ps3_ros.encoder import Encoder
from ps3_ros.errors import Ps3Error
from ps3_ros.selection import sigmoid

from .statistics import best_threshold, found_figures, scores_and_truth, share

BINS = 10
RELEVANCE_CANDIDATES = (0.01, 0.03, 0.05, 0.1)
LEAST = 20  # questions of each outcome: fewer say nothing
SMALLEST = 1e-6  # scores are rounded to six places


def reliability(scores: np.ndarray, right: np.ndarray, bins: int = BINS) -> dict:
    """{"error", "bins": [{"score", "right", "count"}]}: mean score and share of right ones in bins of equal width.

    error: expected calibration error, the bins' mean |score - share right|, weighted by their counts.
    """
    scores, right = np.asarray(scores, np.float64), np.asarray(right, bool)
    place = np.minimum((scores * bins).astype(np.int64), bins - 1)
    found = []
    for number in range(bins):
        here = place == number
        if here.any():
            found.append({"score": float(scores[here].mean()), "right": float(right[here].mean()), "count": int(here.sum())})
    error = sum(entry["count"] * abs(entry["score"] - entry["right"]) for entry in found) / max(len(scores), 1)
    return {"error": float(error), "bins": found}


def logit(scores: np.ndarray) -> np.ndarray:
    scores = np.clip(np.asarray(scores, np.float64), SMALLEST, 1 - SMALLEST)
    return np.log(scores / (1 - scores))


def platt(logits: np.ndarray, right: np.ndarray, steps: int = 100) -> tuple[float, float]:
    """(a, b) of sigmoid(a * logit + b), by Newton's method on Platt's smoothed targets. Raises Ps3Error where there is too little to fit.

    Smoothed: (n+ + 1) / (n+ + 2) for the right ones and 1 / (n- + 2) for the others, so that a set that separates has an end too.
    """
    logits, right = np.asarray(logits, np.float64), np.asarray(right, bool)
    yes, no = int(right.sum()), int((~right).sum())
    if min(yes, no) < LEAST:
        raise Ps3Error(f"calibration has {yes} right and {no} wrong answers where at least {LEAST} of each are needed; give more frames")
    target = np.where(right, (yes + 1) / (yes + 2), 1 / (no + 2))
    design = np.stack([logits, np.ones(len(logits))], axis=1)
    weights = np.array([1.0, 0.0])

    def loss(w):
        z = design @ w
        return float(np.sum(np.logaddexp(0, z) - target * z))

    here = loss(weights)
    for _ in range(steps):
        p = sigmoid(design @ weights)
        gradient = design.T @ (p - target)
        hessian = design.T @ (design * (p * (1 - p))[:, None]) + 1e-9 * np.eye(2)
        step, size = np.linalg.solve(hessian, gradient), 1.0
        while size > 1e-6 and loss(weights - size * step) > here:
            size /= 2
        weights = weights - size * step
        moved, here = here - loss(weights), loss(weights)
        if moved < 1e-9:
            break
    if weights[0] <= 0:
        raise Ps3Error(f"a higher score is no likelier to be right here (slope {weights[0]:.3g}); train the model before calibrating it")
    return float(weights[0]), float(weights[1])


def calibrated(scale: float, bias: float, a: float, b: float) -> tuple[float, float]:
    """Scale and bias of a * (scale * cosine + bias) + b."""
    return a * scale, a * bias + b


def held_out_error(frames: list[str], scores: np.ndarray, right: np.ndarray) -> dict[str, float] | None:
    """{"before", "after"}: expected calibration errors where each half of the frames is judged by the fit of the other; None: too few."""
    names = sorted(set(frames))
    even = np.array([names.index(frame) % 2 == 0 for frame in frames])
    fitted = np.empty(len(scores))
    try:
        for half in (even, ~even):
            a, b = platt(logit(scores[~half]), right[~half])
            fitted[half] = sigmoid(a * logit(scores[half]) + b)
    except Ps3Error:
        return None
    return {"before": reliability(scores, right)["error"], "after": reliability(fitted, right)["error"]}


def choose(encoder: Encoder, rows: dict[float, list[dict]]) -> tuple[dict, dict]:
    """(values for thresholds.json, what they were chosen by). Leaves the encoder with them.

    rows: {relevance_threshold: rows of all calibration questions (measure.flat)}. The threshold is chosen by pointing, the smallest
    of equals; then scale and bias by Platt's fit; then found_threshold by F1, where `found` counts only if it points at the thing.
    """
    pointing = {candidate: share([row["pointed"] for row in asked if row["present"]])["value"] or 0.0 for candidate, asked in rows.items()}
    best = max(sorted(pointing), key=pointing.get)
    asked = rows[best]
    scores, right = scores_and_truth(asked)
    a, b = platt(logit(scores), right)
    scale, bias = calibrated(encoder.settings.logit_scale, encoder.settings.logit_bias, a, b)
    fitted = sigmoid(a * logit(scores) + b)
    asked = [{**row, "score": float(score)} for row, score in zip(asked, fitted, strict=True)]
    threshold = best_threshold(asked)
    values = {"found_threshold": threshold, "relevance_threshold": best, "logit_scale": scale, "logit_bias": bias}
    about = {
        "questions": len(asked),
        "right": int(right.sum()),
        "slope": a,
        "shift": b,
        "pointing": {str(candidate): value for candidate, value in pointing.items()},
        "before": reliability(scores, right),
        "after": reliability(fitted, right),
        "held_out_error": held_out_error([row["frame"] for row in asked], scores, right),
        "found": {name: figure["value"] for name, figure in found_figures(asked, threshold).items()},
        "present_or_not": {name: figure["value"] for name, figure in found_figures(asked, threshold, pointing=False).items()},
    }
    encoder.settings = dataclasses.replace(encoder.settings, **values)
    return values, about
