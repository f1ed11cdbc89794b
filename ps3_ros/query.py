"""What may be sent to the node as a question: plain text, or JSON that adds an id, a deadline, a patch budget, choices and priorities.

`docs/query.schema.json` says the same for other languages; a test holds the two together.
"""

import json
from dataclasses import dataclass

from .errors import QueryError
from .text import MAX_CHARACTERS, MAX_CHOICES, check_query, split_choices

MAX_MESSAGE = 65_536  # characters of one message: 32 choices of a thousand each and more
MAX_ID = 200
REPLACEMENT = "\ufffd"  # what ROS puts where bytes were not UTF-8
LIMITS = {  # field: (least, most, whole number)
    "deadline_ms": (1, 3_600_000, False),
    "max_patches": (0, 1_000_000, True),
    "looks": (1, 64, True),
    "priority": (0.001, 1000, False),
    "max_rate_hz": (0.001, 1000, False),
}
ASKED = ("query", "id", "deadline_ms", "max_patches", "looks", "choices", "camera", "anytime")
WATCHED = (*ASKED, "priority", "max_rate_hz")


@dataclass(frozen=True)
class Request:
    """One question. text: as `Asker.ask` takes it; what is None is the node's own parameter.

    deadline_ms: from the question's arrival (a standing one: the image's) to its answer; max_patches: over all looks, 0 for a glance only;
    priority and max_rate_hz: of a standing query, its weight among the others and how often it is asked at most; camera: whose frame it is
    about, None where it came by that camera's own topic or there is one; anytime: whether answers are sent as they get better.
    """

    text: str
    id: str | None = None
    deadline_ms: float | None = None
    max_patches: int | None = None
    looks: int | None = None
    priority: float = 1.0
    max_rate_hz: float | None = None
    camera: str | None = None
    anytime: bool | None = None

    @property
    def key(self):
        """What names a standing query: its id, or its text."""
        return self.id or self.text


@dataclass(frozen=True)
class Cancel:
    """Takes back the waiting questions of this id."""

    id: str


def parse_query(text):
    """Request or Cancel of a message on ~/query. Raises QueryError."""
    data = _data(text)
    if isinstance(data, dict) and "cancel" in data:
        _keys(data, ("cancel",))
        return Cancel(_id(data["cancel"], "cancel"))
    return _request(data, ASKED)


def parse_watch(text):
    """Request of a message on ~/watch. Raises QueryError."""
    return _request(_data(text), WATCHED)


def parse_unwatch(text):
    """(key, camera or None) of the standing query that a message on ~/unwatch names: its id (or {"id": ...}), or its text.

    Raises QueryError.
    """
    data = _data(text)
    if isinstance(data, str):
        return data, None
    _keys(data, ("id", "camera"))
    return _id(data.get("id"), "id"), _camera(data)


def with_anytime(text):
    """The message that asks the same with `anytime` where it does not say; what cannot be asked as it is."""
    try:
        data = _data(text)
    except QueryError:
        return text
    data = {"query": data} if isinstance(data, str) else data
    return text if "cancel" in data else json.dumps({"anytime": True, **data})


def id_of(text):
    """The id in a message, however wrong the rest of it is; None where there is none."""
    try:
        data = _data(text)
        return _id(data.get("id", data.get("cancel")), "id")
    except (QueryError, AttributeError):
        return None


def camera_of(text):
    """The camera that a message names, however wrong the rest of it is; None where it names none."""
    try:
        return _camera(_data(text))
    except (QueryError, AttributeError):
        return None


def _data(text):
    """A checked text, or the object of a message that begins with "{"."""
    if isinstance(text, str) and REPLACEMENT in text:
        raise QueryError(
            f"query has the character U+FFFD at {text.index(REPLACEMENT)}, which stands for bytes that are not UTF-8; send UTF-8"
        )
    if not isinstance(text, str) or not text.lstrip().startswith("{"):
        return check_query(text)
    if len(text) > MAX_MESSAGE:
        raise QueryError(f"query has {len(text)} characters of JSON where at most {MAX_MESSAGE} are read; send less")
    try:
        data = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        if isinstance(error, QueryError):
            raise
        raise QueryError(
            f"query begins with '{{' and is not JSON ({error}); send plain text, or JSON after docs/query.schema.json"
        ) from error
    return data


def _no_constant(name):
    raise QueryError(f"query has the number {name}, which JSON does not know; send a finite number")


def _once(pairs):
    if len(dict(pairs)) < len(pairs):
        raise QueryError(f"query names a field twice in {[key for key, _ in pairs]}; name each once")
    return dict(pairs)


def _request(data, allowed):
    if isinstance(data, str):
        split_choices(data)
        return Request(data)
    _keys(data, allowed)
    values = {name: _number(data[name], name) for name in LIMITS if data.get(name) is not None}
    given = _id(data["id"], "id") if data.get("id") is not None else None
    anytime = data.get("anytime")
    if anytime is not None and not isinstance(anytime, bool):
        raise QueryError(f"query has the anytime {_short(anytime)} where true or false is needed")
    return Request(_text(data), given, **values, camera=_camera(data), anytime=anytime)


def _text(data):
    """The question as one text: each choice written out before the query, the one with the fewest words last (split_choices)."""
    query, choices = data.get("query"), data.get("choices")
    if query is None and choices is None:
        raise QueryError("query has neither 'query' nor 'choices'; say what to look for")
    query = "" if query is None else check_query(query)
    if choices is None:
        split_choices(query)
        return query
    if not isinstance(choices, list) or not 2 <= len(choices) <= MAX_CHOICES:
        raise QueryError(f"query has the choices {_short(choices)} where a list of 2 to {MAX_CHOICES} texts is needed")
    written = [" ".join(check_query(choice).split() + query.split()) for choice in choices]
    if any("|" in label for label in written):
        raise QueryError(f"query has '|' beside its choices {_short(choices)}; use the one or the other")
    text = " | ".join(sorted(written, key=lambda label: -len(label.split())))
    if len(text) > MAX_CHARACTERS:
        raise QueryError(
            f"query has {len(text)} characters with its choices written out where at most {MAX_CHARACTERS} are read; offer fewer"
        )
    split_choices(text)
    return text


def _keys(data, allowed):
    if unknown := sorted(set(data) - set(allowed)):
        raise QueryError(f"query has the unknown field {_short(unknown[0])}; the fields are {', '.join(allowed)}")


def _id(value, where):
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID or not value.isprintable():
        raise QueryError(f"query has the {where} {_short(value)} where a text of 1 to {MAX_ID} printable characters is needed")
    return value


def _camera(data):
    return _id(data["camera"], "camera") if data.get("camera") is not None else None


def _number(value, name):
    low, high, whole = LIMITS[name]
    fine = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not fine or not low <= value <= high:  # no comparison with NaN holds; a whole number may be too long for a float
        kind = "whole number" if whole else "number"
        raise QueryError(f"query has the {name} {_short(value)} where a {kind} from {low} to {high} is needed")
    return value


def _short(value):
    shown = repr(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
