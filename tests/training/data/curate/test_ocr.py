"""Text read by rapidocr, where it is installed (extra `curate`)."""

import cv2
import numpy as np
import pytest

from ps3_training.data import shards
from ps3_training.data.curate.cli import main
from ps3_training.data.curate.ocr import TextReader

pytest.importorskip("rapidocr", reason="rapidocr is not installed: pip install 'ps3_ros[curate]'")


@pytest.fixture(scope="module")
def reader():
    return TextReader(threads=1)


def test_words_are_read_where_they_stand(reader, picture):
    masks = reader(picture)
    assert [m.text for m in masks] == ["EXIT 27"] and masks[0].score > 0.85
    x1, y1, x2, y2 = masks[0].box
    assert 300 <= x1 < 340 and 60 <= y1 < 95 and 470 < x2 <= 560 and 110 < y2 <= 150


def test_a_line_across_two_tiles_is_read_once(reader):
    wide = np.full((300, 2400, 3), 220, np.uint8)
    cv2.putText(wide, "PLATFORM", (1160, 180), cv2.FONT_HERSHEY_SIMPLEX, 2.0, (0, 0, 0), 5, cv2.LINE_AA)
    assert [m.text for m in reader(wide)] == ["PLATFORM"]


def test_the_command_needs_no_server_for_text(pictures, tmp_path):
    assert main([str(pictures / "a.jpg"), "--out", str(tmp_path / "out")]) == 0
    sample = next(iter(shards.read_samples(tmp_path / "out")))
    assert any("EXIT 27" in text for text in sample.text) and sample.extra["means"][0] == ["sign that says exit 27", "text exit 27"]
