"""What the checkpoint itself answers: whole questions through the robot's own code over torch, and every graph's inputs and outputs.

Cases lie on disk beside the target while an export runs: sixteen frames' keys and values of a large model would fill the memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ps3_ros.answer import Answer
from ps3_ros.ask import AskDetail, Asker
from ps3_ros.bundle import Bundle, Settings, TensorSpec, contract

from .views import View, by_frame

# Rows: of the region graph's runs in an answer, the first (tokens one by one, 256 rows) and those of the answer's regions are kept.
SMALL_MASK = 64


@dataclass(frozen=True)
class Case:
    """One run of one graph: files of the arrays in the contract's order."""

    graph: str
    kind: str  # "random" or "real"
    input_files: tuple[Path, ...]
    output_files: tuple[Path, ...]

    def inputs(self) -> tuple[np.ndarray, ...]:
        return tuple(np.load(path, allow_pickle=False) for path in self.input_files)

    def outputs(self) -> tuple[np.ndarray, ...]:
        return tuple(np.load(path, allow_pickle=False) for path in self.output_files)


@dataclass(frozen=True, eq=False)
class Outcome:
    """One view's answer, and what it was looked at."""

    view: View
    answer: Answer
    detail: AskDetail


@dataclass
class Cases:
    """Cases of every graph, written to `folder` as they come."""

    folder: Path
    found: list[Case] = field(default_factory=list)
    kept: dict[int, tuple[np.ndarray, Path]] = field(default_factory=dict)  # by id: kv is glance's output and look's input
    count: int = 0

    def add(self, graph: str, kind: str, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        self.found.append(Case(graph, kind, tuple(map(self._file, inputs)), tuple(map(self._file, outputs))))

    def of(self, graph: str) -> list[Case]:
        return [case for case in self.found if case.graph == graph]

    def forget_arrays(self) -> None:
        """Between two frames: nothing that was kept will come again."""
        self.kept.clear()

    def _file(self, array: np.ndarray) -> Path:
        if id(array) not in self.kept:
            path = self.folder / f"{self.count}.npy"
            self.count += 1
            np.save(path, array, allow_pickle=False)
            self.kept[id(array)] = (array, path)
        return self.kept[id(array)][1]


class TorchBackend:
    """The torch modules in a backend's place (ps3_ros/backends); `cases` gets what runs."""

    name = "torch"

    def __init__(self, modules: Mapping[str, nn.Module], settings: Settings, cases: Cases | None = None):
        self.modules, self.cases, self.contract = modules, cases, contract(settings)
        self.seen: dict[str, int] = {}

    def run(self, graph: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        wanted, given = self.contract[graph]
        arrays = tuple(inputs[spec.name] for spec in wanted)
        outputs = run_torch(self.modules[graph], arrays)
        self.seen[graph] = self.seen.get(graph, 0) + 1
        if self.cases and (graph != "region" or self.seen[graph] == 1 or len(inputs["mask"]) <= SMALL_MASK):
            self.cases.add(graph, "real", arrays, outputs)
        return {spec.name: value for spec, value in zip(given, outputs, strict=True)}


def run_torch(module: nn.Module, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    with torch.inference_mode():
        found = module(*(torch.from_numpy(np.ascontiguousarray(a)) for a in inputs))
    return tuple(t.numpy() for t in (found if isinstance(found, tuple) else (found,)))


def run_cases(module: nn.Module, cases: Sequence[Case], folder: Path) -> list[Case]:
    """The same inputs with what `module` answers to them, written to `folder`."""
    folder.mkdir()
    found = []
    for number, case in enumerate(cases):
        paths = []
        for output, value in enumerate(run_torch(module, case.inputs())):
            paths.append(folder / f"{number}-{output}.npy")
            np.save(paths[-1], value, allow_pickle=False)
        found.append(replace(case, output_files=tuple(paths)))
    return found


def ask_views(bundle: Bundle, backend, views: Sequence[View]) -> list[Outcome]:
    """One look at every view with its query, through the robot's own code. backend: a name, or one that is open.

    Torch's cases are those of the first question of each frame.
    """
    asker, outcomes = Asker(bundle, backend=backend), []
    cases = backend.cases if isinstance(backend, TorchBackend) else None
    for frame in by_frame(views):
        if cases:
            backend.cases = cases
            backend.seen.clear()
        asker.set_frame(frame[0].frame())
        for view in frame:
            outcomes.append(Outcome(view, asker.ask(view.query), asker.detail))
            if cases:
                backend.cases = None
                cases.forget_arrays()
    return outcomes


def random_cases(modules: Mapping[str, nn.Module], settings: Settings, vocabulary: int, positions: int, cases: Cases) -> None:
    """One case of every graph on random numbers. vocabulary: rows of the text tower; positions: of all high-res scales."""
    random = np.random.default_rng(0)
    sizes = {"Q": 3, "T": min(9, settings.context_length), "N": min(97, settings.max_patches), "R": 4}
    if settings.fixed_length:
        sizes["T"] = settings.context_length
    limits = {"ids": vocabulary, "position": positions}
    for name, (inputs, _) in contract(settings).items():
        arrays = tuple(_random(random, spec, sizes, limits) for spec in inputs)
        cases.add(name, "random", arrays, run_torch(modules[name], arrays))
    cases.forget_arrays()


def _random(random, spec: TensorSpec, sizes: dict[str, int], limits: dict[str, int]) -> np.ndarray:
    shape = [sizes.get(d, d) for d in spec.shape]
    if spec.dtype == "int64":
        return random.integers(0, limits[spec.name], shape)
    if spec.dtype == "bool":
        mask = random.random(shape) < 0.4
        mask[:, 0] = True
        return mask
    return random.standard_normal(shape, dtype=np.float32)
