"""The few calls of the CUDA runtime that the TensorRT backend needs, by cuda-python: memory, one stream, captured graphs."""

import ctypes
import weakref
from collections import OrderedDict

import numpy as np

from ..errors import BackendError, OutOfMemoryError

ALIGNMENT = 256  # bytes: what TensorRT asks of every address
CAPTURES = 16  # captured graphs that are kept


class Cuda:
    """Device 0, its runtime and one stream. Raises BackendError where there is no driver or device."""

    def __init__(self):
        try:
            try:
                from cuda.bindings import runtime
            except ImportError:
                from cuda import cudart as runtime  # cuda-python before 12.8
        except (ImportError, OSError, RuntimeError) as error:
            raise BackendError(f"CUDA needs cuda-python, which cannot be imported ({error}); pip install cuda-python") from error
        self.runtime = runtime
        self.call("cudaSetDevice", 0)
        self.stream = self.call("cudaStreamCreate")

    def call(self, name, *arguments):
        """A runtime function's result: None, a value, or a tuple. Raises OutOfMemoryError, BackendError."""
        try:
            error, *values = getattr(self.runtime, name)(*arguments)
        except RuntimeError as failure:  # the bindings raise it where the driver's library is missing
            raise BackendError(f"CUDA is not usable here ({failure}); install the NVIDIA driver, or ask for another backend") from failure
        if int(error) != 0:
            kind = OutOfMemoryError if error == self.runtime.cudaError_t.cudaErrorMemoryAllocation else BackendError
            raise kind(f"CUDA failed in {name} ({error.name}); free GPU memory, or check the driver")
        return values[0] if len(values) == 1 else tuple(values) or None

    def device(self):
        """What an engine is tied to on this side: {"gpu", "compute_capability", "driver"}."""
        facts = self.call("cudaGetDeviceProperties", 0)
        name = facts.name.decode() if isinstance(facts.name, bytes) else str(facts.name)
        driver = self.call("cudaDriverGetVersion")
        return {"gpu": name, "compute_capability": f"{facts.major}.{facts.minor}", "driver": f"{driver // 1000}.{driver % 1000 // 10}"}

    def to_device(self, address, array):
        """Queues a copy of a host array (in pinned memory) to `address`."""
        kind = self.runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self.call("cudaMemcpyAsync", address, array.ctypes.data, array.nbytes, kind, self.stream)

    def to_host(self, array, address):
        """Queues a copy from `address` into a host array."""
        kind = self.runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self.call("cudaMemcpyAsync", array.ctypes.data, address, array.nbytes, kind, self.stream)

    def wait(self):
        self.call("cudaStreamSynchronize", self.stream)

    def pinned(self, count):
        """uint8 [count] of page-locked host memory, which copies do not wait for. It is kept for the life of the process's backend."""
        address = int(self.call("cudaMallocHost", max(count, 1)))
        return np.ctypeslib.as_array((ctypes.c_uint8 * max(count, 1)).from_address(address))


class Pool:
    """Device memory by size: what is let go is taken up again, so that addresses repeat and captured graphs can be used again."""

    def __init__(self, cuda):
        self.cuda, self.free = cuda, {}

    def take(self, count):
        """A Storage of at least `count` bytes. Raises OutOfMemoryError, after giving back what lies unused."""
        count = aligned(count)
        if self.free.get(count):
            return Storage(self, self.free[count].pop(), count)
        try:
            address = self.cuda.call("cudaMalloc", count)
        except OutOfMemoryError:
            self.release()
            address = self.cuda.call("cudaMalloc", count)
        return Storage(self, int(address), count)

    def release(self):
        """Gives unused memory back to the device."""
        for addresses in self.free.values():
            while addresses:
                self.cuda.call("cudaFree", addresses.pop())


class Storage:
    """Device memory that returns to its pool when the last array on it goes."""

    def __init__(self, pool, address, count):
        self.address, self.bytes = address, count
        weakref.finalize(self, pool.free.setdefault(count, []).append, address)


class DeviceArray:
    """An array on the GPU: kv, or a look's tokens. It can be sliced along its first axis and, where needed, copied to the host."""

    def __init__(self, cuda, storage, shape, dtype, offset=0):
        self.cuda, self.storage, self.offset = cuda, storage, offset
        self.shape, self.dtype = tuple(shape), np.dtype(dtype)

    @property
    def address(self):
        return self.storage.address + self.offset

    @property
    def nbytes(self):
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, key):
        """a[None], a[n], a[start:stop]: the same memory."""
        if key is None:
            return DeviceArray(self.cuda, self.storage, (1, *self.shape), self.dtype, self.offset)
        step = self.nbytes // max(self.shape[0], 1)
        if isinstance(key, slice):
            start, stop, stride = key.indices(self.shape[0])
            if stride == 1:
                return DeviceArray(self.cuda, self.storage, (max(0, stop - start), *self.shape[1:]), self.dtype, self.offset + start * step)
        elif isinstance(key, (int, np.integer)) and 0 <= key < self.shape[0]:
            return DeviceArray(self.cuda, self.storage, self.shape[1:], self.dtype, self.offset + int(key) * step)
        raise IndexError(f"a GPU array of {list(self.shape)} takes None, a number or start:stop, not {key!r}; use np.asarray first")

    def __array__(self, dtype=None, copy=None):
        host = np.empty(self.shape, self.dtype)
        self.cuda.to_host(host, self.address)
        self.cuda.wait()
        return host if dtype is None else host.astype(dtype, copy=False)


class Captures:
    """CUDA graphs of runs that came again with the same sizes and addresses: the CPU starts them in one call."""

    def __init__(self, cuda):
        self.cuda, self.graphs, self.seen = cuda, OrderedDict(), OrderedDict()

    def run(self, key, enqueue):
        """Runs `enqueue` (a function of the stream, returning success) on the stream; captured when `key` comes the second time."""
        if key in self.graphs:
            self.graphs.move_to_end(key)
            self.cuda.call("cudaGraphLaunch", self.graphs[key], self.cuda.stream)
            return True
        if key not in self.seen:
            keep(self.seen, key, True, 4 * CAPTURES)
            return enqueue(self.cuda.stream)
        mode = self.cuda.runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self.cuda.call("cudaStreamBeginCapture", self.cuda.stream, mode)
        done = enqueue(self.cuda.stream)
        graph = self.cuda.call("cudaStreamEndCapture", self.cuda.stream)
        if not done:
            return False
        executable = self.cuda.call("cudaGraphInstantiate", graph, 0)
        self.cuda.call("cudaGraphDestroy", graph)
        dropped = keep(self.graphs, key, executable, CAPTURES)
        if dropped is not None:
            self.cuda.call("cudaGraphExecDestroy", dropped)
        self.cuda.call("cudaGraphLaunch", executable, self.cuda.stream)
        return True

    def clear(self):
        """Forgets every capture: an address that they hold was given up."""
        while self.graphs:
            self.cuda.call("cudaGraphExecDestroy", self.graphs.popitem()[1])
        self.seen.clear()


def keep(entries, key, value, most):
    """Adds to an ordered dict of at most `most`; returns the value that had to go, or None."""
    entries[key] = value
    return entries.popitem(last=False)[1] if len(entries) > most else None


def aligned(count):
    """Bytes, rounded up to what an address may start at."""
    return max(ALIGNMENT, -(-int(count) // ALIGNMENT) * ALIGNMENT)
