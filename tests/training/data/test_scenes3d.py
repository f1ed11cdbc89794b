"""Rendered scenes: boxes of visible pixels, the same scene for the same seed, words that fit what is there."""

import numpy as np
import pytest
from library import needs_opengl, write_library

from ps3_training.data import catalogue, compose, models, named_models, scenes3d, shapes
from ps3_training.data.placed import Camera
from ps3_training.data.world import World

SIZE = (320, 180)


@pytest.fixture
def library(tmp_path_factory, monkeypatch):
    pytest.importorskip("trimesh", reason="trimesh reads the models; pip install ps3_ros[render]")
    needs_opengl()
    folder = tmp_path_factory.getbasetemp() / "library"  # one for all: models are kept by their file
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv(models.FOLDER, str(folder if any(folder.iterdir()) else write_library(folder)))
    scenes3d._catalogue.cache_clear()
    yield
    scenes3d._catalogue.cache_clear()


def thing(name):
    return catalogue.NamedObject(name, (), "", False, "room", "thing", 1.0, "room", ())


def two_cubes(x):
    """A far cube at x (number 1) and a near one in the middle (number 2)."""
    world = World("room", camera=Camera((0, 0.5, 3), far=50))
    world.add(shapes.box(1, 1, 1), (x, 0, -1.5), obj=thing("far cube"))
    world.add(shapes.box(1, 1, 1), (0, 0, 0), obj=thing("near cube"))
    return world


@pytest.mark.parametrize(
    "x, least, most",
    [
        (0.0, 0.0, 0.0),  # wholly behind the near one
        (1.0, 0.3, 0.85),  # half of it
        (1.6, 0.97, 1.0),  # beside it
    ],
)
def test_a_box_is_of_what_can_be_seen(x, least, most):
    needs_opengl()
    _, ids, seen = scenes3d.draw(two_cubes(x), SIZE)
    assert seen[2][1] > 0.97
    if most == 0:
        assert 1 not in seen
        return
    box, fraction = seen[1]
    assert least <= fraction <= most
    rows, columns = np.nonzero(ids == 1)
    assert box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_the_edge_of_the_picture_hides_too():
    needs_opengl()
    world = World("room", camera=Camera((0, 0.5, 3), far=50))
    world.add(shapes.box(1, 1, 1), (1.45, 0, 0), obj=thing("cube"))
    fraction = scenes3d.draw(world, SIZE)[2][1][1]
    assert 0.1 < fraction < 0.8


@pytest.mark.parametrize("kind", ["room", "street"])
def test_the_same_seed_is_the_same_scene(library, kind):
    first, again = (scenes3d.scene3d(kind, [0, 3, 1], "train", SIZE) for _ in range(2))
    assert (first.pixels == again.pixels).all() and first.things == again.things and first.absent_text == again.absent_text
    assert first.pixels.shape == (SIZE[1], SIZE[0], 3) and first.pixels.dtype == np.uint8 and first.place == kind


def test_captions_fit_what_is_there(library):
    scenes = [scenes3d.scene3d(kind, seed, "train", (640, 360)) for kind in ("room", "street") for seed in range(2)]
    things = [t for s in scenes for t in s.things]
    assert len(things) > 4 and all(isinstance(s, compose.Scene) for s in scenes)
    for scene in scenes:
        names = {name for t in scene.things for name in t.means}
        assert not names & set(scene.absent) and len(scene.absent) == len(scene.absent_text)
    for t in things:
        x1, y1, x2, y2 = t.box
        assert 0 <= x1 < x2 <= 640 and 0 <= y1 < y2 <= 360 and t.visible >= compose.VISIBLE and t.text and t.asks in t.means


def test_splits_keep_new_things_from_training(library):
    stock = named_models.stock(())
    rng = np.random.default_rng(1)
    from ps3_training.data.world import Picker

    train, new = Picker(stock, rng, "train"), Picker(stock, rng, "test-new")
    held_out = {s.obj.name for s in stock if s.obj.held_out}
    assert not {train.pick(lambda e: True).obj.name for _ in range(60)} & held_out
    if held_out:
        assert {new.pick(lambda e: True).obj.name for _ in range(60)} & held_out


def test_a_model_is_painted_where_it_is_plain(library):
    stocked = {s.entry.name: s for s in named_models.stock(())}
    model = named_models.painted(stocked["mug"].entry, "blue", 1)
    assert named_models.colour_word(*model.parts[0].colour) == "blue"
    assert named_models.own_colour(stocked["mug"].entry) == "red"


@pytest.mark.parametrize(
    "rgb, word",
    [((1, 1, 1), "white"), ((0.05, 0.05, 0.05), "black"), ((0.9, 0.1, 0.1), "red"), ((0.45, 0.25, 0.1), "brown"), ((0.7, 0.7, 0.7), "")],
)
def test_colours_have_words(rgb, word):
    assert named_models.colour_word(*rgb) == word


def test_what_cannot_be_made_is_said(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="room or street"):
        scenes3d.scene3d("garden", 1)
    with pytest.raises(ValueError, match="test-seen"):
        scenes3d.scene3d("room", 1, "test")
    monkeypatch.setenv(models.FOLDER, str(tmp_path))
    assert not scenes3d.available()
    with pytest.raises(ValueError, match="apt-get install sweethome3d-furniture"):
        scenes3d.scene3d("room", 1)
