"""A camera for where there is none: plays pictures, folders and videos as camera messages at a steady rate, stamped as they are sent."""
# ruff: noqa: E402

from .memory import keep_freed_memory

keep_freed_memory()  # before any import below starts threads

import sys
import time
from pathlib import Path

import cv2
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.utilities import get_rmw_implementation_identifier
from sensor_msgs.msg import CompressedImage, Image

from . import parameters, transport
from .errors import BackendError, FrameError
from .media import PICTURES, read_frames
from .messages import byte_array, header
from .parameter_table import Spec
from .process import SPIN_S, spin

START = "Read at the start."
SPECS = {
    "paths": Spec(("",), "Pictures, folders of pictures, and videos to play, in this order.", "A change applies at once."),
    "rate_hz": Spec(10.0, "Images a second.", START, (0.01, 120.0)),
    "hold_s": Spec(0.0, "Seconds that each picture is shown; 0 for one image each.", START, (0.0, 86400.0)),
    "loop": Spec(True, "Begin again after the last picture; false goes on sending the last.", START),
    "frame_id": Spec("", "frame_id of the images; empty for the name of the file without its ending.", START),
    "image_transport": Spec(
        "raw", "raw: sensor_msgs/Image (bgr8) on image. compressed: JPEG on image/compressed.", START, ("raw", "compressed")
    ),
    "jpeg_quality": Spec(90, "Of compressed images.", START, (1, 100)),
    "qos_reliability": Spec("best_effort", "Reliability of the images.", START, ("best_effort", "reliable")),
}


class CameraNode(Node):
    """Publishes `image` or `image/compressed`. Raises FrameError for a path that cannot be played, ParameterError for a parameter."""

    def __init__(self, name="ps3_camera", **arguments):
        super().__init__(name, **arguments)
        parameters.declare(self, SPECS, check=_check_paths)
        self._set = {key: self.get_parameter(key).value for key in SPECS}
        _check_paths(self._set)
        self._publisher = self._paths = None
        self._begin()  # before anything is advertised: a picture that cannot be read is told at once
        reliability = ReliabilityPolicy.RELIABLE if self._set["qos_reliability"] == "reliable" else ReliabilityPolicy.BEST_EFFORT
        profile = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=reliability)
        kind, topic = (CompressedImage, "image/compressed") if self._compressed else (Image, "image")
        self._publisher = self.create_publisher(kind, topic, profile)
        self._timer = self.create_timer(1 / self._set["rate_hz"], self._publish)
        size = len(self._message.data)
        at_risk = size > transport.DEFAULT_SEGMENT and not (self._compressed and reliability == ReliabilityPolicy.RELIABLE)
        if at_risk and (problem := transport.large_frames_problem(get_rmw_implementation_identifier())):
            self.get_logger().warning(f"images of {size / 1e6:.1f} MB: {problem}")
        self.get_logger().info(f"playing on {self._publisher.topic_name} at {self._set['rate_hz']:g} Hz, {size / 1e6:.1f} MB an image")

    @property
    def _compressed(self):
        return self._set["image_transport"] == "compressed"

    def _begin(self):
        """With the first picture of the paths that are set now."""
        self._paths = self.get_parameter("paths").value
        self._pictures = self._play([Path(path) for path in self._paths if path])
        if (first := next(self._pictures, None)) is not None:
            self._message, self._since = self._prepare(*first), None

    def _play(self, paths):
        """(name, Frame) of every picture, again and again where the parameter says so. One bad file does not stop the rest."""
        one_still = len(paths) == 1 and paths[0].suffix.lower() in PICTURES  # played once it is held: no reading it anew each time
        played = 1
        while played:
            played = 0
            for path in paths:
                try:
                    for name, frame in read_frames(path):
                        yield name, frame
                        played += 1
                except FrameError as error:
                    if self._publisher is None:
                        raise
                    self.get_logger().warning(f"skipped: {error}", throttle_duration_sec=5.0)
            if one_still or not self._set["loop"]:
                return

    def _prepare(self, name, frame):
        """The message of a picture, all but its stamp: it is sent many times."""
        about = header(0, self._set["frame_id"] or name)
        if self._compressed:
            done, data = cv2.imencode(".jpg", frame.pixels, [cv2.IMWRITE_JPEG_QUALITY, self._set["jpeg_quality"]])
            if not done:
                raise BackendError(f"OpenCV could not encode {name!r} as JPEG; play it raw")
            message = CompressedImage(header=about, format="bgr8; jpeg compressed bgr8")
            message.data = byte_array(data)
            return message
        message = Image(header=about, height=frame.height, width=frame.width, encoding="bgr8", step=frame.width * 3)
        message.data = byte_array(frame.pixels)
        return message

    def _publish(self):
        now = time.monotonic()
        if self.get_parameter("paths").value != self._paths:
            self._begin()
        if self._since is not None and now - self._since >= self._set["hold_s"] and (following := next(self._pictures, None)) is not None:
            self._message, self._since = self._prepare(*following), now
        self._since = now if self._since is None else self._since
        self._message.header.stamp = self.get_clock().now().to_msg()
        self._publisher.publish(self._message)


def _check_paths(values):
    """Raises FrameError where there is nothing to play, or a path leads nowhere."""
    if "paths" not in values:
        return
    paths = [path for path in values["paths"] or () if path]
    if not paths:
        raise FrameError("parameter paths is empty; name pictures, folders or videos to play")
    if missing := next((path for path in paths if not Path(path).exists()), None):
        raise FrameError(f"parameter paths names {missing!r}, which does not exist; name pictures, folders or videos to play")


def main(args=None):
    """Plays until SIGINT or SIGTERM. args: ROS arguments, such as ["--ros-args", "-p", "paths:=[street.jpg]"]. Returns the exit code."""
    transport.use_shared_memory(sends_frames=True)
    return spin(CameraNode, "ps3_camera", args, _serve)


def _serve(node, stopped):
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not stopped():
        executor.spin_once(timeout_sec=SPIN_S)
    node.destroy_node()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
