"""Scores that mean what they say: a score of 0.7 is right seven times out of ten.

Platt's fit (1999): score = sigmoid(a * logit + b). The logit is scale * cosine + bias already, so the calibrated score is the same formula
with another scale and bias, and nothing on the robot changes but two numbers of the manifest.

A question's level is a third column of the fit: some texts match whatever was pooled ("compass", "rock"), others nothing. The level is the
text's product with the mean embedding of regions of frames in which the thing asked for is not; what the fit takes off for it goes into
the manifest as one vector, `background` (as z-norm does in speaker verification; docs/notes/regions.md).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from ps3_ros.encoder import Encoder
from ps3_ros.errors import Ps3Error
from ps3_ros.selection import sigmoid

from .statistics import best_threshold, f1, found_columns, found_figures, scores_and_truth, share

BINS = 10
RELEVANCE_CANDIDATES = (0.01, 0.03, 0.05, 0.1)
LEAST = 20  # questions of each outcome: fewer say nothing
SMALLEST = 1e-6  # scores are rounded to six places
SURE = 3.84 / 2  # log-likelihood that one more number must gain: half of the 95% quantile of chi squared
DIGITS = 5  # of the background: a cosine to 1e-5


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


def platt(logits: np.ndarray, right: np.ndarray, levels: np.ndarray | None = None, steps: int = 100) -> tuple[float, ...]:
    """(a, b) of sigmoid(a * logit + b), by Newton's method on Platt's smoothed targets. Raises Ps3Error where there is too little to fit.

    Smoothed: (n+ + 1) / (n+ + 2) for the right ones and 1 / (n- + 2) for the others, so that a set that separates has an end too.
    levels: a second column beside the logits; then (a, b, c) of sigmoid(a * logit + b + c * level).
    """
    logits, right = np.asarray(logits, np.float64), np.asarray(right, bool)
    yes, no = int(right.sum()), int((~right).sum())
    if min(yes, no) < LEAST:
        raise Ps3Error(f"calibration has {yes} right and {no} wrong answers where at least {LEAST} of each are needed; give more frames")
    target = np.where(right, (yes + 1) / (yes + 2), 1 / (no + 2))
    columns = [logits, np.ones(len(logits))] + ([] if levels is None else [np.asarray(levels, np.float64)])
    design = np.stack(columns, axis=1)
    weights = np.array([1.0, 0.0, 0.0])[: len(columns)]

    def loss(w):
        z = design @ w
        return float(np.sum(np.logaddexp(0, z) - target * z))

    here = loss(weights)
    for _ in range(steps):
        p = sigmoid(design @ weights)
        gradient = design.T @ (p - target)
        hessian = design.T @ (design * (p * (1 - p))[:, None]) + 1e-9 * np.eye(len(columns))
        step, size = np.linalg.solve(hessian, gradient), 1.0
        while size > 1e-6 and loss(weights - size * step) > here:
            size /= 2
        weights = weights - size * step
        moved, here = here - loss(weights), loss(weights)
        if moved < 1e-9:
            break
    if weights[0] <= 0:
        raise Ps3Error(f"a higher score is no likelier to be right here (slope {weights[0]:.3g}); train the model before calibrating it")
    return tuple(float(weight) for weight in weights)


def calibrated(scale: float, bias: float, a: float, b: float) -> tuple[float, float]:
    """Scale and bias of a * (scale * cosine + bias) + b."""
    return a * scale, a * bias + b


def background_of(rows: list[dict]) -> np.ndarray | None:
    """Mean embedding [E] of what was pooled for questions whose thing is not in the frame; None without such rows.

    rows: measure.flat of a Plan with answers_only.
    """
    pooled = [row["pooled"] for row in rows if not row["present"] and "pooled" in row]
    return np.mean(pooled, axis=0, dtype=np.float64) if pooled else None


def fit(scores: np.ndarray, right: np.ndarray, levels: np.ndarray | None) -> tuple[float, float, float]:
    """(a, b, c) of sigmoid(a * logit(score) + b + c * level). c is 0 where a level speaks for an answer, or too few answers tell that it
    speaks against (a likelihood-ratio test at 5%).

    Raises Ps3Error as platt does.
    """
    without = *platt(logit(scores), right), 0.0
    if levels is None:
        return without
    a, b, c = platt(logit(scores), right, levels)
    gain = likelihood(fitted(scores, levels, a, b, c), right) - likelihood(fitted(scores, levels, *without), right)
    return (a, b, c) if c < 0 and gain > SURE else without


def likelihood(scores: np.ndarray, right: np.ndarray) -> float:
    """Log-likelihood of outcomes, summed."""
    scores = np.clip(scores, SMALLEST, 1 - SMALLEST)
    return float(np.log(np.where(right, scores, 1 - scores)).sum())


def fitted(scores: np.ndarray, levels: np.ndarray | None, a: float, b: float, c: float) -> np.ndarray:
    return sigmoid(a * logit(scores) + b + (0 if levels is None else c * np.asarray(levels, np.float64)))


def presence(scores: np.ndarray, rows: list[dict]) -> np.ndarray:
    """How likely the thing is in the frame at all, wherever the best region lies: Platt's fit of calibrated scores [n] to that, [n].

    Raises Ps3Error as platt does.
    """
    return fitted(scores, None, *platt(logit(scores), np.array([row["present"] for row in rows])), 0.0)


def found_threshold(scores: np.ndarray, present: np.ndarray, there: int) -> float:
    """The threshold with the best F1 of found that calibrated scores [n] promise, `there` of whose questions ask for what is there.

    Of both readings of `found`, which count the same: that the region is the thing (its chance is the score), and that the thing is in the
    frame (present [n]). For one reading alone it would be half of its F1 (Lipton, Elkan and Narayanaswamy 2014): where a number is the
    chance of being right, one more "found" gains as long as twice that is above the F1 so far. The best threshold of a few hundred answers
    scatters far more and is no better on others.
    """
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    ordered, both = np.append(scores[order], 0.0), scores[order] + present[order]
    best = int((np.cumsum(both) / (np.arange(1, len(order) + 1) + there)).argmax())
    return float(ordered[best : best + 2].mean())


def held_out(rows: list[dict], scores: np.ndarray, right: np.ndarray, levels: np.ndarray | None = None) -> dict[str, float] | None:
    """Figures where each half of the frames is judged by the fit of the other; None where that is too little.

    {"before", "after"}: expected calibration errors; {"f1 before", "f1 after"}: of found, by the other half's threshold.
    """
    names = {name: n for n, name in enumerate(sorted({row["frame"] for row in rows}))}
    even = np.array([names[row["frame"]] % 2 == 0 for row in rows])
    after, said = np.empty(len(scores)), {"before": np.zeros(3), "after": np.zeros(3)}
    try:
        for half in (even, ~even):
            values = fit(scores[~half], right[~half], None if levels is None else levels[~half])
            everywhere = fitted(scores, levels, *values)
            after[half] = everywhere[half]
            for name, by in (("before", scores), ("after", everywhere)):
                given = [{**row, "score": float(score)} for row, score in zip(rows, by, strict=True)]
                here, there = ([row for row, is_in in zip(given, part, strict=True) if is_in] for part in (half, ~half))
                if name == "after":
                    threshold = found_threshold(by[~half], presence(by[~half], there), sum(row["present"] for row in there))
                else:
                    threshold = best_threshold(there)
                said[name] += found_columns(here, threshold).sum(axis=0)
    except Ps3Error:
        return None
    errors = {"before": reliability(scores, right)["error"], "after": reliability(after, right)["error"]}
    return errors | {f"f1 {name}": float(f1(sums[None])[0]) for name, sums in said.items()}


def choose(encoder: Encoder, rows: dict[float, list[dict]]) -> tuple[dict, dict]:
    """(values for thresholds.json, what they were chosen by). Leaves the encoder with them.

    rows: {relevance_threshold: rows of all calibration questions (measure.flat), answered without a background}. The threshold is chosen by
    pointing, the smallest of equals; then scale, bias and background by Platt's fit; then found_threshold by the F1 that those scores
    promise.
    """
    pointing = {candidate: share([row["pointed"] for row in asked if row["present"]])["value"] or 0.0 for candidate, asked in rows.items()}
    best = max(sorted(pointing), key=pointing.get)
    asked = rows[best]
    scores, right = scores_and_truth(asked)
    background = background_of(asked)
    levels = None if background is None else np.array([row["text_vector"] @ background for row in asked])
    a, b, c = fit(scores, right, levels)
    scale, bias = calibrated(encoder.settings.logit_scale, encoder.settings.logit_bias, a, b)
    after = fitted(scores, levels, a, b, c)
    held = held_out(asked, scores, right, levels)
    asked = [{**row, "score": float(score)} for row, score in zip(asked, after, strict=True)]
    threshold = found_threshold(after, presence(after, asked), sum(row["present"] for row in asked))
    values = {"found_threshold": threshold, "relevance_threshold": best, "logit_scale": scale, "logit_bias": bias}
    # The robot takes it off the cosine, before the scale: scale * -(text @ background) = c * level.
    values["background"] = tuple(round(float(v), DIGITS) for v in -c / scale * background) if c else ()
    about = {
        "questions": len(asked),
        "right": int(right.sum()),
        "slope": a,
        "shift": b,
        "level": -c / scale,
        "pointing": {str(candidate): value for candidate, value in pointing.items()},
        "before": reliability(scores, right),
        "after": reliability(after, right),
        "held_out": held,
        "found": {name: figure["value"] for name, figure in found_figures(asked, threshold).items()},
        "present_or_not": {name: figure["value"] for name, figure in found_figures(asked, threshold, pointing=False).items()},
    }
    encoder.settings = dataclasses.replace(encoder.settings, **values)
    return values, about
