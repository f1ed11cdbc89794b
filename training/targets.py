"""The text side of a global batch, and what is true of each caption in one rank's frames: own cells, cells that count, who answers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from . import distributed
from .batch import Batch


@dataclass(frozen=True)
class Captions:
    """Every rank's captions, one rank after another: K in all. Frames and boxes are numbered over all ranks."""

    text: Tensor  # float32 [K, E], with gradient
    prompt: Tensor  # float32 [K, D], with gradient
    ask: Tensor  # int64 [K]
    whole: Tensor  # bool [K]: of a whole frame
    image: Tensor  # int64 [K]
    box: Tensor  # int64 [K], -1: of a whole frame
    first: int  # number of this rank's first caption
    first_image: int
    first_box: int


def gather_captions(batch: Batch, text: Tensor, prompt: Tensor) -> Captions:
    """This rank's captions [k, E] and [k, D] -> everyone's."""
    device = text.device
    first, first_image, first_box = (
        distributed.offset(count, device) for count in (len(batch.texts), len(batch.glance), len(batch.box_image))
    )
    vectors = distributed.gather(torch.cat([text, prompt], -1).float())
    box = torch.where(batch.text_box >= 0, batch.text_box + first_box, -1)
    table = torch.stack([batch.ask, batch.text_global.long(), batch.text_image + first_image, box], -1)
    ask, whole, image, box = distributed.gather(table).unbind(-1)
    width = text.shape[1]
    return Captions(vectors[:, :width], vectors[:, width:], ask, whole.bool(), image, box, first, first_image, first_box)


def answers(row_means: Tensor, ask: Tensor) -> Tensor:
    """Whether each region's object answers to each caption: int64 [M, w], [K] -> bool [M, K]."""
    found = torch.zeros(len(row_means), len(ask), dtype=torch.bool, device=ask.device)
    for meaning in row_means.unbind(1):
        found |= meaning[:, None] == ask[None]
    return found & (ask != 0)


def selection_targets(batch: Batch, captions: Captions) -> tuple[Tensor, Tensor, Tensor]:
    """For the k captions of boxes: cells and valid bool [k, B, g * g] of this rank's frames, and all_cells bool [B, g * g].

    A caption is asked of every frame: in its own frame its own box counts, in the others nothing does; cells of other objects that answer
    it too count neither way.
    """
    local = ~captions.whole
    ask, box, frames = captions.ask[local], captions.box[local], len(batch.glance)
    numbers = torch.arange(len(batch.box_image), device=ask.device) + captions.first_box
    own = box[:, None] == numbers[None]  # bool [k, X]
    other = answers(batch.box_means, ask).T & ~own
    shape = len(ask), frames, batch.box_cells.shape[1]
    cells, taken, every = (torch.zeros(s, dtype=torch.bool, device=ask.device) for s in (shape, shape, shape[1:]))
    for b in range(frames):
        here = batch.box_image == b
        marks = batch.box_cells[here].float()
        cells[:, b] = own[:, here].float() @ marks > 0
        taken[:, b] = other[:, here].float() @ marks > 0
        every[b] = batch.box_cells[here].any(0)
    return cells, ~taken | cells, every
