"""Operations and bytes against counts made by hand, and the program runs through."""

import json

import pytest

from benchmarks import report, roofline
from benchmarks.roofline import Stage, least, stages


def test_operations_of_a_look_are_those_of_its_products():
    look = {stage.name: stage for stage in stages("tiny16", 1022)}["look"]
    linear = 12 * 1022 * (192 * 576 + 192 * 192 + 2 * 192 * 768)  # qkv, proj, fc1 and fc2 of twelve blocks
    attention = 12 * 2 * 1022 * (256 + 1022) * 192  # queries with keys, weights with values
    assert look.operations == 2 * (1022 * 768 * 192 + linear + attention)


def test_the_frame_does_not_change_what_a_look_costs():
    small, large = (stages("tiny16", 1022, frame) for frame in ((1280, 720), (5376, 3024)))
    assert small[1:] == large[1:] and small[0].moved < large[0].moved


BOUNDS = [  # operations, bytes -> seconds on a machine of 100 operations and 10 bytes a second
    (1000, 10, 10.0),  # the products decide
    (10, 1000, 100.0),  # the memory decides
]


@pytest.mark.parametrize(("operations", "moved", "seconds"), BOUNDS)
def test_the_slower_of_the_two_decides(operations, moved, seconds):
    assert least(Stage("x", operations, moved), 100, 10) == seconds


def test_the_program_runs_through(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setattr(roofline, "RESULTS", tmp_path)
    assert roofline.main(["--quick"]) == 0
    data = json.loads((tmp_path / "roofline-smoke.json").read_text())
    assert data["machine"]["gflops"] > 0 and [s["name"] for s in data["stages"]] == ["read frame", "glance", "select", "cut", "look"]
    assert "arithmetic on published peaks" in capsys.readouterr().out
