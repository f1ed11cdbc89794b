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
    settings = {"seed": 5, "split": "train", "per_shard": 2, "progress": False, "size": (640, 360)}
    done = make.make(out, 3, workers=2, **settings)
    assert done["made_now"] == 3 and done["shards"] == 2 and json.loads((out / "DONE").read_text())["frames"] == 3
    before = (out / "images" / "00001.tar").read_bytes()
    (out / "text_boxes" / "00001.tar").unlink()
    (out / "images" / ".00001.tar.77.part").write_bytes(b"of a run that was killed")
    assert make.make(out, 3, **settings)["made_now"] == 1  # another number of workers, the same frames
    assert (out / "images" / "00001.tar").read_bytes() == before
    assert not list(out.rglob("*.part"))
    with pytest.raises(Ps3Error, match="begun with"):
        make.make(out, 3, **{**settings, "seed": 6})
    note = json.loads((out / "SETTINGS.json").read_text())
    (out / "SETTINGS.json").write_text(json.dumps({**note, "catalogue": "1 names, 00000000"}))
    with pytest.raises(Ps3Error, match="begun with .*1 names"):  # pictures were added: other scenes
        make.make(out, 3, **settings)
    sample = next(shards.read_samples(out))
    assert sample.key == "train005_000000" and sample.pixels().shape == (360, 640, 3)
    assert {"name", "asks", "means", "absent", "place", "visible"} <= set(sample.extra)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--frames", "0"], "frames is 0"),
        (["--workers", "0"], "workers 0"),
        (["--rendered", "2"], "rendered frames is 2.0"),
        (["--size", "7680x4320"], "7680 x 4320 px cannot be made"),
        (["--size", "large"], "'large' cannot be read"),
    ],
)
def test_make_says_what_is_wrong(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert make.main(["--out", "x", *arguments]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "x").exists()
