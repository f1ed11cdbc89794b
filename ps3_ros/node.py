"""The ROS 2 lifecycle node: messages in, core call, messages out. What looks and waits is in worker.py.

Topics (names relative to the node's namespace; ~ is the node): image or image/compressed and ~/query in; ~/answer, ~/relevance, ~/looked
and, where vision_msgs is installed, ~/detections out. Parameters: parameters.py.
"""

import os
import sys
import time
from pathlib import Path

try:
    import rclpy
    from rclpy.duration import Duration
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
    from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
    from rclpy.utilities import get_rmw_implementation_identifier
    from sensor_msgs.msg import CompressedImage, Image
    from std_msgs.msg import String
except ImportError as error:
    raise ImportError(
        f"the node needs ROS 2's Python packages ({error}); source your ROS 2 setup file, or pip install 'ps3_ros[ros-wheels]'"
    ) from error

from . import messages, parameters, transport
from .ask import Asker
from .bundle import default_bundle
from .errors import Ps3Error
from .process import SPIN_S, spin
from .text import split_choices
from .worker import Asking, LimitedLog, Worker

KEPT = 100  # queries and answers that the middleware keeps for a slow end
STOP_S = 1.2  # a look that takes longer is left behind, so that the node is gone within 2 s
SILENCE_S = 5.0  # with a publisher on the image topic and no image for so long, the transport is suspected
ACKED_S = 0.3
LOGGED_CHARACTERS = 300  # of a line that holds what others sent


class Ps3Node(LifecycleNode):
    """configure: loads the bundle. activate: subscribes. deactivate: unsubscribes; what waits gets an error. cleanup, shutdown: let go."""

    def __init__(self, name="ps3", **arguments):
        super().__init__(name, **arguments)
        parameters.declare(self, check=self._check_change)
        self.asker = self.worker = None
        self.finalized = False
        self._camera = self._query = self._timer = None  # while active
        self._outputs = {}  # publishers, while configured
        self._log = LimitedLog(self._write_log, lambda: self._parameters_now().log_period_s)
        self._images, self._active_since, self._warned = 0, 0.0, set()

    # ---- lifecycle

    def on_configure(self, state):
        now = self._parameters_now()
        try:
            bundle = now.bundle or default_bundle()
            started = time.perf_counter()
            asker = Asker(bundle, backend=now.backend, threads=now.threads, clock=lambda: self.get_clock().now().nanoseconds)
            _check_tokens(asker, now.standing_queries)
        except Ps3Error as error:
            self.get_logger().error(f"cannot configure: {error}")
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # a library's own: the node stays, so that another bundle or backend can be tried
            self.get_logger().error(f"cannot configure: {type(error).__name__}: {error}; try another bundle or backend")
            return TransitionCallbackReturn.FAILURE
        self.asker = asker
        keep = qos("reliable", KEPT)
        self._outputs = {
            "answer": self.create_lifecycle_publisher(String, "~/answer", keep),
            "relevance": self.create_lifecycle_publisher(Image, "~/relevance", keep),
            "looked": self.create_lifecycle_publisher(Image, "~/looked", keep),
        }
        if messages.Detection2DArray is not None:
            self._outputs["detections"] = self.create_lifecycle_publisher(messages.Detection2DArray, "~/detections", keep)
        self.worker = Worker(asker, messages.frame_from, self._deliver, self._asking, self._log, now.query_queue)
        encoder = asker.encoder
        self.get_logger().info(
            f"configured in {time.perf_counter() - started:.1f} s: {encoder.bundle.manifest.model_name} on {encoder.backend.name}, "
            f"from {str(bundle)!r}"
        )
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state):
        outcome = super().on_activate(state)  # the publishers first: nothing that is asked may go unanswered
        if outcome != TransitionCallbackReturn.SUCCESS:
            return outcome
        now = self._parameters_now()
        self.worker.resume()
        self._images, self._active_since = 0, time.monotonic()
        self._subscribe_images(now, "best_effort" if now.qos_reliability == "auto" else now.qos_reliability)
        self._query = self.create_subscription(
            String, "~/query", lambda message: self.worker.put_query(message.data), qos("reliable", KEPT)
        )
        self._timer = self.create_timer(1.0, self._watch)
        self.get_logger().info(f"active: images from {self._camera.topic_name}, standing queries {len(now.standing_queries)}")
        return TransitionCallbackReturn.SUCCESS

    def _subscribe_images(self, now, reliability):
        """(Again) with a reliability of "best_effort" or "reliable"."""
        if self._camera is not None:
            self.destroy_subscription(self._camera)
        topic, kind = ("image/compressed", CompressedImage) if now.image_transport == "compressed" else ("image", Image)
        self._camera = self.create_subscription(kind, topic, self._on_image, qos(reliability, now.qos_depth))
        self._reliability = reliability

    def on_deactivate(self, state):
        self._unsubscribe()
        if not self.worker.pause(STOP_S):
            self.get_logger().warning(f"the look in hand takes longer than {STOP_S} s; its answer will be thrown away")
        self.get_logger().info(f"inactive; since it was configured: {self._counts_text()}")
        return super().on_deactivate(state)

    def on_cleanup(self, state):
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state):
        self._release()
        self.finalized = True
        return super().on_shutdown(state)

    def on_error(self, state):
        """After an unexpected failure in a transition: unconfigured again, so that configure can be tried anew."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def _unsubscribe(self):
        for entity, destroy in (
            (self._camera, self.destroy_subscription),
            (self._query, self.destroy_subscription),
            (self._timer, self.destroy_timer),
        ):
            if entity is not None:
                destroy(entity)
        self._camera = self._query = self._timer = None

    def _release(self):
        self._unsubscribe()
        if self.worker is not None:
            self.worker.stop(STOP_S)
            self._outputs["answer"].wait_for_all_acked(Duration(seconds=ACKED_S))  # else the last answers go down with the publisher
        self.asker = self.worker = None
        for publisher in self._outputs.values():
            self.destroy_lifecycle_publisher(publisher)
        self._outputs = {}

    # ---- in and out

    def _on_image(self, message):
        self._images += 1
        fine = len(message.data) <= transport.DEFAULT_SEGMENT or (isinstance(message, CompressedImage) and self._reliability == "reliable")
        if not fine and "transport" not in self._warned:
            self._warned.add("transport")
            if problem := transport.large_frames_problem(get_rmw_implementation_identifier()):
                self.get_logger().warning(f"frames of {len(message.data) / 1e6:.1f} MB arrive, but many may not: {problem}")
        self.worker.put_image(message)

    def _deliver(self, answer, detail, frame):
        """From the worker's thread, and from this one for a query that was refused. What explains an answer is sent before it."""
        try:
            if detail is not None:
                self._explain(answer, detail, frame)
        finally:  # whatever happens to the maps: a query gets its answer
            self._outputs["answer"].publish(messages.answer_message(answer))

    def _explain(self, answer, detail, frame):
        outputs = self._outputs
        outputs["relevance"].publish(messages.relevance_message(detail.relevance, frame))
        outputs["looked"].publish(messages.looked_message(detail, frame))
        if "detections" in outputs:
            outputs["detections"].publish(messages.detections_message(answer, frame))

    def _watch(self):
        """Once a second: what was dropped, the cameras' reliability, and a camera that publishes and is not heard."""
        if dropped := self.worker.counts()["dropped"]:
            self._log("dropped", f"{dropped} images were replaced by newer ones before they could be looked at")
        topic, now = self._camera.topic_name, self._parameters_now()
        cameras = self.get_publishers_info_by_topic(topic)
        if now.qos_reliability == "auto" and cameras:
            wanted = "reliable" if all(c.qos_profile.reliability == ReliabilityPolicy.RELIABLE for c in cameras) else "best_effort"
            if wanted != self._reliability:
                self._subscribe_images(now, wanted)
        if cameras and self._images == 0 and time.monotonic() - self._active_since > SILENCE_S and "silence" not in self._warned:
            self._warned.add("silence")
            profile = (transport.config_folder() or Path("config")) / transport.SENDER_PROFILES[0][0]
            self.get_logger().warning(
                f"{topic} has a publisher but no image came in {SILENCE_S:g} s; if its frames are over 512 KB, start the camera with "
                f"{transport.PROFILE_VARIABLES[0]}={profile}, or send JPEG; if it is best_effort, qos_reliability must not be reliable"
            )

    def _asking(self):
        now = self._parameters_now()
        return Asking(now.standing_queries, now.looks, now.max_patches, now.query_timeout_s)

    def _parameters_now(self):
        return parameters.read(self)

    def _check_change(self, values):
        """What only a loaded model can tell of new parameters: whether it can read the standing queries. Raises QueryError."""
        if self.asker is not None:
            _check_tokens(self.asker, parameters.clean_queries(values.get("standing_queries")))

    def _write_log(self, kind, line):
        """Bad input as a warning, failures as errors, drops, which are how the node keeps up, for who debugs. Escaped and cut."""
        logger = self.get_logger()
        write = {"failure": logger.error, "dropped": logger.debug}.get(kind, logger.warning)
        line = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in line)
        if kind != "failure" and len(line) > LOGGED_CHARACTERS:
            line = line[: LOGGED_CHARACTERS - 3] + "..."
        write(f"{kind}: {line}; so far {self._counts_text()}")

    def _counts_text(self):
        worker = self.worker  # another thread may let go of it
        return ", ".join(f"{name} {count}" for name, count in worker.counts().items()) if worker is not None else "nothing"


def qos(reliability, depth):
    """A profile that keeps the last `depth` messages. reliability: "best_effort" or "reliable"."""
    policy = ReliabilityPolicy.RELIABLE if reliability == "reliable" else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=depth, history=HistoryPolicy.KEEP_LAST, reliability=policy, durability=DurabilityPolicy.VOLATILE)


def _check_tokens(asker, queries):
    for query in queries:
        for label in split_choices(query):
            asker.encoder.text_encoder.tokens(label)


def main(args=None):
    """Runs the node until SIGINT or SIGTERM. args: ROS arguments, such as ["--ros-args", "-p", "threads:=2"]. Returns the exit code."""
    transport.use_shared_memory(sends_frames=False)
    return spin(Ps3Node, "ps3_node", args, _serve)


def _serve(node, stopped):
    """The node's life: autostart, spinning until `stopped()`, shutdown."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    if parameters.read(node).autostart:
        if node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            node.trigger_activate()
        else:
            node.get_logger().error("the node waits unconfigured: correct its parameters and configure it, or stop it")
    while not stopped():
        executor.spin_once(timeout_sec=SPIN_S)
    worker = node.worker
    if not node.finalized:
        node.trigger_shutdown()
    executor.remove_node(node)
    node.destroy_node()
    if worker is not None and worker.is_alive():
        # A thread inside an inference runtime is cut off by the interpreter's end, which aborts the process.
        rclpy.try_shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
