"""The table of named objects and their cut-outs."""

import cv2
import numpy as np
import pytest

from ps3_training.data import catalogue, objects


def test_table_is_sound():
    rows = catalogue.rows()
    names = [row[0] for row in rows]
    assert 120 <= len(names) == len(set(names))
    kinds = [row[-1] for row in rows]
    assert kinds.count("sign") >= 70 and kinds.count("light") == 3
    assert all(row[4] and row[3] in ("street", "room", "any") and 0.01 < row[5] < 20 and row[6] for row in rows)
    assert set(objects.HELD_OUT) <= set(names)
    assert {m for members in objects.FAMILIES.values() for m in members} <= set(names)


@pytest.mark.parametrize("size", [1, 24, 100, 600])
def test_render_has_the_size_asked_for(drawn, size):
    for obj in drawn:
        rgba = catalogue.render(obj, np.random.default_rng(0), size)
        assert max(rgba.shape[:2]) == size and min(rgba.shape[:2]) >= 1 and rgba.dtype == np.uint8


def test_recoloured_objects_have_the_colour(drawn):
    mug = next(o for o in drawn if o.name == "mug")
    for colour, hue in catalogue.COLOURS.items():
        rgba = catalogue.render(mug, np.random.default_rng(1), 200, colour)
        hsv = cv2.cvtColor(rgba[..., :3], cv2.COLOR_RGB2HSV)
        inside = (rgba[..., 3] > 250) & (hsv[..., 1] > 80) & (hsv[..., 2] > 60)
        apart = np.abs((hsv[..., 0][inside].astype(int) - hue + 90) % 180 - 90)
        assert inside.sum() > 2000 and np.median(apart) <= 3  # hue steps of 2 degrees; resizing mixes a few at edges
    with pytest.raises(ValueError, match="'beige'"):
        catalogue.recoloured(rgba, "beige")


def test_missing_collections_are_named(monkeypatch, tmp_path):
    for variable in (catalogue.ASSETS, "PS3_OPENCLIPART", "PS3_TUXPAINT"):
        monkeypatch.setenv(variable, str(tmp_path / "none"))
    assert {p[0] for o in catalogue.load() for p in o.pictures} == {"drawn"}
    with pytest.raises(catalogue.AssetError, match="fetch_assets"):
        catalogue.load(require=True)
