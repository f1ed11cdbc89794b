"""ONNX Runtime on real exported graphs: what it gives, and what it refuses before or while it runs."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from ps3_ros.backends import NAMES, open_backend
from ps3_ros.bundle import contract, load_bundle
from ps3_ros.errors import BackendError


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    return load_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def backend(bundle):
    return open_backend(bundle, threads=1)


@pytest.fixture(scope="module")
def glance(backend, bundle):
    side = bundle.settings.scales[0]
    return backend.run("glance", {"pixels": np.zeros((1, 3, side, side), np.float32)})


def look_inputs(bundle, glance, n=5):
    values = 3 * bundle.settings.patch**2
    return {"patches": np.zeros((1, n, values), np.float32), "position": np.arange(n), "kv": glance["kv"]}


def test_every_graph_gives_the_contracts_outputs(backend, bundle, glance):
    settings = bundle.settings
    look = backend.run("look", look_inputs(bundle, glance))
    aux = np.zeros((1, 3, settings.aux_size, settings.aux_size), np.float32)
    results = {
        "glance": glance,
        "look": look,
        "select": backend.run("select", {"pixels": aux}),
        "text": backend.run("text", {"ids": np.array([[2, 5, 3]])}),
        "region": backend.run("region", {"tokens": look["tokens"], "mask": np.ones((2, 5), bool)}),
    }
    sizes = {"N": 5, "Q": 1, "R": 2}
    for graph, (_, outputs) in contract(settings).items():
        assert set(results[graph]) == {tensor.name for tensor in outputs}
        for tensor in outputs:
            value = results[graph][tensor.name]
            shape = tuple(value.shape()) if tensor.name == "kv" else value.shape
            assert shape == tuple(sizes.get(n, n) for n in tensor.shape)
            assert tensor.name == "kv" or (value.dtype == np.float32 and np.isfinite(value).all())


def test_kv_may_also_be_an_array(backend, bundle, glance):
    inputs = look_inputs(bundle, glance)
    opaque = backend.run("look", inputs)["tokens"]
    plain = backend.run("look", {**inputs, "kv": glance["kv"].numpy()})["tokens"]
    np.testing.assert_array_equal(opaque, plain)


def test_inputs_need_not_be_contiguous(backend, bundle, glance):
    inputs = look_inputs(bundle, glance)
    inputs["patches"] = np.random.default_rng(0).random((1, 10, 3 * 256), np.float32)[:, ::2]
    dense = {**inputs, "patches": inputs["patches"].copy()}
    np.testing.assert_array_equal(backend.run("look", inputs)["tokens"], backend.run("look", dense)["tokens"])


BAD_INPUTS = [  # change of look's inputs, words of the message
    (lambda d: d.pop("kv"), "was given"),
    (lambda d: d.update(extra=d["position"]), "was given"),
    (lambda d: d.update(patches=d["patches"].astype(np.float64)), "float64"),
    (lambda d: d.update(position=d["position"].astype(np.int32)), "int32"),
    (lambda d: d.update(position=d["position"][:4]), "N"),
    (lambda d: d.update(patches=d["patches"][0]), r"\[5, 768\]"),
    (lambda d: d.update(patches=d["patches"][:, :, :5]), r"\[1, 5, 5\]"),
    (lambda d: d.update(patches=d["patches"][:, :0], position=d["position"][:0]), r"\[1, 0, 768\]"),
    (lambda d: d.update(patches=d["patches"].tolist()), "list"),
    (lambda d: d.update(kv=None), "NoneType"),
    (lambda d: d.update(kv=d["kv"].numpy()[:1]), r"\[1, 2, 1"),
]


@pytest.mark.parametrize(("change", "words"), BAD_INPUTS)
def test_inputs_that_do_not_fit_are_refused(backend, bundle, glance, change, words):
    inputs = look_inputs(bundle, glance)
    change(inputs)
    with pytest.raises(BackendError, match=words) as error:
        backend.run("look", inputs)
    assert "\n" not in str(error.value)


def test_sums_of_int8_may_not_overflow_on_any_cpu(backend):
    """What it does to a graph of int8: tests/export/test_quantize.py, on a CPU without VNNI."""
    for session in backend.sessions.values():
        assert session.get_session_options().get_session_config_entry("session.x64quantprecision") == "1"


def test_unknown_graphs_are_refused(backend):
    with pytest.raises(BackendError, match="'shout'"):
        backend.run("shout", {})


def test_the_runtimes_own_failure_is_one_sentence_and_the_next_run_works(backend, bundle, glance):
    inputs = look_inputs(bundle, glance)
    with pytest.raises(BackendError, match="look.*failed on onnxruntime:cpu") as error:
        backend.run("look", {**inputs, "position": np.full(5, 10**9)})  # outside the positional table
    assert "\n" not in str(error.value)
    assert np.isfinite(backend.run("look", inputs)["tokens"]).all()


@pytest.mark.parametrize("name", ["onnxruntime", "cpu", "onnxruntime:gpu", "tensorrt:cpu", "", None])
def test_unknown_backends_are_refused(bundle, name):
    with pytest.raises(BackendError, match="onnxruntime:cpu, onnxruntime:cuda, onnxruntime:tensorrt"):
        open_backend(bundle, name)


@pytest.mark.parametrize("threads", [-1, 1.5, "2", True, None])
def test_bad_thread_counts_are_refused(bundle, threads):
    with pytest.raises(BackendError, match="threads"):
        open_backend(bundle, threads=threads)


@pytest.mark.parametrize(
    ("name", "provider"), [("onnxruntime:cuda", "CUDAExecutionProvider"), ("onnxruntime:tensorrt", "TensorrtExecutionProvider")]
)
def test_a_device_that_is_not_there_is_an_error_and_not_the_cpu(bundle, name, provider):
    assert name in NAMES
    if provider in onnxruntime.get_available_providers():
        pytest.skip(f"this ONNX Runtime has {provider}")
    with pytest.raises(BackendError, match=f"CPUExecutionProvider and not {provider}; pip install onnxruntime-gpu"):
        open_backend(bundle, name)


def test_a_file_that_is_no_graph_is_refused(tiny_bundle, tmp_path):
    import shutil

    folder = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    (folder / "look.onnx").write_bytes(b"not a graph")
    with pytest.raises(BackendError, match="look.onnx"):
        open_backend(load_bundle(folder, check_hashes=False))


def test_a_graph_that_is_not_what_the_manifest_says_is_refused(bundle):
    manifest = bundle.manifest
    swapped = replace(manifest, graphs={**manifest.graphs, "select": replace(manifest.graphs["select"], file=manifest.graphs["look"].file)})
    with pytest.raises(BackendError, match="'select' has the inputs"):
        open_backend(replace(bundle, manifest=swapped))
