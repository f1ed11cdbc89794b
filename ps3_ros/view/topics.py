"""Frames and answers of a running node, by its topics; questions go to it. Imports ROS.

Images are taken as they were serialised and decoded only to be shown: at most rate_hz of them, and none while no browser looks on.
"""

import json
import queue
import re
import struct
import threading
import time
import traceback
from collections import OrderedDict, defaultdict, deque

import numpy as np

try:
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
    from rclpy.serialization import deserialize_message
    from sensor_msgs.msg import CompressedImage, Image
    from std_msgs.msg import String

    from .. import messages, transport
except ImportError as error:
    raise ImportError(
        f"--ros needs ROS 2's Python packages ({error}); source your ROS 2 setup file, or pip install 'ps3_ros[ros-wheels]'"
    ) from error

from ..answer import Answer
from ..errors import FrameError, Ps3Error
from ..query import Request
from .scene import Shot, Told, best_crop, reduced_jpeg

NAME = re.compile(r"/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")
SPIN_S = 0.05
DISCOVERY_S = 3.0  # a question waits so long for a node that hears it
PAIR_S = 0.5  # an answer waits so long for its maps, which come by topics of their own
LIVE_AFTER_S = 3.0  # without an answer for so long, the newest frames are shown rather than the ones that answers are about
KEPT_IMAGES, KEPT_BYTES = 16, 256 << 20  # serialised images, for the answers about them
KEPT_MAPS = 64  # stamps


class Topics:
    """A thread with a ROS node of its own.

    Args:
        node: full name of the PS3 node, such as "/ps3"; camera: one of several, or None.
        image: the camera's topic (without /compressed), None for the node's own default; transport: "raw" or "compressed".
        show: function of a scene.Shot; tell: function of a scene.Told; changed: function called when the standing questions changed;
        all three are called from the thread.
        width: of the pictures sent, px; rate_hz: decoded pictures a second.
        domain: ROS domain, None for the environment's.

    Raises Ps3Error for a name that ROS does not take.
    """

    steps = False

    def __init__(self, show, tell, changed, node="/ps3", camera=None, image=None, transport="raw", width=1280, rate_hz=5.0, domain=None):
        for what, name in (("node", node), ("camera", camera), ("topic", image)):
            if name is not None and not NAME.fullmatch(name):
                raise Ps3Error(f"--{what} is {name[:80]!r}, which is no ROS name; give letters, digits, _ and /, such as /front/{what}")
        self._show, self._tell, self._changed, self._width, self._period = show, tell, changed, width, 1 / rate_hz
        self._node_name = "/" + node.strip("/")
        self._of = f"{self._node_name}/{camera}" if camera else self._node_name
        default = f"{self._node_name.rsplit('/', 1)[0]}/{camera + '/' if camera else ''}image"
        self._kind = CompressedImage if transport == "compressed" else Image
        self._image = (image or default) + ("/compressed" if transport == "compressed" else "")
        self._domain = domain
        self._actions, self._undiscovered, self._stopping = queue.SimpleQueue(), [], threading.Event()
        self._standing = []
        self._images, self._bytes, self._decoded = OrderedDict(), 0, None  # stamp -> serialised; the frame that was decoded last
        self._maps, self._pending = OrderedDict(), deque()
        self._due = self._answered = 0.0
        self._camera = self._reliability = None
        self._thread = threading.Thread(target=self._run, name="ps3-view-topics", daemon=True)

    @property
    def title(self) -> str:
        return f"node {self._of}, images {self._image}"

    def start(self):
        self._thread.start()

    def stop(self, timeout_s=5.0):
        self._stopping.set()
        self._thread.join(timeout_s)

    def ask(self, request: Request, standing=False):
        """Publishes a question; where no node hears it, that is its answer."""
        until = time.monotonic() + DISCOVERY_S
        self._actions.put(lambda: self._publish(request, standing, until))

    def forget(self, key: str):
        self._actions.put(lambda: self._unwatch.publish(String(data=key)))

    def standing(self) -> list:
        """The node's standing questions: [(key, text)]."""
        return self._standing

    def step(self, by: int):
        """A camera has no next picture."""

    def watched(self, count: int):
        self._actions.put(lambda: self._watch(count > 0))

    # ---- the thread

    def _run(self):
        context = rclpy.Context()
        try:
            transport.use_shared_memory(sends_frames=False)
            rclpy.init(args=[], context=context, domain_id=self._domain)
            self._serve(context)
        except Exception as error:  # of the middleware: the page must say it, as nobody reads this terminal
            reason = f"the viewer lost ROS ({type(error).__name__}: {error}); start ps3 view again"
            self._tell(Told(_data(Answer.failed("", reason))))
            traceback.print_exc()
        finally:
            rclpy.try_shutdown(context=context)

    def _serve(self, context):
        self._ros = rclpy.create_node("ps3_view", context=context)
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(self._ros)
        keep, latched = 100, QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._query, self._watchers, self._unwatch = (
            self._ros.create_publisher(String, f"{self._of}/{name}", keep) for name in ("query", "watch", "unwatch")
        )
        self._ros.create_subscription(String, f"{self._of}/answer", self._on_answer, 1000)
        self._ros.create_subscription(String, f"{self._of}/watching", self._on_watching, latched)
        for name in ("relevance", "looked"):
            self._ros.create_subscription(Image, f"{self._of}/{name}", lambda message, name=name: self._on_map(name, message), keep)
        self._ros.create_timer(1.0, self._follow)
        try:
            while not self._stopping.is_set():
                again, self._undiscovered = self._undiscovered, []
                for action in again:
                    action()
                while not self._actions.empty():
                    self._actions.get()()
                executor.spin_once(timeout_sec=SPIN_S)
                self._tell_pending()
                self._show_newest()
        finally:
            executor.shutdown()
            self._ros.destroy_node()

    def _publish(self, request, standing, until):
        target = self._watchers if standing else self._query
        if target.get_subscription_count() == 0:
            if time.monotonic() < until:  # the node may not be discovered yet
                self._undiscovered.append(lambda: self._publish(request, standing, until))
                return
            reason = f"no node hears {target.topic_name}; start it with `ps3 node` and see that it is active"
            self._tell(Told(_data(Answer.failed(request.text, reason, id=request.id))))
            return
        target.publish(messages.text_message({"query": request.text} | ({} if request.id is None else {"id": request.id})))

    # ---- images

    def _watch(self, wanted):
        """Takes images while somebody looks on."""
        if wanted and self._camera is None:
            self._subscribe("best_effort")
        elif not wanted and self._camera is not None:
            self._ros.destroy_subscription(self._camera)
            self._camera, self._decoded, self._bytes = None, None, 0
            self._images.clear()

    def _subscribe(self, reliability):
        if self._camera is not None:
            self._ros.destroy_subscription(self._camera)
        policy = ReliabilityPolicy.RELIABLE if reliability == "reliable" else ReliabilityPolicy.BEST_EFFORT
        profile = QoSProfile(depth=1, reliability=policy)
        self._camera = self._ros.create_subscription(self._kind, self._image, self._on_image, profile, raw=True)
        self._reliability = reliability

    def _follow(self):
        """Takes the camera's own reliability: a JPEG over UDP arrives by Reliable only."""
        cameras = self._ros.get_publishers_info_by_topic(self._image) if self._camera is not None else ()
        wanted = "reliable" if all(c.qos_profile.reliability == ReliabilityPolicy.RELIABLE for c in cameras) else "best_effort"
        if cameras and wanted != self._reliability:
            self._subscribe(wanted)

    def _on_image(self, data):
        stamp = _stamp_of(data)
        self._bytes += len(data) - len(self._images.pop(stamp, b""))
        self._images[stamp] = data
        while len(self._images) > KEPT_IMAGES or (self._bytes > KEPT_BYTES and len(self._images) > 1):
            self._bytes -= len(self._images.popitem(last=False)[1])

    def _show_newest(self):
        now = time.monotonic()
        if self._images and now >= self._due and now - self._answered > LIVE_AFTER_S:
            newest = next(reversed(self._images))
            if self._decoded is None or self._decoded.stamp_ns != newest:
                self._frame_of(newest)

    def _frame_of(self, stamp):
        """Decodes and shows the image of a stamp; None where it is gone, or cannot be used."""
        if self._decoded is not None and self._decoded.stamp_ns == stamp:
            return self._decoded
        if stamp not in self._images:
            return None
        self._due = time.monotonic() + self._period
        try:
            frame = messages.frame_from(deserialize_message(self._images[stamp], self._kind))
        except FrameError as error:
            self._images.pop(stamp)
            self._tell(Told(_data(Answer.failed("", error))))
            return None
        self._decoded = frame
        self._show(Shot(reduced_jpeg(frame.pixels, self._width), stamp, frame.frame_id, frame.width, frame.height, frame.frame_id))
        return frame

    # ---- answers

    def _on_map(self, name, message):
        stamp = messages.stamp_ns(message.header.stamp)
        self._maps.setdefault(stamp, defaultdict(deque))[name].append(_pixels(message))
        while len(self._maps) > KEPT_MAPS:
            self._maps.popitem(last=False)

    def _on_answer(self, message):
        try:
            answer = Answer.from_json(message.data)
        except Ps3Error as error:  # a node of another version
            answer = Answer.failed("", error)
        self._pending.append((time.monotonic(), answer))

    def _tell_pending(self):
        """Answers in their order, each with the maps that came before it; those of one frame come in the same order as its answers."""
        while self._pending:
            came, answer = self._pending[0]
            stamp = answer.stamp["sec"] * 1_000_000_000 + answer.stamp["nanosec"]
            maps = self._maps.get(stamp, {})
            both = all(maps.get(name) for name in ("relevance", "looked"))
            if answer.error is None and not both and time.monotonic() - came < PAIR_S:
                return
            self._pending.popleft()
            explained = answer.error is None and both
            relevance, looked = (maps[name].popleft() for name in ("relevance", "looked")) if explained else (None, None)
            data, frame = _data(answer), None
            due = not answer.standing or time.monotonic() >= self._answered + self._period or self._is_shown(stamp)
            if answer.error is None and due:
                frame = self._frame_of(stamp)
                self._answered = time.monotonic() if frame is not None else self._answered
            self._tell(Told(data, relevance, looked, None if frame is None else best_crop(frame.pixels, data["regions"])))

    def _is_shown(self, stamp):
        return self._decoded is not None and self._decoded.stamp_ns == stamp

    def _on_watching(self, message):
        try:
            listed = json.loads(message.data)
            self._standing = [(entry.get("id") or entry["text"], entry["text"]) for entry in listed]
        except (ValueError, KeyError, TypeError, AttributeError):  # not our node's
            self._standing = []
        self._changed()


def _stamp_of(data):
    """Nanoseconds of the header that a serialised Image or CompressedImage begins with (CDR: 4 bytes of encapsulation, sec, nanosec)."""
    sec, nanosec = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, 4)
    return sec * 1_000_000_000 + nanosec


def _pixels(message):
    """mono8 sensor_msgs/Image -> uint8 [h, w]."""
    return np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)[:, : message.width]


def _data(answer):
    return json.loads(answer.to_json())
