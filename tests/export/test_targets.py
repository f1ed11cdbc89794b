"""What answers in the gate."""

import pytest

from ps3_export import targets
from ps3_export.stages import ask_in_stages
from ps3_export.views import QUERIES, make_views
from ps3_ros.backends import open_backend
from ps3_ros.bundle import load_bundle


@pytest.mark.parametrize(
    ("target", "name"), [("onnx", "onnxruntime:cpu"), ("tensorrt-rtx", "onnxruntime:cpu"), ("openvino", "openvino:cpu")]
)
def test_a_large_bundle_answers_as_a_small_one_does(tiny_bundle, frame_file, tmp_path, monkeypatch, target, name):
    if "openvino" in name:
        pytest.importorskip("openvino", reason="needs the [openvino] extra")
    bundle, views = load_bundle(tiny_bundle), make_views([frame_file], 2, None, QUERIES)
    whole = targets.ask_bundle(bundle, target, views, tmp_path)
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(targets, "LARGE_MODEL", 1)
    staged = targets.ask_bundle(bundle, target, views, tmp_path)
    assert len(list(tmp_path.glob("kv-*.npy"))) == len(views)  # keys and values lay on disk between glance and look
    assert [outcome.answer.regions for outcome in staged] == [outcome.answer.regions for outcome in whole]
    assert [outcome.view for outcome in staged] == views and {outcome.answer.backend for outcome in staged} == {name}


def test_each_stage_is_opened_once_and_alone(tiny_bundle, frame_file, tmp_path, monkeypatch):
    opened = []

    def spy(bundle, name):
        opened.append(list(bundle.manifest.graphs))
        return open_backend(bundle, name)

    monkeypatch.setattr("ps3_export.stages.open_backend", spy)
    ask_in_stages(load_bundle(tiny_bundle), "onnxruntime:cpu", make_views([frame_file], 3, None, QUERIES), tmp_path)
    assert opened == [["text"], ["glance", "select"], ["look", "region"]]
