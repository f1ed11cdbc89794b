"""Which patches a box has, and how many of them are selected."""

import numpy as np
import pytest

from ps3_ros.bundle import load_bundle
from ps3_ros.frame import FramePlan
from ps3_ros.selection import Selection
from ps3_training.evaluation.selection_recall import budgets, patches_of, recall, selections


@pytest.fixture
def plan(tiny_bundle):
    return FramePlan.of(360, 640, load_bundle(tiny_bundle).settings)


@pytest.mark.parametrize("box", [(33, 40, 81, 95), (0, 0, 640, 360), (639, 359, 640, 360)])
def test_patches_of_a_box_are_those_it_shares_area_with(plan, box):
    for s, grid in enumerate(plan.grids):
        boxes = plan.boxes(s, np.arange(grid.patches))
        width = np.minimum(boxes[:, 2], box[2]) - np.maximum(boxes[:, 0], box[0])
        height = np.minimum(boxes[:, 3], box[3]) - np.maximum(boxes[:, 1], box[1])
        assert patches_of(np.array(box, np.float32), plan, s).tolist() == np.flatnonzero((width > 0) & (height > 0)).tolist()


def test_recall_is_the_share_of_wanted_patches():
    wanted = [np.array([0, 1]), np.array([5, 6])]
    assert recall(Selection((np.array([1, 3]), np.array([5, 6, 7]))), wanted) == 0.75
    assert recall(Selection((np.array([], np.int64), np.array([7]))), wanted) == 0


def test_more_patches_are_more_recall_and_all_are_all(plan):
    relevance = np.random.default_rng(0).random((plan.settings.grid,) * 2)
    wanted = [patches_of(np.array([100, 100, 180, 160], np.float32), plan, s) for s in range(len(plan.grids))]
    chosen = selections(relevance, plan)
    assert list(chosen) == ["one look", "5%", "10%", "20%", "44%", "70%"] and chosen["one look"].count <= plan.settings.max_patches
    shares = [recall(chosen[name], wanted) for name in ("5%", "10%", "20%", "44%", "70%")]
    assert shares == sorted(shares)
    everything = Selection(tuple(np.arange(grid.patches) for grid in plan.grids))
    assert recall(everything, wanted) == 1.0
    assert budgets(plan)["44%"] == int(0.44 * everything.count)
