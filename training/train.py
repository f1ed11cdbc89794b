"""`python -m ps3_training.train CONFIG.yaml [--stage warm_start|cache|pretrain|all] [--resume]`: from objects and frames to a checkpoint.

Stages: `warm_start` (crops and mosaics of the catalogue's objects), `cache` (frames decoded once), `pretrain` (4K frames, and with `replay`
some crops and mosaics in each step, which show far more objects a second than frames do). Each stage's
checkpoints, metrics and loss curve are in <run>/<stage>/; a stage starts from the newest checkpoint of the one before.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from safetensors.torch import load_file

from ps3_ros.exits import exit_code
from ps3_training.model import PS3, PS3Config, load_sentence_encoder, sentence_config, settings_of

from . import cache as frame_cache
from .batch import BatchSettings, batch_of_step
from .loop import LoopSettings, TrainingError, fit, resume_folder
from .pretrain import LossSettings, pretrain_loss
from .sentences import Sentences, encoder_folder

THRESHOLDS = "thresholds.json"  # beside the checkpoint, for the export to put into the manifest
STAGES = ("warm_start", "cache", "pretrain")


@dataclass(frozen=True)
class RunSettings:
    """A training run, as its YAML file has it; see config/train_nano.yaml."""

    run: str  # folder of checkpoints, metrics and curves
    data: str  # folder with the frames' shards
    cache: str  # folder for decoded frames, sentence vectors and the bank of cut-outs
    vision: dict  # config.json's vision_config
    warm_start: dict  # {"loop": LoopSettings, "batch": WarmStartSettings, "looks_each": int}
    pretrain: (
        dict  # {"loop": LoopSettings, "batch": BatchSettings, "loss": LossSettings, "replay": WarmStartSettings, "held_out_share": float}
    )
    thresholds: dict = field(default_factory=dict)  # {"found_threshold", "relevance_threshold"} for the manifest, from evaluate --calibrate
    threads: int = 2
    seed: int = 0


def read_settings(path: Path) -> RunSettings:
    """The YAML file -> RunSettings. TrainingError where a key is unknown or missing."""
    try:
        raw = yaml.safe_load(path.read_text())
    except OSError as error:
        raise TrainingError(f"{path} cannot be read ({error.strerror}); give the path of a YAML file") from error
    except yaml.YAMLError as error:
        raise TrainingError(f"{path} is not YAML: {' '.join(str(error).split())}; correct it") from error
    return _section(RunSettings, raw, str(path))


def _section(kind: type, raw: Any, where: str) -> Any:
    """A mapping -> the dataclass, naming what does not fit."""
    known = {one.name: one for one in fields(kind)}
    if not isinstance(raw, dict) or not raw.keys() <= known.keys():
        unknown = sorted(set(raw) - set(known)) if isinstance(raw, dict) else raw
        raise TrainingError(f"{where} has {unknown}, which is not known there; use {', '.join(known)}")
    try:
        return kind(**raw)
    except TypeError as error:
        raise TrainingError(f"{where} is incomplete ({error}); see config/train_nano.yaml") from error


def new_model(vision: dict, seed: int) -> PS3:
    """A model with random vision weights and the package's frozen sentence encoder."""
    torch.manual_seed(seed)
    dims = PS3Config.from_dict({"vision_config": vision, "text_config": _plain_text(vision)})
    text = sentence_config(encoder_folder(), output_dim=dims.vision.embed_dim, prompt_proj_dim=dims.vision.backbone.dim)
    model = PS3(PS3Config(dims.vision, text))
    model.text_model.encoder = load_sentence_encoder(encoder_folder())
    return frozen(model)


def _plain_text(vision: dict) -> dict:
    """Just enough of a text_config to read vision's widths."""
    from ps3_training.model import BACKBONES

    shape = BACKBONES.get(vision.get("model_name"))
    dim = shape.dim if shape else 1
    return {"output_dim": dim, "prompt_proj_dim": dim}


def frozen(model: PS3) -> PS3:
    """The sentence encoder takes no gradient, and convolutions are kept channels-last, which is twice as fast on a CPU.

    Parameters are copied out of the file they may be mapped from: a tensor's alignment decides how sums are rounded, so only a copy resumes
    to the same bits.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    if hasattr(model.text_model, "encoder"):
        model.text_model.encoder.requires_grad_(False)
    return model.to(memory_format=torch.channels_last)


def warm_start(settings: RunSettings, resume: bool) -> int:
    """Stage A; returns the steps done."""
    from .sprites import make_bank
    from .warm_start import WarmStartSettings, make_warm_batch, warm_loss

    folder = Path(settings.run) / "warm_start"
    loop = _section(LoopSettings, settings.warm_start["loop"], "warm_start.loop")
    batch = _section(WarmStartSettings, settings.warm_start.get("batch", {}), "warm_start.batch")
    bank = make_bank(Path(settings.cache) / "bank", settings.warm_start.get("looks_each", 36), seed=settings.seed)
    sentences = Sentences(Path(settings.cache) / "sentences")
    sentences.add(text for label in bank.labels for text in label["texts"])
    model = _start(folder, resume, lambda: new_model(settings.vision, settings.seed))
    cut = settings_of(model.config)
    return fit(
        model,
        lambda step: make_warm_batch(bank, batch, cut, np.random.default_rng((settings.seed, 3, step))),
        lambda made: warm_loss(model, made, sentences, batch),
        loop,
        folder,
        resume,
    )


def cache(settings: RunSettings) -> int:
    """Decode the frames; returns how many there are."""
    from ps3_training.data.shards import read_samples

    samples = (
        (s.key, s.jpg, {"text": list(s.text), "box": s.box, "global_text": s.global_text, **s.extra})
        for s in read_samples(Path(settings.data), on_broken="skip")
    )
    config = new_model(settings.vision, 0).config
    return frame_cache.build_cache(samples, Path(settings.cache) / "frames", settings_of(config), settings.threads)


def pretrain(settings: RunSettings, resume: bool) -> int:
    """Stage B; returns the steps done."""
    folder = Path(settings.run) / "pretrain"
    loop = _section(LoopSettings, settings.pretrain["loop"], "pretrain.loop")
    batch = _section(BatchSettings, settings.pretrain.get("batch", {}), "pretrain.batch")
    loss = _section(LossSettings, settings.pretrain.get("loss", {}), "pretrain.loss")
    frames = Path(settings.cache) / "frames"
    index = [
        line
        for line in frame_cache.read_index(frames)
        if not frame_cache.held_out(line["key"], settings.pretrain.get("held_out_share", 0.0))
    ]
    if len(index) < batch.frames:
        raise TrainingError(f"{frames} holds {len(index)} frames, fewer than one step's {batch.frames}; run the stage cache first")
    sentences = Sentences(Path(settings.cache) / "sentences")
    sentences.add(text for line in index for texts in [*line["texts"], line["global_texts"]] for text in texts)

    def warm() -> PS3:
        start = resume_folder(Path(settings.run) / "warm_start")
        return frozen(PS3.from_pretrained(start)) if start else new_model(settings.vision, settings.seed)

    model = _start(folder, resume, warm)
    cut = settings_of(model.config)
    if not settings.pretrain.get("replay"):
        return fit(
            model,
            lambda step: batch_of_step(step, frames, index, batch, cut, settings.seed),
            lambda made: pretrain_loss(model, made, sentences, loss),
            loop,
            folder,
            resume,
        )

    from .sprites import make_bank
    from .warm_start import WarmStartSettings, make_warm_batch, warm_loss

    replay = _section(WarmStartSettings, settings.pretrain["replay"], "pretrain.replay")
    bank = make_bank(Path(settings.cache) / "bank", settings.warm_start.get("looks_each", 36), seed=settings.seed)
    sentences.add(text for label in bank.labels for text in label["texts"])

    def make(step: int) -> tuple:
        return (
            batch_of_step(step, frames, index, batch, cut, settings.seed),
            make_warm_batch(bank, replay, cut, np.random.default_rng((settings.seed, 4, step))),
        )

    def both(made: tuple) -> dict[str, torch.Tensor]:
        parts, again = pretrain_loss(model, made[0], sentences, loss), warm_loss(model, made[1], sentences, replay)
        return {
            **parts,
            "total": parts["total"] + again["total"],
            **{f"replay_{name}": again[name].detach() for name in ("match", "ranking", "top1")},
        }

    return fit(model, make, both, loop, folder, resume)


def _start(folder: Path, resume: bool, fresh: Any) -> PS3:
    """The newest checkpoint of a run to be resumed, else a fresh model."""
    newest = resume_folder(folder) if resume else None
    return frozen(PS3.from_pretrained(newest)) if newest else fresh()


def finish(settings: RunSettings) -> Path:
    """Copy the newest pre-trained model to <run>/checkpoint with its tokenizer and thresholds, and without the optimizer."""
    source = resume_folder(Path(settings.run) / "pretrain")
    if source is None:
        raise TrainingError(f"{settings.run} has no pre-trained checkpoint; run the stage pretrain first")
    target = Path(settings.run) / "checkpoint"
    PS3.from_pretrained(source).save_pretrained(target)
    shutil.copyfile(encoder_folder() / "tokenizer.json", target / "tokenizer.json")
    load_file(target / "model.safetensors")  # what was written can be read
    if settings.thresholds:
        (target / THRESHOLDS).write_text(json.dumps(settings.thresholds, indent=1) + "\n")
    return target


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ps3_training.train", description=__doc__.split("\n\n")[0])
    parser.add_argument("config", type=Path, help="YAML file, such as config/train_nano.yaml")
    parser.add_argument("--stage", choices=(*STAGES, "all"), default="all")
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint of the stage")
    options = parser.parse_args(arguments)
    return exit_code("error", lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    settings = read_settings(options.config)
    torch.set_num_threads(settings.threads)
    for stage in STAGES if options.stage == "all" else (options.stage,):
        done = {
            "warm_start": lambda: warm_start(settings, options.resume),
            "cache": lambda: cache(settings),
            "pretrain": lambda: pretrain(settings, options.resume),
        }[stage]()
        print(f"{stage}: {done} {'frames' if stage == 'cache' else 'steps'} done")
    if options.stage in ("all", "pretrain"):
        print(f"checkpoint: {finish(settings)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
