"""Shares and means with 95% intervals, and the counts behind precision and recall.

Questions of one frame share its scene, so whatever is no plain share of independent answers gets its interval by drawing frames anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

Z = 1.959964  # two-sided 95%
DRAWS = 1000


def wilson(right: float, count: float, z: float = Z) -> tuple[float, float]:
    """Interval of a share (Wilson 1927): never outside [0, 1], and sensible at 0 and at all. (0, 1) where count is 0."""
    if count <= 0:
        return 0.0, 1.0
    share, spread = right / count, z * z / count
    centre = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def share(values: Sequence[bool]) -> dict:
    """{"value", "low", "high", "count"} of yes / no answers; value is None where there are none."""
    values = np.asarray(values, bool)
    low, high = wilson(values.sum(), values.size)
    return {"value": float(values.mean()) if values.size else None, "low": low, "high": high, "count": int(values.size)}


def over_frames(
    frames: Sequence[str], columns: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], draws: int = DRAWS, seed: int = 0
) -> dict:
    """{"value", "low", "high", "count"} of a statistic of sums, by bootstrap over frames.

    frames: the frame of each row; columns: float [rows, k]; statistic: sums [draws, k] -> values [draws]. count: rows.
    """
    columns = np.asarray(columns, np.float64).reshape(len(frames), -1)
    if not len(frames):
        return {"value": None, "low": 0.0, "high": 1.0, "count": 0}
    names, of = np.unique(np.asarray(frames), return_inverse=True)
    sums = np.zeros((len(names), columns.shape[1]))
    np.add.at(sums, of, columns)
    value = float(statistic(sums.sum(axis=0)[None])[0])
    random = np.random.default_rng(seed)
    times = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    low, high = np.percentile(statistic(times @ sums), [2.5, 97.5])
    return {"value": value, "low": float(low), "high": float(high), "count": len(frames)}


def mean(frames: Sequence[str], values: Sequence[float]) -> dict:
    """The mean over rows, its interval by drawing frames anew."""
    values = np.asarray(values, np.float64)
    return over_frames(frames, np.stack([values, np.ones(len(values))], axis=1), lambda sums: sums[:, 0] / np.maximum(sums[:, 1], 1))


def found_columns(rows: Sequence[dict], threshold: float | None = None, pointing: bool = True) -> np.ndarray:
    """float [rows, 3]: said and right, said, there. threshold: in place of the row's own `found`.

    pointing True: `found` is right only where the region lies on the thing; False: where the thing is in the frame at all.
    """
    said = np.array([row["score"] >= threshold if threshold is not None else row["found"] for row in rows], bool)
    present = np.array([row["present"] for row in rows], bool)
    right = np.array([row["present"] and (row["pointed"] or not pointing) for row in rows], bool)
    return np.stack([said & right, said, present], axis=1).astype(np.float64)


def precision(sums: np.ndarray) -> np.ndarray:
    return sums[:, 0] / np.maximum(sums[:, 1], 1)


def recall(sums: np.ndarray) -> np.ndarray:
    return sums[:, 0] / np.maximum(sums[:, 2], 1)


def f1(sums: np.ndarray) -> np.ndarray:
    """2 right / (said + there), which is the harmonic mean of precision and recall."""
    return 2 * sums[:, 0] / np.maximum(sums[:, 1] + sums[:, 2], 1)


def found_figures(rows: Sequence[dict], threshold: float | None = None, pointing: bool = True) -> dict:
    """{"precision", "recall", "f1"}, each with its interval over frames. rows: dicts with frame, present, pointed, score, found."""
    columns, frames = found_columns(rows, threshold, pointing), [row["frame"] for row in rows]
    return {name: over_frames(frames, columns, statistic) for name, statistic in (("precision", precision), ("recall", recall), ("f1", f1))}


def found_curve(rows: Sequence[dict], pointing: bool = True) -> dict[str, np.ndarray]:
    """{"threshold", "precision", "recall", "f1"}: float [n] each, for every score as the threshold, lowest first."""
    scores = np.array([row["score"] for row in rows])
    order = np.argsort(-scores, kind="stable")
    columns = found_columns(rows, -1.0, pointing)
    sums = np.cumsum(columns[order], axis=0)
    sums[:, 2] = columns[:, 2].sum()
    last = np.append(np.diff(scores[order]) != 0, True)  # equal scores are said together
    sums, thresholds = sums[last][::-1], scores[order][last][::-1]
    return {"threshold": thresholds, "precision": precision(sums), "recall": recall(sums), "f1": f1(sums)}


def best_threshold(rows: Sequence[dict], pointing: bool = True) -> float:
    """The threshold with the best F1 over these rows, halfway down to the next lower score."""
    curve = found_curve(rows, pointing)
    best = int(curve["f1"].argmax())
    score = curve["threshold"][best]
    below = curve["threshold"][best - 1] if best else score * 0.9
    return float((score + below) / 2)


def separation(rows: Sequence[dict]) -> float | None:
    """Area under the ROC curve: how often a question for what is there scores above one for what is not; ties count half."""
    there = np.array([row["score"] for row in rows if row["present"]])
    not_there = np.array([row["score"] for row in rows if not row["present"]])
    if not len(there) or not len(not_there):
        return None
    ordered = np.sort(not_there)
    below, up_to = np.searchsorted(ordered, there, "left"), np.searchsorted(ordered, there, "right")
    return float((below + up_to).mean() / 2 / len(ordered))


def scores_and_truth(rows: list[dict]) -> tuple[np.ndarray, np.ndarray]:
    """Scores float64 [n], and whether each was right: the thing is in the frame and the region lies on it, bool [n]."""
    return np.array([row["score"] for row in rows], np.float64), np.array([row["present"] and row["pointed"] for row in rows], bool)
