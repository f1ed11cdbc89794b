"""Rays and points of boxes, against projections by OpenCV itself, and against geometry that can be checked by hand."""

import cv2
import numpy as np
import pytest

from ps3_ros.bearings import CalibrationError, Camera, locate

K = [2000.0, 0, 1919.5, 0, 2000.0, 1079.5, 0, 0, 1]
CAMERA = Camera.of(3840, 2160, "plumb_bob", K, [])


def test_the_middle_looks_straight_ahead_and_right_and_down_are_positive():
    place = locate((1880, 1040, 1960, 1120), CAMERA)
    assert place.bearing == (0.0, 0.0, 1.0)
    assert place.size == pytest.approx([2 * np.arctan(40 / 2000)] * 2, abs=1e-6)
    assert (place.position, place.covariance) == (None, None)
    x, y, z = locate((3800, 2100, 3840, 2160), CAMERA).bearing
    assert x > 0 and y > 0 and z > 0  # noqa: PT018
    assert x / z == pytest.approx((3820 - 1920) / 2000, abs=1e-5)


@pytest.mark.parametrize(
    ("model", "d"),
    [
        ("plumb_bob", [-0.2, 0.05, 0.001, -0.002, 0.01]),
        ("rational_polynomial", [0.3, 0.1, 0.001, -0.001, 0.02, 0.6, 0.15, 0.05]),
        ("equidistant", [-0.02, 0.004, -0.001, 0.0002]),
    ],
)
def test_rays_are_the_inverse_of_the_projection(model, d):
    camera = Camera.of(3840, 2160, model, K, d)
    world = np.random.default_rng(1).uniform([-2, -1, 3], [2, 1, 8], (50, 3))
    project = cv2.fisheye.projectPoints if model == "equidistant" else cv2.projectPoints
    points = project(world.reshape(-1, 1, 3), np.zeros(3), np.zeros(3), camera.matrix, np.array(d))[0].reshape(-1, 2)
    rays = camera.rays(points + 0.5)  # a pixel's centre is half a pixel from its corner
    expected = world / np.linalg.norm(world, axis=1, keepdims=True)
    np.testing.assert_allclose(rays, expected, atol=2e-5)


def test_a_frame_of_another_size_has_the_same_rays():
    small = CAMERA.scaled(960, 540)
    for point in ((0.0, 0.0), (100.0, 400.0), (960.0, 540.0)):
        np.testing.assert_allclose(small.rays([point]), CAMERA.rays([np.array(point) * 4]), atol=1e-9)
    with pytest.raises(CalibrationError, match="they must match"):
        CAMERA.scaled(1000, 1000)


def test_binning_and_a_cut_out_part_shift_the_calibration():
    part = Camera.of(960, 540, "", K, [], binning=(2, 2), offset=(1920, 1080))
    assert part.matrix[0, 0] == 1000
    assert part.matrix[0, 2] == pytest.approx((1919.5 - 1920) / 2)


def test_a_depth_image_of_any_size_gives_the_point_and_what_is_not_measured_gives_none():
    depth = np.full((540, 960), np.nan, np.float32)
    box = (2400.0, 1000.0, 2800.0, 1200.0)
    assert locate(box, CAMERA, depth).position is None
    depth[240:310, 590:710] = 5.0  # metres along z
    depth[250:300, 600:606] = 40.0  # behind its rim
    place = locate(box, CAMERA, depth)
    np.testing.assert_allclose(place.position, [(2600 - 1920) / 2000 * 5, (1100 - 1080) / 2000 * 5, 5.0], atol=1e-5)
    covariance = np.array(place.covariance).reshape(3, 3)
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-12)
    assert (np.linalg.eigvalsh(covariance) > 0).all()
    assert np.sqrt(np.trace(covariance)) < 0.2


def test_a_rough_surface_is_less_sure_along_the_ray_than_across():
    rng = np.random.default_rng(2)
    depth = (5 + rng.normal(0, 0.5, (540, 960))).astype(np.float32)
    covariance = np.array(locate((1720, 880, 2120, 1280), CAMERA, depth).covariance).reshape(3, 3)
    assert np.sqrt(covariance[2, 2]) == pytest.approx(0.5, rel=0.1)
    assert covariance[2, 2] > 10 * covariance[0, 0]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ((3840, 2160, "plumb_bob", [0.0] * 9, []), "calibrate it"),
        ((3840, 2160, "kannala", K, []), "distortion model 'kannala'"),
        ((3840, 2160, "equidistant", K, [0.1]), "1 distortion coefficients"),
        ((0, 2160, "plumb_bob", K, []), "0 x 2160"),
        ((3840, 2160, "plumb_bob", [float("nan")] * 9, []), "nan"),
    ],
)
def test_a_calibration_that_cannot_be_used_is_one_sentence(fields, words):
    with pytest.raises(CalibrationError, match=words):
        Camera.of(*fields)
