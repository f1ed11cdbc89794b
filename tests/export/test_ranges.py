"""Ranges of int8: histograms that hold whatever comes, and tensors asked for a few at a time."""

import numpy as np
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from ps3_export import ranges
from ps3_export.ranges import BINS, LEVELS, Histogram, observe, slices
from ps3_export.reference import Cases
from ps3_ros.bundle import GraphSpec, TensorSpec
from ps3_ros.errors import CheckpointError


def test_a_histogram_counts_everything_however_it_grows():
    random, found = np.random.default_rng(0), Histogram()
    parts = [random.standard_normal(1000).astype(np.float32) * scale for scale in (0.01, 1, 100)]
    for part in parts:
        found.add(part)
    every = np.abs(np.concatenate(parts))
    assert found.counts.sum() == 3000 and found.largest == every.max() <= found.top
    # a bin may have been halved and merged again: within one bin of the real share
    edge = found.top / 4
    assert found.counts[: BINS // 4].sum() == pytest.approx((every < edge).sum(), abs=2)


@pytest.mark.parametrize(
    ("values", "least", "most"),
    [
        (np.linspace(-1, 1, 10_001), 0.9, 1.0),  # even: nothing is worth clipping
        (np.append(np.random.default_rng(0).standard_normal(100_000), 60.0), 12.0, 40.0),  # one far value does not set the step
        (np.zeros(10), 1.0, 1.0),  # nothing to see: any range
    ],
)
def test_the_range_with_the_least_noise(values, least, most):
    found = Histogram()
    found.add(values.astype(np.float32))
    best, noise = found.best_range()
    assert least <= best <= most
    step = best / LEVELS
    rounded = np.clip(np.rint(values / step), -LEVELS, LEVELS) * step
    assert noise == pytest.approx(np.square(rounded - values).mean() / max(np.square(values).mean(), 1e-9), rel=0.2, abs=1e-9)


def test_a_value_that_is_no_number_is_refused():
    with pytest.raises(CheckpointError, match="not finite"):
        Histogram().add(np.array([1.0, np.nan], np.float32))


def test_slices_stay_under_their_limit():
    sizes = {"a": 60, "b": 50, "c": 30, "d": 10, "f": 500}
    assert list(slices("abcdef", sizes, 100)) == [["a"], ["b", "c", "d"], ["e"], ["f"]]  # e's size is not known, f's is too large
    assert list(slices("", sizes)) == []


@pytest.fixture
def chain(tmp_path):
    """(path, entry, cases) of y = (x + 1) * 2 + 1, each step a tensor of its own."""
    steps = (("Add", "x", "one", "a"), ("Mul", "a", "two", "b"), ("Add", "b", "one", "y"))
    nodes = [helper.make_node(op, [value, constant], [out], name=out) for op, value, constant, out in steps]
    constants = [helper.make_tensor(name, TensorProto.FLOAT, [], [value]) for name, value in (("one", 1.0), ("two", 2.0))]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "N"]) for name in ("x", "y")]
    made = helper.make_graph(nodes, "chain", values[:1], values[1:], constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    ir.save(ir.from_proto(model), tmp_path / "chain.onnx")
    spec = GraphSpec("chain.onnx", "", (TensorSpec("x", (1, "N"), "float32"),), (TensorSpec("y", (1, "N"), "float32"),))
    cases = Cases(tmp_path)
    for top in (1, 7):
        cases.add("chain", "real", (np.linspace(0, top, 5, dtype=np.float32)[None],), ())
    return tmp_path / "chain.onnx", spec, cases.of("chain")


@pytest.mark.parametrize("limit", [1, 1 << 20])
def test_tensors_are_seen_on_every_frame_whatever_the_slices(chain, monkeypatch, limit):
    path, spec, cases = chain
    monkeypatch.setattr(ranges.slices, "__defaults__", (limit,))
    found = {name: Histogram() for name in ("x", "a", "b")}
    observe(path, spec, cases, found)
    assert [found[name].largest for name in found] == [7, 8, 16] and all(h.counts.sum() == 10 for h in found.values())
    assert sorted(file.name for file in path.parent.glob("*.onnx")) == ["chain.onnx"]


def test_a_graph_that_never_ran_has_no_ranges(chain):
    with pytest.raises(CheckpointError, match="'chain' never ran on the calibration frames"):
        observe(chain[0], chain[1], [], {"a": Histogram()})
