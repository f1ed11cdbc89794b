"""The arithmetic of device arrays, and the error where there is no GPU. What needs a device is not tested here."""

from collections import OrderedDict
from enum import IntEnum
from types import SimpleNamespace

import pytest

from ps3_ros.backends import open_backend
from ps3_ros.backends.cuda import Cuda, DeviceArray, Pool, aligned, keep
from ps3_ros.bundle import load_bundle
from ps3_ros.errors import BackendError, OutOfMemoryError
from ps3_ros.recovery import STEPS, Ladder
from ps3_ros.responder import FAILURES


@pytest.fixture
def array():
    return DeviceArray(None, SimpleNamespace(address=4096), (600, 16), "float32")


def test_slices_are_views_of_the_same_memory(array):
    piece = array[256:512]
    assert (piece.shape, piece.address, piece.nbytes, len(piece)) == ((256, 16), 4096 + 256 * 64, 256 * 64, 256)
    assert array[None].shape == (1, 600, 16) and array[None][0].shape == (600, 16) and array[None].address == array.address
    assert array[512:9999].shape == (88, 16) and array[3].address == 4096 + 3 * 64


@pytest.mark.parametrize("key", [-1, 600, slice(0, 10, 2), (0, 1), "tokens"])
def test_other_keys_are_refused(array, key):
    with pytest.raises(IndexError, match="np.asarray"):
        array[key]


def test_addresses_are_aligned_and_captures_limited():
    assert [aligned(n) for n in (0, 1, 256, 257)] == [256, 256, 256, 512]
    entries = OrderedDict()
    assert [keep(entries, n, n, 2) for n in range(4)] == [None, None, 0, 1] and list(entries) == [2, 3]


def test_without_a_gpu_the_error_says_what_to_do(tiny_bundle):
    pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is an extra (preflight)")
    try:
        open_backend(load_bundle(tiny_bundle), "tensorrt-rtx")
    except BackendError as error:
        assert "\n" not in str(error) and ("cuda-python" in str(error) or "driver" in str(error) or "ps3 export BUNDLE" in str(error))
    else:
        pytest.skip("this machine has a GPU and engines")


class SmallDevice:
    """The CUDA runtime's calls on a device of `room` bytes: there is no GPU where this runs."""

    class cudaError_t(IntEnum):
        cudaSuccess, cudaErrorMemoryAllocation, cudaErrorLaunchFailure = 0, 2, 719

    def __init__(self, room):
        self.room, self.held = room, {}

    def cudaMalloc(self, count):
        if count > self.room - sum(self.held.values()):
            return self.cudaError_t.cudaErrorMemoryAllocation, 0
        address = 4096 * (len(self.held) + 1)
        self.held[address] = count
        return self.cudaError_t.cudaSuccess, address

    def cudaFree(self, address):
        del self.held[address]
        return (self.cudaError_t.cudaSuccess,)

    def cudaStreamSynchronize(self, stream):
        return (self.cudaError_t.cudaErrorLaunchFailure,)


@pytest.fixture
def cuda():
    made = Cuda.__new__(Cuda)  # without the driver that __init__ asks for
    made.runtime, made.stream = SmallDevice(4096), 0
    return made


def test_memory_that_runs_out_is_asked_for_again_after_what_lies_unused_went_back(cuda):
    pool = Pool(cuda)
    first = pool.take(3000)
    del first  # kept by the pool, for the next of its size
    assert pool.take(4096).bytes == 4096


def test_no_memory_is_an_error_that_the_ladder_steps_down_for(cuda):
    pool, ladder, looks = Pool(cuda), Ladder(), []
    while True:  # a look that needs 16 bytes a patch, of 1024 patches at first
        try:
            pool.take(int(ladder.share * 1024) * 16)
            looks.append(ladder.share)
            break
        except FAILURES as error:
            assert isinstance(error, OutOfMemoryError) and "cudaErrorMemoryAllocation" in str(error) and "free GPU memory" in str(error)
            assert ladder.failed()
    assert looks == [STEPS[2]]


def test_other_faults_of_the_device_are_no_lack_of_memory(cuda):
    with pytest.raises(BackendError, match="CUDA failed in cudaStreamSynchronize .cudaErrorLaunchFailure.") as error:
        cuda.wait()
    assert not isinstance(error.value, OutOfMemoryError)
