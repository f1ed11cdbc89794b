"""The node in its own process over real DDS: frames and questions in, answers out; lifecycle, bad input, kills and restarts."""

import json
import re
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy cannot be imported: source a ROS 2 setup file or pip install '.[ros-wheels]'")
sys.path.insert(0, str(Path(__file__).parent))

from rclpy.qos import ReliabilityPolicy  # noqa: E402
from rclpy.serialization import serialize_message  # noqa: E402
from ros_helpers import ROOT, Client, Process, free_domain, image_message, stamp_of  # noqa: E402
from sensor_msgs.msg import CompressedImage  # noqa: E402
from std_msgs.msg import String  # noqa: E402

from ps3_ros.ask import Asker  # noqa: E402
from ps3_ros.frame import Frame  # noqa: E402
from ps3_ros.looked import patches_of  # noqa: E402
from ps3_ros.messages import byte_array, header, stamp_ns  # noqa: E402

pytestmark = pytest.mark.alone

STAMP = 1_700_000_000_123_456_789
SMALL = cv2.resize(np.random.default_rng(2).integers(0, 256, (9, 16, 3), dtype=np.uint8), (640, 360), interpolation=cv2.INTER_CUBIC)


def start_node(bundle, domain, logs, *arguments, **changed):
    given = {"bundle": str(bundle), "autostart": True, "log_period_s": 0.0, "query_timeout_s": 2.0, "frame_timeout_s": 600.0, "threads": 1}
    values = [part for name, value in {**given, **changed}.items() for part in ("-p", f"{name}:={json.dumps(value)}")]
    return Process("ps3_ros.node", "--ros-args", *values, *arguments, domain=domain, logs=logs)


@pytest.fixture(scope="module")
def running(tiny_bundle, tmp_path_factory):
    """(node process, client): active, on a domain of their own, for all tests that leave the node as it was."""
    domain = free_domain()
    node = start_node(tiny_bundle, domain, tmp_path_factory.mktemp("node"))
    client = Client(domain)
    try:
        client.wait_connected()
        yield node, client
    finally:
        node.stop()
        client.close()


@pytest.fixture(scope="module")
def validate():
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "docs" / "answer.schema.json").read_text())
    return jsonschema.Draft202012Validator(schema).validate


def counts(node):
    """What the node counted, from its last log line that tells."""
    return {name: int(n) for name, n in re.findall(r"(\w+) (\d+)", node.output.rsplit("so far ", 1)[1].splitlines()[0])}


def test_a_4k_frame_and_a_query_give_the_cores_own_answer_with_the_frames_header(running, tiny_bundle, sample_frame_4k, validate):
    _, client = running
    answer = client.ask_about("stop sign", sample_frame_4k, STAMP, "front_camera")
    validate(answer)
    assert (answer["width"], answer["height"], answer["error"]) == (3840, 2160, None)
    asker = Asker(tiny_bundle, threads=1)
    asker.set_frame(Frame(sample_frame_4k, STAMP, "front_camera"))
    expected = asker.ask("stop sign")
    assert [r["label"] for r in answer["regions"]] == [r.label for r in expected.regions]
    np.testing.assert_allclose([r["box"] for r in answer["regions"]], [r.box for r in expected.regions], atol=0.01)  # px, as rounded
    np.testing.assert_allclose([r["score"] for r in answer["regions"]], [r.score for r in expected.regions], atol=1e-5)  # as rounded
    assert answer["patches_used"] == expected.patches_used

    client.until(lambda: client.relevance and client.looked, what="the maps")
    relevance, looked = client.relevance[-1], client.looked[-1]
    for message in (relevance, looked):
        assert message.encoding == "mono8"
        assert (stamp_ns(message.header.stamp), message.header.frame_id) == (STAMP, "front_camera")
    g = asker.settings.grid
    assert (relevance.height, relevance.width) == (g, g)
    shown = np.frombuffer(relevance.data, np.uint8).reshape(g, g)
    np.testing.assert_allclose(shown / 255, asker.detail.relevance, atol=0.51 / 255)  # half a grey level
    mask = np.frombuffer(looked.data, np.uint8).reshape(looked.height, looked.width)
    for sent, patches in zip(patches_of(mask, asker.detail.plan), asker.detail.selection.patches, strict=True):
        np.testing.assert_array_equal(sent, patches)


def test_detections_carry_the_answers_regions_where_vision_msgs_is_installed(running):
    messages = pytest.importorskip("vision_msgs.msg", reason="vision_msgs has no wheel; it comes with every ROS distribution")
    _, client = running
    got = []
    client.node.create_subscription(messages.Detection2DArray, "ps3/detections", got.append, 100)
    client.until(lambda: client.node.count_publishers("/ps3/detections"), what="the publisher")
    client.spin(0.5)
    answer = client.ask_about("red | green traffic light", SMALL, STAMP + 5, "front")
    array = client.until(lambda: next((m for m in got if stamp_ns(m.header.stamp) == STAMP + 5), None), what="the detections")
    assert array.header.frame_id == "front"
    assert [d.results[0].hypothesis.class_id for d in array.detections] == [r["label"] for r in answer["regions"]]
    for detection, region in zip(array.detections, answer["regions"], strict=True):
        x1, y1, x2, y2 = region["box"]
        centre, box = detection.bbox.center.position, detection.bbox
        assert (centre.x, centre.y, box.size_x, box.size_y) == pytest.approx(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1))
        assert detection.results[0].hypothesis.score == pytest.approx(region["score"])
        assert 0 <= detection.results[0].hypothesis.score <= 1


def test_choices_are_ranked(running, validate):
    _, client = running
    answer = client.ask_about("red | amber | green traffic light", SMALL, STAMP + 1)
    validate(answer)
    assert {c["label"] for c in answer["choices"]} == {"red traffic light", "amber traffic light", "green traffic light"}
    assert answer["label"] in {c["label"] for c in answer["choices"]}


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "query is empty"),
        ("  ", "query is empty"),
        ("mug | ", "empty choice"),
        ("stop sign " * 200, "tokens"),
        ("x" * 100_000, "100000 characters"),
        ("a\x07b", "U+0007"),
    ],
)
def test_a_query_that_cannot_be_asked_gets_one_answer_with_the_reason(running, validate, query, sentence):
    node, client = running
    client.settle()
    client.query.publish(String(data=query))
    client.until(lambda: client.answers, what="an answer")
    client.spin(0.1)
    assert len(client.answers) == 1
    validate(client.answers[0])
    assert client.answers[0]["found"] is None
    assert sentence in client.answers[0]["error"]
    node.wait_for_output(sentence, 5.0)
    assert "\x07" not in node.output


def test_a_query_that_is_not_utf8_gets_an_answer_with_the_reason(running, validate):
    _, client = running
    client.settle()
    client.query.publish(serialize_message(String(data="mAg")).replace(b"mAg", b"m\xffg"))
    client.until(lambda: client.answers, what="an answer")
    validate(client.answers[0])
    assert "not UTF-8" in client.answers[0]["error"]


BAD_FRAMES = [
    ({"data": b""}, "data is 0 bytes where step 1920 times height 360 is 691200"),
    ({"data": SMALL.tobytes()[:-7]}, "data is 691193 bytes"),
    ({"encoding": "mono16"}, "'mono16' is not supported"),
    ({"encoding": "weird\x1b[31m"}, r"'weird\x1b[31m' is not supported"),
    ({"step": 1}, "step is 1 bytes"),
    ({"height": 20000, "width": 20000, "step": 60000}, "20000 x 20000"),
    ({"height": 1, "width": 1, "step": 3, "data": b"abc"}, "1 x 1"),
]


def test_bad_frames_are_counted_and_logged_and_the_next_good_one_is_answered(running):
    node, client = running
    before = client.ask_about("mug", SMALL, STAMP + 2)
    for fields, sentence in BAD_FRAMES:
        end = time.monotonic() + 15
        while sentence not in node.output:  # a best-effort frame may be lost, and is looked at only when there is a question
            client.send_frame(SMALL, STAMP + 3, **fields)
            client.spin(0.1)
            assert stamp_of(client.ask("mug")) == stamp_of(before), "the last good frame is kept"
            assert time.monotonic() < end, f"{sentence!r} was not logged in:\n{node.output}"
    assert "\x1b" not in node.output.replace("\x1b[33m", "").replace("\x1b[0m", ""), "what others sent is escaped"
    assert client.ask_about("mug", SMALL, STAMP + 4)["error"] is None
    client.ask("")
    node.wait_for_output("bad_images", 5.0)
    assert counts(node)["bad_images"] >= len(BAD_FRAMES)
    assert counts(node)["failures"] == 0


def test_standing_queries_are_asked_about_every_frame_and_refused_with_a_reason(running):
    _, client = running
    refused, reason = client.set_parameter("standing_queries", ["mug", "stop sign " * 200])
    assert not refused
    assert "tokens where this model reads at most" in reason
    assert client.set_parameter("standing_queries", ["mug", "car"]) == (True, "")
    try:
        for n in range(2):
            client.answers.clear()

            def answered(stamp=STAMP + 10 + n):
                client.send_frame(SMALL, stamp)
                client.spin(0.2)
                return {a["query"] for a in client.answers if stamp_of(a) == stamp} == {"mug", "car"}

            client.until(answered, what="both standing answers")
    finally:
        assert client.set_parameter("standing_queries", []) == (True, "")
    client.settle()
    client.send_frame(SMALL, STAMP + 20)
    client.spin(0.5)
    assert client.answers == []


def test_newest_frame_wins_and_what_is_dropped_is_counted(running):
    node, client = running
    client.ask_about("mug", SMALL, STAMP + 99)  # so that no image waits
    client.ask("")
    before = counts(node)
    client.set_parameter(
        "standing_queries", [f"{colour} {thing}" for colour in ("red", "green", "blue") for thing in ("mug", "car", "sign")]
    )
    client.spin(0.2)
    client.answers.clear()
    first, count = STAMP + 100, 40
    for n in range(count):
        client.send_frame(SMALL, first + n)
        client.spin(0.02)
    client.until(lambda: any(stamp_of(a) == first + count - 1 for a in client.answers), what="an answer about the last frame")
    client.set_parameter("standing_queries", [])
    client.spin(0.5)
    stamps = [stamp_of(a) for a in client.answers]
    assert stamps == sorted(stamps), "never back to an older frame"
    assert len(set(stamps)) < count
    client.ask("")
    after = {name: value - before[name] for name, value in counts(node).items()}
    assert after["dropped"] > 0
    assert after["looked_at"] + after["dropped"] == after["images"], "each image was looked at or counted as dropped"
    assert after["looked_at"] == len(set(stamps))


def test_parameters_are_described_with_their_ranges(running):
    _, client = running
    descriptor = client.describe("looks")
    assert (descriptor.integer_range[0].from_value, descriptor.integer_range[0].to_value) == (1, 64)
    accepted, reason = client.set_parameter("looks", 65)
    assert not accepted
    assert "out of range" in reason


def test_compressed_images_after_a_change_of_transport(running):
    node, client = running

    def send(pixels, stamp, frame_id, cut=None, ending=".jpg"):
        message = CompressedImage(header=header(stamp, frame_id), format=ending[1:])
        message.data = byte_array(cv2.imencode(ending, pixels)[1].ravel()[:cut])
        client.compressed.publish(message)

    assert client.set_parameter("image_transport", "compressed") == (True, "")
    assert client.change_state("deactivate")
    assert client.change_state("activate")
    try:
        client.until(client.compressed.get_subscription_count, what="the new subscription")
        answer = client.ask_about("mug", SMALL, STAMP + 200, send=send)
        assert (answer["width"], answer["height"], answer["error"]) == (640, 360, None)
        end = time.monotonic() + 15
        while "JPEG data of 3000 bytes stops before its end" not in node.output:
            send(SMALL, STAMP + 201, "camera", cut=3000)
            client.spin(0.1)
            assert stamp_of(client.ask("mug")) == STAMP + 200
            assert time.monotonic() < end
        assert client.ask_about("mug", SMALL, STAMP + 202, send=lambda *about: send(*about, ending=".png"))["error"] is None
    finally:
        client.set_parameter("image_transport", "raw")
        client.change_state("deactivate")
        client.change_state("activate")
    client.wait_connected()


def test_a_killed_node_comes_back_in_the_same_domain_and_hears_a_reliable_camera(tiny_bundle, tmp_path):
    domain = free_domain()
    client = Client(domain, reliability=ReliabilityPolicy.RELIABLE)
    node = start_node(tiny_bundle, domain, tmp_path)
    try:
        client.wait_connected()
        assert client.ask_about("mug", SMALL, STAMP)["error"] is None
        client.query.publish(String(data="car"))
        node.kill()
        node = start_node(tiny_bundle, domain, tmp_path)
        node.wait_for_output("active: images from /image")
        # The dead one is still listed for its lease: what counts is that frames and questions reach the new one.
        assert client.ask_about("mug", SMALL, STAMP + 1)["error"] is None

        def reliable():
            known = client.node.get_subscriptions_info_by_topic("/image")
            return any(s.qos_profile.reliability == ReliabilityPolicy.RELIABLE for s in known)

        client.until(reliable, what="a reliable subscription for a reliable camera")
        assert client.ask_about("mug", SMALL, STAMP + 2)["error"] is None
    finally:
        node.stop()
        client.close()


def test_lifecycle_from_a_bad_bundle_to_the_end(tiny_bundle, tmp_path):
    domain = free_domain()
    node = start_node(tmp_path / "no_such_bundle", domain, tmp_path, autostart=False)
    client = Client(domain)
    try:
        assert client.state() == "unconfigured"
        assert not client.change_state("configure")
        node.wait_for_output("cannot configure: bundle folder", 5.0)
        assert client.state() == "unconfigured"
        assert client.set_parameter("bundle", str(tiny_bundle)) == (True, "")
        assert "give one of onnxruntime:cpu" in client.set_parameter("backend", "onnxruntime:abacus")[1]
        assert client.set_parameter("backend", "tensorrt") == (True, "")  # this bundle has no engine for it on any machine
        assert not client.change_state("configure")
        node.wait_for_output("tensorrt", 5.0)
        assert client.set_parameter("backend", "onnxruntime:cpu") == (True, "")
        assert client.set_parameter("standing_queries", ["stop sign " * 200]) == (True, ""), "no model yet that could count its tokens"
        assert not client.change_state("configure")
        node.wait_for_output("tokens where this model reads at most", 5.0)
        assert client.set_parameter("standing_queries", [""]) == (True, "")
        assert client.change_state("configure")
        assert client.state() == "inactive"
        assert client.query.get_subscription_count() == 0, "an inactive node hears nothing"

        assert client.change_state("activate")
        assert client.state() == "active"
        client.wait_connected()
        node.wait_for_output("measured: ")  # before that a query may be told that the backend is being opened
        client.settle()
        error = client.ask("mug")["error"]  # no frame yet
        assert error.startswith("no frame came within 2 s; check that the camera publishes")
        assert client.ask_about("mug", SMALL, STAMP)["error"] is None

        assert client.change_state("deactivate")
        assert client.state() == "inactive"
        assert client.change_state("activate")
        client.wait_connected()
        client.answers.clear()
        client.query.publish(String(data="car"))  # the frame was forgotten: this waits for a new one
        client.spin(0.5)
        assert client.answers == []
        assert client.change_state("deactivate")
        client.until(lambda: client.answers, 5.0, "the waiting query's answer")
        assert [a["query"] for a in client.answers] == ["car"]
        assert "deactivated before this query was answered" in client.answers[0]["error"]

        assert client.change_state("cleanup")
        assert client.state() == "unconfigured"
        assert not client.change_state("activate"), "not before configure"
        assert client.change_state("configure")
        assert client.change_state("activate")
        client.wait_connected()
        assert client.ask_about("mug", SMALL, STAMP + 1)["error"] is None
        assert client.change_state("shutdown_active")
        assert client.state() == "finalized"
        assert node.stop()[0] == 0
    finally:
        node.stop()
        client.close()


def test_a_signal_ends_the_node_cleanly_and_a_waiting_query_gets_its_answer(tiny_bundle, tmp_path):
    domain = free_domain()
    node = start_node(tiny_bundle, domain, tmp_path)
    client = Client(domain)
    try:
        client.wait_connected()
        client.query.publish(String(data="car"))
        client.spin(0.5)
        assert client.answers == []
        code, seconds = node.stop()
        assert code == 0, node.output
        assert seconds < 5.0, "2 s are promised; the rest is for a machine that is busy with other tests"
        client.until(lambda: client.answers, 5.0, "the waiting query's answer")
        assert "shut down before this query was answered" in client.answers[0]["error"]
        assert "Traceback" not in node.output
    finally:
        node.stop()
        client.close()


HANGS = """
import sys, time
from ps3_ros import ask, node

look = ask.Asker.ask
ask.Asker.ask = lambda asker, query, **named: time.sleep(60) if query == "car" else look(asker, query, **named)
sys.exit(node.main(sys.argv[1:]))
"""


def test_a_look_that_hangs_does_not_keep_the_node_alive(tiny_bundle, tmp_path):
    (tmp_path / "hangs.py").write_text(HANGS)
    domain = free_domain()
    node = Process(str(tmp_path / "hangs.py"), "--ros-args", "-p", f"bundle:={tiny_bundle}", domain=domain, logs=tmp_path)
    client = Client(domain)
    try:
        client.wait_connected()
        client.query.publish(String(data="car"))
        for n in range(10):
            client.send_frame(SMALL, STAMP + n)
            client.spin(0.1)
        code, seconds = node.stop()
        assert code == 0, node.output
        assert seconds < 10.0, "2 s are promised; the rest is for a machine that is busy with other tests"
        client.until(lambda: client.answers, 5.0, "the query's answer")
        assert "shut down before this query was answered" in client.answers[0]["error"]
    finally:
        node.stop()
        client.close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-p", "threads:=999"], "ps3_node: parameter threads cannot have the value it was given"),
        (["-p", "image_transport:=carrier_pigeon"], "give one of raw, compressed"),
        (["--params-file", "/no/such/file.yaml"], "/no/such/file.yaml"),
        (["-r", "__ns:=not a namespace"], "ps3_node: "),
    ],
)
def test_bad_arguments_are_one_sentence_and_exit_code_2(tmp_path, arguments, sentence):
    node = Process("ps3_ros.node", "--ros-args", *arguments, domain=free_domain(), logs=tmp_path)
    node.process.wait(20)
    assert node.process.returncode == 2, node.output
    assert sentence in node.output
    assert "Traceback" not in node.output
    assert node.output.strip().splitlines()[-1].startswith("ps3_node: "), "rcl may have its own line before it"


def test_image_message_helper_really_makes_bad_messages():
    assert len(image_message(SMALL, data=b"").data) == 0
