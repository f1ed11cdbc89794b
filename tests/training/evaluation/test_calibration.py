"""Scores that mean what they say: the fit finds what made the data, and the robot's formula carries it."""

import numpy as np
import pytest

from ps3_ros.errors import Ps3Error
from ps3_ros.selection import sigmoid
from ps3_training.evaluation import calibration


def answers(scale, bias, count=4000, seed=0):
    """Cosines, and outcomes that a score of sigmoid(scale * cosine + bias) predicts exactly."""
    random = np.random.default_rng(seed)
    cosine = random.uniform(-0.2, 0.9, count)
    return cosine, random.random(count) < sigmoid(scale * cosine + bias)


def test_reliability_by_hand():
    curve = calibration.reliability([0.1, 0.12, 0.9, 1.0], [False, True, True, True])
    assert curve["bins"] == [
        {"score": pytest.approx(0.11), "right": 0.5, "count": 2},
        {"score": pytest.approx(0.95), "right": 1.0, "count": 2},
    ]
    assert curve["error"] == pytest.approx(0.5 * 0.39 + 0.5 * 0.05)


def test_platt_finds_the_scale_and_bias_that_made_the_answers():
    cosine, right = answers(8.0, -3.0)
    scores = sigmoid(20.0 * cosine - 5.0)  # a model far too sure of itself
    a, b = calibration.platt(calibration.logit(scores), right)
    scale, bias = calibration.calibrated(20.0, -5.0, a, b)
    assert (scale, bias) == pytest.approx((8.0, -3.0), rel=0.15)
    fitted = sigmoid(scale * cosine + bias)
    assert np.allclose(fitted, sigmoid(a * calibration.logit(scores) + b), atol=1e-4)
    assert calibration.reliability(scores, right)["error"] > 0.1 > 0.03 > calibration.reliability(fitted, right)["error"]


def test_platt_ends_where_scores_separate():
    a, b = calibration.platt(np.r_[np.full(30, -2.0), np.full(30, 3.0)], np.r_[np.zeros(30), np.ones(30)])
    assert sigmoid(3 * a + b) == pytest.approx(31 / 32, abs=1e-3) and sigmoid(-2 * a + b) == pytest.approx(1 / 32, abs=1e-3)


def test_too_little_to_fit_is_one_sentence():
    with pytest.raises(Ps3Error, match="3 right and 5 wrong"):
        calibration.platt(np.arange(8.0), np.arange(8) < 3)
    cosine, right = answers(8.0, -3.0)
    with pytest.raises(Ps3Error, match="no likelier to be right"):
        calibration.platt(-cosine, right)


def rows_of(right):
    """Rows of a question each, ten a frame; what is there is what was answered right."""
    return [{"frame": str(n // 10), "present": bool(r), "pointed": bool(r), "found": False} for n, r in enumerate(right)]


def test_held_out_figures_are_of_frames_that_the_fit_did_not_see():
    cosine, right = answers(8.0, -3.0)
    held = calibration.held_out(rows_of(right), sigmoid(20 * cosine - 5), right)
    assert held["after"] < 0.04 < held["before"]
    assert held["f1 after"] == pytest.approx(held["f1 before"], abs=0.01)  # one slope for all: nothing else is found
    assert calibration.held_out(rows_of(right[:30]), sigmoid(cosine[:30]), right[:30]) is None


def test_a_level_that_every_answer_rises_with_is_taken_off():
    cosine, right = answers(8.0, -3.0)
    levels = np.random.default_rng(1).uniform(0.1, 0.5, len(cosine))
    scores = sigmoid(8 * (cosine + levels) - 4)
    a, b, c = calibration.fit(scores, right, levels)
    assert -c / (8 * a) == pytest.approx(1.0, abs=0.15)  # as a share of the match: all of it
    held = calibration.held_out(rows_of(right), scores, right, levels)
    assert held["f1 after"] > held["f1 before"] + 0.02
    assert calibration.fit(scores, right, -levels)[2] == 0.0  # one that speaks for an answer is left out
    assert calibration.fit(sigmoid(8 * cosine - 4), right, levels)[2] == 0.0  # and one that says nothing


def test_the_threshold_is_half_of_the_f1_that_calibrated_scores_promise():
    cosine, right = answers(8.0, -3.0, count=20000)
    scores, there = sigmoid(8 * cosine - 3), int(right.sum()) + 2000  # as many are there and pointed at elsewhere
    threshold = calibration.found_threshold(scores, scores, there)
    f1 = {t: 2 * (right & (scores >= t)).sum() / ((scores >= t).sum() + there) for t in np.linspace(0.05, 0.95, 91)}
    assert threshold == pytest.approx(max(f1, key=f1.get), abs=0.05)
    assert threshold == pytest.approx(max(f1.values()) / 2, abs=0.01)
    assert calibration.found_threshold(np.array([1.0, 1.0, 0.0]), np.array([1.0, 1.0, 0.0]), 2) == 0.5  # certain: any threshold is right


def test_the_threshold_is_lower_where_things_are_in_the_frame_though_not_where_it_points():
    cosine, right = answers(8.0, -3.0, count=20000)
    scores = sigmoid(8 * cosine - 3)
    elsewhere = ~right & (np.random.default_rng(1).random(len(right)) < scores)
    rows = [{"present": bool(there)} for there in right | elsewhere]
    present = calibration.presence(scores, rows)
    assert present.mean() == pytest.approx((right | elsewhere).mean(), abs=0.01) and (present > scores - 0.02).all()
    there = int((right | elsewhere).sum())
    both, one = calibration.found_threshold(scores, present, there), calibration.found_threshold(scores, scores, there)
    assert both < one - 0.02
    for truth in (right, right | elsewhere):
        f1 = {t: 2 * (truth & (scores >= t)).sum() / ((scores >= t).sum() + there) for t in (both, *np.linspace(0.05, 0.9, 86))}
        assert f1[both] > max(f1.values()) - 0.03


def test_the_background_is_of_what_was_asked_for_and_is_not_there():
    rows = [{"present": True, "pooled": np.full(4, 9.0)}] + [{"present": False, "pooled": np.full(4, v)} for v in (1.0, 3.0)]
    assert calibration.background_of(rows).tolist() == [2.0] * 4
    assert calibration.background_of(rows[:1]) is None
