"""Views: real pixels, the same every time, never the same for the gate and for calibration."""

import io
import json
import tarfile

import cv2
import numpy as np
import pytest

from ps3_export.views import View, by_frame, make_views, parse_size, read_pictures, textured_frame
from ps3_ros.errors import CheckpointError


@pytest.fixture
def folder(tmp_path):
    for n in range(5):
        cv2.imwrite(str(tmp_path / f"{n}.png"), np.full((90, 160, 3), 40 * n + 10, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_whole_pictures_come_first_then_crops_at_the_frames_size(folder):
    views = make_views([folder], 5, (128, 72), ["a", "b"])
    assert [view.name for view in views] == ["0", "2", "4", "0-crop3", "2-crop4"]
    assert [view.query for view in views] == ["a", "b", "a", "b", "a"]
    assert {view.frame().pixels.shape for view in views} == {(72, 128, 3)}
    assert make_views([folder], 1, None, ["a"])[0].frame().pixels.shape == (90, 160, 3)


def test_what_calibrates_is_not_what_judges(folder):
    judged, calibration = (make_views([folder], 4, None, ["a"], part=part) for part in (0, 1))
    assert not {view.data for view in judged} & {view.data for view in calibration}
    one = [make_views([folder / "1.png"], 4, None, ["a"], part=part) for part in (0, 1)]
    assert not {(view.part, view.seed) for view in one[0]} & {(view.part, view.seed) for view in one[1]}


def test_the_same_arguments_give_the_same_pixels(folder):
    path = folder / "noise.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8))
    first, again = (make_views([path], 3, None, ["a"]) for _ in range(2))
    assert all(np.array_equal(a.frame().pixels, b.frame().pixels) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[1].frame().pixels, first[2].frame().pixels)


def test_a_shard_is_read_as_a_folder_is(folder, tmp_path):
    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w") as tar:
        for name in ("x.jpg", "x.json"):
            data = cv2.imencode(".jpg", np.zeros((40, 60, 3), np.uint8))[1].tobytes() if name.endswith("jpg") else b"{}"
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    assert [(name, captions) for name, _, captions in read_pictures([shard], 9)] == [("x", [])]


def test_a_frame_is_asked_for_what_its_label_says_and_then_for_anything(folder):
    (folder / "0.json").write_text(json.dumps({"text": ["the mug", "  ", 3, "a clock"], "box": [[0, 0, 9, 9]] * 4}))
    (folder / "2.json").write_text(json.dumps({"queries": [{"query": "stop sign"}]}))
    (folder / "4.json").write_text("no JSON")
    views = make_views([folder], 3, None, ["a", "b"], questions=2, fits=lambda query: query != "a clock")
    assert [[view.query for view in frame] for frame in by_frame(views)] == [["the mug", "a"], ["stop sign", "a"], ["a", "b"]]


def test_captions_of_a_data_set_lie_in_shards_beside_those_of_its_pictures(folder, tmp_path):
    (tmp_path / "0.png").unlink()
    for stream, name, data in (("images", "1.png", (folder / "1.png").read_bytes()), ("text_boxes", "1.json", b'{"text": ["a key"]}')):
        (tmp_path / "set" / stream).mkdir(parents=True)
        with tarfile.open(tmp_path / "set" / stream / "00000.tar", "w") as tar:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    assert [(name, captions) for name, _, captions in read_pictures([tmp_path / "set" / "images"], 9)] == [("1", ["a key"])]


def test_views_of_one_frame_come_together(folder):
    views = make_views([folder], 5, None, ["a", "b", "c"], questions=3)
    assert [len(frame) for frame in by_frame(views)] == [3] * 5
    assert [view.query for view in by_frame(make_views([folder], 2, None, ["a", "b", "c"], questions=2))[1]] == ["c", "a"]


@pytest.mark.parametrize("name", ["nothing.jpg", "notes.txt", "empty", "bad.tar"])
def test_sources_without_pictures_are_refused(folder, name):
    (folder / "empty").mkdir()
    (folder / "bad.tar").write_bytes(b"no tar")
    with pytest.raises(CheckpointError) as error:
        [view.frame() for view in make_views([folder / name], 2, None, ["a"])]
    assert name.split(".")[0] in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["3840", "3840x", "axb", "3840x2160x3", "16x2160", "-5x10"])
def test_what_is_no_frame_size_is_refused(text):
    with pytest.raises(CheckpointError, match="3840x2160"):
        parse_size(text)


def test_a_frame_size_is_width_by_height():
    assert parse_size("640X360") == (640, 360)


def test_the_made_picture_is_textured_and_always_the_same():
    made = textured_frame(216, 384)
    assert made.dtype == np.uint8 and made.std() > 20 and np.array_equal(made, textured_frame(216, 384))
    assert View("made", None, 0.5, (64, 36), 0, "a").frame().pixels.shape == (36, 64, 3)
