"""Every benchmark program runs through on a tiny bundle: a table, a JSON file with figures, and a plot."""

import json
from importlib.util import find_spec

import cv2
import numpy as np
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


def test_still(results, capsys, tiny_bundle):
    from benchmarks import still

    assert still.main(["--quick", "--bundle", str(tiny_bundle), "--threads", "1"]) == 0
    found = {(entry["scene"], entry["way"]): entry for entry in json.loads((results / "still.json").read_text())["scenes"]}
    assert set(found) == {(scene, way) for scene in still.SCENES for way in ("anew", "kept")}
    assert found["still", "kept"]["encoded"] == 0 < found["still", "anew"]["encoded"]
    assert found["still", "kept"]["other_best"] == 0 and "a thing moves" in capsys.readouterr().out


@pytest.fixture
def split(tmp_path):
    """Folder of two small frames with a square each, and things that are not in them."""
    from ps3_training.data.shards import write_shard

    made, rng = [], np.random.default_rng(0)
    for n, name in enumerate(("red square", "blue square")):
        pixels = rng.integers(90, 160, (360, 640, 3), dtype=np.uint8)
        pixels[100:160, 200 + 100 * n : 260 + 100 * n] = (0, 0, 255) if n == 0 else (255, 0, 0)
        labels = {"text": [f"a {name}"], "box": [[200 + 100 * n, 100, 260 + 100 * n, 160]], "global_text": "squares", "name": [name]}
        labels |= {"asks": [name], "means": [[name]], "absent": ["mug", "car"], "seen": [True]}
        made.append((f"frame{n}", cv2.imencode(".png", pixels)[1].tobytes(), labels))
    write_shard(tmp_path / "squares", 0, made)
    return tmp_path / "squares"


def test_sharing(results, tiny_bundle, split):
    from benchmarks import sharing

    assert sharing.main([str(split), "--limit", "2", "--bundle", str(tiny_bundle), "--threads", "1"]) == 0
    found = {entry["way"]: entry for entry in json.loads((results / "sharing.json").read_text())["ways"]}
    assert set(found) == set(sharing.WAYS) and all(entry["questions"] == 4 for entry in found.values())
    assert found["anew"]["other_best"] == found["anew"]["score_change"] == 0
    assert all(0 <= entry[key] <= 1 for entry in found.values() for key in ("pointed", "recall", "iou"))


def test_pruning_answers(results, tiny_checkpoint, split):
    from benchmarks import pruning_answers

    assert pruning_answers.main([str(tiny_checkpoint), str(split), "--limit", "1", "--threads", "1"]) == 0
    found = {(e["way"], e["part"]): e for e in json.loads((results / "pruning_answers.json").read_text())["ways"]}
    robot, ways = found.pop(pruning_answers.ROBOT), {(way, p) for way in ("ours", "visionzip", "fastv") for p in pruning_answers.KEPT}
    assert set(found) == {("all", 1.0)} | ways and robot["kept"] is None
    assert found["all", 1.0]["kept"] == 1 and all(0 <= entry["kept"] <= 1 for entry in found.values())
    assert all(entry["there"] == 1 and entry["pointed"] in (0, 1) and entry["questions"] == 2 for entry in (robot, *found.values()))


def test_pruning_answers_draws_its_questions():
    from benchmarks.pruning_answers import some_of
    from ps3_training.evaluation.questions import Question

    box = np.array([0, 0, 1, 1], np.float32)
    questions = [Question(str(n), "", n < 8, box[None], box) for n in range(16)]
    drawn = {key: [int(question.text) for question in some_of(questions, 5, key)] for key in ("a", "b")}
    assert drawn["a"] != drawn["b"] and all(sum(n < 8 for n in found) == 3 and len(set(found)) == 5 for found in drawn.values())
    assert drawn["a"] == [int(question.text) for question in some_of(questions, 5, "a")]
    assert len(some_of(questions[:2], 6, "a")) == 2  # fewer than were asked for


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
    assert all(row["seconds"] > 0 and row["peak_mb"] > 50 and len(row["all_peaks_mb"]) == 1 for row in data["ours_alone"])
    small, large = (row["in_use_mb"] for row in data["ours_alone"])
    assert 50 < small < large  # 2 MB more frame
    monkeypatch.setattr(resolution, "TOPS", {"smoke": (640,)})
    assert resolution.main(["--quick", "--threads", "1", "--alone"]) == 0
    alone = json.loads((results / "resolution-smoke-alone.json").read_text())
    assert len(alone["ours_alone"]) == 1 and alone["rows"] == alone["ours_alone"]


def test_engines(results, monkeypatch, capsys, tiny_bundle, tiny_checkpoint):
    from benchmarks import engines

    monkeypatch.setattr(engines, "gpu_name", lambda: "")
    given = ["--bundle", str(tiny_bundle), "--checkpoint", str(tiny_checkpoint), "--threads", "1", "--reference-python", "nowhere/python"]
    assert engines.main(["--quick", *given]) == 0
    (path,) = results.glob("engines-*-quick.json")
    data = json.loads(path.read_text())
    found = {entry["name"]: entry["ms"] for entry in data["engines"]}
    assert set(found) == {f"{name} fp32" for name in ("onnxruntime:cpu", "openvino:cpu", "torch:cpu") if find_spec(name.split(":")[0])}
    for ms in found.values():
        for count in engines.QUICK_PATCHES:
            assert 0 < ms[f"look {count}"]["median"] <= ms[f"look {count}"]["p99"] < ms[f"answer {count}"]["p99"]
    assert data["left_out"]["torch:cuda fp32"] == "no GPU was found" and "reference, torch:cpu fp32" in data["left_out"]
    assert "No GPU was found here" in capsys.readouterr().out
