"""A checkpoint folder in the published layout with random weights: `python -m ps3_export.random_checkpoint so400m-4k OUT`.

Published weights are not ours to ship; a folder of the same shape shows that they load, export and run, and what that costs.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from ps3_ros.exits import exit_code
from ps3_training.model import PS3, PS3Config

# As the published folders: only what differs from the reference's defaults (ps3.md, Checkpoint). The text towers are SigLIP's.
CONFIGS = {
    "so400m-4k": {
        "model_type": "ps3",
        "vision_config": {
            "model_name": "vit_so400m_patch14_siglip_384",
            "pool": "map",
            "ps3_scales": [378, 756, 1512, 3780],
            "img_size": 378,
            "max_select_num": 2560,
        },
        "text_config": {
            "context_length": 64,
            "vocab_size": 32000,
            "width": 1152,
            "heads": 16,
            "layers": 27,
            "mlp_ratio": 3.7362,
            "no_causal_mask": True,
            "pool_type": "last",
            "proj_bias": True,
            "norm_kwargs": {"eps": 1e-6},
            "pad_id": 1,
        },
    },
    "tiny": {
        "model_type": "ps3",
        "vision_config": {
            "model_name": "test_vit",
            "hidden_size": 64,
            "pool": "map",
            "ps3_scales": [64, 128, 256, 640],
            "select_based_on_layer": [0, 2, 4, 5],
            "img_size": 64,
            "max_select_num": 256,
            "highres_selection_module_hidden_dim": 32,
            "highres_selection_module_out_dim": 32,
        },
        "text_config": {
            "output_dim": 64, "prompt_proj_dim": 64, "context_length": 16, "vocab_size": 512, "width": 64, "heads": 2, "layers": 3,
            "mlp_ratio": 3.0, "pad_id": 0,
        },
    },
}  # fmt: skip
CORPUS = (
    "stop sign, red traffic light, green traffic light, the mug with a blue handle, text on the billboard, a person on a bicycle, "
    "a white delivery van behind the bus, speed limit fifty, yellow street lamp, the kettle on the stove, open drawer of the cabinet, "
    "a small dog beside the bench, license plate of the parked car, fire hydrant at the corner, a bottle of water on the table, "
    "left turn arrow, no parking sign, the clock above the door, a chair next to the window, number on the house"
).split(", ")


def write_random_checkpoint(config: dict, out: Path, seed: int = 0) -> Path:
    """Writes config.json (as given), model.safetensors and tokenizer.json (a BPE trained on a few queries) to `out`; returns it."""
    out = Path(out)
    torch.manual_seed(seed)
    parsed = PS3Config.from_dict(config)
    PS3(parsed).save_pretrained(out)
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    train_tokenizer(parsed.text.vocab_size, parsed.text.pad_id).save(str(out / "tokenizer.json"))
    return out


def train_tokenizer(vocab_size: int, pad_id: int, corpus=CORPUS) -> Tokenizer:
    """A lower-casing byte-level BPE of at most `vocab_size` ids. The end of text has the largest id, where argmax pooling finds it."""
    specials = ["<pad>", "<unk>"] if pad_id == 0 else ["<unk>", "<pad>"]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.add_special_tokens(["<eos>"])
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", tokenizer.token_to_id("<eos>"))])
    return tokenizer


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ps3_export.random_checkpoint", description=__doc__.splitlines()[0])
    parser.add_argument("config", choices=tuple(CONFIGS))
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args(argv)
    return exit_code("random_checkpoint", lambda: print(write_random_checkpoint(CONFIGS[arguments.config], arguments.out)))


if __name__ == "__main__":
    sys.exit(main())
