"""Making shards with worker processes."""

import json

import pytest

from ps3_ros.errors import Ps3Error
from ps3_training.data import catalogue, make, shards


@pytest.fixture
def few_pictures(monkeypatch, tmp_path):
    """Collections that are there but empty: the workers' catalogue then has the drawn objects only."""
    for folder in (
        "assets/mapillary_sprite_source-1/package/package_signs",
        "assets/lobehub-fluent-emoji-3d-1/package/assets",
        "clip",
        "tux",
    ):
        (tmp_path / folder).mkdir(parents=True)
    for variable, folder in ((catalogue.ASSETS, "assets"), ("PS3_OPENCLIPART", "clip"), ("PS3_TUXPAINT", "tux")):
        monkeypatch.setenv(variable, str(tmp_path / folder))


def test_make_is_resumable_and_refuses_other_settings(tmp_path, few_pictures):
    out = tmp_path / "out"
    settings = {"seed": 5, "split": "train", "per_shard": 2, "progress": False}
    done = make.make(out, 3, workers=2, **settings)
    assert done["made_now"] == 3 and done["shards"] == 2 and json.loads((out / "DONE").read_text())["frames"] == 3
    before = (out / "images" / "00001.tar").read_bytes()
    (out / "text_boxes" / "00001.tar").unlink()
    assert make.make(out, 3, **settings)["made_now"] == 1  # another number of workers, the same frames
    assert (out / "images" / "00001.tar").read_bytes() == before
    with pytest.raises(Ps3Error, match="begun with"):
        make.make(out, 3, **{**settings, "seed": 6})
    sample = next(shards.read_samples(out))
    assert sample.key == "train005_000000" and sample.pixels().shape == (2160, 3840, 3)
    assert {"name", "asks", "means", "absent", "place", "visible"} <= set(sample.extra)


@pytest.mark.parametrize("arguments", [["--out", "x", "--frames", "0"], ["--out", "x", "--workers", "0"]])
def test_make_says_what_is_wrong(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert make.main(arguments) == 2
    assert capsys.readouterr().err.startswith("error: frames is")
