"""What values the tensors of a graph take on real frames: histograms that are filled one frame and a few tensors at a time.

The peak of memory stays near the graph's weights and one frame's activations, whatever the number of frames: tensors are asked for in
slices of at most SLICE_BYTES, and each slice runs only the part of the graph that makes it.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from ps3_ros.bundle import GraphSpec
from ps3_ros.errors import CheckpointError

from .parity import open_graph
from .reference import Case

BINS = 2048
LEVELS = 127  # of a signed byte on each side of zero
SLICE_BYTES = 256 << 20
TIGHTEST = 0.2  # of the largest magnitude: the smallest range that is tried
CANDIDATES = 81


class Histogram:
    """Counts of magnitudes in BINS equal steps from 0 to `top`, which doubles as larger values come: no value is kept, none is lost."""

    def __init__(self):
        self.counts, self.top, self.largest = np.zeros(BINS), 0.0, 0.0

    def add(self, values: np.ndarray) -> None:
        """Raises CheckpointError where a value is not finite."""
        values = np.abs(values, dtype=np.float32).ravel()
        largest = float(values.max(initial=0.0))
        if not np.isfinite(largest):
            raise CheckpointError("a value on the calibration frames is not finite (nan or inf): this checkpoint has no int8 ranges")
        if largest == 0.0:
            self.counts[0] += values.size
            return
        if self.top == 0.0:
            self.counts, self.top = np.concatenate([[self.counts[0]], np.zeros(BINS - 1)]), largest
        while self.top < largest:
            self.counts = np.concatenate([self.counts.reshape(-1, 2).sum(1), np.zeros(BINS // 2)])
            self.top *= 2
        self.largest = max(self.largest, largest)
        steps = np.minimum(values * np.float32(BINS / self.top), BINS - 1).astype(np.int32)
        self.counts += np.bincount(steps, minlength=BINS)

    def best_range(self) -> tuple[float, float]:
        """(range, noise): the magnitude at the last level with which rounding and clipping together cost least (in squares) on these
        values, and that cost over their mean square."""
        if self.largest == 0.0:
            return 1.0, 0.0
        centres = (np.arange(BINS) + 0.5) * (self.top / BINS)
        tops = self.largest * np.linspace(1.0, TIGHTEST, CANDIDATES)
        clipped = np.maximum(centres - tops[:, None], 0.0) ** 2
        rounded = np.where(clipped > 0, 0.0, (tops[:, None] / LEVELS) ** 2 / 12)
        cost = (self.counts * (clipped + rounded)).sum(1)
        best = int(cost.argmin())
        return float(tops[best]), float(cost[best] / (self.counts * centres**2).sum())


def observe(path: Path, spec: GraphSpec, cases: Sequence[Case], found: Mapping[str, Histogram]) -> None:
    """Adds what the tensors of the graph file `path` are on each of the cases to `found`.

    Parts of the graph are written beside it for a while. Raises CheckpointError where there are no cases, or a value is not finite.
    """
    if not cases:
        raise CheckpointError(f"graph {path.stem!r} never ran on the calibration frames, so int8 has no ranges for it: give more frames")
    given = [tensor.name for tensor in spec.inputs if tensor.name in found]
    for case in cases:
        for tensor, value in zip(spec.inputs, case.inputs(), strict=True):
            if tensor.name in given:
                found[tensor.name].add(value)
    sizes = named_sizes(spec, cases[0])
    for wanted in slices([name for name in found if name not in given], tensor_bytes(path, sizes)):
        part = path.with_name(f"{path.stem}.part.onnx")
        try:
            write_part(path, part, wanted)
            session = open_graph(part)
            inputs = {tensor.name for tensor in session.get_inputs()}
            for case in cases:
                feed = {tensor.name: value for tensor, value in zip(spec.inputs, case.inputs(), strict=True) if tensor.name in inputs}
                for name, value in zip(wanted, session.run(wanted, feed), strict=True):
                    found[name].add(value)
            del session
        finally:
            part.unlink(missing_ok=True)


def named_sizes(spec: GraphSpec, case: Case) -> dict[str, int]:
    """What the named sizes of a graph's inputs are in a case, such as {"N": 1024}."""
    sizes = {}
    for tensor, value in zip(spec.inputs, case.inputs(), strict=True):
        sizes |= {name: n for name, n in zip(tensor.shape, value.shape, strict=True) if isinstance(name, str)}
    return sizes


def tensor_bytes(path: Path, sizes: Mapping[str, int]) -> dict[str, int]:
    """{tensor: bytes} of the tensors whose shape is known once its named sizes are `sizes`."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(str(path), load_external_data=False)).graph
    found = {}
    for value in graph.value_info:
        shape = [d.dim_value or sizes.get(d.dim_param, 0) for d in value.type.tensor_type.shape.dim]
        if all(shape):
            found[value.name] = 4 * int(np.prod(shape))
    return found


def slices(names: Sequence[str], sizes: Mapping[str, int], limit: int = SLICE_BYTES) -> Iterator[list[str]]:
    """Names in groups of at most `limit` bytes, at least one a group; one whose size is not known is a group of its own."""
    group, total = [], 0
    for name in names:
        size = sizes.get(name, limit)
        if group and total + size > limit:
            yield group
            group, total = [], 0
        group.append(name)
        total += size
    if group:
        yield group


def write_part(path: Path, part: Path, wanted: Sequence[str]) -> None:
    """The nodes of the graph file `path` that make `wanted`, with them as its outputs, to `part` in the same folder."""
    model = ir.load(path)
    graph = model.graph
    values = {value.name: value for node in graph for value in node.outputs}
    graph.outputs[:] = [values[name] for name in wanted]
    for node in reversed(list(graph)):
        if not any(value.uses() or value.is_graph_output() for value in node.outputs):
            graph.remove(node, safe=True)
    for value in [value for value in graph.initializers.values() if not value.uses()]:
        del graph.initializers[value.name]
    ir.save(model, part)
