"""fp16, strongly typed: which nodes of a graph compute in half precision, and the casts between them and the rest.

Matrix products and convolutions run in halves, with their biases and whatever only moves their results about; LayerNormalization,
softmax, GELU, the residual sum, means, lengths and all arithmetic on positions stay in float32: they are a few percent of the work and
where half precision loses a model (a residual stream beyond 65504, an epsilon of 1e-12, a position above 2048). Types are part of the
graph, so that every runtime and TensorRT from 10 on, which has no other way, compute the same.
"""

import onnx_ir as ir

PRODUCTS = {"MatMul", "Gemm", "Conv"}
MOVES = {"Transpose", "Reshape", "Split", "Slice", "Concat", "Squeeze", "Unsqueeze", "Expand", "Gather", "Flatten", "Identity"}
FLOAT, HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16


def to_half(model: ir.Model, half_io: frozenset[str]) -> None:
    """Types `model` in place; its inputs and outputs named in `half_io` become float16, the others keep their types.

    float32 initializers that feed products stay as they are behind a Cast, which weights.py folds when it stores them.
    """
    graph = model.graph
    nodes = list(graph)
    half_values = {value for value in (*graph.inputs, *graph.outputs) if value.name in half_io}
    half = _half_nodes(graph, nodes, half_values)
    inputs = {value for value in graph.inputs if value in half_values}
    results = {value for node in half for value in node.outputs if value.dtype == FLOAT} | inputs
    # Casts are made before any type changes, so that `dtype` still tells what the float32 graph had.
    for value in _float_values(graph, nodes):
        is_half = value in results
        consumers = [(node, n) for node, n in value.uses() if (node in half) != is_half]
        if consumers:
            _cast(graph, value, consumers, FLOAT if is_half else HALF)
    for n, value in enumerate(graph.outputs):
        if value.dtype == FLOAT and (value in half_values) != (value in results):
            name, to = value.name, HALF if value in half_values else FLOAT
            value.name = f"{name}.{'float' if to == HALF else 'half'}"
            graph.outputs[n] = _cast(graph, value, [], to)
            graph.outputs[n].name = name
    for value in results:
        value.type = ir.TensorType(HALF)


def _half_nodes(graph: ir.Graph, nodes: list[ir.Node], half_values: set[ir.Value]) -> set[ir.Node]:
    """Products, their biases, a scalar factor on their results, and every move between them."""
    half = {node for node in nodes if node.op_type in PRODUCTS}
    outputs = set(graph.outputs)

    def comes_half(value: ir.Value) -> bool:
        return value.producer() in half or (value.is_graph_input() and value in half_values)

    def wanted_half(value: ir.Value) -> bool:
        users = [node for node, _ in value.uses()]
        if value in outputs:
            return value in half_values and all(node in half for node in users)
        return bool(users) and all(node in half for node in users)

    grown = True
    while grown:
        grown = False
        for node in nodes:
            if node in half:
                continue
            floats = [value for value in node.inputs if value is not None and value.dtype == FLOAT]
            free = [value for value in floats if not value.is_initializer()]
            if node.op_type in MOVES:
                fits = (bool(free) and all(map(comes_half, free))) or (bool(floats) and all(map(wanted_half, node.outputs)))
            elif node.op_type in ("Add", "Mul"):  # a bias, or the softmax's scale
                fits = len(free) == 1 and comes_half(free[0]) and len(floats) == 2 and (node.op_type == "Add" or _is_scalar(floats))
            else:
                fits = False
            if fits:
                half.add(node)
                grown = True
    return half


def _is_scalar(values: list[ir.Value]) -> bool:
    return any(value.is_initializer() and value.shape is not None and value.const_value.size == 1 for value in values)


def _float_values(graph: ir.Graph, nodes: list[ir.Node]) -> list[ir.Value]:
    values = [*graph.inputs, *graph.initializers.values(), *(value for node in nodes for value in node.outputs)]
    return [value for value in values if value.dtype == FLOAT]


def _cast(graph: ir.Graph, value: ir.Value, consumers: list[tuple[ir.Node, int]], to: ir.DataType) -> ir.Value:
    """One Cast of `value`, right after it, for all of `consumers` (node, input index); returns its output."""
    node = ir.node("Cast", [value], attributes={"to": to})
    out = node.outputs[0]
    out.name, out.shape, out.type = f"{value.name}.{'half' if to == HALF else 'float'}", value.shape, ir.TensorType(to)
    producer = value.producer()
    if producer is None:
        graph.insert_before(graph[0], [node])
    else:
        graph.insert_after(producer, [node])
    for user, n in consumers:
        user.replace_input_with(n, out)
    return out
