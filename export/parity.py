"""Does a graph compute what the torch model computes? On random inputs, and on real frames and queries through the core's own path."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

from ps3_ros.bundle import Settings, TensorSpec, contract
from ps3_ros.errors import CheckpointError, QueryError
from ps3_ros.frame import FramePlan, aux_image, cut_patches, glance_image
from ps3_ros.selection import relevance_map, select
from ps3_ros.text import TextEncoder
from ps3_training.model import PS3

QUERIES = ("stop sign", "the mug with a blue handle", "text on the billboard", "red traffic light", "a person who crosses the street")


@dataclass(frozen=True)
class Case:
    """One run of one graph: arrays in the contract's order, and what the model as it came (before any rounding) answered."""

    graph: str
    kind: str  # "random" or "real"
    inputs: tuple[np.ndarray, ...]
    outputs: tuple[np.ndarray, ...]


def make_cases(model: PS3, modules: dict[str, nn.Module], settings: Settings, tokenizer: Path, frames: Sequence) -> list[Case]:
    """Cases for every graph: one random each, and what glance -> select -> relevance -> selection -> look -> region gives on `frames`.

    The chain runs on torch's outputs, so that every graph is measured on the same inputs as torch, not on what others passed on.
    """
    return [*_random_cases(model, modules, settings), *_real_cases(modules, settings, tokenizer, frames)]


def run_torch(module: nn.Module, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    with torch.inference_mode():
        found = module(*(torch.from_numpy(np.array(a)) for a in inputs))
    return tuple(t.numpy() for t in (found if isinstance(found, tuple) else (found,)))


def _random_cases(model: PS3, modules: dict[str, nn.Module], settings: Settings) -> list[Case]:
    random = np.random.default_rng(0)
    sizes = {"Q": 3, "T": min(9, settings.context_length), "N": min(97, settings.max_patches), "R": 4}
    if settings.fixed_length:
        sizes["T"] = settings.context_length
    limits = {"ids": model.config.text.vocab_size, "position": sum(g * g for g in model.config.vision.sides)}
    cases = []
    for name, (inputs, _) in contract(settings).items():
        arrays = tuple(_random(random, spec, sizes, limits) for spec in inputs)
        cases.append(Case(name, "random", arrays, run_torch(modules[name], arrays)))
    return cases


def _random(random, spec: TensorSpec, sizes: dict[str, int], limits: dict[str, int]) -> np.ndarray:
    shape = [sizes.get(d, d) for d in spec.shape]
    if spec.dtype == "int64":
        return random.integers(0, limits[spec.name], shape)
    if spec.dtype == "bool":
        mask = random.random(shape) < 0.4
        mask[:, 0] = True
        return mask
    return random.standard_normal(shape, dtype=np.float32)


def _real_cases(modules, settings: Settings, tokenizer: Path, frames) -> list[Case]:
    ids = encode(tokenizer, QUERIES, settings)
    text = run_torch(modules["text"], (ids,))
    cases = [Case("text", "real", (ids,), text)]
    for number, frame in enumerate(frames):
        plan = FramePlan.of(*frame.pixels.shape[:2], settings)
        pixels = glance_image(frame, settings)
        tokens, features, kv = run_torch(modules["glance"], (pixels,))
        cases.append(Case("glance", "real", (pixels,), (tokens, features, kv)))
        aux = prompt_aux = None
        query = number % len(ids)
        if settings.aux_size:
            pixels = aux_image(frame, settings)
            aux = run_torch(modules["select"], (pixels,))
            cases.append(Case("select", "real", (pixels,), aux))
            aux, prompt_aux = aux[0][0], text[2][query]
        relevance = relevance_map(features[0], aux, text[1][query], prompt_aux)
        selection = select(relevance, plan, settings.max_patches)
        patches = cut_patches(frame, plan, settings, selection)[None]
        position = np.concatenate([plan.positions(s, chosen) for s, chosen in enumerate(selection.patches)])
        found = run_torch(modules["look"], (patches, position, kv))
        cases.append(Case("look", "real", (patches, position, kv), found))
        mask = np.stack([np.ones(len(position), bool), np.arange(len(position)) % 3 == 0, np.arange(len(position)) < 5])
        cases.append(Case("region", "real", (found[0], mask), run_torch(modules["region"], (found[0], mask))))
    return cases


def encode(tokenizer: Path, queries: Sequence[str], settings: Settings) -> np.ndarray:
    """Those of the queries that the model's length allows -> ids int64 [Q, T], as the core makes them."""
    encoder = TextEncoder(tokenizer, settings, run=None)
    fitting = []
    for query in queries:
        try:
            encoder.tokens(query)
        except QueryError as error:
            refusal = error
        else:
            fitting.append(query)
    if not fitting:
        raise CheckpointError(f"tokenizer {str(tokenizer)!r} does not fit this model: {refusal}")
    return encoder.ids(fitting)


def open_graph(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def compare(
    path: Path, name: str, outputs: tuple[TensorSpec, ...], cases: Sequence[Case], rounded: nn.Module | None, tolerance: float
) -> dict[str, dict[str, float]]:
    """{output: {"random": .., "real": .., "rounding": ..}} of one graph, the worst of its cases.

    random, real: max|onnx - torch| / max|torch|, where torch holds the weights that are stored. rounding: the least cosine of torch's
    outputs with those of the model before its weights were rounded; only where `rounded` (the module with rounded weights) is given.

    Raises:
        CheckpointError: an output beyond `tolerance`, or not finite.
    """
    session = open_graph(path)
    names = [i.name for i in session.get_inputs()]
    figures: dict[str, dict[str, float]] = {spec.name: {} for spec in outputs}
    for case in cases:
        expected = run_torch(rounded, case.inputs) if rounded is not None else case.outputs
        found = session.run([spec.name for spec in outputs], dict(zip(names, case.inputs, strict=True)))
        for spec, a, b, original in zip(outputs, found, expected, case.outputs, strict=True):
            error = relative_error(a, b)
            if not error <= tolerance:  # also where it is nan
                raise CheckpointError(
                    f"graph {name!r}, output {spec.name!r}: ONNX Runtime is {error:.3g} (relative) from torch on {case.kind} input, "
                    f"over the tolerance {tolerance:g}, so nothing was written; widen the tolerance only if you know why"
                )
            entry = figures[spec.name]
            entry[case.kind] = max(entry.get(case.kind, 0.0), float(f"{error:.3g}"))
            if rounded is not None:
                entry["rounding"] = min(entry.get("rounding", 1.0), round(cosine(b, original), 6))
    return figures


def relative_error(found: np.ndarray, expected: np.ndarray) -> float:
    """max|a - b| / max|b|; nan where a value is not finite, infinite where shapes differ."""
    if found.shape != expected.shape:
        return float("inf")
    difference = float(np.abs(found.astype(np.float64) - expected).max(initial=0.0))
    return difference / max(float(np.abs(expected).max(initial=0.0)), 1e-30)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Of two arrays taken as one long vector each."""
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-30))
