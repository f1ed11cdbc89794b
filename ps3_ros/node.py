"""The ROS 2 lifecycle node: messages in, core call, messages out. What looks and waits is in worker.py.

Topics (names relative to the node's namespace; ~ is the node): image or image/compressed, ~/query, ~/watch and ~/unwatch in; ~/answer,
~/relevance, ~/looked, ~/saliency, ~/attention, ~/watching, /diagnostics and, where vision_msgs is installed, ~/detections out.
Parameters: parameters.py. All of it: docs/node.md.
"""

import os
import sys
import time
import traceback
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

    from . import messages, parameters, transport
    from .guard import Guard
except ImportError as error:
    raise ImportError(
        f"the node needs ROS 2's Python packages ({error}); source your ROS 2 setup file, or pip install 'ps3_ros[ros-wheels]'"
    ) from error

from .ask import Asker
from .bundle import default_bundle
from .errors import Ps3Error
from .limited_log import LimitedLog
from .process import SPIN_S, spin
from .query import Request
from .responder import Responder
from .text import split_choices
from .worker import Asking, Worker

KEPT = 1000  # queries and answers that the middleware keeps for a slow end: a flood of a second
SHOWN = 100  # likewise of what explains an answer
STOP_S = 0.9  # a look that takes longer is left behind, so that the node is gone within 2 s
SILENCE_S = 5.0  # with a publisher on the image topic and no image for so long, the transport is suspected
ACKED_S = 0.3
LOGGED_CHARACTERS = 300  # of a line that holds what others sent


class Ps3Node(LifecycleNode):
    """configure: loads the bundle. activate: subscribes. deactivate: unsubscribes; what waits gets an error. cleanup, shutdown: let go."""

    def __init__(self, name="ps3", **arguments):
        super().__init__(name, **arguments)
        parameters.declare(self, check=self._check_change)
        self.worker = None
        self.state_name, self.refusal = "unconfigured", None  # why the last configure failed
        self._make = None  # opens a backend of the bundle that is configured
        self._falling = False  # deactivated by the node itself
        self._active = []  # (entity, how to destroy it), while active
        self._camera = None
        self._outputs = {}  # publishers, while configured
        self._log = LimitedLog(self._write_log, lambda: self.parameters_now().log_period_s)
        self._images, self._active_since, self._warned = 0, 0.0, set()
        self._attention = self._told = None
        self.left = None  # the worker that was let go of: its thread may hang
        self.guard = Guard(self)

    @property
    def finalized(self):
        return self.state_name == "finalized"

    # ---- lifecycle

    def on_configure(self, state):
        now, started = self.parameters_now(), time.perf_counter()
        bundle = now.bundle or default_bundle()
        self._make = lambda backend: Asker(bundle, backend=backend, threads=now.threads, clock=self.now_ns)
        try:
            asker = self._make(now.backend)
            for query in (*now.standing_queries, *now.wake_queries):
                _check_tokens(asker, query)
        except Exception as error:  # a library's own too: the node stays, so that another bundle or backend can be tried
            advice = "" if isinstance(error, Ps3Error) else "; try another bundle or backend"
            self.refusal = f"cannot configure: {'' if isinstance(error, Ps3Error) else type(error).__name__ + ': '}{error}{advice}"
            self.get_logger().error(self.refusal)
            return TransitionCallbackReturn.FAILURE
        self.refusal = None
        self._advertise()
        self.worker = Worker(
            self._responder(now, asker),
            messages.frame_from,
            self._deliver,
            self._asking,
            self._log,
            now.query_queue,
            glimpse=self._show_glimpse,
            lost=self.guard.lost,
            mended=self.guard.mended,
            check=self._check_text,
        )
        self.state_name = "inactive"
        encoder = asker.encoder
        self.get_logger().info(
            f"configured in {time.perf_counter() - started:.1f} s: {encoder.bundle.manifest.model_name} on {encoder.backend.name}, "
            f"from {str(bundle)!r}"
        )
        return TransitionCallbackReturn.SUCCESS

    def _advertise(self):
        keep, shown, latched = qos("reliable", KEPT), qos("reliable", SHOWN), qos("reliable", 1, DurabilityPolicy.TRANSIENT_LOCAL)
        kinds = {
            "answer": (String, keep), "relevance": (Image, shown), "looked": (Image, shown), "saliency": (Image, shown),
            "attention": (String, latched), "watching": (String, latched),
        }  # fmt: skip
        if messages.Detection2DArray is not None:
            kinds["detections"] = (messages.Detection2DArray, shown)
        self._outputs = {name: self.create_lifecycle_publisher(kind, f"~/{name}", profile) for name, (kind, profile) in kinds.items()}

    def _responder(self, now, asker=None):
        return Responder(self._make, now.backend, now.fallback_backends, asker, self._log)

    def on_activate(self, state):
        outcome = super().on_activate(state)  # the publishers first: nothing that is asked may go unanswered
        if outcome != TransitionCallbackReturn.SUCCESS:
            return outcome
        now = self.parameters_now()
        if self.worker.hangs(STOP_S):  # the thread that hung before the node fell inactive
            self.restart_worker("the node was activated again")
        self.worker.resume()
        self.guard.activated()
        self._images, self._active_since = 0, time.monotonic()
        self._subscribe_images(now, "best_effort" if now.qos_reliability == "auto" else now.qos_reliability)
        keep = qos("reliable", KEPT)
        for topic, take in (("query", self._on_query), ("watch", self._on_watch), ("unwatch", self._on_unwatch)):
            self._active.append((self.create_subscription(String, f"~/{topic}", take, keep), self.destroy_subscription))
        self._active.append((self.create_timer(1.0, self._watch), self.destroy_timer))
        self.state_name, self._attention, self._told = "active", None, None
        self._tell_standing()
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
        self.guard.deactivated(by_itself=self._falling)
        reason = {"reason": f"the node fell {self.guard.fault}"} if self._falling else {}
        if not self.worker.pause(STOP_S, mend=self._falling, **reason):
            self.get_logger().warning(f"the step in hand takes longer than {STOP_S} s; what comes of it will be thrown away")
        self.state_name = "inactive"
        self.get_logger().info(f"inactive; since it was configured: {self._counts_text()}")
        return super().on_deactivate(state)

    def on_cleanup(self, state):
        self._release()
        self.state_name = "unconfigured"
        return super().on_cleanup(state)

    def on_shutdown(self, state):
        self._release()
        self.state_name = "finalized"
        return super().on_shutdown(state)

    def on_error(self, state):
        """After an unexpected failure in a transition: unconfigured again, so that configure can be tried anew."""
        self._release()
        self.state_name = "unconfigured"
        return TransitionCallbackReturn.SUCCESS

    def _unsubscribe(self):
        for entity, destroy in self._active:
            destroy(entity)
        if self._camera is not None:
            self.destroy_subscription(self._camera)
        self._active, self._camera = [], None

    def _release(self):
        self._unsubscribe()
        self.guard.deactivated(by_itself=False)
        worker, self.worker, self._make = self.worker, None, None
        if worker is not None:
            worker.stop(STOP_S)
            self._outputs["answer"].wait_for_all_acked(Duration(seconds=ACKED_S))  # else the last answers go down with the publisher
        for publisher in self._outputs.values():
            self.destroy_lifecycle_publisher(publisher)
        self._outputs = {}
        self.left = worker or self.left

    # ---- what the guard asks for

    def later(self, action):
        """Has the executor's thread do it: transitions are made by one thread only."""
        if self.executor is not None:
            self.executor.create_task(action)

    def fall_inactive(self):
        if self.state_name == "active":
            self._falling = True
            try:
                self.trigger_deactivate()
            finally:
                self._falling = False

    def come_back(self):
        if self.state_name == "inactive" and self.guard.fault is not None:
            self.get_logger().info("a backend works again")
            self.trigger_activate()

    def restart_worker(self, reason):
        self.worker.restart(self._responder(self.parameters_now()), reason)

    def failed(self, trace):
        """Logs what went wrong where nothing should have."""
        self._log("failure", f"unexpected failure: {trace}")

    # ---- in

    def _on_image(self, message):
        self._images += 1
        self.guard.health.image()
        fine = len(message.data) <= transport.DEFAULT_SEGMENT or (isinstance(message, CompressedImage) and self._reliability == "reliable")
        if not fine and "transport" not in self._warned:
            self._warned.add("transport")
            if problem := transport.large_frames_problem(get_rmw_implementation_identifier()):
                self.get_logger().warning(f"frames of {len(message.data) / 1e6:.1f} MB arrive, but many may not: {problem}")
        self.worker.put_image(message)

    def _on_query(self, message):
        self.worker.put_query(message.data)
        self._tell_attention("a query came")

    def _on_watch(self, message):
        if self.worker.put_watch(message.data):
            self._tell_standing()

    def _on_unwatch(self, message):
        if self.worker.put_unwatch(message.data):
            self._tell_standing()

    # ---- out

    def _deliver(self, answer, detail, frame):
        """From the worker's thread, and from this one for a query that was refused. What explains an answer is sent before it."""
        try:
            if detail is not None:
                self._explain(answer, detail, frame)
        finally:  # whatever happens to the maps: a query gets its answer
            self._outputs["answer"].publish(messages.answer_message(answer))
            self.guard.health.answer(answer)

    def _explain(self, answer, detail, frame):
        outputs = self._outputs
        outputs["relevance"].publish(messages.relevance_message(detail.relevance, frame))
        outputs["looked"].publish(messages.looked_message(detail, frame))
        if "detections" in outputs:
            outputs["detections"].publish(messages.detections_message(answer, frame))

    def _show_glimpse(self, saliency, glimpse, frame):
        """From the worker's thread."""
        self._outputs["saliency"].publish(messages.relevance_message(saliency, frame))
        x, y = glimpse.place
        where = f"saliency rose to {glimpse.peak:.2f} at {x * frame.width:.0f}, {y * frame.height:.0f}"
        self._tell_attention(where if glimpse.awake else "nothing is asked")

    def _tell_attention(self, reason):
        """On ~/attention, when what the newest frame is wanted for has changed."""
        purpose = self.worker.idle_for() if self.worker is not None else None
        if purpose is not None and purpose != self._attention and "attention" in self._outputs:
            self._attention = purpose
            self._outputs["attention"].publish(messages.text_message({"state": purpose, "reason": reason}))

    def _tell_standing(self):
        """On ~/watching: the standing queries of now."""
        requests = [messages.request_values(request) for request in self.worker.standing()]
        if "watching" in self._outputs and requests != self._told:
            self._told = requests
            self._outputs["watching"].publish(messages.text_message(requests))

    def _watch(self):
        """Once a second: what was dropped, the cameras' reliability, and a camera that publishes and is not heard."""
        self._tell_attention("nothing else is asked")
        self._tell_standing()
        if dropped := self.worker.counts()["dropped"]:
            self._log("dropped", f"{dropped} images were replaced by newer ones before they could be looked at")
        topic, now = self._camera.topic_name, self.parameters_now()
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

    # ---- parameters and time

    def now_ns(self):
        """Nanoseconds of the node's clock, which is the simulation's where use_sim_time says so."""
        return self.get_clock().now().nanoseconds

    def parameters_now(self):
        return parameters.read(self)

    def _asking(self):
        now = self.parameters_now()
        watched = "saliency" in self._outputs and (now.wake_saliency < 1 or self._outputs["saliency"].get_subscription_count() > 0)
        return Asking(
            standing=tuple(Request(text) for text in now.standing_queries),
            looks=now.looks,
            tokens=now.max_patches,
            query_timeout_s=now.query_timeout_s,
            frame_timeout_s=now.frame_timeout_s,
            deadline_ms=now.deadline_ms,
            standing_patches=now.standing_patches,
            standing_rate_hz=now.standing_rate_hz,
            standby_rate_hz=now.standby_rate_hz if watched else 0.0,
            wake_saliency=now.wake_saliency if now.wake_saliency < 1 else 2.0,
            wake_queries=tuple(Request(text) for text in now.wake_queries),
            awake_s=now.awake_s,
        )

    def _check_change(self, values):
        """What only a loaded model can tell of new parameters: whether it can read the questions. Raises QueryError."""
        for name in ("standing_queries", "wake_queries"):
            for query in parameters.clean_queries(values.get(name)):
                self._check_text(query)

    def _check_text(self, query):
        asker = self.worker.responder.asker if self.worker is not None else None
        if asker is not None:
            _check_tokens(asker, query)

    # ---- log

    def _write_log(self, kind, line):
        """Bad input as a warning, failures as errors, drops, which are how the node keeps up, for who debugs. Escaped and cut."""
        logger = self.get_logger()
        line = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in line)
        if kind != "failure" and len(line) > LOGGED_CHARACTERS:
            line = line[: LOGGED_CHARACTERS - 3] + "..."
        line = f"{kind}: {line}; so far {self._counts_text()}"
        if kind == "failure":  # a line of code for each level: rclpy refuses another level from the same line
            logger.error(line)
        elif kind == "measured":
            logger.info(line)
        elif kind == "dropped":
            logger.debug(line)
        else:
            logger.warning(line)

    def _counts_text(self):
        worker = self.worker  # another thread may let go of it
        return ", ".join(f"{name} {count}" for name, count in worker.counts().items()) if worker is not None else "nothing"


def qos(reliability, depth, durability=DurabilityPolicy.VOLATILE):
    """A profile that keeps the last `depth` messages. reliability: "best_effort" or "reliable"."""
    policy = ReliabilityPolicy.RELIABLE if reliability == "reliable" else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=depth, history=HistoryPolicy.KEEP_LAST, reliability=policy, durability=durability)


def _check_tokens(asker, query):
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
        try:
            executor.spin_once(timeout_sec=SPIN_S)
        except Exception:  # a callback's: one message that we or a library cannot take must not end the node
            node.failed(traceback.format_exc())
    if not node.finalized:
        node.trigger_shutdown()
    node.guard.stop()
    executor.remove_node(node)
    node.destroy_node()
    if node.left is not None and node.left.is_alive():
        # A thread inside an inference runtime is cut off by the interpreter's end, which aborts the process.
        rclpy.try_shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
