"""Ranks by hand, and the look at a true box."""

import numpy as np
import pytest

from ps3_ros.encoder import Encoder
from ps3_ros.frame import Frame
from ps3_training.evaluation import retrieval


def test_ranks_by_hand():
    regions = np.eye(6, dtype=np.float32)
    texts = np.eye(6, dtype=np.float32)
    texts[1] = [0.9, 0.1, 0.3, 0, 0, 0]  # the second caption looks like the first thing
    means = [("cup",), ("mug", "red mug"), ("car",), ("bus",), ("dog",), ("cat",)]
    found = retrieval.retrieval(regions, means, texts, ["cup", "mug", "car", "bus", "dog", "cat"])
    assert (found["regions"], found["captions"]) == (6, 6)
    assert found["caption R@1"]["value"] == 1 and found["region R@1"]["value"] == pytest.approx(5 / 6)
    assert found["region R@5"]["value"] == 1
    alike = retrieval.retrieval(regions, means, texts, ["cup", "cup", "car", "bus", "dog", "cat"])
    assert alike["caption R@1"]["count"] == 5  # no caption asks for a mug
    assert alike["region R@1"]["value"] == 1  # the second caption now means the first thing


@pytest.mark.parametrize("box", [(300, 100, 340, 150), (0, 0, 640, 360)])  # a small thing; one that no look can hold
def test_a_true_box_is_looked_at(tiny_bundle, box):
    encoder = Encoder(tiny_bundle, threads=1)
    frame = Frame(np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8))
    glance = encoder.glance(frame)
    chosen = retrieval.box_selection(np.array(box, np.float32), glance, encoder.settings.max_patches)
    assert 0 < chosen.count <= encoder.settings.max_patches and all(len(p) for p in chosen.patches)
    embedding = retrieval.box_embedding(encoder, glance, np.array(box, np.float32))
    assert embedding.shape == (encoder.settings.embed_dim,) and np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)
