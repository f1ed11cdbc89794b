"""What viewers are given, over real DDS: ~/overlay/compressed and ~/annotations of a running node, and `ps3 view --ros` beside it."""

import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy cannot be imported: source a ROS 2 setup file or pip install '.[ros-wheels]'")
pytest.importorskip("visualization_msgs", reason="visualization_msgs is not installed: pip install '.[ros-wheels]'")
sys.path.insert(0, str(Path(__file__).parent))

from ros_helpers import Client, Process, free_domain  # noqa: E402
from sensor_msgs.msg import CompressedImage  # noqa: E402
from std_msgs.msg import String  # noqa: E402
from visualization_msgs.msg import ImageMarker  # noqa: E402

from ps3_ros.answer import Answer, Region  # noqa: E402
from ps3_ros.errors import Ps3Error  # noqa: E402
from ps3_ros.frame import Frame  # noqa: E402
from ps3_ros.messages import stamp_ns  # noqa: E402
from ps3_ros.query import Request  # noqa: E402
from ps3_ros.view.topics import Topics  # noqa: E402
from ps3_ros.viewers import FOUND, NEAR, marker  # noqa: E402

pytestmark = pytest.mark.alone

STAMP = 1_700_000_000_123_456_789
FRAME = cv2.resize(np.random.default_rng(2).integers(0, 256, (9, 16, 3), dtype=np.uint8), (640, 360), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def running(tiny_bundle, tmp_path_factory):
    """A client of an active node on a domain of their own."""
    domain = free_domain()
    given = {"bundle": str(tiny_bundle), "autostart": True, "query_timeout_s": 2.0, "frame_timeout_s": 600.0, "threads": 1}
    given |= {"overlay_width": 320, "overlay_rate_hz": 10.0}
    values = [part for name, value in given.items() for part in ("-p", f"{name}:={json.dumps(value)}")]
    node = Process("ps3_ros.node", "--ros-args", *values, domain=domain, logs=tmp_path_factory.mktemp("node"))
    client = Client(domain)
    try:
        client.wait_connected()
        client.domain = domain
        yield client
        assert "unexpected failure" not in node.output
    finally:
        node.stop()
        client.close()


def test_the_overlay_is_published_for_subscribers_only_and_about_their_frame(running):
    client, pictures, markers = running, [], []
    client.ask_about("stop sign", FRAME, STAMP)
    client.spin(0.3)
    assert client.node.count_publishers("/ps3/overlay/compressed") == 1 and not pictures
    subscriptions = [
        client.node.create_subscription(CompressedImage, "/ps3/overlay/compressed", pictures.append, 10),
        client.node.create_subscription(ImageMarker, "/ps3/annotations", markers.append, 10),
    ]
    client.spin(0.5)
    assert not pictures  # what was answered before is not drawn
    answer = None

    def asked():
        nonlocal answer
        answer = client.ask_about("stop sign", FRAME, STAMP + 1)
        return client.wait(lambda: pictures and markers, 2.0)

    client.until(asked, what="a picture")
    picture = cv2.imdecode(np.frombuffer(pictures[-1].data, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (180, 320, 3) and pictures[-1].format == "jpeg"
    assert stamp_ns(pictures[-1].header.stamp) == STAMP + 1 and pictures[-1].header.frame_id == "camera"
    assert len(markers[-1].points) == 8 * len(answer["regions"]) and stamp_ns(markers[-1].header.stamp) == STAMP + 1
    for subscription in subscriptions:
        client.node.destroy_subscription(subscription)


def test_a_viewer_of_a_running_node_shows_its_frames_and_asks_it(running, monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")  # as the node and the client have it
    client, shots, told, changes = running, [], [], []
    topics = Topics(shots.append, told.append, lambda: changes.append(topics.standing()), width=160, rate_hz=20.0, domain=client.domain)
    assert topics.title == "node /ps3, images /image"
    topics.start()
    number = 0

    def until(ready, what):
        nonlocal number
        end = time.monotonic() + 30
        while not (value := ready()):
            assert time.monotonic() < end, (what, [t.answer for t in told][-3:], len(shots))
            number += 1
            client.send_frame(FRAME, STAMP + 1000 * number)
            client.spin(0.1)
        return value

    try:
        client.spin(0.5)
        assert not shots  # no browser looks on
        topics.watched(1)
        until(lambda: shots, "a live frame")
        for attempt in range(10):  # a best-effort frame may have come to the node only
            topics.ask(Request("stop sign", id=f"view-{attempt}"))
            mine = lambda attempt=attempt: [t for t in told if t.answer["id"] == f"view-{attempt}"]  # noqa: E731
            answer = until(mine, "the answer")[0]
            if answer.crop is not None:
                break
        assert answer.answer["error"] is None and answer.relevance is not None and answer.looked is not None
        assert answer.stamp_ns in [shot.stamp_ns for shot in shots] and answer.crop is not None  # it is shown over its own frame
        height, width = answer.looked.shape
        assert width > height and np.count_nonzero(answer.looked) > 0

        topics.ask(Request("mug"), standing=True)
        until(lambda: changes and changes[-1] == [("mug", "mug")], "the standing question")
        until(lambda: [t for t in told if t.answer["standing"]], "its answer")
        topics.forget("mug")
        until(lambda: changes[-1] == [], "its end")
        topics.watched(0)
        client.spin(0.5)
        count = len(shots)
        for n in range(5):
            client.send_frame(FRAME, STAMP + 10**9 + n)
            client.spin(0.1)
        assert len(shots) == count
        client.query.publish(String(data="kettle"))  # what others ask is shown too
        client.until(lambda: [t for t in told if t.answer["query"] == "kettle"], what="another's answer")
    finally:
        topics.stop()
    assert not topics._thread.is_alive()


def test_a_viewer_without_a_node_says_so(monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setattr("ps3_ros.view.topics.DISCOVERY_S", 0.2)
    told = []
    with pytest.raises(Ps3Error, match="no ROS name"):
        Topics(None, None, None, node="bad name")
    topics = Topics(lambda shot: None, told.append, lambda: None, node="/nobody", camera="front", domain=free_domain())
    assert topics.title == "node /nobody/front, images /front/image"
    topics.start()
    topics.ask(Request("stop sign", id="q"))
    end = time.monotonic() + 20
    while not told and time.monotonic() < end:
        time.sleep(0.05)
    topics.stop()
    assert told[0].answer["id"] == "q" and "no node hears /nobody/front/query" in told[0].answer["error"]


def test_a_marker_has_four_lines_a_region_and_a_colour_a_line():
    frame = Frame(np.zeros((360, 640, 3), np.uint8), STAMP, "camera")
    regions = (Region((10.0, 20.0, 30.0, 60.0), 0.9, "mug"), Region((100.0, 20.0, 130.0, 60.0), 0.2, "mug"))
    found = marker(Answer(query="mug", found=True, label="mug", regions=regions), frame)
    assert (found.type, found.action, found.ns) == (ImageMarker.LINE_LIST, ImageMarker.ADD, "ps3")
    assert [(p.x, p.y) for p in found.points[:8]] == [(10, 20), (30, 20), (30, 20), (30, 60), (30, 60), (10, 60), (10, 60), (10, 20)]
    assert found.outline_colors == [FOUND] * 4 + [NEAR] * 4
    gone = marker(Answer(query="mug", found=False, id="another"), frame)
    assert gone.id == found.id and gone.action == ImageMarker.REMOVE and not gone.points
    assert marker(Answer(query="cup", found=False), frame).id != found.id
