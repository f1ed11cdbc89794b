"""Who asks the node and hears it: its answers with the times they were published at, and the counts of its /diagnostics."""

import json
import os
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from ps3_ros import transport
from ps3_ros.errors import Ps3Error

KEPT = 1000
GLANCE_EXCEEDS = "from the glance alone takes"  # of the note of such an answer: docs/node.md, Deadlines


@dataclass(frozen=True)
class Heard:
    """at: monotonic seconds when it came; age_ms: from the frame's stamp to the answer's publication, by the middleware's clock.

    glance_exceeds: it says that even the glance alone takes longer than its deadline left.
    """

    at: float
    age_ms: float
    standing: bool
    error: str | None
    real_ms: float | None
    deadline_ms: float | None
    missed: bool
    glance_exceeds: bool
    patches_used: int


class Listener:
    """A node in this process with a thread of its own. query: what it asks while `asking`."""

    def __init__(self, query, name="ps3"):
        self.answers, self.reports, self._values, self._query = [], 0, {}, query
        self._context, environ = rclpy.Context(), dict(os.environ)
        try:
            transport.use_shared_memory(sends_frames=False)
            rclpy.init(args=[], context=self._context, domain_id=int(os.environ["ROS_DOMAIN_ID"]))
            self._node = rclpy.create_node("bench_listener", context=self._context)
        finally:  # a camera that is started later must not take this process's profile for the user's: its frames would be lost
            os.environ.clear()
            os.environ.update(environ)
        keep = QoSProfile(depth=KEPT)
        self._node.create_subscription(String, f"{name}/answer", self._on_answer, keep)
        self._node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, keep)
        self._publisher = self._node.create_publisher(String, f"{name}/query", keep)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def seen(self) -> int:
        return len(self.answers)

    def values(self) -> dict:
        """Of the newest report on /diagnostics."""
        return self._values

    def wait(self, what, timeout_s, ready, check=lambda: None) -> None:
        """Until ready() is true. check: raises where it cannot become so. Raises Ps3Error after timeout_s."""
        end = time.monotonic() + timeout_s
        while not ready():
            check()
            if time.monotonic() > end:
                raise Ps3Error(f"waited {timeout_s:g} s for {what} in vain; run the node by hand with ROS_DOMAIN_ID set to see why")
            time.sleep(0.05)

    @contextmanager
    def asking(self, rate_hz):
        """Asks so often meanwhile; 0: not at all."""
        timer = self._node.create_timer(1 / rate_hz, lambda: self._publisher.publish(String(data=self._query))) if rate_hz else None
        try:
            yield
        finally:
            if timer is not None:
                self._node.destroy_timer(timer)

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join(5)
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def _on_answer(self, message, info):
        a = json.loads(message.data)
        timing = a.get("timing") or {}
        stamp = a["stamp"]["sec"] * 1_000_000_000 + a["stamp"]["nanosec"]
        self.answers.append(Heard(
            time.monotonic(), (info["source_timestamp"] - stamp) / 1e6, bool(a.get("standing")), a.get("error"), timing.get("real_ms"),
            timing.get("deadline_ms"), bool(timing.get("missed")), GLANCE_EXCEEDS in (a.get("note") or ""), a.get("patches_used", 0),
        ))  # fmt: skip

    def _on_diagnostics(self, message):
        self._values = {entry.key: entry.value for entry in message.status[0].values}
        self.reports += 1
