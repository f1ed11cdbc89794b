"""int8: which products become bytes, and a bundle that passes the gate with them."""

import re
from collections import Counter

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from torch import nn

from ps3_export import int8
from ps3_export.parity import compare, cosine, open_graph
from ps3_export.quantize import SWITCHES, find_products, quantise, switch
from ps3_export.reference import Cases
from ps3_export.torch_to_onnx import finish, to_onnx
from ps3_ros.bundle import GraphSpec, TensorSpec, load_bundle


class Attend(nn.Module):
    """A convolution, linear layers around attention, and a weight that is moved before its product."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv1d(32, 32, 1)
        self.q, self.out, self.last = nn.Linear(32, 32), nn.Linear(32, 32), nn.Linear(32, 8)
        self.moved = nn.Parameter(torch.randn(8, 2, 16) * 0.1)

    def forward(self, x):
        x = self.stem(x.transpose(1, 2)).transpose(1, 2)
        q = self.q(x)[:, None]
        y = self.out(nn.functional.scaled_dot_product_attention(q, q, x[:, None])[:, 0])
        return y, self.last(y) + nn.functional.linear(y, self.moved.flatten(1))


def make_graph(folder, spoilt=False):
    """(float graph's path, its entry, recorded cases). spoilt: one channel of what `q` and `out` take reaches a thousand times as far."""
    torch.manual_seed(0)
    module = Attend().eval()
    if spoilt:
        with torch.no_grad():
            module.stem.weight[0] *= 1000
            module.q.weight[:, 0] /= 1000
            module.out.weight[:, 0] /= 1000
    outputs = (TensorSpec("y", (1, "N", 32), "float32"), TensorSpec("z", (1, "N", 8), "float32"))
    spec = GraphSpec("attend.onnx", "", (TensorSpec("x", (1, "N", 32), "float32"),), outputs)
    model = to_onnx(module, spec.inputs, spec.outputs, {})
    finish(model, spec.inputs, spec.outputs)
    int8.save_float(model, folder / "attend.onnx")
    cases = Cases(folder)
    for _ in range(3):
        x = torch.randn(1, 50, 32)
        cases.add("attend", "real", (x.numpy(),), tuple(out.detach().numpy() for out in module(x)))
    return folder / "attend.onnx", spec, cases.of("attend")


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return make_graph(tmp_path_factory.mktemp("quantize"))


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    return make_graph(tmp_path_factory.mktemp("spoilt"), spoilt=True)


def error(path, case):
    """Largest relative error of both outputs by ONNX Runtime."""
    found = open_graph(path).run(["y", "z"], {"x": case.inputs()[0]})
    return max(np.abs(a - b).max() / np.abs(b).max() for a, b in zip(found, case.outputs(), strict=True))


def whole_and_weights(graph, products, folder):
    """Files of the graph with all its products in bytes, and with their weights alone."""
    source, spec, cases = graph
    paths = []
    for name, ranges in (("all", int8.find_ranges(source, spec, cases, products)), ("storage", {})):
        model = ir.load(source)
        quantise(model.graph, products, ranges)
        paths.append(folder / f"{name}.onnx")
        ir.save(model, paths[-1], external_data=f"{name}.data")
    return paths


def check_written(model, target, activations, weights):
    """Counts of what is in bytes (y is taken by two products), and their form."""
    kinds = Counter(node.op_type for node in model.graph)
    stored = [node for node in model.graph if node.op_type == "DequantizeLinear" and node.inputs[0].is_initializer()]
    assert (kinds["QuantizeLinear"], len(stored)) == (activations, weights)
    assert all(node.inputs[0].dtype == ir.DataType.INT8 for node in stored)
    zeros = [node.inputs[2].const_value.numpy() for node in model.graph if node.op_type.endswith("quantizeLinear")]
    assert not any(zero.any() for zero in zeros)  # TensorRT has no zero points
    onnx.checker.check_model(str(target), full_check=True)
    assert not list(target.parent.glob("*switched*"))


def test_all_products_where_the_outputs_allow_it(graph, tmp_path, monkeypatch):
    source, spec, cases = graph
    monkeypatch.setattr(int8, "CHOOSE", 0.99)
    model, chosen = int8.choose_scheme(source, spec, cases, tmp_path)
    assert chosen == "linear"
    check_written(model, tmp_path / "attend.linear.onnx", 3, 4)
    assert 1e-5 < error(tmp_path / "attend.linear.onnx", cases[0]) < 0.1


def test_products_that_cost_most_are_left_out(spoilt, tmp_path):
    source, spec, cases = spoilt
    model, chosen = int8.choose_scheme(source, spec, cases, tmp_path)
    target = tmp_path / "attend.linear.onnx"
    products = find_products(ir.load(source).graph)
    floats = {node.name for node in model.graph if node.op_type == "MatMul" and node.inputs[1].is_initializer()}
    assert chosen == f"linear {len(products) - len(floats)}/{len(products)}" and 1 <= len(floats) <= 2
    assert floats <= {product.node for product in products[:2]}  # q and out, not those behind
    found = open_graph(target).run(["y", "z"], {"x": cases[0].inputs()[0]})
    assert all(cosine(a, b) >= int8.CHOOSE for a, b in zip(found, cases[0].outputs(), strict=True))
    assert compare(whole_and_weights(spoilt, products, tmp_path)[0], spec, cases)["y"]["cosine"] < int8.CHOOSE


def test_weights_alone_where_too_few_products_are_left(graph, tmp_path, monkeypatch):
    source, spec, cases = graph
    products = find_products(ir.load(source).graph)
    least = [
        min(figures["cosine"] for figures in compare(path, spec, cases).values()) for path in whole_and_weights(graph, products, tmp_path)
    ]
    assert least[0] < least[1]
    monkeypatch.setattr(int8, "CHOOSE", sum(least) / 2)
    monkeypatch.setattr(int8, "LEAST", 1.0)
    model, chosen = int8.choose_scheme(source, spec, cases, tmp_path)
    assert chosen == "weights"
    check_written(model, tmp_path / "attend.weights.onnx", 0, 4)
    assert 1e-5 < error(tmp_path / "attend.weights.onnx", cases[0]) < 0.1


def test_switches_are_as_quantise(graph, tmp_path):
    source, spec, cases = graph
    products = find_products(ir.load(source).graph)
    ranges = int8.find_ranges(source, spec, cases, products)
    tried = ir.load(source)
    switch(tried.graph, products, ranges)
    ir.save(tried, tmp_path / "switched.onnx", external_data="switched.data")
    session, feed = open_graph(tmp_path / "switched.onnx"), {"x": cases[0].inputs()[0]}
    for on in ([True] * 4, [False] * 4, [True, False, False, True]):
        model = ir.load(source)
        quantise(model.graph, [product for product, each in zip(products, on, strict=True) if each], ranges)
        ir.save(model, tmp_path / "quantised.onnx", external_data="quantised.data")
        expected = open_graph(tmp_path / "quantised.onnx").run(["y", "z"], feed)
        found = session.run(["y", "z"], feed | {SWITCHES: np.array(on)})
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_graph_that_bytes_would_spoil_stays_as_it_is(graph, tmp_path, monkeypatch):
    source, spec, cases = graph
    monkeypatch.setattr(int8, "CHOOSE", 1.1)  # more than any cosine
    model, chosen = int8.choose_scheme(source, spec, cases, tmp_path)
    assert chosen == "none" and not any(node.op_type == "QuantizeLinear" for node in model.graph)


def test_attention_and_convolutions_are_left_out(graph):
    model = ir.load(graph[0])
    products = find_products(model.graph)
    kinds = Counter(node.op_type for node in model.graph)
    assert (len(products), kinds["MatMul"], kinds["Conv"]) == (4, 6, 1)
    assert not any(node.op_type == "Transpose" and node.inputs[0].is_initializer() for node in model.graph)


def test_the_bundle_passes_the_gate_and_says_what_is_int8(int8_bundle, tiny_bundle):
    manifest = load_bundle(int8_bundle).manifest
    assert manifest.precision == "int8" and not manifest.drift and manifest.gate["overlap_ties"] >= 0.95
    assert set(manifest.quantization) == set(manifest.graphs) and all(
        re.fullmatch(r"linear( \d+/\d+)?|weights|none", value) for value in manifest.quantization.values()
    )
    assert manifest.quantization["look"] == "linear" and manifest.quantization["text"] == "none"
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
