"""What every backend checks before it runs a graph, and how it puts a runtime's failure into one sentence."""

import numpy as np

from ..errors import BackendError

OPAQUE = "kv"  # stays what its backend made of it, on the device where there is one


def graph_spec(graphs, graph):
    """The manifest's entry of a graph. Raises BackendError where the bundle has none of this name."""
    if graph not in graphs:
        raise BackendError(f"graph {graph!r} is not in this bundle, which has {', '.join(graphs)}; export a bundle that has it")
    return graphs[graph]


def check_inputs(graph, spec, inputs, opaque=lambda value: None):
    """Names, dtypes and shapes must be the manifest's. Returns the named sizes, such as {"N": 5}; raises BackendError.

    opaque: function of a value that is no numpy array, giving its (dtype, shape), or None where it is not this backend's.
    """
    wanted = {tensor.name: tensor for tensor in spec.inputs}
    if set(inputs) != set(wanted):
        raise BackendError(f"graph {graph!r} was given {sorted(inputs)} where it takes {sorted(wanted)}")
    sizes = {}
    for name, value in inputs.items():
        tensor = wanted[name]
        found = (str(value.dtype), value.shape) if isinstance(value, np.ndarray) else opaque(value)
        if found is None:
            raise BackendError(f"graph {graph!r}: {name} is {type(value).__name__} where a numpy array is needed")
        dtype, shape = found
        fits = len(shape) == len(tensor.shape) and all(
            n == want if isinstance(want, int) else n >= 1 and sizes.setdefault(want, n) == n
            for n, want in zip(shape, tensor.shape, strict=True)
        )
        if dtype != tensor.dtype or not fits:
            raise BackendError(
                f"graph {graph!r}: {name} is {dtype} {list(shape)} where {tensor.dtype} {list(tensor.shape)} is needed"
                + (f" with {sizes}" if sizes else "")
            )
    return sizes


def one_line(error, limit=200):
    """An exception's text on one line of at most `limit` characters."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."
