"""Scenes: boxes, captions, seeds, splits."""

from dataclasses import replace

import numpy as np
import pytest

from ps3_training.data import backgrounds, catalogue, compose


@pytest.mark.parametrize("place", ["street", "room", "texture"])
@pytest.mark.parametrize("seed", range(3))
def test_scene_boxes_are_inside_and_captioned(drawn, place, seed):
    scene = compose.scene(drawn, [0, 99, seed], "train", place)
    assert scene.pixels.shape == (2160, 3840, 3) and scene.pixels.dtype == np.uint8 and scene.place == place
    for thing in scene.things:
        x1, y1, x2, y2 = thing.box
        assert 0 <= x1 < x2 <= 3840 and 0 <= y1 < y2 <= 2160
        assert 14 <= max(x2 - x1, y2 - y1) <= 900 and thing.visible >= compose.VISIBLE  # a tilt may lengthen the 600 px
        assert thing.text and thing.asks in thing.means and thing.name in thing.means and thing.seen
    present = {name for thing in scene.things for name in thing.means}
    assert scene.global_text and not present & set(scene.absent)


def test_same_seed_same_scene(drawn):
    first, again = compose.scene(drawn, [0, 7, 1]), compose.scene(drawn, [0, 7, 1])
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert first.things == again.things and first.global_text == again.global_text and first.absent == again.absent
    other = compose.scene(drawn, [0, 7, 2])
    assert other.things != first.things


def test_boxes_are_tight_on_what_stays_visible():
    frame, ids = np.zeros((100, 200, 3), np.uint8), np.zeros((100, 200), np.uint8)
    square = np.full((40, 40, 4), 255, np.uint8)
    compose.paste_object(frame, ids, square, 20, 10, 1)
    assert compose.visible_box(ids, square, 20, 10, 1) == ((20, 10, 60, 50), 1.0)
    compose.paste_object(frame, ids, square, 50, 10, 2)  # hides the right quarter of the first
    assert compose.visible_box(ids, square, 20, 10, 1) == ((20, 10, 50, 50), 0.75)
    compose.paste_object(frame, ids, square, -30, -35, 3)  # mostly outside
    box, fraction = compose.visible_box(ids, square, -30, -35, 3)
    assert box == (0, 0, 10, 5) and fraction == pytest.approx(50 / 1600)
    compose.paste_object(frame, ids, square, 20, 10, 4)  # covers the first wholly
    assert compose.visible_box(ids, square, 20, 10, 1) == (None, 0.0)
    assert compose.visible_box(ids, square, 500, 10, 5) == (None, 0.0)


def test_objects_change_the_frame_where_their_box_is(drawn):
    """The box holds the object's pixels: on a flat background everything outside the boxes stays flat."""
    frame, ids = np.full((400, 600, 3), 90, np.uint8), np.zeros((400, 600), np.uint8)
    rgba = catalogue.render(next(o for o in drawn if o.name == "red traffic light"), np.random.default_rng(2), 150)
    compose.paste_object(frame, ids, rgba, 200, 100, 1)
    x1, y1, x2, y2 = compose.visible_box(ids, rgba, 200, 100, 1)[0]
    changed = (frame != 90).any(2)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    found = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    np.testing.assert_allclose((x1, y1, x2, y2), found, atol=1)  # 1 px: soft edges below half opacity do not count


def test_held_out_objects_appear_in_test_scenes_only(drawn):
    objects = tuple(replace(o, held_out=o.name in ("clock", "can", "traffic cone", "fire hydrant")) for o in drawn)
    trained = {t.name for s in range(6) for t in compose.scene(objects, [0, 1, s], "train", "texture").things}
    tested = [t for s in range(12) for t in compose.scene(objects, [1, 1, s], "test", "texture").things]
    assert not trained & {"clock", "can", "traffic cone", "fire hydrant"}
    assert {t.name for t in tested if not t.seen} & {"clock", "can", "traffic cone", "fire hydrant"}


def test_bad_scene_arguments(drawn):
    with pytest.raises(ValueError, match="'validation'"):
        compose.scene(drawn, 1, "validation")
    with pytest.raises(ValueError, match="empty"):
        compose.scene((), 1)
    with pytest.raises(ValueError, match="'beach'"):
        backgrounds.make(np.random.default_rng(0), "beach")
