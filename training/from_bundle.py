"""A bundle (the graphs a robot runs) -> the torch model it was exported from, as far as its stored numbers go, in float32.

    python -m ps3_training.from_bundle engines/nano runs/from_nano

So that the model that the repository ships can be fine-tuned without its checkpoint. Biases, norms and convolutions have the model's names
in the graphs; a product's matrix is found as the other factor of the sum that adds its bias. The tables of positions are fitted back (an
interpolation of the learned ones is stored). Bundles with our "factored" positions and sentence encoder only.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ps3_ros.bundle import Manifest, load_bundle
from ps3_ros.errors import CheckpointError
from ps3_ros.exits import exit_code
from ps3_training.model import BACKBONES, PS3, PS3Config
from ps3_training.model.thresholds import THRESHOLDS_FILE, thresholds_of, write_thresholds

WRAPPERS = {"vision.": "vision_model.", "model.": ""}  # names in the graphs begin with the exporter's attribute


class Graph:
    """One ONNX graph's nodes and the float32 values of its constants, with stored halves and bytes undone."""

    def __init__(self, path: Path):
        try:
            import onnx_ir as ir
        except ImportError as error:
            raise CheckpointError(f"reading a bundle back needs onnx-ir ({error}); pip install 'ps3_ros[export]'") from error
        self.graph = ir.load(path).graph
        self.values = {name: value.const_value.numpy() for name, value in self.graph.initializers.items() if value.const_value is not None}
        for node in self.graph:
            inputs = [self.values.get(value.name) if value is not None else None for value in node.inputs]
            if node.op_type in ("Cast", "Sub", "Mul") and all(value is not None for value in inputs):
                result = inputs[0].astype(np.float32) if node.op_type == "Cast" else None
                if node.op_type != "Cast":
                    result = inputs[0] - inputs[1] if node.op_type == "Sub" else inputs[0] * inputs[1]
                self.values[node.outputs[0].name] = result

    def named(self) -> dict[str, np.ndarray]:
        """{the model's name of a parameter: its value}."""
        found = {}
        for name, value in self.values.items():
            for theirs, ours in WRAPPERS.items():
                if name.startswith(theirs) and not name.endswith((".half", ".bytes", ".scale")):
                    found[ours + name.removeprefix(theirs)] = np.asarray(value, np.float32)
        for node in self.graph:
            matrix = self._matrix(node)
            if matrix is not None:
                bias, value = matrix
                start = next(theirs for theirs in WRAPPERS if bias.startswith(theirs))
                found.setdefault(WRAPPERS[start] + bias.removeprefix(start).removesuffix("bias") + "weight", value)
            if node.op_type == "Gemm" and len(node.inputs) == 3 and node.inputs[2].name in self.values:
                # Equal biases (two that are added to one sum learn the same) are stored once, under the name of one of them.
                weight = node.inputs[1].name
                start = next((theirs for theirs in WRAPPERS if weight.startswith(theirs)), None)
                if start is not None and weight.endswith(".weight"):
                    name = WRAPPERS[start] + weight.removeprefix(start).removesuffix("weight") + "bias"
                    found.setdefault(name, np.asarray(self.values[node.inputs[2].name], np.float32))
        return found

    def _matrix(self, node: Any) -> tuple[str, np.ndarray] | None:
        """A sum of a product and a bias -> the bias's name and the layer's weight [out, in]."""
        if node.op_type != "Add":
            return None
        for product, bias in (node.inputs, node.inputs[::-1]):
            made = product.producer()
            if bias.name in self.values and bias.name.endswith(".bias") and made is not None and made.op_type == "MatMul":
                matrix = self.values.get(made.inputs[1].name)
                if matrix is not None and matrix.ndim == 2:
                    return bias.name, np.asarray(matrix, np.float32).T.copy()
        return None


def model_of_bundle(folder: str | Path) -> PS3:
    """The bundle's model in float32 and eval mode. CheckpointError where the bundle is of a kind that cannot be read back."""
    bundle = load_bundle(folder)
    manifest = bundle.manifest
    graphs = {name: Graph(Path(folder) / spec.file) for name, spec in manifest.graphs.items()}
    tensors: dict[str, np.ndarray] = {}
    for graph in graphs.values():
        tensors.update(graph.named())
    config = _config(manifest, tensors, graphs)
    dim = manifest.settings.dim
    tensors["vision_model.prior_prompt"] = np.load(Path(folder) / manifest.prior.file, allow_pickle=False)[:dim]
    tensors["logit_scale"] = np.log(np.float32(manifest.settings.logit_scale))
    tensors["logit_bias"] = np.float32(manifest.settings.logit_bias)
    with torch.device("meta"):
        model = PS3(config)
    values = {name: torch.from_numpy(np.array(value, np.float32)) for name, value in tensors.items()}
    values.update(_positions(model, graphs))
    own = model.state_dict()
    wrong = [name for name, value in own.items() if name not in values or values[name].shape != value.shape]
    if wrong:
        more = f" and {len(wrong) - 4} more" if len(wrong) > 4 else ""
        raise CheckpointError(
            f"{folder} does not hold {', '.join(wrong[:4])}{more} in a form that is read back; start from the checkpoint it was made from"
        )
    model.load_state_dict({name: values[name] for name in own}, assign=True)
    return model.eval()


def _config(manifest: Manifest, tensors: dict[str, np.ndarray], graphs: dict[str, Graph]) -> PS3Config:
    """The config that the settings, the shapes of the tensors and the glance graph's taps imply."""
    s = manifest.settings
    factored = any(name.startswith("tables.1") for name in graphs["look"].values)
    if "model.text_model.encoder.norm.weight" not in graphs["text"].values or not factored:
        raise CheckpointError(
            f"bundle {manifest.model_name!r} has another text tower or full tables of positions; start from its checkpoint"
        )
    hidden = tensors["vision_model.trunk.blocks.0.mlp.fc1.bias"].shape[0]
    names = [
        name
        for name, b in BACKBONES.items()
        if (b.dim, b.depth, b.heads, b.patch, int(b.dim * b.mlp_ratio)) == (s.dim, s.layers, s.heads, s.patch, hidden)
    ]
    if not names:
        raise CheckpointError(f"no model_name known here is {s.dim} wide and {s.layers} deep; start from the checkpoint it was made from")
    vision = {
        "model_name": names[0],
        "pool": "map",
        "img_size": s.grid * s.patch,
        "ps3_scales": list(s.scales),
        "select_based_on_layer": _taps(graphs["glance"], s.layers),
        "max_select_num": s.max_patches,
        "separate_pos_emb": True,
        "highres_selection_feature": bool(s.aux_size),
        "geometry": s.geometry,
        "resampling": s.resampling,
        "position": "factored",
        "patch_stem": "conv" if any(".patch_embed.stem." in name for name in tensors) else "linear",
    }
    if s.aux_size:
        branch = "vision_model.highres_selection_feature_module."
        blocks = {name.removeprefix(branch + "blocks.").split(".")[0] for name in tensors if name.startswith(branch + "blocks.")}
        first = tensors[branch + "stem.0.weight"]
        vision |= {
            "highres_selection_module_hidden_dim": tensors[branch + "out_proj.weight"].shape[1],
            "highres_selection_module_out_dim": s.aux_dim,
            "highres_selection_module_depth": len(blocks),
            "highres_selection_module_kernel_size": s.aux_size // s.aux_grid,
            "aux_size": s.aux_size,
            "aux_stem": "linear" if first.shape[-1] == s.aux_size // s.aux_grid else "conv",
        }
    encoder = "text_model.encoder."
    words = _words(graphs["text"])
    tensors.update({encoder + name: value for name, value in words.items()})
    width = words["token_embedding.weight"].shape[1]
    layers = {name.removeprefix(encoder + "blocks.").split(".")[0] for name in tensors if name.startswith(encoder + "blocks.")}
    text = {
        "kind": "sentence",
        "output_dim": s.embed_dim,
        "prompt_proj_dim": s.dim,
        "context_length": words["position_embedding.weight"].shape[0],
        "vocab_size": words["token_embedding.weight"].shape[0],
        "width": width,
        "heads": _heads(graphs["text"], width),
        "layers": len(layers),
        "mlp_ratio": tensors[encoder + "blocks.0.mlp.fc1.bias"].shape[0] / width,
        "pad_id": s.pad_id,
        "projection_dim": tensors["text_model.text_projection.fc1.bias"].shape[0],
        "norm_kwargs": {"eps": _epsilon(graphs["text"])},
    }
    return PS3Config.from_dict({"vision_config": vision, "text_config": text})


def _taps(glance: Graph, layers: int) -> list[int]:
    """select_based_on_layer: which blocks' outputs the selection head joins."""
    outputs = {}
    for node in glance.graph:
        if node.op_type == "Add":
            for value in node.inputs:
                made = value.producer()
                ends = [one.name for one in made.inputs if one is not None] if made is not None and made.op_type == "Add" else []
                for i in range(layers):
                    if f"vision.trunk.blocks.{i}.mlp.fc2.bias" in ends:
                        outputs[node.outputs[0].name] = i
    joined = [node for node in glance.graph if node.op_type == "Concat" and all(v.name in outputs for v in node.inputs)]
    if joined:
        return [outputs[value.name] for value in joined[0].inputs]
    return [layers - 1]


def _words(text: Graph) -> dict[str, np.ndarray]:
    """The encoder's tables of words and places, whose rows are gathered as they are stored."""
    found = {}
    for name in ("token_embedding", "position_embedding"):
        full = f"model.text_model.encoder.{name}.weight"
        stored = text.values.get(f"{full}.bytes")
        if stored is not None:
            value = (stored.astype(np.float32) - text.values["bytes.zero"]) * text.values[f"{full}.scale"]
        else:
            value = text.values.get(f"{full}.half", text.values.get(full))
        if value is None:
            raise CheckpointError(f"the text graph does not hold {full}; start from the checkpoint the bundle was exported from")
        found[f"{name}.weight"] = np.asarray(value, np.float32)
    return found


def _heads(text: Graph, width: int) -> int:
    """From attention's scale, 1 / sqrt(width / heads), which multiplies the queries."""
    scales = {
        float(np.ravel(text.values[value.name])[0])
        for node in text.graph
        if node.op_type == "Mul"
        for value in node.inputs
        if value.name in text.values and text.values[value.name].size == 1 and text.values[value.name].dtype == np.float32
    }
    heads = [round(width * scale**2) for scale in scales if scale > 0]
    fitting = [h for h in heads if h and width % h == 0]
    if len(fitting) != 1:
        raise CheckpointError("the text graph does not show how many heads it has; start from the checkpoint it was exported from")
    return fitting[0]


def _epsilon(text: Graph) -> float:
    """Of the encoder's LayerNorms."""
    for node in text.graph:
        if node.op_type == "LayerNormalization" and node.inputs[1].name == "model.text_model.encoder.norm.weight":
            return float(node.attributes["epsilon"].as_float())
    return 1e-12


def _positions(model: PS3, graphs: dict[str, Graph]) -> dict[str, Tensor]:
    """The learned row and column tables: from the glance's sum of both, and from the look's tables, by least squares."""
    v = model.vision_model
    found: dict[str, Tensor] = {}
    low = next(value for value in graphs["glance"].values.values() if value.shape in ((v.grid, v.grid, v.dim), (v.grid**2, v.dim)))
    low = torch.from_numpy(np.array(low, np.float32)).view(v.grid, v.grid, v.dim)
    mean = low.mean((0, 1))
    base = {"row": low.mean(1) - mean / 2, "col": low.mean(0) - mean / 2}
    for number, axis in enumerate(("row", "col")):
        found[f"vision_model.trunk.pos_embed_{axis}"] = base[axis]
        values = graphs["look"].values
        table = torch.from_numpy(np.array(values.get(f"tables.{number}.half", values.get(f"tables.{number}")), np.float32))
        for i, part in enumerate(table.split(list(v.sides))):
            matrix = getattr(v, f"_resample_{i + 1}").double()
            learned = torch.linalg.lstsq(matrix, part.double()).solution.float()
            found[f"vision_model.pos_emb_residual.{i}.{axis}"] = learned - base[axis]
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ps3_training.from_bundle", description=__doc__.split("\n\n")[0])
    parser.add_argument("bundle", type=Path, help="such as engines/nano")
    parser.add_argument("out", type=Path, help="folder for the checkpoint")
    options = parser.parse_args(arguments)

    def run() -> None:
        model_of_bundle(options.bundle).save_pretrained(options.out)
        shutil.copyfile(options.bundle / "tokenizer.json", options.out / "tokenizer.json")
        write_thresholds(options.out / THRESHOLDS_FILE, thresholds_of(load_bundle(options.bundle, check_hashes=False).manifest.settings))
        print(f"checkpoint: {options.out}")

    return exit_code("error", run)


if __name__ == "__main__":
    sys.exit(main())
