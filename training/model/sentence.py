"""Fills our sentence encoder from a Hugging Face BERT folder (config.json and model.safetensors), such as all-MiniLM-L6-v2."""

from __future__ import annotations

from pathlib import Path

import torch

from ps3_ros.errors import CheckpointError

from .checkpoint import read_json, read_tensors
from .config import TextConfig
from .text import SentenceEncoder

# What BERT's file holds besides the encoder: the pooler of its pre-training and a counter.
NOT_USED = ("pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids")


def sentence_config(folder: str | Path, output_dim: int, prompt_proj_dim: int, context_length: int = 256, **settings) -> TextConfig:
    """The TextConfig whose encoder a BERT folder fills. context_length: how many of its positions are kept."""
    bert = read_json(Path(folder) / "config.json")
    needed = ("vocab_size", "hidden_size", "num_attention_heads", "num_hidden_layers", "intermediate_size")
    lacking = [key for key in needed if type(bert.get(key)) is not int]
    kind = (bert.get("model_type"), bert.get("hidden_act"), bert.get("position_embedding_type", "absolute"))
    if lacking or kind != ("bert", "gelu", "absolute"):
        raise CheckpointError(
            f"{str(folder)!r} is of model_type, hidden_act and position_embedding_type {kind}"
            f"{' and lacks ' + ', '.join(lacking) if lacking else ''}; give a BERT encoder with exact GELU and absolute positions."
        )
    positions = bert.get("max_position_embeddings", 512)
    if context_length > positions:
        raise CheckpointError(f"context_length is {context_length}, but {str(folder)!r} has {positions} positions; give at most those.")
    return TextConfig(
        kind="sentence",
        output_dim=output_dim,
        prompt_proj_dim=prompt_proj_dim,
        context_length=context_length,
        vocab_size=bert["vocab_size"],
        width=bert["hidden_size"],
        heads=bert["num_attention_heads"],
        layers=bert["num_hidden_layers"],
        mlp_ratio=bert["intermediate_size"] / bert["hidden_size"],
        pad_id=bert.get("pad_token_id", 0),
        norm_kwargs={"eps": bert.get("layer_norm_eps", 1e-12)},
        **settings,
    )


def load_sentence_encoder(folder: str | Path, context_length: int = 256) -> SentenceEncoder:
    """A filled encoder in eval mode: `model.text_model.encoder = load_sentence_encoder(folder)`. CheckpointError where it does not fit."""
    folder = Path(folder)
    config = sentence_config(folder, output_dim=1, prompt_proj_dim=1, context_length=context_length)
    width, hidden = config.width, int(config.width * config.mlp_ratio)
    norm = {"weight": (width,), "bias": (width,)}
    settings = read_json(folder / "config.json")
    positions, types = settings.get("max_position_embeddings", 512), settings.get("type_vocab_size", 2)
    expected = {
        "embeddings.word_embeddings.weight": (config.vocab_size, width),
        "embeddings.position_embeddings.weight": (positions, width),
        "embeddings.token_type_embeddings.weight": (types, width),
        **{f"embeddings.LayerNorm.{k}": shape for k, shape in norm.items()},
    }
    parts = {
        "attention.self.query": (width, width), "attention.self.key": (width, width), "attention.self.value": (width, width),
        "attention.output.dense": (width, width), "intermediate.dense": (hidden, width), "output.dense": (width, hidden),
    }  # fmt: skip
    for i in range(config.layers):
        for part, (rows, cols) in parts.items():
            expected[f"encoder.layer.{i}.{part}.weight"], expected[f"encoder.layer.{i}.{part}.bias"] = (rows, cols), (rows,)
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            expected.update((f"encoder.layer.{i}.{part}.{k}", shape) for k, shape in norm.items())
    bert = read_tensors(folder, expected, ignored=frozenset(NOT_USED))

    places = bert["embeddings.position_embeddings.weight"][:context_length]
    tensors = {
        "token_embedding.weight": bert["embeddings.word_embeddings.weight"],
        "position_embedding.weight": places + bert["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": bert["embeddings.LayerNorm.weight"],
        "norm.bias": bert["embeddings.LayerNorm.bias"],
    }
    names = {
        "proj": "attention.output.dense", "norm1": "attention.output.LayerNorm", "mlp.fc1": "intermediate.dense",
        "mlp.fc2": "output.dense", "norm2": "output.LayerNorm",
    }  # fmt: skip
    for i in range(config.layers):
        layer = f"encoder.layer.{i}."
        for kind in ("weight", "bias"):
            qkv = [bert[f"{layer}attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            tensors[f"blocks.{i}.qkv.{kind}"] = torch.cat(qkv)
            tensors.update((f"blocks.{i}.{ours}.{kind}", bert[f"{layer}{theirs}.{kind}"]) for ours, theirs in names.items())
    with torch.device("meta"):
        encoder = SentenceEncoder(config)
    encoder.load_state_dict(tensors, assign=True)
    return encoder.eval()
