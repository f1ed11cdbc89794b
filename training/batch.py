"""Cached frames -> one training batch: which patches are looked at, which tokens make a region, and what each region is called.

Selection takes the ground truth first (paper, Pre-training): the patches of a frame's boxes, then background. Everything is drawn from the
generator that is passed in, so a step's batch follows from (seed, step) alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch

from ps3_ros.manifest import Settings

from .cache import CachedFrame, load_frame, normalized, overlap
from .losses import box_cells

INSIDE = 0.25  # share of the smaller of patch and box that both must have for the patch to belong to the box


@dataclass(frozen=True)
class BatchSettings:
    """What is drawn from a frame; each value is a key of the YAML's `batch`."""

    frames: int = 6
    tokens: int = 448  # N: high-res patches of a frame in one step
    tokens_a_box: int = 96  # a larger box gives a random part of its patches
    global_fraction: float = 0.25  # of frames also matched as a whole with their global caption (paper: 0.25)
    part_masks: bool = True  # also pool a random part of a box's tokens
    token_masks: int = 2  # single tokens of a box matched on their own, so that a token's match localises
    background_areas: int = 4  # regions of a frame where nothing is: no caption fits them ("not found")
    background_tokens: int = 8  # single tokens beside boxes and in the background: no caption fits them
    colour_jitter: float = 0.1  # spread of the gain and shift given to a frame's pixels


@dataclass(frozen=True)
class Batch:
    """B frames, N patches each, R region masks each (padded), M regions in all (glances with global captions last), K captions."""

    glance: torch.Tensor  # float32 [B, 3, S, S]
    aux: torch.Tensor  # float32 [B, 3, A, A]
    patches: torch.Tensor  # float32 [B, N, 3 * p * p]
    position: torch.Tensor  # int64 [B, N]
    mask: torch.Tensor  # bool [B, R, N]
    region: torch.Tensor  # int64 [m]: b * R + r of each of the m regions pooled from looks
    glances: torch.Tensor  # int64 [M - m]: frames matched as a whole
    row_image: torch.Tensor  # int64 [M]
    row_text: torch.Tensor  # int64 [M], -1: none
    row_background: torch.Tensor  # bool [M]
    answers: torch.Tensor  # bool [M, K]
    texts: tuple[str, ...]  # K
    text_image: torch.Tensor  # int64 [K]
    text_global: torch.Tensor  # bool [K]
    cells: torch.Tensor  # bool [k, B, g * g]: cells of each local caption's own box
    valid: torch.Tensor  # bool [k, B, g * g]: False where another object answers the caption, too
    all_cells: torch.Tensor  # bool [B, g * g]: cells of any box

    def __post_init__(self) -> None:
        sizes = {len(getattr(self, name)) for name in ("row_image", "row_text", "row_background", "answers")}
        if len(sizes) != 1 or len(self.texts) != len(self.text_image):
            raise ValueError(
                f"a batch has region tables of {sorted(sizes)} rows and {len(self.texts)} captions for {len(self.text_image)}; "
                "make them equal"
            )


@dataclass
class _Rows:
    """Regions of one frame as they are drawn."""

    masks: list[np.ndarray]
    box: list[int]  # -1: background

    def add(self, mask: np.ndarray, box: int) -> None:
        if mask.any():
            self.masks.append(mask)
            self.box.append(box)


def choose_patches(frame: CachedFrame, settings: BatchSettings, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Patches for one look, ground truth first: indexes into frame.patches int64 [n <= tokens], and the boxes they were taken for.

    Boxes come in random order until the tokens run out; each gives its own patches and those just beside it, coarse scales first, and no
    more than tokens_a_box; what is left goes to background areas and then to anything.
    """
    count = len(frame.patch_boxes)
    grown = frame.boxes + np.array([-1, -1, 1, 1], np.float32) * 8
    near = overlap(grown, frame.patch_boxes) > 0 if len(frame.boxes) else np.zeros((0, count), bool)
    size = frame.patch_boxes[:, 2] - frame.patch_boxes[:, 0]
    chosen = np.zeros(count, bool)
    boxes = []
    for box in rng.permutation(len(frame.boxes)):
        members = np.flatnonzero(near[box])
        order = np.argsort(-size[members] + rng.random(len(members)) * 1e-3, kind="stable")  # coarse first, then at random
        members = members[order][: settings.tokens_a_box]
        if chosen.sum() + (~chosen[members]).sum() > settings.tokens * 0.9 and boxes:
            continue
        chosen[members] = True
        boxes.append(int(box))
    rest = rng.permutation(np.flatnonzero(~chosen))
    background = overlap(frame.areas, frame.patch_boxes[rest]).any(0) if len(frame.areas) else np.zeros(len(rest), bool)
    rest = np.concatenate([rest[background], rest[~background]])
    taken = np.flatnonzero(chosen)
    if len(taken) > settings.tokens:
        taken = np.sort(rng.permutation(taken)[: settings.tokens])
    return np.sort(np.concatenate([taken, rest[: settings.tokens - len(taken)]])), np.array(sorted(boxes), np.int64)


def inside(boxes: np.ndarray, patch_boxes: np.ndarray) -> np.ndarray:
    """Which patches belong to which box: bool [R, P]. At least one a box, the patch that shares most with it."""
    if not len(boxes):
        return np.zeros((0, len(patch_boxes)), bool)
    shared = overlap(boxes, patch_boxes)
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1)[:, None]
    patch_area = np.prod(patch_boxes[:, 2:] - patch_boxes[:, :2], axis=-1)[None]
    member = shared >= INSIDE * np.minimum(area, patch_area)
    member[np.arange(len(boxes)), shared.argmax(1)] |= shared.max(1) > 0
    return member


def draw_regions(
    frame: CachedFrame, patch_boxes: np.ndarray, boxes: np.ndarray, settings: BatchSettings, rng: np.random.Generator
) -> _Rows:
    """Masks over the chosen patches: boxes whole, in part and token by token, then background areas and tokens."""
    rows = _Rows([], [])
    member = inside(frame.boxes, patch_boxes)
    for box in boxes:
        tokens = np.flatnonzero(member[box])
        rows.add(member[box], box)
        if settings.part_masks and len(tokens) > 2:
            part = rng.permutation(tokens)[: rng.integers(1, len(tokens))]
            rows.add(np.isin(np.arange(len(patch_boxes)), part), box)
        for token in rng.permutation(tokens)[: settings.token_masks]:
            rows.add(np.arange(len(patch_boxes)) == token, box)
    for area in inside(frame.areas, patch_boxes)[rng.permutation(len(frame.areas))[: settings.background_areas]]:
        rows.add(area, -1)
    if len(frame.boxes):
        shared = overlap(frame.boxes, patch_boxes)
        free = np.flatnonzero((shared == 0).all(0))
        beside = np.flatnonzero((overlap(frame.boxes + np.array([-48, -48, 48, 48], np.float32), patch_boxes[free]) > 0).any(0))
        half = settings.background_tokens // 2
        for token in [*free[rng.permutation(beside)[:half]], *rng.permutation(free)[: settings.background_tokens - half]]:
            rows.add(np.arange(len(patch_boxes)) == token, -1)
    return rows


def make_batch(frames: list[CachedFrame], settings: BatchSettings, model: Settings, rng: np.random.Generator) -> Batch:
    """B cached frames -> Batch. Frames with fewer than `tokens` patches shorten the batch's N to theirs."""
    chosen = [choose_patches(frame, settings, rng) for frame in frames]
    n = min(len(index) for index, _ in chosen)
    masks, row_image, row_text, background, meanings, slots = [], [], [], [], [], []
    texts, text_image, text_global, asks, caption_boxes = [], [], [], [], []
    patches, position = [], []
    for b, (frame, (index, boxes)) in enumerate(zip(frames, chosen, strict=True)):
        if len(index) > n:
            index = np.sort(rng.permutation(index)[:n])
        patches.append(frame.patches[index])
        position.append(frame.position[index])
        caption_of = {}
        for box in boxes:
            which = rng.integers(len(frame.texts[box]))
            caption_of[int(box)] = len(texts)
            texts.append(frame.texts[box][which])
            asks.append(frame.asks[box][which])
            text_image.append(b)
            text_global.append(False)
            caption_boxes.append((b, int(box)))
        rows = draw_regions(frame, frame.patch_boxes[index], boxes, settings, rng)
        masks.append(np.array(rows.masks).reshape(-1, n))
        for slot, box in enumerate(rows.box):
            slots.append((b, slot))
            row_image.append(b)
            row_text.append(caption_of[int(box)] if box >= 0 else -1)
            background.append(box < 0)
            meanings.append(frozenset(frame.means[box]) if box >= 0 else frozenset())
    local = len(texts)
    glances = [b for b, frame in enumerate(frames) if frame.global_texts and rng.random() < settings.global_fraction]
    for b in glances:
        row_image.append(b)
        row_text.append(len(texts))
        background.append(False)
        meanings.append(frozenset(meaning for means in frames[b].means for meaning in means))
        texts.append(frames[b].global_texts[rng.integers(len(frames[b].global_texts))])
        asks.append(None)
        text_image.append(b)
        text_global.append(True)
    most = max(1, max(len(mask) for mask in masks))
    mask = np.zeros((len(frames), most, n), bool)
    for b, rows in enumerate(masks):
        mask[b, : len(rows)] = rows
    answers = np.array([[ask in meaning for ask in asks] for meaning in meanings], bool).reshape(len(row_image), len(texts))
    cells, valid, all_cells = selection_targets(frames, caption_boxes, asks[:local], model.grid)
    jitter = [colour_jitter(settings.colour_jitter, rng) for _ in frames]
    images = {
        name: np.stack(
            [
                normalized(getattr(frame, name), model, 0) * gain[:, None, None] + shift[:, None, None]
                for frame, (gain, shift) in zip(frames, jitter, strict=True)
            ]
        )
        for name in ("glance", "aux")
    }
    values = np.stack(
        [
            normalized(p.reshape(n, 3, -1), model, 1) * gain[None, :, None] + shift[None, :, None]
            for p, (gain, shift) in zip(patches, jitter, strict=True)
        ]
    ).reshape(len(frames), n, -1)
    return Batch(
        glance=torch.from_numpy(images["glance"]),
        aux=torch.from_numpy(images["aux"]),
        patches=torch.from_numpy(values),
        position=torch.from_numpy(np.stack(position).astype(np.int64)),
        mask=torch.from_numpy(mask),
        region=torch.tensor([b * most + slot for b, slot in slots], dtype=torch.int64),
        glances=torch.tensor(glances, dtype=torch.int64),
        row_image=torch.tensor(row_image),
        row_text=torch.tensor(row_text),
        row_background=torch.tensor(background, dtype=torch.bool),
        answers=torch.from_numpy(answers),
        texts=tuple(texts),
        text_image=torch.tensor(text_image),
        text_global=torch.tensor(text_global, dtype=torch.bool),
        cells=cells,
        valid=valid,
        all_cells=all_cells,
    )


def colour_jitter(spread: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Gain and shift of each colour [3], mostly common to the three: light and white balance."""
    gain = 1 + spread * (rng.uniform(-1, 1) + 0.3 * rng.uniform(-1, 1, 3))
    return gain.astype(np.float32), (spread * (rng.uniform(-1, 1) + 0.2 * rng.uniform(-1, 1, 3))).astype(np.float32)


def selection_targets(
    frames: list[CachedFrame], caption_boxes: list[tuple[int, int]], asks: list[str], grid: int
) -> tuple[torch.Tensor, ...]:
    """Targets of the selection losses: cells and valid bool [k, B, g * g], all_cells bool [B, g * g] (see Batch).

    A caption is asked of every frame of the batch: in its own frame its own box counts, in the others nothing does; cells of other objects
    that answer it too count neither way.
    """
    of_box = []
    for frame in frames:
        size = torch.tensor([frame.width, frame.height] * 2, dtype=torch.float32)
        of_box.append(box_cells(torch.from_numpy(frame.boxes).reshape(-1, 4) / size, grid).flatten(1))
    cells = torch.zeros(len(caption_boxes), len(frames), grid * grid, dtype=torch.bool)
    valid = torch.ones_like(cells)
    for k, ((own, box), ask) in enumerate(zip(caption_boxes, asks, strict=True)):
        for b, frame in enumerate(frames):
            for other, means in enumerate(frame.means):
                if ask in means and (b, other) != (own, box):
                    valid[k, b] &= ~of_box[b][other]
        cells[k, own] = of_box[own][box]
        valid[k, own] |= cells[k, own]
    return cells, valid, torch.stack([boxes.any(0) if len(boxes) else torch.zeros(grid * grid, dtype=torch.bool) for boxes in of_box])


def frames_of_step(step: int, count: int, size: int, seed: int) -> np.ndarray:
    """Which frames a step takes: `size` indexes below `count`; each pass over the data is one permutation, drawn from (seed, pass)."""
    first = step * size
    passes = {}
    for place in range(first, first + size):
        number = place // count
        if number not in passes:
            passes[number] = np.random.default_rng((seed, 1, number)).permutation(count)
    return np.array([passes[place // count][place % count] for place in range(first, first + size)])


def batch_of_step(step: int, folder: Path, index: list[dict], settings: BatchSettings, model: Settings, seed: int) -> Batch:
    """The batch of one step, from (seed, step) alone."""
    lines = [index[i] for i in frames_of_step(step, len(index), settings.frames, seed)]
    return make_batch([load_frame(folder, line) for line in lines], settings, model, np.random.default_rng((seed, 2, step)))


BATCH_KEYS = tuple(field.name for field in fields(BatchSettings))
