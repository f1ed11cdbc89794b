"""The ROS 2 lifecycle node: messages in, core call, messages out. A camera's topics are in channel.py, what looks and waits in worker.py.

Topics: topics.py. Parameters: parameters.py. All of it: docs/node.md.
"""
# ruff: noqa: E402

from .memory import keep_freed_memory

keep_freed_memory()  # before any import below starts threads

import os
import sys
import time
import traceback

import cv2

try:
    import rclpy
    from rclpy.duration import Duration
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

    from . import guidance, interfaces, labels, messages, parameters, topics, transport, viewers
    from .channel import Channel, qos_of
    from .guard import Guard
except ImportError as error:
    raise ImportError(
        f"the node needs ROS 2's Python packages ({error}); source your ROS 2 setup file, or pip install 'ps3_ros[ros-wheels]'"
    ) from error

from .ask import Asker
from .bundle import default_bundle
from .errors import Ps3Error
from .limited_log import LimitedLog
from .office import Office
from .process import SPIN_S, spin
from .query import camera_of
from .responder import Responder
from .text import split_choices
from .worker import Worker

STOP_S = 0.9  # a look that takes longer is left behind, so that the node is gone within 2 s
ACKED_S = 0.3
LOGGED_CHARACTERS = 300  # of a line that holds what others sent

# Functions of a Channel, called for each camera when the node is configured: they hook themselves in (see Channel).
ATTACHED = (labels.attach, viewers.attach, interfaces.attach, guidance.attach)


class Ps3Node(LifecycleNode):
    """configure: loads the bundle. activate: subscribes. deactivate: unsubscribes; what waits gets an error. cleanup, shutdown: let go."""

    def __init__(self, name="ps3", **arguments):
        super().__init__(name, **arguments)
        parameters.declare(self, check=self._check_change)
        self.parameters_now = parameters.Reader(self)
        self.worker = None
        self.channels = ()  # one a camera, while configured
        self.state_name, self.refusal = "unconfigured", None  # why the last configure failed
        self._make = None  # opens a backend of the bundle that is configured
        self._falling = False  # deactivated by the node itself
        self._common = {}  # publishers for all cameras, by key, where cameras have names
        self._active = []  # (entity, how to destroy it), while active
        self.log = LimitedLog(self._write_log, lambda: self.parameters_now().log_period_s)
        self.left = None  # the worker that was let go of: its thread may hang
        self.guard = Guard(self)

    @property
    def finalized(self):
        return self.state_name == "finalized"

    # ---- lifecycle

    def on_configure(self, state):
        now, started = self.parameters_now(), time.perf_counter()
        bundle = now.bundle or default_bundle()
        kept = {"share_looks": now.share_looks, "still_levels": now.still_levels}
        self._make = lambda backend: Asker(bundle, backend=backend, threads=now.threads, clock=self.now_ns, **kept)
        cv2.setNumThreads(now.threads or -1)  # of the resizings: -1 leaves it to OpenCV
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
        office = Office(self._responder(now, asker), self.log)
        if now.cameras:
            for topic in _common("out"):
                self._common[topic.key] = self.create_lifecycle_publisher(topics.kind(topic.type), topic.name, qos_of(topic))
        self.channels = tuple(Channel(self, name, office, self._common, now.query_queue) for name in now.cameras or (None,))
        for attach in ATTACHED:
            for channel in self.channels:
                attach(channel)
        self.worker = Worker(office, messages.frame_from, lost=self.guard.lost, mended=self.guard.mended)
        self.state_name = "inactive"
        encoder = asker.encoder
        self.get_logger().info(
            f"configured in {time.perf_counter() - started:.1f} s: {encoder.bundle.manifest.model_name} on {encoder.backend.name}, "
            f"from {str(bundle)!r}"
        )
        return TransitionCallbackReturn.SUCCESS

    def _responder(self, now, asker=None):
        return Responder(self._make, now.backend, now.fallback_backends, asker, self.log)

    def on_activate(self, state):
        outcome = super().on_activate(state)  # the publishers first: nothing that is asked may go unanswered
        if outcome != TransitionCallbackReturn.SUCCESS:
            return outcome
        now = self.parameters_now()
        if self.worker.hangs(STOP_S):  # the thread that hung before the node fell inactive
            self.restart_worker("the node was activated again")
        self.worker.resume()
        self.guard.activated()
        for channel in self.channels:
            channel.subscribe(now)
        for topic in _common("in") if self._common else ():
            take = lambda message, key=topic.key: self._pass_on(key, message)  # noqa: E731
            subscription = self.create_subscription(topics.kind(topic.type), topic.name, take, qos_of(topic))
            self._active.append((subscription, self.destroy_subscription))
        self._active.append((self.create_timer(1.0, self._look_after), self.destroy_timer))
        self.state_name = "active"
        images = ", ".join(channel.image_topic for channel in self.channels)
        self.get_logger().info(f"active: images from {images}, standing queries {len(now.standing_queries)}")
        return TransitionCallbackReturn.SUCCESS

    def _pass_on(self, key, message):
        """What came on a topic for all cameras, to the one that it names; the first where it names none, or one that is not there."""
        desk = self.worker.desk(camera_of(message.data))
        next(channel for channel in self.channels if channel.desk is desk).takes[key](message)

    def _look_after(self):
        now = self.parameters_now()
        for channel in self.channels:
            channel.look_after(now)

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
        self._active = []
        for channel in self.channels:
            channel.unsubscribe()

    def _release(self):
        self._unsubscribe()
        self.guard.deactivated(by_itself=False)
        worker, self.worker, self._make = self.worker, None, None
        channels, self.channels = self.channels, ()
        if worker is not None:
            worker.stop(STOP_S)
            acked = time.monotonic() + ACKED_S
            for publisher in (*self._common.values(), *(channel.outputs["answer"] for channel in channels)):
                # Else the last answers go down with the publisher.
                publisher.wait_for_all_acked(Duration(seconds=max(0.0, acked - time.monotonic())))
        for channel in channels:
            channel.release()
        for publisher in self._common.values():
            self.destroy_lifecycle_publisher(publisher)
        self._common = {}
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
        self.log("failure", f"unexpected failure: {trace}")

    # ---- parameters and time

    def now_ns(self):
        """Nanoseconds of the node's clock, which is the simulation's where use_sim_time says so."""
        return self.get_clock().now().nanoseconds

    def asking(self, channel):
        """What the parameters say now of the questions of one camera: office.Asking."""
        return parameters.asking(self.parameters_now(), watched=channel.heard("saliency"))

    def _check_change(self, values):
        """What only a loaded model can tell of new parameters: whether it can read the questions. Raises QueryError."""
        for name in ("standing_queries", "wake_queries"):
            for query in parameters.clean_queries(values.get(name)):
                self.check_text(query)

    def check_text(self, query):
        """Raises QueryError where the model that is loaded cannot read it."""
        asker = self.worker.responder.asker if self.worker is not None else None
        if asker is not None:
            _check_tokens(asker, query)

    # ---- log

    def _write_log(self, kind, line):
        """Bad input as a warning, failures as errors, drops, which are how the node keeps up, for who debugs. Escaped and cut."""
        logger = self.get_logger()
        line = "".join(c if c.isprintable() or (c == "\n" and kind == "failure") else repr(c)[1:-1] for c in line)
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


def _common(direction):
    return [topic for topic in topics.TOPICS if topic.common and topic.direction == direction]


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
