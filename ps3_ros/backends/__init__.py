"""What runs a bundle's graphs. A backend has `name`, `run(graph, inputs) -> outputs`, and raises BackendError.

Inputs and outputs are dicts of numpy arrays by tensor name; `kv` is an opaque value that only goes back into the same backend, so that a
device can keep it.
"""

from ..errors import BackendError
from . import onnxruntime_backend

NAMES = tuple(f"onnxruntime:{device}" for device in onnxruntime_backend.PROVIDERS)


def open_backend(bundle, name="onnxruntime:cpu", threads=0):
    """A backend with every graph of a bundle loaded. threads: CPU threads, 0 = the runtime's choice. Raises BackendError."""
    if name not in NAMES:
        raise BackendError(f"backend {name!r} is unknown; choose one of {', '.join(NAMES)}")
    if isinstance(threads, bool) or not isinstance(threads, int) or not 0 <= threads <= 1024:
        raise BackendError(f"threads is {threads!r} where a whole number from 0 (the runtime's choice) to 1024 is needed")
    return onnxruntime_backend.OnnxRuntimeBackend(bundle, name, threads)
