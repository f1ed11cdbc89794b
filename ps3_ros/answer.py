"""What a question on a frame gets back: one frozen dataclass, the same for the node, the command line and the tests.

`docs/answer.schema.json` says the same for other languages; a test holds the two together.
"""

import json
from dataclasses import asdict, dataclass, field, fields
from math import isfinite

from .errors import Ps3Error

SCHEMA_VERSION = 3  # 2 had no camera, track and places; 1 had no id, standing, final, note and timing
STAGES = ("text", "glance", "select", "cut", "look", "region", "total")
TIMING = ("deadline_ms", "predicted_ms", "real_ms", "missed")
MEASURED = {"track": None, "bearing": 3, "size": 2, "position": 3, "covariance": 9}  # of a region: how many numbers, None: an integer


@dataclass(frozen=True)
class Region:
    """Looked-at patches that belong together. box: (x1, y1, x2, y2) in source px; score: probability; label: what it was matched with.

    What was not measured is None. track: id that the same thing keeps over a standing query's answers; bearing, size, position, covariance:
    as bearings.Place has them, in the frame's optical frame.
    """

    box: tuple
    score: float
    label: str
    track: int | None = None
    bearing: tuple | None = None
    size: tuple | None = None
    position: tuple | None = None
    covariance: tuple | None = None


@dataclass(frozen=True)
class Choice:
    """One of the options a query offered, and the best score any region has for it."""

    label: str
    score: float


@dataclass(frozen=True)
class Answer:
    """See docs/answer.schema.json for every field's meaning and unit. `found` is None and `error` a sentence where the question failed."""

    query: str
    found: bool | None
    label: str | None = None
    choices: tuple = ()  # of Choice, best first; empty where the query offers none
    regions: tuple = ()  # of Region, best first
    looked_fraction: float = 0.0
    patches_used: int = 0
    patches_allowed: int = 0
    looks: int = 0
    stage_ms: dict = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    stamp: dict = field(default_factory=lambda: {"sec": 0, "nanosec": 0})
    frame_id: str = ""
    width: int = 0
    height: int = 0
    age_ms: float | None = None
    model: str = ""
    backend: str = ""
    error: str | None = None
    id: str | None = None  # the question's own
    standing: bool = False
    final: bool = True  # False: a better answer to the same question follows
    note: str | None = None  # why less was looked at than was asked for
    timing: dict | None = None  # of TIMING; the node's answers have it
    camera: str | None = None  # whose frame it was, where the node has several
    schema_version: int = SCHEMA_VERSION

    @staticmethod
    def failed(query, error, frame=None, model="", backend="", **fields):
        """The answer to a question that could not be asked. query: whatever came; error: the exception or its sentence; frame: if any.

        fields: others of the answer's, such as id.
        """
        text = query.decode("utf-8", "replace") if isinstance(query, (bytes, bytearray)) else str(query)
        text = text.strip().encode("utf-8", "replace").decode("utf-8")[:4000]
        about = {} if frame is None else frame_fields(frame)
        return Answer(query=text, found=None, error=str(error) or type(error).__name__, model=model, backend=backend, **about, **fields)

    def to_json(self):
        """One line of JSON. A region has only the fields that were measured."""
        data = asdict(self)
        data["regions"] = [{k: v for k, v in region.items() if v is not None or k not in MEASURED} for region in data["regions"]]
        return json.dumps(data, ensure_ascii=False, allow_nan=False)

    @staticmethod
    def from_json(text):
        """The answer that `to_json` wrote, checked against the schema. Raises Ps3Error."""
        return _parse(text)


def frame_fields(frame):
    """The fields of an Answer that a frame gives: stamp, frame_id, width, height."""
    sec, nanosec = divmod(frame.stamp_ns, 1_000_000_000)
    return {"stamp": {"sec": sec, "nanosec": nanosec}, "frame_id": frame.frame_id, "width": frame.width, "height": frame.height}


def _parse(text):
    try:
        data = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise Ps3Error(f"answer is not JSON ({error}); pass one line that to_json wrote") from error
    _object(data, "answer", {f.name for f in fields(Answer)})
    if data["schema_version"] != SCHEMA_VERSION or isinstance(data["schema_version"], bool):
        raise Ps3Error(f"answer has schema_version {data['schema_version']!r} where this version reads {SCHEMA_VERSION}; update ps3_ros")
    _check(data["found"] is None or isinstance(data["found"], bool), "found", data["found"], "true, false or null")
    _check((data["found"] is None) == (data["error"] is not None), "found", data["found"], "null exactly where there is an error")
    for key in ("query", "frame_id", "model", "backend"):
        _check(isinstance(data[key], str), key, data[key], "text")
    for key in ("standing", "final"):
        _check(isinstance(data[key], bool), key, data[key], "true or false")
    for key in ("label", "error", "id", "note", "camera"):
        _check(data[key] is None or isinstance(data[key], str), key, data[key], "text or null")
    for key in ("patches_used", "patches_allowed", "looks", "width", "height"):
        _integer(data[key], key)
    _number(data["looked_fraction"], "looked_fraction", 0, 1)
    if data["age_ms"] is not None:
        _number(data["age_ms"], "age_ms")
    _object(data["stage_ms"], "stage_ms", set(STAGES))
    for key, value in data["stage_ms"].items():
        _number(value, f"stage_ms.{key}", 0)
    if data["timing"] is not None:
        _timing(data["timing"])
    _object(data["stamp"], "stamp", {"sec", "nanosec"})
    _integer(data["stamp"]["sec"], "stamp.sec")
    _integer(data["stamp"]["nanosec"], "stamp.nanosec", 999_999_999)
    regions = tuple(_region(entry, f"regions[{n}]") for n, entry in enumerate(_list(data["regions"], "regions")))
    choices = tuple(_choice(entry, f"choices[{n}]") for n, entry in enumerate(_list(data["choices"], "choices")))
    return Answer(**{**data, "regions": regions, "choices": choices})


def _timing(data):
    _object(data, "timing", set(TIMING))
    _number(data["real_ms"], "timing.real_ms", 0)
    for key in ("deadline_ms", "predicted_ms"):
        if data[key] is not None:
            _number(data[key], f"timing.{key}", 0)
    _check(isinstance(data["missed"], bool), "timing.missed", data["missed"], "true or false")


def _region(data, where):
    _check(isinstance(data, dict), where, data, "an object")
    _object(data, where, {"box", "score", "label", *(MEASURED.keys() & data.keys())})
    _check(len(_list(data["box"], f"{where}.box")) == 4, f"{where}.box", data["box"], "four numbers")
    for value in data["box"]:
        _number(value, f"{where}.box", 0)
    x1, y1, x2, y2 = data["box"]
    _check(x1 < x2 and y1 < y2, f"{where}.box", data["box"], "x1 < x2 and y1 < y2")
    _number(data["score"], f"{where}.score", 0, 1)
    _check(isinstance(data["label"], str), f"{where}.label", data["label"], "text")
    measured = {key: _measured(data[key], count, f"{where}.{key}") for key, count in MEASURED.items() if key in data}
    return Region(tuple(data["box"]), data["score"], data["label"], **measured)


def _measured(value, count, where):
    if count is None:
        _integer(value, where)
        return value
    _check(len(_list(value, where)) == count, where, value, f"{count} numbers")
    for number in value:
        _number(number, where)
    return tuple(value)


def _choice(data, where):
    _object(data, where, {"label", "score"})
    _check(isinstance(data["label"], str), f"{where}.label", data["label"], "text")
    _number(data["score"], f"{where}.score", 0, 1)
    return Choice(data["label"], data["score"])


def _object(data, where, keys):
    _check(isinstance(data, dict), where, data, "an object")
    if set(data) != keys:
        lacking, unknown = sorted(keys - set(data)), sorted(set(data) - keys)
        said = f"lacks {lacking[0]!r}" if lacking else f"has the unknown field {unknown[0]!r}"
        raise Ps3Error(f"{where} {said}; see docs/answer.schema.json")


def _list(value, where):
    _check(isinstance(value, list), where, value, "a list")
    return value


def _integer(value, where, high=1 << 53):
    _check(isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= high, where, value, f"an integer from 0 to {high}")


def _number(value, where, low=None, high=None):
    fine = isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)
    fine = fine and (low is None or value >= low) and (high is None or value <= high)
    _check(
        fine, where, value, "a finite number" + (f" from {low}" if low is not None else "") + (f" to {high}" if high is not None else "")
    )


def _check(fine, where, value, expected):
    if not fine:
        shown = repr(value)
        raise Ps3Error(f"answer: {where} is {shown if len(shown) <= 80 else shown[:77] + '...'} where {expected} is expected")
