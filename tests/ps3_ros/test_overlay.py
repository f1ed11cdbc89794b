from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from ps3_ros.overlay import FOUND, NOT_FOUND, draw_answers, draw_overlay, write_picture


def answer(regions=(), found=True):
    return SimpleNamespace(
        query="stop sign",
        found=found,
        label="stop sign",
        regions=regions,
        error=None,
        looked_fraction=0.03,
        patches_used=10,
        patches_allowed=20,
        stage_ms={"total": 12.0},
    )


def region(*box):
    return SimpleNamespace(box=box, score=0.9, label="stop sign")


def detail(rows=9, cols=16, looked=(0, 1)):
    grid = SimpleNamespace(rows=rows, cols=cols)
    return SimpleNamespace(
        plan=SimpleNamespace(grids=(grid,)), selection=SimpleNamespace(patches=(np.array(looked),)), relevance=np.zeros((4, 4), np.float32)
    )


def test_what_was_looked_at_keeps_its_brightness_and_the_rest_is_dimmed():
    pixels = np.full((900, 1600, 3), 200, np.uint8)
    picture = draw_overlay(pixels, answer(), detail(looked=(16 * 8 + 15,)))  # the lower right patch
    assert picture[850, 1550].tolist() == [200, 200, 200]
    assert picture[500, 100].max() < 120


def test_a_box_is_drawn_where_the_region_is_in_the_reduced_picture():
    pixels = np.zeros((2160, 3840, 3), np.uint8)
    picture = draw_overlay(pixels, answer([region(1000, 1000, 1400, 1200)]))
    assert picture.shape == (1080, 1920, 3)
    green = (picture == FOUND).all(-1)
    assert green[495:605, 495:506].any() and not green[520:580, 515:580].any()  # the left edge, and nothing just inside it


def test_several_answers_about_a_frame_share_one_picture():
    pixels = np.full((900, 1600, 3), 200, np.uint8)
    found, near = answer([region(800, 400, 860, 460)]), answer([region(1200, 300, 1260, 360)], found=False)
    picture = draw_answers(pixels, ((near, detail(looked=(0,))), (found, detail(looked=(16 * 8 + 15,)))))
    assert picture[850, 1550].tolist() == [200, 200, 200]  # what only one of them looked at is bright; the captions hide the other's
    assert picture[500, 100].max() < 120
    assert (picture[400:460, 790:870] == FOUND).all(-1).any() and (picture[300:360, 1190:1270] == NOT_FOUND).all(-1).any()
    single = draw_overlay(pixels, found, detail(looked=(0,)))
    np.testing.assert_array_equal(draw_answers(pixels, ((found, detail(looked=(0,))),)), single)


@pytest.mark.parametrize("box", [(0, 0, 16, 16), (3824, 2144, 3840, 2160), (-5, -5, 4000, 3000)])
def test_regions_at_the_edges_do_not_break_the_drawing(box):
    assert draw_overlay(np.zeros((2160, 3840, 3), np.uint8), answer([region(*box)])).shape == (1080, 1920, 3)


def test_a_picture_is_written_whole_and_an_unknown_ending_leaves_nothing(tmp_path):
    write_picture(tmp_path / "new" / "a.png", np.zeros((10, 10, 3), np.uint8))
    assert cv2.imread(str(tmp_path / "new" / "a.png")).shape == (10, 10, 3)
    with pytest.raises(ValueError, match=r"end its name in \.png"):
        write_picture(tmp_path / "a.nothing", np.zeros((10, 10, 3), np.uint8))
    assert [p.name for p in tmp_path.iterdir()] == ["new"]
