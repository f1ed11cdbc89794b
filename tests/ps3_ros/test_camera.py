"""The player of pictures over real DDS: what arrives is the picture, at 4K, stamped when it was sent."""

import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy cannot be imported: source a ROS 2 setup file or pip install '.[ros-wheels]'")
sys.path.insert(0, str(Path(__file__).parent))

from rclpy.qos import QoSProfile, ReliabilityPolicy  # noqa: E402
from ros_helpers import Client, Process, free_domain  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402

from ps3_ros.messages import frame_from, stamp_ns  # noqa: E402

pytestmark = pytest.mark.alone

RNG = np.random.default_rng(4)


@pytest.fixture
def play(tmp_path):
    """play(kind, **parameters) -> (client, list of messages that fills, camera process)."""
    opened = []

    def start(kind=Image, depth=1, **parameters):
        domain = free_domain()
        client, got = Client(domain), []
        topic = "image/compressed" if kind is CompressedImage else "image"
        client.node.create_subscription(kind, topic, got.append, QoSProfile(depth=depth, reliability=ReliabilityPolicy.BEST_EFFORT))
        given = [part for name, value in parameters.items() for part in ("-p", f"{name}:={json.dumps(value)}")]
        camera = Process("ps3_ros.camera", "--ros-args", *given, domain=domain, logs=tmp_path / "logs")
        opened.append((camera, client))
        return client, got, camera

    yield start
    for camera, client in opened:
        camera.stop()
        client.close()


def write(path, pixels):
    cv2.imwrite(str(path), pixels)
    return str(path)


def picture(height=64, width=96):
    return cv2.resize(RNG.integers(0, 256, (4, 6, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)


def test_raw_4k_frames_arrive_whole_with_best_effort(play, tmp_path, sample_frame_4k):
    path = write(tmp_path / "street.png", sample_frame_4k)
    client, got, _ = play(paths=[path], rate_hz=4.0)
    before = time.time_ns()
    client.until(lambda: len(got) >= 3, 30.0, "three 4K frames")
    frame = frame_from(got[-1])
    np.testing.assert_array_equal(frame.pixels, sample_frame_4k)
    assert frame.frame_id == "street"
    stamps = [stamp_ns(m.header.stamp) for m in got]
    assert stamps == sorted(set(stamps)), "each has its own stamp"
    assert abs(stamps[-1] - before) < 60e9, "of this clock"


def test_pictures_of_a_folder_are_played_in_turn_again_and_again(play, tmp_path):
    pixels = {name: picture() for name in ("a", "b", "c")}
    for name, value in pixels.items():
        write(tmp_path / f"{name}.png", value)
    client, got, _ = play(depth=50, paths=[str(tmp_path)], rate_hz=20.0)
    client.until(lambda: len(got) >= 8, 20.0, "eight images")
    order = [m.header.frame_id for m in got]
    start = "abc".index(order[0])
    lost = sum("abc"[("abc".index(a) + 1) % 3] != b for a, b in zip(order, order[1:], strict=False))
    assert set(order) == {"a", "b", "c"}
    assert lost <= 1, f"in turn, but for one that best effort may lose: {order} from {start}"
    for message in got:
        np.testing.assert_array_equal(frame_from(message).pixels, pixels[message.header.frame_id])


def test_without_loop_the_last_picture_is_held(play, tmp_path):
    paths = [write(tmp_path / f"{name}.png", picture()) for name in "ab"]
    client, got, _ = play(depth=50, paths=paths, rate_hz=20.0, loop=False, frame_id="front")
    client.until(lambda: len(got) >= 5, 20.0, "five images")
    assert {m.header.frame_id for m in got} == {"front"}
    np.testing.assert_array_equal(frame_from(got[-1]).pixels, cv2.imread(paths[1]))
    np.testing.assert_array_equal(frame_from(got[-2]).pixels, cv2.imread(paths[1]))


def test_another_picture_can_be_chosen_while_playing(play, tmp_path):
    paths = [write(tmp_path / f"{name}.png", picture(64 + 16 * n)) for n, name in enumerate("ab")]
    client, got, _ = play(paths=paths[:1], rate_hz=20.0)
    client.target = "ps3_camera"
    client.until(lambda: got, 20.0, "an image")
    refused, reason = client.set_parameter("paths", ["/no/such.png"])
    assert not refused
    assert "'/no/such.png', which does not exist" in reason
    assert client.set_parameter("paths", paths[1:]) == (True, "")
    message = client.until(lambda: next((m for m in got if m.header.frame_id == "b"), None), 10.0, "the other picture")
    np.testing.assert_array_equal(frame_from(message).pixels, cv2.imread(paths[1]))


def test_compressed_images_are_jpeg_that_the_node_reads(play, tmp_path):
    pixels = picture(480, 640)
    client, got, _ = play(CompressedImage, paths=[write(tmp_path / "a.png", pixels)], image_transport="compressed", jpeg_quality=95)
    client.until(lambda: got, 20.0, "an image")
    assert got[0].format == "bgr8; jpeg compressed bgr8"
    assert np.abs(frame_from(got[0]).pixels.astype(int) - pixels).mean() < 3  # grey levels, quality 95


def test_a_file_that_goes_bad_while_playing_is_skipped(play, tmp_path):
    paths = [write(tmp_path / f"{name}.png", picture()) for name in "ab"]
    client, got, camera = play(depth=50, paths=paths, rate_hz=10.0)
    client.until(lambda: len(got) >= 2, 20.0, "images")
    Path(paths[0]).write_bytes(b"no picture")
    camera.wait_for_output("skipped: ", 10.0)
    got.clear()
    client.until(lambda: len(got) >= 3, 10.0, "images of the other file")
    assert got[-1].header.frame_id == "b"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "ps3_camera: parameter paths is empty"),
        (["-p", 'paths:=["/no/such.png"]'], "parameter paths names '/no/such.png', which does not exist"),
        (["-p", "rate_hz:=0.0"], "give a number with a point from 0.01 to 120.0"),
    ],
)
def test_bad_arguments_are_one_sentence_and_exit_code_2(tmp_path, arguments, sentence):
    camera = Process("ps3_ros.camera", "--ros-args", *arguments, domain=free_domain(), logs=tmp_path)
    camera.process.wait(20)
    assert camera.process.returncode == 2, camera.output
    assert sentence in camera.output
    assert "Traceback" not in camera.output


def test_it_stops_on_sigterm(play, tmp_path):
    client, got, camera = play(paths=[write(tmp_path / "a.png", picture())])
    client.until(lambda: got, 20.0, "an image")
    assert camera.stop()[0] == 0, camera.output
