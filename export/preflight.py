"""Does every graph of a bundle parse and build? With TensorRT for RTX, which needs neither a GPU nor a driver for that.

It finds what ONNX's own checker misses: nodes, types and dynamic sizes that no TensorRT builds. What it builds is thrown away.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ps3_ros.backends.tensorrt_engine import build_plan, load_package, profile_shapes
from ps3_ros.bundle import Manifest

TARGET = "tensorrt-rtx"


@dataclass(frozen=True)
class Built:
    bytes: int
    seconds: float


def check_graphs(folder: Path, manifest: Manifest, progress: Callable[[str, int, int], None] | None = None) -> dict[str, Built]:
    """Builds every graph of the bundle in `folder`. What came out of each, by graph.

    Raises:
        BackendError: TensorRT for RTX is not here, or a graph does not build; it names the graph and TensorRT's reason.
    """
    package, built = load_package(TARGET), {}
    for number, (name, graph) in enumerate(manifest.graphs.items()):
        if progress:
            progress(f"build {name}", number, len(manifest.graphs))
        plan = build_plan(package, Path(folder) / graph.file, profile_shapes(manifest.settings, graph))
        built[name] = Built(plan.bytes, plan.seconds)
    if progress:
        progress("built", len(manifest.graphs), len(manifest.graphs))
    return built
