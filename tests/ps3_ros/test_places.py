"""What regions gain on their way out: depth images matched by stamp, places where all is known, ids of standing queries."""

from dataclasses import replace

import numpy as np
import pytest

from ps3_ros.answer import Answer, Region
from ps3_ros.bearings import CalibrationError, Camera
from ps3_ros.frame import Frame
from ps3_ros.places import Places, Tracks, depth_image
from ps3_ros.query import Request

S = 1_000_000_000
FRAME = Frame(np.zeros((360, 640, 3), np.uint8), 100 * S, "camera")
CAMERA = Camera.of(1280, 720, "plumb_bob", [1000, 0, 639.5, 0, 1000, 359.5, 0, 0, 1], [])
ANSWER = Answer("mug", True, regions=(Region((300.0, 160.0, 340.0, 200.0), 0.9, "mug"),), looks=1)


def depth(metres, stamp_ns, shape=(90, 160), kind="16UC1"):
    values = np.full(shape, metres * 1000, np.uint16) if kind == "16UC1" else np.full(shape, metres, np.float32)
    return depth_image(*shape, kind, 0, values.strides[0], values.tobytes(), stamp_ns)


@pytest.fixture
def parts():
    log = []
    return Places(lambda *line: log.append(line)), log


def test_without_a_calibration_nothing_is_told(parts):
    places, _ = parts
    places.want(FRAME.stamp_ns)
    places.put_depth(depth(3.0, FRAME.stamp_ns))
    assert places.complete(ANSWER, FRAME, 0.05) == ANSWER


def test_a_calibration_of_another_size_of_the_same_image_gives_bearings_and_no_position(parts):
    places, _ = parts
    places.put_camera(CAMERA)
    (region,) = places.complete(ANSWER, FRAME, 0.05).regions
    assert region.bearing == pytest.approx((0, 0, 1), abs=1e-6)
    assert (region.position, region.covariance) == (None, None)
    places.put_camera(None)
    assert places.complete(ANSWER, FRAME, 0.05) == ANSWER


def test_a_calibration_of_another_shape_is_logged_and_gives_nothing(parts):
    places, log = parts
    places.put_camera(Camera.of(1280, 960, "plumb_bob", [1000, 0, 640, 0, 1000, 480, 0, 0, 1], []))
    assert places.complete(ANSWER, FRAME, 0.05) == ANSWER
    assert "camera_info is of 1280 x 960 px where the frame is 640 x 360" in log[0][1]


@pytest.mark.parametrize(
    ("d", "metres"), [([1e300] * 5, 1.0), ([-1e9, 1e9, 0, 0, 1e9], 1.0), ([], 3.4e38)], ids=["huge", "no inverse", "far away"]
)
def test_whatever_is_calibrated_and_measured_an_answer_can_be_sent(parts, d, metres):
    places, log = parts
    places.put_camera(Camera.of(640, 360, "plumb_bob", [500, 0, 320, 0, 500, 180, 0, 0, 1], d))
    places.want(FRAME.stamp_ns)
    places.put_depth(depth(metres, FRAME.stamp_ns, kind="32FC1"))
    answer = places.complete(ANSWER, FRAME, 0.05)
    assert Answer.from_json(answer.to_json()) == answer
    assert log or answer != ANSWER


@pytest.mark.parametrize("kind", ["16UC1", "32FC1"])
def test_the_depth_nearest_in_time_counts_whether_it_comes_before_or_after(parts, kind):
    places, _ = parts
    places.put_camera(CAMERA)
    for n, metres in ((-2, 1.0), (-1, 2.0)):  # 30 ms apart
        places.put_depth(depth(metres, FRAME.stamp_ns + n * 30_000_000, kind=kind))
    places.want(FRAME.stamp_ns)
    assert places.complete(ANSWER, FRAME, 0.05).regions[0].position == pytest.approx((0, 0, 2.0), abs=1e-5)
    places.put_depth(depth(3.0, FRAME.stamp_ns + 1_000_000, kind=kind))
    for n in range(1, 9):  # far more than are kept
        places.put_depth(depth(9.0, FRAME.stamp_ns + n * 30_000_000, kind=kind))
    region = places.complete(ANSWER, FRAME, 0.05).regions[0]
    assert region.position == pytest.approx((0, 0, 3.0), abs=1e-5)
    assert len(region.covariance) == 9


@pytest.mark.parametrize(
    ("stamp", "metres"), [(FRAME.stamp_ns + S // 10, 3.0), (FRAME.stamp_ns, 0.0)], ids=["another time", "nothing measured"]
)
def test_no_position_without_a_depth_of_the_frames_time(parts, stamp, metres):
    places, _ = parts
    places.put_camera(CAMERA)
    places.want(FRAME.stamp_ns)
    places.put_depth(depth(metres, stamp))
    region = places.complete(ANSWER, FRAME, 0.05).regions[0]
    assert region.bearing is not None
    assert region.position is None


def test_depth_with_padded_rows_and_of_the_other_byte_order_is_read_in_place():
    rows = np.zeros((4, 12), np.uint8)
    rows[:, :10] = np.arange(20, dtype=">u2").reshape(4, 5).view(np.uint8)
    assert depth_image(4, 5, "16UC1", 1, 12, rows.tobytes(), 1).view.tolist() == np.arange(20).reshape(4, 5).tolist()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ((4, 5, "rgb8", 0, 15, bytes(60), 1), "the encoding 'rgb8'; publish 16UC1"),
        ((4, 5, "16UC1", 0, 9, bytes(36), 1), "a step of 9"),
        ((4, 5, "32FC1", 0, 20, bytes(79), 1), "79 bytes of data"),
        ((0, 5, "16UC1", 0, 10, b"", 1), "5 x 0"),
        ((1 << 31, 1 << 31, "32FC1", 0, 1 << 33, b"", 1), "do not fit"),
    ],
)
def test_a_depth_image_that_cannot_be_used_is_one_sentence(fields, words):
    with pytest.raises(CalibrationError, match=words):
        depth_image(*fields)


def test_only_standing_querys_final_answers_have_ids_and_each_query_its_own():
    tracks, standing = Tracks(lambda: 0.0), replace(ANSWER, standing=True)
    mug, car = Request("mug"), Request("car")
    moved = replace(standing, regions=(replace(ANSWER.regions[0], box=(310.0, 160.0, 350.0, 200.0)),))
    other = replace(standing, regions=(replace(ANSWER.regions[0], box=(0.0, 0.0, 40.0, 40.0)), *moved.regions))
    later = [Frame(FRAME.pixels, FRAME.stamp_ns + n * S // 10, "camera") for n in range(4)]
    assert tracks.complete(ANSWER, mug, later[0]) == ANSWER
    assert tracks.complete(replace(standing, final=False), mug, later[0]).regions[0].track is None
    ids = [
        [region.track for region in tracks.complete(answer, request, frame).regions]
        for answer, request, frame in ((standing, mug, later[0]), (moved, mug, later[1]), (other, mug, later[2]), (standing, car, later[3]))
    ]
    assert ids == [[1], [1], [2, 1], [1]]
    glance = replace(standing, regions=(), looks=0)
    assert tracks.complete(glance, mug, later[3]) == glance
