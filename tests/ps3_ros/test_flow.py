"""The picture's motion from two small grey images: known shifts, zooms, a thing of its own, and what cannot be told."""

import cv2
import numpy as np
import pytest

from ps3_ros.flow import estimate_flow, grey_image
from ps3_ros.frame import Frame

SIZE = (1280, 720)  # px


def scene(seed=0):
    """A cluttered picture, larger than a frame: uint8 [1000, 1600, 3]."""
    rng = np.random.default_rng(seed)
    picture = cv2.resize(rng.integers(60, 160, (25, 40, 3)).astype(np.uint8), (1600, 1000), interpolation=cv2.INTER_CUBIC)
    for _ in range(120):
        x, y = rng.integers(0, 1600), rng.integers(0, 1000)
        cv2.rectangle(picture, (x, y), (x + int(rng.integers(15, 90)), y + int(rng.integers(15, 90))), rng.integers(0, 255, 3).tolist(), -1)
    return picture


def view(picture, matrix):
    return cv2.warpAffine(picture, np.array(matrix, float), SIZE)


def flow_of(first, second, boxes=()):
    return estimate_flow(grey_image(Frame(first), 384), grey_image(Frame(second), 384), SIZE, boxes)


@pytest.mark.parametrize(
    "second, before, after",
    [
        ([[1, 0, -100], [0, 1, -50]], (400, 300, 500, 380), (400, 300, 500, 380)),  # still
        ([[1, 0, -160], [0, 1, -20]], (400, 300, 500, 380), (340, 330, 440, 410)),  # a pan to the right, and up
        ([[1.05, 0, -137], [0, 1.05, -70.5]], (590, 310, 690, 410), (587.5, 307.5, 692.5, 412.5)),  # a zoom about the middle
    ],
)
def test_boxes_move_as_the_picture_does(second, before, after):
    picture = scene()
    flow = flow_of(view(picture, [[1, 0, -100], [0, 1, -50]]), view(picture, second), [before])
    assert np.allclose(flow.moved([before]), [after], atol=4)  # about a px of the small image
    assert flow.moved([]).shape == (0, 4)


def test_a_thing_that_moves_by_itself_takes_its_box_along():
    picture = scene(1)
    frames = []
    for n in (0, 1):
        frame = view(picture, [[1, 0, -100 - 30 * n], [0, 1, -50]])
        patch = np.random.default_rng(5).integers(0, 255, (3, 3, 3)).astype(np.uint8)
        frame[300:420, 500 + 20 * n : 620 + 20 * n] = cv2.resize(patch, (120, 120), interpolation=cv2.INTER_CUBIC)
        frames.append(frame)
    moved = flow_of(*frames, boxes=[(500, 300, 620, 420)]).moved([(500, 300, 620, 420), (100, 500, 160, 560)])
    assert np.allclose(moved[0], (520, 300, 640, 420), atol=6) and np.allclose(moved[1], (70, 500, 130, 560), atol=6)


def test_maps_are_carried_and_changes_are_seen():
    picture = scene(2)
    first, second = (view(picture, [[1, 0, -x], [0, 1, -50]]) for x in (100, 180))
    second[200:400, 800:1000] = 255  # something new
    flow = flow_of(first, second)
    marks = np.zeros((48, 64), np.float32)
    marks[20:24, 30:34] = 1
    carried = flow.carried(marks)
    assert carried[20:24, 26:30].min() > 0.8 and carried[20:24, 32:].max() < 0.2  # 80 px are 4 places
    changed = flow.changed_at((36, 64))
    assert changed[12:19, 42:48].all() and changed[25:, :55].mean() < 0.1


@pytest.mark.parametrize(
    "second, told",
    [
        (scene(9)[:720, :1280], False),  # another scene
        (np.zeros((720, 1280, 3), np.uint8), False),  # a covered lens
        (np.random.default_rng(0).integers(0, 255, (720, 1280, 3), dtype=np.uint8), False),  # noise
    ],
)
def test_what_cannot_be_told_is_none(second, told):
    assert (flow_of(view(scene(3), [[1, 0, 0], [0, 1, 0]]), second) is not None) == told


def test_a_blank_wall_that_stays_blank_has_not_moved():
    wall = np.full((720, 1280, 3), 120, np.uint8)
    assert np.array_equal(flow_of(wall, wall).matrix, np.eye(2, 3)) and flow_of(wall, wall + 60) is None
