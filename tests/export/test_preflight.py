"""TensorRT for RTX parses and builds the graphs, without a GPU."""

import onnx
import pytest
import torch
from torch import nn

from ps3_export.preflight import check_graphs
from ps3_export.torch_to_onnx import finish, to_onnx
from ps3_ros.backends.tensorrt_engine import build_plan, load_package, profile_shapes
from ps3_ros.bundle import TensorSpec, load_bundle
from ps3_ros.errors import BackendError

pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is an extra (preflight)")


@pytest.mark.parametrize("name", ["tiny_bundle", "half_bundle", "int8_bundle"])
def test_every_graph_of_a_bundle_builds(request, name):
    bundle = load_bundle(request.getfixturevalue(name))
    seen = []
    built = check_graphs(bundle.folder, bundle.manifest, progress=lambda *step: seen.append(step))
    assert set(built) == set(bundle.manifest.graphs) and all(engine.bytes > 10_000 for engine in built.values())
    assert seen[0] == ("build text", 0, 5) and seen[-1] == ("built", 5, 5)


class PublishedLayer(nn.Module):
    """One layer of SO400M: heads of 72, keys and values of 729 low-res tokens."""

    def __init__(self):
        super().__init__()
        from ps3_training.model.backbone import Block

        self.block = Block(1152, 16, 4304)

    def forward(self, x, kv):
        return self.block(x, kv)[0]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_a_layer_of_the_published_size_builds(tmp_path, make_settings, precision):
    import onnx_ir as ir

    from ps3_export.half import to_half
    from ps3_ros.bundle import GraphSpec

    inputs = (TensorSpec("x", (1, "N", 1152), "float32"), TensorSpec("kv", (2, 1, 16, 729, 72), "float32"))
    outputs = (TensorSpec("out", (1, "N", 1152), "float32"),)
    torch.manual_seed(0)
    model = to_onnx(PublishedLayer(), inputs, outputs, {"N": 2560})
    finish(model, inputs, outputs)
    if precision == "fp16":
        to_half(model, frozenset({"kv"}))
    path = tmp_path / "layer.onnx"
    ir.save(model, path, external_data="layer.bin")
    shapes = profile_shapes(make_settings(max_patches=2560), GraphSpec("layer.onnx", "", inputs, outputs))
    assert shapes == {"x": ((1, 1, 1152), (1, 2560, 1152), (1, 2560, 1152))}
    plan = build_plan(load_package("tensorrt-rtx"), path, shapes)
    weights = sum(p.numel() for p in PublishedLayer().parameters())
    assert plan.bytes > weights * (2 if precision == "fp16" else 4)


def test_what_does_not_build_is_one_sentence_with_the_reason(tmp_path):
    path, value = tmp_path / "unique.onnx", onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Unique", ["x"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [value("x", 1, [4])], [value("y", 1, [None])])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10), path)
    with pytest.raises(BackendError, match="'unique.onnx' is not understood by TensorRT .*Unique") as error:
        build_plan(load_package("tensorrt-rtx"), path, {})
    assert "\n" not in str(error.value)


def test_a_stopped_build_stops(tmp_path, tiny_bundle):
    bundle = load_bundle(tiny_bundle)
    graph = bundle.manifest.graphs["region"]

    def stop(*step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_plan(load_package("tensorrt-rtx"), bundle.path(graph.file), profile_shapes(bundle.settings, graph), progress=stop)
