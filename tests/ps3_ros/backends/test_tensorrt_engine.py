"""Plans that fit are read, others are refused before TensorRT sees them; profiles cover what the core asks for. No GPU needed."""

from hashlib import sha256

import pytest

from ps3_ros.backends.tensorrt_engine import checked_plan, profile_shapes
from ps3_ros.bundle import EngineSpec, GraphSpec, contract
from ps3_ros.errors import BackendError

HERE = {"tensorrt": "10.3.0", "gpu": "Orin", "compute_capability": "8.7", "driver": "540.4.0"}
ONNX = "a" * 64


@pytest.fixture
def engine(tmp_path):
    data = b"plan" * 1000
    (tmp_path / "look.plan").write_bytes(data)
    return EngineSpec("look", "look.plan", sha256(data).hexdigest(), ONNX, dict(HERE))


def test_a_plan_that_fits_is_read(tmp_path, engine):
    assert checked_plan(tmp_path, engine, ONNX, HERE) == b"plan" * 1000


@pytest.mark.parametrize(
    ("here", "words"),
    [
        ({**HERE, "gpu": "Thor"}, "built for gpu Orin where this machine has Thor"),
        ({**HERE, "tensorrt": "10.13.3"}, "built for tensorrt 10.3.0 where this machine has 10.13.3"),
        ({**HERE, "compute_capability": "11.0"}, "compute_capability"),
        ({**HERE, "driver": "580.1"}, "driver"),
        ({**HERE, "cuda": "13.0"}, "built for cuda nothing"),
        ({}, "where this machine has nothing"),
    ],
)
def test_another_machines_plan_is_refused(tmp_path, engine, here, words):
    with pytest.raises(BackendError, match=words) as error:
        checked_plan(tmp_path, engine, ONNX, here)
    assert "ps3 export BUNDLE --target tensorrt" in str(error.value) and "\n" not in str(error.value)


def test_a_plan_of_another_graph_is_refused(tmp_path, engine):
    with pytest.raises(BackendError, match="built from another look.onnx"):
        checked_plan(tmp_path, engine, "b" * 64, HERE)


def test_a_changed_byte_is_refused(tmp_path, engine):
    data = bytearray((tmp_path / "look.plan").read_bytes())
    data[1234] ^= 1
    (tmp_path / "look.plan").write_bytes(bytes(data))
    with pytest.raises(BackendError, match="'look.plan' has sha256 .* changed or damaged, and is not loaded"):
        checked_plan(tmp_path, engine, ONNX, HERE)
    (tmp_path / "look.plan").unlink()
    with pytest.raises(BackendError, match="cannot be read"):
        checked_plan(tmp_path, engine, ONNX, HERE)


def graphs(settings):
    return {name: GraphSpec(f"{name}.onnx", "", *specs) for name, specs in contract(settings).items()}


def test_profiles_span_what_the_core_asks_for(make_settings):
    settings = make_settings(max_patches=1024, context_length=256)
    found = {name: profile_shapes(settings, graph, typical=512) for name, graph in graphs(settings).items()}
    assert found["glance"] == {} and found["select"] == {}
    assert found["look"] == {"patches": ((1, 1, 768), (1, 512, 768), (1, 1024, 768)), "position": ((1,), (512,), (1024,))}
    assert found["text"] == {"ids": ((1, 1), (1, 16), (16, 256))}
    assert found["region"] == {"tokens": ((1, 1, 192), (1, 256, 192), (1, 4096, 192)), "mask": ((1, 1), (16, 256), (256, 4096))}


def test_a_typical_look_is_within_the_largest(make_settings):
    settings = make_settings(max_patches=100, context_length=8)
    found = {name: profile_shapes(settings, graph, typical=5000) for name, graph in graphs(settings).items()}
    assert found["look"]["position"] == ((1,), (100,), (100,)) and found["text"]["ids"][1] == (1, 8)
    assert found["region"]["mask"][1] == (16, 100)
