"""Drawing: what is near hides what is far, numbers say whose a pixel is, cameras and light point where they should."""

import numpy as np
import pytest
from library import needs_opengl

from ps3_training.data import render, shapes
from ps3_training.data.placed import Camera, Light, Placed, placed_at

SIZE = (160, 90)
RED, BLUE = (0.9, 0.05, 0.05), (0.05, 0.05, 0.9)


def cube(number, position, colour=RED, side=1.0, **more):
    return Placed(shapes.box(side, side, side, colour), placed_at(position), number, **more)


def draw(things, camera=None, light=None, **more):
    return needs_opengl().draw(things, camera or Camera((0, 0.5, 3)), light or Light(), SIZE, samples=0, **more)


def middle(ids, number):
    rows, columns = np.nonzero(ids == number)
    return columns.mean(), rows.mean()


def test_numbers_and_colours_agree():
    pixels, ids = draw([cube(7, (0, 0, 0))])
    assert set(np.unique(ids)) == {0, 7}
    inside = pixels[ids == 7].astype(int)
    assert (inside[:, 0] > inside[:, 2] + 40).all() and (inside[:, 3] == 255).all()  # red first
    assert (pixels[ids == 0] == 0).all()


def test_the_nearer_one_hides_the_farther():
    _, ids = draw([cube(1, (0, 0, -4), BLUE), cube(2, (0, 0, 0))])
    assert (ids == 2).any() and not (ids == 1).any()
    _, ids = draw([cube(300, (1.5, 0, -4), BLUE), cube(2, (0, 0, 0))])
    assert (ids == 300).any()  # beside it, and past 255


@pytest.mark.parametrize(
    "camera, seen",
    [
        (Camera((0, 0.5, 3)), "middle"),
        (Camera((1, 0.5, 3)), "left"),  # the camera is to its right
        (Camera((0, 0.5, 3), yaw=15), "right"),  # turned left
        (Camera((0, 0.5, 3), pitch=10), "below"),  # looking up
    ],
)
def test_where_a_camera_sees_it(camera, seen):
    x, y = middle(draw([cube(1, (0, 0, 0), side=0.5)], camera)[1], 1)
    assert {"middle": abs(x - 80) < 4, "left": x < 65, "right": x > 95, "below": y > 55}[seen]


def test_glass_shows_what_is_behind_it_and_keeps_its_own_number():
    glass = Placed(shapes.quad([(-1, -1, 0), (1, -1, 0), (1, 2, 0), (-1, 2, 0)], colour=BLUE, opacity=0.3), placed_at((0, 0, 1)), 2)
    pixels, ids = draw([cube(1, (0, 0, 0)), glass])
    assert (ids == 2).any()
    seen = pixels[45, 80].astype(int)
    assert seen[0] > 60  # the red behind it


def test_a_thing_throws_a_shadow():
    floor = Placed(shapes.quad([(-3, 0, 3), (3, 0, 3), (3, 0, -3), (-3, 0, -3)]), placed_at((0, 0, 0)), shadow=False)
    light = Light(direction=(0, 1, 0.0001), bounds=np.array([[-3.0, -0.1, -3.0], [3.0, 3.0, 3.0]]))
    camera = Camera((0, 2.0, 4.0), pitch=-25)
    open_floor, _ = draw([floor], camera, light)
    hung, ids = draw([floor, cube(1, (0, 1.6, 0))], camera, light)
    beneath = (ids == 0) & (open_floor[..., 0].astype(int) - hung[..., 0] > 20)
    assert 50 < beneath.sum() < 6000


def test_a_picture_is_seen_where_nothing_is():
    sky = np.full((SIZE[1], SIZE[0], 3), (10, 20, 200), np.uint8)
    pixels, ids = draw([cube(1, (0, 0, 0))], background=sky)
    assert (pixels[ids == 0][:, :3] == (10, 20, 200)).mean() > 0.98


def test_the_same_twice():
    things = [cube(1, (0.3, 0, 0)), cube(2, (-0.4, 0, -1), BLUE)]
    for a, b in zip(draw(things), draw(things), strict=True):
        assert (a == b).all()


def test_too_large_a_picture_is_refused():
    with pytest.raises(render.RenderError, match="smaller"):
        needs_opengl().draw([], Camera(), Light(), (1_000_000, 10))


def test_a_sign_faces_the_front_and_is_plain_behind():
    picture = np.zeros((8, 8, 4), np.uint8)
    picture[...] = (230, 10, 10, 255)
    sign = shapes.board(1, 1, back=(0.2, 0.2, 0.2), texture=picture)
    for turn, red in ((0, True), (180, False)):
        pixels, ids = draw([Placed(sign, placed_at((0, 0.5, 0), turn), 1)])
        seen = pixels[ids == 1].mean(0)
        assert (seen[0] > 2 * seen[1]) == red


@pytest.mark.parametrize("state", ["red", "amber", "green"])
def test_one_lens_of_a_traffic_light_shines(state):
    light = shapes.traffic_light(np.random.default_rng(1), state)
    dim = Light(sun=(0, 0, 0), sky=(0.1, 0.1, 0.1), ground=(0.1, 0.1, 0.1))
    pixels, ids = draw([Placed(light, placed_at((0, 0.5, 1)), 1)], light=dim)
    rows = np.nonzero((ids == 1).any(1))[0]
    bright = np.argmax(pixels[rows, 80, :3].astype(int).max(1)) / len(rows)
    assert {"red": bright < 0.36, "amber": 0.33 < bright < 0.67, "green": bright > 0.63}[state]
