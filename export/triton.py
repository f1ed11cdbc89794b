"""A bundle as a model repository of Triton Inference Server: one model a graph, so that a server can answer for many cameras.

The robot's side keeps what is no graph (cutting patches, selection, the budget), so there is no ensemble. `OUT/models` is the repository
(`tritonserver --model-repository OUT/models`), `OUT/client` what a client needs: manifest, tokenizer and prior.
"""

import os
import shutil
from pathlib import Path

import onnx

from ps3_ros.bundle import MANIFEST_FILE, Bundle, GraphSpec, TensorSpec
from ps3_ros.errors import CheckpointError

from .folder import beside

VERSION = "1"
TYPES = {"float32": "TYPE_FP32", "float16": "TYPE_FP16", "int64": "TYPE_INT64", "bool": "TYPE_BOOL"}


def write_repository(bundle: Bundle, out: Path) -> Path:
    """Writes `out`, which must not exist or be empty; all or nothing. Weights that graphs share are hard links where the disk allows.

    Raises CheckpointError.
    """
    out = Path(out)
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise CheckpointError(f"{str(out)!r} is there and is not an empty folder: choose another --triton DIR, or remove it first")
    with beside(out) as (folder, _):
        for name, graph in bundle.manifest.graphs.items():
            model = folder / "models" / model_name(bundle, name)
            version = model / VERSION
            version.mkdir(parents=True)
            (model / "config.pbtxt").write_text(config(bundle, name, graph), encoding="utf-8")
            place(bundle.path(graph.file), version / "model.onnx")
            for weights in external_files(bundle.path(graph.file)):
                place(bundle.path(weights), version / weights)
        client = folder / "client"
        client.mkdir()
        for file in (MANIFEST_FILE, bundle.manifest.tokenizer.file, bundle.manifest.prior.file):
            shutil.copyfile(bundle.path(file), client / Path(file).name)
        if out.is_dir():
            out.rmdir()
        os.replace(folder, out)
    return out


def model_name(bundle: Bundle, graph: str) -> str:
    """ "nano_look": letters, digits and underscores, as a URL and a folder take them."""
    name = "".join(c if c.isalnum() and c.isascii() else "_" for c in bundle.manifest.model_name)
    return f"{name}_{graph}"


def config(bundle: Bundle, name: str, graph: GraphSpec) -> str:
    """The model's config.pbtxt. Batches are not Triton's to make (max_batch_size 0): a graph's named sizes are its own."""
    lines = [f'name: "{model_name(bundle, name)}"', 'backend: "onnxruntime"', "max_batch_size: 0"]
    for kind, tensors in (("input", graph.inputs), ("output", graph.outputs)):
        lines += [f"{kind} [", ",\n".join(_tensor(tensor) for tensor in tensors), "]"]
    lines += ["instance_group [ { kind: KIND_AUTO, count: 1 } ]", f"version_policy: {{ specific: {{ versions: [ {VERSION} ] }} }}", ""]
    return "\n".join(lines)


def _tensor(tensor: TensorSpec) -> str:
    dims = ", ".join(str(n) if isinstance(n, int) else "-1" for n in tensor.shape)
    return f'  {{ name: "{tensor.name}", data_type: {TYPES[tensor.dtype]}, dims: [ {dims} ] }}'


def external_files(path: Path) -> list[str]:
    """Names of the weight files that an ONNX graph refers to."""
    graph = onnx.load(str(path), load_external_data=False).graph
    return sorted({entry.value for tensor in graph.initializer for entry in tensor.external_data if entry.key == "location"})


def place(source: Path, target: Path) -> None:
    """A hard link, or a copy where there can be none (another disk, a symbolic link, a file system without them)."""
    try:
        if source.is_symlink():
            raise OSError("a link to a link would not hold the bytes")
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
