"""Does a graph compute what the checkpoint computes? Figures of one graph on its cases, by ONNX Runtime on the CPU."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from ps3_ros.backends.onnxruntime_backend import session_options
from ps3_ros.bundle import GraphSpec

from .reference import Case


def open_graph(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), session_options(onnxruntime), providers=["CPUExecutionProvider"])


def compare(path: Path, spec: GraphSpec, cases: Sequence[Case], stored: Sequence[Case] | None = None) -> dict[str, dict[str, float]]:
    """{output: {"random", "real", "cosine", "stored"}} of one graph, the worst of its cases.

    random, real: max|onnx - torch| / max|torch| of the checkpoint as it came; cosine: the least. stored: the same error to torch with the
    rounded weights that the bundle stores; only where `stored`, the cases with its answers, is given.
    """
    session = open_graph(path)
    names = [tensor.name for tensor in spec.outputs]
    figures: dict[str, dict[str, float]] = {name: {} for name in names}
    for number, case in enumerate(cases):
        inputs = case.inputs()
        feed = {tensor.name: value.astype(tensor.dtype, copy=False) for tensor, value in zip(spec.inputs, inputs, strict=True)}
        found = session.run(names, feed)
        exact = stored[number].outputs() if stored is not None else [None] * len(names)
        for name, a, b, c in zip(names, found, case.outputs(), exact, strict=True):
            entry = figures[name]
            entry[case.kind] = worst(entry.get(case.kind), relative_error(a, b))
            entry["cosine"] = min(entry.get("cosine", 1.0), cosine(a, b))
            if c is not None:
                entry["stored"] = worst(entry.get("stored"), relative_error(a, c))
    return figures


def worst(before: float | None, error: float) -> float:
    """The larger, nan before all: a graph that once gave nan keeps it."""
    return error if before is None or error > before or error != error else before


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """max|a - b| / max|b|; nan where a value is not finite, infinite where shapes differ."""
    if found.shape != expected.shape:
        return float("inf")
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    difference = float(np.abs(found - expected).max(initial=0.0))
    return difference / max(float(np.abs(expected).max(initial=0.0)), 1e-30)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Of two arrays taken as one long vector each; -1 where shapes differ or a value is not finite."""
    if a.shape != b.shape:
        return -1.0
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    value = float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-30))
    return min(value, 1.0) if np.isfinite(value) else -1.0
