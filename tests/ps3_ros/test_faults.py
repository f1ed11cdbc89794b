"""What a robot meets and nobody ordered, over real DDS.

Nothing crashes, every question has one final answer, and the next good one is answered. docs/reliability.md lists the kinds.
Failures of an engine, hangs and what a camera that stops does to /diagnostics: test_node_reliability.py.
"""

import json
import struct
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy cannot be imported: source a ROS 2 setup file or pip install '.[ros-wheels]'")
sys.path.insert(0, str(Path(__file__).parent))

from fault_helpers import SCENE, START_NS, Ledger, bare_node, raw_image, running_node  # noqa: E402
from fault_kinds import BIG, CALIBRATIONS, COMPRESSED, DEPTHS, PARAMETERS, PRIORS, QUERIES, RAW, REGIONS, STAMPS, jpeg  # noqa: E402  # fmt: skip
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy  # noqa: E402
from rclpy.serialization import serialize_message  # noqa: E402
from ros_helpers import Process, image_message, stamp_of  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402
from std_msgs.msg import String  # noqa: E402

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def running(tiny_bundle, tmp_path_factory):
    """(node process, ledger): one node takes all the faults in turn."""
    with running_node(tiny_bundle, tmp_path_factory.mktemp("node"), depth=True) as both:
        yield both


@pytest.fixture(autouse=True)
def _next_good_input_is_answered(request):
    """After each fault: the node lives, nothing is owed, and the next good frame and question are answered."""
    shared = request.getfixturevalue("running") if "running" in request.fixturenames else None
    yield
    if shared is not None:
        node, robot = shared
        assert node.process.poll() is None, node.output[-3000:]
        robot.paid()
        robot.good()


@pytest.mark.parametrize("kind", RAW)
def test_a_bad_image_is_logged_and_the_last_good_frame_stays(running, kind):
    node, robot = running
    fields, words = RAW[kind]
    robot.refused(node, words, lambda: robot.send_frame(SCENE, START_NS - 1, **fields))


@pytest.mark.parametrize("kind", STAMPS)
def test_an_odd_stamp_is_answered_as_it_is_or_refused(running, kind):
    node, robot = running
    seconds, nanoseconds, fine = STAMPS[kind]
    message = image_message(SCENE)
    message.header.stamp.sec, message.header.stamp.nanosec = seconds, nanoseconds
    if not fine:
        robot.refused(node, "stamp", lambda: robot.image.publish(message))
        return

    def answered():
        robot.image.publish(message)
        robot.spin(0.05)
        answer = robot.one("mug")
        return (answer["stamp"]["sec"], answer["stamp"]["nanosec"]) == (seconds, nanoseconds) and answer

    answer = robot.until(answered, 30, "an answer about the frame")
    assert answer["error"] is None
    assert (answer["age_ms"] is None) == (seconds == 0), "a stamp of zero is none"


@pytest.mark.parametrize("frame_id", ["", "x" * 10_000, "cam\x1b[31m\nera\x00", "kämera 相机"], ids=["empty", "long", "control", "unicode"])
def test_any_frame_id_comes_back_as_it_was(running, frame_id):
    _, robot = running
    expected = frame_id.split("\x00")[0]  # ROS 2 strings end there

    def answered():
        robot.send_frame(SCENE, robot.next_stamp(), frame_id)
        robot.spin(0.05)
        return robot.one("mug")["frame_id"] == expected

    robot.until(answered, 30, "an answer about the frame")


def test_sizes_and_encodings_that_change_with_every_frame_are_answered_each(running):
    _, robot = running
    rng = np.random.default_rng(1)
    for height, width in ((32, 32), (1080, 1920), (33, 2000), (480, 31 + 33), (720, 1280)):
        robot.good(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    for encoding, size in (("rgb8", 3), ("mono8", 1), ("bgra8", 4), ("bayer_rggb8", 1), ("yuv422", 2), ("bgr8", 3)):
        data = rng.integers(0, 256, 360 * 640 * size, dtype=np.uint8).tobytes()
        fields = {"encoding": encoding, "step": 640 * size, "data": data}
        robot.good(send=lambda pixels, stamp, fields=fields: robot.send_frame(pixels, stamp, **fields))


def test_bytes_that_are_no_message_are_survived(running):
    """Anyone on the network can send them: the middleware drops them, or the node logs what it could not take."""
    _, robot = running
    whole = raw_image(SCENE[:40, :40], 5)
    at = whole.index(struct.pack("<I", 40 * 40 * 3))
    lies = whole[:at] + struct.pack("<I", BIG) + whole[at + 4 :]
    for data in (b"", b"\x00", b"\x00\x01\x00\x00", bytes(100), whole[: len(whole) // 2], lies):
        robot.image.publish(data)
        robot.spin(0.02)
    text = serialize_message(String(data="mug"))
    for data in (b"\x00\x01\x00\x00", text[:6], text[:4] + struct.pack("<I", BIG) + b"mug\x00"):
        robot.query.publish(data)  # not a question, as it has no text: nothing is owed
        robot.spin(0.02)


@pytest.mark.parametrize("kind", QUERIES)
def test_a_hostile_question_has_one_answer_that_says_why(running, kind):
    node, robot = running
    text, words = QUERIES[kind]
    answer = robot.one(text)
    assert words in answer["error"]
    assert answer["found"] is None
    assert "\x1b" not in answer["error"]
    assert "\n" not in answer["error"]
    assert len(answer["error"]) < 500
    assert "\x1b" not in node.output.replace("\x1b[33m", "").replace("\x1b[31m", "").replace("\x1b[0m", ""), "rclpy's own colours aside"
    assert "\n[INFO] all is well" not in node.output


def test_a_nul_character_ends_a_question_as_ros_strings_do(running):
    _, robot = running
    answer = robot.one(b"mug\x00car")
    assert answer["query"] == "mug" or "U+0000" in answer["error"]


def test_ids_that_are_used_twice_are_answered_twice(running):
    _, robot = running
    for _ in range(5):
        robot.put("mug", id="twin")
    assert [answer["id"] for answer in robot.paid()] == ["twin"] * 5


def test_a_flood_of_a_thousand_questions_of_all_kinds(running):
    _, robot = running
    kinds = (
        "mug",
        "",
        "{",
        '{"query": "car", "max_patches": 0}',
        '{"cancel": "x"}',
        "red | blue mug",
        "a\x07",
        '{"query": "car", "id": "i"}',
    )
    for n in range(1000):
        robot.put(kinds[n % len(kinds)])
    assert len(robot.paid(timeout_s=120)) == 1000


def test_a_flood_of_standing_queries_is_refused_beyond_its_bound(running):
    _, robot = running
    for n in range(200):
        robot.watch.publish(String(data=json.dumps({"query": "mug", "id": f"w{n}"})))
    for text in ("", "{", '{"query": "car", "priority": -1}', '{"query": "car", "max_rate_hz": 1e999}'):
        robot.watch.publish(String(data=text))
    robot.until(lambda: sum(bool(a["error"]) for a in robot.standing) >= 200 - 64 + 4, 60, "a refusal of each beyond 64")
    for n in range(64):
        robot.unwatch.publish(String(data=json.dumps({"id": f"w{n}"})))
    robot.until(lambda: robot.status and robot.values()["standing_queries"] == "0", 60, "no standing query")
    robot.standing.clear()


@pytest.mark.parametrize("kind", PARAMETERS)
def test_a_wrong_parameter_is_refused_and_changes_nothing(running, kind):
    _, robot = running
    name, value, words = PARAMETERS[kind]
    accepted, reason = robot.set_parameter(name, value)
    assert not accepted
    assert words in reason


def test_frames_at_60_hz_leave_no_question_waiting(running):
    _, robot = running
    sent, end, due = 0, time.monotonic() + 2.0, time.monotonic()
    while time.monotonic() < end:
        robot.send_frame(SCENE, robot.next_stamp())
        sent, due = sent + 1, due + 1 / 60
        if sent % 10 == 0:
            robot.put("car")
        robot.spin(max(due - time.monotonic(), 0.001))
    assert sent > 20
    answers = robot.paid()
    stamps = [stamp_of(answer) for answer in answers]
    assert stamps == sorted(stamps), "never back to an older frame"
    assert all(answer["error"] is None for answer in answers)


def test_a_camera_that_stops_gives_no_frame_and_comes_back(running):
    _, robot = running
    assert robot.set_parameter("frame_timeout_s", 0.5) == (True, "")
    assert robot.set_parameter("query_timeout_s", 0.3) == (True, "")
    try:
        robot.spin(0.6)
        assert robot.one("mug")["error"].startswith("no frame came within 0.3 s")
        assert robot.set_parameter("query_timeout_s", 20.0) == (True, "")
        robot.put("car")
        robot.spin(0.3)
        robot.send_frame(SCENE, robot.next_stamp())  # what waits is answered by the first frame of the camera that is back
        robot.until(lambda: robot.owed == 0 or robot.send_frame(SCENE, robot.next_stamp()), 15, "an answer")
        assert robot.paid()[0]["error"] is None
    finally:
        robot.set_parameter("frame_timeout_s", 600.0)
        robot.set_parameter("query_timeout_s", 5.0)


CAMERA = """
import sys, time
import numpy as np
import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from ps3_ros.messages import byte_array

rclpy.init()
node = rclpy.create_node("camera")
publisher = node.create_publisher(Image, "image", QoSProfile(depth=1, reliability=ReliabilityPolicy[sys.argv[1]]))
message = Image(height=360, width=640, encoding="bgr8", step=1920)
message.data = byte_array(np.random.default_rng(1).integers(0, 256, (360, 640, 3), dtype=np.uint8))
message.header.frame_id = sys.argv[1]
while True:
    message.header.stamp = node.get_clock().now().to_msg()
    publisher.publish(message)
    time.sleep(0.03)
"""


def test_a_camera_that_is_killed_is_replaced_by_another_of_other_reliability(running, tmp_path):
    _, robot = running
    (tmp_path / "camera.py").write_text(CAMERA)
    domain = robot.node.context.get_domain_id()
    for reliability in ("BEST_EFFORT", "RELIABLE"):
        camera = Process(str(tmp_path / "camera.py"), reliability, domain=domain, logs=tmp_path)
        try:
            robot.until(lambda r=reliability: robot.one("mug")["frame_id"] == r, 60, f"an answer about the {reliability} camera")
        finally:
            camera.kill()


def test_a_best_effort_camera_beside_a_reliable_one_is_heard(running):
    _, robot = running
    publisher = robot.node.create_publisher(Image, "image", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    try:
        robot.good(send=lambda pixels, stamp: publisher.publish(image_message(pixels, stamp)), timeout_s=30)
    finally:
        robot.node.destroy_publisher(publisher)


def test_another_type_on_the_nodes_topics_is_not_taken(running):
    _, robot = running
    with bare_node(robot.node.context.get_domain_id()) as other:
        texts, pictures = other.create_publisher(String, "image", 10), other.create_publisher(Image, "ps3/query", 10)
        for _ in range(10):
            texts.publish(String(data="not a picture"))
            pictures.publish(image_message(SCENE[:40, :40]))
            robot.spin(0.05)


def test_bad_calibrations_and_depth_images_cost_no_question_its_answer(running):
    node, robot = running
    seen = len(node.output)
    info_out, depth_out = robot.node.create_publisher(CameraInfo, "camera_info", 5), robot.node.create_publisher(Image, "depth", 5)
    robot.until(lambda: info_out.get_subscription_count() and depth_out.get_subscription_count(), what="the subscriptions")
    try:
        for fields in CALIBRATIONS.values():
            for depth in DEPTHS.values():
                stamp = robot.next_stamp()
                info_out.publish(CameraInfo(**fields))
                depth_out.publish(image_message(SCENE, stamp, **depth))
                robot.send_frame(SCENE, stamp)
                robot.spin(0.01)
                assert robot.one("car")["error"] is None
        robot.until(lambda: all(int(robot.values()[name]) > 0 for name in ("bad_calibrations", "bad_depths")), what="both counts")
        assert "unexpected failure" not in node.output[seen:]
        assert "\x1b[2J" not in node.output
    finally:
        robot.node.destroy_publisher(info_out)
        robot.node.destroy_publisher(depth_out)


def test_bad_priors_cost_no_question_its_answer(running):
    node, robot = running
    seen = len(node.output)
    pictures, texts = robot.node.create_publisher(Image, "ps3/prior", 50), robot.node.create_publisher(String, "ps3/prior/regions", 50)
    robot.until(lambda: pictures.get_subscription_count() and texts.get_subscription_count(), what="the subscriptions")
    try:
        for message in [image_message(SCENE, **fields) for fields in PRIORS.values()] + [String(data=text) for text in REGIONS.values()]:
            (pictures if isinstance(message, Image) else texts).publish(message)
            robot.send_frame(SCENE, robot.next_stamp())
            robot.spin(0.05)
            assert robot.one("car")["error"] is None
        robot.until(lambda: int(robot.values()["bad_priors"]) > 1, what="the count of bad priors")
        assert "unexpected failure" not in node.output[seen:]
        assert "\x1b[2J" not in node.output
    finally:
        robot.node.destroy_publisher(pictures)
        robot.node.destroy_publisher(texts)


def test_bad_compressed_images_are_logged_and_the_last_good_frame_stays(running):
    node, robot = running
    robot.switch("compressed")
    try:
        for kind, (data, format, words) in COMPRESSED.items():
            robot.refused(node, words, lambda data=data, format=format: robot.send_compressed(data, START_NS - 1, format))
            assert robot.good()["error"] is None, kind
        robot.good(send=lambda pixels, stamp: robot.send_compressed(jpeg(pixels), stamp, format="png; a lie\x1b"))
        broken = bytearray(jpeg())
        for at in range(700, len(broken) - 2, 97):  # a JPEG whose scan is damaged may still be a picture: it is answered or refused
            broken[at] = 0x5A
        for _ in range(3):
            robot.send_compressed(bytes(broken), robot.next_stamp())
            robot.spin(0.05)
            robot.one("mug")
        robot.good()
    finally:
        robot.switch("raw")


def test_a_deactivation_answers_what_waits_and_a_bundle_is_checked_at_each_configure(running, tiny_bundle, tmp_path):
    """A byte that changes between cleanup and configure, a file that is gone, a folder that is gone; then the good bundle again."""
    node, robot = running
    copy = tmp_path / "bundle"
    copy.mkdir()
    for file in tiny_bundle.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    assert robot.change_state("deactivate")
    assert robot.change_state("cleanup")
    try:
        assert robot.set_parameter("bundle", str(copy)) == (True, "")
        assert robot.change_state("configure"), "as it came"
        assert robot.change_state("cleanup")
        weights = max(copy.iterdir(), key=lambda path: path.stat().st_size)
        data = bytearray(weights.read_bytes())
        data[len(data) // 2] ^= 1
        weights.write_bytes(data)
        assert not robot.change_state("configure")
        node.wait_for_output("it was changed or damaged", 10)
        weights.unlink()
        assert not robot.change_state("configure")
        node.wait_for_output("lacks the file", 10)
        (copy / "manifest.json").write_bytes(b"\xff\x00{")
        assert not robot.change_state("configure")
        node.wait_for_output("is not UTF-8 text", 10)
        assert robot.set_parameter("bundle", str(tmp_path / "gone")) == (True, "")
        assert not robot.change_state("configure")
        node.wait_for_output("does not exist", 10)
        assert robot.state() == "unconfigured"
    finally:
        robot.set_parameter("bundle", str(tiny_bundle))
        assert robot.change_state("configure")
        assert robot.change_state("activate")
    robot.until(lambda: robot.query.get_subscription_count(), what="the node")
    robot.set_parameter("query_timeout_s", 60.0)
    for _ in range(3):
        robot.put("car")  # waits for a frame
    robot.spin(0.3)
    assert robot.change_state("deactivate")
    assert all("deactivated before this query was answered" in answer["error"] for answer in robot.paid())
    robot.set_parameter("query_timeout_s", 5.0)
    assert robot.change_state("activate")
    robot.until(lambda: robot.query.get_subscription_count(), what="the node")


def test_who_comes_late_hears_what_is_latched_and_is_answered(running):
    _, robot = running
    robot.watch.publish(String(data='{"query": "car", "id": "latched", "max_rate_hz": 0.001}'))
    robot.until(lambda: robot.status and robot.values()["standing_queries"] == "1", 20, "the standing query")
    late, told = Ledger(robot.node.context.get_domain_id()), {}
    try:
        latched = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        for topic in ("watching", "attention"):
            late.node.create_subscription(String, f"ps3/{topic}", lambda m, t=topic: told.update({t: json.loads(m.data)}), latched)
        late.until(lambda: len(told) == 2, 20, "what is latched")
        assert [w["id"] for w in told["watching"]] == ["latched"]
        late.until(lambda: late.query.get_subscription_count(), what="the node")
        late.spin(0.5)
        late.put("mug", id="late")
        late.until(lambda: [a for a in late.finals if a["id"] == "late"], 30, "an answer to who came late")
    finally:
        late.close()
        robot.unwatch.publish(String(data='{"id": "latched"}'))
        robot.until(lambda: robot.values()["standing_queries"] == "0", 20, "no standing query")
        robot.finals = [a for a in robot.finals if a["id"] != "late"]
