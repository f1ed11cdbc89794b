"""The two streams of shards."""

import tarfile

import cv2
import numpy as np
import pytest

from ps3_training.data import shards


def tiny(key, boxes=1, **changes):
    image = np.random.default_rng(len(key)).integers(0, 255, (48, 64, 3), np.uint8)
    label = {"text": ["a mug"] * boxes, "box": [[1, 2, 30, 40]] * boxes, "global_text": "a room", "name": ["mug"] * boxes, **changes}
    return key, cv2.imencode(".jpg", image)[1].tobytes(), label


def test_shards_round_trip(tmp_path):
    written = [tiny("a", 2), tiny("bb"), tiny("ccc", 0)]
    shards.write_shard(tmp_path, 0, written)
    shards.write_shard(tmp_path, 1, [tiny("dddd")])
    back = list(shards.read_samples(tmp_path))
    assert [s.key for s in back] == ["a", "bb", "ccc", "dddd"]
    for (key, jpg, label), sample in zip(written, back, strict=False):
        assert (sample.key, sample.jpg, list(sample.text), sample.global_text) == (key, jpg, label["text"], label["global_text"])
        assert sample.box.dtype == np.float32 and sample.box.shape == (len(label["box"]), 4)
        assert sample.box.tolist() == label["box"] and sample.extra["name"] == label["name"]
    key, image, text, box, global_text = next(shards.read_shards(tmp_path, shards=[1]))
    assert key == "dddd" and image.shape == (48, 64, 3) and text == ("a mug",) and global_text == "a room"
    assert not list(tmp_path.rglob("*.part"))
    assert [m.name for m in tarfile.open(tmp_path / "images" / "00000.tar")] == ["a.jpg", "bb.jpg", "ccc.jpg"]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"box": [[1, 2, 3]]}, "four numbers"),
        ({"box": []}, "1 texts"),
        ({"box": [[5, 5, 5, 9]]}, "empty or not finite"),
        ({"box": [[1, 2, float("nan"), 4]]}, "empty or not finite"),
        ({"text": []}, "0 texts"),
        ({"text": [""]}, "none of them empty"),
        ({"global_text": None}, "global_text None"),
    ],
)
def test_broken_labels_are_named(tmp_path, changes, message):
    shards.write_shard(tmp_path, 0, [tiny("good"), tiny("bad", **changes)])
    with pytest.raises(shards.ShardError, match=message) as caught:
        list(shards.read_samples(tmp_path))
    assert "'bad'" in str(caught.value)


def test_broken_samples_are_reported_and_can_be_skipped(tmp_path, capsys):
    shards.write_shard(tmp_path, 0, [tiny("a"), ("b", b"not a jpeg", tiny("b")[2]), tiny("c")])
    with pytest.raises(shards.ShardError, match="'b'.*10 bytes"):
        list(shards.read_shards(tmp_path))
    shards.write_shard(tmp_path, 0, [tiny("a"), tiny("b", box="none"), tiny("c")])
    assert [s.key for s in shards.read_samples(tmp_path, on_broken="skip")] == ["a", "c"]
    assert "skipped" in capsys.readouterr().err
    (tmp_path / "text_boxes" / "00000.tar").unlink()
    with pytest.raises(shards.ShardError, match="missing"):
        list(shards.read_samples(tmp_path))
    with pytest.raises(shards.ShardError, match="no images"):
        list(shards.read_samples(tmp_path / "nothing"))


def test_keys_must_be_equal_in_both_streams(tmp_path):
    shards.write_shard(tmp_path / "x", 0, [tiny("a"), tiny("b")])
    shards.write_shard(tmp_path / "y", 0, [tiny("a")])
    (tmp_path / "x" / "text_boxes" / "00000.tar").write_bytes((tmp_path / "y" / "text_boxes" / "00000.tar").read_bytes())
    with pytest.raises(shards.ShardError, match="'b' has an image but no JSON"):
        list(shards.read_samples(tmp_path / "x"))


def test_failed_shard_leaves_nothing(tmp_path):
    def broken():
        yield tiny("a")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        shards.write_shard(tmp_path, 0, broken())
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]
