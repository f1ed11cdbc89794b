"""Regions from made-up tokens whose right answer is known: where they are, how tight, how many, and which label."""

from dataclasses import replace

import numpy as np
import pytest

from ps3_ros.boxes import grown, inside, suppress
from ps3_ros.encoder import Look
from ps3_ros.frame import FramePlan
from ps3_ros.regions import MAX_REGIONS, Canvas, components, find_regions, project, relevance_logits, spread
from ps3_ros.selection import Selection, select

EMBED = 8


@pytest.fixture
def model(make_settings):
    return make_settings(
        scales=(96, 192, 384, 960), grid=6, dim=EMBED, embed_dim=EMBED, max_patches=600, logit_scale=20.0, logit_bias=-10.0
    )


def scene(model, things, relevance=None, height=540, width=960, looked=None):
    """A look at a made-up frame. things: [(x1, y1, x2, y2, axis)]: a token points to `axis` by the part of it that things cover,
    and to the last axis (background) by the rest. Returns (look, plan, relevance, embed)."""
    plan = FramePlan.of(height, width, model)
    if relevance is None:
        relevance = np.zeros((6, 6), np.float32)
        for x1, y1, x2, y2, _ in things:
            relevance[int(y1 * 6 / height) : int(np.ceil(y2 * 6 / height)), int(x1 * 6 / width) : int(np.ceil(x2 * 6 / width))] = 0.9
    selection = looked or select(relevance, plan, model.max_patches)
    boxes = np.concatenate([plan.boxes(s, p) for s, p in enumerate(selection.patches)])
    tokens = np.zeros((len(boxes), EMBED), np.float32)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for x1, y1, x2, y2, axis in things:
        w = np.clip(np.minimum(boxes[:, 2], x2) - np.maximum(boxes[:, 0], x1), 0, None)
        h = np.clip(np.minimum(boxes[:, 3], y2) - np.maximum(boxes[:, 1], y1), 0, None)
        tokens[:, axis] += w * h / area
    tokens[:, -1] = 1 - tokens.sum(axis=1)

    def embed(mask):
        return (mask[:, :, None] * tokens).sum(axis=1) / mask.sum(axis=1, keepdims=True)

    return Look(tokens, selection, boxes, {}), plan, relevance, embed


def ask(model, things, axes=(0,), labels=None, **arguments):
    look, plan, relevance, embed = scene(model, things, **arguments)
    vectors = np.eye(EMBED, dtype=np.float32)[list(axes)] * 3  # raw: not of unit length
    return find_regions(look, plan, relevance, vectors, labels or [f"thing {a}" for a in axes], look.tokens, embed)


def iou(a, b):
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(w, 0) * max(h, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


THINGS = [
    (320, 192, 352, 224),  # 2 x 2 finest patches, a hundredth of its cell
    (336, 208, 352, 224),  # one finest patch
    (325, 197, 356, 221),  # on no grid
    (160, 180, 320, 270),  # a whole cell
    (100, 100, 380, 330),  # over several cells
    (0, 0, 48, 48),  # in the corner
    (920, 500, 960, 540),  # in the other
]


@pytest.mark.parametrize("box", THINGS)
def test_one_thing_is_boxed_below_cell_size(model, box):
    regions, scores = ask(model, [(*box, 0)])
    assert iou(regions[0].box, box) > 0.5, regions[0]
    assert regions[0].score > 0.9 and regions[0].label == "thing 0"
    assert scores.shape == (1,) and scores[0] == pytest.approx(regions[0].score, abs=1e-6)


def test_two_things_in_one_component_are_two_regions(model):
    boxes = [(176, 196, 208, 228), (256, 196, 288, 228)]
    regions, _ = ask(model, [(*box, 0) for box in boxes])
    assert len(regions) == 2
    for box in boxes:
        assert max(iou(region.box, box) for region in regions) > 0.5
    assert all(region.score > 0.9 for region in regions)


def test_two_things_that_touch_by_a_corner_are_two_regions(model):
    boxes = [(176, 196, 208, 228), (208, 228, 240, 260)]
    regions, _ = ask(model, [(*box, 0) for box in boxes])
    assert all(max(iou(region.box, box) for region in regions) > 0.5 for box in boxes)


def test_things_far_apart_are_different_components(model):
    boxes = [(16, 16, 64, 64), (800, 400, 864, 464)]
    regions, _ = ask(model, [(*box, 0) for box in boxes])
    assert len(regions) == 2 and all(max(iou(region.box, box) for region in regions) > 0.4 for box in boxes)


def test_best_first(model):
    look_at = [(176, 196, 240, 260, 0), (800, 400, 864, 464, 0)]
    look, plan, relevance, embed = scene(model, look_at)
    look.tokens[(look.boxes[:, 0] > 480)] += np.eye(EMBED, dtype=np.float32)[1] * 0.5  # the right one matches less
    regions, _ = find_regions(look, plan, relevance, np.eye(EMBED, dtype=np.float32)[:1], ["mug"], look.tokens, embed)
    assert [region.score for region in regions] == sorted((region.score for region in regions), reverse=True)
    assert iou(regions[0].box, look_at[0][:4]) > 0.7


def test_choices_label_each_region_and_are_scored_each(model):
    things = [(176, 196, 240, 260, 0), (800, 400, 864, 464, 2)]
    regions, scores = ask(model, things, axes=(0, 1, 2), labels=["red", "amber", "green"])
    labels = {region.label for region in regions[:2]}
    assert labels == {"red", "green"}
    assert scores[0] > 0.9 and scores[2] > 0.9 and scores[1] < 0.1


def test_nothing_there_scores_low_but_is_still_judged(model):
    regions, scores = ask(model, [], relevance=np.full((6, 6), 0.1, np.float32))  # under the threshold everywhere
    assert regions and scores[0] < 0.01 and all(region.score < 0.01 for region in regions)


def test_tokens_decide_where_no_cell_is_relevant_enough(model):
    relevance = np.full((6, 6), 0.1, np.float32)
    relevance[2, 2] = 0.3
    regions, _ = ask(model, [(340, 200, 380, 240, 0)], relevance=relevance)
    assert iou(regions[0].box, (340, 200, 380, 240)) > 0.5


def test_a_look_at_one_patch(model):
    patch = np.array([60 * 12 + 20])
    none = np.empty(0, np.int64)
    for selection in (Selection((none, none, patch)), Selection((np.array([3]), none, none))):
        regions, _ = ask(model, [(0, 0, 960, 540, 0)], relevance=np.full((6, 6), 0.9, np.float32), looked=selection)
        assert len(regions) == 1
        expected = FramePlan.of(540, 960, model)
        s = 2 if len(selection.patches[2]) else 0
        assert iou(regions[0].box, expected.boxes(s, selection.patches[s])[0]) > 0.5


def test_never_more_than_the_limit(model):
    things = [(x, y, x + 32, y + 32, 0) for x in range(8, 900, 96) for y in range(8, 500, 96)]
    regions, _ = ask(model, things, relevance=np.full((6, 6), 0.9, np.float32))
    assert 1 < len(regions) <= MAX_REGIONS


@pytest.mark.parametrize(("height", "width"), [(960, 540), (333, 1000), (32, 1600)])
def test_other_shapes_of_frame(model, height, width):
    box = (width * 0.4, height * 0.3, width * 0.4 + 64, height * 0.3 + min(64, height * 0.5))
    regions, _ = ask(model, [(*box, 0)], height=height, width=width)
    assert iou(regions[0].box, box) > 0.3
    assert all(0 <= r.box[0] < r.box[2] <= width and 0 <= r.box[1] < r.box[3] <= height for r in regions)


def test_project_is_the_mean_over_the_scales_that_cover_a_patch(model):
    look, plan, _, _ = scene(model, [], relevance=np.random.default_rng(0).random((6, 6)).astype(np.float32))
    match = np.random.default_rng(1).random(len(look.boxes)).astype(np.float32)
    canvas = project(match, look.selection, plan)
    fine = plan.grids[-1]
    for row in range(0, fine.rows, 3):
        for col in range(0, fine.cols, 3):
            x, y = (col + 0.5) * plan.width / fine.cols, (row + 0.5) * plan.height / fine.rows
            b = look.boxes
            over = match[(b[:, 0] <= x) & (x < b[:, 2]) & (b[:, 1] <= y) & (y < b[:, 3])]
            assert canvas.looked[row, col] == bool(len(over))
            assert canvas.match[row, col] == pytest.approx(over.mean() if len(over) else 0, abs=1e-6)


def test_components_join_diagonal_neighbours_and_keep_to_what_was_looked_at(model):
    relevance = np.zeros((6, 6), np.float32)
    relevance[1, 1] = relevance[2, 2] = relevance[4, 4] = 0.9
    look, plan, _, _ = scene(model, [], relevance=relevance)
    canvas = project(np.zeros(len(look.boxes), np.float32), look.selection, plan)
    found = components(relevance, canvas, model)
    assert len(found) == 2
    for component in found:
        assert component.of(canvas.looked)[component.patches].all()
        assert (relevance.ravel()[component.of(canvas.cell)[component.patches]] > 0.5).all()


def test_tokens_inside_a_box():
    tokens = np.array([[0, 0, 16, 16], [16, 0, 32, 16], [0, 0, 40, 40], [200, 200, 240, 240]], np.float32)
    boxes = np.array([[0, 0, 16, 16], [4, 4, 12, 12], [150, 150, 152, 152]], np.float32)
    expected = [
        [True, False, True, False],  # itself, and the coarse patch that covers it
        [True, False, True, False],  # centred in it; covers it
        [False, False, False, True],  # none inside: the nearest
    ]
    np.testing.assert_array_equal(inside(tokens, boxes), expected)


def test_suppress_drops_what_overlaps_a_better_one():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 8], [20, 0, 30, 10], [0, 0, 10, 10]], np.float32)
    assert suppress(boxes, np.array([0.5, 0.9, 0.7, 0.5])) == [1, 2]
    assert suppress(boxes[:1], np.array([0.5])) == [0]


def test_a_box_grows_about_its_centre():
    assert grown(np.array([[100, 200, 140, 220]], np.float32), 1.5).tolist() == [[90, 195, 150, 225]]


@pytest.mark.parametrize(
    "box, expected",
    [
        ((0, 0, 160, 90), 0.0),  # one cell of 160 x 90 px
        ((150, 0, 170, 90), np.log(0.9 / 0.1)),  # two cells: the larger
        ((320, 180, 330, 190), np.log(0.2 / 0.8)),
        ((800, 450, 960, 540), 10.0),  # probability 1, as a prior gives it, is the largest logit that relevance has
        ((959, 539, 960, 540), 10.0),  # at the frame's edge
    ],
)
def test_relevance_logits_are_those_under_the_box(model, box, expected):
    plan = FramePlan.of(540, 960, model)
    maps = np.full((1, 6, 6), 0.5, np.float32)
    maps[0, 0, 1], maps[0, 2, 2], maps[0, 5, 5] = 0.9, 0.2, 1.0
    assert relevance_logits(np.array([box], np.float32), maps, plan)[0, 0] == pytest.approx(expected, abs=1e-5)


def test_of_two_equal_matches_the_more_relevant_place_is_better(model):
    things = [(320, 192, 352, 224, 0), (640, 192, 672, 224, 0)]
    relevance = np.full((6, 6), 0.6, np.float32)
    relevance[2, 4] = 0.9
    regions, _ = ask(model, things, relevance=relevance)
    assert iou(regions[0].box, things[1][:4]) > 0.5 and regions[0].score > regions[1].score


def test_what_a_question_matches_anywhere_is_taken_off_its_scores_and_changes_no_order(model):
    things = [(176, 196, 240, 260, 0), (800, 400, 864, 464, 2)]
    plain, by_label = ask(model, things, axes=(0, 2), labels=["red", "green"])
    less = replace(model, background=(0.2, 0, 0.1, 0, 0, 0, 0, 0))  # a mean of 0.15 over the two labels
    regions, less_by_label = ask(less, things, axes=(0, 2), labels=["red", "green"])
    logit = lambda scores: np.log(scores / (1 - np.asarray(scores)))  # noqa: E731
    np.testing.assert_allclose(logit(less_by_label), logit(by_label) - model.logit_scale * 0.15, atol=1e-3)
    assert [(r.box, r.label) for r in regions] == [(r.box, r.label) for r in plain]


def test_each_choice_is_scored_by_its_own_relevance(model):
    look, plan, relevance, embed = scene(model, [(320, 192, 352, 224, 0)])
    vectors = np.eye(EMBED, dtype=np.float32)[[1, 2]]  # neither is there: the tokens say nothing
    maps = np.stack([np.full((6, 6), 0.4), np.full((6, 6), 0.8)]).astype(np.float32)
    _, by_label = find_regions(look, plan, relevance, vectors, ["one", "two"], look.tokens, embed, maps)
    assert by_label[1] > by_label[0]


def test_a_box_spreads_over_what_matches_about_as_well():
    match, looked = np.zeros((20, 30), np.float32), np.ones((20, 30), bool)
    match[5:9, 10:20], match[6, 12], match[9:12, 20:24] = 0.4, 0.6, 0.5  # the last touches by a corner alone
    canvas = Canvas(match, looked, np.zeros(match.shape, np.int64), (10.0, 16.0))
    inside_it = np.array([195, 62, 200, 68], np.float32)  # one patch of it
    assert spread(canvas, inside_it).tolist() == [160, 50, 320, 90]
    match[:, 15] = 0.1  # below the way's third
    assert spread(canvas, inside_it).tolist() == [160, 50, 240, 90]
    looked[:] = False
    looked[0, 0] = True
    assert spread(canvas, inside_it) is inside_it
