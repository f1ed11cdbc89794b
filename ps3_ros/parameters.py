"""The node's parameters: each declared once, with its description and what it may be, and read as one frozen dataclass."""

import threading
from dataclasses import dataclass, fields

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, ParameterType, SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.parameter import Parameter

from . import backends
from .errors import Ps3Error, QueryError
from .standing import MAX_STANDING as MAX_STANDING_QUERIES
from .text import split_choices
from .topics import MAX_CAMERAS
from .topics import NAME as CAMERA_NAME

KINDS = {
    tuple: "a list of texts, [''] for none",
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number with a point",
}
AT_CONFIGURE, AT_ACTIVATE, AT_ONCE = "Read when the node is configured.", "Read when the node is activated.", "A change applies at once."


class ParameterError(Ps3Error):
    """A parameter given at the start that cannot be: out of range, of another type, or not one of the choices."""


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
        "onnxruntime:cpu", "What runs the bundle's graphs: onnxruntime:cpu, onnxruntime:cuda or onnxruntime:tensorrt.", AT_CONFIGURE
    ),
    "threads": Spec(0, "CPU threads of the backend and of the images' resizing; 0 leaves both to themselves.", AT_CONFIGURE, (0, 256)),
    "cameras": Spec(
        ("",),
        f"Names of the cameras, at most {MAX_CAMERAS}, each a token of topic names; [''] for one camera whose topics have no name in them.",
        AT_CONFIGURE,
    ),
    "share_looks": Spec(
        False,
        "Whether questions on the same frame share the patches that were looked at: faster, and answers differ a little from those alone.",
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


@dataclass(frozen=True)
class Parameters:
    """The values of SPECS. Lists hold no empty texts and none twice; what is off is None: max_patches, deadline_ms, standing_patches and
    standing_rate_hz."""

    bundle: str
    backend: str
    threads: int
    cameras: tuple
    share_looks: bool
    still_levels: float
    image_transport: str
    qos_reliability: str
    qos_depth: int
    looks: int
    max_patches: int | None
    depth: bool
    depth_tolerance_s: float
    anytime: bool
    gaze: bool
    prior_timeout_s: float
    standing_queries: tuple
    query_timeout_s: float
    deadline_ms: float | None
    frame_timeout_s: float
    look_timeout_s: float
    fallback_backends: tuple
    standing_patches: int | None
    standing_rate_hz: float | None
    standby_rate_hz: float
    wake_saliency: float
    wake_queries: tuple
    awake_s: float
    overlay_width: int
    overlay_rate_hz: float
    diagnostics_period_s: float
    query_queue: int
    log_period_s: float
    autostart: bool


def declare(node, specs=None, check=None):
    """Declares every parameter of specs (default SPECS) on an rclpy node and refuses bad values from then on, with the reason.

    check: function of {name: value}, called with what is to change; it raises Ps3Error for what only the running node can tell.
    Raises ParameterError where a value given at the start cannot be.
    """
    specs = SPECS if specs is None else specs
    for name, spec in specs.items():
        try:
            node.declare_parameter(name, _ros(spec.default), _descriptor(spec))
            check_value(name, node.get_parameter(name).value, specs)
        except (InvalidParameterValueException, InvalidParameterTypeException) as error:
            raise ParameterError(f"parameter {name} cannot have the value it was given ({error}); {_advice(name, spec)}") from error

    def on_set(changes):
        values = {change.name: change.value for change in changes if change.name in specs}
        try:
            if removed := [change.name for change in changes if change.type_ == Parameter.Type.NOT_SET]:
                raise ParameterError(f"parameter {removed[0]} cannot be removed; set it to a value")
            for name, value in values.items():
                check_value(name, value, specs)
            if check is not None:
                check(values)
        except Ps3Error as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(on_set)


def check_value(name, value, specs=SPECS):
    """What a descriptor's range and type do not cover. Raises ParameterError or QueryError."""
    spec = specs[name]
    if isinstance(spec.default, str) and spec.allowed and value not in spec.allowed:
        raise ParameterError(f"parameter {name} is {value!r}; {_advice(name, spec)}")
    if isinstance(spec.default, tuple) and value:
        if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__") or not all(isinstance(text, str) for text in value):
            raise ParameterError(f"parameter {name} is {value!r}; {_advice(name, spec)}")
    if name in ("standing_queries", "wake_queries"):
        queries = clean_queries(value)
        if len(queries) > MAX_STANDING_QUERIES:
            raise QueryError(f"parameter {name} holds {len(queries)} questions where at most {MAX_STANDING_QUERIES} are asked; drop some")
        for query in queries:
            split_choices(query)
    if name == "cameras":
        names = clean_queries(value)
        if bad := [camera for camera in names if not CAMERA_NAME.fullmatch(camera)]:
            raise ParameterError(f"parameter cameras names {bad[0]!r}; give letters, digits and _, a letter first, at most 63")
        if len(names) > MAX_CAMERAS:
            raise ParameterError(f"parameter cameras names {len(names)} cameras where at most {MAX_CAMERAS} are served; drop some")
    if name == "fallback_backends" and (unknown := [backend for backend in clean_queries(value) if backend not in backends.NAMES]):
        raise ParameterError(f"parameter fallback_backends names {unknown[0]!r}; give some of {', '.join(backends.NAMES)}")


def clean_queries(value):
    """The questions of a string array parameter, without empty ones and repetitions."""
    return tuple(dict.fromkeys(query.strip() for query in value or () if query.strip()))


def read(node) -> Parameters:
    """The parameters as they are now."""
    values = {field.name: node.get_parameter(field.name).value for field in fields(Parameters)}
    for name in ("standing_queries", "wake_queries", "fallback_backends", "cameras"):
        values[name] = clean_queries(values[name])
    for name in ("max_patches", "deadline_ms", "standing_patches", "standing_rate_hz"):
        values[name] = values[name] or None
    return Parameters(**values)


class Reader:
    """Calling it gives `read(node)`, done anew only after a change: it is asked for several times a frame, and each read takes 0.2 ms.

    Any thread may call it. ROS before Iron does not tell of changes: there it reads each time.
    """

    def __init__(self, node):
        self._node, self._lock, self._known, self._changes = node, threading.Lock(), None, 0
        self._told = hasattr(node, "add_post_set_parameters_callback")
        if self._told:
            node.add_post_set_parameters_callback(self._changed)

    def __call__(self) -> Parameters:
        known, changes = self._known, self._changes
        if known is None:
            known = read(self._node)
            with self._lock:
                if self._told and changes == self._changes:  # else it changed while it was read
                    self._known = known
        return known

    def _changed(self, parameters):
        with self._lock:
            self._known, self._changes = None, self._changes + 1


def _ros(value):
    return list(value) if isinstance(value, tuple) else value


def _descriptor(spec):
    """Type and range as ROS tools show and check them; a text's choices go into additional_constraints."""
    descriptor = ParameterDescriptor(
        description=f"{spec.description} {spec.when}", type=Parameter.Type.from_parameter_value(_ros(spec.default)).value
    )
    if isinstance(spec.default, tuple):
        descriptor.dynamic_typing = True  # ROS gives an empty list no type at all; check_value takes it and refuses other types
    if descriptor.type == ParameterType.PARAMETER_INTEGER:
        descriptor.integer_range = [IntegerRange(from_value=spec.allowed[0], to_value=spec.allowed[1], step=1)]
    elif descriptor.type == ParameterType.PARAMETER_DOUBLE:
        descriptor.floating_point_range = [FloatingPointRange(from_value=spec.allowed[0], to_value=spec.allowed[1], step=0.0)]
    elif spec.allowed:
        descriptor.additional_constraints = "one of " + ", ".join(spec.allowed)
    return descriptor


def _advice(name, spec):
    if spec.allowed is None:
        return f"give {KINDS[type(spec.default)]}"
    if isinstance(spec.default, str):
        return "give one of " + ", ".join(spec.allowed)
    return f"give {KINDS[type(spec.default)]} from {spec.allowed[0]} to {spec.allowed[1]}"
