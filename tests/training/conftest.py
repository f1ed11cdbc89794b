"""A PS3 small enough to train in a test, and frames to train it on."""

import cv2
import numpy as np
import pytest
import torch

from ps3_training.model import PS3, PS3Config

from . import squares

VISION = {
    "model_name": "test_vit",
    "pool": "map",
    "img_size": 160,
    "ps3_scales": [160, 320, 640],
    "select_based_on_layer": [0, 5],
    "max_select_num": 64,
    "highres_selection_module_hidden_dim": 16,
    "highres_selection_module_out_dim": 16,
    "highres_selection_module_depth": 1,
    "highres_selection_module_kernel_size": 16,
    "aux_size": 320,
    "geometry": "native",
    "resampling": "area",
    "position": "factored",
}
TEXT = {
    "kind": "sentence",
    "output_dim": 64,
    "prompt_proj_dim": 64,
    "width": 32,
    "heads": 2,
    "layers": 1,
    "vocab_size": 40,
    "context_length": 8,
    "projection_dim": 64,
}
COLOURS = {"red": (40, 40, 220), "green": (40, 200, 40), "blue": (220, 80, 30), "white": (250, 250, 250)}  # BGR


class FixedSentences:
    """Stands where ps3_training.sentences.Sentences does: a fixed random unit vector a caption."""

    def of(self, texts):
        rows = [torch.from_numpy(np.random.default_rng(sum(map(ord, text))).normal(size=32)).float() for text in texts]
        return torch.nn.functional.normalize(torch.stack(rows), dim=-1)


def sample(seed, width=640, height=360):
    """(key, jpeg, labels): a noisy grey frame with three coloured squares, each with a caption."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(90, 130, (height, width, 3)).astype(np.uint8)
    boxes, texts = [], []
    for slot, name in enumerate(rng.permutation(list(COLOURS))[:3]):
        x, y, side = int(slot * 200 + rng.integers(0, 120)), int(rng.integers(0, height - 60)), int(rng.integers(24, 60))
        pixels[y : y + side, x : x + side] = COLOURS[name]
        boxes.append([x, y, x + side, y + side])
        texts.append(f"a {name} square")
    jpeg = cv2.imencode(".jpg", pixels)[1].tobytes()
    names = [text.split(" ", 1)[1] for text in texts]
    return f"frame{seed}", jpeg, {"text": texts, "box": boxes, "name": names, "global_text": "squares on grey"}


@pytest.fixture
def tiny_model():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = PS3(PS3Config.from_dict({"vision_config": VISION, "text_config": TEXT}))
    model.text_model.encoder.requires_grad_(False)
    return model


@pytest.fixture
def sentences():
    return FixedSentences()


@pytest.fixture
def bank():
    """Four plain squares, each opaque, on two noisy backgrounds."""
    return squares.bank()
