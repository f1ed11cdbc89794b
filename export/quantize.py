"""int8: which products of a graph run in bytes, their ranges from real frames, and Q/DQ nodes that every runtime understands.

Symmetric on both sides (no zero points, which TensorRT has not), one scale an output channel of a weight and one a tensor of an
activation. The product of softmax with the values is never quantised: its probabilities lie near 1 / tokens, far under the step of any one
scale (the nano's look fell to a cosine of 0.52 with it, and has 0.9997 without).
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
import onnx_ir as ir
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from ps3_ros.bundle import GraphSpec
from ps3_ros.errors import CheckpointError

from .reference import Case

PRODUCTS = ["MatMul", "Gemm", "Conv"]
# From the most bytes to none: the first that a graph's cosines allow is taken.
# all: products with weights, and of queries with keys; linear: products with weights; weights: their storage alone; none: float32.
SCHEMES = ("all", "linear", "weights", "none")
CHOOSE = 0.997  # least cosine of any output on the calibration frames; the gate's own limit leaves room for what adds up over graphs
OPTIONS = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False, "OpTypesToExcludeOutputQuantization": PRODUCTS}


class Frames(CalibrationDataReader):
    """A graph's recorded inputs, one at a time."""

    def __init__(self, spec: GraphSpec, cases: Sequence[Case]):
        self.feeds: Iterator[dict] = (
            {tensor.name: value for tensor, value in zip(spec.inputs, case.inputs(), strict=True)} for case in cases
        )

    def get_next(self):
        return next(self.feeds, None)


def quantise(source: Path, target: Path, spec: GraphSpec, cases: Sequence[Case], scheme: str) -> None:
    """Writes the float32 graph `source` to `target` (with one file of external data beside it) with the products of `scheme` in int8.

    cases: real ones, whose ranges it takes. Raises CheckpointError where ONNX Runtime's quantiser fails.
    """
    graph = onnx.load(str(source), load_external_data=False).graph
    left_out = softmax_products(graph) if scheme == "all" else free_products(graph)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.ERROR)  # its advice to pre-process, which the exporter did
    try:
        quantize_static(
            str(source),
            str(target),
            Frames(spec, cases),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=PRODUCTS,
            nodes_to_exclude=left_out,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            use_external_data_format=True,
            extra_options=OPTIONS,
        )
    except Exception as error:  # the library raises what its parts raise
        raise CheckpointError(f"graph {source.stem!r} could not be quantised ({error}); export it with another precision") from error
    finally:
        logging.getLogger().setLevel(level)
    if scheme == "weights":
        model = ir.load(target)
        keep_activations(model.graph)
        ir.save(model, target)


def softmax_products(graph: onnx.GraphProto) -> list[str]:
    """Names of the MatMuls of attention with its values."""
    made_by = {output: node for node in graph.node for output in node.output}
    return [n.name for n in graph.node if n.op_type == "MatMul" and n.input[0] in made_by and made_by[n.input[0]].op_type == "Softmax"]


def free_products(graph: onnx.GraphProto) -> list[str]:
    """Names of the products without a weight: both inputs come from the graph's own."""
    weights = {tensor.name for tensor in graph.initializer}
    for node in graph.node:  # a weight may be reshaped or transposed first
        if node.op_type in ("Reshape", "Transpose", "Cast") and node.input[0] in weights:
            weights.update(node.output)
    return [n.name for n in graph.node if n.op_type in PRODUCTS and not weights & set(n.input[:2])]


def keep_activations(graph: ir.Graph) -> None:
    """Takes Q -> DQ pairs out again: weights alone stay bytes."""
    for node in list(graph):
        if node.op_type != "QuantizeLinear":
            continue
        for user in [user for user, _ in node.outputs[0].uses()]:
            out, kept = user.outputs[0], node.inputs[0]
            name, kind, shape = (out.name, out.type, out.shape) if out.is_graph_output() else (kept.name, kept.type, kept.shape)
            ir.convenience.replace_all_uses_with(out, kept, replace_graph_outputs=True)
            graph.remove(user, safe=True)
            out.name, kept.name, kept.type, kept.shape = f"{name}.dequantised", name, kind, shape
        graph.remove(node, safe=True)
    unused = [value for value in graph.initializers.values() if not value.uses()]
    for value in unused:
        del graph.initializers[value.name]
