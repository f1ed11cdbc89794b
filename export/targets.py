"""What a target adds to a bundle's ONNX graphs, and which backend answers for it in the gate."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ps3_ros.backends import open_backend
from ps3_ros.backends.tensorrt_build import build_engines, fingerprint
from ps3_ros.backends.tensorrt_engine import load_package
from ps3_ros.bundle import Bundle, Manifest, write_manifest

from .weights import LARGE_MODEL

BACKENDS = {"onnx": "onnxruntime:cpu", "openvino": "openvino:cpu", "tensorrt": "tensorrt", "tensorrt-rtx": "onnxruntime:cpu"}


def gate_backend(target: str, bundle: Bundle):
    """What answers in the gate: a backend's name, or an open one. TensorRT for RTX builds where no GPU is, so its graphs are judged by ONNX
    Runtime there. A large model's graphs are open one at a time: all of them may be twice the weights, since a CPU widens halves."""
    size = sum(bundle.path(file.file).stat().st_size for file in bundle.manifest.weights)
    name = BACKENDS[target]
    return OneGraph(bundle, name) if size >= LARGE_MODEL and name.endswith(":cpu") else name


class OneGraph:
    """A backend of which only the graph that ran last is open. kv is whatever a CPU backend made of it, which its next graph takes."""

    def __init__(self, bundle: Bundle, name: str):
        self.bundle, self.name, self.graph, self.backend = bundle, name, "", None

    def run(self, graph: str, inputs):
        if graph != self.graph:
            self.backend = None  # closed before the next is opened
            only = replace(self.bundle.manifest, graphs={graph: self.bundle.manifest.graphs[graph]})
            self.backend, self.graph = open_backend(replace(self.bundle, manifest=only), self.name), graph
        return self.backend.run(graph, inputs)


def finish_target(folder: Path, manifest: Manifest, target: str, check: bool, steps: Callable[[str], None]) -> Manifest:
    """Engines for a TensorRT target, and the preflight where `check` asks for it. Returns the manifest, with the engines in it."""
    if check:
        from .preflight import check_graphs

        steps("build with TensorRT for RTX")
        check_graphs(folder, manifest)
    if target.startswith("tensorrt"):
        steps("build engines")
        manifest = add_engines(folder, manifest, target)
    return manifest


def add_engines(
    folder: Path, manifest: Manifest, target: str, typical: int | None = None, workspace: int | None = None, progress=None
) -> Manifest:
    """Builds engines of a target beside the graphs in `folder` and writes them into its manifest, in place of that target's older ones.

    typical: patches of the look they are made fastest for; workspace: bytes; progress: as build_engines takes it.

    Raises:
        BackendError: the package, the driver or the GPU is not here, or a graph does not build.
    """
    trt, device = load_package(target), {}
    if target == "tensorrt":
        from ps3_ros.backends.cuda import Cuda

        device = Cuda().device()
    here = fingerprint(target, trt, device)
    bundle = Bundle(Path(folder), manifest, np.empty(0, np.float32))
    built = build_engines(bundle, folder, trt, here, typical=typical, workspace=workspace, progress=progress)
    kept = tuple(engine for engine in manifest.engines if engine.fingerprint.get("package") != target)
    manifest = replace(manifest, engines=(*kept, *built))
    write_manifest(folder, manifest)
    return manifest
