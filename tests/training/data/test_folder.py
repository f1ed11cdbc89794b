"""The folder form: pictures with labels.jsonl, or a JSON beside each."""

import json

import pytest
from pictures import picture

from ps3_training.data import folder, shards, stream


def test_open_data_reads_a_folder_as_it_reads_shards(small, tmp_path_factory):
    out = tmp_path_factory.mktemp("packed") / "shards"
    assert folder.pack(small, out) == 2
    for path in (small, out):
        one, two = shards.open_data(path)
        assert (one.key, one.text, one.box.tolist()) == ("one", ("red mug", "kettle"), [[1, 2, 30, 40], [40, 5, 60.5, 20]])
        assert one.global_text == "a picture with red mug, kettle" and one.pixels().shape == (48, 64, 3)
        assert (two.key, two.text, two.box.shape) == ("shelf_two_v2", (), (0, 4))
        assert two.global_text == "an empty shelf" and two.extra == {"absent": ["mug"]}
    with pytest.raises(shards.ShardError, match="has shards already"):
        folder.pack(small, out)


def test_a_json_beside_each_picture(tmp_path):
    picture(tmp_path / "a" / "one.jpeg")
    (tmp_path / "a" / "one.json").write_text(json.dumps({"text": ["mug"], "box": [[1, 2, 3, 4]]}))
    assert [s.key for s in shards.open_data(tmp_path)] == ["a_one"]
    assert [s.key for s in stream.Reader(tmp_path, epochs=1)] == ["a_one"]


@pytest.mark.parametrize(
    "lines, message",
    [
        (["{"], "Line 1 of .* is no JSON object"),
        (['{"text": []}'], "Line 1 of .*'image'"),
        (['{"image": "one.jpg", "text": ["mug"]}'], "lacks one of text, box"),
        (['{"image": "one.jpg", "text": ["mug"], "box": []}'], "1 texts"),
        (['{"image": "one.jpg", "text": [" "], "box": [[0, 0, 1, 1]]}'], "none of them empty"),
        (['{"image": "gone.jpg", "text": [], "box": []}'], "no picture"),
        (['{"image": "../x.jpg", "text": [], "box": []}'], "inside the folder"),
        (['{"image": "one.jpg", "text": [], "box": []}'] * 2, "again"),
        ([], "'one.jpg' has no label"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, lines, message, capsys):
    picture(tmp_path / "one.jpg")
    (tmp_path / "labels.jsonl").write_text("\n".join(lines))
    with pytest.raises(shards.ShardError, match=message):
        list(shards.open_data(tmp_path))
    assert list(shards.open_data(tmp_path, on_broken="skip")) == [] and "skipped" in capsys.readouterr().err


def test_two_pictures_of_one_key_are_refused(tmp_path):
    for name in ("a/b.jpg", "a_b.jpg"):
        picture(tmp_path / name)
    (tmp_path / "labels.jsonl").write_text("")
    with pytest.raises(shards.ShardError, match="'a/b.jpg' and 'a_b.jpg'"):
        list(shards.open_data(tmp_path))
