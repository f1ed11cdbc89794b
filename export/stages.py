"""Whole answers of a bundle whose graphs are not open together: every question's text, then every frame's glance, then every look."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ps3_ros.ask import Asker
from ps3_ros.backends import open_backend
from ps3_ros.backends.checks import OPAQUE
from ps3_ros.bundle import Bundle

from .memory import give_back
from .reference import Outcome
from .views import View, by_frame

STAGES = ({"text"}, {"glance", "select"}, {"look", "region"})


class Staged:
    """A CPU backend with one of STAGES open; keys and values lie in files of `folder` until their look."""

    def __init__(self, bundle: Bundle, name: str, folder: Path):
        self.bundle, self.name, self.folder = bundle, name, folder
        self.stage, self.backend, self.count = set(), None, 0

    def run(self, graph: str, inputs):
        if graph not in self.stage:
            self.backend = None  # closed before the next is opened
            give_back()
            self.stage = next(stage for stage in STAGES if graph in stage)
            graphs = {name: spec for name, spec in self.bundle.manifest.graphs.items() if name in self.stage}
            self.backend = open_backend(replace(self.bundle, manifest=replace(self.bundle.manifest, graphs=graphs)), self.name)
        return {name: self._to_file(value) if name == OPAQUE else value for name, value in self.backend.run(graph, inputs).items()}

    def _to_file(self, kv) -> np.ndarray:
        """kv as a read-only array that costs memory only while it is used. kv: an array, or what ONNX Runtime made of one."""
        path = self.folder / f"kv-{self.count}.npy"
        self.count += 1
        np.save(path, kv if isinstance(kv, np.ndarray) else kv.numpy(), allow_pickle=False)
        return np.load(path, mmap_mode="r", allow_pickle=False)


def ask_in_stages(bundle: Bundle, name: str, views: Sequence[View], work: Path) -> list[Outcome]:
    """As reference.ask_views by the CPU backend `name`, with each graph opened once and the weights of one stage in memory at a time.

    work: a folder for keys and values. Each frame stays in memory until the end.
    """
    first = Asker(bundle, backend=Staged(bundle, name, work))
    first.encoder.text(list(dict.fromkeys(view.query for view in views)))
    frames = by_frame(views)
    askers = [first.beside() for _ in frames]
    for asker, frame in zip(askers, frames, strict=True):
        asker.set_frame(frame[0].frame())
    outcomes = []
    for asker, frame in zip(askers, frames, strict=True):
        outcomes += [Outcome(view, asker.ask(view.query), asker.detail) for view in frame]
    return outcomes
