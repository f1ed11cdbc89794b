"""A whole run small enough for a test: six drawn frames in a shard, a tiny PS3 checkpoint with a tokenizer, and its YAML file."""

import torch
import yaml
from tokenizers import Tokenizer, models, pre_tokenizers

from ps3_training.data.shards import write_shard
from ps3_training.model import PS3, PS3Config

from .conftest import COLOURS, TEXT, VISION, sample


def write(folder, frames=6, **loop):
    """config.yaml in `folder`, and what it names; returns its path."""
    write_shard(folder / "data", 0, [sample(i) for i in range(frames)])
    torch.manual_seed(0)
    PS3(PS3Config.from_dict({"vision_config": VISION, "text_config": TEXT})).save_pretrained(folder / "start")
    words = ["[PAD]", "[UNK]", "a", "square", "squares", "on", "grey", *COLOURS]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "start" / "tokenizer.json"))
    raw = {
        "run": str(folder / "run"),
        "data": str(folder / "data"),
        "cache": str(folder / "cache"),
        "init": {"from": str(folder / "start"), "kind": "ps3"},
        "threads": 1,
        "device": "cpu",
        "thresholds": {"found_threshold": 0.3, "relevance_threshold": 0.1},
        "pretrain": {
            "held_out_share": 0.2,
            "loop": {"steps": 4, "lr": 1.0e-3, "warmup_steps": 2, "log_every": 1, "tensorboard": False, **loop},
            "batch": {"frames": 2, "tokens": 40},
            "loss": {"positive_weight": 4.0, "ranking_weight": 0.5},
        },
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path
