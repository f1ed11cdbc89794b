"""The catalogue's things as others drew them."""

import json

import numpy as np
import pytest

from ps3_ros.errors import Ps3Error
from ps3_training.data import catalogue, fetch_assets, objects, restyled, stamps

DISC = '<circle cx="8" cy="8" r="7" fill="#{}"/>'


@pytest.fixture
def assets(tmp_path, monkeypatch):
    """A folder of fetched pictures: the kettle-like emoji of the table's teapot, in seven sets that hold it and a clamp."""
    from PIL import Image

    own = tmp_path / "lobehub-fluent-emoji-3d-1.1.0" / "package" / "assets"
    own.mkdir(parents=True)
    for code in ("1fad6", "2708"):
        Image.fromarray(np.full((32, 32, 4), (255, 0, 0, 255), np.uint8)).save(own / f"{code}.webp", lossless=True)
    for number, name in enumerate((*restyled.CODED, *restyled.WORDED)):
        package = f"@iconify-json/{name}"
        folder = tmp_path / fetch_assets.folder_name(package, fetch_assets.NPM[package]) / "package"
        folder.mkdir(parents=True)
        icons = {word: {"body": DISC.format(f"00{number * 30 + 20:02x}00")} for word in ("teapot", "clamp")}
        (folder / "icons.json").write_text(json.dumps({"icons": icons, "width": 16, "height": 16}))
        if name in restyled.CODED:
            (folder / "chars.json").write_text(json.dumps({"1fad6": "teapot"}))
    clips = tmp_path / "clips"
    drawing = clips / "food" / "beverages"
    drawing.mkdir(parents=True)
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">{DISC.format("0000ff")}</svg>'
    (drawing / "mug.svg").write_text(svg)
    monkeypatch.setenv(catalogue.ASSETS, str(tmp_path))
    monkeypatch.setenv("PS3_OPENCLIPART", str(clips))
    monkeypatch.setenv("PS3_TUXPAINT", str(tmp_path / "none"))
    return tmp_path


def drawn(assets, codes=("1fad6",)):
    return restyled.draw(assets, assets / "clips", assets / "emoji_styles", codes, progress=False)


def test_every_set_shows_the_same_thing_again_and_only_training_sees_it(assets):
    assert drawn(assets) == 7 + 4 + 1  # the teapot of each set, the clamp of those with code points, the mug
    things = {o.name: o for o in catalogue.load(restyled=True)}
    teapot = next(o for o in things.values() if ("emoji", str(catalogue.roots()["emoji"] / "1fad6.webp")) in o.pictures)
    assert len(teapot.restyled) == 7 and len(things["mug"].restyled) == 1
    assert [root for root, _ in things["clamp"].pictures] == ["style"] * 4 and not things["clamp"].restyled
    rng = np.random.default_rng(0)
    red = [bool(catalogue.render(teapot, rng, 32)[16, 16, 0] > 128) for _ in range(200)]
    assert abs(np.mean(red) - (1 - restyled.SHARE)) < 0.1
    plain = catalogue.load()
    assert "clamp" not in {o.name for o in plain} and not any(o.restyled for o in plain)


def test_views_of_a_model_are_other_looks_of_a_thing_without_a_colour(assets):
    drawn(assets)
    rows = [
        {"name": name, "folder": name, "place": "room", "group": "dish", "metres": 0.1} for name in ("mug", "red apple", "french press")
    ]
    for row in rows:
        (assets / "model_views" / row["folder"]).mkdir(parents=True)
        (assets / "model_views" / row["folder"] / "0.webp").touch()
    (assets / "model_views" / "models.json").write_text(json.dumps(rows))
    things = {o.name: o for o in catalogue.load(restyled=True)}
    assert [root for root, _ in things["mug"].restyled] == ["style", "model"]
    assert [root for root, _ in things["french press"].pictures] == ["model"] and not things["french press"].restyled
    assert all(root != "model" for o in things.values() if o.color for root, _ in o.restyled)  # a model of an apple may have any colour
    assert not any(o.restyled for o in catalogue.load())


def test_a_stopped_drawing_goes_on_and_is_used_only_when_whole(assets):
    drawn(assets)
    kept = assets / "emoji_styles" / "noto" / "1fad6.webp"
    kept.write_bytes(b"left as it is")
    (assets / "emoji_styles" / "DONE").unlink()
    (assets / "emoji_styles" / "twemoji" / "1fad6.webp").unlink()
    assert not any(o.restyled for o in catalogue.load(restyled=True))
    drawn(assets)
    assert kept.read_bytes() == b"left as it is" and (assets / "emoji_styles" / "twemoji" / "1fad6.webp").is_file()


def test_a_broken_set_is_named_and_a_broken_drawing_left_out(assets, capsys):
    (assets / "clips" / "food" / "beverages" / "mug.svg").write_text("<svg")
    assert drawn(assets) == 7 + 4
    assert "left out: food-beverages-mug of openclipart" in capsys.readouterr().err
    next(assets.glob("iconify-json-twemoji-*/package/icons.json")).write_text("{")
    with pytest.raises(Ps3Error, match=r"twemoji.*ps3 data fetch"):
        drawn(assets)


def test_the_tables_are_sound():
    listed = list(restyled.more())
    assert all(name and slug and place in ("street", "room", "any") and group and 0.01 < m < 20 for name, slug, place, group, m in listed)
    assert len({name for name, *_ in listed}) == len(listed)
    for line in restyled.CLIPART.strip().splitlines():
        name, _, paths = line.partition(": ")
        assert name and all("/" in path and not path.endswith(".svg") for path in paths.split())


def test_no_new_name_resembles_one_that_is_held_out(assets):
    drawn(assets)
    folder = catalogue.roots()["style"]
    assert [row[0] for row in restyled.rows(set(), set(), set(objects.HELD_OUT), folder)] == ["clamp"]
    assert restyled.rows({"clamp"}, set(), set(), folder) == restyled.rows(set(), {"clamp"}, set(), folder) == []
    assert stamps.resembles("hand clamp", {"clamp"}) and restyled.rows(set(), set(), {"bar clamp"}, folder) == []
