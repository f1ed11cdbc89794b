"""Every stage exports by torch.onnx (dynamo, opset 20) as it stands, with N, R, Q and T dynamic, and ONNX Runtime agrees: 1e-4 relative."""

import warnings

import onnxruntime
import pytest
import tiny_ps3 as tiny
import torch
from torch import nn

TOLERANCE = 1e-4
DATA_DEPENDENT = {"NonZero", "Compress", "Unique", "If", "Loop", "Scan", "TopK"}


class Call(nn.Module):
    """One method of a model as a module of its own."""

    def __init__(self, owner: nn.Module, method: str):
        super().__init__()
        self.owner, self.method = owner, method

    def forward(self, *given):
        return getattr(self.owner, self.method)(*given)


def check(module: Call, given: list[tuple], dynamic, path):
    """Exports with given[0] and compares on all of `given`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(module.eval(), given[0], dynamo=True, opset_version=20, dynamic_shapes=dynamic, verbose=False)
    assert program.model.opset_imports[""] == 20
    assert not DATA_DEPENDENT & {node.op_type for node in program.model.graph}
    program.save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for values in given:
        with torch.no_grad():
            expected = module(*values)
        found = session.run(None, {i.name: value.numpy() for i, value in zip(session.get_inputs(), values, strict=True)})
        for ours, theirs in zip(found, expected if isinstance(expected, tuple) else [expected], strict=True):
            assert ours.shape == theirs.shape
            assert (torch.from_numpy(ours) - theirs).abs().max() <= TOLERANCE * theirs.abs().max()


@pytest.mark.parametrize("values", [tiny.config, tiny.ours])  # linear stems, and convolutional ones
def test_glance_and_aux(values, tmp_path):
    v = tiny.model(values()).vision_model
    check(Call(v, "glance"), [(torch.randn(1, 3, 64, 64),)], None, tmp_path / "glance.onnx")
    check(Call(v, "aux_features"), [(torch.randn(1, 3, 224, 224),)], None, tmp_path / "select.onnx")


@pytest.mark.parametrize("values", [tiny.config, tiny.ours])  # the full positional table, and the factored one
def test_look(values, tmp_path):
    v, n = tiny.model(values()).vision_model, torch.export.Dim("n")
    kv = v.glance(torch.randn(1, 3, 64, 64)).kv.detach()
    given = [(torch.randn(1, count, 768), torch.randint(0, 320, (1, count)), kv) for count in (7, 40, 1)]
    check(Call(v, "look"), given, (({1: n}, {1: n}, None),), tmp_path / "look.onnx")


def test_pool(tmp_path):
    """C-RADIO's, with its adapter before the pool."""
    n, r = torch.export.Dim("n"), torch.export.Dim("r")
    given = [(torch.randn(1, count, 64), torch.rand(1, regions, count) > 0.6) for count, regions in ((7, 3), (20, 1), (1, 5))]
    given[0][1][:, 0] = False
    check(Call(tiny.model(tiny.radio()).vision_model, "pool"), given, (({1: n}, {1: r, 2: n}),), tmp_path / "region.onnx")


@pytest.mark.parametrize("values", [tiny.config, tiny.ours])  # CLIP-like, and around a sentence encoder
def test_text(values, tmp_path):
    q, t = torch.export.Dim("q"), torch.export.Dim("t")
    given = [(torch.randint(1, 50, shape),) for shape in ((3, 7), (1, 2), (5, 12))]
    check(Call(tiny.model(values()), "text_model"), given, (({0: q, 1: t},),), tmp_path / "text.onnx")
