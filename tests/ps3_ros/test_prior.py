"""Priors from outside: an image or regions become a map over the frame, checked as they come, and stale ones do not count."""

import json

import numpy as np
import pytest

from ps3_ros.errors import Ps3Error
from ps3_ros.prior import MAX_SOURCES, SIDE, Priors, prior_from_image, prior_from_regions

S = 1_000_000_000


@pytest.mark.parametrize("height, width, step", [(1, 1, 1), (24, 24, 30), (135, 240, 240), (2160, 3840, 3840)])
def test_an_image_of_any_size_is_stretched_over_the_frame(height, width, step):
    pixels = np.zeros((height, step), np.uint8)
    pixels[height // 2, width // 4] = 255  # one pixel is not lost
    prior = prior_from_image(height, width, "mono8", step, pixels.tobytes(), 5)
    assert prior.values.shape == (SIDE, SIDE) and prior.values.dtype == np.float32 and prior.stamp_ns == 5
    row, col = (int((n // d + 0.5) / n * SIDE) for n, d in ((height, 2), (width, 4)))
    assert prior.values[row, col] == 1 and (prior.values.sum() <= 4 or height < SIDE)


def test_padding_of_rows_is_no_prior():
    pixels = np.full((10, 16), 255, np.uint8)
    pixels[:, :12] = 51
    assert np.allclose(prior_from_image(10, 12, "8UC1", 16, pixels.tobytes()).values, 0.2)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"encoding": "bgr8"}, "encoding 'bgr8'"),
        ({"height": 0}, "12 x 0 px"),
        ({"width": 17}, "step of 16"),  # a step shorter than its row
        ({"data": b"\0" * 159}, "159 bytes"),
        ({"width": 20_000, "step": 20_000}, "20000 x 10"),
    ],
)
def test_an_image_that_does_not_fit_is_one_sentence(change, said):
    with pytest.raises(Ps3Error, match=said):
        prior_from_image(**{"height": 10, "width": 12, "encoding": "mono8", "step": 16, "data": b"\0" * 160} | change)


def regions(**change):
    return json.dumps({"width": 960, "height": 960, "regions": [{"box": [100, 200, 300, 220], "weight": 0.5}]} | change)


def test_regions_are_painted_the_largest_weight_first():
    two = [{"box": [100, 200, 300, 220], "weight": 0.5}, {"box": [-50, 195, 115, 205]}, {"box": [2000, 0, 2100, 50]}]
    prior = prior_from_regions(regions(regions=two, stamp={"sec": 3, "nanosec": 4}))
    assert prior.stamp_ns == 3 * S + 4
    assert prior.values[20, 5] == 1 and prior.values[20, 10] == 1 and prior.values[21, 12] == 0.5 and prior.values[25].sum() == 0
    assert prior_from_regions(regions(regions=[])).values.sum() == 0


@pytest.mark.parametrize(
    "text, said",
    [
        ("stop sign", "not JSON"),
        ("[]", "object with width"),
        (regions(extra=1), "object with width"),
        (regions(width=0), "width 0"),
        (regions(height=float("nan")), "height nan"),
        (regions(regions={}), "regions {}"),
        (regions(regions=[{}]), "region {}"),
        (regions(regions=[{"box": [1, 2, 3]}]), "box"),
        (regions(regions=[{"box": [3, 2, 1, 4]}]), "x1 < x2"),
        (regions(regions=[{"box": [1, 2, 3, "4"]}]), "box '4'"),
        (regions(regions=[{"box": [1, 2, 3, 4], "weight": 1.5}]), "weight 1.5"),
        (regions(stamp={"sec": -1, "nanosec": 0}), "sec -1"),
        (regions(stamp=7), "stamp 7"),
        ("[" * 100_000, "not JSON"),
        (" " * 300_000, "300000 characters"),
    ],
)
def test_regions_that_do_not_fit_are_one_sentence(text, said):
    with pytest.raises(Ps3Error) as error:
        prior_from_regions(text)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_the_largest_fresh_prior_counts_and_a_stale_one_does_not():
    priors, flat = Priors(), lambda value, stamp: prior_from_image(1, 1, "mono8", 1, bytes([value]), stamp)
    assert priors.newest(10 * S, 1.0) is None
    priors.put("map", flat(51, 0), now_ns=10 * S)  # without a stamp: of now
    priors.put("lidar", flat(102, 9 * S), now_ns=20 * S)
    assert np.allclose(priors.newest(10 * S, 1.0), 0.4) and np.allclose(priors.newest(int(10.5 * S), 1.0), 0.2)
    assert priors.newest(int(11.5 * S), 1.0) is None
    priors.put("lidar", flat(0, 10 * S), now_ns=0)  # takes the place of the last one; 0 rules nothing out
    assert np.allclose(priors.newest(10 * S, 1.0), 0.2)
    for n in range(MAX_SOURCES - 2):
        priors.put(f"tracker {n}", flat(1, 0), 1)
    with pytest.raises(Ps3Error, match="source"):
        priors.put("one more", flat(1, 0), 1)
    priors.clear()
    assert priors.newest(10 * S, 1.0) is None
