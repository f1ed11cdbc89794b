"""What a target adds to a bundle's ONNX graphs, and which backend answers for it in the gate."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ps3_ros.backends.tensorrt_build import build_engines, fingerprint
from ps3_ros.backends.tensorrt_engine import load_package
from ps3_ros.bundle import Bundle, Manifest, write_manifest

from .reference import Outcome, ask_views
from .stages import ask_in_stages
from .views import View
from .weights import LARGE_MODEL

BACKENDS = {"onnx": "onnxruntime:cpu", "openvino": "openvino:cpu", "tensorrt": "tensorrt", "tensorrt-rtx": "onnxruntime:cpu"}


def ask_bundle(bundle: Bundle, target: str, views: Sequence[View], work: Path) -> list[Outcome]:
    """What the bundle answers to the gate's questions, by its target's backend. TensorRT for RTX builds where no GPU is, so its graphs are
    judged by ONNX Runtime there. A large model is asked a stage at a time: all graphs at once may be twice the weights, as CPUs widen
    halves. work: a folder for what lies between its stages."""
    size = sum(bundle.path(file.file).stat().st_size for file in bundle.manifest.weights)
    name = BACKENDS[target]
    if size >= LARGE_MODEL and name.endswith(":cpu"):
        return ask_in_stages(bundle, name, views, work)
    return ask_views(bundle, name, views)


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
