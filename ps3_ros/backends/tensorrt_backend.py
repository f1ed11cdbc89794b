"""TensorRT on the robot's GPU: plans of the bundle, or built here once and kept in the user's cache. No torch.

kv and a look's tokens never leave the GPU between stages; the rest goes through pinned memory. One stream and one context a graph, so runs
are one after the other whatever thread they come from.
"""

import threading
from dataclasses import dataclass

import numpy as np

from ..errors import BackendError, OutOfMemoryError
from .checks import check_inputs, graph_spec
from .cuda import Captures, Cuda, DeviceArray, Pool, aligned
from .tensorrt_build import find_engines, fingerprint
from .tensorrt_engine import checked_plan, load_package, most_sizes, tensorrt_log

NAMES = ("tensorrt", "tensorrt:build", "tensorrt-rtx", "tensorrt-rtx:build")  # build: engines that do not fit are built again
DEVICE_TENSORS = ("kv", "tokens")  # outputs that stay on the GPU where the look's graph or the region's takes them


@dataclass(eq=False)
class Unit:
    """One graph that is ready to run: its context, and the host and device memory of each tensor that is not handed in."""

    engine: object  # the context needs it alive
    context: object
    host: dict  # tensor name -> uint8 pinned
    device: dict  # tensor name -> cuda.Storage


class TensorRtBackend:
    """Every graph of a bundle as a plan on device 0. Raises BackendError; OutOfMemoryError where fewer patches may still fit."""

    def __init__(self, bundle, name, threads):
        self.name, self.graphs, self.settings = name, bundle.manifest.graphs, bundle.settings
        self.lock = threading.Lock()
        target, _, build = name.partition(":")
        self.trt, self.cuda = load_package(target), Cuda()
        here = fingerprint(target, self.trt, self.cuda.device())
        folder, engines = find_engines(bundle, here, self.trt, build=bool(build))
        self.log = tensorrt_log(self.trt)
        self.runtime = self.trt.Runtime(self.log)
        self.pool, self.captures, self.scratch = Pool(self.cuda), Captures(self.cuda), None
        self.units = {
            graph: self._unit(graph, checked_plan(folder, engines[graph], spec.sha256, here)) for graph, spec in self.graphs.items()
        }

    def run(self, graph, inputs):
        """Outputs of a graph by name: numpy arrays, or cuda.DeviceArray for kv and tokens, which also come back in as they are."""
        spec = graph_spec(self.graphs, graph)
        sizes = check_inputs(graph, spec, inputs, self._opaque)
        with self.lock:
            return self._run(graph, spec, inputs, sizes)

    def _run(self, graph, spec, inputs, sizes):
        unit, context, addresses = self.units[graph], self.units[graph].context, {}
        for tensor in spec.inputs:
            value = inputs[tensor.name]
            if isinstance(value, DeviceArray):
                addresses[tensor.name] = value.address
            else:
                staged = self._staged(unit, tensor.name, value.shape, value.dtype)
                np.copyto(staged, value)
                addresses[tensor.name] = unit.device[tensor.name].address
                self.cuda.to_device(addresses[tensor.name], staged)
            context.set_input_shape(tensor.name, tuple(value.shape))
        outputs = {}
        for tensor in spec.outputs:
            shape = tuple(sizes[n] if isinstance(n, str) else n for n in tensor.shape)
            if tensor.name in DEVICE_TENSORS:
                storage = self.pool.take(largest(tensor, self.settings))
                outputs[tensor.name] = DeviceArray(self.cuda, storage, shape, tensor.dtype)
                addresses[tensor.name] = outputs[tensor.name].address
            else:
                addresses[tensor.name] = unit.device[tensor.name].address
                outputs[tensor.name] = self._staged(unit, tensor.name, shape, tensor.dtype)
        for name, address in addresses.items():
            context.set_tensor_address(name, address)
        self._give_scratch(context)
        key = (graph, tuple(sorted(sizes.items())), tuple(sorted(addresses.items())))
        if not self.captures.run(key, lambda stream: context.execute_async_v3(int(stream))):
            self.cuda.wait()
            raise self._failure(graph)
        for name, value in outputs.items():
            if isinstance(value, np.ndarray):
                self.cuda.to_host(value, addresses[name])
        self.cuda.wait()
        return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in outputs.items()}

    def _unit(self, graph, plan):
        spec = self.graphs[graph]
        loaded = self.runtime.deserialize_cuda_engine(plan)
        if loaded is None:
            raise BackendError(f"TensorRT cannot load the engine of graph {graph!r} ({self.log.last}); build it again on this machine")
        said = {tensor.name for tensor in (*spec.inputs, *spec.outputs)}
        have = {loaded.get_tensor_name(n) for n in range(loaded.num_io_tensors)}
        if said != have:
            raise BackendError(f"the engine of graph {graph!r} has {sorted(have)} where its manifest says {sorted(said)}; build it again")
        context = loaded.create_execution_context(self.trt.ExecutionContextAllocationStrategy.USER_MANAGED)
        if context is None:
            raise self._failure(graph)
        unit = Unit(loaded, context, {}, {})
        for tensor in (*spec.inputs, *spec.outputs):
            if tensor not in spec.outputs or tensor.name not in DEVICE_TENSORS:
                count = largest(tensor, self.settings)
                unit.host[tensor.name] = self.cuda.pinned(count)
                unit.device[tensor.name] = self.pool.take(count)
        return unit

    def _staged(self, unit, name, shape, dtype):
        """The tensor's pinned memory as an array of this shape; it grows where a region has more tokens than a plan was made for."""
        count = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if count > unit.host[name].nbytes:
            raise BackendError(f"{name} of {list(shape)} is larger than its engine takes; ask with fewer looks")
        return unit.host[name][:count].view(dtype).reshape(shape)

    def _give_scratch(self, context):
        """Memory for what a run keeps on the way: as much as its sizes need, shared by all graphs, since they run one after the other."""
        count = aligned(context.update_device_memory_size_for_shapes())
        if self.scratch is None or self.scratch.bytes < count:
            self.captures.clear()
            self.scratch = None
            self.pool.release()
            self.scratch = self.pool.take(count)
        context.set_device_memory(self.scratch.address, self.scratch.bytes)

    def _failure(self, graph):
        kind = OutOfMemoryError if "memory" in self.log.last.lower() else BackendError
        return kind(f"graph {graph!r} failed on {self.name} ({self.log.last or 'TensorRT gave no reason'}); free GPU memory or rebuild")

    def _opaque(self, value):
        return (str(value.dtype), value.shape) if isinstance(value, DeviceArray) and value.cuda is self.cuda else None


def largest(tensor, settings):
    """Bytes of a tensor (manifest.TensorSpec) at the largest sizes that plans are made for."""
    sizes = most_sizes(settings, regions="R" in tensor.shape)
    count = int(np.prod([sizes[n] if isinstance(n, str) else n for n in tensor.shape]))
    return count * np.dtype(tensor.dtype).itemsize
