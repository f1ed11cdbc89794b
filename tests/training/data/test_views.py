"""Cut-outs of 3D models: clean alpha, the right size, nothing made twice, and a table of what they show."""

import json

import numpy as np
import pytest
from library import THINGS, needs_opengl, write_library

from ps3_ros.errors import Ps3Error
from ps3_training.data import models, views


@pytest.fixture
def few(tmp_path, monkeypatch):
    pytest.importorskip("trimesh", reason="trimesh reads the models; pip install ps3_ros[render]")
    needs_opengl()
    monkeypatch.setenv(models.FOLDER, str(write_library(tmp_path, THINGS[:3])))
    return tmp_path / "out"


@pytest.mark.parametrize(
    "rgb, word",
    [((200, 20, 20), "red"), ((30, 30, 200), "blue"), ((250, 250, 250), "white"), ((120, 70, 30), "brown"), ((20, 20, 20), "black")],
)
def test_a_clear_colour_has_a_word(rgb, word):
    picture = np.full((16, 16, 4), 255, np.uint8)
    picture[..., :3] = rgb
    assert views.colour_of([picture]) == word
    half = picture.copy()
    half[:8, :, :3] = (30, 220, 30)
    assert views.colour_of([half]) == ""  # two colours
    assert views.colour_of([]) == ""


def test_views_and_their_table(few):
    table = views.make(few, views=2, progress=False)
    assert [row["name"] for row in table] == ["mug", "teapot", "glass"]
    assert table == json.loads((few / "models.json").read_text())
    mug = table[0]
    assert (mug["folder"], mug["place"], mug["group"], mug["metres"], mug["colour"]) == ("mug", "room", "cup", 0.11, "red")
    assert mug["models"][0] | {"id": ""} == {
        "id": "", "colour": "red", "size": [0.1, 0.11, 0.09], "licence": "CC-BY-3.0", "author": "Somebody", "library": "Scopia",
    }  # fmt: skip
    assert sorted(p.name for p in few.rglob("*.webp")) == ["0.webp"] * 3 + ["1.webp"] * 3


def test_a_second_run_makes_only_what_is_missing(few):
    views.make(few, views=1, progress=False)
    kept, gone = few / "mug" / "0.webp", few / "teapot" / "0.webp"
    before, stamp = gone.read_bytes(), kept.stat().st_mtime_ns
    gone.unlink()
    views.make(few, views=1, progress=False)
    assert gone.read_bytes() == before and kept.stat().st_mtime_ns == stamp


def test_a_cut_out_fills_its_picture_with_clean_edges(few):
    entry = models.entries()[0]
    rgba = views.cut_out(needs_opengl(), models.load(entry), np.random.default_rng(1), 30, 20)
    assert max(rgba.shape[:2]) == views.SIDE and rgba.shape[2] == 4
    rows, columns = np.nonzero(rgba[..., 3])
    assert rows.min() <= 3 and columns.min() <= 3 and (rgba[0, 0, 3], rgba[-1, -1, 3]) == (0, 0)
    soft = rgba[(rgba[..., 3] > 40) & (rgba[..., 3] < 200)].astype(int)
    assert len(soft) and (soft[:, 0] > soft[:, 2]).all()  # the edge has the mug's red, not the background's black


def test_glass_is_opaque_enough_to_be_seen(few):
    rgba = views.cut_out(needs_opengl(), models.load(models.entries()[2]), np.random.default_rng(1), 10, 10)
    assert np.median(rgba[rgba[..., 3] > 0][:, 3]) > 110


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(models.FOLDER, str(tmp_path / "none"))
    with pytest.raises(Ps3Error, match="apt-get install sweethome3d-furniture"):
        views.make(tmp_path, progress=False)
    with pytest.raises(Ps3Error, match="views is 0"):
        views.make(tmp_path, views=0)
    assert views.main([str(tmp_path), "--views", "0"]) != 0
