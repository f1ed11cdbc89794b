"""The demo's operator: publishes queries and waits, with bounds, for the answers and for the maps that explain them."""

import time

import numpy as np
import rclpy
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from std_msgs.msg import String

from .answer import Answer
from .errors import BackendError
from .messages import stamp_ns

POLL_S = 0.05
AGAIN_S = 0.5  # before a query is asked anew because its answer was about another frame, or none
LOST_S = 20.0  # after so long without any answer the query itself is taken for lost


class Operator:
    """A node of its own, on its own context."""

    def __init__(self, domain, node="ps3"):
        self._context = rclpy.Context()
        rclpy.init(args=[], context=self._context, domain_id=domain)
        self._node = rclpy.create_node("ps3_operator", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._answers, self._maps = [], {}
        self._query = self._node.create_publisher(String, f"{node}/query", 10)
        self._node.create_subscription(String, f"{node}/answer", lambda message: self._answers.append(Answer.from_json(message.data)), 100)
        for name in ("relevance", "looked"):
            self._node.create_subscription(Image, f"{node}/{name}", lambda message, name=name: self._keep(name, message), 100)
        self._answer_topic = f"/{node}/answer"

    def close(self):
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def wait_for_node(self, timeout_s, check):
        """Until the node hears queries, which it does when it is active. Raises BackendError; check() may raise too."""
        ready = lambda: self._query.get_subscription_count() and self._node.count_publishers(self._answer_topic)  # noqa: E731
        if not self._spin_until(ready, timeout_s, check):
            raise BackendError(f"the node was not active within {timeout_s:g} s; see its log")

    def play(self, path, timeout_s, check, camera="ps3_camera"):
        """Makes the camera play this file from now on. Raises BackendError where it does not, with its reason."""
        client = self._node.create_client(SetParameters, f"/{camera}/set_parameters")
        parameter = Parameter("paths", value=[str(path)]).to_parameter_msg()
        done = None
        if self._spin_until(client.service_is_ready, timeout_s, check):
            future = client.call_async(SetParameters.Request(parameters=[parameter]))
            done = self._spin_until(future.done, timeout_s, check) and future.result().results[0]
        self._node.destroy_client(client)
        if not done or not done.successful:
            raise BackendError(
                f"the camera does not play {str(path)!r}: {done.reason if done else f'no answer within {timeout_s:g} s'}; see its log"
            )

    def ask(self, query, frame_id, timeout_s, maps_s, check):
        """Answer about the frame of that id, asked anew while the node still answers about another; and its maps.

        Returns (Answer or None where none came in time, (relevance float32 [g, g], looked uint8 [rows, cols]) or None).
        """
        end, last = time.monotonic() + timeout_s, None
        while (left := end - time.monotonic()) > 0:
            self._answers.clear()
            self._maps.clear()
            self._query.publish(String(data=query))
            mine = lambda: next((a for a in self._answers if a.query == query.strip() and a.final), None)  # noqa: E731
            answer = self._spin_until(mine, min(left, LOST_S), check)
            if answer is not None and answer.frame_id == frame_id and answer.error is None:
                return answer, self._maps_of(answer, maps_s, check)
            last = answer or last
            self._spin_until(lambda: False, min(AGAIN_S, max(0.0, end - time.monotonic())), check)
        return (last, None) if last is not None and last.error else (None, None)

    def _maps_of(self, answer, timeout_s, check):
        stamp = answer.stamp["sec"] * 1_000_000_000 + answer.stamp["nanosec"]
        both = lambda: all((name, stamp) in self._maps for name in ("relevance", "looked"))  # noqa: E731
        if not self._spin_until(both, timeout_s, check):
            return None
        return self._maps["relevance", stamp].astype(np.float32) / 255, self._maps["looked", stamp]

    def _keep(self, name, message):
        self._maps[name, stamp_ns(message.header.stamp)] = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)[
            :, : message.width
        ]

    def _spin_until(self, ready, timeout_s, check):
        """What ready() gave, or None after timeout_s."""
        end = time.monotonic() + timeout_s
        while not (value := ready()):
            if time.monotonic() >= end:
                return None
            check()
            self._executor.spin_once(timeout_sec=POLL_S)
        return value
