"""Small configurations that the model's tests share, by what they cover."""

from __future__ import annotations

import copy

import torch

from ps3_training.model import PS3, PS3Config

REFERENCE = {
    "vision_config": {
        "model_name": "test_vit",
        "pool": "map",
        "ps3_scales": [64, 128, 256],
        "img_size": 96,
        "select_based_on_layer": [0, 2, 5],
        "max_select_num": 40,
        "highres_selection_module_hidden_dim": 16,
        "highres_selection_module_out_dim": 24,
        "aux_size": 224,
    },
    "text_config": {
        "output_dim": 64, "prompt_proj_dim": 64, "context_length": 12, "vocab_size": 50, "width": 32, "heads": 2, "layers": 2,
    },
}  # fmt: skip
OURS = {
    "geometry": "native",
    "resampling": "area",
    "position": "factored",
    "patch_stem": "conv",
    "aux_stem": "conv",
    "highres_selection_module_kernel_size": 32,
}
SENTENCE = {"kind": "sentence", "projection_dim": 40}
RADIO = {
    "img_size": 256,
    "radio": True,
    "radio_adapter_mlp_version": "v2",
    "radio_adapter_mlp_input_dim": 64,
    "radio_adapter_mlp_hidden_dim": 48,
    "radio_adapter_mlp_output_dim": 1152,
    "radio_adapter_mlp_num_inner": 2,
}


def config(vision: dict | None = None, text: dict | None = None) -> dict:
    """REFERENCE with some values replaced; a fresh dict."""
    values = copy.deepcopy(REFERENCE)
    values["vision_config"].update(vision or {})
    values["text_config"].update(text or {})
    return values


def radio() -> dict:
    return config(RADIO, {"output_dim": 1152})


def ours() -> dict:
    return config(OURS, SENTENCE)


def model(values: dict, seed: int = 0) -> PS3:
    """A PS3 in eval mode with random weights, residual positional embeddings included (they start at zero)."""
    torch.manual_seed(seed)
    made = PS3(PS3Config.from_dict(values)).eval()
    with torch.no_grad():
        for residual in made.vision_model.pos_emb_residual.parameters() if made.vision_model.pos_emb_residual is not None else ():
            residual.normal_(std=0.1)
    return made
