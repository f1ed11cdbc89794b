"""What the node may be asked as JSON, and that the published schema says the same."""

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ps3_ros.errors import QueryError
from ps3_ros.query import ASKED, LIMITS, WATCHED, Cancel, Request, camera_of, id_of, parse_query, parse_unwatch, parse_watch
from ps3_ros.text import split_choices

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "query.schema.json").read_text())


def valid(data, kind):
    schema = {"$schema": SCHEMA["$schema"], "$defs": SCHEMA["$defs"], "$ref": f"#/$defs/{kind}"}
    return jsonschema.Draft202012Validator(schema).is_valid(data)


def test_the_schema_is_one_and_has_the_fields_and_limits_of_the_code():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    kinds = SCHEMA["$defs"]
    assert set(kinds["query"]["properties"]) == set(ASKED)
    assert set(kinds["watch"]["properties"]) == set(WATCHED)
    for name, (low, high, whole) in LIMITS.items():
        said = kinds["watch"]["properties"][name]
        said = kinds[name] if "$ref" in said else said
        assert (said["minimum"], said["maximum"]) == (low, high)
        assert ("integer" in said["type"]) == whole


@pytest.mark.parametrize(
    ("text", "request_"),
    [
        ("stop sign", Request("stop sign")),
        ("  mug ", Request("mug")),
        ('{"query": "mug"}', Request("mug")),
        ('{"query": "mug", "id": "a7", "deadline_ms": 250, "max_patches": 0, "looks": 2}', Request("mug", "a7", 250, 0, 2)),
        ('{"query": "mug", "id": null, "choices": null}', Request("mug")),
        ('{"choices": ["red mug", "blue cup"]}', Request("red mug | blue cup")),
        ('{"query": "traffic light", "choices": ["red", "dark green"]}', Request("dark green traffic light | red traffic light")),
        ('{"cancel": "a7"}', Cancel("a7")),
    ],
)
def test_what_can_be_asked(text, request_):
    assert parse_query(text) == request_
    if text.startswith("{"):
        assert valid(json.loads(text), "cancel" if isinstance(request_, Cancel) else "query")


def test_choices_mean_what_they_say_whatever_their_lengths():
    request = parse_query('{"query": "light", "choices": ["red", "very dark green", "amber or yellow"]}')
    assert set(split_choices(request.text)) == {"red light", "very dark green light", "amber or yellow light"}


BAD = [  # message, words of the error
    ("{", "is not JSON"),
    ('{"query": "mug"', "is not JSON"),
    ("{" * 100_000, "at most 65536"),
    ('{"query": 3}', "query is int"),
    ('{"query": ""}', "query is empty"),
    ("{}", "neither 'query' nor 'choices'"),
    ('{"query": "mug", "speed": 3}', "unknown field 'speed'"),
    ('{"query": "mug", "deadline_ms": 0}', "deadline_ms 0 where a number from 1"),
    ('{"query": "mug", "deadline_ms": NaN}', "NaN"),
    ('{"query": "mug", "max_patches": 1.5}', "max_patches 1.5"),
    ('{"query": "mug", "looks": true}', "looks True"),
    ('{"query": "mug", "looks": 65}', "looks 65"),
    ('{"query": "mug", "id": ""}', "id ''"),
    ('{"query": "mug", "camera": 3}', "camera 3"),
    ('{"query": "mug", "anytime": 1}', "anytime 1 where true or false"),
    ('{"query": "mug", "id": "a\\nb"}', "printable"),
    ('{"query": "mug", "choices": ["red"]}', "list of 2 to 32"),
    ('{"query": "a | b", "choices": ["red", "blue"]}', "use the one or the other"),
    ('{"query": "mug", "query": "cup"}', "twice"),
    ('{"query": "mug", "priority": 2}', "unknown field 'priority'"),
    ('{"cancel": "a", "query": "mug"}', "unknown field 'query'"),
    ("m\ufffdg", "not UTF-8"),
]


@pytest.mark.parametrize(("text", "words"), BAD)
def test_what_cannot_be_asked_is_one_sentence(text, words):
    with pytest.raises(QueryError) as error:
        parse_query(text)
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_standing_queries_have_a_priority_and_a_rate():
    assert parse_watch('{"query": "car", "priority": 2.5, "max_rate_hz": 1, "id": "c"}') == Request("car", "c", None, None, None, 2.5, 1)
    assert parse_watch("car") == Request("car")
    for text in ('{"query": "car", "priority": 0}', '{"query": "car", "max_rate_hz": -1}', '{"cancel": "c"}'):
        with pytest.raises(QueryError):
            parse_watch(text)
        assert not valid(json.loads(text), "watch")


def test_a_standing_query_ends_by_its_id_or_its_text():
    assert parse_unwatch("car") == ("car", None)
    assert parse_unwatch('{"id": "c"}') == ("c", None)
    assert parse_unwatch('{"id": "c", "camera": "rear"}') == ("c", "rear")
    with pytest.raises(QueryError):
        parse_unwatch('{"query": "c"}')


@pytest.mark.parametrize(
    ("text", "name"),
    [('{"query": "mug", "camera": "rear"}', "rear"), ('{"camera": "rear", "looks": 99}', "rear"), ('{"camera": 3}', None), ("mug", None),
     ("{", None), ("", None)],
)  # fmt: skip
def test_the_camera_is_told_of_any_message(text, name):
    assert camera_of(text) == name


@pytest.mark.parametrize(
    ("text", "name"), [('{"id": "x", "looks": 99}', "x"), ('{"cancel": "y"}', "y"), ('{"id": 3}', None), ("mug", None)]
)
def test_an_error_can_name_its_question(text, name):
    assert id_of(text) == name


VALUES = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=6) | st.lists(st.text(max_size=3), max_size=3)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([*WATCHED, "cancel", "other"]), VALUES, max_size=4), st.text(max_size=20))
def test_whatever_comes_is_a_request_or_one_sentence_and_the_schema_refuses_no_request(data, text):
    for message in (json.dumps(data), text, "{" + text):
        for parse in (parse_query, parse_watch, parse_unwatch):
            try:
                parsed = parse(message)
            except QueryError as error:
                assert "\n" not in str(error)
                continue
            if parse is parse_query and message.startswith("{"):
                assert valid(json.loads(message), "cancel" if isinstance(parsed, Cancel) else "query")
