"""What runs a bundle's graphs. A backend has `name`, `run(graph, inputs) -> outputs`, and raises BackendError.

Inputs and outputs are dicts of numpy arrays by tensor name; `kv` is an opaque value that only goes back into the same backend, so that a
device can keep it.
"""

from ..errors import BackendError
from . import onnxruntime_backend, openvino_backend, tensorrt_backend

ONNX_RUNTIME = tuple(f"onnxruntime:{device}" for device in onnxruntime_backend.PROVIDERS)
AUTO = "auto"
NAMES = (*ONNX_RUNTIME, *openvino_backend.NAMES, *tensorrt_backend.NAMES, AUTO)


def open_backend(bundle, name="onnxruntime:cpu", threads=0):
    """A backend with every graph of a bundle loaded. threads: CPU threads, 0 = the runtime's choice. Raises BackendError.

    "auto" is the fastest that works on this machine (auto.py).
    """
    if name not in NAMES:
        raise BackendError(f"backend {name!r} is unknown; choose one of {', '.join(NAMES)}")
    if isinstance(threads, bool) or not isinstance(threads, int) or not 0 <= threads <= 1024:
        raise BackendError(f"threads is {threads!r} where a whole number from 0 (the runtime's choice) to 1024 is needed")
    if name == AUTO:
        from .auto import open_fastest

        return open_fastest(bundle, threads)
    if name in openvino_backend.NAMES:
        return openvino_backend.OpenVinoBackend(bundle, name, threads)
    if name in tensorrt_backend.NAMES:
        return tensorrt_backend.TensorRtBackend(bundle, name, threads)
    return onnxruntime_backend.OnnxRuntimeBackend(bundle, name, threads)
