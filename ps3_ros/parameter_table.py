"""Every parameter of the node, declared once: default, what it says, when it is read, and what it may be. No ROS import."""

from dataclasses import dataclass

from . import backends
from .standing import MAX_STANDING as MAX_STANDING_QUERIES
from .topics import MAX_CAMERAS

AT_CONFIGURE, AT_ACTIVATE, AT_ONCE = "Read when the node is configured.", "Read when the node is activated.", "A change applies at once."


@dataclass(frozen=True)
class Spec:
    """One parameter. allowed: (lowest, highest) of a number, the choices of a text, or None."""

    default: object
    description: str
    when: str
    allowed: tuple | None = None


SPECS = {
    "bundle": Spec("", "Folder of the model bundle; empty for the nano bundle that comes with the package.", AT_CONFIGURE),
    "backend": Spec(
        "onnxruntime:cpu",
        "What runs the bundle's graphs; auto is the fastest that works here. One that is not there fails, none takes its place.",
        AT_CONFIGURE,
        backends.NAMES,
    ),
    "threads": Spec(0, "CPU threads of the backend and of the images' resizing; 0 leaves both to themselves.", AT_CONFIGURE, (0, 256)),
    "cameras": Spec(
        ("",),
        f"Names of the cameras, at most {MAX_CAMERAS}, each a token of topic names; [''] for one camera whose topics have no name in them.",
        AT_CONFIGURE,
    ),
    "share_looks": Spec(
        True,
        "Whether a further question on a frame shares the patches that were looked at: it mostly costs a tenth to a fifth of the first, "
        "and its answer differs a little from one alone. The first is answered as without it.",
        AT_CONFIGURE,
    ),
    "still_levels": Spec(
        0.0,
        "Grey levels by which pixels may change and still count as the same: what they show is not encoded anew, for cameras that stand "
        "still; 6 is a sensor's noise, 0 for never.",
        AT_CONFIGURE,
        (0.0, 255.0),
    ),
    "image_transport": Spec(
        "raw",
        "raw: sensor_msgs/Image on image. compressed: sensor_msgs/CompressedImage on image/compressed.",
        AT_ACTIVATE,
        ("raw", "compressed"),
    ),
    "qos_reliability": Spec(
        "auto",
        "Reliability of the image subscription. auto: best_effort (sensor QoS), and reliable while every camera on the topic is: Fast DDS "
        "loses half of the 4K frames between a reliable camera and a best_effort subscription. reliable does not hear best_effort cameras.",
        AT_ACTIVATE,
        ("auto", "best_effort", "reliable"),
    ),
    "qos_depth": Spec(
        1, "Camera images the middleware keeps; the node looks at the newest only, so 1 wastes least memory.", AT_ACTIVATE, (1, 100)
    ),
    "looks": Spec(1, "Close looks a query, each over at most the bundle's patches; more looks see more of the frame.", AT_ONCE, (1, 64)),
    "max_patches": Spec(
        0, "Patches to look at a query, over all its looks; 0 for looks times the bundle's own number.", AT_ONCE, (0, 1_000_000)
    ),
    "depth": Spec(False, "Whether to subscribe to depth images aligned with the camera's, which give regions a position.", AT_ACTIVATE),
    "depth_tolerance_s": Spec(
        0.05, "Seconds between the stamps of a frame and a depth image that still belong together.", AT_ONCE, (0.0, 10.0)
    ),
    "anytime": Spec(
        False,
        "Whether a question gets a first answer from the glance and a better one after each look, all but the last with final false. A "
        "query can say so itself.",
        AT_ONCE,
    ),
    "gaze": Spec(
        False,
        "Whether a standing query's looks remember from frame to frame what was found and what was not (and are chosen patch by patch).",
        AT_ONCE,
    ),
    "prior_timeout_s": Spec(1.0, "Seconds between the stamps of a frame and a prior that still belong together.", AT_ONCE, (0.0, 3600.0)),
    "standing_queries": Spec(
        ("",), f"Questions asked about every frame, at most {MAX_STANDING_QUERIES}; empty texts do not count.", AT_ONCE
    ),
    "query_timeout_s": Spec(
        5.0, "Seconds that a query waits for a first frame before it is answered with an error.", AT_ONCE, (0.0, 3600.0)
    ),
    "deadline_ms": Spec(
        0.0,
        "Milliseconds from a query's arrival (a standing query: the image's) to its answer; as many patches are looked at as fit. 0 for "
        "no deadline. A query can name its own.",
        AT_ONCE,
        (0.0, 3_600_000.0),
    ),
    "frame_timeout_s": Spec(
        5.0, "Seconds after which the newest frame counts as none: a query then waits for a new one.", AT_ONCE, (0.05, 3600.0)
    ),
    "look_timeout_s": Spec(
        30.0,
        "Seconds after which one step of an answer counts as hanging: its query gets an error, and the backend is opened anew, once.",
        AT_ONCE,
        (0.5, 3600.0),
    ),
    "fallback_backends": Spec(
        ("onnxruntime:cpu",),
        "Backends to try, in this order, after the one that was configured has failed and does not open anew. [''] for none.",
        AT_CONFIGURE,
    ),
    "standing_patches": Spec(
        0,
        "Patches of one frame that all standing queries share by priority; 0 gives each of them max_patches.",
        AT_ONCE,
        (0, 1_000_000),
    ),
    "standing_rate_hz": Spec(
        0.0, "How often a second a standing query that names no rate is asked at most; 0 for every frame.", AT_ONCE, (0.0, 1000.0)
    ),
    "standby_rate_hz": Spec(
        1.0,
        "Looks a second at saliency while there is nothing to ask, where someone hears ~/saliency or wake_saliency is below 1; 0 for none.",
        AT_ONCE,
        (0.0, 1000.0),
    ),
    "wake_saliency": Spec(
        1.0, "In standby, saliency that newly rises to this somewhere in the frame wakes the node; 1 for never.", AT_ONCE, (0.0, 1.0)
    ),
    "wake_queries": Spec(("",), "Questions asked about every frame while awake by saliency; empty texts do not count.", AT_ONCE),
    "awake_s": Spec(10.0, "Seconds that the node stays awake after saliency has woken it.", AT_ONCE, (0.0, 3600.0)),
    "overlay_width": Spec(960, "Width of the pictures on ~/overlay/compressed, px.", AT_ONCE, (160, 3840)),
    "overlay_rate_hz": Spec(5.0, "Pictures a second on ~/overlay/compressed, at most.", AT_ONCE, (0.1, 60.0)),
    "diagnostics_period_s": Spec(1.0, "Seconds between two messages on /diagnostics.", AT_ONCE, (0.1, 60.0)),
    "query_queue": Spec(64, "Queries that may wait; one more is answered with an error.", AT_CONFIGURE, (1, 10_000)),
    "log_period_s": Spec(
        5.0,
        "Seconds between two log lines of one kind about bad input or dropped frames; what falls between is counted.",
        AT_ONCE,
        (0.0, 3600.0),
    ),
    "autostart": Spec(True, "Configure and activate at the start; false leaves both to a lifecycle manager.", "Read at the start."),
}
