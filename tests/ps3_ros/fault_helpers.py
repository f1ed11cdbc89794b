"""For tests that send a node what nobody should: every question is kept account of, and after each fault a good one must be answered."""

import contextlib
import json
import time
from itertools import count

import cv2
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from ros_helpers import Client, Process, _environment, free_domain, image_message, stamp_of
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import String

from ps3_ros.messages import byte_array, header

SCENE = cv2.resize(np.random.default_rng(2).integers(0, 256, (9, 16, 3), dtype=np.uint8), (640, 360), interpolation=cv2.INTER_CUBIC)
START_NS = 1_700_000_000_000_000_000
DEEP = QoSProfile(depth=4000, reliability=ReliabilityPolicy.RELIABLE)


def start(bundle, domain, logs, module="ps3_ros.node", arguments=(), environment=None, **changed):
    """A node of this bundle in its own process, with parameters that make a test short."""
    given = {"bundle": str(bundle), "log_period_s": 0.0, "query_timeout_s": 5.0, "frame_timeout_s": 600.0, "threads": 1}
    given |= {"diagnostics_period_s": 0.2, **changed}
    values = [part for name, value in given.items() for part in ("-p", f"{name}:={json.dumps(value)}")]
    return Process(module, "--ros-args", *values, *arguments, domain=domain, logs=logs, **(environment or {}))


@contextlib.contextmanager
def running_node(bundle, logs, **changed):
    """(node process, Ledger) of a node that answers, in a domain of its own; both are stopped at the end."""
    domain = free_domain()
    node = start(bundle, domain, logs, **changed)
    robot = Ledger(domain)
    try:
        robot.wait_connected()
        robot.spin(0.5)
        robot.good(timeout_s=90)
        yield node, robot
    finally:
        node.stop()
        robot.close()


class Ledger(Client):
    """A camera and an operator who counts: `put` every question, `owed` is how many final answers have not come."""

    def __init__(self, domain, node="ps3", image="image", query=None, answer=None):
        super().__init__(domain, node, ReliabilityPolicy.RELIABLE, image)
        self.sender = self.send_frame
        self.node.destroy_publisher(self.query)
        self.query = self.node.create_publisher(String, query or f"{node}/query", DEEP)
        self.watch = self.node.create_publisher(String, f"{node}/watch", DEEP)
        self.unwatch = self.node.create_publisher(String, f"{node}/unwatch", DEEP)
        self.asked, self.finals, self.standing, self.status = 0, [], [], []
        self._stamps = count(START_NS, 1_000_000)
        self.node.create_subscription(String, answer or f"{node}/answer", self._hear, DEEP)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", lambda m: self.status.append(m.status[0]), 10)

    def _hear(self, message):
        answer = json.loads(message.data)
        if answer["standing"]:
            self.standing.append(answer)
        elif answer["final"]:
            self.finals.append(answer)

    @property
    def owed(self):
        return self.asked - len(self.finals)

    def put(self, text, **fields):
        """One question: text, or an object that is sent as JSON, or bytes that stand in for the text as they are."""
        self.asked += 1
        if isinstance(text, bytes):
            mark = b"M" * max(len(text), 1)
            self.query.publish(serialize_message(String(data=mark.decode())).replace(mark, text))
        else:
            self.query.publish(String(data=json.dumps({"query": text, **fields}) if fields else text))

    def paid(self, timeout_s=60.0):
        """Waits until every question has its final answer, and sees to it that none has two. Returns the answers since the last call."""
        self.until(lambda: self.owed <= 0, timeout_s, f"an answer to each of {self.asked} questions ({self.owed} are owed)")
        self.spin(0.05)
        assert self.owed == 0, f"{-self.owed} answers too many: {self.finals[-3:]}"
        new, self.asked, self.finals = self.finals, 0, []
        return new

    def one(self, text, **fields):
        """One question and its one final answer."""
        self.put(text, **fields)
        (answer,) = self.paid()
        return answer

    def next_stamp(self):
        return next(self._stamps)

    def good(self, pixels=SCENE, timeout_s=60.0, send=None):
        """A good frame and a good question, until one is answered about that frame. Returns the answer."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            stamp = self.next_stamp()
            (send or self.sender)(pixels, stamp)
            self.spin(0.05)
            answer = self.one("mug")
            if answer["error"] is None and stamp_of(answer) == stamp:
                assert (answer["height"], answer["width"]) == pixels.shape[:2]
                return answer
        raise AssertionError(f"no good answer within {timeout_s} s; the last was {answer}")

    def refused(self, node, sentence, publish, timeout_s=30.0):
        """Publishes until the node's log has the sentence; what is asked meanwhile is answered about the last good frame."""
        before = self.good()
        self.until(lambda: node.output, what="a log")
        seen, end = len(node.output), time.monotonic() + timeout_s
        while sentence not in node.output[seen:]:
            publish()
            self.spin(0.05)
            answer = self.one("mug")
            assert answer["error"] is None
            assert stamp_of(answer) == stamp_of(before), "the last good frame is kept"
            assert time.monotonic() < end, f"{sentence!r} was not logged in:\n{node.output[seen:][-3000:]}"

    def send_compressed(self, data, stamp_ns=START_NS, format="jpeg", frame_id="camera"):
        message = CompressedImage(header=header(stamp_ns, frame_id), format=format)
        message.data = byte_array(np.frombuffer(data, np.uint8))
        self.compressed.publish(message)

    def send_jpeg(self, pixels, stamp_ns):
        self.send_compressed(cv2.imencode(".jpg", pixels)[1].tobytes(), stamp_ns)

    def values(self):
        """Of the last diagnostics."""
        return {value.key: value.value for value in self.status[-1].values}

    def switch(self, transport):
        """Another image transport, which takes a deactivation."""
        assert self.set_parameter("image_transport", transport) == (True, "")
        assert self.change_state("deactivate")
        assert self.change_state("activate")
        self.sender = self.send_jpeg if transport == "compressed" else self.send_frame
        publisher = self.compressed if transport == "compressed" else self.image
        self.until(lambda: publisher.get_subscription_count() and self.query.get_subscription_count(), what="the new subscription")


def raw_image(pixels, stamp_ns, **fields):
    """The bytes of an Image message, for tests that damage them."""
    return serialize_message(image_message(pixels, stamp_ns, **fields))


@contextlib.contextmanager
def bare_node(domain):
    """A node with a participant of its own, for what a participant refuses within itself."""
    with _environment(domain):
        context = rclpy.Context()
        rclpy.init(context=context, domain_id=domain)
        node = rclpy.create_node(f"other_{domain}", context=context)
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)
