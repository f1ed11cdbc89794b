"""The benchmark of two cameras: it runs over real DDS on a tiny bundle, and each camera's figures are of its own answers."""

import json
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="rclpy cannot be imported: source a ROS 2 setup file or pip install '.[ros-wheels]'")

from benchmarks import cameras  # noqa: E402

pytestmark = pytest.mark.alone


def answer(at, standing=True, error=None, real_ms=120.0):
    return SimpleNamespace(at=at, age_ms=100.0 + at, standing=standing, error=error, real_ms=real_ms, patches_used=8)


def test_figures_are_of_the_cameras_own_answers_within_the_time():
    heard = [("front", answer(at)) for at in (0.5, 1.0, 3.5, 9.0)] + [("rear", answer(2.0)), ("front", answer(2.0, error="no frame"))]
    heard += [("front", answer(3.0, standing=False, real_ms=200.0))]
    before, after = {"images": 5, "looked_at": 2, "dropped": 1}, {"images": 25, "looked_at": 5, "dropped": 9}
    found = cameras.of_camera("front", heard, before, after, 0.0, 4.0)
    assert (found["answers_hz"], found["errors"], found["questions"], found["most_apart_s"]) == (3 / 4, 1, 1, 2.5)
    assert (found["images"], found["looked_at"], found["dropped"]) == (20, 3, 8)
    assert (found["asked_ms"]["p50"], found["age_ms"]["p50"]) == (200.0, 101.0)


PROGRAM = """
import sys
from pathlib import Path
from benchmarks import cameras, report
report.RESULTS = Path(sys.argv[1])
sys.exit(cameras.main(sys.argv[2:]))
"""


def test_it_runs_over_dds(tmp_path, run_program):
    run = run_program(PROGRAM)
    data = json.loads((tmp_path / "cameras.json").read_text())
    assert set(data["cameras"]) == {"front", "rear"}
    for found in data["cameras"].values():
        assert found["images"] > 0
        assert found["answers_hz"] > 0.3
        assert found["errors"] == 0
    assert data["cameras"]["front"]["questions"] == 0, "they are all to the other one"
    assert data["memory"]["own"] > 50
    assert "longest gap" in run.stdout
