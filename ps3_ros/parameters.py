"""The node's parameters: those of parameter_table.py declared on a node, checked, and read as one frozen dataclass."""

import threading
from dataclasses import dataclass, fields

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, ParameterType, SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.parameter import Parameter

from . import backends
from .errors import Ps3Error, QueryError
from .office import Asking
from .parameter_table import SPECS
from .query import Request
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


class ParameterError(Ps3Error):
    """A parameter given at the start that cannot be: out of range, of another type, or not one of the choices."""


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


def asking(now: Parameters, watched: bool) -> Asking:
    """What they say of a camera's questions. watched: whether somebody hears its saliency."""
    return Asking(
        standing=tuple(Request(text) for text in now.standing_queries),
        looks=now.looks,
        tokens=now.max_patches,
        query_timeout_s=now.query_timeout_s,
        frame_timeout_s=now.frame_timeout_s,
        deadline_ms=now.deadline_ms,
        standing_patches=now.standing_patches,
        standing_rate_hz=now.standing_rate_hz,
        standby_rate_hz=now.standby_rate_hz if watched or now.wake_saliency < 1 else 0.0,
        wake_saliency=now.wake_saliency if now.wake_saliency < 1 else 2.0,
        wake_queries=tuple(Request(text) for text in now.wake_queries),
        awake_s=now.awake_s,
        anytime=now.anytime,
    )


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
