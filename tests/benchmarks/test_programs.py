"""Every benchmark program runs through on a tiny bundle: a table, a JSON file with figures, and a plot."""

import json
from importlib.util import find_spec

import pytest

pytest.importorskip("torch")  # bundles for them are exported


@pytest.fixture
def results(tmp_path, monkeypatch):
    from benchmarks import cases, report

    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(cases, "MADE", tmp_path)
    return tmp_path / "results"


def test_against_reference(results, monkeypatch, capsys, tiny_reference_bundle, tiny_reference_checkpoint):
    from benchmarks import against_reference, models

    monkeypatch.setattr(models, "bundle", lambda *args, **kwargs: tiny_reference_bundle)
    monkeypatch.setattr(models, "checkpoint", lambda *args, **kwargs: tiny_reference_checkpoint)
    assert against_reference.main(["--quick", "--threads", "1", "--reference-python", "nowhere/python"]) == 0
    data = json.loads((results / "against_reference-smoke.json").read_text())
    found = {entry["name"]: entry for entry in data["contenders"]}
    assert set(found) == {f"ours, {name} fp32" for name in ("onnxruntime", "openvino", "torch") if find_spec(name)}
    assert found["ours, onnxruntime fp32"]["error"] == 0 and all(entry["error"] < 1e-4 for entry in found.values())
    for entry in found.values():
        assert 0 < entry["seconds"]["look"] < entry["seconds"]["total"] and entry["peak_mb"] > 50
    assert "no Python at nowhere/python" in data["left_out"]["reference, own-shape"]
    assert (results / "against_reference-smoke.png").stat().st_size > 1000
    assert "ours, torch fp32" in capsys.readouterr().out


def test_queries(results, capsys, tiny_bundle):
    from benchmarks import queries

    assert queries.main(["--quick", "--bundle", str(tiny_bundle), "--threads", "1"]) == 0
    found = {(way["way"], way["questions"]): way for way in json.loads((results / "queries.json").read_text())["ways"]}
    assert set(found) == {(way, count) for way in queries.WAYS for count in (1, 4)} | {("same cells", 2)}
    assert found["same cells", 2]["encoded_each"] == 0 and found["one look for all", 4]["encoded_each"] == 0
    assert 0 <= found["seen", 4]["encoded_each"] < found["anew", 4]["encoded_each"]
    assert "same cells" in capsys.readouterr().out


def test_queries_refuses_a_folder_that_is_no_bundle(tmp_path, capsys):
    from benchmarks import queries

    assert queries.main(["--quick", "--bundle", str(tmp_path)]) == 2
    assert "manifest" in capsys.readouterr().err


def test_resolution(results, monkeypatch, tiny_bundle):
    from benchmarks import models, resolution

    monkeypatch.setattr(models, "bundle", lambda *args, **kwargs: tiny_bundle)
    assert resolution.main(["--quick", "--threads", "1"]) == 0
    data = json.loads((results / "resolution-smoke.json").read_text())
    ways = [row["way"] for row in data["rows"] if row["top_scale"] == 640]
    assert ways == ["ours", "anyres", "s2", "sliced (arithmetic)"]
    assert [row["top_scale"] for row in data["ours_alone"]] == [640, 1280]
    assert all(row["seconds"] > 0 and row["peak_mb"] > 50 for row in data["ours_alone"])
