"""One camera of the node: its topics, its desk, what its answers gain on the way out, its health figures. Imports ROS."""

import time
import traceback
from pathlib import Path

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import CompressedImage

from . import messages, topics, transport
from .bearings import CalibrationError, Camera
from .desk import Desk
from .health import Health
from .places import Places, Tracks, depth_image

SILENCE_S = 5.0  # with a publisher on the image topic and no image for so long, the transport is suspected


class Channel:
    """A camera's publishers while the node is configured, its subscriptions while it is active.

    node: Ps3Node. name: of the camera, None where the node has one. common: publishers of the node's own topics for all cameras, by key.

    Others hook in while the node is configured (node.ATTACHED):
        takes: {key of an incoming topic of topics.py: function of a message}, subscribed to at each activation.
        closers: functions without arguments, called when the node lets go of its publishers.
        listeners: functions of (Answer, AskDetail, Frame), called by the thread that looks after an answer about a frame was published.
        desk.chosen, desk.prior, desk.complete: see desk.Desk.
    """

    def __init__(self, node, name, office, common, queue_size):
        self.node, self.name, self.health = node, name, Health()
        self.outputs, self._common = {}, common
        for topic in topics.TOPICS:
            if topic.direction == "out" and not topic.name.startswith("/"):
                self.advertise(topic)
        self.desk = Desk(
            office, self.deliver, lambda: node.asking(self), queue_size, glimpse=self._show_glimpse, check=node.check_text, name=name
        )
        self.places, self.tracks = Places(node.log), Tracks(time.monotonic)
        self.desk.chosen.append(lambda frame: self.places.want(frame.stamp_ns))
        self.desk.complete += [self.tracks.complete, self._place]
        self.takes = {
            "query": self._on_query, "watch": self._on_watch, "unwatch": self._on_unwatch, "camera_info": self._on_camera_info,
        }  # fmt: skip
        self.listeners, self.closers = [], []
        self._active = []  # (entity, how to destroy it)
        self._image = self._reliability = None
        self._images, self._active_since, self._warned = 0, 0.0, set()
        self._attention = self._told = None

    @property
    def image_topic(self):
        return self._image.topic_name

    def advertise(self, topic):
        """A publisher of a topics.Topic, where its message type is installed."""
        if (message := topics.kind(topic.type)) is not None:
            self.outputs[topic.key] = self.node.create_lifecycle_publisher(message, topic.of(self.name), qos_of(topic))

    def release(self):
        """Lets go of all topics."""
        self.unsubscribe()
        for close in self.closers:
            close()
        for publisher in self.outputs.values():
            self.node.destroy_lifecycle_publisher(publisher)
        self.outputs = {}

    # ---- in

    def subscribe(self, now):
        """now: parameters.Parameters."""
        self._images, self._active_since, self._attention, self._told = 0, time.monotonic(), None, None
        self.places.clear()
        self.tracks.clear()
        self._subscribe_images(now, "best_effort" if now.qos_reliability == "auto" else now.qos_reliability)
        takes = self.takes | ({"depth": self._on_depth} if now.depth else {})
        for key, take in takes.items():
            topic = topics.topic(key)
            subscription = self.node.create_subscription(topics.kind(topic.type), topic.of(self.name), take, qos_of(topic))
            self._active.append((subscription, self.node.destroy_subscription))
        self.tell_standing()

    def _subscribe_images(self, now, reliability):
        """(Again) with a reliability of "best_effort" or "reliable"."""
        if self._image is not None:
            self.node.destroy_subscription(self._image)
        topic = topics.topic("image/compressed" if now.image_transport == "compressed" else "image")
        profile = qos(reliability, now.qos_depth)
        self._image = self.node.create_subscription(topics.kind(topic.type), topic.of(self.name), self._on_image, profile)
        self._reliability = reliability

    def unsubscribe(self):
        for entity, destroy in self._active:
            destroy(entity)
        if self._image is not None:
            self.node.destroy_subscription(self._image)
        self._active, self._image = [], None

    def _on_image(self, message):
        self._images += 1
        self.health.image()
        fine = len(message.data) <= transport.DEFAULT_SEGMENT or (isinstance(message, CompressedImage) and self._reliability == "reliable")
        if not fine and "transport" not in self._warned:
            self._warned.add("transport")
            if problem := transport.large_frames_problem(get_rmw_implementation_identifier()):
                self.node.get_logger().warning(f"frames of {len(message.data) / 1e6:.1f} MB arrive, but many may not: {problem}")
        self.desk.put_image(message)

    def _on_query(self, message):
        self.desk.put_query(message.data)
        self.tell_attention("a query came")

    def _on_watch(self, message):
        if self.desk.put_watch(message.data):
            self.tell_standing()

    def _on_unwatch(self, message):
        if self.desk.put_unwatch(message.data):
            self.tell_standing()

    def _on_camera_info(self, info):
        if not any(info.k):  # sensor_msgs/CameraInfo: K[0] is 0 where the camera is uncalibrated
            self.places.put_camera(None)
            return
        try:
            binning, offset = (info.binning_x, info.binning_y), (info.roi.x_offset, info.roi.y_offset)
            self.places.put_camera(Camera.of(info.width, info.height, info.distortion_model, info.k, info.d, binning, offset))
        except CalibrationError as error:
            self.places.put_camera(None)
            self.desk.count("bad_calibrations")
            self.node.log("calibration", str(error))

    def _on_depth(self, m):
        try:
            stamp = messages.stamp_ns(m.header.stamp)
            self.places.put_depth(depth_image(m.height, m.width, m.encoding, m.is_bigendian, m.step, m.data, stamp))
        except CalibrationError as error:
            self.desk.count("bad_depths")
            self.node.log("calibration", str(error))

    # ---- out

    def publish(self, key, message):
        """On a topic of topics.py, and on the common one where there is one."""
        self.outputs[key].publish(message)
        if key in self._common:
            self._common[key].publish(message)

    def heard(self, key):
        """Whether somebody subscribes to one of the outputs."""
        return key in self.outputs and self.outputs[key].get_subscription_count() > 0

    def deliver(self, answer, detail, frame):
        """From the worker's thread, and from the executor's for a query that was refused. What explains an answer is sent before it."""
        try:
            if detail is not None:
                self._explain(answer, detail, frame)
        finally:  # whatever happens to the maps: a query gets its answer
            self.publish("answer", messages.answer_message(answer))
            if answer.final:
                self.health.answer(answer)
        if detail is not None:
            for listener in self.listeners:
                try:
                    listener(answer, detail, frame)
                except Exception:  # a picture that fails must not keep the next question waiting
                    self.node.failed(traceback.format_exc())

    def _explain(self, answer, detail, frame):
        self.publish("relevance", messages.relevance_message(detail.relevance, frame))
        self.publish("looked", messages.looked_message(detail, frame))
        if "detections" in self.outputs:
            self.publish("detections", messages.detections_message(answer, frame))

    def _place(self, answer, request, frame):
        return self.places.complete(answer, frame, self.node.parameters_now().depth_tolerance_s)

    def _show_glimpse(self, saliency, glimpse, frame):
        """From the worker's thread."""
        self.publish("saliency", messages.relevance_message(saliency, frame))
        x, y = glimpse.place
        where = f"saliency rose to {glimpse.peak:.2f} at {x * frame.width:.0f}, {y * frame.height:.0f}"
        self.tell_attention(where if glimpse.awake else "nothing is asked")

    def tell_attention(self, reason):
        """On ~/attention, when what the newest frame is wanted for has changed."""
        purpose = self.desk.idle_for()
        if purpose != self._attention and "attention" in self.outputs:
            self._attention = purpose
            self.publish("attention", messages.text_message({"state": purpose, "reason": reason}))

    def tell_standing(self):
        """On ~/watching: the standing queries of now."""
        requests = [messages.request_values(request) for request in self.desk.standing()]
        if "watching" in self.outputs and requests != self._told:
            self._told = requests
            self.publish("watching", messages.text_message(requests))

    def look_after(self, now):
        """Once a second: what was dropped, the camera's reliability, and a camera that publishes and is not heard."""
        self.tell_attention("nothing else is asked")
        self.tell_standing()
        if dropped := self.desk.counts()["dropped"]:
            self.node.log("dropped", f"{dropped} images were replaced by newer ones before they could be looked at")
        topic = self.image_topic
        cameras = self.node.get_publishers_info_by_topic(topic)
        if now.qos_reliability == "auto" and cameras:
            wanted = "reliable" if all(c.qos_profile.reliability == ReliabilityPolicy.RELIABLE for c in cameras) else "best_effort"
            if wanted != self._reliability:
                self._subscribe_images(now, wanted)
        if cameras and self._images == 0 and time.monotonic() - self._active_since > SILENCE_S and "silence" not in self._warned:
            self._warned.add("silence")
            profile = (transport.config_folder() or Path("config")) / transport.SENDER_PROFILES[0][0]
            self.node.get_logger().warning(
                f"{topic} has a publisher but no image came in {SILENCE_S:g} s; if its frames are over 512 KB, start the camera with "
                f"{transport.PROFILE_VARIABLES[0]}={profile}, or send JPEG; if it is best_effort, qos_reliability must not be reliable"
            )


def qos_of(topic):
    """QoSProfile of a topics.Topic whose values no parameter says."""
    return qos(topic.reliability, topic.depth, DurabilityPolicy.TRANSIENT_LOCAL if topic.latched else DurabilityPolicy.VOLATILE)


def qos(reliability, depth, durability=DurabilityPolicy.VOLATILE):
    """A profile that keeps the last `depth` messages. reliability: "best_effort" or "reliable"."""
    policy = ReliabilityPolicy.RELIABLE if reliability == "reliable" else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=depth, history=HistoryPolicy.KEEP_LAST, reliability=policy, durability=durability)
