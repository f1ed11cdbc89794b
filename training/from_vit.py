"""A plain SigLIP-style ViT's safetensors -> the trunk of a PS3 model. Never pickle.

Names understood: timm's (`blocks.0.attn.qkv.weight`), Hugging Face's SigLIP (`vision_model.encoder.layers.0.self_attn.q_proj.weight`) and
its plain ViT (`encoder.layer.0.attention.attention.query.weight`), each with any prefix. The patch size and the width must fit; positions
are interpolated to the model's grid (for "factored" positions: the nearest sum of a row and a column table); a class token is left out.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ps3_ros.errors import CheckpointError
from ps3_training.model import VisionModel

# Endings of names outside the blocks -> ours.
OUTSIDE = {
    "patch_embed.proj": "patch_embed.proj", "embeddings.patch_embedding": "patch_embed.proj",
    "embeddings.patch_embeddings.projection": "patch_embed.proj", "post_layernorm": "norm", "norm": "norm", "layernorm": "norm",
    "attn_pool.q": "attn_pool.q", "attn_pool.kv": "attn_pool.kv", "attn_pool.proj": "attn_pool.proj", "attn_pool.norm": "attn_pool.norm",
    "attn_pool.mlp.fc1": "attn_pool.mlp.fc1", "attn_pool.mlp.fc2": "attn_pool.mlp.fc2", "head.attention.out_proj": "attn_pool.proj",
    "head.layernorm": "attn_pool.norm", "head.mlp.fc1": "attn_pool.mlp.fc1", "head.mlp.fc2": "attn_pool.mlp.fc2",
}  # fmt: skip
# Names inside a block -> ours; q, k and v are joined afterwards.
INSIDE = {
    "norm1": "norm1", "norm2": "norm2", "attn.qkv": "attn.qkv", "attn.proj": "attn.proj", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2",
    "layer_norm1": "norm1", "layer_norm2": "norm2", "self_attn.out_proj": "attn.proj", "self_attn.q_proj": "q", "self_attn.k_proj": "k",
    "self_attn.v_proj": "v", "layernorm_before": "norm1", "layernorm_after": "norm2", "attention.output.dense": "attn.proj",
    "attention.attention.query": "q", "attention.attention.key": "k", "attention.attention.value": "v", "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
}  # fmt: skip
POSITIONS = ("pos_embed", "embeddings.position_embedding.weight", "embeddings.position_embeddings")
LATENTS = ("attn_pool.latent", "head.probe")
BLOCK = re.compile(r"(?:^|\.)(?:blocks|encoder\.layers?)\.(\d+)\.(.+)\.(weight|bias)$")


def fill_trunk(v: VisionModel, path: Path) -> tuple[list[str], list[str]]:
    """Fill v.trunk from a safetensors file, or a folder's model.safetensors; returns the trunk's names that were not filled and the
    file's names that were not used. CheckpointError where the patch size or the width differs, or where nothing fits.
    """
    found, unused = renamed(read_file(path), v)
    own = v.trunk.state_dict()
    embed = found.get("patch_embed.proj.weight")
    if embed is None:
        raise CheckpointError(f"{path} has no patch embedding under a name known here; give a timm or Hugging Face ViT's safetensors")
    if embed.shape != own["patch_embed.proj.weight"].shape:
        raise CheckpointError(
            f"{path} embeds patches as {list(embed.shape)} (width, colours, px, px) and the model asks for "
            f"{list(own['patch_embed.proj.weight'].shape)}; choose a model_name of its width and patch size"
        )
    fits = {name: value for name, value in found.items() if name in own and own[name].shape == value.shape}
    v.trunk.load_state_dict(fits, strict=False)
    unused += [name for name in found if name not in fits]
    return sorted(f"trunk.{name}" for name in own.keys() - fits.keys()), sorted(unused)


def read_file(path: Path) -> dict[str, Tensor]:
    """float32 tensors of a safetensors file or a folder with model.safetensors."""
    file = path / "model.safetensors" if path.is_dir() else path
    try:
        with safe_open(file, "pt") as opened:
            return {name: opened.get_tensor(name).float() for name in opened.keys()}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{file} is not a safetensors file ({error}); pickled weights are not read, so save them as safetensors"
        ) from error


def renamed(tensors: dict[str, Tensor], v: VisionModel) -> tuple[dict[str, Tensor], list[str]]:
    """Foreign names -> the trunk's, and the names that mean nothing here (a text tower, a classifier)."""
    found: dict[str, Tensor] = {}
    parts: dict[tuple[str, str], dict[str, Tensor]] = {}
    unused = []
    for name, value in tensors.items():
        if name.startswith(("text_model.", "text.")):
            unused.append(name)
        elif name.endswith(POSITIONS):
            found.update(positions(value, v))
        elif name.endswith(LATENTS):
            found["attn_pool.latent"] = value.reshape(1, 1, -1)
        elif name.endswith(("attention.in_proj_weight", "attention.in_proj_bias")):
            kind = name.rsplit("_", 1)[1]
            q, kv = value[: len(value) // 3], value[len(value) // 3 :]
            found[f"attn_pool.q.{kind}"], found[f"attn_pool.kv.{kind}"] = q, kv
        elif (match := BLOCK.search(name)) and match[2] in INSIDE:
            ours = INSIDE[match[2]]
            if ours in "qkv":
                parts.setdefault((match[1], match[3]), {})[ours] = value
            else:
                found[f"blocks.{match[1]}.{ours}.{match[3]}"] = value
        else:
            stem, _, kind = name.rpartition(".")
            ends = [theirs for theirs in OUTSIDE if stem == theirs or stem.endswith("." + theirs)]
            ours = OUTSIDE[max(ends, key=len)] if ends else None
            if ours is None or match or kind not in ("weight", "bias"):
                unused.append(name)
            else:
                found[f"{ours}.{kind}"] = value
    for (block, kind), three in parts.items():
        if three.keys() == {"q", "k", "v"}:
            found[f"blocks.{block}.attn.qkv.{kind}"] = torch.cat([three["q"], three["k"], three["v"]])
    return found, unused


def positions(table: Tensor, v: VisionModel) -> dict[str, Tensor]:
    """[1, n, D] or [n, D] of a square grid, with or without a class token before it -> the trunk's positions."""
    table = table.reshape(-1, table.shape[-1])
    side = int(len(table) ** 0.5)
    grid = table[len(table) - side * side :].T.reshape(1, -1, side, side)
    new = v.config.position_grid
    if new != side:
        grid = F.interpolate(grid, size=(new, new), mode="bicubic", antialias=True, align_corners=False)
    grid = grid[0].permute(1, 2, 0)  # [G, G, D]
    if v.config.position != "factored":
        return {"pos_embed": grid.reshape(1, new * new, -1)}
    mean = grid.mean((0, 1))  # the least squares sum of a row and a column table
    return {"pos_embed_row": grid.mean(1) - mean / 2, "pos_embed_col": grid.mean(0) - mean / 2}
