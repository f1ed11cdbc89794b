"""Real photographs pasted into frames: boxes move along, and nothing is asked or called absent that is there without a box."""

import cv2
import numpy as np
import pytest

from ps3_ros.errors import Ps3Error
from ps3_training.data import real, real_photos, shards


def photo(key, names=("car",), others=(), size=(60, 80)):
    return real.Photo(key, np.full((*size, 3), 200, np.uint8), (real.Item(names, (10, 20, 30, 50)),), others)


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Two photographs in a folder that stands for opencv-doc's."""
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.random.default_rng(0).integers(0, 255, (100, 120, 3), np.uint8))
    monkeypatch.setitem(real.FOLDERS, "opencv", str(tmp_path))
    return """
opencv:a.png | tree; sign
  mug; cup | 10 20 30 40, 50 50 90 80
  @ 50
  spoon | 1 2 11 12
opencv:gone.png |
  bus | 1 1 5 5
opencv:b.png |
  bus; red bus | 0 0 100 90
"""


def test_the_table_is_read_with_several_boxes_and_other_heights(table):
    photos, missing = real.load_photos(table)
    assert [p.key for p in photos] == ["opencv:a.png", "opencv:b.png"] and missing == ("opencv:gone.png",)
    assert [(i.names, i.box) for i in photos[0].items] == [
        (("mug", "cup"), (10, 20, 30, 40)),
        (("mug", "cup"), (50, 50, 90, 80)),
        (("spoon",), (2, 4, 22, 24)),  # written for a height of 50 px, the photograph has 100
    ]
    assert photos[0].others == ("tree", "sign") and photos[1].names() == {"bus", "red bus"}


def test_a_wrong_box_is_one_sentence(table):
    with pytest.raises(Ps3Error, match="'30 20 10 40' of 'mug'.*x2 > x1"):
        real.load_photos("opencv:a.png |\n  mug | 30 20 10 40")


@pytest.mark.parametrize(
    "first, second, unboxed, fits",
    [
        (photo("a", ("car",)), photo("b", ("bus",)), (), True),
        (photo("a", ("car",)), photo("b", ("bus",), ("car",)), (), False),  # a car without a box: "car" would have a wrong answer
        (photo("a", ("car",), ("bus",)), photo("b", ("bus",)), (), False),
        (photo("a", ("car",)), photo("b", ("tree",)), ("tree",), False),  # the background shows trees
        (photo("x/video/1"), photo("x/video/2"), (), False),  # two moments of one scene
    ],
)
def test_photographs_share_a_frame_only_if_every_answer_has_a_box(first, second, unboxed, fits):
    assert real.together(second, [first], unboxed) is fits


@pytest.mark.parametrize(
    "name, absent",
    [
        ("giraffe", True),
        ("stop sign", True),  # what is there is another sign
        ("sign", False),  # wider than what is there
        ("no entry sign", False),
        ("police car", False),  # cars are there that nobody described
    ],
)
def test_what_may_be_called_absent(name, absent):
    assert real.is_absent(name, {"no entry sign"}, {"car"}) is absent


def test_boxes_move_with_the_photograph():
    rng, frame = np.random.default_rng(3), np.zeros((real.HEIGHT, real.WIDTH, 3), np.uint8)
    one = photo("a", ("red car", "car"))
    x, y, scale = real.paste(frame, rng, one, [])
    label = real.label(rng, [(one, x, y, scale)], (), {"red car"}, ["giraffe", "owl"])
    assert frame[y : y + int(60 * scale), x : x + int(80 * scale)].min() == 200 and (frame == 200).sum() == 3 * int(60 * scale) * int(
        80 * scale
    )
    assert label["box"] == [[x + 10 * scale, y + 20 * scale, x + 30 * scale, y + 50 * scale]]
    assert label["asks"][0] in ("red car", "car") and label["seen"] == [True] and len(label["absent"]) == 1


def test_the_split_is_written_in_the_format_and_the_same_again(table, tmp_path, monkeypatch):
    monkeypatch.setattr(real_photos, "PHOTOS", table)
    done = real.make_real(tmp_path / "out", frames=2, progress=False)
    again = real.make_real(tmp_path / "again", frames=2, progress=False)
    assert done == again and done["photos"] == 2 and done["questions"] == done["absent"] > 0
    for one, two in zip(shards.read_samples(tmp_path / "out"), shards.read_samples(tmp_path / "again"), strict=True):
        assert one.jpg == two.jpg and one.text == two.text and one.pixels().shape == (2160, 3840, 3)
        assert (one.box[:, 2:] <= (3840, 2160)).all() and not set(one.extra["absent"]) & {n for m in one.extra["means"] for n in m}
    with pytest.raises(Ps3Error, match="has shards already"):
        real.make_real(tmp_path / "out", frames=2)


def test_without_any_photograph_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(real_photos, "PHOTOS", "opencv:none.png |\n  bus | 1 1 5 5")
    with pytest.raises(Ps3Error, match="install Debian's labelme-examples, opencv-doc"):
        real.make_real(tmp_path)


def test_the_tables_boxes_lie_in_their_photographs():
    photos, missing = real.load_photos()
    if not photos:
        pytest.skip("labelme-examples, opencv-doc and the wallpapers are not installed")
    for one in photos:
        high, wide = one.pixels.shape[:2]
        for item in one.items:
            assert item.box[2] <= wide + 2 and item.box[3] <= high + 2, (one.key, item)
            assert not set(item.names) & set(one.others), (one.key, item)
