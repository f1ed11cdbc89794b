"""A model repository that Triton's own schema accepts and whose graphs run from where they lie."""

import numpy as np
import onnxruntime
import pytest

from ps3_export.triton import VERSION, model_name, write_repository
from ps3_ros.bundle import contract, load_bundle
from ps3_ros.errors import CheckpointError


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    return load_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def repository(bundle, tmp_path_factory):
    return write_repository(bundle, tmp_path_factory.mktemp("triton") / "out")


def test_every_config_is_the_schemas(bundle, repository):
    schema = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason="Triton's schema comes with tritonclient[grpc]")
    from google.protobuf import text_format

    numbers = {"float32": schema.TYPE_FP32, "int64": schema.TYPE_INT64, "bool": schema.TYPE_BOOL}
    for name, (inputs, outputs) in contract(bundle.settings).items():
        config = text_format.Parse((repository / "models" / model_name(bundle, name) / "config.pbtxt").read_text(), schema.ModelConfig())
        assert config.name == f"tiny_{name}" and config.backend == "onnxruntime" and config.max_batch_size == 0
        for found, wanted in ((config.input, inputs), (config.output, outputs)):
            assert [t.name for t in found] == [t.name for t in wanted]
            assert [t.data_type for t in found] == [numbers[t.dtype] for t in wanted]
            assert [list(t.dims) for t in found] == [[n if isinstance(n, int) else -1 for n in t.shape] for t in wanted]


def test_graphs_run_from_their_folders(bundle, repository):
    side = bundle.settings.scales[0]
    path = repository / "models" / "tiny_glance" / VERSION / "model.onnx"
    outputs = onnxruntime.InferenceSession(str(path)).run(None, {"pixels": np.zeros((1, 3, side, side), np.float32)})
    assert all(np.isfinite(value).all() for value in outputs)
    assert sorted(p.name for p in repository.iterdir()) == ["client", "models"]
    assert sorted(p.name for p in (repository / "client").iterdir()) == ["manifest.json", "prior.npy", "tokenizer.json"]


def test_shared_weights_are_not_copied(repository):
    nodes = {(repository / "models" / name / VERSION / "weights-0.bin").stat().st_ino for name in ("tiny_glance", "tiny_look")}
    assert len(nodes) == 1


def test_a_folder_with_something_in_it_stays_as_it_is(bundle, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(CheckpointError, match="is not an empty folder"):
        write_repository(bundle, tmp_path / "mine")
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


def test_an_empty_folder_is_filled(bundle, tmp_path):
    (tmp_path / "empty").mkdir()
    assert (write_repository(bundle, tmp_path / "empty") / "models").is_dir()
