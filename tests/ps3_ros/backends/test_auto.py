"""backend "auto": measures once, remembers, and goes on without what no longer works."""

import json

import pytest

from ps3_ros.backends import auto, open_backend
from ps3_ros.bundle import load_bundle
from ps3_ros.errors import BackendError


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    return load_bundle(tiny_bundle)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "ps3_ros" / auto.CACHE_FILE


def test_the_first_use_measures_and_the_second_remembers(bundle, cache, monkeypatch):
    backend = open_backend(bundle, "auto", threads=1)
    (times,) = json.loads(cache.read_text()).values()
    assert backend.name == min(times, key=times.get) and "onnxruntime:cpu" in times and all(ms > 0 for ms in times.values())
    assert backend.reason.startswith(f"{backend.name} is the fastest of") and "measured now" in backend.reason
    monkeypatch.setattr(auto, "frame_ms", lambda *_: pytest.fail("it was measured again"))
    again = open_backend(bundle, "auto", threads=1)
    assert again.name == backend.name and "as measured before" in again.reason


def test_the_fastest_is_chosen(bundle, cache):
    auto.remember(cache, auto.machine_key(bundle, 1), {"openvino:cpu": 90.0, "onnxruntime:cpu": 8.0})
    assert open_backend(bundle, "auto", threads=1).name == "onnxruntime:cpu"


def test_another_number_of_threads_is_measured_for_itself(bundle):
    assert auto.machine_key(bundle, 1) != auto.machine_key(bundle, 2)


def test_a_remembered_backend_that_no_longer_opens_is_measured_past(bundle, cache, monkeypatch):
    monkeypatch.setattr(auto, "frame_ms", lambda *_: 8.0)  # the test before has seen it measure
    auto.remember(cache, auto.machine_key(bundle, 1), {"onnxruntime:tensorrt": 1.0, "onnxruntime:cpu": 8.0})
    backend = open_backend(bundle, "auto", threads=1)
    assert backend.name in auto.CANDIDATES and "measured now" in backend.reason


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a": 3}', '{"a": {"onnxruntime:cpu": "x"}}', '{"a": {"shout": 1}}'])
def test_a_damaged_cache_is_only_a_measurement_lost(cache, text):
    cache.parent.mkdir(parents=True)
    cache.write_text(text)
    assert not any(auto.read_cache(cache).values())
    auto.remember(cache, "b", {"onnxruntime:cpu": 2.0})
    assert auto.read_cache(cache)["b"] == {"onnxruntime:cpu": 2.0}


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    auto.remember(tmp_path / "file" / "backends.json", "a", {"onnxruntime:cpu": 2.0})


def test_where_nothing_runs_the_reason_is_given(bundle, monkeypatch, cache):
    monkeypatch.setattr(auto, "CANDIDATES", ("onnxruntime:tensorrt",))
    with pytest.raises(BackendError, match="no backend runs this bundle here: .*TensorrtExecutionProvider"):
        open_backend(bundle, "auto")
