"""Scenes: boxes, captions, seeds, splits."""

from dataclasses import replace

import numpy as np
import pytest

from ps3_ros.errors import Ps3Error
from ps3_training.data import augment, backgrounds, captions, catalogue, choosing, compose, words


@pytest.mark.parametrize("place", ["street", "room", "texture"])
@pytest.mark.parametrize("seed", range(2))
def test_scene_boxes_are_inside_and_captioned(drawn, place, seed):
    scene = compose.scene(drawn, [0, 99, seed], "train", place)
    assert scene.pixels.shape == (2160, 3840, 3) and scene.pixels.dtype == np.uint8 and scene.place == place
    for thing in scene.things:
        x1, y1, x2, y2 = thing.box
        assert 0 <= x1 < x2 <= 3840 and 0 <= y1 < y2 <= 2160
        assert 14 <= max(x2 - x1, y2 - y1) <= 2400 and thing.visible >= compose.VISIBLE  # "two mugs" is a box round both
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


def test_splits_hold_objects_words_and_phrasings_apart(drawn):
    new = {"clock", "can", "traffic cone", "fire hydrant"}
    objects = tuple(replace(o, held_out=o.name in new) for o in drawn)
    scenes = {
        split: [compose.scene(objects, [number, 1, s], split, "texture", size=(640, 360)) for s in range(3)]
        for split, number in choosing.SPLITS.items()
    }
    for split in ("train", "test-seen", "test-phrasing"):
        assert all(t.seen and t.name not in new for s in scenes[split] for t in s.things)
        assert not new & {name for s in scenes[split] for name in s.absent}
    things = [t for s in scenes["test-new"] for t in s.things]
    held_out = new | {o.name for o in words.signs() if o.held_out}
    assert {t.name for t in things if not t.seen} <= held_out and 0.3 < np.mean([not t.seen for t in things]) < 0.8
    assert {name for s in scenes["test-new"] for name in s.absent} <= held_out
    start = tuple(p.split("{}")[0] for p in captions.ASK + captions.SAYS if p.split("{}")[0])
    for scene in scenes["test-phrasing"]:
        assert not any(text.startswith(start) for text in (*(t.text for t in scene.things), *scene.absent_text))


def test_absent_names_are_as_many_as_captions_and_nothing_answers_to_them(drawn):
    for s in range(3):
        scene = compose.scene(drawn, [1, 5, s], "test-seen", "texture", size=(640, 360))
        present = {name for t in scene.things for name in t.means}
        assert len(scene.absent) == len(scene.absent_text) >= min(4, len(scene.things)) and len(set(scene.absent)) == len(scene.absent)
        assert not present & set(scene.absent)


@pytest.mark.parametrize("size", [(1920, 1080), (640, 480), (300, 600)])
def test_smaller_frames_have_their_boxes_inside(drawn, size):
    scene = compose.scene(drawn, [0, 99, 1], "train", "texture", size=size)
    assert scene.pixels.shape == (size[1], size[0], 3)
    for thing in scene.things:
        x1, y1, x2, y2 = thing.box
        assert 0 <= x1 < x2 <= size[0] and 0 <= y1 < y2 <= size[1] and max(x2 - x1, y2 - y1) >= compose.LEAST


def test_a_rolled_camera_turns_boxes_with_the_pixels():
    frame, ids = np.zeros((1080, 1920, 3), np.uint8), np.zeros((1080, 1920), np.uint8)
    square = np.full((90, 60, 4), 255, np.uint8)
    compose.paste_object(frame, ids, square, 1500, 200, 1)
    frame, ids, matrix, zoom = augment.rolled(frame, ids, 5.0)
    box, fraction = compose.turned_box(ids, compose.Put(None, None, square, 1500, 200, 1, False), matrix, zoom)
    rows, columns = np.flatnonzero((frame > 127).any((1, 2))), np.flatnonzero((frame > 127).any((0, 2)))
    np.testing.assert_allclose(box, (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1), atol=1)
    assert fraction == pytest.approx(1, abs=0.03) and zoom > 1.1


def test_bad_scene_arguments(drawn):
    with pytest.raises(ValueError, match="'validation'"):
        compose.scene(drawn, 1, "validation")
    with pytest.raises(ValueError, match="empty"):
        compose.scene((), 1)
    with pytest.raises(Ps3Error, match="7680 x 4320"):
        compose.scene(drawn, 1, size=(7680, 4320))
    with pytest.raises(ValueError, match="'beach'"):
        backgrounds.make(np.random.default_rng(0), "beach")
