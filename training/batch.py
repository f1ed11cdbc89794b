"""Cached frames -> one training batch: pixels of the looks, the tokens that make a region, and what each region is called.

Everything is drawn from one generator a frame, which follows from (seed, step, place in the global batch): a step's batch needs no state,
and as many ranks as one likes draw the same global batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from ps3_ros.manifest import Settings

from .cache import CachedFrame, load_frame, normalized, overlap
from .choice import WHOLE, BatchSettings, Rows, at_scales, choose_patches, draw_caption, draw_regions, inside
from .losses import box_cells


@dataclass(frozen=True)
class Candidates:
    """E cached patches a frame from which the model's own maps choose some in the step (picking.py). X boxes a frame, padded."""

    patches: torch.Tensor  # float32 [B, E, 3 * p * p]
    position: torch.Tensor  # int64 [B, E]
    cell: torch.Tensor  # int64 [B, E]: low-res cell of the patch's centre
    real: torch.Tensor  # bool [B, E]
    free: torch.Tensor  # bool [B, E]: touches no box
    member: torch.Tensor  # bool [B, R, E]: the patch belongs to the row's box (rows of WHOLE alone)
    draw: torch.Tensor  # float32 [B]: which wrong caption is asked
    predicted: int  # tokens to choose for the frame's own captions
    hard: int  # and for a wrong one


@dataclass(frozen=True)
class Batch:
    """B frames, N patches each, R region masks each (padded), M regions in all (glances with global captions last), K captions (local
    ones first), X boxes in all. Meanings are `meaning_id` of names; 0 pads.
    """

    glance: torch.Tensor  # float32 [B, 3, S, S]
    aux: torch.Tensor  # float32 [B, 3, A, A]; A = 0 without an auxiliary branch
    patches: torch.Tensor  # float32 [B, N, 3 * p * p]
    position: torch.Tensor  # int64 [B, N]
    real: torch.Tensor | None  # bool [B, N]: a patch, not padding; None: all are
    mask: torch.Tensor  # bool [B, R, N]
    region: torch.Tensor  # int64 [m]: b * R + r of each of the m regions pooled from looks
    glances: torch.Tensor  # int64 [M - m]: frames matched as a whole
    row_image: torch.Tensor  # int64 [M]
    row_text: torch.Tensor  # int64 [M], -1: none
    row_background: torch.Tensor  # bool [M]
    row_means: torch.Tensor  # int64 [M, w]: what the region's object answers to
    texts: tuple[str, ...]  # K
    text_image: torch.Tensor  # int64 [K]
    text_global: torch.Tensor  # bool [K]
    ask: torch.Tensor  # int64 [K]: the meaning that the caption asks for; 0: of the whole frame
    text_box: torch.Tensor  # int64 [K], -1: of the whole frame
    box_image: torch.Tensor  # int64 [X]
    box_cells: torch.Tensor  # bool [X, g * g]
    box_means: torch.Tensor  # int64 [X, w]
    candidates: Candidates | None = None

    def __post_init__(self) -> None:
        sizes = {len(getattr(self, name)) for name in ("row_image", "row_text", "row_background", "row_means")}
        if len(sizes) != 1 or len(self.texts) != len(self.text_image):
            raise ValueError(
                f"a batch has region tables of {sorted(sizes)} rows and {len(self.texts)} captions for {len(self.text_image)}; "
                "make them equal"
            )

    def to(self, device: torch.device) -> Batch:
        """The same batch with its tensors on the device."""
        return moved(self, device)

    @property
    def work(self) -> dict[str, int]:
        """What the step works through, for the throughput."""
        extra = 0 if self.candidates is None else self.candidates.predicted + self.candidates.hard
        return {"frames": len(self.glance), "tokens": len(self.glance) * (self.position.shape[1] + extra)}


def moved(value, device: torch.device):
    """A batch (any dataclass of tensors) on the device."""
    changed = {}
    for field in fields(value):
        inner = getattr(value, field.name)
        if isinstance(inner, torch.Tensor):
            changed[field.name] = inner.to(device, non_blocking=True)
        elif is_dataclass(inner):
            changed[field.name] = moved(inner, device)
    return replace(value, **changed)


@lru_cache(maxsize=100_000)
def meaning_id(name: str) -> int:
    """A name as a number that every process gives it; never 0."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big", signed=True) or 1


def make_batch(frames: Sequence[CachedFrame], settings: BatchSettings, model: Settings, rngs: Sequence[np.random.Generator]) -> Batch:
    """B cached frames and a generator each -> Batch. Frames with fewer patches than `tokens` are padded."""
    frames = [at_scales(frame, settings.scales, model) for frame in frames]
    chosen = [choose_patches(frame, settings, rng) for frame, rng in zip(frames, rngs, strict=True)]
    n = max(1, max(len(index) for index, _ in chosen))
    drawn, texts, text_image, asks, text_box, starts = [], [], [], [], [], [0]
    row_image, row_text, background, row_means, slots = [], [], [], [], []
    for b, (frame, rng, (index, boxes)) in enumerate(zip(frames, rngs, chosen, strict=True)):
        caption_of = {}
        for box in boxes:
            text, which = draw_caption(frame.texts[box], settings.captions, rng)
            caption_of[int(box)] = len(texts)
            texts.append(text)
            asks.append(meaning_id(frame.asks[box][which]))
            text_image.append(b)
            text_box.append(starts[-1] + int(box))
        rows = draw_regions(frame, frame.patch_boxes[index], boxes, settings, rng)
        drawn.append(rows)
        starts.append(starts[-1] + len(frame.boxes))
        for slot, box in enumerate(rows.box):
            slots.append((b, slot))
            row_image.append(b)
            row_text.append(caption_of[int(box)] if box >= 0 else -1)
            background.append(box < 0)
            row_means.append(frame.means[box] if box >= 0 else ())
    local = len(texts)
    glances = [b for b, frame in enumerate(frames) if frame.global_texts and rngs[b].random() < settings.global_fraction]
    for b in glances:
        row_image.append(b)
        row_text.append(len(texts))
        background.append(False)
        row_means.append(tuple({meaning for means in frames[b].means for meaning in means}))
        texts.append(draw_caption(frames[b].global_texts, settings.captions, rngs[b])[0])
        asks.append(0)
        text_image.append(b)
        text_box.append(-1)
    most = max(1, max(len(rows.masks) for rows in drawn))
    mask, real = np.zeros((len(frames), most, n), bool), np.zeros((len(frames), n), bool)
    for b, rows in enumerate(drawn):
        real[b, : len(chosen[b][0])] = True
        for slot, region in enumerate(rows.masks):
            mask[b, slot, : len(region)] = region
    jitter = [colour_jitter(settings.colour_jitter, rng) for rng in rngs]
    picked = [index for index, _ in chosen]
    sizes = [torch.tensor([frame.width, frame.height] * 2, dtype=torch.float32) for frame in frames]
    cells = [
        box_cells(torch.from_numpy(frame.boxes).reshape(-1, 4) / size, model.grid).flatten(1)
        for frame, size in zip(frames, sizes, strict=True)
    ]
    return Batch(
        glance=torch.from_numpy(_images([frame.glance for frame in frames], model, jitter)),
        aux=torch.from_numpy(_images([frame.aux for frame in frames], model, jitter))
        if model.aux_size
        else torch.zeros(len(frames), 3, 0, 0),
        patches=torch.from_numpy(_patches(frames, picked, n, model, jitter)),
        position=torch.from_numpy(_padded([frame.position[index] for frame, index in zip(frames, picked, strict=True)], n)),
        real=None if real.all() else torch.from_numpy(real),
        mask=torch.from_numpy(mask),
        region=torch.tensor([b * most + slot for b, slot in slots], dtype=torch.int64),
        glances=torch.tensor(glances, dtype=torch.int64),
        row_image=torch.tensor(row_image, dtype=torch.int64),
        row_text=torch.tensor(row_text, dtype=torch.int64),
        row_background=torch.tensor(background, dtype=torch.bool),
        row_means=_meanings(row_means),
        texts=tuple(texts),
        text_image=torch.tensor(text_image, dtype=torch.int64),
        text_global=torch.arange(len(texts)) >= local,
        ask=torch.tensor(asks, dtype=torch.int64),
        text_box=torch.tensor(text_box, dtype=torch.int64),
        box_image=torch.repeat_interleave(torch.arange(len(frames)), torch.tensor([len(frame.boxes) for frame in frames])),
        box_cells=torch.cat(cells),
        box_means=_meanings([means for frame in frames for means in frame.means]),
        candidates=_candidates(frames, chosen, drawn, most, settings, model, jitter, rngs),
    )


def _candidates(frames, chosen, drawn: list[Rows], most: int, settings: BatchSettings, model: Settings, jitter, rngs) -> Candidates | None:
    """Random cached patches that no look holds yet; None where nothing is left to the model's maps."""
    take = settings.predicted_tokens + settings.hard_tokens
    if not take:
        return None
    picked = [
        rng.permutation(np.setdiff1d(np.arange(len(frame.patches)), index))[: take * settings.candidates]
        for frame, (index, _), rng in zip(frames, chosen, rngs, strict=True)
    ]
    e = max(take, max(map(len, picked)))
    real, free, cell = (np.zeros((len(frames), e), kind) for kind in (bool, bool, np.int64))
    member = np.zeros((len(frames), most, e), bool)
    for b, (frame, index) in enumerate(zip(frames, picked, strict=True)):
        boxes = frame.patch_boxes[index]
        real[b, : len(index)] = True
        free[b, : len(index)] = (overlap(frame.boxes, boxes) == 0).all(0)
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2 / (frame.width, frame.height) * model.grid
        col, row = np.clip(centre.astype(np.int64), 0, model.grid - 1).T
        cell[b, : len(index)] = row * model.grid + col
        belongs = inside(frame.boxes, boxes) if settings.pool == "box" else np.ones((len(frame.boxes), len(index)), bool)
        for slot, (box, kind) in enumerate(zip(drawn[b].box, drawn[b].kind, strict=True)):
            if kind == WHOLE:
                member[b, slot, : len(index)] = belongs[box]
    return Candidates(
        patches=torch.from_numpy(_patches(frames, picked, e, model, jitter)),
        position=torch.from_numpy(_padded([frame.position[index] for frame, index in zip(frames, picked, strict=True)], e)),
        cell=torch.from_numpy(cell),
        real=torch.from_numpy(real),
        free=torch.from_numpy(free),
        member=torch.from_numpy(member),
        draw=torch.tensor([rng.random() for rng in rngs], dtype=torch.float32),
        predicted=settings.predicted_tokens,
        hard=settings.hard_tokens,
    )


def lit(pixels: np.ndarray, model: Settings, gain: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """uint8 [3, ...] -> float32 [3, ...], normalised and in a light of colour_jitter. By a table of grey levels, as pixels are many."""
    levels = normalized(np.arange(256, dtype=np.uint8)[None].repeat(3, 0), model, 0) * gain[:, None] + shift[:, None]
    values = np.empty(pixels.shape, np.float32)
    for c, table in enumerate(levels):
        np.take(table, pixels[c], out=values[c], mode="clip")
    return values


def _images(images: list[np.ndarray], model: Settings, jitter) -> np.ndarray:
    """uint8 [3, h, w] each -> float32 [n, 3, h, w]"""
    return np.stack([lit(image, model, *light) for image, light in zip(images, jitter, strict=True)])


def _patches(frames, picked: list[np.ndarray], n: int, model: Settings, jitter) -> np.ndarray:
    """float32 [B, n, 3 * p * p]; zeros pad."""
    values = np.zeros((len(frames), n, 3, model.patch**2), np.float32)
    for b, (frame, index, light) in enumerate(zip(frames, picked, jitter, strict=True)):
        pixels = frame.patches[index].reshape(len(index), 3, model.patch**2).transpose(1, 0, 2)
        values[b, : len(index)] = lit(pixels, model, *light).transpose(1, 0, 2)
    return values.reshape(len(frames), n, -1)


def _padded(positions: list[np.ndarray], n: int) -> np.ndarray:
    padded = np.zeros((len(positions), n), np.int64)
    for b, position in enumerate(positions):
        padded[b, : len(position)] = position
    return padded


def _meanings(names: list) -> torch.Tensor:
    """Tuples of names -> int64 [n, w], padded with 0."""
    width = max([1, *map(len, names)])
    return torch.tensor([[*map(meaning_id, row), *[0] * (width - len(row))] for row in names], dtype=torch.int64).reshape(-1, width)


def colour_jitter(spread: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Gain and shift of each colour [3], mostly common to the three: light and white balance."""
    gain = 1 + spread * (rng.uniform(-1, 1) + 0.3 * rng.uniform(-1, 1, 3))
    return gain.astype(np.float32), (spread * (rng.uniform(-1, 1) + 0.2 * rng.uniform(-1, 1, 3))).astype(np.float32)


def frames_of_step(step: int, count: int, size: int, seed: int) -> np.ndarray:
    """Which frames a step takes: `size` indexes below `count`; each pass over the data is one permutation, drawn from (seed, pass)."""
    first = step * size
    passes = {}
    for place in range(first, first + size):
        number = place // count
        if number not in passes:
            passes[number] = np.random.default_rng((seed, 1, number)).permutation(count)
    return np.array([passes[place // count][place % count] for place in range(first, first + size)])


def lines_of_step(step: int, index: list[dict], frames: int, seed: int, rank: int = 0, ranks: int = 1) -> list[dict]:
    """The cache's lines of the frames that a step takes on one rank; the ranks' frames, one after another, are the global batch."""
    taken = frames_of_step(step, len(index), frames * ranks, seed)[rank * frames : (rank + 1) * frames]
    return [index[n] for n in taken]


def batch_of_step(
    step: int, folder: Path, index: list[dict], settings: BatchSettings, model: Settings, seed: int, rank: int = 0, ranks: int = 1
) -> Batch:
    """The batch of one step on one rank, of the frames of lines_of_step; it follows from (seed, step, rank) alone."""
    places = range(rank * settings.frames, (rank + 1) * settings.frames)
    frames = [load_frame(folder, line) for line in lines_of_step(step, index, settings.frames, seed, rank, ranks)]
    return make_batch(frames, settings, model, [np.random.default_rng((seed, 2, step, place)) for place in places])
