"""The stages of a run: `cache` (frames decoded once), `warm_start` (crops and mosaics), `pretrain` (4K frames)."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from ps3_training.model import PS3, settings_of
from ps3_training.model.thresholds import THRESHOLDS_FILE, write_thresholds

from . import cache as frame_cache
from . import distributed
from .batch import batch_of_step, lines_of_step, moved
from .checkpoints import averaged, newest
from .choice import BatchSettings, caption_choices
from .errors import TrainingError
from .files import write_whole
from .hard_names import HardNames
from .loop import fit
from .loop_settings import LoopSettings
from .mined import Review
from .pretrain import LossSettings, pretrain_loss
from .sentences import Sentences
from .settings import RunSettings, section
from .start import caption_vectors, cut_settings, frozen, initial_model, start_thresholds, tokenizer_path

# Of the warm start's parts, in the metrics of pre-training.
REPLAYED = ("match", "ranking", "top1", "words_top1", "letters_top1", "teacher", "photographs_top1")
MINED = ("asked", "named", "top1", "pointed")  # and of its mined close-ups
CPU = torch.device("cpu")
STAGES = ("cache", "warm_start", "pretrain")


def device_of(settings: RunSettings) -> torch.device:
    """The run's device. TrainingError where CUDA is asked for and not there."""
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError("device is cuda, but torch sees no GPU; set device to auto or cpu")
    return torch.device("cuda" if settings.device != "cpu" and torch.cuda.is_available() else "cpu")


def warm_start(settings: RunSettings, resume: bool, device: torch.device = CPU) -> int:
    """Stage A; returns the steps done. Its contrast is within a rank: ranks add crops, not negatives."""
    from .teaching import Teaching
    from .warm_batch import WarmStartSettings, make_warm_batch
    from .warm_start import warm_loss

    folder = Path(settings.run) / "warm_start"
    loop = section(LoopSettings, settings.warm_start["loop"], "warm_start.loop")
    batch = section(WarmStartSettings, settings.warm_start.get("batch", {}), "warm_start.batch")
    hard = HardNames.of(batch)
    if _is_done(folder, loop, resume):
        return loop.steps
    model = _start(folder, resume, settings, lambda: initial_model(settings)).to(device)
    with distributed.first_rank_first():
        sentences = caption_vectors(settings, model)
        banks = _banks(settings, sentences, loop.steps)
    sentences = _kept_by_first(sentences)
    cut = settings_of(model.config)
    glance_of_step = _glances(settings, cut) if batch.sees else None
    teaching = Teaching.of(batch, banks.at(0), cut, settings.seed, device, newest(folder) if resume else None)

    def make(step: int) -> tuple:
        glance = None if glance_of_step is None else glance_of_step(step)
        return make_warm_batch(banks.at(step), batch, cut, _rng(settings.seed, 3, step), teaching.photographs, hard), glance

    def of(made: tuple) -> dict[str, torch.Tensor]:
        with torch.no_grad():  # of a frame in which no crop lies: what it should be is stage B's to teach
            seen = None if made[1] is None else model.vision_model.glance(made[1].to(device)).kv
        return _share(warm_loss(model, moved(made[0], device), sentences.to(device), batch, seen, teaching))

    work = lambda made: {"crops": len(made[0].patches), "tokens": made[0].position.numel()}  # noqa: E731
    return fit(model, make, of, loop, folder, resume, device=device, work=work, beside=teaching.head)


def _glances(settings: RunSettings, cut: Any) -> Any:
    """Function of a step -> float32 [1, 3, S, S], the glance image of one of the cached frames that are trained on."""
    frames = Path(settings.cache) / "frames"
    index, _ = split_index(settings, frames)
    if not index:
        raise TrainingError(f"warm_start.batch.context takes glances, and {frames} holds no frames; run the stage cache, or set it to 0")
    frame_cache.check_cache(frames, cut)

    def of_step(step: int) -> torch.Tensor:
        line = index[_rng(settings.seed, 5, step).integers(len(index))]
        return torch.from_numpy(frame_cache.normalized(frame_cache.load_glance(frames, line), cut, 0))[None]

    return of_step


def cache(settings: RunSettings, device: torch.device | None = None) -> int:
    """Decode the frames; returns how many there are. The first rank does, the others wait."""
    with distributed.first_rank_first():
        frames = Path(settings.cache) / "frames"
        if not distributed.is_first():
            return len(frame_cache.read_index(frames))
        sources = json.dumps([_files(folder) for folder in settings.folders])
        seen = frames / "sources.json"  # what a finished cache was made from, so that going on with a run reads no shard again
        if seen.exists() and seen.read_text() == sources:
            frame_cache.check_cache(frames, cut_settings(settings))
            return len(frame_cache.read_index(frames))
        samples = (_labelled(sample) for folder in settings.folders for sample in _samples(folder))
        count = frame_cache.build_cache(samples, frames, cut_settings(settings), settings.threads)
        write_whole(seen, sources)
        return count


def _files(folder: Path) -> list:
    """[folder, and of each file in it path and bytes]."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [str(folder), *([str(path.relative_to(folder)), path.stat().st_size] for path in paths)]


def _samples(folder: Path) -> Any:
    from ps3_training.data import shards

    reader = getattr(shards, "open_data", shards.read_samples)
    return reader(folder, on_broken="skip")


def _labelled(sample: Any) -> tuple[str, bytes, dict]:
    return sample.key, sample.jpg, {"text": list(sample.text), "box": sample.box, "global_text": sample.global_text, **sample.extra}


def pretrain(settings: RunSettings, resume: bool, device: torch.device = CPU) -> int:
    """Stage B; returns the steps done."""
    folder = Path(settings.run) / "pretrain"
    loop, batch, loss = pretrain_settings(settings)
    if is_streamed(settings):
        return _streamed(settings, folder, resume, device)
    frames = Path(settings.cache) / "frames"
    index, kept = split_index(settings, frames)
    if len(index) < batch.frames:
        raise TrainingError(f"{frames} holds {len(index)} frames, fewer than one step's {batch.frames}; run the stage cache first")
    if _is_done(folder, loop, resume):
        return loop.steps
    model = _start(folder, resume, settings, lambda: _warm(settings)).to(device)
    cut = settings_of(model.config)
    frame_cache.check_cache(frames, cut)
    replay, review = settings.pretrain.get("replay"), Review.of(settings, model)
    index = review.having(index) if review else index
    before = (settings.warm_start or {}).get("loop", {}).get("steps", 0)  # so that banks go on from the first stage's last one
    with distributed.first_rank_first():
        sentences = caption_vectors(settings, model)
        banks = _banks(settings, sentences, before + loop.steps, before) if replay else None
        sentences.add(frame_texts([*index, *kept], batch.captions) | (review.texts(index) if review else set()))
    sentences = _kept_by_first(sentences)
    sentences.to(device)

    def make(step: int) -> Any:
        return batch_of_step(step, frames, index, batch, cut, settings.seed, distributed.rank(), distributed.size())

    def of(made: Any) -> dict[str, torch.Tensor]:
        return pretrain_loss(model, made.to(device), sentences, loss)

    from .pictures import FRAMES, relevance_pictures

    shown = [frame_cache.load_frame(frames, line) for line in (kept or index)[:FRAMES]] if loop.pictures_every else []
    options = {
        "device": device,
        "draw": relevance_pictures(model, shown, sentences, cut, folder, device) if loop.pictures_every else None,
    }
    if not replay:
        return fit(model, make, of, loop, folder, resume, work=lambda made: made.work, **options)

    from .teaching import Teaching
    from .warm_batch import WarmStartSettings, make_warm_batch
    from .warm_start import warm_loss

    again = section(WarmStartSettings, replay, "pretrain.replay")
    hard = HardNames.of(again)
    going_on = (newest(folder) if resume else None) or newest(Path(settings.run) / "warm_start")
    teaching = Teaching.of(again, banks.at(before), cut, settings.seed, device, going_on)

    def make_both(step: int) -> tuple:
        drawn = _rng(settings.seed, 4, step)
        repeated = make_warm_batch(banks.at(before + step), again, cut, drawn, teaching.photographs, hard)
        if review is None:
            return make(step), repeated, None
        lines = lines_of_step(step, index, batch.frames, settings.seed, distributed.rank(), distributed.size())
        return make(step), repeated, review.batch(step, [line["key"] for line in lines], distributed.rank())

    def both(made: tuple) -> dict[str, torch.Tensor]:
        frames_made = made[0].to(device)
        glance = model.vision_model.glance(frames_made.glance)
        parts = pretrain_loss(model, frames_made, sentences, loss, glance, made[1].names)
        seen = glance.kv if loss.lowres_cache else None
        repeated = _share(warm_loss(model, moved(made[1], device), sentences, again, seen, teaching))
        mined = _share(review.loss(model, moved(made[2], device), sentences, glance.kv, made[1].names)) if review else {}
        return {
            **parts,
            "total": parts["total"] + repeated["total"] + mined.get("total", 0.0),
            **{f"replay_{name}": repeated[name].detach() for name in REPLAYED if name in repeated},
            **{f"mined_{name}": mined[name] for name in MINED if name in mined},
        }

    return fit(model, make_both, both, loop, folder, resume, work=lambda made: made[0].work, beside=teaching.head, **options)


def is_streamed(settings: RunSettings) -> bool:
    """Whether pre-training reads the shards instead of the cache."""
    return settings.pretrain.get("source", "cache") == "stream"


def _streamed(settings: RunSettings, folder: Path, resume: bool, device: torch.device) -> int:
    """Stage B on data that no cache holds. Captions are encoded as they come; loop.workers processes read and cut."""
    from .pictures import FRAMES, relevance_pictures
    from .streaming import Stream, first_frames

    loop, batch, loss = pretrain_settings(settings)
    if len(settings.folders) > 1 or settings.pretrain.get("replay"):
        raise TrainingError("a stream reads one data folder and takes no replay; set pretrain.source to cache, or change these")
    if _is_done(folder, loop, resume):
        return loop.steps
    model = _start(folder, resume, settings, lambda: _warm(settings)).to(device)
    cut, share = settings_of(model.config), settings.pretrain.get("held_out_share", 0.0)
    stream = Stream(settings.folders[0], batch, cut, settings.seed, loop.workers, share)
    sentences = caption_vectors(settings, model).in_memory().to(device)
    draw = None
    if loop.pictures_every and distributed.is_first():
        shown = first_frames(_samples(settings.folders[0]), cut, FRAMES)
        sentences.add({text for frame in shown for texts in frame.texts for text in texts})
        sentences.to(device)
        draw = relevance_pictures(model, shown, sentences, cut, folder, device)

    def of(made: Any) -> dict[str, torch.Tensor]:
        sentences.renew(made.batch.texts)
        return pretrain_loss(model, made.batch.to(device), sentences, loss)

    loop = replace(loop, workers=1)  # threads: the reader's order is that of the calls
    return fit(model, stream.make, of, loop, folder, resume, device=device, work=lambda made: made.batch.work, draw=draw, source=stream)


def pretrain_settings(settings: RunSettings) -> tuple[LoopSettings, BatchSettings, LossSettings]:
    """The typed sections of `pretrain`; TrainingError where a key is unknown, or where one needs another that is not there."""
    from .warm_batch import WarmStartSettings

    known = {"loop", "batch", "loss", "replay", "mined", "held_out_share", "source"}
    if "loop" not in settings.pretrain or settings.pretrain.keys() - known:
        raise TrainingError(f"pretrain has {', '.join(settings.pretrain)}; give loop, and of {', '.join(sorted(known))} what is wanted")
    if settings.pretrain.get("source", "cache") not in ("cache", "stream"):
        raise TrainingError(f"pretrain.source is {settings.pretrain['source']!r}; give cache or stream")
    loss = section(LossSettings, settings.pretrain.get("loss") or {}, "pretrain.loss")
    replay = settings.pretrain.get("replay")
    named = replay and section(WarmStartSettings, replay, "pretrain.replay").named
    if settings.pretrain.get("mined") and not named:
        raise TrainingError(
            "pretrain.mined tells close-ups from the bank's names, and none come with the steps; give replay a names_weight"
        )
    if loss.absent_weight and not named:
        raise TrainingError(
            f"pretrain.loss.absent_weight is {loss.absent_weight}, and no names come with the steps; "
            "give pretrain.replay a names_weight, or set it to 0"
        )
    return (
        section(LoopSettings, settings.pretrain["loop"], "pretrain.loop"),
        section(BatchSettings, settings.pretrain.get("batch") or {}, "pretrain.batch"),
        loss,
    )


def split_index(settings: RunSettings, frames: Path) -> tuple[list[dict], list[dict]]:
    """The cache's lines to train on, and those that held_out_share keeps for calibration and pictures."""
    lines = frame_cache.read_index(frames)
    share = settings.pretrain.get("held_out_share", 0.0)
    kept = [line for line in lines if frame_cache.held_out(line["key"], share)]
    names = {line["key"] for line in kept}
    return [line for line in lines if line["key"] not in names], kept


def frame_texts(lines: list[dict], mode: str) -> set[str]:
    """Every string that a batch or a picture may ask of these frames."""
    groups = [tuple(texts) for line in lines for texts in [*line["texts"], line["global_texts"]] if texts]
    return {text for texts in groups for text in (*texts[:1], *caption_choices(texts, mode))}


def _banks(settings: RunSettings, sentences: Sentences, last: int, first: int = 0) -> Any:
    """The banks of cut-outs for the steps from `first` to `last`, the first of them made, its captions' vectors in `sentences`."""
    from .banks import Banks

    given = settings.warm_start or {}
    banks = Banks(Path(settings.cache), given.get("looks_each", 36), settings.seed, sentences, given.get("renew_bank", 0), last - 1)
    banks.at(first)
    return banks


def _kept_by_first(sentences: Sentences) -> Sentences:
    """What later banks add is encoded and written to disk by the first rank alone; the others read it there."""
    return sentences if distributed.is_first() else sentences.following()


def _rng(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed if distributed.size() == 1 else (*seed, distributed.rank()))


def _share(parts: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A rank's own loss -> its share of their mean."""
    return parts if distributed.size() == 1 else {name: value / distributed.size() for name, value in parts.items()}


def _is_done(folder: Path, loop: LoopSettings, resume: bool) -> bool:
    found = newest(folder) if resume else None
    return found is not None and int(found.name) >= loop.steps


def _warm(settings: RunSettings) -> PS3:
    start = newest(Path(settings.run) / "warm_start")
    return frozen(PS3.from_pretrained(start), settings.freeze) if start else initial_model(settings)


def _start(folder: Path, resume: bool, settings: RunSettings, fresh: Any) -> PS3:
    """The newest checkpoint of a run to be resumed, else a fresh model."""
    found = newest(folder) if resume else None
    return frozen(PS3.from_pretrained(found), settings.freeze) if found else fresh()


def finish(settings: RunSettings) -> Path:
    """Write the newest model (of its running means, where the run kept them) to <run>/checkpoint with its tokenizer and thresholds."""
    stages = [stage for stage in ("pretrain", "warm_start") if newest(Path(settings.run) / stage)]
    if not stages:
        raise TrainingError(f"{settings.run} has no trained checkpoint; run the stage pretrain first")
    source, target = newest(Path(settings.run) / stages[0]), Path(settings.run) / "checkpoint"
    model = PS3.from_pretrained(source)
    means = averaged(source)
    if means:
        model.load_state_dict(means, strict=False)
    model.save_pretrained(target)
    part = target / ".tokenizer.json.part"
    shutil.copyfile(tokenizer_path(settings), part)
    os.replace(part, target / "tokenizer.json")
    load_file(target / "model.safetensors")  # what was written can be read
    thresholds = settings.thresholds or start_thresholds(settings)
    if thresholds:
        write_thresholds(target / THRESHOLDS_FILE, thresholds)
    return target
