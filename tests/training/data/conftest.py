"""Drawn objects stand in for the pictures that a user fetches, so these tests need no picture packages."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for pictures.py and test_shards.py: the tests are no package
from pictures import picture  # noqa: E402

from ps3_training.data import backgrounds, catalogue


@pytest.fixture(scope="session")
def drawn():
    """The objects of the table that are drawn from scratch: no picture files."""
    return catalogue.load(only=("drawn",))


@pytest.fixture(autouse=True)
def no_photographs(monkeypatch, tmp_path):
    monkeypatch.setenv(backgrounds.PHOTO_FOLDERS, str(tmp_path / "none"))


@pytest.fixture
def small(tmp_path):
    """Two pictures, one in a subfolder and a PNG, with labels.jsonl."""
    picture(tmp_path / "one.jpg")
    picture(tmp_path / "shelf" / "two.v2.png", 1)
    lines = [
        {"image": "one.jpg", "text": ["red mug", "kettle"], "box": [[1, 2, 30, 40], [40, 5, 60.5, 20]]},
        {"image": "shelf/two.v2.png", "text": [], "box": [], "global_text": "an empty shelf", "absent": ["mug"]},
    ]
    (tmp_path / "labels.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    return tmp_path
