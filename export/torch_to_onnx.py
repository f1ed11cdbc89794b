"""One wrapper module -> one checked ONNX graph, opset 20.

Opset 20 because TensorRT before 10.14 (JetPack 6) cannot parse the `Attention` node that later opsets make of attention.
"""

import logging
import math
import warnings
from collections import Counter
from pathlib import Path

import onnx
import onnx_ir as ir
import torch
from onnxscript import opset20 as op
from torch import nn

from ps3_ros.bundle import TensorSpec
from ps3_ros.errors import CheckpointError

OPSET = 20
# What TensorRT does not build, or builds only on some of the versions that a robot may have.
REFUSED_OPS = {"Attention", "NonZero", "Compress", "Unique", "TopK", "DynamicQuantizeLinear", "MatMulInteger", "If", "Loop", "Scan"}
DTYPES = {"float32": torch.float32, "int64": torch.int64, "bool": torch.bool}


def attention(query, key, value, attn_mask=None, dropout_p: float = 0.0, is_causal: bool = False, scale: float = None):
    """softmax(query key' * scale, masked) value, as a few plain nodes: torch's own translation adds shape arithmetic around the
    transposed keys, which a dynamic number of tokens would carry into every runtime. Masks are bool, True = may be seen."""
    if dropout_p or is_causal:
        raise ValueError(f"attention with dropout_p={dropout_p}, is_causal={is_causal} is not exported: give it a mask")
    factor = op.Constant(value_floats=[scale if scale is not None else 1.0 / math.sqrt(query.shape[-1])])
    logits = op.MatMul(op.Mul(query, factor), op.Transpose(key, perm=[0, 1, 3, 2]))
    if attn_mask is not None:
        # Far below any logit and yet within float16, should an engine be built in it.
        logits = op.Where(attn_mask, logits, op.Constant(value_float=-30000.0))
    return op.MatMul(op.Softmax(logits, axis=-1), value)


def index(self, indices):
    """table[positions] as one Gather; torch's own translation is a GatherND. The model indexes no tensor in any other way."""
    if len(indices) != 1 or indices[0] is None or indices[0].dtype != ir.DataType.INT64:
        raise ValueError(f"only table[positions] is exported, not an index of {len(indices)} parts")
    return op.Gather(self, indices[0], axis=0)


TRANSLATIONS = {torch.ops.aten.scaled_dot_product_attention.default: attention, torch.ops.aten.index.Tensor: index}


def to_onnx(module: nn.Module, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...], limits: dict[str, int]) -> ir.Model:
    """Exports `module`, whose arguments and results are `inputs` and `outputs` in order; named sizes in them are dynamic.

    limits: largest value of a named size ("N": max_patches); sizes without a limit may grow as they like.
    """
    dims = {name: torch.export.Dim(name, min=1, max=limits.get(name)) for spec in inputs for name in spec.shape if isinstance(name, str)}
    sizes = {name: 3 + 2 * n for n, name in enumerate(dims)}  # unlike each other, and not 1, so that no two are taken for one
    examples = tuple(_example(spec, sizes) for spec in inputs)
    shapes = tuple({i: dims[d] for i, d in enumerate(spec.shape) if isinstance(d, str)} or None for spec in inputs)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's notes to its own developers
        level = logging.getLogger("torch.onnx").level
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        try:
            program = torch.onnx.export(
                module.eval(),
                examples,
                dynamo=True,
                opset_version=OPSET,
                input_names=[spec.name for spec in inputs],
                output_names=[spec.name for spec in outputs],
                dynamic_shapes=shapes,
                custom_translation_table=TRANSLATIONS,
                verbose=False,
            )
        finally:
            logging.getLogger("torch.onnx").setLevel(level)
    return program.model


def _example(spec: TensorSpec, sizes: dict[str, int]) -> torch.Tensor:
    shape = [sizes.get(d, d) for d in spec.shape]
    return torch.zeros(shape, dtype=DTYPES[spec.dtype]) if spec.dtype != "bool" else torch.ones(shape, dtype=torch.bool)


def finish(model: ir.Model, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> None:
    """Gives the graph exactly the contract's shapes, and no traces of the machine that made it (paths in stack traces)."""
    for values, specs in ((model.graph.inputs, inputs), (model.graph.outputs, outputs)):
        for value, spec in zip(values, specs, strict=True):
            value.shape = ir.Shape(spec.shape)
    for node in model.graph:
        node.metadata_props.clear()
        node.doc_string = None
        for value in node.outputs:
            value.metadata_props.clear()
    for value in (*model.graph.inputs, *model.graph.initializers.values()):
        value.metadata_props.clear()
    model.graph.metadata_props.clear()
    model.metadata_props.clear()


def check_graph(path: Path, name: str) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """onnx's own checker with its shape inference, then what it does not ask. Returns the specs that the file states.

    Raises:
        CheckpointError: a node that TensorRT refuses, a LayerNorm in pieces, another opset, or a shape left open.
    """
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"graph {name!r} is not valid ONNX ({reason}); report this, it is a fault of the exporter") from error
    graph = onnx.load(str(path), load_external_data=False)
    counts = Counter(node.op_type for node in graph.graph.node)
    refused = sorted(set(counts) & REFUSED_OPS)
    opsets = {entry.domain: entry.version for entry in graph.opset_import if entry.domain in {node.domain for node in graph.graph.node}}
    if refused or opsets != {"": OPSET} or graph.functions:
        raise CheckpointError(f"graph {name!r} has nodes {refused} in opsets {opsets}: TensorRT needs plain opset {OPSET} without them")
    if counts["ReduceMean"]:
        raise CheckpointError(f"graph {name!r} has a LayerNorm in pieces (ReduceMean), which drifts in half precision")
    return tuple(_spec(v, name) for v in graph.graph.input), tuple(_spec(v, name) for v in graph.graph.output)


def _spec(value: onnx.ValueInfoProto, graph: str) -> TensorSpec:
    kind = value.type.tensor_type
    shape = tuple(d.dim_value if d.HasField("dim_value") else d.dim_param for d in kind.shape.dim)
    if any(d in ("", 0) for d in shape):
        raise CheckpointError(f"graph {graph!r} leaves the shape of {value.name!r} open: {shape}")
    return TensorSpec(value.name, shape, onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name)
