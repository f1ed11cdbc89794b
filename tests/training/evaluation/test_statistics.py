"""Each figure by hand on a few rows."""

import numpy as np
import pytest

from ps3_training.evaluation import statistics

ROWS = [
    {"frame": "a", "present": True, "score": 0.9, "found": True, "pointed": True},
    {"frame": "a", "present": True, "score": 0.8, "found": True, "pointed": False},  # says found, points elsewhere: a wrong one
    {"frame": "b", "present": True, "score": 0.3, "found": False, "pointed": True},
    {"frame": "b", "present": False, "score": 0.6, "found": True},
    {"frame": "b", "present": False, "score": 0.1, "found": False},
]


@pytest.mark.parametrize(
    "right, count, low, high",
    [
        (8, 10, 0.4902, 0.9433),  # Wilson's interval as tables have it
        (0, 10, 0.0, 0.2775),  # never below 0, and not empty
        (10, 10, 0.7225, 1.0),
        (0, 0, 0.0, 1.0),  # nothing is known
    ],
)
def test_wilson(right, count, low, high):
    assert statistics.wilson(right, count) == pytest.approx((low, high), abs=1e-4)


def test_share_and_mean():
    assert statistics.share([True, True, False, True])["value"] == 0.75
    assert statistics.share([])["value"] is None
    figure = statistics.mean(["a", "a", "b"], [1.0, 1.0, 0.0])
    assert figure["value"] == pytest.approx(2 / 3) and (figure["low"], figure["high"]) == (0.0, 1.0)  # all of a, all of b
    assert statistics.mean(["a", "b"], [0.5, 0.5])["high"] == 0.5


def test_found_counts_only_what_is_pointed_at():
    figures = statistics.found_figures(ROWS)
    assert {name: figure["value"] for name, figure in figures.items()} == pytest.approx({"precision": 1 / 3, "recall": 1 / 3, "f1": 1 / 3})
    anywhere = statistics.found_figures(ROWS, pointing=False)
    assert {name: figure["value"] for name, figure in anywhere.items()} == pytest.approx({"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3})
    lower = statistics.found_figures(ROWS, threshold=0.2)
    assert (lower["precision"]["value"], lower["recall"]["value"]) == pytest.approx((2 / 4, 2 / 3))


def test_the_curve_has_the_figures_of_every_threshold():
    curve = statistics.found_curve(ROWS)
    assert curve["threshold"].tolist() == [0.1, 0.3, 0.6, 0.8, 0.9]
    for threshold, f1 in zip(curve["threshold"], curve["f1"], strict=True):
        assert f1 == pytest.approx(statistics.found_figures(ROWS, threshold)["f1"]["value"])
    tied = statistics.found_curve([{**row, "score": 0.5} for row in ROWS])
    assert tied["threshold"].tolist() == [0.5] and tied["precision"].tolist() == [2 / 5]


def test_best_threshold_has_the_best_f1():
    best = statistics.best_threshold(ROWS)
    assert 0.1 < best < 0.3  # between the best score and the next lower one
    assert statistics.found_figures(ROWS, best)["f1"]["value"] == pytest.approx(4 / 7)


def test_separation():
    assert statistics.separation(ROWS) == pytest.approx((2 + 2 + 1) / 6)  # 0.9 and 0.8 beat both, 0.3 beats one
    assert statistics.separation([{**row, "score": 0.5} for row in ROWS]) == 0.5
    assert statistics.separation(ROWS[:3]) is None


def test_scores_and_truth():
    scores, right = statistics.scores_and_truth(ROWS)
    assert right.tolist() == [True, False, True, False, False] and np.allclose(scores, [0.9, 0.8, 0.3, 0.6, 0.1])
