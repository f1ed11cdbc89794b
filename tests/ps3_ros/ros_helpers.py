"""For tests over real DDS: processes of ours that are stopped for certain, and a client that publishes, asks and waits with bounds."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String

from ps3_ros import transport
from ps3_ros.messages import byte_array, header

ROOT = Path(__file__).resolve().parents[2]
TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "cleanup": Transition.TRANSITION_CLEANUP,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "shutdown_unconfigured": Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    "shutdown_inactive": Transition.TRANSITION_INACTIVE_SHUTDOWN,
    "shutdown_active": Transition.TRANSITION_ACTIVE_SHUTDOWN,
}


_held = []  # lock files of the domains that this process has taken, until it ends


def free_domain():
    """A ROS domain from 1 to 100 that no other test process on this machine has: never a user's 0."""
    for step in range(100):
        domain = (os.getpid() + len(_held) + step) % 100 + 1
        lock = open(Path(tempfile.gettempdir()) / f"ps3_ros_test_domain_{domain}.lock", "w")  # noqa: SIM115
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        _held.append(lock)
        return domain
    raise RuntimeError("all 100 ROS domains are taken by other test processes; end some of them")


def environment(domain, logs, **more):
    """Of a child: its own domain, this machine only, no transport of the parent's, and logs where they may lie."""
    env = {
        k: v for k, v in os.environ.items() if k not in (*transport.PROFILE_VARIABLES, transport.TRANSPORT_VARIABLE, transport.OUR_VARIABLE)
    }
    env |= {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_LOG_DIR": str(logs), "PYTHONUNBUFFERED": "1"}
    return env | {"OMP_NUM_THREADS": "1", **more}


class Process:
    """`python -m MODULE ...` or `python SCRIPT.py ...`, its output kept; stopped by SIGTERM, and by SIGKILL where that does not help."""

    def __init__(self, module, *arguments, domain, logs, **env):
        self.path = Path(logs) / f"{Path(module).name}-{time.monotonic_ns()}.log"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("w") as out:
            run = [module] if module.endswith(".py") else ["-m", module]
            command = [sys.executable, *run, *map(str, arguments)]
            self.process = subprocess.Popen(command, env=environment(domain, logs, **env), stdout=out, stderr=subprocess.STDOUT, cwd=ROOT)

    @property
    def output(self):
        return self.path.read_text()

    def wait_for_output(self, text, timeout_s=30.0):
        end = time.monotonic() + timeout_s
        while text not in self.output:
            if time.monotonic() > end or self.process.poll() is not None:
                raise AssertionError(f"{text!r} did not appear in:\n{self.output}")
            time.sleep(0.05)

    def stop(self, timeout_s=10.0):
        """Ends it; returns (exit code, seconds it took), the code None where only SIGKILL helped."""
        start = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout_s), time.monotonic() - start
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None, time.monotonic() - start

    def kill(self):
        self.process.kill()
        self.process.wait()


class Client:
    """A camera and an operator in the test's own process, on a context of its own."""

    def __init__(self, domain, node="ps3", reliability=ReliabilityPolicy.BEST_EFFORT, image="image"):
        with _environment(domain):
            self.context = rclpy.Context()
            rclpy.init(context=self.context, domain_id=domain)
            self.node = rclpy.create_node(f"tester_{domain}", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.target, self.answers, self.relevance, self.looked = node, [], [], []
        camera = QoSProfile(depth=1, reliability=reliability)
        self.image = self.node.create_publisher(Image, image, camera)
        self.compressed = self.node.create_publisher(CompressedImage, f"{image}/compressed", camera)
        self.query = self.node.create_publisher(String, f"{node}/query", 100)
        self.node.create_subscription(String, f"{node}/answer", lambda m: self.answers.append(json.loads(m.data)), 100)
        self.node.create_subscription(Image, f"{node}/relevance", self.relevance.append, 100)
        self.node.create_subscription(Image, f"{node}/looked", self.looked.append, 100)

    def close(self):
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def until(self, ready, timeout_s=20.0, what="that"):
        """Spins until ready() is true and returns what it gave. Fails after timeout_s."""
        value = self.wait(ready, timeout_s)
        assert value, f"{what} did not happen within {timeout_s} s"
        return value

    def wait(self, ready, timeout_s):
        """As until, but returns the last ready() after timeout_s."""
        end = time.monotonic() + timeout_s
        while not (value := ready()) and time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)
        return value

    def spin(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.executor.spin_once(timeout_sec=0.02)

    def settle(self, seconds=0.5, timeout_s=30.0):
        """Until no answer has come for some time; then forgets those that did."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            self.answers.clear()
            self.spin(seconds)
            if not self.answers:
                return

    def wait_connected(self, images=True, timeout_s=30.0):
        """Until the node hears both topics and this hears its answers: it is active then."""
        publishers = [self.query] + [self.image] * images

        def ready():
            heard = all(p.get_subscription_count() for p in publishers)
            return (
                heard and self.node.count_publishers(f"/{self.target}/answer") and self.node.count_publishers(f"/{self.target}/relevance")
            )

        self.until(ready, timeout_s, "discovery of the active node")
        self.spin(0.2)

    def send_frame(self, pixels, stamp_ns=1_700_000_000_123_456_789, frame_id="camera", **fields):
        """Publishes pixels uint8 [H, W, 3] BGR as bgr8; fields replace those of the message."""
        self.image.publish(image_message(pixels, stamp_ns, frame_id, **fields))

    def ask(self, query, timeout_s=20.0):
        """One query, its answer: the first with that text that was not there before."""
        answer = self.ask_once(query, timeout_s)
        assert answer, f"no answer to {query[:80]!r} within {timeout_s} s"
        return answer

    def ask_once(self, query, timeout_s):
        """As ask, but None where none came."""
        known = len(self.answers)
        self.query.publish(String(data=query))
        return self.wait(lambda: next((a for a in self.answers[known:] if a["query"].strip() == query.strip()), None), timeout_s)

    def ask_about(self, query, pixels, stamp_ns, frame_id="camera", timeout_s=40.0, send=None):
        """Publishes the frame and asks until the answer is about it.

        A best-effort frame may be lost, the one in hand may be an older one, and a query to a node that is not yet discovered goes nowhere.
        """
        end, answer = time.monotonic() + timeout_s, None
        while time.monotonic() < end:
            (send or self.send_frame)(pixels, stamp_ns, frame_id)
            self.spin(0.2)
            answer = self.ask_once(query, 5.0)
            if answer and stamp_of(answer) == stamp_ns and answer["frame_id"] == frame_id:
                return answer
        raise AssertionError(f"no answer about the frame of {stamp_ns} within {timeout_s} s; the last was {answer}")

    def call(self, kind, name, request, timeout_s=20.0):
        client = self.node.create_client(kind, f"/{self.target}/{name}")
        try:
            self.until(client.service_is_ready, timeout_s, f"service {name}")
            future = client.call_async(request)
            self.until(future.done, timeout_s, f"an answer of service {name}")
            return future.result()
        finally:
            self.node.destroy_client(client)

    def change_state(self, transition):
        return self.call(ChangeState, "change_state", ChangeState.Request(transition=Transition(id=TRANSITIONS[transition]))).success

    def state(self):
        return self.call(GetState, "get_state", GetState.Request()).current_state.label

    def set_parameter(self, name, value):
        """(successful, reason)"""
        message: ParameterMessage = Parameter(name, value=value).to_parameter_msg()
        result = self.call(SetParameters, "set_parameters", SetParameters.Request(parameters=[message])).results[0]
        return result.successful, result.reason

    def describe(self, name):
        return self.call(DescribeParameters, "describe_parameters", DescribeParameters.Request(names=[name])).descriptors[0]


def stamp_of(answer):
    """Nanoseconds."""
    return answer["stamp"]["sec"] * 1_000_000_000 + answer["stamp"]["nanosec"]


def image_message(pixels, stamp_ns=1, frame_id="camera", **fields):
    message = Image(
        header=header(stamp_ns, frame_id), height=pixels.shape[0], width=pixels.shape[1], encoding="bgr8", step=pixels.shape[1] * 3
    )
    message.data = byte_array(pixels)
    for name, value in fields.items():
        setattr(message, name, byte_array(np.frombuffer(value, np.uint8)) if name == "data" else value)
    return message


@contextlib.contextmanager
def _environment(domain):
    """Of this process while its participant is made: domain, this machine only, and a segment that holds 4K frames."""
    saved = dict(os.environ)
    os.environ.update(ROS_DOMAIN_ID=str(domain), ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST")
    transport.use_shared_memory(sends_frames=True)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)
