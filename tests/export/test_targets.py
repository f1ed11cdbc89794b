"""What answers in the gate."""

from ps3_export import targets
from ps3_export.views import QUERIES, make_views
from ps3_ros.ask import Asker
from ps3_ros.bundle import load_bundle


def test_a_small_bundle_is_asked_by_its_targets_backend(tiny_bundle):
    bundle = load_bundle(tiny_bundle)
    assert targets.gate_backend("onnx", bundle) == "onnxruntime:cpu" and targets.gate_backend("tensorrt", bundle) == "tensorrt"


def test_a_large_bundle_answers_the_same_with_one_graph_open_at_a_time(tiny_bundle, frame_file, monkeypatch):
    monkeypatch.setattr(targets, "LARGE_MODEL", 1)
    bundle = load_bundle(tiny_bundle)
    gate, answers = targets.gate_backend("onnx", bundle), []
    (view,) = make_views([frame_file], 1, None, QUERIES)
    for backend in (gate, "onnxruntime:cpu"):
        asker = Asker(bundle, backend=backend, threads=1)
        asker.set_frame(view.frame())
        answers.append(asker.ask(view.query))
    assert answers[0].regions == answers[1].regions and answers[0].backend == answers[1].backend
    assert list(gate.backend.sessions) == ["region"] == [gate.graph]
