"""The arithmetic of device arrays, and the error where there is no GPU. What needs a device is not tested here."""

from collections import OrderedDict
from types import SimpleNamespace

import pytest

from ps3_ros.backends import open_backend
from ps3_ros.backends.cuda import DeviceArray, aligned, keep
from ps3_ros.bundle import load_bundle
from ps3_ros.errors import BackendError


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
