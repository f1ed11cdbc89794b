"""`ps3 data check`, and the command line around it."""

import json
import re

import pytest
from test_shards import tiny

from ps3_training.data import check, cli, shards


def test_good_data_of_both_forms(tmp_path, small, capsys):
    shards.write_shard(tmp_path / "x", 0, [tiny("a", 2, width=64, height=48, absent=["cup"]), tiny("b", 0)])
    report = check.check(tmp_path / "x", progress=False)
    assert (report.samples, report.boxes, report.shards, report.bad) == (2, 2, 1, ())
    assert cli.main(["check", str(small), "--workers", "1"]) == 0
    assert "2 samples, 2 boxes: all fit" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"box": [[1, 2, 65, 40]]}, "outside its image of 64 x 48"),
        ({"box": [[-1, 2, 6, 40]]}, "outside its image"),
        ({"box": [[5, 5, 5, 9]]}, "empty or not finite"),
        ({"text": [""]}, "none of them empty"),
        ({"text": "a mug"}, "list of texts"),
        ({"width": 640}, "640 x 48 px and its image is 64 x 48"),
        ({"seen": [True, False]}, "another number of `seen`"),
        ({"means": [["mug", "cup"]], "absent": ["cup"]}, "calls 'cup' absent"),
        ({"absent": ["cup"], "absent_text": []}, "another number of `absent_text`"),
        ({"means": [5]}, "another shape"),
    ],
)
def test_a_bad_sample_is_named(tmp_path, changes, message, capsys):
    shards.write_shard(tmp_path, 0, [tiny("good"), tiny("bad", **changes)])
    assert cli.main(["check", str(tmp_path), "--workers", "1"]) == 1
    out = capsys.readouterr().out
    assert message in out and "1 samples in 1 shards, 1 boxes: 1 problem" in out and ("'bad'" in out or "another shape" in out)


def test_broken_shards_and_pictures_are_named(tmp_path):
    key, jpg, label = tiny("cut")
    shards.write_shard(tmp_path, 0, [tiny("a"), (key, jpg[:-40], label), ("text", b"no picture", label)])
    shards.write_shard(tmp_path, 1, [tiny("a")])
    shards.write_shard(tmp_path, 2, [tiny("c")])
    shards.write_shard(tmp_path, 3, [tiny("d"), tiny("e")])
    shards.write_shard(tmp_path / "other", 3, [tiny("d")])
    (tmp_path / "other" / "images" / "00003.tar").replace(tmp_path / "images" / "00003.tar")
    (tmp_path / "text_boxes" / "00002.tar").unlink()
    bad = check.check(tmp_path, workers=1, progress=False).bad
    for message in (
        "'cut'.*stops before its end",
        "'text'.*neither JPEG nor PNG",
        "00002.tar.*missing",
        "'e' has a JSON but no image",
        "'a' occurs 2",
    ):
        assert any(re.search(message, sentence) for sentence in bad), (message, bad)
    assert len(bad) == 5


def test_commands(tmp_path, small, capsys):
    assert cli.main(["pack", str(small), str(tmp_path / "packed")]) == 0
    assert cli.main(["check", str(tmp_path / "packed"), "--workers", "1"]) == 0
    assert cli.main(["check", str(tmp_path / "nothing")]) == 2
    assert "neither images/*.tar nor" in capsys.readouterr().err
    assert cli.main(["make", str(tmp_path / "x"), "--size", "4k"]) == 2
    assert "write WIDTHxHEIGHT" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["make", str(tmp_path / "x"), "--split", "test"])
    assert "test-seen" in capsys.readouterr().err
    label = json.loads((small / "labels.jsonl").read_text().splitlines()[0])
    label["box"][0] = [1, 2, 300, 40]
    (small / "labels.jsonl").write_text(json.dumps(label))
    assert cli.main(["check", str(small), "--workers", "1"]) == 1
    out = capsys.readouterr().out
    assert "'one' has the box" in out and "'shelf/two.v2.png' has no label" in out and "2 problems" in out
