"""The gaze benchmark: what its figures mean, sequences that are the same for the same seed, and a run through on a tiny bundle."""

import json

import numpy as np
import pytest

from benchmarks import gaze
from ps3_ros.answer import Region
from ps3_ros.bundle import default_bundle, load_bundle
from ps3_ros.frame import FramePlan
from ps3_ros.selection import Selection


def test_recall_is_of_the_finest_patches_under_the_box():
    plan = FramePlan.of(2160, 3840, load_bundle(default_bundle()).settings)  # 16 px patches, 240 a row
    looked = Selection((np.empty(0, np.int64),) * 2 + (np.array([0, 1, 240]),))
    assert gaze.recall((0, 0, 32, 32), looked, plan) == 0.75 and gaze.recall((8, 8, 16, 16), looked, plan) == 1
    assert gaze.recall((1000, 1000, 1032, 1032), looked, plan) == 0
    assert gaze.points((0, 0, 32, 32), [Region((0, 0, 60, 60), 0.9, "")]) and not gaze.points((0, 0, 32, 32), [])


def test_savings_are_read_off_the_curve():
    entry = lambda way, patches, recall: {"way": way, "budget": patches, "patches": patches, "recall": recall}  # noqa: E731
    entries = [entry(gaze.CELLS, 100, 0.5), entry(gaze.CELLS, 400, 0.8), entry(gaze.CELLS, 800, 0.95)]
    entries += [entry(way, 100, 0.6) for way in gaze.WAYS[1:]] + [entry(gaze.PATCHES, 400, 0.9), entry(gaze.GAZE, 200, 0.8)]
    saved = gaze.savings(entries)
    assert [s["way"] for s in saved] == [gaze.PATCHES] * 3 + [gaze.GAZE] * 5 and [s["against"] for s in saved[6:]] == [gaze.PATCHES] * 2
    half, between = pytest.approx(0.5), pytest.approx(0.629961, rel=1e-3)  # 200 and 252 of 400
    assert [s["part"] for s in saved] == [1.0, between, None, 1.0, half, None, 1.0, None]


@pytest.mark.parametrize("seed", [3])
def test_a_run_through(seed, tiny_bundle, tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    from benchmarks import report

    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    assert gaze.main(["--quick", "--bundle", str(tiny_bundle), "--threads", "1", "--first", str(seed)]) == 0
    data = json.loads((tmp_path / "results" / "gaze.json").read_text())
    assert {(e["way"], e["budget"]) for e in data["ways"]} == {(w, b) for w in gaze.WAYS for b in (128, 64)}
    assert all(0 <= e["recall"] <= 1 and e["patches"] <= e["budget"] for e in data["ways"])
    assert data["sequences"][0]["seed"] == seed and "with gaze" in capsys.readouterr().out


def test_the_same_seed_is_the_same_sequence():
    pytest.importorskip("ps3_training.data.compose", exc_type=ImportError)
    from benchmarks.sequences import make_sequence
    from ps3_training.data import catalogue, words

    objects = catalogue.load() or words.signs()
    first, again = (make_sequence(objects, 3, 4) for _ in range(2))
    assert first.query == again.query and first.boxes == again.boxes and np.array_equal(first.frames(1), again.frames(1))
    assert first.frames(1).shape == (2160, 3840, 3) and any(box is not None for box in first.boxes)
