"""Rounded weights: what is stored is what the module computes with."""

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from torch import nn

from ps3_export.storage import Rounded, parse_storage, quantise_rows, round_module
from ps3_export.torch_to_onnx import check_graph, finish, to_onnx
from ps3_export.weights import ALIGNMENT, WeightFiles, move_weights, part_bytes
from ps3_ros.bundle import TensorSpec
from ps3_ros.errors import CheckpointError


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ("fp32", {"text": "fp32", "vision": "fp32"}),
        ("compact", {"text": "int8", "vision": "fp16"}),
        ({"vision": "fp16"}, {"text": "fp32", "vision": "fp16"}),
    ],
)
def test_storage_is_read(storage, expected):
    assert parse_storage(storage) == expected


@pytest.mark.parametrize("storage", ["small", {"look": "fp16"}, {"text": "int4"}])
def test_unknown_storage_is_refused(storage):
    with pytest.raises(CheckpointError, match="is not known"):
        parse_storage(storage)


def test_rows_are_within_half_a_step_and_reach_their_largest_value():
    torch.manual_seed(0)
    weight = torch.randn(9, 40) * torch.logspace(-3, 3, 9)[:, None]
    weight[4] = 0
    values, scale = quantise_rows(weight)
    assert values.dtype == torch.int8 and values.abs().amax(1).tolist() == [127] * 4 + [0] + [127] * 4
    assert ((values * scale[:, None] - weight).abs() <= scale[:, None] * 0.5001).all()


def test_what_halves_cannot_hold_is_refused():
    module = nn.Linear(64, 64)
    with torch.no_grad():
        module.weight[3, 3] = 1e5
    with pytest.raises(CheckpointError, match="weight reaches 1e\\+05"):
        round_module(module, "fp16", Rounded())


def test_a_weight_that_is_not_finite_is_refused():
    module = nn.Linear(64, 64)
    with torch.no_grad():
        module.weight[3, 3] = float("nan")
    for kind in ("fp16", "int8"):
        with pytest.raises(CheckpointError):
            round_module(module, kind, Rounded())


class Words(nn.Module):
    """A table of words and a matrix: both ways in which a graph uses a rounded weight."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(700, 48)
        self.out = nn.Linear(48, 64)

    def forward(self, ids):
        return self.out(self.table(ids))


@pytest.mark.parametrize(("kind", "bytes_a_weight"), [("fp32", 4), ("fp16", 2), ("int8", 1)])
def test_a_graph_computes_what_its_stored_weights_say(tmp_path, kind, bytes_a_weight):
    torch.manual_seed(0)
    module, rounded = Words().eval(), Rounded()
    round_module(module, kind, rounded)
    inputs, outputs = (TensorSpec("ids", ("Q", "T"), "int64"),), (TensorSpec("out", ("Q", "T", 64), "float32"),)
    model, files = to_onnx(module, inputs, outputs, {}), WeightFiles(tmp_path, 1 << 20)
    finish(model, inputs, outputs)
    move_weights(model, files, rounded)
    ir.save(model, tmp_path / "words.onnx")
    assert check_graph(tmp_path / "words.onnx", "words") == (inputs, outputs)
    ids = np.random.default_rng(0).integers(0, 700, (2, 5))
    found = onnxruntime.InferenceSession(str(tmp_path / "words.onnx")).run(None, {"ids": ids})[0]
    expected = module(torch.from_numpy(ids)).detach().numpy()
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    weights = 700 * 48 + 48 * 64
    stored = sum(f.stat().st_size for f in tmp_path.glob("*.bin"))
    assert weights * bytes_a_weight <= stored <= weights * bytes_a_weight + 2 * ALIGNMENT + 4 * 764  # gaps, and 764 rows' scales
    kinds = [node.op_type for node in model.graph]
    assert kinds.count("Cast") == (0 if kind == "fp32" else 2)
    assert "DequantizeLinear" not in kinds  # ONNX Runtime would round activations too
    if kind != "fp32":  # the table is gathered as stored and only the gathered rows are cast
        assert kinds.index("Gather") < max(i for i, k in enumerate(kinds) if k == "Cast")


def test_equal_tensors_are_stored_once_in_parts_under_the_limit(tmp_path):
    files = WeightFiles(tmp_path, limit=20_000)
    random = np.random.default_rng(0)
    arrays = [random.standard_normal(2_000, np.float32) for _ in range(5)]  # 8,000 bytes each, two a file
    places = [files.add(a) for a in arrays]
    assert [files.add(a.reshape(40, 50)) for a in arrays] == places
    assert files.names == ["weights-0.bin", "weights-1.bin", "weights-2.bin"]
    for array, (file, offset, length) in zip(arrays, places, strict=True):
        assert offset % ALIGNMENT == 0
        assert (tmp_path / file).read_bytes()[offset : offset + length] == array.tobytes()
    assert all((tmp_path / name).stat().st_size <= 20_000 for name in files.names)


def test_a_tensor_over_the_limit_has_a_file_of_its_own(tmp_path):
    files = WeightFiles(tmp_path, limit=4_096)
    files.add(np.zeros(10, np.float32))
    assert files.add(np.ones(5_000, np.float32)) == ("weights-1.bin", 0, 20_000)


def test_parts_are_small_for_a_model_that_a_repository_carries():
    assert part_bytes(100 << 20) == 24_000_000
    assert part_bytes(3 << 30) == 1 << 30
