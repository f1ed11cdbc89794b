"""What every test may use: tiny bundles with random weights, made by the export itself, settings without a bundle, and a 4K frame."""

import os
import string
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

WORDS = (
    "stop sign red green amber traffic light the a mug with blue handle text on billboard of and person car yellow street lamp kettle"
).split()

NATIVE = {
    "model_type": "ps3",
    "vision_config": {
        "model_name": "test_vit",
        "pool": "map",
        "ps3_scales": [64, 128, 256, 640],
        "select_based_on_layer": [0, 2, 5],
        "img_size": 64,
        "max_select_num": 256,
        "highres_selection_module_hidden_dim": 32,
        "highres_selection_module_out_dim": 32,
        "highres_selection_module_depth": 1,
        "geometry": "native",
        "resampling": "area",
        "position": "factored",
        "aux_size": 224,
    },
    "text_config": {
        "kind": "sentence", "output_dim": 64, "prompt_proj_dim": 64, "context_length": 256, "vocab_size": 512, "width": 64, "heads": 2,
        "layers": 2, "projection_dim": 64, "pad_id": 0,
    },
}  # fmt: skip


def make_wordpiece(path: Path) -> Path:
    """A BERT tokenizer of a few words and all letters, the same every time: `[CLS] ... [SEP]`, [PAD] = 0."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    letters = string.ascii_lowercase + string.digits + string.punctuation
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *dict.fromkeys(WORDS), *letters, *(f"##{c}" for c in letters)]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    )
    tokenizer.save(str(path))
    return path


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Callable[[str, Callable[[Path], object]], Path]:
    """A function of a name and of what makes a file or folder at a path: that path, made by the first process that asks for the name.

    For what takes half a minute: the processes of `pytest -n` share it, and runs that are given one folder by PS3_TESTS_SHARED (make test).
    """
    base = tmp_path_factory.getbasetemp()
    root = Path(os.environ.get("PS3_TESTS_SHARED") or (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)) / "made_once"

    def once(name: str, make: Callable[[Path], object]) -> Path:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            done = Path(f"{path}.done")  # not the path itself: who makes it may have been stopped halfway
            if not done.exists():
                make(path)
                done.touch()
        return path

    return once


@pytest.fixture(scope="session")
def tiny_checkpoint(made_once) -> Path:
    """A folder of ours: native geometry, area resampling, factored positions, auxiliary branch, sentence text tower; random weights."""

    def make(folder: Path) -> None:
        import torch

        from ps3_training.model import PS3, PS3Config

        torch.manual_seed(7)
        PS3(PS3Config.from_dict(NATIVE)).save_pretrained(folder)
        make_wordpiece(folder / "tokenizer.json")

    return made_once("checkpoints/tiny", make)


@pytest.fixture(scope="session")
def tiny_reference_checkpoint(made_once) -> Path:
    """A folder in the published layout: reference geometry, bicubic, full positions, CLIP-like text of fixed length; random weights."""
    from ps3_export.random_checkpoint import CONFIGS, write_random_checkpoint

    return made_once("checkpoints/tiny_reference", lambda folder: write_random_checkpoint(CONFIGS["tiny"], folder, seed=7))


@pytest.fixture(scope="session")
def tiny_bundle(made_once, tiny_checkpoint) -> Path:
    """Bundle folder of tiny_checkpoint, for tests that need engines rather than answers. Copy it before changing a byte."""
    return made_once("bundles/tiny", lambda folder: _export(tiny_checkpoint, folder))


@pytest.fixture(scope="session")
def tiny_reference_bundle(made_once, tiny_reference_checkpoint) -> Path:
    """Bundle folder of tiny_reference_checkpoint. Copy it before changing a byte."""
    return made_once("bundles/tiny_reference", lambda folder: _export(tiny_reference_checkpoint, folder))


def _export(checkpoint: Path, out: Path) -> Path:
    import cv2

    from ps3_export.export import export_checkpoint

    frame = out.parent / f"{out.name}.png"
    cv2.imwrite(str(frame), np.random.default_rng(3).integers(0, 256, (360, 640, 3), dtype=np.uint8))
    return export_checkpoint(checkpoint, out, frames=[frame], views=4, questions=1, license="Apache-2.0 (random weights)")


@pytest.fixture(scope="session")
def sample_frame_4k() -> np.ndarray:
    """uint8 [2160, 3840, 3], textured, the same every time; read-only."""
    from ps3_export.views import textured_frame

    frame = textured_frame()
    frame.setflags(write=False)
    return frame


@pytest.fixture(scope="session")
def make_settings():
    """A function: bundle.Settings of the nano's shape, with what is given changed."""
    from ps3_ros.bundle import Settings

    nano = {
        "scales": (384, 768, 1536, 3840), "patch": 16, "grid": 24, "dim": 192, "embed_dim": 384, "layers": 12, "heads": 3, "aux_size": 1536,
        "aux_grid": 96, "aux_dim": 64, "max_patches": 1024, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "geometry": "native",
        "resampling": "area", "logit_scale": 10.0, "logit_bias": -10.0, "found_threshold": 0.5, "relevance_threshold": 0.5,
        "context_length": 256, "pad_id": 0, "fixed_length": False,
    }  # fmt: skip
    return lambda **changed: Settings(**{**nano, **changed})
