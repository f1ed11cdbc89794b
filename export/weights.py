"""Weights that several graphs share, in files beside them (ONNX external data).

The backbone runs in glance and in look, and its last layers in region: equal content is stored once, whatever name it has in a graph.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx_ir as ir

from .storage import ZERO, Rounded

MIN_BYTES = 1024  # smaller tensors stay inside the graph's own file
ALIGNMENT = 4096  # a page, so that runtimes can map a tensor instead of reading it
SMALL_PART = 24_000_000  # a repository without large-file storage carries such files
LARGE_PART = 1 << 30
LARGE_MODEL = 400 << 20  # from here on a model is not carried in a repository anyway


def part_bytes(total: int) -> int:
    """Largest size of one weight file for a model of `total` bytes; a single tensor above it has a file of its own."""
    return SMALL_PART if total < LARGE_MODEL else LARGE_PART


@dataclass
class WeightFiles:
    """Appends tensors to weights-0.bin, weights-1.bin ... in `folder`; equal bytes are written once."""

    folder: Path
    limit: int  # bytes a file
    places: dict[bytes, tuple[str, int]] = field(default_factory=dict)  # content hash -> (file, offset)
    names: list[str] = field(default_factory=list)
    size: int = 0  # bytes in the newest file
    given: int = 0  # bytes that were asked for, shared ones counted each time

    def add(self, array: np.ndarray) -> tuple[str, int, int]:
        """-> (file, offset, length) of the array's bytes, little endian, row-major."""
        array = np.ascontiguousarray(array)
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        data = array.reshape(-1).view(np.uint8).data
        self.given += array.nbytes
        key = hashlib.sha256(data).digest()
        if key not in self.places:
            self.places[key] = self._append(data)
        return *self.places[key], array.nbytes

    def _append(self, data: memoryview) -> tuple[str, int]:
        offset = -(-self.size // ALIGNMENT) * ALIGNMENT
        if not self.names or (self.size and offset + len(data) > self.limit):
            self.names.append(f"weights-{len(self.names)}.bin")
            self.size = offset = 0
        with open(self.folder / self.names[-1], "ab") as file:
            file.write(bytes(offset - self.size))
            file.write(data)
        self.size = offset + len(data)
        return self.names[-1], offset


def move_weights(model: ir.Model, files: WeightFiles, rounded: Rounded) -> None:
    """Replaces every initializer of MIN_BYTES or more by a reference into `files`, stored as `rounded` found it to be storable.

    fp32: external data of the same name. fp16: external halves and a Cast. int8: external bytes, a Cast, and the zero and the rows'
    scales undone by Sub and Mul. Runtimes fold these when they load the graph. Where rows of a table are gathered only those rows are
    cast, so that a table of positions or words is never expanded. Not DequantizeLinear: ONNX Runtime turns it and the MatMul behind
    it into a MatMulNBits that rounds the activations to int8 as well, 4e-3 away from float32.
    A float32 tensor that half.py casts for a product is stored as the halves that the product takes, without the Cast.
    """
    graph = model.graph
    for value in list(graph.initializers.values()):
        array = value.const_value.numpy()
        rows = rounded.find(array)
        if rows is None and array.dtype == np.float32:
            _fold_casts(graph, value, array, files)
            if not value.uses():
                del graph.initializers[value.name]
                continue
        if array.nbytes < MIN_BYTES:
            if isinstance(value.const_value, ir.ExternalTensor):  # in a file of the export's own, which goes
                value.const_value = ir.Tensor(array.copy(), name=value.name)
            continue
        if rows is not None:
            stored = _external(graph, f"{value.name}.bytes", rows.values, files)
            scale = _external(graph, f"{value.name}.scale", np.expand_dims(rows.scale, 1 - rows.axis), files)
        elif rounded.is_half(array):
            stored, scale = _external(graph, f"{value.name}.half", array.astype(np.float16), files), None
        else:
            value.const_value = _reference(value.name, array, files)
            continue
        users = [node for node, _ in value.uses()]
        by_row = rows is None or rows.axis == 0
        if by_row and all(node.op_type == "Gather" and node.inputs[0] is value and _axis(node) == 0 for node in users):
            for node in users:
                _expand_gathered(graph, node, stored, scale)
            del graph.initializers[value.name]
        else:
            _expand(graph, value, stored, scale)


def _fold_casts(graph: ir.Graph, value: ir.Value, array: np.ndarray, files: WeightFiles) -> None:
    """Casts of `value` to float16 become an initializer of float16."""
    casts = [node for node, _ in value.uses() if node.op_type == "Cast" and node.attributes["to"].as_int() == ir.DataType.FLOAT16]
    if not casts:
        return
    half = _external(graph, f"{value.name}.folded", array.astype(np.float16), files)
    for node in casts:
        ir.convenience.replace_all_uses_with(node.outputs[0], half)
        graph.remove(node, safe=True)


def _expand_gathered(graph: ir.Graph, gather: ir.Node, stored: ir.Value, scale: ir.Value | None) -> None:
    """table[ids] -> stored[ids] as floats, with the scales scale[ids] where there are some."""
    ids, out = gather.inputs[1], gather.outputs[0]
    picked = ir.node("Gather", [stored, ids], attributes={"axis": 0})
    scales = [ir.node("Gather", [scale, ids], attributes={"axis": 0})] if scale is not None else []
    nodes = [picked, *scales, *_floats(graph, picked.outputs[0], scales[0].outputs[0] if scales else None)]
    new = nodes[-1].outputs[0]
    new.shape, new.type = out.shape, out.type
    graph.insert_before(gather, nodes)
    ir.convenience.replace_all_uses_with(out, new, replace_graph_outputs=True)
    graph.remove(gather, safe=True)


def _expand(graph: ir.Graph, value: ir.Value, stored: ir.Value, scale: ir.Value | None) -> None:
    """The initializer `value` becomes the output of nodes at the graph's front, under its old name."""
    nodes = _floats(graph, stored, scale)
    name, new = value.name, nodes[-1].outputs[0]
    del graph.initializers[name]
    value.name = f"{name}.float"
    new.name, new.shape, new.type = name, value.shape, ir.TensorType(ir.DataType.FLOAT)
    ir.convenience.replace_all_uses_with(value, new)
    graph.insert_before(graph[0], nodes)


def _floats(graph: ir.Graph, stored: ir.Value, scale: ir.Value | None) -> list[ir.Node]:
    """float32 of stored halves (no scale), or of stored bytes: (stored - ZERO) * scale."""
    nodes = [ir.node("Cast", [stored], attributes={"to": ir.DataType.FLOAT})]
    if scale is not None:
        zero = graph.initializers.get("bytes.zero") or _inside(graph, "bytes.zero", np.array(ZERO, np.float32))
        nodes.append(ir.node("Sub", [nodes[-1].outputs[0], zero]))
        nodes.append(ir.node("Mul", [nodes[-1].outputs[0], scale]))
    return nodes


def _axis(node: ir.Node) -> int:
    return node.attributes["axis"].as_int() if "axis" in node.attributes else 0


def _external(graph: ir.Graph, name: str, array: np.ndarray, files: WeightFiles) -> ir.Value:
    """A new initializer of `graph`, outside it; below MIN_BYTES it stays inside."""
    if array.nbytes < MIN_BYTES:
        return _inside(graph, name, array)
    return _registered(graph, name, array, _reference(name, array, files))


def _inside(graph: ir.Graph, name: str, array: np.ndarray) -> ir.Value:
    return _registered(graph, name, array, ir.Tensor(array, name=name))


def _registered(graph: ir.Graph, name: str, array: np.ndarray, tensor) -> ir.Value:
    value = ir.Value(name=name, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
    graph.register_initializer(value)
    return value


def _reference(name: str, array: np.ndarray, files: WeightFiles) -> ir.ExternalTensor:
    file, offset, length = files.add(array)
    return ir.ExternalTensor(
        file, offset, length, ir.DataType.from_numpy(array.dtype), shape=ir.Shape(array.shape), name=name, base_dir=files.folder
    )
