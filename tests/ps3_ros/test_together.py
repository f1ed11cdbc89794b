"""One look for several questions: each one's part, what they share, their close-ups, and whole answers of a tiny bundle."""

import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from ps3_ros.ask import Asker
from ps3_ros.bundle import load_bundle, write_manifest
from ps3_ros.close_up import SIDE
from ps3_ros.encoder import Encoder
from ps3_ros.frame import Frame, FramePlan
from ps3_ros.selection import select
from ps3_ros.together import choose_together

COUNT = SIDE * SIDE
ONE_CLOSE_UP = {COUNT, COUNT - 1}  # patches; long ones have one less


@pytest.fixture
def plan(make_settings):
    """4 x 4 cells; one cell has 100 of the finest patches."""
    return FramePlan.of(640, 640, make_settings(scales=(64, 128, 256, 640), grid=4, max_patches=256, aux_size=0, aux_grid=0, aux_dim=0))


def wants(plan, *cell):
    """The choice of a question that points at one cell."""
    relevance = np.zeros((4, 4), np.float32)
    relevance[cell] = 1
    return partial(select, relevance, plan, 256)


def finest_of(plan, i, j):
    """Finest patches of a cell."""
    rows, cols = plan.cell_of(2)
    return np.flatnonzero((rows[:, None] == i) & (cols == j))


def lists(selection):
    return [patches.tolist() for patches in selection.patches]


def test_questions_share_one_look(plan):
    both = choose_together([wants(plan, 0, 3), wants(plan, 2, 1)], plan, 256).selection
    assert both.count <= 256
    assert all(np.isin(finest_of(plan, *cell), both.patches[2]).sum() > 90 for cell in ((0, 3), (2, 1)))
    alone = choose_together([wants(plan, 0, 3)], plan, 256).selection
    assert lists(alone) == lists(wants(plan, 0, 3)(tokens=256))


def test_what_two_questions_want_is_taken_once(plan):
    shared = choose_together([wants(plan, 0, 3), wants(plan, 0, 3)], plan, 256).selection
    assert all(len(np.unique(patches)) == len(patches) for patches in shared.patches)
    assert len(shared.patches[2]) > 100  # the second part goes further


def test_a_weight_is_a_part_of_the_look(plan):
    shared = choose_together([wants(plan, 0, 3), wants(plan, 2, 1)], plan, 256, weights=[3, 1]).selection
    cells = [np.isin(finest_of(plan, *cell), shared.patches[2]).sum() for cell in ((0, 3), (2, 1))]
    assert cells[0] == 100 and 40 < cells[1] < 60  # of 256 patches 192 and 64, most of them at the finest scale, 100 a cell


PARTS = [  # close-ups of the bundle, patches, weights, close-ups of each question
    (0, 256, None, (0, 0)),
    (4, 256, None, (1, 1)),
    (4, 256, [3, 1], (1, 0)),
    (4, 200, None, (0, 0)),  # parts of 100, too small for any
    (4, 250, [999, 1], (1, 0)),  # 249 and 1
]


@pytest.mark.parametrize("close_ups, tokens, weights, expected", PARTS)
def test_close_ups_come_out_of_a_questions_own_part(plan, close_ups, tokens, weights, expected):
    plan = replace(plan, settings=replace(plan.settings, close_ups=close_ups))
    look = choose_together([wants(plan, 0, 3), wants(plan, 2, 1)], plan, tokens, weights)
    assert look.close_ups == expected
    assert tokens - 6 <= look.selection.count + COUNT * sum(expected) <= tokens


def test_more_questions_than_patches(plan):
    maps = np.random.default_rng(0).random((9, 4, 4))
    look = choose_together([partial(select, relevance, plan, 256) for relevance in maps], plan, 5)
    assert 0 < look.selection.count <= 5 and look.close_ups == (0,) * 9


@pytest.fixture(scope="module")
def bundle(tiny_bundle, tmp_path_factory):
    """The tiny bundle as the shipped one is set: patches chosen one by one, and close-ups, one or two a look of 256 patches."""
    folder = shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("bundles") / "together")
    manifest = load_bundle(folder).manifest
    write_manifest(folder, replace(manifest, settings=replace(manifest.settings, close_ups=4, fine_selection=True)))
    return folder


@pytest.fixture
def asker(bundle, sample_frame_4k):
    asker = Asker(bundle, threads=1)
    asker.set_frame(Frame(sample_frame_4k))
    return asker


def test_a_question_by_itself_gets_what_ask_gives(asker):
    (together,) = asker.ask_all(["a mug"])
    detail = asker.detail
    alone = asker.ask("a mug")
    assert (together.regions, together.patches_used) == (alone.regions, alone.patches_used)
    assert lists(detail.selection) == lists(asker.detail.selection)


def test_patches_are_chosen_one_by_one(asker, tiny_bundle):
    list(asker.ask_all(["a mug", "stop sign"]))
    plan, finest = asker.detail.plan, asker.detail.selection.patches[-1]
    rows, cols = plan.cell_of(len(plan.grids) - 1)
    cell = rows[finest // plan.grids[-1].cols] * 4 + cols[finest % plan.grids[-1].cols]
    assert len(np.unique(cell)) > 3  # by cells it is one or two that are full, and one that is begun
    by_cells = Asker(tiny_bundle, threads=1)
    by_cells.set_frame(asker.glance.frame)
    list(by_cells.ask_all(["a mug", "stop sign"]))
    assert lists(by_cells.detail.selection) != lists(asker.detail.selection)


def test_answers_count_their_own_close_ups(asker, monkeypatch):
    looked, inner = [], Encoder.look
    monkeypatch.setattr(Encoder, "look", lambda self, glance, chosen, *a: looked.append(chosen.count) or inner(self, glance, chosen, *a))
    answers = list(asker.ask_all(["a mug", "stop sign", "red | green mug"], weights=[4, 4, 1]))
    assert len(looked) == 1, "tokens are encoded once"
    assert [answer.patches_used - looked[0] for answer in answers] == [0, 0, 0], "parts of less than 125 patches have none"
    looked.clear()
    answers = list(asker.ask_all(["a mug", "stop sign"]))
    assert {answer.patches_used - looked[0] for answer in answers} <= ONE_CLOSE_UP
    assert looked[0] + 2 * COUNT <= answers[0].patches_allowed == 256


def test_with_shared_looks_the_first_question_is_answered_as_without_and_further_close_ups_take_one_run(asker, bundle):
    sharing, runs = Asker(bundle, threads=1, share_looks=True), []
    inner, backend = sharing.encoder.backend.run, sharing.encoder.backend

    def run(graph, inputs):
        if graph == "look":
            runs.append(len(inputs["position"]))
        return inner(graph, inputs)

    backend.run = run
    sharing.set_frame(asker.glance.frame)
    assert not sharing.further
    first, alone = sharing.ask("a mug"), asker.ask("a mug")
    assert (first.regions, first.patches_used) == (alone.regions, alone.patches_used) and first.patches_used <= 256
    assert {*runs[1:]} <= ONE_CLOSE_UP and len(runs) == 3 and runs[0] == first.patches_used - sum(runs[1:]) and sharing.further
    again = sharing.ask("a mug")
    assert len(runs) == 3 and (again.regions, again.patches_used) == (first.regions, first.patches_used)
    sharing.ask("a stop sign")
    two = {one + other for one in ONE_CLOSE_UP for other in ONE_CLOSE_UP}
    assert runs[3] < runs[0] and len(runs) <= 5 and {*runs[4:]} <= ONE_CLOSE_UP | two, "those that the mug had serve again"
    sharing.set_frame(asker.glance.frame)
    assert not sharing.further
