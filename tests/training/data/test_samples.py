"""The sample frames of the repository."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from ps3_training.data import catalogue, samples

SAMPLES = Path(__file__).resolve().parents[3] / "samples"


@pytest.mark.parametrize("name", ["street", "kitchen", "bird"])
def test_sample_frames_and_their_labels_agree(name):
    label = json.loads((SAMPLES / f"{name}.json").read_text())
    image = cv2.imread(str(SAMPLES / label["image"]))
    assert image.shape == (2160, 3840, 3) and (SAMPLES / label["image"]).stat().st_size < 3e6
    assert label["license"] and label["title"] and 4 <= len(label["queries"]) <= 6
    assert any(not q["boxes"] for q in label["queries"])
    for query in label["queries"]:
        for x1, y1, x2, y2 in query["boxes"]:
            assert 0 <= x1 < x2 <= 3840 and 0 <= y1 < y2 <= 2160
        if "|" in query["query"]:
            assert query["label"] == "red traffic light"
    if name == "street":
        x1, y1, x2, y2 = label["queries"][0]["boxes"][0]
        assert label["queries"][0]["query"] == "stop sign" and max(x2 - x1, y2 - y1) < 48


def test_samples_are_remade_as_they_are(tmp_path):
    """The committed frame is what the script makes (within JPEG and OpenCV versions)."""
    if not {"sign", "emoji"} <= set(catalogue.roots()):
        pytest.skip("the npm packages with signs and emoji are not here: python -m ps3_training.data.fetch_assets .assets")
    label = samples.write(tmp_path, ("street",))[0]
    assert label == json.loads((SAMPLES / "street.json").read_text())
    made, kept = cv2.imread(str(tmp_path / "street.jpg")), cv2.imread(str(SAMPLES / "street.jpg"))
    assert np.abs(made.astype(int) - kept).mean() < 2
