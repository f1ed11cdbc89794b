"""ONNX Runtime: on the CPU, with CUDA, or with TensorRT. The provider that was asked for runs, or it is an error."""

import numpy as np

from ..errors import BackendError
from .checks import OPAQUE, check_inputs, graph_spec, one_line

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
INSTALL = {
    "cpu": "pip install onnxruntime",
    "cuda": "pip install onnxruntime-gpu in place of onnxruntime, with CUDA and cuDNN of the versions it names",
    "tensorrt": "pip install onnxruntime-gpu in place of onnxruntime, with TensorRT's libraries on the library path",
}
ORT_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(int64)": "int64", "tensor(bool)": "bool"}


def session_options(ort):
    """Options of every session, the robot's and the export's, of the module onnxruntime: what they compute, hold and say."""
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors only: fallbacks are checked, not read in a log
    options.enable_cpu_mem_arena = False  # an arena saves 5% of the time and holds 60 to 90 MB more (nano, one 4K frame)
    # x86 without VNNI adds two products of int8 in 16 bits, which overflow (an output off by 14% of its largest value where rounding is
    # 1%), unless told to take its time; other CPUs have no need and take none.
    options.add_session_config_entry("session.x64quantprecision", "1")
    return options


class OnnxRuntimeBackend:
    """One session a graph, all made when it opens: a robot pays for loading at its start and learns then what does not load."""

    def __init__(self, bundle, name, threads):
        try:
            import onnxruntime
        except ImportError as error:
            raise BackendError(f"backend {name!r} needs ONNX Runtime, which cannot be imported ({error}); {INSTALL['cpu']}") from error
        self.ort, self.name, self.device = onnxruntime, name, name.split(":")[1]
        self.graphs = bundle.manifest.graphs
        provider = PROVIDERS[self.device]
        if provider not in onnxruntime.get_available_providers():
            raise self._not_running(provider, onnxruntime.get_available_providers())
        self.sessions = {graph: self._session(bundle.path(spec.file), provider, threads) for graph, spec in self.graphs.items()}
        for graph, session in self.sessions.items():
            self._check_session(graph, session)

    def run(self, graph, inputs):
        """Outputs of a graph by name. inputs: {name: array}, of the manifest's names, dtypes and shapes. Raises BackendError."""
        spec = graph_spec(self.graphs, graph)
        check_inputs(graph, spec, inputs, self._opaque)
        session = self.sessions[graph]
        try:
            binding = session.io_binding()
            for name, value in inputs.items():
                if isinstance(value, np.ndarray):
                    binding.bind_cpu_input(name, np.ascontiguousarray(value))
                else:
                    binding.bind_ortvalue_input(name, value)
            for tensor in spec.outputs:
                binding.bind_output(tensor.name, "cuda" if tensor.name == OPAQUE and self.device != "cpu" else "cpu")
            session.run_with_iobinding(binding)
            values = dict(zip((t.name for t in spec.outputs), binding.get_outputs(), strict=True))
            return {name: value if name == OPAQUE else value.numpy() for name, value in values.items()}
        except Exception as error:  # ONNX Runtime's own exceptions share no base below Exception
            raise BackendError(f"graph {graph!r} failed on {self.name} ({one_line(error)}); check memory and the bundle") from error

    def _session(self, path, provider, threads):
        options = session_options(self.ort)
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning takes a third more CPU time for the same look
        chain = (
            [provider, "CUDAExecutionProvider", "CPUExecutionProvider"] if self.device == "tensorrt" else [provider, "CPUExecutionProvider"]
        )
        chain = [p for p in dict.fromkeys(chain) if p in self.ort.get_available_providers()]
        try:
            session = self.ort.InferenceSession(str(path), options, providers=chain)
        except Exception as error:  # see run
            raise BackendError(f"ONNX Runtime cannot load {str(path)!r} ({one_line(error)}); export the bundle again") from error
        if session.get_providers()[0] != provider:
            raise self._not_running(provider, session.get_providers())
        return session

    def _not_running(self, provider, instead):
        running = ", ".join(p for p in instead if p != "AzureExecutionProvider") or "nothing"
        return BackendError(
            f"backend {self.name!r} was asked for, but ONNX Runtime {self.ort.__version__} has {running} and not {provider}; "
            f"{INSTALL[self.device]}, or ask for onnxruntime:cpu"
        )

    def _check_session(self, graph, session):
        """The file's own inputs and outputs must be the manifest's: the hash proves that the file is the exporter's, not that it fits."""
        spec = self.graphs[graph]
        for kind, told, found in (("inputs", spec.inputs, session.get_inputs()), ("outputs", spec.outputs, session.get_outputs())):
            said = sorted((t.name, t.dtype, len(t.shape)) for t in told)
            have = sorted((t.name, ORT_TYPES.get(t.type, t.type), len(t.shape)) for t in found)
            if said != have:
                raise BackendError(f"graph {graph!r} has the {kind} {have} where its manifest says {said}; export the bundle again")

    def _opaque(self, value):
        """(dtype, shape) of a kv that this backend made; None where it is something else."""
        return (ORT_TYPES.get(value.data_type(), value.data_type()), tuple(value.shape())) if isinstance(value, self.ort.OrtValue) else None
