"""The answer's dataclass, its JSON and the published schema say the same; what is not an answer is refused in one sentence."""

import json
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from ps3_ros.answer import MEASURED, STAGES, TIMING, Answer, Choice, Region
from ps3_ros.errors import Ps3Error, QueryError
from ps3_ros.frame import Frame

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "answer.schema.json").read_text())

ANSWER = Answer(
    query="red | green traffic light",
    found=True,
    label="red traffic light",
    choices=(Choice("red traffic light", 0.83), Choice("green traffic light", 0.04)),
    regions=(Region((100.0, 20.5, 148.0, 160.0), 0.83, "red traffic light"), Region((0.0, 0.0, 16.0, 16.0), 0.1, "green traffic light")),
    looked_fraction=0.026,
    patches_used=1021,
    patches_allowed=1024,
    looks=1,
    stage_ms={**dict.fromkeys(STAGES, 1.5), "total": 9.0},
    stamp={"sec": 1700000000, "nanosec": 999999999},
    frame_id="front_camera",
    width=3840,
    height=2160,
    age_ms=-3.5,
    model="nano",
    backend="onnxruntime:cpu",
    id="7",
    note="the deadline left time for 1021 of 4096 patches",
    timing={"deadline_ms": 300.0, "predicted_ms": 280.0, "real_ms": 291.5, "missed": False},
)


def test_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_schema_and_dataclasses_have_the_same_fields():
    assert set(SCHEMA["properties"]) == set(SCHEMA["required"]) == {f.name for f in fields(Answer)}
    for name, kind, optional in (("region", Region, set(MEASURED)), ("choice", Choice, set())):
        definition = SCHEMA["$defs"][name]
        assert set(definition["properties"]) == {*definition["required"], *optional} == {f.name for f in fields(kind)}
    assert set(SCHEMA["properties"]["stage_ms"]["required"]) == set(STAGES)
    assert set(SCHEMA["properties"]["timing"]["properties"]) == set(SCHEMA["properties"]["timing"]["required"]) == set(TIMING)
    assert SCHEMA["properties"]["schema_version"]["const"] == Answer("", True).schema_version


def test_every_field_is_described():
    for name, definition in SCHEMA["properties"].items():
        assert definition.get("description"), name


def test_answers_are_frozen():
    with pytest.raises(FrozenInstanceError):
        ANSWER.found = False


PLACED = Region((1.0, 2.0, 3.0, 4.0), 0.5, "mug", 7, (0.6, 0.0, 0.8), (0.1, 0.1), (3.0, 0.0, 4.0), (1.0, *[0.0] * 8))

ANSWERS = [
    ANSWER,
    replace(ANSWER, camera="rear", final=False, regions=(PLACED, replace(PLACED, position=None, covariance=None, track=None))),
    replace(ANSWER, found=False, choices=(), regions=(), label=None, age_ms=None),
    replace(ANSWER, query="caf\u00e9 \u505c", frame_id=""),
    Answer.failed("", QueryError("query is empty")),
    Answer.failed(b"\xff", "query is not UTF-8", Frame(np.zeros((40, 50, 3), np.uint8), 5 * 10**9 + 7, "cam"), "nano", "onnxruntime:cpu"),
    Answer.failed("caf\udce9" + "x" * 5000, "too long"),
    Answer.failed(None, "no text"),
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_json_comes_back_and_fits_the_schema(answer):
    text = answer.to_json()
    assert "\n" not in text and text.encode("utf-8")
    jsonschema.validate(json.loads(text), SCHEMA)
    assert Answer.from_json(text) == answer


def test_what_was_not_measured_is_not_told():
    regions = json.loads(ANSWERS[1].to_json())["regions"]
    assert set(regions[0]) == {"box", "score", "label", *MEASURED}
    assert set(regions[1]) == {"box", "score", "label", "bearing", "size"}


def test_a_failed_answer_says_why_and_about_which_frame():
    failed = ANSWERS[5]
    assert failed.found is None and failed.error == "query is not UTF-8" and failed.query == "\ufffd"
    assert (failed.stamp, failed.frame_id, failed.width, failed.height) == ({"sec": 5, "nanosec": 7}, "cam", 50, 40)


def broken(**changed):
    return {**json.loads(ANSWER.to_json()), **changed}


BAD = [  # what is not an answer, words of the message
    ("", "not JSON"),
    ("[" * 100000, "not JSON"),
    ("[]", "an object"),
    ("{}", "lacks"),
    (broken(extra=1), "unknown field 'extra'"),
    (broken(schema_version=1), "schema_version 1"),
    (broken(found=None), "null exactly where there is an error"),
    (broken(found=1), "true, false or null"),
    (broken(error="failed"), "null exactly where"),
    (broken(query=None), "query is None"),
    (broken(label=3), "label is 3"),
    (broken(looked_fraction=1.2), "looked_fraction is 1.2"),
    (broken(looked_fraction="0.5"), "looked_fraction"),
    (broken(patches_used=-1), "patches_used is -1"),
    (broken(patches_used=1.5), "patches_used is 1.5"),
    (broken(looks=True), "looks is True"),
    (broken(age_ms="old"), "age_ms"),
    (broken(stage_ms={"total": 1.0}), "lacks 'cut'"),
    (broken(stage_ms={**dict.fromkeys(STAGES, 0.0), "look": -1.0}), "stage_ms.look"),
    (broken(stamp={"sec": 1, "nanosec": 10**9}), "nanosec"),
    (broken(stamp=5), "stamp is 5"),
    (broken(regions={}), "a list"),
    (broken(regions=[{"box": [0, 0, 1], "score": 0.5, "label": "x"}]), "four numbers"),
    (broken(regions=[{"box": [5, 0, 1, 1], "score": 0.5, "label": "x"}]), "x1 < x2"),
    (broken(regions=[{"box": [0, 0, 1, 1], "score": 1.5, "label": "x"}]), "score is 1.5"),
    (broken(regions=[{"box": [0, 0, 1, 1], "score": 0.5}]), "lacks 'label'"),
    (broken(regions=[{"box": [0, 0, 1, 1], "score": 0.5, "label": "x", "bearing": [0, 1]}]), "bearing is .* where 3 numbers"),
    (broken(regions=[{"box": [0, 0, 1, 1], "score": 0.5, "label": "x", "track": "a"}]), "track is 'a'"),
    (broken(regions=[{"box": [0, 0, 1, 1], "score": 0.5, "label": "x", "speed": 1}]), "unknown field 'speed'"),
    (broken(regions=[3]), "an object"),
    (broken(camera=7), "camera is 7"),
    (broken(id=7), "id is 7"),
    (broken(final="yes"), "final is 'yes'"),
    (broken(timing={**ANSWER.timing, "real_ms": -1}), "timing.real_ms"),
    (broken(timing={**ANSWER.timing, "missed": None}), "timing.missed"),
    (broken(timing={"missed": False}), "lacks 'deadline_ms'"),
    (broken(choices=[{"label": 1, "score": 0.5}]), "label is 1"),
]


@pytest.mark.parametrize(("data", "words"), BAD)
def test_what_is_not_an_answer_is_refused(data, words):
    text = data if isinstance(data, str) else json.dumps(data)
    with pytest.raises(Ps3Error, match=words) as error:
        Answer.from_json(text)
    assert "\n" not in str(error.value)


def test_what_from_json_refuses_the_schema_refuses_too():
    for data, words in BAD:
        if isinstance(data, dict) and "x1 < x2" not in words:  # a schema cannot compare two numbers
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(data, SCHEMA)
