"""OpenVINO gives what ONNX Runtime gives on the same bundle, and refuses what it refuses."""

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("openvino", reason="OpenVINO is an extra")

from ps3_ros.ask import Asker
from ps3_ros.backends import open_backend
from ps3_ros.bundle import load_bundle
from ps3_ros.errors import BackendError
from ps3_ros.frame import Frame


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    return load_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def backend(bundle):
    return open_backend(bundle, "openvino:cpu", threads=1)


def close(found, expected):
    assert found.shape == expected.shape and found.dtype == expected.dtype
    return np.abs(found.astype(np.float32) - expected).max() <= 1e-4 * np.abs(expected).max()


def test_a_whole_answer_is_the_same(bundle, backend):
    frame = Frame(np.random.default_rng(0).integers(0, 256, (270, 480, 3), dtype=np.uint8), 0, "noise")
    answers, askers = [], [Asker(bundle, backend=b, threads=1) for b in (backend, "onnxruntime:cpu")]
    for asker in askers:
        asker.set_frame(frame)
        answers.append(asker.ask("stop sign"))
    ours, theirs = answers
    assert ours.backend == "openvino:cpu" and ours.patches_used == theirs.patches_used > 200
    assert close(askers[0].detail.relevance, askers[1].detail.relevance)
    assert abs(ours.regions[0].score - theirs.regions[0].score) < 1e-4


@pytest.mark.parametrize(("precision", "exact"), [("fp32", True), ("fp16", True), ("int8", False)])
def test_only_int8_may_round_what_stays_in_floats(bundle, precision, exact):
    import openvino

    manifest = replace(bundle.manifest, precision=precision, graphs={"region": bundle.manifest.graphs["region"]})
    opened = open_backend(replace(bundle, manifest=manifest), "openvino:cpu", threads=1)
    hint = opened.requests["region"].get_compiled_model().get_property("INFERENCE_PRECISION_HINT").to_string()
    assert hint == "f32" or not exact
    if not exact and "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert hint == "bf16"


def test_outputs_stay_when_the_graph_runs_again(backend, bundle):
    side = bundle.settings.scales[0]
    random = np.random.default_rng(1)
    first = backend.run("glance", {"pixels": random.standard_normal((1, 3, side, side), np.float32)})
    kept = {name: value.copy() for name, value in first.items()}
    backend.run("glance", {"pixels": random.standard_normal((1, 3, side, side), np.float32)})
    assert all(np.array_equal(first[name], kept[name]) for name in kept)


def test_any_number_of_patches(backend, bundle):
    settings = bundle.settings
    kv = np.zeros((settings.layers, 2, 1, settings.heads, settings.tokens, settings.dim // settings.heads), np.float32)
    for n in (1, 7, settings.max_patches):
        inputs = {"patches": np.ones((1, n, 3 * settings.patch**2), np.float32), "position": np.arange(n), "kv": kv}
        assert backend.run("look", inputs)["tokens"].shape == (1, n, settings.dim)


def test_what_does_not_fit_is_refused(backend, bundle):
    with pytest.raises(BackendError, match="float64"):
        backend.run("glance", {"pixels": np.zeros((1, 3, 64, 64))})
    with pytest.raises(BackendError, match="'shout'"):
        backend.run("shout", {})


def test_a_file_that_is_no_graph_is_refused(tiny_bundle, tmp_path):
    folder = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    (folder / "text.onnx").write_bytes(b"not a graph")
    with pytest.raises(BackendError, match="text.onnx") as error:
        open_backend(load_bundle(folder, check_hashes=False), "openvino:cpu")
    assert "\n" not in str(error.value)


SIGNALLED = """
import faulthandler, gc, os, signal, sys
faulthandler.enable()  # as pytest and many nodes do: handlers run on a signal stack
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
from ps3_ros.backends import open_backend
from ps3_ros.bundle import load_bundle
bundle = load_bundle(sys.argv[1])
first, second = (open_backend(bundle, "openvino:cpu", 1) for _ in range(2))
del first
gc.collect()
del second
gc.collect()
os.kill(os.getpid(), signal.SIGUSR1)
"""


def test_a_signal_after_backends_have_gone_in_any_order_is_handled(tiny_bundle):
    run = subprocess.run([sys.executable, "-c", SIGNALLED, str(tiny_bundle)], capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "handled\n"), run.stderr[-1000:]
