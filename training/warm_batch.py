"""What a step of stage A shows: crops of one object each, and mosaics of many.

A crop is a look without a glance: the same patch embedding, positions of a random place at a random scale, blocks and masked pool as in
PS3, with no cached keys and values. A mosaic is a part of a selector image, squeezed as a 16:9 frame is, so that the ConvNet meets about
twenty times more objects a second than in whole frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import torch

from ps3_ros.close_up import LEAST_PX, SHAPES, SIDE
from ps3_ros.frame import FramePlan
from ps3_ros.manifest import Settings
from ps3_training.data import augment

from . import losses
from .crops import (
    FRAME,
    ZOOM,
    camouflaged,
    covered_by,
    crop_shape,
    crop_tensors,
    jittered,
    magnified,
    patches_of,
    places,
    scale_odds,
    shows,
)
from .errors import TrainingError
from .hard_names import HardNames
from .sprites import Bank, anywhere, distant_scenery, paste, resized, scenery_crop
from .supports import draw_support
from .taught import Photographs, Taught, make_taught
from .word_crops import make_word_crops

MOST_SIDE = 12  # patches a side of a crop
NAMED_ROWS = 3  # of a crop's masks, the first: the object, a part of it, one token of it. The others are background


@dataclass(frozen=True)
class WarmStartSettings:
    """Each value is a key of the YAML's `warm_start.batch`."""

    crops: int = 128
    side: int = 6  # patches a side of a crop
    tokens: int = 0  # of a crop that stay, those with a thing first, as a look has little else; 0: all
    smallest: float = 14.0  # px, longer side of an object in a crop
    largest: float = 150.0  # parts of objects larger than the crop are seen, too
    supports: float = 0.0  # of crops in which a post or a board is drawn under the object: nothing that a caption means
    support_tokens: int = 2  # of each of these: single tokens to which no caption fits
    alike: float = 0.3  # of objects drawn from the group of the one before, so that look-alikes are each other's negatives
    hard_names: str = ""  # file of hard_names.py: what each name cost; none: names are drawn alike
    hard_share: float = 0.5  # of objects that are drawn by it, where it is given
    camera: float = 0.0  # of crops of the finest scale that go through a camera and its JPEG, as frames do
    magnified: float = 0.0  # of those crops that are made smaller, photographed and enlarged again, as close-ups of small things are
    shaped: float = 0.0  # of crops on as many rows and columns of patches as a close-up of the object has; the others are square
    largest_side: int = SIDE  # patches a side of the largest of these, for things that a close-up would have to make smaller
    context: float = 0.0  # of crops that see the keys and values of a frame's glance, as a look does: in the warm start of a cached frame's
    words: int = 0  # crops of text signs beside these, each as large as a close-up for written words (word_crops.py)
    words_context: float = 0.0  # of those that see a glance
    words_weight: float = 1.0  # of their phrases
    letters_weight: float = 1.0  # of what their tokens are told, the letters on them
    photographs: int = 0  # views of named photographs that a teacher sees, too (taught.py)
    windows: int = 0  # of parts of photographs
    taught_cut_outs: int = 0  # of cut-outs
    teacher_weight: float = 4.0  # of telling what the teacher makes of these
    photographs_weight: float = 0.3  # of telling a photograph's names from all others of the bank
    camouflage: float = 0.0  # of crops whose scenery is given the thing's own mean colour, most of the way
    mosaics: int = 6
    mosaic_cells: int = 8  # low-res cells a side of a mosaic
    objects: int = 14  # a mosaic
    colour_jitter: float = 0.15
    positive_weight: float = 8.0  # of cells inside a box in the selection loss
    selection_weight: float = 1.0
    names_weight: float = 0.0  # of telling a thing's names from all others of the bank, for crops and for the ConvNet's maps
    absent_weight: float = 0.0  # of every score for a name that a crop's region does not answer, its background's too (losses.absent_loss)
    text_noise: float = 0.0  # share of another caption's sentence vector that is added to each, at most (warm_start._near)
    ranking_weight: float = 0.25  # of bringing a caption's cells to the top, where the maps' own loss hardly moves at first

    @property
    def named(self) -> bool:
        """Whether a batch comes with the bank's names."""
        return bool(self.names_weight or self.absent_weight)

    @property
    def sees(self) -> bool:
        """Whether any crop sees a glance."""
        return bool(self.context or self.words and self.words_context)

    @property
    def taught(self) -> tuple[int, int, int]:
        """How many photographs, parts of photographs and cut-outs a teacher sees in a step."""
        return self.photographs, self.windows, self.taught_cut_outs

    def __post_init__(self) -> None:
        if self.tokens and self.tokens < NAMED_ROWS + self.support_tokens:
            raise TrainingError(f"tokens is {self.tokens}; give {NAMED_ROWS + self.support_tokens} or more, or 0 for all of a crop's")
        if self.shaped and self.side != SIDE:
            raise TrainingError(f"shaped is {self.shaped} where side is {self.side}; close-ups have {SIDE} patches a side: give that, or 0")
        if not SIDE <= self.largest_side <= MOST_SIDE:
            raise TrainingError(f"largest_side is {self.largest_side}; give {SIDE}, as close-ups have, to {MOST_SIDE} patches")
        for name in ("hard_share", "camera", "magnified", "shaped", "context", "words_context", "camouflage"):
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f"{name} is {getattr(self, name)}; give a share from 0 to 1")
        if self.text_noise < 0:
            raise TrainingError(f"text_noise is {self.text_noise}; give a share of 0 or more")
        if self.words < 0:
            raise TrainingError(f"words is {self.words}; give how many crops of text signs a step shows, or 0")
        if min(self.taught) < 0:
            raise TrainingError(f"photographs, windows and taught_cut_outs are {self.taught}; give how many views a step shows, or 0")
        if self.photographs and not self.named:
            raise TrainingError("photographs need the bank's names; give names_weight, or set photographs to 0")
        if not 0 <= self.supports <= 1 or self.support_tokens < 1:
            raise TrainingError(
                f"supports and support_tokens are {self.supports} and {self.support_tokens}; give a share from 0 to 1, and 1 or more"
            )


@dataclass(frozen=True)
class WarmBatch:
    """M crops of n patches with R masks each; G mosaics with k captions in all."""

    patches: torch.Tensor  # float32 [M, n, 3 * p * p]
    position: torch.Tensor  # int64 [M, n]
    mask: torch.Tensor  # bool [M, R, n]: the object, a part of it, one token of it, one token beside it, tokens of its support
    has_row: torch.Tensor  # bool [M, R]
    texts: tuple[str, ...]  # M
    answers: torch.Tensor  # bool [M, M]: crop m's object answers caption k
    mosaics: torch.Tensor  # float32 [G, 3, s, s]
    mosaic_texts: tuple[str, ...]  # k
    cells: torch.Tensor  # bool [k, G, c * c]
    valid: torch.Tensor  # bool [k, G, c * c]
    names: tuple[str, ...] = ()  # V, where names_weight or absent_weight is not 0
    crop_names: torch.Tensor | None = None  # bool [M, V]: what crop m answers
    mosaic_names: torch.Tensor | None = None  # bool [k, V]
    centres: torch.Tensor | None = None  # float32 [k, 3]: number of the mosaic, y and x from 0 to 1
    letters: torch.Tensor | None = None  # bool [M, n, 36]: which of word_crops.LETTERS each token shows; of `words` alone
    noise_seed: int = 0  # of which captions' vectors are added to which, and how much of them
    words: WarmBatch | None = None  # crops of text signs, where settings.words is not 0; without mosaics
    taught: Taught | None = None  # what a teacher sees, too


def make_warm_batch(
    bank: Bank,
    settings: WarmStartSettings,
    model: Settings,
    rng: np.random.Generator,
    photographs: Photographs | None = None,
    hard: HardNames | None = None,
) -> WarmBatch:
    """One step's crops and mosaics, drawn from rng alone. photographs: where any of settings.taught is not 0; hard: of hard_names."""
    draw = partial(_object, bank, rng, hard if settings.hard_share else None, settings.hard_share)
    made = {**_crops(bank, settings, model, rng, draw), **_mosaics(bank, settings, model, rng, draw)}
    if not settings.named:
        made = {name: value for name, value in made.items() if name not in ("crop_names", "mosaic_names", "centres")}
    names = bank.names if settings.named else ()
    words = None
    if settings.words:
        read = make_word_crops(bank, settings.words, settings.colour_jitter, model, rng, settings.named)
        nothing = torch.empty(0)
        words = WarmBatch(**read, mosaics=nothing, mosaic_texts=(), cells=nothing, valid=nothing, names=names)
    noise_seed = int(rng.integers(2**31)) if settings.text_noise else 0
    taught = make_taught(bank, photographs, settings.taught, settings.colour_jitter, model, rng) if any(settings.taught) else None
    return WarmBatch(**made, names=names, words=words, noise_seed=noise_seed, taught=taught)


def _object(
    bank: Bank, rng: np.random.Generator, hard: HardNames | None, share: float, alike: int | None = None
) -> tuple[int, str, str, frozenset]:
    """A cut-out's number, a caption, what that asks for, and all that it means. alike: like this one; else `share` of them by `hard`."""
    i = hard.draw(bank, rng) if hard is not None and alike is None and rng.random() < share else bank.draw(rng, alike)
    label = bank.labels[i]
    which = int(rng.integers(len(label["texts"])))
    return i, label["texts"][which], label["asks"][which], frozenset(label["means"])


def _crops(bank: Bank, settings: WarmStartSettings, model: Settings, rng: np.random.Generator, draw: Callable) -> dict:
    p, count = model.patch, settings.crops
    plan = FramePlan.of(*FRAME, model)
    held = settings.support_tokens if settings.supports else 0
    least = min(rows * cols for rows, cols in SHAPES) if settings.shaped else settings.side**2
    kept = min(settings.tokens or least, least)
    patches = np.empty((count, kept, 3 * p * p), np.float32)
    position = np.empty((count, kept), np.int64)
    mask = np.zeros((count, NAMED_ROWS + 1 + held, kept), bool)
    texts, asks, means, named = [], [], [], []
    drawn = None
    for m in range(count):
        drawn, text, ask, meaning = draw(drawn if rng.random() < settings.alike else None)
        sprite = bank.sprite(drawn)
        size = max(np.exp(rng.uniform(np.log(settings.smallest), np.log(settings.largest))), bank.least(drawn))
        scale = size / max(sprite.shape[:2])
        sprite = resized(sprite, sprite.shape[1] * scale, sprite.shape[0] * scale)
        h, w = sprite.shape[:2]
        shaped = settings.shaped and rng.random() < settings.shaped
        shape = crop_shape(w, h, p, settings.largest_side) if shaped else (settings.side, settings.side)
        rows, cols = shape
        height, width = rows * p, cols * p
        image = distant_scenery(bank, rng, width, height)
        x, y = anywhere(rng, (width, height), (w, h))
        support = draw_support(image, x, y, w, h, rng) if held and rng.random() < settings.supports else None
        if settings.camouflage and rng.random() < settings.camouflage:
            camouflaged(image, sprite, rng)
        alpha = paste(image, sprite, x, y)
        if rng.random() < 0.3:
            image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.3, 1.0)))
        s = int(rng.choice(len(plan.grids), p=scale_odds(len(plan.grids))))
        finest = s == len(plan.grids) - 1
        if settings.magnified and finest and rng.random() < settings.magnified:
            image = magnified(image, min(ZOOM, max(1.0, size / max(LEAST_PX, bank.least(drawn)))), rng)
        elif settings.camera and finest and rng.random() < settings.camera:
            image = augment.photographed(image, rng)
        values = jittered(image, settings.colour_jitter, model, rng)
        every, covered, around = patches_of(values, shape, p), covered_by(alpha, shape, p), places(plan, s, shape, rng)
        masks = np.zeros((mask.shape[1], len(covered)), bool)
        masks[: NAMED_ROWS + 1] = _masks(covered, rng)
        if support is not None:
            shown = support.reshape(rows, p, cols, p).mean((1, 3)).reshape(-1)
            for number, token in enumerate(rng.permutation(np.flatnonzero((covered == 0) & (shown > 0)))[:held]):
                masks[NAMED_ROWS + 1 + number, token] = True
        keep = _kept(masks, kept, rng)
        patches[m], mask[m], position[m] = every[keep], masks[:, keep], around[keep]
        texts.append(text)
        asks.append(ask)
        means.append(meaning)
        named.append(bank.answers(drawn) if settings.named else [])
    return crop_tensors(patches, position, mask, texts, [[ask in meaning for ask in asks] for meaning in means], named)


def _masks(covered: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Share of each token that the object covers [n] -> bool [4, n]: the object, a part, one token, and one token beside it."""
    inside = shows(covered)
    tokens, free = np.flatnonzero(inside), np.flatnonzero(covered == 0)
    masks = np.zeros((4, len(covered)), bool)
    masks[0] = inside
    masks[1, rng.permutation(tokens)[: rng.integers(1, len(tokens) + 1)]] = True
    masks[2, rng.choice(tokens, p=covered[tokens] / covered[tokens].sum() if covered[tokens].sum() else None)] = True
    if len(free):
        masks[3, rng.choice(free)] = True
    return masks


def _kept(masks: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indices int64 [count] of the tokens that stay, in their order: those alone in a mask first, then the object's, then any."""
    if count == masks.shape[1]:
        return np.arange(count)
    alone, object_ = masks[NAMED_ROWS - 1 :].any(0), masks[0]
    return np.sort(np.argsort(-(2 * alone + object_ + rng.random(masks.shape[1])), kind="stable")[:count])


def _mosaics(bank: Bank, settings: WarmStartSettings, model: Settings, rng: np.random.Generator, draw: Callable) -> dict:
    cells = settings.mosaic_cells
    side = model.aux_size // model.grid * cells  # px of the selector's image
    squeeze = model.aux_size / FRAME[1], model.aux_size / FRAME[0]
    slots = int(np.ceil(settings.objects**0.5))
    images = np.empty((settings.mosaics, 3, side, side), np.float32)
    texts, asks, owners, own_boxes, named, centres = [], [], [], [], [], []
    things: list[list[tuple[frozenset, torch.Tensor]]] = []
    for g in range(settings.mosaics):
        zoom = np.exp(rng.uniform(np.log(0.5), np.log(1.5)))
        image = scenery_crop(bank, rng, side, side, (side / squeeze[0] * zoom, side / squeeze[1] * zoom))
        here, drawn = [], None
        for slot in rng.permutation(slots * slots)[: settings.objects]:
            drawn, text, ask, meaning = draw(drawn if rng.random() < settings.alike else None)
            sprite = bank.sprite(drawn)
            size = max(np.exp(rng.uniform(np.log(24), np.log(260))), bank.least(drawn)) / max(sprite.shape[:2])  # px of the frame
            sprite = resized(sprite, sprite.shape[1] * size * squeeze[0], sprite.shape[0] * size * squeeze[1])
            h, w = sprite.shape[:2]
            room = side / slots
            x = int(slot % slots * room + rng.uniform(min(0, room - w), max(0, room - w)))
            y = int(slot // slots * room + rng.uniform(min(0, room - h), max(0, room - h)))
            x, y = (int(np.clip(v, 0, max(0, side - length))) for v, length in ((x, w), (y, h)))
            paste(image, sprite, x, y)
            box = losses.box_cells(torch.tensor([[x, y, min(x + w, side), min(y + h, side)]]) / side, cells).flatten()
            here.append((meaning, box))
            texts.append(text)
            asks.append(ask)
            owners.append(g)
            named.append(bank.answers(drawn) if settings.named else [])
            centres.append((g, min(1, (y + h / 2) / side), min(1, (x + w / 2) / side)))
            own_boxes.append(box)
        things.append(here)
        images[g] = jittered(image, settings.colour_jitter, model, rng)
    target = torch.zeros(len(texts), settings.mosaics, cells * cells, dtype=torch.bool)
    valid = torch.ones_like(target)
    for k, (ask, owner) in enumerate(zip(asks, owners, strict=True)):
        for g, here in enumerate(things):
            for meaning, box in here:
                if ask in meaning:
                    valid[k, g] &= ~box
        target[k, owner] = own_boxes[k]
        valid[k, owner] |= own_boxes[k]
    return {"mosaics": torch.from_numpy(images), "mosaic_texts": tuple(texts), "cells": target, "valid": valid} | {
        "mosaic_names": torch.from_numpy(np.array(named, bool).reshape(len(texts), len(named[0]) if named else 0)),
        "centres": torch.tensor(centres).reshape(-1, 3),
    }
