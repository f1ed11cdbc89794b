"""The gate's figures on answers made by hand, and what it lets through."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ps3_export.gate import LIMITS, compare_outcomes, iou, judge, misses, rounded_figures, summary
from ps3_export.parity import cosine, relative_error, worst
from ps3_ros.answer import Region
from ps3_ros.errors import CheckpointError
from ps3_ros.frame import FramePlan
from ps3_ros.selection import select

INT8 = LIMITS["int8"]


@pytest.fixture
def outcome(make_settings):
    """A function: relevance, box and score -> what the gate reads of an answer, of a small frame."""
    settings = make_settings(scales=(64, 128, 256), grid=4, max_patches=20)
    plan = FramePlan.of(256, 256, settings)

    def make(relevance, box=(0, 0, 32, 32), score=0.5, others=(), found=True):
        detail = SimpleNamespace(relevance=relevance, selection=select(relevance, plan, 20), plan=plan)
        regions = [Region(box, score, "mug"), *(Region(b, s, "mug") for b, s in others)]
        view = SimpleNamespace(name="view", query="mug")
        return SimpleNamespace(view=view, detail=detail, answer=SimpleNamespace(regions=regions, found=found))

    return make


def ramp():
    return np.linspace(0.9, 0.1, 16, dtype=np.float32).reshape(4, 4)


def test_equal_answers_have_no_figures_against_them(outcome):
    (view,) = compare_outcomes([outcome(ramp())], [outcome(ramp())], INT8)
    assert (view.overlap, view.overlap_ties, view.shift, view.iou, view.score) == (1, 1, 0, 1, 0)


def test_another_cell_counts_unless_it_ties(outcome):
    first, other = ramp(), ramp()
    other[3, 3] = 1.0  # the least relevant cell of all is now chosen first
    (view,) = compare_outcomes([outcome(first)], [outcome(other)], INT8)
    assert view.overlap_ties == view.overlap < 1
    flat, turned = np.full((4, 4), 0.5, np.float32), np.full((4, 4), 0.5, np.float32)
    turned[3, 3] += 1e-4
    (view,) = compare_outcomes([outcome(flat)], [outcome(turned)], INT8)
    assert view.overlap < 1 and view.overlap_ties == 1


def test_a_region_as_good_as_the_best_may_take_its_place(outcome):
    far = (200, 200, 232, 240)
    expected = outcome(ramp(), others=[(far, 0.46)])  # as good for int8 (0.05), not for fp16 (0.03)
    (tied,) = compare_outcomes([expected], [outcome(ramp(), box=far, score=0.5)], INT8)
    (moved,) = compare_outcomes([expected], [outcome(ramp(), box=far, score=0.5)], LIMITS["fp16"])
    assert (tied.iou, tied.shift) == (1, 0) and (moved.iou, moved.shift) == (0, 208)


def test_where_nothing_is_found_the_region_may_be_any(outcome):
    far = {"box": (200, 200, 232, 240)}
    figures = [compare_outcomes([outcome(ramp(), found=found)], [outcome(ramp(), **far)], INT8)[0] for found in (True, True, True, False)]
    assert summary(figures)["moved"] == 1 and summary(figures[3:])["moved"] == 0
    assert summary(figures)["found_views"] == 3 and summary(figures)["found_changed"] == 1


def test_iou():
    assert iou((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert iou((0, 0, 10, 10), (20, 20, 30, 30)) == 0


GOOD = {"look": {"tokens": {"random": 1e-6, "real": 1e-6, "cosine": 1.0}}}


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"real": 0.9}, "off by 0.9"),
        ({"random": float("nan")}, "off by nan"),
        ({"cosine": 0.5}, "cosine 0.500000"),
        ({"stored": 1e-3}, "stored weights"),
    ],
)
def test_each_limit_of_a_graph_can_be_missed(figures, words):
    parity = {"look": {"tokens": {**GOOD["look"]["tokens"], **figures}}}
    assert misses(GOOD, [], LIMITS["fp16"]) == []
    (line,) = misses(parity, [], LIMITS["fp16"])
    assert words in line and "'look'" in line and "'tokens'" in line


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"overlap_ties": 0.5}, "50.0%"),
        ({"iou": 0.1}, "another one"),
        ({"score": 0.9}, "0.900"),
        ({"score": float("nan")}, "more than 0.03"),
    ],
)
def test_each_limit_of_an_answer_can_be_missed(outcome, change, words):
    (view,) = compare_outcomes([outcome(ramp())], [outcome(ramp())], INT8)
    assert misses(GOOD, [view, view], LIMITS["fp16"]) == []
    (line,) = misses(GOOD, [replace(view, **change)] * 2, LIMITS["fp16"])
    assert words in line and line.startswith("answers")


@pytest.mark.parametrize(
    ("precision", "finds", "moved", "passes"),
    [
        ("int8", 2, 1, True),  # one of few is allowed
        ("int8", 2, 2, False),
        ("int8", 50, 5, True),  # 10%
        ("int8", 50, 6, False),
        ("fp16", 100, 3, True),  # 3%
        ("fp16", 100, 4, False),
        ("fp32", 16, 1, False),  # none is allowed
    ],
)
def test_how_many_answers_may_be_others(outcome, precision, finds, moved, passes):
    (view,) = compare_outcomes([outcome(ramp())], [outcome(ramp())], INT8)
    views = [replace(view, iou=0.0)] * moved + [view] * (finds - moved)
    found = misses(GOOD, views + [replace(view, iou=0.0, found=False)] * 16, LIMITS[precision])
    assert (found == []) == passes and all("another one" in line for line in found)
    views = [replace(view, score=0.2)] * moved + [replace(view, found=False)] * (finds - moved)  # of all questions, found or not
    found = misses(GOOD, views, LIMITS[precision])
    assert (found == []) == passes and all("score changes by more than" in line for line in found)


def test_a_miss_is_an_error_unless_it_is_accepted():
    with pytest.raises(CheckpointError, match="int8 bundle is not its checkpoint: a.*1 more.*--accept-drift"):
        judge(["a", "b"], "int8", accept_drift=False)
    assert judge(["a", "b"], "int8", accept_drift=True) == ("a", "b")
    assert judge([], "int8", accept_drift=False) == ()


def test_the_summary_is_what_json_holds(outcome):
    (view,) = compare_outcomes([outcome(ramp())], [outcome(ramp(), score=0.75)], INT8)
    assert summary([view, view]) == {
        "views": 1, "questions": 2, "overlap": 1.0, "overlap_ties": 1.0, "overlap_least": 1.0, "shift_median_px": 0.0,
        "found_views": 2, "found_changed": 0, "moved_views": 0, "moved": 0.0, "score_change": 0.25,
        "score_change_mean": 0.25,
    }  # fmt: skip
    assert rounded_figures({"look": {"tokens": {"real": float("inf"), "cosine": 0.12345678}}}) == {
        "look": {"tokens": {"real": 1e30, "cosine": 0.1234568}}
    }


def test_figures_of_arrays():
    a = np.array([3.0, 4.0], np.float32)
    assert relative_error(a, a) == 0 and cosine(a, a) == 1
    assert relative_error(np.array([3.0, 4.4], np.float32), a) == pytest.approx(0.1)
    assert relative_error(a[:1], a) == float("inf") and cosine(a[:1], a) == -1
    assert np.isnan(relative_error(np.array([np.nan, 4], np.float32), a)) and cosine(np.array([np.nan, 4]), a) == -1
    assert np.isnan(worst(float("nan"), 0.1)) and np.isnan(worst(0.1, float("nan"))) and worst(0.1, 0.2) == 0.2
