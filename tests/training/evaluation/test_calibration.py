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


def test_held_out_error_is_of_frames_that_the_fit_did_not_see():
    cosine, right = answers(8.0, -3.0)
    frames = [str(n // 10) for n in range(len(cosine))]
    errors = calibration.held_out_error(frames, sigmoid(20 * cosine - 5), right)
    assert errors["after"] < 0.04 < errors["before"]
    assert calibration.held_out_error(frames[:30], sigmoid(cosine[:30]), right[:30]) is None
