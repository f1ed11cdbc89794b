"""What is asked: half of it is not there, in the same words, and a choice never offers two right names."""

import numpy as np
import pytest

from ps3_training.data.shards import Sample
from ps3_training.evaluation.questions import ALTERNATIVES, Vocabulary, questions_of, reworded, split_of

VOCABULARY = Vocabulary(
    ("bus", "car", "cat", "cup", "dog", "mug"),
    {"mug": "cups", "cup": "cups", "glass": "cups", "bowl": "cups", "jar": "cups", "car": "vehicle"},
)


def frame(**extra):
    labels = {
        "name": ["mug", "mug", "car"],
        "asks": ["red mug", "mug", "car"],
        "means": [["mug", "red mug"], ["mug"], ["car", "vehicle"]],
        "seen": [True, True, False],
        "absent": ["glass", "car", "bus"],
    }
    box = np.array([[0, 0, 10, 20], [50, 0, 60, 10], [0, 50, 40, 60]], np.float32)
    return Sample("key", b"", ("find the red mug", "a mug", "is there a car?"), box, "things", {**labels, **extra})


def test_half_of_the_questions_are_for_what_is_not_there():
    questions = questions_of(frame(), VOCABULARY)
    assert [question.present for question in questions] == [True] * 3 + [False] * 3
    assert [question.asks for question in questions[3:5]] == ["glass", "bus"]  # listed, and no car, which is there
    assert questions[5].asks in {"cat", "cup", "dog"}  # one more of the split, for the balance
    assert [question.text for question in questions[3:5]] == ["find the glass", "a bus"]


def test_absent_things_in_the_labels_own_words():
    labels = {"absent": ["glass", "car", "bus"], "absent_text": ["any glass here?", "a car", "which bus?"]}
    assert [question.text for question in questions_of(frame(**labels), VOCABULARY)[3:5]] == ["any glass here?", "which bus?"]


def test_every_object_that_answers_is_right():
    red, mug, car = questions_of(frame(), VOCABULARY)[:3]
    assert red.boxes.tolist() == [[0, 0, 10, 20]]  # the other mug is not red
    assert mug.boxes.tolist() == [[0, 0, 10, 20], [50, 0, 60, 10]]  # a red mug is a mug
    assert (red.size, car.size) == (20, 40) and questions_of(frame(), VOCABULARY)[3].size == 0


def test_choices_hold_one_right_name_and_look_alikes():
    mug = questions_of(frame(), VOCABULARY)[1]
    assert len(mug.choices) == ALTERNATIVES and mug.choices[mug.right] == "mug"
    assert set(mug.choices) - {"mug"} <= {"cup", "glass", "bowl", "jar"}
    assert questions_of(frame(), Vocabulary(("mug", "car"), {}))[0].choices == ()  # not enough names


def test_new_objects_alone():
    questions = questions_of(frame(), VOCABULARY, only_new=True)
    assert [question.text for question in questions] == ["is there a car?", "is there a glass?"]


def test_the_same_frame_is_asked_the_same():
    first, second = questions_of(frame(), VOCABULARY), questions_of(frame(), VOCABULARY)
    assert [(q.text, q.choices) for q in first] == [(q.text, q.choices) for q in second]


def test_labels_of_only_text_and_box():
    sample = Sample("key", b"", ("a bus",), np.array([[0, 0, 9, 9]], np.float32), "", {})
    (question,) = questions_of(sample, Vocabulary(("a bus",), {}))
    assert question.present and question.asks == "a bus" and question.seen is None


@pytest.mark.parametrize(
    "text, asks, name, expected",
    [
        ("where is the stop sign?", "stop sign", "mug", "where is the mug?"),
        ("a mug on the table", "mug", "apple", "an apple on the table"),  # the article is mended
        ("an owl", "owl", "car", "a car"),
        ("a pair of scissors", "scissors", "key", "a key"),
        ("something to cut with", "scissors", "key", "the key"),  # a synonym: the name is not in it
    ],
)
def test_reworded(text, asks, name, expected):
    assert reworded(text, asks, name) == expected


def test_split_of(tmp_path):
    assert split_of(tmp_path) == tmp_path.name
    (tmp_path / "SETTINGS.json").write_text('{"split": "test-new"}')
    assert split_of(tmp_path) == "test-new"
    (tmp_path / "SETTINGS.json").write_text("[1]")
    assert split_of(tmp_path) == tmp_path.name
