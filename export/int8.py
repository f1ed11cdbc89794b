"""int8: as much of a graph in bytes as its outputs allow, measured on the calibration frames."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx_ir as ir

from ps3_ros.bundle import GraphSpec

from .parity import compare, cosine, open_graph
from .quantize import SWITCHES, Product, find_products, fold_moves, quantise, switch
from .ranges import Histogram, observe
from .reference import Case

CHOOSE = 0.997  # least cosine of any output on the calibration frames; the gate's own limit leaves room for what adds up over graphs
LEAST = 0.5  # of the products: with fewer in bytes, rounding activations pays too little
PROBES = 4  # cases, the worst ones, on which each product is tried alone
GROUPS = 32  # at most so many trials: in larger graphs neighbours are tried together


def save_float(model: ir.Model, path: Path) -> None:
    """Writes a float32 graph as choose_scheme takes it, its weights in a file beside it."""
    fold_moves(model.graph)
    ir.save(model, path, external_data=path.with_suffix(".data").name)


def choose_scheme(source: Path, spec: GraphSpec, cases: Sequence[Case], work: Path) -> tuple[ir.Model, str]:
    """A float32 graph with as many bytes as leave its outputs near enough to torch's on the cases, and what of it they are.

    "linear": every MatMul with a weight; "linear 23/25": those that cost least; "weights": their storage alone; "none": it is float32.
    source: from save_float. work: a folder for files that the result, as `source`, still reads its weights from. Raises CheckpointError
    where there are no cases, or a value in the graph is not finite.
    """
    products = find_products(ir.load(source).graph)
    ranges = find_ranges(source, spec, cases, products)
    if not products:
        return ir.load(source), "none"
    if kept := choose_products(source, spec, cases, products, ranges, work):
        share = "" if len(kept) == len(products) else f" {len(kept)}/{len(products)}"
        return ir.load(_write(source, kept, ranges, work / f"{source.stem}.linear.onnx")), f"linear{share}"
    target = _write(source, products, {}, work / f"{source.stem}.weights.onnx")
    if min(figures["cosine"] for figures in compare(target, spec, cases).values()) >= CHOOSE:
        return ir.load(target), "weights"
    target.with_suffix(".data").unlink(missing_ok=True)
    return ir.load(source), "none"


def find_ranges(source: Path, spec: GraphSpec, cases: Sequence[Case], products: Sequence[Product]) -> dict[str, float]:
    """{activation: the magnitude of its last level} of what products take in, on the cases."""
    found = {product.activation: Histogram() for product in products}
    observe(source, spec, cases, found)
    # Between the range that suits these frames best and their largest value: other frames have larger ones.
    return {name: (best * (histogram.largest or best)) ** 0.5 for name, histogram in found.items() for best in (histogram.best_range()[0],)}


def choose_products(
    source: Path, spec: GraphSpec, cases: Sequence[Case], products: Sequence[Product], ranges: Mapping[str, float], work: Path
) -> list[Product]:
    """As many of `products` as may be in bytes together, in their order; none where that is less than LEAST of them.

    What a product costs is what the outputs lose with it alone in bytes: how well its own values round says little about that, as blocks
    behind it may make more or less of the error. Those that cost most are left out, one group after the other, until the rest passes.
    """
    target = work / f"{source.stem}.switched.onnx"
    tried = ir.load(source)
    switch(tried.graph, products, ranges)
    ir.save(tried, target, external_data=f"{target.stem}.data")
    del tried
    try:
        on = _choose(_Trial(target, spec), cases, len(products))
    finally:
        for path in (target, target.with_suffix(".data")):
            path.unlink(missing_ok=True)
    return [product for product, each in zip(products, on, strict=True) if each]


def _choose(trial: "_Trial", cases: Sequence[Case], count: int) -> np.ndarray:
    """bool [count]: which products are in bytes."""
    most, on = 1 - CHOOSE, np.ones(count, bool)
    losses = [trial(case, on) for case in cases]
    if max(losses) <= most:
        return on
    by_loss = [cases[i] for i in np.argsort(losses)[::-1]]  # the worst first: most choices fail there, and the others need not run
    groups = np.array_split(np.arange(count), min(GROUPS, count))
    alone = [max(trial(case, np.isin(np.arange(count), group)) for case in by_loss[:PROBES]) for group in groups]
    for i in np.argsort(alone)[::-1]:
        on[groups[i]] = False
        if on.sum() < LEAST * count:
            break
        if all(trial(case, on) <= most for case in by_loss):
            return on
    return np.zeros(count, bool)


class _Trial:
    """1 - the least cosine of the outputs of a graph from `switch`, on a case with some of its products in bytes."""

    def __init__(self, path: Path, spec: GraphSpec):
        self.session, self.spec = open_graph(path), spec

    def __call__(self, case: Case, on: np.ndarray) -> float:
        feed = {tensor.name: value.astype(tensor.dtype, copy=False) for tensor, value in zip(self.spec.inputs, case.inputs(), strict=True)}
        found = self.session.run([tensor.name for tensor in self.spec.outputs], feed | {SWITCHES: on})
        return 1 - min(cosine(a, b) for a, b in zip(found, case.outputs(), strict=True))


def _write(source: Path, products: Sequence[Product], ranges: Mapping[str, float], target: Path) -> Path:
    model = ir.load(source)
    quantise(model.graph, products, ranges)
    ir.save(model, target, external_data=target.with_suffix(".data").name)
    return target
