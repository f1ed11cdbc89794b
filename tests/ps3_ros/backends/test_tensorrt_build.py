"""Engines are built once, found again, and not taken for another machine or another graph. Built for real, by TensorRT for RTX."""

from dataclasses import replace
from hashlib import sha256

import pytest

from ps3_ros.backends import tensorrt_build
from ps3_ros.backends.tensorrt_build import build_engines, find_engines, fingerprint, read_listed, write_listed
from ps3_ros.backends.tensorrt_engine import load_package
from ps3_ros.bundle import load_bundle
from ps3_ros.errors import BackendError

pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is an extra (preflight)")


@pytest.fixture(scope="module")
def trt():
    return load_package("tensorrt-rtx")


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    """Only the region graph: building it takes a second."""
    whole = load_bundle(tiny_bundle)
    return replace(whole, manifest=replace(whole.manifest, graphs={"region": whole.manifest.graphs["region"]}))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture(scope="module")
def built(bundle, trt, tmp_path_factory):
    """(folder, engines)"""
    folder, seen = tmp_path_factory.mktemp("engines"), []
    engines = build_engines(bundle, folder, trt, fingerprint("tensorrt-rtx", trt, {}), progress=lambda *step: seen.append(step))
    assert seen and all(graph == "region" and 0 < step <= steps for graph, _, step, steps in seen)
    return folder, engines


def test_what_was_built_is_what_the_entry_says(bundle, built):
    folder, (engine,) = built
    assert sha256((folder / engine.file).read_bytes()).hexdigest() == engine.sha256
    assert engine.onnx_sha256 == bundle.manifest.graphs["region"].sha256 and engine.fingerprint["package"] == "tensorrt-rtx"
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_the_bundles_own_engines_come_first(bundle, built, trt):
    own = replace(bundle, manifest=replace(bundle.manifest, engines=built[1]))
    assert find_engines(own, fingerprint("tensorrt-rtx", trt, {}), trt) == (bundle.folder, {"region": built[1][0]})


@pytest.mark.parametrize("change", [{"fingerprint": {"package": "tensorrt-rtx", "tensorrt": "1.0"}}, {"onnx_sha256": "0" * 64}])
def test_engines_that_do_not_fit_are_not_found(bundle, built, trt, change):
    other = replace(bundle, manifest=replace(bundle.manifest, engines=(replace(built[1][0], **change),)))
    with pytest.raises(BackendError, match="no engines for this machine .*ps3 export BUNDLE --target tensorrt-rtx") as error:
        find_engines(other, fingerprint("tensorrt-rtx", trt, {}), trt)
    assert "\n" not in str(error.value)


def test_the_user_cache_is_filled_once(bundle, built, trt, monkeypatch):
    here = fingerprint("tensorrt-rtx", trt, {})

    def build(_, folder, *rest):
        folder.mkdir(parents=True)
        (folder / built[1][0].file).write_bytes((built[0] / built[1][0].file).read_bytes())
        return built[1]

    monkeypatch.setattr(tensorrt_build, "build_engines", build)  # what it does is tested above
    folder, engines = find_engines(bundle, here, trt, build=True)
    assert engines["region"] == built[1][0] and folder.is_dir()
    monkeypatch.setattr(tensorrt_build, "build_engines", lambda *_: pytest.fail("it was built again"))
    assert find_engines(bundle, here, trt, build=True) == (folder, engines)


@pytest.mark.parametrize("text", ["", "{", "{}", "[3]", "null"])
def test_a_damaged_list_is_no_list(tmp_path, built, text):
    write_listed(tmp_path, built[1])
    assert read_listed(tmp_path) == built[1]
    (tmp_path / tensorrt_build.ENGINES_FILE).write_text(text)
    assert read_listed(tmp_path) == ()


def test_a_gpu_is_part_of_a_full_tensorrts_fingerprint_only(trt):
    device = {"gpu": "Orin", "compute_capability": "8.7", "driver": "12.6"}
    assert fingerprint("tensorrt", trt, device) == {"package": "tensorrt", "tensorrt": trt.__version__, **device}
    assert fingerprint("tensorrt-rtx", trt, device) == {"package": "tensorrt-rtx", "tensorrt": trt.__version__}
