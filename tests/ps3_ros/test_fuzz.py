"""Whatever a message holds: a frame, a question, or one sentence. In process by the thousand, and a bounded number over real DDS."""

import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="rclpy cannot be imported: source a ROS 2 setup file or pip install '.[ros-wheels]'")
sys.path.insert(0, str(Path(__file__).parent))

from fault_helpers import SCENE, raw_image, running_node  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402
from std_msgs.msg import String  # noqa: E402

from ps3_ros.answer import Answer  # noqa: E402
from ps3_ros.errors import FrameError, QueryError  # noqa: E402
from ps3_ros.image_decoding import ENCODINGS  # noqa: E402
from ps3_ros.messages import byte_array, frame_from, header  # noqa: E402
from ps3_ros.query import WATCHED, Cancel, Request, id_of, parse_query, parse_unwatch, parse_watch  # noqa: E402

pytestmark = pytest.mark.alone

EXAMPLES = int(os.environ.get("PS3_FUZZ_EXAMPLES", "200"))  # in process; over DDS a tenth of it, each of up to 12 messages
PICTURES = {ending: cv2.imencode(ending, cv2.resize(SCENE, (96, 64)))[1].tobytes() for ending in (".jpg", ".png")}

unsigned = st.integers(0, 2**32 - 1)
stamps = st.tuples(st.integers(-(2**31), 2**31 - 1), unsigned)
image_fields = st.fixed_dictionaries(
    {
        "height": unsigned | st.integers(30, 40),
        "width": unsigned | st.integers(30, 40),
        "encoding": st.sampled_from(sorted(ENCODINGS)) | st.text(max_size=20),
        "is_bigendian": st.integers(0, 255),
        "step": unsigned | st.integers(30, 200),
        "data": st.binary(max_size=64) | st.integers(0, 8000).map(bytes),
    }
)
# Bytes that begin as a picture does, a picture with bytes changed, and a picture that is cut: what a broken cable, disk or sender makes.
damage = st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=8)
encoded = st.one_of(
    st.builds(lambda start, rest: start + rest, st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]), st.binary(max_size=200)),
    st.builds(lambda ending, changes, cut: _damaged(PICTURES[ending], changes, cut), st.sampled_from([".jpg", ".png"]), damage, unsigned),
)
numbers = st.integers() | st.floats() | st.sampled_from([0, 1, -1, 64, 65, 1e308, 2**63, 10**400])
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=20), lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=5), v)
)
objects = st.dictionaries(st.sampled_from([*WATCHED, "camera", "anytime", "x"]) | st.text(max_size=8), values, max_size=6)
asked = st.fixed_dictionaries(
    {"query": st.sampled_from(["mug", "stop sign", "red | blue mug"])},
    optional={
        "id": st.text(max_size=8),
        "looks": values,
        "max_patches": values,
        "deadline_ms": values,
        "choices": st.lists(st.text(max_size=5)),
    },
)
texts = st.one_of(
    st.text(max_size=60),
    (objects | asked).map(json.dumps),
    st.builds(lambda data, at, extra: _inserted(json.dumps(data), at, extra), asked, unsigned, st.text(max_size=3)),
)


def _damaged(data, changes, cut):
    data = bytearray(data)
    for at, value in changes:
        data[at % len(data)] = value
    return bytes(data[: cut % (2 * len(data))])


def _inserted(text, at, extra):
    at %= len(text) + 1
    return text[:at] + extra + text[at:]


def _stamped(message, stamp, frame_id):
    message.header.stamp.sec, message.header.stamp.nanosec = stamp
    message.header.frame_id = frame_id
    return message


def _is_a_sentence(error):
    assert "\n" not in str(error)
    assert "\x1b" not in str(error)
    assert len(str(error)) < 500


@settings(max_examples=EXAMPLES, deadline=None)
@given(fields=image_fields, stamp=stamps, frame_id=st.text(max_size=30))
def test_any_image_message_is_a_frame_or_a_sentence(fields, stamp, frame_id):
    message = Image(**{**fields, "data": byte_array(np.frombuffer(fields["data"], np.uint8))})
    try:
        frame = frame_from(_stamped(message, stamp, frame_id))
    except FrameError as error:
        _is_a_sentence(error)
    else:
        assert frame.pixels.shape == (fields["height"], fields["width"], 3)
        assert header(frame.stamp_ns, frame.frame_id) == message.header


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=encoded, format=st.text(max_size=20), stamp=stamps)
def test_any_compressed_image_message_is_a_frame_or_a_sentence(data, format, stamp):
    message = CompressedImage(format=format)
    message.data = byte_array(np.frombuffer(data, np.uint8))
    try:
        frame = frame_from(_stamped(message, stamp, "camera"))
    except FrameError as error:
        _is_a_sentence(error)
    else:
        assert frame.pixels.ndim == 3
        assert 32 <= min(frame.pixels.shape[:2])


@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(text=texts)
def test_any_text_is_a_question_a_cancel_or_a_sentence_that_an_answer_can_carry(text):
    for parse, kinds in ((parse_query, (Request, Cancel)), (parse_watch, (Request,)), (parse_unwatch, (tuple,))):
        try:
            assert isinstance(parse(text), kinds)
        except QueryError as error:
            _is_a_sentence(error)
            answer = Answer.failed(text, str(error), None, model="m", backend="b", id=id_of(text))
            assert json.loads(answer.to_json())["error"] == str(error)


@pytest.fixture(scope="module")
def running(tiny_bundle, tmp_path_factory):
    """(node process, ledger): one node takes all that is sent."""
    with running_node(tiny_bundle, tmp_path_factory.mktemp("node")) as both:
        yield both


WHOLE = raw_image(SCENE[:40, :40], 5)
sent = st.one_of(
    st.tuples(st.just("question"), texts.filter(lambda text: "cancel" not in text)),  # one that hits would be answered by what it hits
    st.tuples(st.just("question"), st.binary(min_size=1, max_size=40).filter(lambda data: b"M" not in data)),
    st.tuples(st.just("watch"), texts),
    st.tuples(st.just("unwatch"), texts),
    st.tuples(st.just("image"), image_fields),
    st.tuples(st.just("bytes"), st.builds(lambda changes, cut: WHOLE[:4] + _damaged(WHOLE[4:], changes, cut), damage, unsigned)),
)


@settings(
    max_examples=EXAMPLES // 10, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(messages=st.lists(sent, min_size=3, max_size=12))
def test_whatever_is_sent_every_question_has_one_final_answer_and_the_next_good_one_is_answered(running, messages):
    node, robot = running
    for kind, what in messages:
        if kind == "question":
            robot.put(what)
        elif kind in ("watch", "unwatch"):
            getattr(robot, kind).publish(String(data=what))
        elif kind == "image":
            robot.image.publish(Image(**{**what, "data": byte_array(np.frombuffer(what["data"], np.uint8))}))
        else:
            robot.image.publish(what)
        robot.spin(0.005)
    robot.paid()
    robot.good()
    assert node.process.poll() is None
    assert "\x1b" not in node.output.replace("\x1b[33m", "").replace("\x1b[31m", "").replace("\x1b[0m", ""), "rclpy's own colours aside"
