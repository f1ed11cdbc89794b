"""One node with two cameras over real DDS: topics by camera and for all, tracks, bearings, positions, answers that get better."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy cannot be imported: source a ROS 2 setup file or pip install '.[ros-wheels]'")
sys.path.insert(0, str(Path(__file__).parent))

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from ros_helpers import ROOT, Client, Process, free_domain, image_message, stamp_of  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402
from std_msgs.msg import String  # noqa: E402

from ps3_ros.messages import byte_array, header, stamp_ns  # noqa: E402

pytestmark = pytest.mark.alone

STAMP = 1_700_000_000_000_000_000
FRAME_S = 100_000_000  # nanoseconds between two frames
NOISE = np.random.default_rng(2).integers(0, 256, (9, 16, 3), dtype=np.uint8)
SMALL = cv2.resize(NOISE, (640, 360), interpolation=cv2.INTER_CUBIC)


class Robot(Client):
    """Two cameras with calibration and depth beside the client's publishers; all answers, and those on each camera's own topic."""

    def __init__(self, domain):
        super().__init__(domain)
        node, self.own, self.maps, self.status = self.node, {"front": [], "rear": []}, [], []
        self.images = {name: node.create_publisher(Image, f"{name}/image", 1) for name in self.own}
        self.depth = {name: node.create_publisher(Image, f"{name}/depth", 5) for name in self.own}
        self.info = {name: node.create_publisher(CameraInfo, f"{name}/camera_info", 5) for name in self.own}
        self.watch = node.create_publisher(String, "ps3/watch", 10)
        self.unwatch = node.create_publisher(String, "ps3/unwatch", 10)
        self.rear_query = node.create_publisher(String, "ps3/rear/query", 10)
        for name, kept in self.own.items():
            node.create_subscription(String, f"ps3/{name}/answer", lambda m, kept=kept: kept.append(json.loads(m.data)), 100)
        node.create_subscription(Image, "ps3/rear/relevance", self.maps.append, 100)
        node.create_subscription(DiagnosticArray, "/diagnostics", lambda m: self.status.append(m.status), 10)
        self.sent = 0

    def see(self, *names, depth_m=None, calibrated=True):
        """Sends a frame of each camera (with its depth), each with a stamp of its own, and returns the stamp of the last."""
        for name in names:
            self.sent += 1
            stamp = STAMP + self.sent * FRAME_S
            info = CameraInfo(header=header(stamp, name), width=1280, height=720, distortion_model="plumb_bob", d=[0.0] * 5)
            if calibrated:
                info.k = [1000.0, 0.0, 639.5, 0.0, 1000.0, 359.5, 0.0, 0.0, 1.0]
            self.info[name].publish(info)
            if depth_m is not None:
                self.depth[name].publish(depth_message(depth_m, stamp))
            self.spin(0.05)
            self.images[name].publish(image_message(SMALL, stamp, name))
        self.spin(0.15)
        return stamp

    def ask_json(self, timeout_s=60.0, publisher=None, **fields):
        """The answers to a query of this id, until the final one. A query may meet a node that is not discovered yet: then again."""
        mine = lambda: [a for a in self.answers if a["id"] == fields["id"]]  # noqa: E731
        (publisher or self.query).publish(String(data=json.dumps(fields)))
        self.until(lambda: any(a["final"] for a in mine()), timeout_s, f"an answer to {fields}")
        return mine()


def depth_message(metres, stamp):
    values = np.full((90, 160), round(metres * 1000), np.uint16)
    message = Image(header=header(stamp, "depth"), height=90, width=160, encoding="16UC1", step=320)
    message.data = byte_array(values)
    return message


@pytest.fixture(scope="module")
def robot(tiny_bundle, tmp_path_factory):
    """Of a node that is active with two cameras, each of which has been looked at once."""
    domain = free_domain()
    given = {"bundle": str(tiny_bundle), "cameras": ["front", "rear"], "depth": True, "threads": 1, "frame_timeout_s": 600.0}
    given |= {"max_patches": 60, "diagnostics_period_s": 0.2, "log_period_s": 0.0}
    values = [part for name, value in given.items() for part in ("-p", f"{name}:={json.dumps(value)}")]
    node = Process("ps3_ros.node", "--ros-args", *values, domain=domain, logs=tmp_path_factory.mktemp("cameras"))
    robot = Robot(domain)
    try:
        publishers = (*robot.images.values(), *robot.depth.values(), *robot.info.values(), robot.query, robot.watch, robot.rear_query)
        robot.until(lambda: all(p.get_subscription_count() for p in publishers), 60, "discovery of the active node")
        answers = ("/ps3/answer", "/ps3/front/answer", "/ps3/rear/answer", "/ps3/rear/relevance")
        robot.until(lambda: all(robot.node.count_publishers(topic) for topic in answers), 60, "discovery of its answers")
        node.wait_for_output("measured: ", 60)
        for name in robot.own:
            robot.until(lambda name=name: answered(robot, name), 60, f"an answer about {name}")
        robot.settle()
        yield robot
    finally:
        node.stop()
        robot.close()


def answered(robot, name):
    robot.see(name)
    (*_, answer) = robot.ask_json(id=f"first {name} {robot.sent}", query="mug", camera=name)
    return answer["error"] is None and answer["frame_id"] == name


@pytest.fixture(scope="module")
def validate():
    jsonschema = pytest.importorskip("jsonschema")
    return jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "answer.schema.json").read_text())).validate


def test_a_question_goes_to_the_camera_it_names_or_whose_topic_it_came_on_else_to_the_first(robot, validate):
    robot.see("front", "rear")
    named = robot.ask_json(id="n1", query="mug", camera="rear")[-1]
    by_topic = robot.ask_json(id="n2", query="mug", publisher=robot.rear_query)[-1]
    unnamed = robot.ask_json(id="n3", query="mug")[-1]
    assert [(a["camera"], a["frame_id"]) for a in (named, by_topic, unnamed)] == [("rear", "rear"), ("rear", "rear"), ("front", "front")]
    for answer in (named, by_topic, unnamed):
        validate(answer)
    robot.spin(0.3)
    assert {"n1", "n2"} <= {a["id"] for a in robot.own["rear"]}
    assert "n3" in {a["id"] for a in robot.own["front"]} - {a["id"] for a in robot.own["rear"]}
    assert stamp_ns(robot.maps[-1].header.stamp) == stamp_of(by_topic)
    unknown = robot.ask_json(id="n4", query="mug", camera="roof")[-1]
    assert "the cameras are front, rear" in unknown["error"]


def test_each_camera_has_its_status_in_diagnostics(robot):
    robot.until(lambda: robot.status and len(robot.status[-1]) == 2, what="two statuses")
    assert [status.name for status in robot.status[-1]] == ["ps3: front answers", "ps3: rear answers"]
    values = [{v.key: v.value for v in status.values} for status in robot.status[-1]]
    assert all(int(value["looked_at"]) >= 1 for value in values)


def test_a_standing_querys_regions_keep_their_ids_on_its_own_camera(robot, validate):
    robot.settle()
    robot.watch.publish(String(data=json.dumps({"query": "car", "id": "c", "camera": "rear"})))
    stamps = set()

    def seen_often():
        stamps.add(robot.see("front", "rear"))
        return len({stamp_of(a) for a in robot.answers if a["standing"] and stamp_of(a) in stamps}) >= 3

    robot.until(seen_often, 60, "three answers")
    robot.unwatch.publish(String(data='{"id": "c", "camera": "rear"}'))
    standing = [a for a in robot.answers if a["standing"]]
    assert {a["camera"] for a in standing} == {"rear"}
    for answer in standing:
        validate(answer)
    tracks = [[region["track"] for region in answer["regions"]] for answer in standing]
    assert tracks[0] and all(ids == tracks[0] for ids in tracks), "the picture does not change"
    assert "track" not in robot.ask_json(id="t", query="car", camera="rear")[-1]["regions"][0]


def test_a_region_has_a_bearing_with_a_calibration_and_a_position_with_a_depth_image_of_its_time(robot, validate):
    robot.settle()
    robot.see("front", depth_m=3.0)
    answer = robot.ask_json(id="p1", query="mug")[-1]
    validate(answer)
    region = answer["regions"][0]
    x1, y1, x2, y2 = region["box"]
    ray = np.array([((x1 + x2) / 2 - 320) / 500, ((y1 + y2) / 2 - 180) / 500, 1.0])  # the calibration is of the image at twice the size
    np.testing.assert_allclose(region["bearing"], ray / np.linalg.norm(ray), atol=1e-5)
    np.testing.assert_allclose(region["position"], ray * 3.0, atol=1e-4)
    assert np.linalg.eigvalsh(np.reshape(region["covariance"], (3, 3))).min() > 0
    robot.see("front")  # no depth image of its time
    region = robot.ask_json(id="p2", query="mug")[-1]["regions"][0]
    assert "bearing" in region and "position" not in region and "covariance" not in region
    robot.see("front", depth_m=3.0, calibrated=False)
    region = robot.ask_json(id="p3", query="mug")[-1]["regions"][0]
    assert not {"bearing", "position"} & set(region)


def test_answers_get_better_and_only_the_last_is_final(robot, validate):
    robot.see("rear")
    answers = robot.ask_json(id="any", query="mug", camera="rear", looks=3, anytime=True)
    assert [a["looks"] for a in answers] == [0, 1, 2, 3]
    assert [a["final"] for a in answers] == [False, False, False, True]
    for answer in answers:
        validate(answer)
    assert robot.set_parameter("anytime", True) == (True, "")
    try:
        assert [a["final"] for a in robot.ask_json(id="any2", query="mug", camera="rear")] == [False, True]
    finally:
        robot.set_parameter("anytime", False)


def test_a_cameras_name_is_checked_and_the_cameras_change_when_the_node_is_configured(robot):
    accepted, reason = robot.set_parameter("cameras", ["front", "2nd"])
    assert not accepted
    assert "parameter cameras names '2nd'" in reason
    assert robot.set_parameter("cameras", ["rear"]) == (True, "")
    assert robot.change_state("deactivate") and robot.change_state("cleanup")
    assert robot.change_state("configure") and robot.change_state("activate")
    robot.until(lambda: robot.images["front"].get_subscription_count() == 0, what="the front camera's end")
    robot.until(lambda: robot.rear_query.get_subscription_count() and robot.images["rear"].get_subscription_count(), what="the rear one's")
    robot.until(lambda: answered(robot, "rear"), 60, "an answer")
