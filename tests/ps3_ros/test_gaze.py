"""Gaze: what was found or matched is looked at again where it has moved to, what did not match later, and a lost picture forgets."""

from dataclasses import replace

import numpy as np
import pytest

from ps3_ros.answer import Region
from ps3_ros.ask import Asker
from ps3_ros.bundle import default_bundle, load_bundle
from ps3_ros.errors import Ps3Error
from ps3_ros.flow import Flow
from ps3_ros.frame import Frame, FramePlan
from ps3_ros.gaze import MAX_GAZES, SEEN_MOST, Gaze, Gazes
from ps3_ros.regions import Canvas
from ps3_ros.selection import Guide, fine_relevance_map, relevance_map, select_guided

from .test_flow import scene, view

SIZE = (1280, 720)


@pytest.fixture(scope="module")
def settings():
    return load_bundle(default_bundle()).settings


@pytest.fixture
def plan(settings):
    return FramePlan.of(SIZE[1], SIZE[0], settings)


def pan(dx):
    """The flow of a picture that moved by dx px."""
    nothing = np.empty((0, 2))
    return Flow(np.array([[1, 0, dx], [0, 1, 0]], float), nothing, nothing, SIZE, np.zeros((384, 384), np.float32))


def looked(plan, box, good=()):
    """Canvas of a look at the finest patches under a box, which match a little; those under `good`, boxes too, match well."""
    grid = plan.grids[-1]
    match, seen = np.zeros((grid.rows, grid.cols), np.float32), np.zeros((grid.rows, grid.cols), bool)
    for n, (x1, y1, x2, y2) in enumerate((box, *good)):
        rows = slice(y1 * grid.rows // plan.height, y2 * grid.rows // plan.height)
        cols = slice(x1 * grid.cols // plan.width, x2 * grid.cols // plan.width)
        match[rows, cols], seen[rows, cols] = 0.5 if n else 0.01 * np.arange(cols.stop - cols.start) % 0.03, True
    return Canvas(match, seen, np.zeros(match.shape, np.int64), (plan.height / grid.rows, plan.width / grid.cols))


def region(box, score):
    return Region(box, score, "mug")


def at(gaze, x, y):
    """The gain at a point of the frame."""
    gain = gaze.guide().gain
    return gain[int(y / SIZE[1] * len(gain)), int(x / SIZE[0] * len(gain))]


def test_what_was_found_counts_more_where_it_has_moved_to(settings, plan):
    gaze, box = Gaze(settings, SIZE), (400, 300, 480, 360)
    gaze.learn([region(box, 0.9), region((900, 300, 980, 360), 1e-3)], looked(plan, (320, 240, 1040, 420), [box]))
    first = at(gaze, 440, 330)
    assert first > 1 and at(gaze, 940, 330) < -0.2 and at(gaze, 100, 100) == 0
    gaze.move(pan(160))
    assert 0.5 < at(gaze, 600, 330) < first and at(gaze, 440, 330) == 0 and np.allclose(gaze.boxes, [[560, 300, 640, 360]])
    assert -SEEN_MOST < at(gaze, 1100, 330) < 0  # fades, and moves along
    gaze.learn([], looked(plan, (560, 240, 720, 420), [(660, 400, 680, 420)]))  # looked at, and no longer found
    assert len(gaze.boxes) == 0 and at(gaze, 600, 330) < 0


def test_a_patch_that_matches_speaks_for_what_is_around_it_before_anything_was_found(settings, plan):
    gaze = Gaze(settings, SIZE)
    gaze.learn([], looked(plan, (600, 240, 800, 400), [(760, 300, 800, 340)]))
    assert at(gaze, 780, 320) == SEEN_MOST and at(gaze, 806, 320) > 1  # its own place, and one beside it that was not looked at
    assert at(gaze, 620, 260) < -0.5 and at(gaze, 900, 320) == 0
    gaze.learn([], None)  # an answer from the glance alone teaches nothing
    assert at(gaze, 780, 320) == SEEN_MOST


def test_what_was_not_looked_at_again_is_kept_for_a_while_and_leaves_with_the_frame(settings, plan):
    gaze = Gaze(settings, SIZE)
    gaze.learn([region((1100, 300, 1200, 360), 0.9)], looked(plan, (1040, 240, 1260, 420)))
    gaze.move(pan(20))
    gaze.learn([], looked(plan, (100, 100, 200, 200)))
    assert at(gaze, 1170, 330) > 0.5
    gaze.move(pan(200))
    assert len(gaze.boxes) == 0


@pytest.mark.parametrize("flow", [None, replace(pan(0), size=(640, 360))])  # another scene; another camera
def test_all_is_forgotten_where_the_motion_cannot_be_told(settings, plan, flow):
    gaze = Gaze(settings, SIZE)
    gaze.learn([region((400, 300, 480, 360), 0.9)], looked(plan, (320, 240, 1040, 420)))
    gaze.move(flow)
    assert not gaze.guide().gain.any() and len(gaze.boxes) == 0


def test_a_place_that_changed_was_not_looked_at_in_vain(settings, plan):
    gaze, changed = Gaze(settings, SIZE), np.zeros((384, 384), np.float32)
    gaze.learn([], looked(plan, (320, 240, 1040, 420), [(560, 300, 580, 320)]))
    changed[:, 192:] = 100
    gaze.move(replace(pan(0), changed=changed))
    assert at(gaze, 500, 330) < 0 and at(gaze, 900, 330) == 0


def test_a_guided_look_follows_relevance_gain_and_prior(settings, plan):
    flat, none = np.full((96, 96), 0.5, np.float32), np.zeros((96, 96), np.float32)
    gain, prior = none.copy(), np.zeros((12, 12), np.float32)
    gain[40:44, 40:44], prior[1, 2] = 1.0, 1.0
    chosen = select_guided(flat, Guide(gain), plan, 1024, tokens=30)
    middles = [plan.boxes(s, p).reshape(-1, 2, 2).mean(axis=1) / SIZE for s, p in enumerate(chosen.patches)]
    assert chosen.count <= 30 and all(((m > 38 / 96) & (m < 46 / 96)).all() for m in middles)
    chosen = select_guided(flat, Guide(gain, prior), plan, 1024, tokens=30)  # a prior of 1 goes before all
    middles = plan.boxes(2, chosen.patches[2]).reshape(-1, 2, 2).mean(axis=1) / SIZE * 12
    assert ((middles > (1.9, 0.9)) & (middles < (3.1, 2.1))).all()
    again = select_guided(flat, Guide(gain), plan, 1024, taken=chosen, tokens=5000)
    assert again.union(chosen).count == again.count + chosen.count <= 1024 + chosen.count
    with pytest.raises(Ps3Error, match="0 to 1"):
        select_guided(flat, Guide(gain, prior * 2), plan, 1024)


def test_fine_relevance_is_relevance_within_the_cells():
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(36, 8)), rng.normal(size=(4, 24, 24)), rng.normal(size=8), rng.normal(size=4)
    cells, fine = relevance_map(*arrays), fine_relevance_map(*arrays)
    assert fine.shape == (24, 24) and (fine.reshape(6, 4, 6, 4).max(axis=(1, 3)) >= cells - 1e-6).all()
    alone = fine_relevance_map(arrays[0], None, arrays[2], None)
    assert np.array_equal(alone, relevance_map(arrays[0], None, arrays[2], None))


def test_one_asker_guided_from_frame_to_frame(settings):
    asker, gazes, picture = Asker(default_bundle(), threads=1), Gazes(), scene()
    for n in range(2):
        frame = Frame(view(picture, [[1, 0, -100 - 40 * n], [0, 1, -50]]))
        asker.set_frame(frame)
        guide = gazes.guide("mug", settings, frame, np.full((3, 4), 0.25))
        answer = asker.ask("mug", tokens=64, prior=guide)
        assert 0 < answer.patches_used <= 64 and answer.looked_fraction > 0 and asker.detail.relevance.min() >= 0.25
        gazes.learn("mug", frame, [region((400, 300, 480, 360), 0.9)], asker.detail.canvas)
        assert guide.gain.any() == (n == 1)
    gazes.learn("mug", Frame(picture), [], asker.detail.canvas)  # of a frame that is gone
    assert gazes.guide("mug", settings, frame).gain.max() > 1 and not gazes.guide("cup", settings, frame).gain.any()
    for n in range(MAX_GAZES):
        gazes.guide(str(n), settings, frame)
    assert not gazes.guide("mug", settings, frame).gain.any()  # the one that was asked longest ago went
