"""What our code asks of TensorRT's Python API is there in every version that it must run with.

PINNED was read from the bindings wheels of 10.3.0 (JetPack 6), 10.16.1.11 and 11.4.0.106; whatever the code uses must be in it. Where
TensorRT for RTX is installed, its classes are asked too.
"""

import ast
import importlib
from pathlib import Path

import pytest

import ps3_ros.backends.tensorrt_engine as tensorrt_engine

BACKENDS = Path(tensorrt_engine.__file__).parent
# variable in our code -> class in TensorRT
OBJECTS = {
    "trt": None,
    "builder": "Builder",
    "network": "INetworkDefinition",
    "config": "IBuilderConfig",
    "parser": "OnnxParser",
    "profile": "IOptimizationProfile",
    "runtime": "Runtime",
    "loaded": "ICudaEngine",
    "context": "IExecutionContext",
}
ALL = {"10.3", "10.16", "11.4"}
PINNED = {
    "Builder": ALL, "OnnxParser": ALL, "Runtime": ALL, "ILogger": ALL, "IProgressMonitor": ALL, "BuilderFlag": ALL, "MemoryPoolType": ALL,
    "NetworkDefinitionCreationFlag": ALL, "TensorIOMode": ALL, "__version__": ALL,
    "create_network": ALL, "create_builder_config": ALL, "create_optimization_profile": ALL, "build_serialized_network": ALL,
    "clear_flag": ALL, "set_memory_pool_limit": ALL, "create_timing_cache": ALL, "set_timing_cache": ALL, "get_timing_cache": ALL,
    "add_optimization_profile": ALL, "progress_monitor": ALL, "set_shape": ALL,
    "parse_from_file": ALL, "num_errors": ALL, "get_error": ALL,
    "deserialize_cuda_engine": ALL, "create_execution_context": ALL, "num_io_tensors": ALL, "get_tensor_name": ALL, "get_tensor_mode": ALL,
    "get_tensor_dtype": ALL, "get_tensor_shape": ALL, "get_tensor_profile_shape": ALL,
    "ExecutionContextAllocationStrategy": ALL, "update_device_memory_size_for_shapes": ALL, "set_device_memory": ALL,
    "set_input_shape": ALL, "set_tensor_address": ALL, "execute_async_v3": ALL, "infer_shapes": ALL,
    # Looked up with getattr and a default: absent where it is always on.
    "EXPLICIT_BATCH": {"10.3", "10.16"}, "STRONGLY_TYPED": ALL,
    # Removed; listed so that nobody takes them up again.
    "max_workspace_size": set(), "get_binding_name": set(), "execute_async_v2": set(),
}  # fmt: skip


def used(path):
    """{(object's variable, attribute)} of TensorRT objects in a source file; `self.trt.x` counts as `trt.x`."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
    named = [(node.value.id if isinstance(node.value, ast.Name) else getattr(node.value, "attr", None), node.attr) for node in nodes]
    return {(variable, attribute) for variable, attribute in named if variable in OBJECTS}


@pytest.mark.parametrize("path", sorted(BACKENDS.glob("tensorrt_*.py")), ids=lambda path: path.stem)
def test_every_name_we_use_is_in_every_version(path):
    names = {attribute for _, attribute in used(path)}
    assert not {name for name in names if PINNED.get(name) != ALL}


def test_the_scan_sees_the_code():
    found = used(BACKENDS / "tensorrt_engine.py")
    assert {("builder", "create_network"), ("config", "set_timing_cache"), ("parser", "parse_from_file"), ("trt", "ILogger")} <= found
    found = used(BACKENDS / "tensorrt_backend.py")
    assert {("trt", "Runtime"), ("runtime", "deserialize_cuda_engine"), ("loaded", "num_io_tensors")} <= found


def test_rtx_has_what_we_use_of_each_class():
    rtx = pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is an extra (preflight)")
    for path in BACKENDS.glob("tensorrt_*.py"):
        for variable, attribute in used(path):
            holder = rtx if OBJECTS[variable] is None else getattr(rtx, OBJECTS[variable])
            assert hasattr(holder, attribute), (path.name, variable, attribute)


def test_a_package_that_is_not_here_is_named():
    if importlib.util.find_spec("tensorrt"):
        pytest.skip("TensorRT is installed")
    with pytest.raises(tensorrt_engine.BackendError, match="needs tensorrt, which cannot be imported .* JetPack"):
        tensorrt_engine.load_package("tensorrt")
