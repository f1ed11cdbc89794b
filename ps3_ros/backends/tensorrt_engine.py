"""TensorRT plans: built by the Python API in one way from 10.3 to 11 and for RTX, and refused wherever they do not fit.

A plan is code for one TensorRT on one kind of GPU. It is only ever deserialized after its fingerprint was found to be this machine's and
its bytes to be those that were hashed when it was built: TensorRT itself detects no tampering.
"""

import importlib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import perf_counter

from ..errors import BackendError
from .checks import one_line

PACKAGES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}  # target -> module
INSTALL = {
    "tensorrt": "it comes with JetPack, or pip install tensorrt of the version your CUDA needs",
    "tensorrt-rtx": "pip install tensorrt-rtx-cu13",
}
QUERIES = (1, 1, 16)  # at a time: least, typical, most
REGIONS = (1, 16, 256)  # rows of a mask: encoder.TOKENS_AT_A_TIME is the most
REGION_LOOKS = 4  # looks whose tokens the region graph takes at a time
TYPICAL_WORDS = 16  # tokens of a query
AGAIN = "build it again on this machine with ps3 export BUNDLE --target tensorrt"


@dataclass(frozen=True, eq=False)
class Plan:
    data: bytes
    timing_cache: bytes  # for the next build on this machine
    seconds: float

    @property
    def bytes(self):
        return len(self.data)

    @property
    def sha256(self):
        return sha256(self.data).hexdigest()


def load_package(target):
    """The Python package of a target. Raises BackendError where it is not here or its libraries do not load."""
    try:
        return importlib.import_module(PACKAGES[target])
    except (ImportError, OSError, RuntimeError) as error:  # the wheels raise what the dynamic loader raises
        raise BackendError(f"target {target!r} needs {PACKAGES[target]}, which cannot be imported ({error}); {INSTALL[target]}") from error


def profile_shapes(settings, graph, typical=None):
    """{input: (least, typical, most)} of the inputs of `graph` (manifest.GraphSpec) that have a dynamic size; empty where none has.

    typical: patches of the look that the engine is made fastest for; None = a full one.
    """
    regions = any("R" in tensor.shape for tensor in graph.inputs)
    full = settings.max_patches
    usual = {
        "N": min(REGIONS[2] if regions else typical or full, full),
        "Q": QUERIES[1],
        "T": min(TYPICAL_WORDS, settings.context_length),
        "R": REGIONS[1],
    }
    sizes = {name: (1, usual[name], most) for name, most in most_sizes(settings, regions).items()}
    return {
        tensor.name: tuple(tuple(sizes[n][k] if isinstance(n, str) else n for n in tensor.shape) for k in range(3))
        for tensor in graph.inputs
        if any(isinstance(n, str) for n in tensor.shape)
    }


def most_sizes(settings, regions):
    """The largest of each named size that plans are made for. regions: of the region graph, whose tokens may come from several looks."""
    patches = settings.max_patches * (REGION_LOOKS if regions else 1)
    return {"N": patches, "Q": QUERIES[2], "T": settings.context_length, "R": REGIONS[2]}


def build_plan(trt, path, shapes, *, tf32=False, workspace=None, timing_cache=b"", progress=None):
    """Parses the ONNX file `path` and builds its Plan. The types are the graph's own.

    trt: from load_package. shapes: from profile_shapes. tf32: whether float32 products may be rounded to ten bits. workspace: bytes a
    layer may use, None = TensorRT's choice. timing_cache: of an earlier build. progress: function (phase, step, steps); where it raises
    KeyboardInterrupt the build ends. Raises BackendError.
    """
    start, log = perf_counter(), tensorrt_log(trt)
    builder = trt.Builder(log)
    network, parser = _parse(trt, builder, log, path)
    config = builder.create_builder_config()
    if not tf32:
        config.clear_flag(trt.BuilderFlag.TF32)
    if workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, int(workspace))
    cache = config.create_timing_cache(timing_cache)
    config.set_timing_cache(cache, False)
    if shapes:
        profile = builder.create_optimization_profile()
        for name, (least, typical, most) in shapes.items():
            profile.set_shape(name, least, typical, most)
        if config.add_optimization_profile(profile) < 0:
            raise BackendError(f"graph {Path(path).name!r} does not take the sizes {shapes}; export the bundle again")
    monitor = _monitor(trt, progress)
    config.progress_monitor = monitor
    data = builder.build_serialized_network(network, config)
    if monitor.stopped:
        raise KeyboardInterrupt
    if data is None:
        raise BackendError(f"graph {Path(path).name!r} does not build with TensorRT {trt.__version__}: {log.last or 'it gave no reason'}")
    kept = config.get_timing_cache()
    del parser  # it owns the weights until here
    return Plan(bytes(data), bytes(kept.serialize()) if kept is not None else b"", perf_counter() - start)


def _parse(trt, builder, log, path):
    flags = 0
    for name in ("EXPLICIT_BATCH", "STRONGLY_TYPED"):  # neither is in every version; where one is missing it is always on
        flag = getattr(trt.NetworkDefinitionCreationFlag, name, None)
        flags |= 0 if flag is None else 1 << int(flag)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(str(path)):
        reason = log.last or "; ".join(one_line(parser.get_error(n).desc()) for n in range(min(2, parser.num_errors)))
        raise BackendError(f"graph {Path(path).name!r} is not understood by TensorRT {trt.__version__}: {reason}")
    return network, parser


def tensorrt_log(trt):
    """A TensorRT logger that keeps the last error instead of printing it: it is in the one sentence that the caller raises."""

    class Log(trt.ILogger):
        def __init__(self):
            trt.ILogger.__init__(self)
            self.last = ""

        def log(self, severity, message):
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.last = one_line(message)

    return Log()


def _monitor(trt, progress):
    class Monitor(trt.IProgressMonitor):
        def __init__(self):
            trt.IProgressMonitor.__init__(self)
            self.steps, self.stopped = {}, False

        def phase_start(self, phase, parent, steps):
            self.steps[phase] = steps

        def step_complete(self, phase, step):
            try:
                if progress and phase in self.steps:
                    progress(phase, step + 1, self.steps[phase])
            except KeyboardInterrupt:
                self.stopped = True
            return not self.stopped

        def phase_finish(self, phase):
            self.steps.pop(phase, None)

    return Monitor()


def checked_plan(folder, engine, onnx_sha256, fingerprint):
    """Bytes of an engine (manifest.EngineSpec) that is safe to deserialize here. Raises BackendError with what does not fit.

    fingerprint: this machine's, {name: text}. The bytes that are hashed are the bytes that are returned.
    """
    for key in sorted(engine.fingerprint.keys() | fingerprint.keys()):
        built, here = engine.fingerprint.get(key, "nothing"), fingerprint.get(key, "nothing")
        if built != here:
            raise BackendError(f"engine {engine.file!r} was built for {key} {built} where this machine has {here}; {AGAIN}")
    if engine.onnx_sha256 != onnx_sha256:
        raise BackendError(f"engine {engine.file!r} was built from another {engine.graph}.onnx; {AGAIN}")
    try:
        data = (Path(folder) / engine.file).read_bytes()
    except OSError as error:
        raise BackendError(f"engine {engine.file!r} cannot be read ({error.strerror}); {AGAIN}") from error
    found = sha256(data).hexdigest()
    if found != engine.sha256:
        raise BackendError(
            f"engine {engine.file!r} has sha256 {found[:12]}... where its manifest says {engine.sha256[:12]}...; "
            f"it was changed or damaged, and is not loaded; {AGAIN}"
        )
    return data
