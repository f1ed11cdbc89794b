"""The figures: each by hand on small rows, and all of them through a real (random) bundle on frames in the shards' format."""

import json

import numpy as np
import pytest

from ps3_ros.ask import Asker
from ps3_training import evaluate
from ps3_training.data.shards import write_shard

from .conftest import sample

ROWS = [
    {"present": True, "score": 0.9, "found": True, "pointed": True},
    {"present": True, "score": 0.8, "found": True, "pointed": False},  # says found, points elsewhere: a wrong one
    {"present": True, "score": 0.3, "found": False, "pointed": True},
    {"present": False, "score": 0.6, "found": True},
    {"present": False, "score": 0.1, "found": False},
]


def test_found_counts_only_what_is_pointed_at():
    figures = evaluate.found_figures(ROWS)
    assert figures["precision"] == pytest.approx(1 / 3) and figures["recall"] == pytest.approx(1 / 3)
    lower = evaluate.found_figures(ROWS, threshold=0.2)
    assert lower["precision"] == pytest.approx(2 / 4) and lower["recall"] == pytest.approx(2 / 3)


def test_best_threshold_has_the_best_f1():
    best = evaluate.best_threshold(ROWS)
    figures = [evaluate.found_figures(ROWS, score)["f1"] for score in np.linspace(0, 1, 101)]
    assert evaluate.found_figures(ROWS, best)["f1"] == pytest.approx(max(figures))
    assert 0.1 < best < 0.3


@pytest.fixture
def shards(tmp_path):
    """Three frames of three squares, and two things that are not there."""
    made = []
    for seed in range(3):
        key, jpeg, labels = sample(seed)
        made.append((key, jpeg, {**labels, "asks": labels["name"], "means": [[name] for name in labels["name"]], "absent": ["mug", "car"]}))
    write_shard(tmp_path, 0, made)
    return tmp_path


def test_a_bundle_is_measured_from_end_to_end(tiny_bundle, shards, tmp_path, capsys):
    assert evaluate.main([str(tiny_bundle), str(shards), "--limit", "2", "--out", str(tmp_path / "out"), "--threads", "1"]) == 0
    figures = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert (figures["questions"], figures["present"]) == (10, 6)
    assert set(figures["recall"]) == {"one look", "5%", "20%", "44%"}
    assert all(0 <= share <= 1 for ways in figures["recall"].values() for share in ways.values())
    assert sum(group["count"] for group in figures["groups"].values()) == 6
    assert "| one look |" in capsys.readouterr().out


def test_patches_of_a_box_are_those_it_shares_area_with(tiny_bundle):
    from ps3_ros.frame import FramePlan

    asker = Asker(tiny_bundle, threads=1)
    plan = FramePlan.of(360, 640, asker.settings)
    box = np.array([33.0, 40.0, 81.0, 95.0], np.float32)
    for s in range(len(plan.grids)):
        boxes = plan.boxes(s, np.arange(plan.grids[s].patches))
        width = np.minimum(boxes[:, 2], box[2]) - np.maximum(boxes[:, 0], box[0])
        height = np.minimum(boxes[:, 3], box[3]) - np.maximum(boxes[:, 1], box[1])
        assert evaluate.patches_of(box, plan, s).tolist() == np.flatnonzero((width > 0) & (height > 0)).tolist()


def test_everything_selected_is_full_recall(tiny_bundle, shards):
    from ps3_ros.frame import Frame
    from ps3_training.data.shards import read_samples

    asker = Asker(tiny_bundle, threads=1)
    first = next(iter(read_samples(shards)))
    asker.set_frame(Frame(first.pixels()))
    evaluate_all, evaluate.SHARES = evaluate.SHARES, (1.0,)
    try:
        found = evaluate.recalls(asker, first.text[0], first.box[0], np.random.default_rng(0))
    finally:
        evaluate.SHARES = evaluate_all
    assert set(found["100%"].values()) == {1.0}


def test_an_empty_folder_is_one_sentence(tiny_bundle, tmp_path, capsys):
    assert evaluate.main([str(tiny_bundle), str(tmp_path)]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: The folder")
