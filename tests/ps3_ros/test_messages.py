"""Messages from what the core gives, without a middleware: fields, headers, and what was looked at without loss."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="rclpy cannot be imported: source a ROS 2 setup file or pip install '.[ros-wheels]'")
sys.path.insert(0, str(Path(__file__).parent))

from ros_helpers import image_message  # noqa: E402
from sensor_msgs.msg import CompressedImage  # noqa: E402

from ps3_ros import messages  # noqa: E402
from ps3_ros.answer import Answer, Region  # noqa: E402
from ps3_ros.errors import FrameError  # noqa: E402
from ps3_ros.frame import Frame, Grid  # noqa: E402
from ps3_ros.looked import looked_mask, patches_of  # noqa: E402

STAMP = 1_700_000_000_123_456_789
PIXELS = np.random.default_rng(1).integers(0, 256, (40, 64, 3), dtype=np.uint8)
FRAME = Frame(PIXELS, STAMP, "front")


def same_header(message):
    return messages.stamp_ns(message.header.stamp) == STAMP and message.header.frame_id == "front"


def test_an_image_message_becomes_its_frame_without_a_copy():
    message = image_message(PIXELS, STAMP, "front")
    frame = messages.frame_from(message)
    np.testing.assert_array_equal(frame.pixels, PIXELS)
    assert (frame.stamp_ns, frame.frame_id) == (STAMP, "front")
    assert np.shares_memory(frame.pixels, np.frombuffer(message.data, np.uint8))


def test_a_compressed_message_becomes_its_frame():
    import cv2

    message = CompressedImage(header=messages.header(STAMP, "front"), format="png")
    message.data = messages.byte_array(cv2.imencode(".png", PIXELS)[1])
    frame = messages.frame_from(message)
    np.testing.assert_array_equal(frame.pixels, PIXELS)
    assert (frame.stamp_ns, frame.frame_id) == (STAMP, "front")


def test_a_negative_stamp_is_refused():
    message = image_message(PIXELS)
    message.header.stamp.sec = -5
    with pytest.raises(FrameError, match="stamp"):
        messages.frame_from(message)


def test_relevance_is_mono8_with_the_frames_header():
    relevance = np.array([[0.0, 0.5, 1.0], [0.25, 0.1, 0.9]], np.float32)
    message = messages.relevance_message(relevance, FRAME)
    assert (message.encoding, message.height, message.width, message.step) == ("mono8", 2, 3, 3)
    assert list(message.data) == [0, 128, 255, 64, 26, 230]
    assert same_header(message)


class Plan:
    def __init__(self, *shapes):
        self.grids = tuple(Grid(0, rows, cols, 0, 0) for rows, cols in shapes)


class Chosen:
    def __init__(self, patches):
        self.patches = patches


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_what_was_looked_at_survives_the_message(data):
    """Grids of any three sizes that grow, not only multiples: 48 x 27, 96 x 54 and 240 x 135 are none of each other."""
    side = lambda: sorted(data.draw(st.lists(st.integers(1, 40), min_size=3, max_size=3)))  # noqa: E731
    plan = Plan(*zip(side(), side(), strict=True))
    patches = tuple(
        np.array(sorted(data.draw(st.sets(st.integers(0, grid.rows * grid.cols - 1), max_size=30))), np.int64) for grid in plan.grids
    )
    message = messages.mono_message(looked_mask(plan, Chosen(patches)), FRAME)
    mask = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    assert mask.shape == (plan.grids[-1].rows, plan.grids[-1].cols)
    for back, sent in zip(patches_of(mask, plan), patches, strict=True):
        np.testing.assert_array_equal(back, sent)


def test_detections_hold_one_per_region_in_plain_text():
    pytest.importorskip("vision_msgs", reason="vision_msgs has no wheel; it comes with every ROS distribution")
    regions = (Region((10.0, 20.0, 30.0, 60.0), 0.9, "mug"), Region((0.0, 0.0, 4.0, 4.0), 0.2, "cup"))
    message = messages.detections_message(Answer(query="mug | cup", found=True, regions=regions), FRAME)
    assert same_header(message)
    first = message.detections[0]
    assert len(message.detections) == 2
    assert same_header(first)
    assert (first.results[0].hypothesis.class_id, first.results[0].hypothesis.score) == ("mug", 0.9)
    assert (first.bbox.center.position.x, first.bbox.center.position.y, first.bbox.size_x, first.bbox.size_y) == (20.0, 40.0, 20.0, 40.0)
    assert messages.detections_message(Answer(query="mug", found=False), FRAME).detections == []


def test_bytes_of_a_view_are_those_of_its_picture():
    assert bytes(messages.byte_array(PIXELS[:, ::-1])) == PIXELS[:, ::-1].tobytes()
