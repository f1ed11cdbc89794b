"""What goes to the browser: frames, answers, crops."""

import base64
import json
import struct

import cv2
import numpy as np
import pytest

from ps3_ros.view.scene import Shot, Told, as_bytes, best_crop, reduced_jpeg


def decoded(data, flag=cv2.IMREAD_COLOR):
    return cv2.imdecode(np.frombuffer(data, np.uint8), flag)


def test_a_frame_is_a_header_and_a_jpeg_that_is_reduced_and_never_enlarged():
    pixels = np.full((540, 960, 3), 120, np.uint8)
    shot = Shot(reduced_jpeg(pixels, 320), 2**60 + 1, 'a "frame"', 960, 540, "a.jpg").to_bytes()
    (length,) = struct.unpack_from("<I", shot)
    header = json.loads(shot[4 : 4 + length])
    assert header == {"stamp": str(2**60 + 1), "frame_id": 'a "frame"', "width": 960, "height": 540, "name": "a.jpg"}
    assert decoded(shot[4 + length :]).shape == (180, 320, 3)
    assert decoded(reduced_jpeg(pixels, 4000)).shape == (540, 960, 3)


def test_an_answer_carries_its_maps_bit_for_bit():
    looked = np.random.default_rng(1).integers(0, 8, (27, 48), dtype=np.uint8)
    relevance = as_bytes(np.linspace(0, 1, 576, dtype=np.float32).reshape(24, 24))
    told = Told({"query": "x", "stamp": {"sec": 3, "nanosec": 5}}, relevance, looked)
    data = json.loads(told.to_json())
    assert data["stamp"] == "3000000005" and data["crop"] is None
    for name, sent in (("relevance", relevance), ("looked", looked)):
        np.testing.assert_array_equal(decoded(base64.b64decode(data[name]), cv2.IMREAD_UNCHANGED), sent)


@pytest.mark.parametrize("box", [(0, 0, 4, 4), (950, 530, 960, 540), (100, 100, 104, 300), (0, 0, 960, 540)])
def test_the_best_region_is_cut_with_a_margin_inside_the_frame(box):
    pixels = np.zeros((540, 960, 3), np.uint8)
    x1, y1, x2, y2 = box
    pixels[y1:y2, x1:x2] = 255
    crop = decoded(best_crop(pixels, [{"box": box}]))
    assert max(crop.shape[:2]) == 320 and crop.max() > 200  # the region is in it
    assert best_crop(pixels, []) is None
