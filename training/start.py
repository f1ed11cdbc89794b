"""The model that a run starts from: random weights, a PS3 checkpoint, a plain ViT, or a shipped bundle; and what of it is trained."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor

from ps3_ros.bundle import load_bundle
from ps3_ros.errors import CheckpointError
from ps3_ros.manifest import Settings
from ps3_training.model import BACKBONES, PS3, PS3Config, load_sentence_encoder, sentence_config, settings_of
from ps3_training.model.checkpoint import read_json
from ps3_training.model.thresholds import read_thresholds, thresholds_of

from .errors import TrainingError
from .sentences import Sentences, encoder_folder
from .settings import RunSettings

NAMED = 6  # how many tensors a sentence names


def initial_model(settings: RunSettings) -> PS3:
    """What `init` and `vision` of a run's settings ask for, ready to train; says on stderr what of a file was not used."""
    kind, source = settings.init.get("kind"), Path(settings.init.get("from", ""))
    if kind is None:
        return new_model(settings.vision, settings.seed, settings.freeze)
    if kind == "vit":
        from .from_vit import fill_trunk

        model = new_model(settings.vision, settings.seed)
        say(source, fill_trunk(model.vision_model, source))
        return frozen(model, settings.freeze)
    if kind == "bundle":
        from .from_bundle import model_of_bundle

        loaded = model_of_bundle(source)
    else:
        loaded = PS3.from_pretrained(source)
    if not settings.vision:
        return frozen(loaded, settings.freeze)
    torch.manual_seed(settings.seed)
    model = PS3(PS3Config.from_dict({"vision_config": settings.vision, "text_config": loaded.config.to_dict()["text_config"]}))
    say(source, fill(model, loaded.state_dict()))
    return frozen(model, settings.freeze)


def new_model(vision: dict, seed: int, freeze: list[str] | tuple = ()) -> PS3:
    """A model with random vision weights and the package's frozen sentence encoder."""
    torch.manual_seed(seed)
    dims = PS3Config.from_dict({"vision_config": vision, "text_config": plain_text(vision)})
    text = sentence_config(encoder_folder(), output_dim=dims.vision.embed_dim, prompt_proj_dim=dims.vision.backbone.dim)
    model = PS3(PS3Config(dims.vision, text))
    model.text_model.encoder = load_sentence_encoder(encoder_folder())
    return frozen(model, freeze)


def cut_settings(settings: RunSettings) -> Settings:
    """How the run's model cuts frames, without making it."""
    if settings.vision:
        return settings_of(PS3Config.from_dict({"vision_config": settings.vision, "text_config": plain_text(settings.vision)}))
    source = Path(settings.init["from"])
    if settings.init["kind"] == "bundle":
        return load_bundle(source).manifest.settings
    return settings_of(PS3Config.from_dict(read_json(source / "config.json")))


def plain_text(vision: dict) -> dict:
    """Just enough of a text_config to read vision's widths."""
    shape = BACKBONES.get(vision.get("model_name"))
    dim = shape.dim if shape else 1
    return {"output_dim": dim, "prompt_proj_dim": dim}


def frozen(model: PS3, freeze: list[str] | tuple = ()) -> PS3:
    """The text encoder takes no gradient (of CLIP's tower only prompt_proj does), nor what `freeze` names by the beginning of its
    parameters' names; convolutions are kept channels-last, which is twice as fast on a CPU.

    Parameters are copied out of the file they may be mapped from: a tensor's alignment decides how sums are rounded, so only a copy resumes
    to the same bits. TrainingError where a name fits no parameter.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    model.logit_defaulted = False  # a stand-in for a missing contrastive head is trained from here on, so it is saved
    text = model.text_model
    if hasattr(text, "encoder"):
        text.encoder.requires_grad_(False)
    else:
        text.requires_grad_(False)
        text.prompt_proj.requires_grad_(True)
    for start in freeze:
        named = [parameter for name, parameter in model.named_parameters() if name == start or name.startswith(start.rstrip(".") + ".")]
        if not named:
            raise TrainingError(f"freeze names {start!r}, with which no parameter begins; name one such as vision_model.trunk.blocks.0")
        for parameter in named:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise TrainingError(f"freeze {list(freeze)} leaves nothing to train; name fewer parts")
    return model.to(memory_format=torch.channels_last)


def fill(model: PS3, tensors: dict[str, Tensor]) -> tuple[list[str], list[str]]:
    """Copy what fits by name and shape; returns the names in the model that stay as they were, and the names that were not used."""
    own = model.state_dict()
    fits = {name: value for name, value in tensors.items() if name in own and own[name].shape == value.shape}
    if not fits:
        raise CheckpointError(f"none of {len(tensors)} tensors fits the section vision; leave vision out to take the checkpoint's own")
    model.load_state_dict(fits, strict=False)
    return sorted(own.keys() - fits.keys()), sorted(tensors.keys() - fits.keys())


def say(source: Path, rest: tuple[list[str], list[str]]) -> None:
    """What of a file was not used and what of the model it did not fill, on stderr."""
    for what, names in zip(("not in the file, so random", "in the file, but not used"), rest, strict=True):
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            print(f"{source}: {what}: {', '.join(names[:NAMED])}{more}", file=sys.stderr)


def tokenizer_path(settings: RunSettings) -> Path:
    """The tokenizer.json of the model that a run starts from. TrainingError where there is none."""
    if "tokenizer" in settings.init:
        path = Path(settings.init["tokenizer"])
    elif settings.init.get("kind") in ("ps3", "bundle") and (Path(settings.init["from"]) / "tokenizer.json").is_file():
        path = Path(settings.init["from"]) / "tokenizer.json"
    else:
        path = encoder_folder() / "tokenizer.json"
    if not path.is_file():
        raise TrainingError(f"there is no tokenizer at {path}; give its tokenizer.json as init.tokenizer")
    return path


def start_thresholds(settings: RunSettings) -> dict[str, float]:
    """The thresholds of the model that a run starts from, until its own are calibrated; empty where it has none."""
    source = Path(settings.init.get("from", ""))
    if settings.init.get("kind") == "bundle":
        return thresholds_of(load_bundle(source).manifest.settings)
    return read_thresholds(source) if settings.init.get("kind") == "ps3" else {}


def caption_vectors(settings: RunSettings, model: PS3) -> Sentences:
    """Vectors of captions under the run's cache, by the text encoder that the model holds."""
    folder = Path(settings.cache) / "sentences"
    if settings.init.get("kind") not in ("ps3", "bundle"):
        return Sentences(folder)
    tokenizer = tokenizer_path(settings)
    if model.config.text.kind != "sentence" and tokenizer.parent == encoder_folder():
        raise TrainingError(f"{settings.init['from']} has no tokenizer.json for its text tower; give one as init.tokenizer")
    return Sentences(folder, model.text_model, tokenizer)
