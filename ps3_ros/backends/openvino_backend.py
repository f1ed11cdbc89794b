"""OpenVINO on the CPU: the fastest int8 of an x86 robot. It reads the bundle's own ONNX graphs."""

import functools

import numpy as np

from ..errors import BackendError
from .checks import check_inputs, graph_spec, one_line

NAMES = ("openvino:cpu",)
INSTALL = "pip install openvino"
TYPES = {"f32": "float32", "f16": "float16", "i64": "int64", "boolean": "bool"}


@functools.cache
def shared_core():
    """The one openvino.Core of this process, kept to its end. Raises ImportError.

    Its CPU plugin lends the thread that loads it a signal stack and frees it with the core. Cores that go in another order than last in,
    first out, or in another thread, leave a freed stack behind, and the next signal (SIGTERM to a node) ends the process with SIGSEGV.
    """
    import openvino

    return openvino.Core()


class OpenVinoBackend:
    """One compiled model and one request a graph, all made when it opens. kv is a numpy array here."""

    def __init__(self, bundle, name, threads):
        try:
            core = shared_core()
        except ImportError as error:
            raise BackendError(f"backend {name!r} needs OpenVINO, which cannot be imported ({error}); {INSTALL}") from error
        self.name, self.graphs = name, bundle.manifest.graphs
        # Left alone, OpenVINO rounds to bfloat16 on CPUs that have it: right for what int8 leaves in floats, and for nothing else.
        settings = {"PERFORMANCE_HINT": "LATENCY"} | ({} if bundle.manifest.precision == "int8" else {"INFERENCE_PRECISION_HINT": "f32"})
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        self.requests = {}
        for graph, spec in self.graphs.items():
            path = bundle.path(spec.file)
            try:
                model = core.compile_model(str(path), "CPU", settings)
            except Exception as error:  # OpenVINO raises RuntimeError and its own kinds
                raise BackendError(f"OpenVINO cannot load {str(path)!r} ({one_line(error)}); export the bundle again") from error
            self._check_model(graph, spec, model)
            self.requests[graph] = model.create_infer_request()

    def run(self, graph, inputs):
        """Outputs of a graph by name. inputs: {name: array}, of the manifest's names, dtypes and shapes. Raises BackendError."""
        spec = graph_spec(self.graphs, graph)
        check_inputs(graph, spec, inputs)
        try:
            # Inputs are read where they are; outputs are copied, since the request's own memory is the next run's.
            found = self.requests[graph].infer({k: np.ascontiguousarray(v) for k, v in inputs.items()}, share_inputs=True)
            return {tensor.name: found[tensor.name] for tensor in spec.outputs}
        except Exception as error:  # see above
            raise BackendError(f"graph {graph!r} failed on {self.name} ({one_line(error)}); check memory and the bundle") from error

    def _check_model(self, graph, spec, model):
        """The file's own inputs and outputs must be the manifest's: the hash proves that the file is the exporter's, not that it fits."""
        for kind, told, found in (("inputs", spec.inputs, model.inputs), ("outputs", spec.outputs, model.outputs)):
            said = sorted((t.name, t.dtype, len(t.shape)) for t in told)
            have = sorted(
                (p.get_any_name(), TYPES.get(p.get_element_type().get_type_name(), str(p.get_element_type())), len(p.get_partial_shape()))
                for p in found
            )
            if said != have:
                raise BackendError(f"graph {graph!r} has the {kind} {have} where its manifest says {said}; export the bundle again")
