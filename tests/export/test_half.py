"""fp16: which nodes compute in halves, and that the bundle answers as the checkpoint does."""

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import torch
from torch import nn

from ps3_export.half import to_half
from ps3_export.torch_to_onnx import finish, to_onnx
from ps3_ros.bundle import TensorSpec, contract, load_bundle

HALF, FLOAT = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT


def types(path):
    """{value name: element type} and the graph, after onnx's own shape inference."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(str(path), load_external_data=False), strict_mode=True).graph
    found = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.input, *graph.output)}
    return found | {t.name: t.data_type for t in graph.initializer}, graph


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.one, self.two = nn.LayerNorm(16), nn.Linear(16, 32), nn.Linear(32, 16)
        self.table = nn.Embedding(100, 16)

    def forward(self, x, position):
        row = ((position.float() + 0.5) / 30).long()  # 2049 / 30 in halves would be another row
        x = x + self.table(row)
        return x + self.two(torch.nn.functional.gelu(self.one(self.norm(x))))


def test_products_are_halves_and_the_rest_is_not(tmp_path):
    torch.manual_seed(0)
    module = Small().eval()
    inputs = (TensorSpec("x", (1, "N", 16), "float32"), TensorSpec("position", ("N",), "int64"))
    outputs = (TensorSpec("out", (1, "N", 16), "float32"),)
    model = to_onnx(module, inputs, outputs, {})
    finish(model, inputs, outputs)
    to_half(model, frozenset())
    path = tmp_path / "small.onnx"
    ir.save(model, path)
    found, graph = types(path)
    for node in graph.node:
        if node.op_type in ("MatMul", "Gemm"):
            assert {found[name] for name in (*node.input, *node.output)} == {HALF}
        elif node.op_type in ("LayerNormalization", "Gelu", "Div", "Gather"):
            assert FLOAT in {found[name] for name in (*node.input, *node.output)} and HALF not in {found[name] for name in node.output}
    x = torch.randn(1, 5, 16, generator=torch.manual_seed(1))
    position = torch.tensor([0, 29, 30, 2049, 2069])
    (out,) = onnxruntime.InferenceSession(str(path)).run(None, {"x": x.numpy(), "position": position.numpy()})
    expected = module(x, position).detach().numpy()
    error = np.abs(out - expected).max() / np.abs(expected).max()
    assert 1e-6 < error < 2e-3  # half precision, and no wrong row


def test_the_bundle_is_typed_throughout(half_bundle, tiny_bundle):
    manifest = load_bundle(half_bundle).manifest
    assert manifest.precision == "fp16"
    for name, (inputs, outputs) in contract(manifest.settings, "fp16").items():
        assert (manifest.graphs[name].inputs, manifest.graphs[name].outputs) == (inputs, outputs)
        found, graph = types(half_bundle / manifest.graphs[name].file)
        for node in graph.node:
            if node.op_type in ("MatMul", "Gemm", "Conv"):
                assert {found[value] for value in node.output} == {HALF}
            if node.op_type in ("Softmax", "LayerNormalization", "Gelu", "ReduceL2", "Div"):
                assert {found[value] for value in node.output} == {FLOAT}
    kv = next(tensor for tensor in manifest.graphs["look"].inputs if tensor.name == "kv")
    assert kv.dtype == "float16"
    weights = [sum(f.stat().st_size for f in folder.glob("weights-*.bin")) for folder in (half_bundle, tiny_bundle)]
    assert weights[0] < 0.6 * weights[1]


def test_the_gate_was_passed_and_its_figures_are_those_of_halves(half_bundle):
    manifest = load_bundle(half_bundle).manifest
    assert not manifest.drift and manifest.gate["views"] == 2 and manifest.gate["overlap_ties"] >= 0.98
    for graph in manifest.parity.values():
        for figures in graph.values():
            assert 1e-6 < max(figures["random"], figures["real"]) < 0.01 and figures["cosine"] > 0.9999
    assert (half_bundle / "parity.jpg").stat().st_size > 1000
    assert "## " not in (text := (half_bundle / "parity.md").read_text()) and "| look | tokens |" in text and "Every limit is kept." in text
