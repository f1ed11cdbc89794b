"""The program that measures `ps3 replay` runs through, and its bags are what it says."""

import json

import pytest

pytest.importorskip("rosbags", reason="rosbags cannot be imported: pip install 'ps3_ros[replay]'")


@pytest.fixture
def results(tmp_path, monkeypatch):
    from benchmarks import report

    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def test_the_program_runs_through(results, tiny_bundle):
    from benchmarks import replay

    assert replay.main(["--quick", "--bundle", str(tiny_bundle), "--threads", "1", "--share-looks"]) == 0
    raw, jpeg = json.loads((results / "replay.json").read_text())["bags"]
    assert raw["mb"] > 3 * 640 * 360 * 3 / 1e6 > jpeg["mb"]
    for bag in (raw, jpeg):
        assert bag["answers_hz"] == 2 * bag["images_hz"] > 0
        assert bag["share"] == pytest.approx(bag["images_hz"] / bag["alone_hz"]) and bag["cpu_ms"] > bag["reading_cpu_ms"] > 0
