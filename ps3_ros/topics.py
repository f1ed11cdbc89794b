"""Every topic of the node, declared once: the node makes its publishers and subscriptions from this table, and docs/ros.md is made from it.

No ROS import: types are named as `ros2 topic list -t` names them, and looked up where they are used (`kind`).
"""

import importlib
import re
from dataclasses import dataclass

KEPT = 1000  # queries and answers that the middleware keeps for a slow end: a flood of a second
SHOWN = 100  # likewise of what explains an answer
MAX_CAMERAS = 16
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")  # of a camera: a token of a topic's name


@dataclass(frozen=True)
class Topic:
    """name: relative to the node's namespace, or after ~/ to the node; type: "std_msgs/msg/String"; direction: "in" or "out".

    reliability: "reliable", "best_effort", or the parameter that says; depth: messages kept, or the parameter that says; latched: a late
    joiner gets the last one; common: also without a camera's name where the node has several: for all of them; needs: what it takes to be
    there, if anything.
    """

    name: str
    type: str
    direction: str
    what: str
    reliability: str = "reliable"
    depth: int | str = SHOWN
    latched: bool = False
    common: bool = False
    needs: str = ""

    @property
    def key(self):
        """Its name without ~/."""
        return self.name.removeprefix("~/")

    def of(self, camera):
        """The name with a camera's in it; None: of the node's only camera, or for all of them."""
        if camera is None or self.name.startswith("/"):
            return self.name
        return f"~/{camera}/{self.key}" if self.name.startswith("~/") else f"{camera}/{self.name}"


TEXT, PICTURE, JPEG = "std_msgs/msg/String", "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"

TOPICS = (
    Topic("image", PICTURE, "in", "The camera.", "qos_reliability", "qos_depth", needs="image_transport raw"),
    Topic("image/compressed", JPEG, "in", "The camera, as JPEG or PNG.", "qos_reliability", "qos_depth",
          needs="image_transport compressed"),
    Topic("camera_info", "sensor_msgs/msg/CameraInfo", "in", "Its calibration: gives regions a bearing.", "best_effort", 5),
    Topic("depth", PICTURE, "in", "A depth image aligned with it, 16UC1 mm or 32FC1 m (REP-118): gives regions a position.",
          "best_effort", 2, needs="depth true"),
    Topic("~/query", TEXT, "in", "A question as plain text or JSON, or a cancel.", depth=KEPT, common=True),
    Topic("~/watch", TEXT, "in", "Begins a standing query.", depth=KEPT, common=True),
    Topic("~/unwatch", TEXT, "in", "Ends one.", depth=KEPT, common=True),
    Topic("~/prior", PICTURE, "in", "mono8 of any size over the whole frame: where to look, 255 is certain; raises relevance."),
    Topic("~/prior/regions", TEXT, "in",
          'The same as JSON {"width", "height", "regions": [{"box": [x1, y1, x2, y2], "weight"}], "stamp"}, boxes in px.'),
    Topic("~/answer", TEXT, "out", "Answers as JSON: one final answer a question.", depth=KEPT, common=True),
    Topic("~/relevance", PICTURE, "out", "mono8 [g, g] over the whole frame, before each answer: where the query points; 255 is certain."),
    Topic("~/looked", PICTURE, "out",
          "mono8, a pixel a finest patch, before each answer: bit s is set where a patch of high-res scale s was looked at."),
    Topic("~/detections", "vision_msgs/msg/Detection2DArray", "out", "An answer's regions, before it.", needs="vision_msgs"),
    Topic("~/label_info", "vision_msgs/msg/LabelInfo", "out", "The labels that detections can have, before the first with a new one.",
          depth=1, latched=True, needs="vision_msgs"),
    Topic("~/overlay/compressed", JPEG, "out",
          "The answers about a frame drawn over it, overlay_width px wide, at most overlay_rate_hz; drawn only for subscribers.", depth=2),
    Topic("~/annotations", "visualization_msgs/msg/ImageMarker", "out",
          "An answer's boxes as lines, for viewers that draw over the camera image themselves.", needs="visualization_msgs"),
    Topic("~/saliency", PICTURE, "out", "mono8 [g, g], in standby: where something is, whatever it is."),
    Topic("~/attention", TEXT, "out",
          'JSON {"state", "reason"}, on a change: what the newest frame is wanted for: query, standing, awake or standby.',
          depth=1, latched=True),
    Topic("~/watching", TEXT, "out", "JSON list, on a change: the standing queries of now.", depth=1, latched=True),
    Topic("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", "out",
          "One status a camera every diagnostics_period_s, in every state.", depth=10),
)  # fmt: skip

ASK = Topic("~/ask", "ps3_interfaces/srv/Ask", "service", "A question, answered with its final answer.", needs="ps3_interfaces")
LOOK = Topic("~/look", "ps3_interfaces/action/Look", "action", "The same, its better and better answers as feedback; it can be cancelled.",
             needs="ps3_interfaces")  # fmt: skip


def topic(key):
    """The Topic of a name without ~/. Raises KeyError."""
    return next((each for each in TOPICS if each.key == key), None) or _unknown(key)


def kind(name):
    """The message class of a type such as "std_msgs/msg/String"; None where it is not installed."""
    package, _, message = name.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), message, None)
    except ImportError:
        return None


def _unknown(key):
    raise KeyError(f"no topic {key!r} is declared in topics.py")
