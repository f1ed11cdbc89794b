"""int8: as much of a graph in bytes as its outputs allow, measured on the calibration frames."""

from collections.abc import Sequence
from pathlib import Path

import onnx_ir as ir

from ps3_ros.bundle import GraphSpec

from .parity import compare
from .quantize import find_products, fold_moves, quantise
from .ranges import Histogram, observe
from .reference import Case

# From the most bytes to none: the first that a graph's cosines allow is taken.
# linear: every MatMul with a weight; half: those of them whose values round best; weights: their storage alone; none: float32.
SCHEMES = ("linear", "half", "weights", "none")
CHOOSE = 0.997  # least cosine of any output on the calibration frames; the gate's own limit leaves room for what adds up over graphs


def save_float(model: ir.Model, path: Path) -> None:
    """Writes a float32 graph as choose_scheme takes it, its weights in a file beside it."""
    fold_moves(model.graph)
    ir.save(model, path, external_data=path.with_suffix(".data").name)


def choose_scheme(source: Path, spec: GraphSpec, cases: Sequence[Case], work: Path) -> tuple[ir.Model, str]:
    """A float32 graph with the first of SCHEMES whose outputs are near enough to torch's on the cases, and that scheme.

    source: from save_float. work: a folder for files that the result, as `source`, still reads its weights from. Raises CheckpointError
    where there are no cases, or a value in the graph is not finite.
    """
    name = source.stem
    products = find_products(ir.load(source).graph)
    found = {product.activation: Histogram() for product in products}
    observe(source, spec, cases, found)
    best = {tensor: histogram.best_range() for tensor, histogram in found.items()}
    # Between the range that suits these frames best and their largest value: other frames have larger ones.
    ranges = {tensor: (range_ * (found[tensor].largest or range_)) ** 0.5 for tensor, (range_, _) in best.items()}
    quiet = sorted(products, key=lambda product: best[product.activation][1])
    for scheme in SCHEMES[:-1]:
        target, tried = work / f"{name}.{scheme}.onnx", ir.load(source)
        quantise(tried.graph, quiet[: len(quiet) // 2] if scheme == "half" else quiet, {} if scheme == "weights" else ranges)
        ir.save(tried, target, external_data=f"{name}.{scheme}.data")
        if min(figures["cosine"] for figures in compare(target, spec, cases).values()) >= CHOOSE:
            return ir.load(target), scheme
        target.with_suffix(".data").unlink(missing_ok=True)
    return ir.load(source), "none"
