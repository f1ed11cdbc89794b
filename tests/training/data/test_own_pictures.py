"""Pictures of somebody's own things: the folder form, the same picture for the same number, other sides to test on."""

import json

import cv2
import numpy as np
import pytest

from ps3_ros.errors import Ps3Error
from ps3_training.data import catalogue, folder, own_pictures


@pytest.fixture
def looks(tmp_path, monkeypatch):
    """Four looks of two things, plain squares of a colour each, where the renderer would have put them."""
    rows = []
    for number, name in enumerate(("toaster", "desk")):
        place = tmp_path / "assets" / "model_views" / name
        place.mkdir(parents=True)
        for view in (0, 1, 2, 3, 100):  # 100: of a second model
            rgba = np.full((64, 64, 4), 255, np.uint8)
            rgba[..., number] = 60 * (view % 4)
            cv2.imwrite(str(place / f"{view}.webp"), rgba)
        model = {"id": name, "colour": "", "size": [0.3, 0.3, 0.3], "licence": "", "author": "", "library": ""}
        rows.append({"name": name, "folder": name, "place": "room", "group": "thing", "metres": 0.3, "colour": "", "models": [model] * 2})
    (tmp_path / "assets" / "model_views" / "models.json").write_text(json.dumps(rows))
    monkeypatch.setenv(catalogue.ASSETS, str(tmp_path / "assets"))


def test_the_splits_show_other_sides(looks):
    sides = {
        split: {o.name: [path[-6:] for _, path in o.pictures] for o in own_pictures.own_things(split)} for split in ("train", "test-seen")
    }
    assert {name: sorted(shown) for name, shown in sides["train"].items()} == {
        name: ["0.webp", "1.webp", "2.webp"] for name in ("desk", "toaster")
    }
    assert sides["test-seen"] == {"desk": ["3.webp"], "toaster": ["3.webp"]}


def test_a_folder_is_made_and_gone_on_with(looks, tmp_path):
    options = {"size": "640x360", "progress": False}
    made = own_pictures.make_pictures(tmp_path / "mine", 2, **options)
    assert (made["made"], made["things"]) == (2, 2)
    samples = list(folder.read_folder(tmp_path / "mine"))
    assert [sample.key for sample in samples] == ["own-01-000", "own-01-001"] and samples[0].pixels().shape == (360, 640, 3)
    assert sum(len(sample.text) for sample in samples) == made["boxes"] > 0
    before = (tmp_path / "mine" / "own-01-001.jpg").read_bytes()
    (tmp_path / "mine" / "own-01-001.json").unlink()  # as if it had been stopped there
    assert own_pictures.make_pictures(tmp_path / "mine", 2, **options)["made"] == 1
    assert (tmp_path / "mine" / "own-01-001.jpg").read_bytes() == before


def test_what_is_missing_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(catalogue.ASSETS, str(tmp_path))
    assert own_pictures.main([str(tmp_path / "mine")]) == 2
    assert "ps3_training.data.views" in capsys.readouterr().err
    with pytest.raises(Ps3Error, match="pictures is 0"):
        own_pictures.make_pictures(tmp_path, 0)
