"""Engines of a bundle: found beside it or in the user's cache, or built on this machine from its ONNX graphs."""

import json
import logging
import os
from dataclasses import asdict
from pathlib import Path

from ..bundle import EngineSpec
from ..errors import BackendError, BundleError
from ..manifest import read_engines
from .auto import cache_folder
from .tensorrt_engine import build_plan, profile_shapes

ENGINES_FILE, TIMING_FILE = "engines.json", "timing.cache"
log = logging.getLogger("ps3_ros")


def fingerprint(target, trt, device):
    """What a plan is tied to: {name: text}. device: from cuda.Cuda.device; engines of TensorRT for RTX are portable between GPUs."""
    return {"package": target, "tensorrt": str(trt.__version__), **({} if target == "tensorrt-rtx" else device)}


def find_engines(bundle, here, trt, build=False):
    """(folder, {graph: EngineSpec}) that fits this machine and these graphs: the bundle's own, else the user's cache.

    here: this machine's fingerprint. build: where neither has them, they are built into the cache, which takes minutes.
    Raises BackendError.
    """
    target, cache = here["package"], cached_folder(bundle, here)
    for folder, engines in ((bundle.folder, bundle.manifest.engines), (cache, read_listed(cache))):
        fitting = {
            engine.graph: engine
            for engine in engines
            if engine.fingerprint == here
            and engine.graph in bundle.manifest.graphs
            and engine.onnx_sha256 == bundle.manifest.graphs[engine.graph].sha256
        }
        if fitting.keys() == bundle.manifest.graphs.keys():
            return folder, fitting
    what = ", ".join(f"{key} {value}" for key, value in here.items())
    if not build:
        raise BackendError(
            f"the bundle has no engines for this machine ({what}); build them once with ps3 export BUNDLE --target {target}, "
            f"or ask for backend {target}:build"
        )
    log.warning("building TensorRT engines for %s; this takes minutes, once", what)
    engines = build_engines(bundle, cache, trt, here)
    write_listed(cache, engines)
    return cache, {engine.graph: engine for engine in engines}


def build_engines(bundle, folder, trt, here, *, typical=None, workspace=None, progress=None):
    """Builds a plan of every graph into `folder`; returns a tuple of EngineSpec.

    here: this machine's fingerprint. typical, workspace: as profile_shapes and build_plan take them. progress: function (graph, phase,
    step, steps). The timing cache stays in `folder`, so that the next build is shorter. Raises BackendError.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    timing, engines = folder / TIMING_FILE, []
    for name, graph in bundle.manifest.graphs.items():
        cache = timing.read_bytes() if timing.is_file() else b""
        plan = build_plan(
            trt,
            bundle.path(graph.file),
            profile_shapes(bundle.settings, graph, typical),
            workspace=workspace,
            timing_cache=cache,
            progress=None if progress is None else lambda phase, step, steps, name=name: progress(name, phase, step, steps),
        )
        file = f"{name}.{here['package']}.plan"
        write_beside(folder / file, plan.data)
        if plan.timing_cache:
            write_beside(timing, plan.timing_cache)
        engines.append(EngineSpec(name, file, plan.sha256, graph.sha256, dict(here)))
    return tuple(engines)


def cached_folder(bundle, here):
    """Where this bundle's engines for this machine lie in the user's cache."""
    from hashlib import sha256

    facts = {"graphs": {name: graph.sha256 for name, graph in bundle.manifest.graphs.items()}, "fingerprint": here}
    return cache_folder() / "engines" / sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def read_listed(folder):
    """EngineSpecs that `write_listed` wrote into the folder; none where the file is missing or damaged: they are built again."""
    try:
        return read_engines(json.loads((Path(folder) / ENGINES_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, BundleError):
        return ()


def write_listed(folder, engines):
    """Writes the list of a folder's engines, last of all, so that a half-built set is none."""
    text = json.dumps([asdict(engine) for engine in engines], indent=1)
    write_beside(Path(folder) / ENGINES_FILE, text.encode())


def write_beside(path, data):
    """Writes bytes beside `path` and renames them to it."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(data)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
