"""int8: the products that are bytes, and a bundle that passes the gate with them."""

from collections import Counter

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from torch import nn

from ps3_export.quantize import SCHEMES, free_products, quantise, softmax_products
from ps3_export.reference import Cases
from ps3_export.torch_to_onnx import finish, to_onnx
from ps3_ros.bundle import GraphSpec, TensorSpec, load_bundle


class Attend(nn.Module):
    """Linear layers around attention, all three kinds of products, and an output that another product takes too."""

    def __init__(self):
        super().__init__()
        self.q, self.out, self.last = nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 8)

    def forward(self, x):
        q = self.q(x)[:, None]
        y = self.out(nn.functional.scaled_dot_product_attention(q, q, x[:, None])[:, 0])
        return y, self.last(y)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """(float graph's path, its entry, recorded cases, what torch answers)"""
    folder = tmp_path_factory.mktemp("quantize")
    torch.manual_seed(0)
    module = Attend().eval()
    outputs = (TensorSpec("y", (1, "N", 32), "float32"), TensorSpec("z", (1, "N", 8), "float32"))
    spec = GraphSpec("attend.onnx", "", (TensorSpec("x", (1, "N", 32), "float32"),), outputs)
    model = to_onnx(module, spec.inputs, spec.outputs, {})
    finish(model, spec.inputs, spec.outputs)
    ir.save(model, folder / "attend.onnx", external_data="attend.data")
    cases = Cases(folder)
    for _ in range(3):
        x = torch.randn(1, 50, 32)
        cases.add("attend", "real", (x.numpy(),), tuple(out.detach().numpy() for out in module(x)))
    return folder / "attend.onnx", spec, cases.of("attend")


# scheme -> quantised activations and weights: q, out and last; then q * k' as well
@pytest.mark.parametrize(("scheme", "activations", "weights"), [("all", 5, 3), ("linear", 3, 3), ("weights", 0, 3)])
def test_each_scheme_quantises_its_products(graph, tmp_path, scheme, activations, weights):
    source, spec, cases = graph
    target = tmp_path / "q.onnx"
    quantise(source, target, spec, cases, scheme)
    model = onnx.load(str(target))
    kinds = Counter(node.op_type for node in model.graph.node)
    constants = {t.name: t for t in model.graph.initializer}
    bytes_ = [n for n in model.graph.node if n.op_type == "DequantizeLinear" and n.input[0] in constants]
    assert kinds["QuantizeLinear"] == activations and len(bytes_) == weights
    assert all(constants[n.input[0]].data_type == onnx.TensorProto.INT8 for n in bytes_)
    zeros = [onnx.numpy_helper.to_array(constants[n.input[2]]) for n in model.graph.node if n.op_type.endswith("quantizeLinear")]
    assert not any(zero.any() for zero in zeros)  # TensorRT has no zero points
    onnx.checker.check_model(str(target), full_check=True)
    found = onnxruntime.InferenceSession(str(target)).run(["y", "z"], {"x": cases[0].inputs()[0]})
    for value, expected in zip(found, cases[0].outputs(), strict=True):
        assert 1e-5 < np.abs(value - expected).max() / np.abs(expected).max() < 0.05


def test_products_are_told_apart(graph):
    model = onnx.load(str(graph[0]), load_external_data=False).graph
    assert len(free_products(model)) == 2 and len(softmax_products(model)) == 1
    assert set(softmax_products(model)) < set(free_products(model))


def test_the_bundle_passes_the_gate_and_says_what_is_int8(int8_bundle, tiny_bundle):
    manifest = load_bundle(int8_bundle).manifest
    assert manifest.precision == "int8" and not manifest.drift and manifest.gate["overlap_ties"] >= 0.95
    assert set(manifest.quantization) == set(manifest.graphs) and set(manifest.quantization.values()) <= set(SCHEMES)
    assert manifest.quantization["look"] in ("all", "linear")
    graph = onnx.load(str(int8_bundle / "look.onnx"), load_external_data=False).graph
    kinds = Counter(node.op_type for node in graph.node)
    assert kinds["QuantizeLinear"] >= 4 * manifest.settings.layers
    assert "| int8 |" in (int8_bundle / "parity.md").read_text()
    sizes = [sum(f.stat().st_size for f in folder.glob("weights-*.bin")) for folder in (int8_bundle, tiny_bundle)]
    assert sizes[0] < 0.5 * sizes[1]


def test_glance_and_look_share_their_bytes(int8_bundle):
    places = []
    for name in ("glance", "look"):
        graph = onnx.load(str(int8_bundle / f"{name}.onnx"), load_external_data=False).graph
        tensors = [t for t in graph.initializer if t.data_type == onnx.TensorProto.INT8 and t.external_data]
        places.append({tuple((e.key, e.value) for e in t.external_data) for t in tensors})
    assert len(places[0] & places[1]) >= 4 * load_bundle(int8_bundle).settings.layers
