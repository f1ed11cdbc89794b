"""int8: which products of a graph run in bytes, and Q/DQ nodes that every runtime understands.

Symmetric on both sides (no zero points, which TensorRT has not), one scale an output channel of a weight and one a tensor of an
activation. Two kinds of products are never quantised:
- without a weight, those of attention: softmax's probabilities lie near 1 / tokens, far under the step of any one scale (the nano's look
  fell to a cosine of 0.52), and queries with keys in bytes break up the fused attention of runtimes;
- convolutions and Gemms, which are stems: their channels have long tails, and they were nine tenths of all that int8 lost on the nano.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from .ranges import LEVELS

SWITCHES = "in_bytes"  # the input that `switch` adds
MOVES = ("Reshape", "Transpose")  # of a weight before its product: done once, at export
TINY = 1e-12  # of a scale: a channel of zeros has some scale too


@dataclass(frozen=True)
class Product:
    """Names of a product with a weight, and of its two operands."""

    node: str
    activation: str
    weight: str


def find_products(graph: ir.Graph) -> list[Product]:
    """Of a float32 graph after `fold_moves`, in its order."""
    products = [node for node in graph if node.op_type == "MatMul" and node.inputs[1].is_initializer()]
    return [Product(node.name, node.inputs[0].name, node.inputs[1].name) for node in products if not node.inputs[0].is_initializer()]


def fold_moves(graph: ir.Graph) -> None:
    """A Reshape or Transpose of an initializer becomes an initializer."""
    for node in list(graph):
        if node.op_type not in MOVES or not all(value.is_initializer() for value in node.inputs):
            continue
        array = node.inputs[0].const_value.numpy()
        if node.op_type == "Reshape":
            array = array.reshape(node.inputs[1].const_value.numpy())
        else:
            array = np.ascontiguousarray(array.transpose(node.attributes["perm"].as_ints()))
        out = node.outputs[0]
        ir.convenience.replace_all_uses_with(out, initializer(graph, f"{out.name}.moved", array))
        graph.remove(node, safe=True)
    drop_unused(graph)


def quantise(graph: ir.Graph, products: Sequence[Product], ranges: Mapping[str, float]) -> None:
    """Puts Q/DQ nodes around `products` of `graph`, in place.

    products: from find_products of this graph. ranges: {activation: the magnitude of its last level}; empty = weights alone become bytes.
    """
    for node, operands in _operands(graph, products, ranges):
        for place, (_, in_bytes) in operands.items():
            node.replace_input_with(place, in_bytes)
    drop_unused(graph)


def switch(graph: ir.Graph, products: Sequence[Product], ranges: Mapping[str, float]) -> None:
    """As `quantise`, in place, but a product takes bytes only where its element of a new input SWITCHES, bool [len(products)], is true:
    one session tries any choice of products."""
    switches = ir.Value(name=SWITCHES, shape=ir.Shape([len(products)]), type=ir.TensorType(ir.DataType.BOOL))
    graph.inputs.append(switches)
    for number, (node, operands) in enumerate(_operands(graph, products, ranges)):
        index = initializer(graph, f"{SWITCHES}.{number}", np.int64(number))
        one = ir.node("Gather", [switches, index], name=f"{SWITCHES}.{number}.gather")
        one.outputs[0].name = f"{one.name}d"
        graph.insert_before(node, [one])
        for place, (whole, in_bytes) in operands.items():
            either = ir.node("Where", [one.outputs[0], in_bytes, whole], name=f"{SWITCHES}.{number}.where{place}")
            graph.insert_before(node, [either])
            node.replace_input_with(place, _named(either, whole, ir.DataType.FLOAT))


def _operands(
    graph: ir.Graph, products: Sequence[Product], ranges: Mapping[str, float]
) -> Iterator[tuple[ir.Node, dict[int, tuple[ir.Value, ir.Value]]]]:
    """Each product's node, and {place of an operand: (the operand, itself in bytes)}; one that several products take is made bytes once."""
    nodes = {node.name: node for node in graph}
    given: dict[str, ir.Value] = {}
    for product in products:
        node = nodes[product.node]
        value, weight = node.inputs[:2]
        if weight.name not in given:
            given[weight.name] = quantise_weight(graph, weight)
        if ranges and value.name not in given:
            given[value.name] = quantise_activation(graph, value, ranges[value.name])
        yield node, {place: (whole, given[whole.name]) for place, whole in enumerate((value, weight)) if whole.name in given}


def quantise_weight(graph: ir.Graph, value: ir.Value) -> ir.Value:
    """An initializer [..., in, out] as signed bytes with one float32 scale an output channel, and the value that has its floats back."""
    array = value.const_value.numpy()
    scale = np.maximum(np.abs(array).max(axis=tuple(range(array.ndim - 1))) / LEVELS, TINY).astype(np.float32)
    levels = np.clip(np.rint(array / scale), -LEVELS, LEVELS).astype(np.int8)
    parts = (("int8", levels), ("scale", scale), ("zero", np.zeros(scale.shape, np.int8)))
    inputs = [initializer(graph, f"{value.name}.{what}", part) for what, part in parts]
    node = ir.node("DequantizeLinear", inputs, attributes={"axis": array.ndim - 1}, name=f"{value.name}.dequantise")
    graph.insert_before(graph[0], [node])
    return _named(node, value, ir.DataType.FLOAT)


def quantise_activation(graph: ir.Graph, value: ir.Value, largest: float) -> ir.Value:
    """A tensor through signed bytes and back. largest: the magnitude of the last level."""
    scale = initializer(graph, f"{value.name}.scale", np.float32(max(largest / LEVELS, TINY)))
    zero = initializer(graph, f"{value.name}.zero", np.int8(0))
    to = ir.node("QuantizeLinear", [value, scale, zero], name=f"{value.name}.quantise")
    back = ir.node("DequantizeLinear", [_named(to, value, ir.DataType.INT8), scale, zero], name=f"{value.name}.dequantise")
    if value.producer() is None:
        graph.insert_before(graph[0], [to, back])
    else:
        graph.insert_after(value.producer(), [to, back])
    return _named(back, value, ir.DataType.FLOAT)


def _named(node: ir.Node, like: ir.Value, kind: ir.DataType) -> ir.Value:
    out = node.outputs[0]
    out.name, out.shape, out.type = f"{node.name}d", like.shape, ir.TensorType(kind)
    return out


def initializer(graph: ir.Graph, name: str, array) -> ir.Value:
    """A new constant of the graph."""
    array = np.asarray(array)
    tensor = ir.Tensor(array, name=name)
    value = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
    graph.register_initializer(value)
    return value


def drop_unused(graph: ir.Graph) -> None:
    """Constants that no node takes any more go."""
    for value in [value for value in graph.initializers.values() if not value.uses()]:
        del graph.initializers[value.name]
