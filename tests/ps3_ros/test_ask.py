"""The whole core on a tiny exported bundle and real 4K frames: answers that fit the schema, the same every time, and every bad input."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from ps3_ros.answer import Answer
from ps3_ros.ask import MAX_LOOKS, Asker, looked_fraction
from ps3_ros.errors import BundleError, FrameError, QueryError
from ps3_ros.frame import Frame, FramePlan
from ps3_ros.selection import Selection

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "answer.schema.json").read_text())
STAMP = 1_700_000_000_123_456_789


@pytest.fixture(scope="module")
def frame(sample_frame_4k):
    return Frame(sample_frame_4k, STAMP, "front_camera")


@pytest.fixture(scope="module")
def asker(tiny_bundle):
    return Asker(tiny_bundle, threads=1, clock=lambda: STAMP + 250_000_000)


@pytest.fixture
def asked(asker, frame):
    asker.set_frame(frame)
    return asker


def check(answer):
    """What holds for every answer."""
    jsonschema.validate(json.loads(answer.to_json()), SCHEMA)
    assert Answer.from_json(answer.to_json()) == answer
    scores = [region.score for region in answer.regions]
    assert scores == sorted(scores, reverse=True) and answer.found == (scores[0] >= 0.5)
    for region in answer.regions:
        x1, y1, x2, y2 = region.box
        assert 0 <= x1 < x2 <= answer.width and 0 <= y1 < y2 <= answer.height
    assert 0 < answer.looked_fraction <= 1 and 0 < answer.patches_used <= answer.patches_allowed
    return answer


def test_an_answer_on_a_4k_frame(asked):
    answer = check(asked.ask("stop sign"))
    assert (answer.query, answer.label, answer.choices, answer.looks) == ("stop sign", "stop sign", (), 1)
    assert answer.stamp == {"sec": 1_700_000_000, "nanosec": 123_456_789} and answer.age_ms == 250
    assert (answer.frame_id, answer.width, answer.height) == ("front_camera", 3840, 2160)
    assert answer.patches_allowed == 256 and 250 <= answer.patches_used <= 256
    assert (answer.model, answer.backend, answer.error) == ("tiny", "onnxruntime:cpu", None)
    assert answer.stage_ms["glance"] > 0 and answer.stage_ms["total"] >= answer.stage_ms["look"] > 0


def test_the_frames_cost_is_counted_once(asked):
    first, second = asked.ask("stop sign"), asked.ask("mug")
    assert first.stage_ms["glance"] > 0 and second.stage_ms["glance"] == 0
    assert all(answer.stage_ms["total"] >= sum(v for k, v in answer.stage_ms.items() if k != "total") * 0.99 for answer in (first, second))


def test_the_same_question_gets_the_same_answer(asked, tiny_bundle, frame):
    first, second = asked.ask("a mug"), asked.ask("a mug")
    assert (first.regions, first.looked_fraction) == (second.regions, second.looked_fraction)
    other = Asker(tiny_bundle, threads=1)
    other.set_frame(frame)
    assert other.ask("a mug").regions == first.regions


def test_choices_are_ranked_from_one_look(asked):
    answer = check(asked.ask("red | amber | green traffic light"))
    assert answer.looks == 1 and {c.label for c in answer.choices} == {"red traffic light", "amber traffic light", "green traffic light"}
    scores = [choice.score for choice in answer.choices]
    assert scores == sorted(scores, reverse=True)
    assert answer.label == answer.regions[0].label == answer.choices[0].label
    assert answer.query == "red | amber | green traffic light"


def test_several_looks_see_more_and_other_patches(asked):
    one, three = check(asked.ask("a mug")), check(asked.ask("a mug", looks=3))
    assert three.looks == 3 and three.patches_allowed == 768 and three.patches_used > 2.9 * one.patches_used
    assert three.looked_fraction > 2 * one.looked_fraction
    assert all(len(np.unique(p)) == len(p) for p in asked.detail.selection.patches)


BUDGETS = [  # tokens, looks, patches used
    (1, 1, 1),
    (85, 1, 84),  # shares 2 + 11 + 71
    (256, 1, 255),
    (257, 2, 256),
    (600, 3, 596),  # 255 + 255 + (2 + 11 + 73)
]


@pytest.mark.parametrize(("tokens", "looks", "used"), BUDGETS)
def test_tokens_are_the_budget_in_all(asked, tokens, looks, used):
    answer = check(asked.ask("a mug", looks=9, tokens=tokens))
    assert (answer.looks, answer.patches_used, answer.patches_allowed) == (looks, used, tokens)


def test_answers_grow_from_the_glance_to_the_last_look(asked):
    whole = asked.ask("red | green mug", looks=3)
    asked.set_frame(asked.glance.frame)
    first, *others = answers = list(asked.answers("red | green mug", looks=3))
    assert [a.looks for a in answers] == [0, 1, 2, 3] and [a.final for a in answers] == [False, False, False, True]
    assert (first.found, first.regions, first.choices, first.label) == (False, (), (), None)
    assert (first.looked_fraction, first.patches_used) == (0, 0)
    for before, after in zip(others, others[1:], strict=False):
        assert after.looked_fraction > before.looked_fraction and after.stage_ms["look"] > before.stage_ms["look"] > 0
    for answer in others:
        check(answer)
    assert all(a.stage_ms["glance"] == first.stage_ms["glance"] > 0 and a.patches_allowed == 768 for a in answers)
    assert (answers[-1].regions, answers[-1].choices, answers[-1].patches_used) == (whole.regions, whole.choices, whole.patches_used)
    assert asked.detail.selection.count == whole.patches_used


def test_the_answer_from_the_glance_says_where_to_look(asked):
    first = next(asked.answers("a mug"))
    relevance, alone = asked.detail.relevance, asked.glance_answer("a mug")
    assert alone.final and (alone.looks, alone.patches_allowed, alone.found) == (0, 0, False)
    np.testing.assert_array_equal(asked.detail.relevance, relevance)
    jsonschema.validate(json.loads(first.to_json()), SCHEMA)
    assert asked.ask("a mug").looks == 1


def test_answers_are_about_the_frame_they_began_with(asked, frame):
    expected, steps = asked.ask("a mug", looks=2), asked.answers("a mug", looks=2)
    next(steps)
    asked.set_frame(Frame(np.zeros((480, 640, 3), np.uint8)))
    asked.ask("a mug")
    *_, last = steps
    assert (last.regions, last.stamp, last.width) == (expected.regions, expected.stamp, 3840)


def test_bad_questions_fail_before_the_first_answer(asked):
    for arguments in ({"query": ""}, {"query": "a mug", "looks": 0}, {"query": "a mug", "prior": np.ones(3)}):
        with pytest.raises(QueryError):
            asked.answers(**arguments)


def test_shared_looks_encode_a_patch_once(tiny_bundle, frame):
    asker = Asker(tiny_bundle, threads=1, share_looks=True)
    asker.set_frame(frame)
    first, prior = asker.ask("a mug"), np.zeros((4, 4), np.float32)
    again, other = check(asker.ask("a mug")), check(asker.ask("stop sign", prior=np.eye(4, dtype=np.float32)))
    assert first.stage_ms["look"] > 0 and again.stage_ms["look"] == again.stage_ms["cut"] == 0
    assert (again.regions, again.patches_used) == (first.regions, first.patches_used)
    assert other.patches_used == first.patches_used
    asker.set_frame(frame)
    assert asker.ask("a mug", prior=prior).stage_ms["look"] > 0  # another frame, nothing is known of it


def test_one_look_for_all_questions(asked):
    queries = ["a mug", "stop sign", "red | green mug"]
    answers = [check(answer) for answer in asked.ask_all(queries, weights=[4, 1, 1])]
    assert [a.query for a in answers] == queries and len({a.patches_used for a in answers}) == 1
    assert answers[0].stage_ms["look"] > 0 and all(a.stage_ms["look"] == 0 for a in answers[1:])
    assert len(answers[2].choices) == 2 and asked.detail.selection.count == answers[0].patches_used
    (alone,) = asked.ask_all(["a mug"])
    assert alone.regions == asked.ask("a mug").regions


BAD_ROUNDS = [  # arguments of ask_all
    {"queries": []},
    {"queries": ["a mug", ""]},
    {"queries": ["a mug"], "tokens": 257},
    {"queries": ["a mug"], "tokens": 0},
    {"queries": ["a mug", "stop sign"], "weights": [1]},
    {"queries": ["a mug", "stop sign"], "weights": [1, 0]},
]


@pytest.mark.parametrize("arguments", BAD_ROUNDS)
def test_bad_rounds(asked, arguments):
    with pytest.raises(QueryError):
        asked.ask_all(**arguments)


def test_looking_ends_when_all_was_seen(asker):
    asker.set_frame(Frame(np.random.default_rng(0).integers(0, 256, (120, 640, 3), dtype=np.uint8)))
    answer = check(asker.ask("a mug", looks=50))
    assert answer.looked_fraction == 1 and answer.looks < 50 and answer.age_ms is None
    *_, last = asker.answers("a mug", looks=50)
    assert last.final and last.looks == answer.looks and last.regions == answer.regions


def test_a_prior_says_where_to_look(asked):
    prior = np.zeros((54, 96), np.float32)
    prior[45:48, 80:84] = 1
    answer = check(asked.ask("a mug", tokens=20, prior=prior))
    assert asked.detail.relevance[3, 3] == 1
    x1, y1, x2, y2 = answer.regions[0].box
    assert x1 >= 2880 and y1 >= 1600  # the cell of the prior


def test_detail_is_what_the_answer_is_about(asked):
    answer = asked.ask("a mug")
    detail = asked.detail
    assert detail.relevance.shape == (4, 4) and detail.selection.count == answer.patches_used
    assert detail.regions == answer.regions and (detail.plan.height, detail.plan.width) == (2160, 3840)


def test_a_reference_bundle_answers_too(tiny_reference_bundle, frame):
    asker = Asker(str(tiny_reference_bundle), threads=1)
    asker.set_frame(frame)
    answer = check(asker.ask("a sign", looks=2))
    assert answer.model == asker.encoder.bundle.manifest.model_name


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 701), (1023, 64), (480, 640)])
def test_frames_of_any_shape(asker, height, width):
    asker.set_frame(Frame(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8), STAMP))
    check(asker.ask("a mug"))


def test_the_next_good_question_is_answered_after_a_bad_one(asked):
    for query in ("", b"\xff", "x" * 5000, "stop " * 300, "red | | green", None):
        with pytest.raises(QueryError) as error:
            asked.ask(query)
        assert "\n" not in str(error.value)
    check(asked.ask("a mug"))


@pytest.mark.parametrize(
    "arguments",
    [
        {"looks": 0},
        {"looks": 1.5},
        {"looks": True},
        {"looks": "2"},
        {"tokens": 0},
        {"tokens": -5},
        {"tokens": 2.0},
        {"looks": MAX_LOOKS + 1},
        {"tokens": 10**9},
    ],
)
def test_bad_budgets(asked, arguments):
    with pytest.raises(QueryError, match=f"{next(iter(arguments))}|looks"):
        asked.ask("a mug", **arguments)


def test_bad_priors(asked):
    with pytest.raises(QueryError, match="prior"):
        asked.ask("a mug", prior=np.full((4, 4), 2.0))


def test_no_frame_no_answer(tiny_bundle, frame):
    asker = Asker(tiny_bundle, threads=1)
    with pytest.raises(FrameError, match="set_frame"):
        asker.ask("a mug")
    asker.set_frame(frame)
    with pytest.raises(FrameError, match="ndarray"):
        asker.set_frame(frame.pixels)
    with pytest.raises(FrameError, match="set_frame"):  # never an answer about an older frame
        asker.ask("a mug")


def test_a_wrong_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError):
        Asker(tmp_path / "nothing")


def test_looked_fraction_is_the_area_of_the_union(make_settings):
    settings = make_settings(scales=(96, 192, 384, 960), grid=6)
    plan = FramePlan.of(2160, 3840, settings)
    rng = np.random.default_rng(0)
    chosen = Selection(tuple(np.sort(rng.choice(g.patches, g.patches // 5, replace=False)) for g in plan.grids))
    seen = np.zeros((2160, 3840), bool)  # 3840 x 2160 is a whole number of patches a side at most of these scales; edges are rounded
    for s, patches in enumerate(chosen.patches):
        for x1, y1, x2, y2 in np.round(plan.boxes(s, patches)).astype(int):
            seen[y1:y2, x1:x2] = True
    assert looked_fraction(chosen, plan) == pytest.approx(seen.mean(), abs=2e-3)
    assert looked_fraction(Selection.none(plan), plan) == 0
    everything = Selection((np.arange(plan.grids[0].patches), chosen.patches[1], np.empty(0, np.int64)))
    assert looked_fraction(everything, plan) == 1


def test_the_robot_side_imports_neither_torch_nor_ros():
    code = (
        "import sys, ps3_ros.ask, ps3_ros.answer; "
        "bad = [m for m in ('torch', 'rclpy', 'ps3_export', 'ps3_training', 'onnx') if m in sys.modules]; sys.exit(bool(bad))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0
