"""A checkpoint behind the interface of a robot's backend, so that the same code asks a folder of torch weights and an exported bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ps3_ros.bundle import MANIFEST_FILE, Bundle, FileSpec, Manifest, file_sha256
from ps3_ros.encoder import Encoder
from ps3_ros.errors import CheckpointError
from ps3_training.model import PS3, settings_of
from ps3_training.model.thresholds import read_thresholds


class TorchBackend:
    """The five graphs of a model, run by torch in float32. kv stays a tensor on the model's device."""

    def __init__(self, model: PS3, device: str = "cpu"):
        self.model, self.device, self.name = model.to(device).eval(), device, f"torch:{device}"
        with torch.inference_mode():
            self.table = model.vision_model.positions()

    def run(self, graph: str, inputs: dict) -> dict:
        """Outputs of a graph by name, as numpy arrays; kv as a tensor. See ps3_ros.manifest.contract for names and shapes."""
        tensors = {name: torch.as_tensor(value).to(self.device) for name, value in inputs.items()}
        with torch.inference_mode():
            outputs = getattr(self, f"_{graph}")(**tensors)
        return {name: value if name == "kv" else value.float().cpu().numpy() for name, value in outputs.items()}

    def _text(self, ids):
        out = self.model.text_model(ids)
        aux = {"prompt_aux": self.model.prompt_aux(out.prompt)} if self.model.config.vision.highres_selection_feature else {}
        return {"text": out.text, "prompt": out.prompt, **aux}

    def _glance(self, pixels):
        out = self.model.vision_model.glance(pixels)
        return {"tokens": out.tokens, "select_features": out.select_features[:, 0], "kv": out.kv}

    def _select(self, pixels):
        return {"aux_features": self.model.vision_model.aux_features(pixels)}

    def _look(self, patches, position, kv):
        return {"tokens": self.model.vision_model.look(patches, position[None], kv, table=self.table)}

    def _region(self, tokens, mask):
        return {"embedding": self.model.vision_model.pool(tokens, mask[None])[0]}


def open_model(path: Path, backend: str = "onnxruntime:cpu", threads: int = 0, device: str = "auto") -> Encoder:
    """An encoder of a bundle (run by `backend`, as on the robot) or of a checkpoint folder (run by torch on `device`).

    device: cpu, cuda, or auto: CUDA where there is one. Raises BundleError, BackendError, CheckpointError.
    """
    path = Path(path)
    if (path / MANIFEST_FILE).is_file() or not (path / "config.json").is_file():
        return Encoder(path, backend, threads)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if threads:
        torch.set_num_threads(threads)
    return checkpoint_encoder(path, device)


def checkpoint_encoder(folder: Path, device: str = "cpu") -> Encoder:
    """The encoder of a checkpoint folder, which holds tokenizer.json too. Settings are those that an export would write."""
    folder = Path(folder)
    if not (folder / "tokenizer.json").is_file():
        raise CheckpointError(f"checkpoint {str(folder)!r} has no tokenizer.json; copy the tokenizer of its text model there")
    model = PS3.from_pretrained(folder)
    head = {"logit_scale": model.scale().item(), "logit_bias": model.logit_bias.item()}
    settings = settings_of(model.config, **{**head, **read_thresholds(folder)})
    with torch.inference_mode():
        prompt = model.vision_model.prior_prompt.reshape(1, -1)
        prior = torch.cat([prompt[0]] + ([model.prompt_aux(prompt)[0]] if settings.aux_size else [])).numpy().astype(np.float32)
    manifest = Manifest(
        model_name=folder.resolve().name,
        settings=settings,
        graphs={},
        weights=(),
        tokenizer=FileSpec("tokenizer.json", file_sha256(folder / "tokenizer.json")),
        prior=FileSpec("prior.npy", ""),  # made above, in memory: a checkpoint has no such file
        license={"weights": "not stated", "notice": "a checkpoint under evaluation"},
    )
    return Encoder(Bundle(folder, manifest, prior), TorchBackend(model, device))
