"""Predicted selection: the rest of a look's tokens is what the model's own maps choose, as the paper does after the ground truth.

A cache keeps the patches in and around boxes and some background, not the whole frame, so the model chooses among those: by the relevance
of the low-res cell that holds a patch. What it chooses outside every box is a negative for all of the frame's captions: the pool then
learns to say "not found" about what selection mistakes for an answer (docs/training.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .batch import Batch
from .targets import Captions


@dataclass(frozen=True)
class Look:
    """What is looked at and pooled in a step: Batch's fields of the same names, with the model's choices joined on."""

    patches: Tensor
    position: Tensor
    real: Tensor | None
    mask: Tensor
    region: Tensor
    keep: Tensor  # bool [m]: rows of the batch that pool at least one token
    added_image: Tensor  # int64 [a]: frames of the background rows that follow


def fixed_look(batch: Batch) -> Look:
    """Without candidates: the batch as it is."""
    keep = torch.ones_like(batch.region, dtype=torch.bool)
    return Look(batch.patches, batch.position, batch.real, batch.mask, batch.region, keep, batch.region[:0])


def relevances(batch: Batch, captions: Captions, maps: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """maps [k, B, C] of the captions of boxes, and which cells of a frame do not answer them -> [B, C] for the frame's own captions (the
    highest of them; the mean of all where it has none) and for one wrong caption, drawn by batch.candidates.draw.
    """
    image = captions.image[~captions.whole]
    own, wrong = [], []
    for b in range(maps.shape[1]):
        mine = image == b + captions.first_image
        own.append(maps[mine, b].amax(0) if mine.any() else maps[:, b].mean(0) if len(maps) else maps.new_zeros(maps.shape[2]))
        others = torch.nonzero(~mine & valid[:, b].all(1))[:, 0]
        place = int(batch.candidates.draw[b] * len(others))
        wrong.append(maps[others[place], b] if len(others) else own[-1])
    return torch.stack(own), torch.stack(wrong)


def pick(batch: Batch, own: Tensor, wrong: Tensor) -> Look:
    """own, wrong [B, C]: relevance of each cell -> the look with `predicted` candidates of the highest own relevance, then `hard` ones
    outside all boxes by the higher of both. Equal cells keep the candidates' random order.
    """
    c = batch.candidates
    left = c.real.clone()
    rounds = []
    for relevance, count, allowed in ((own, c.predicted, c.real), (torch.maximum(own, wrong), c.hard, c.free & c.real)):
        score = relevance.gather(1, c.cell).masked_fill(~(left & allowed), float("-inf"))
        place = score.sort(dim=1, descending=True, stable=True).indices[:, :count]
        left.scatter_(1, place, False)
        rounds.append((place, score.gather(1, place) > float("-inf")))
    place, real = (torch.cat(parts, 1) for parts in zip(*rounds, strict=True))
    values = c.patches.gather(1, place[..., None].expand(-1, -1, c.patches.shape[2]))
    member = c.member.gather(2, place[:, None].expand(-1, c.member.shape[1], -1)) & real[:, None]
    mask = torch.cat([batch.mask, member], 2)
    before = batch.real if batch.real is not None else torch.ones_like(batch.position, dtype=torch.bool)
    keep = mask.flatten(0, 1)[batch.region].any(1)

    cell, free = c.cell.gather(1, place), c.free.gather(1, place) & real
    rows, image = [], []
    for b in range(len(cell)):
        for one in cell[b][free[b]].unique():
            rows.append(F.pad(free[b] & (cell[b] == one), (batch.mask.shape[2], 0)))
            image.append(b)
    counts = torch.bincount(torch.tensor(image, dtype=torch.int64), minlength=len(cell)).tolist()
    most = batch.mask.shape[1]
    wide = F.pad(mask, (0, 0, 0, max(counts, default=0)))
    frame, slot = batch.region // most, batch.region % most
    region = [frame[keep] * wide.shape[1] + slot[keep]]
    done = 0
    for b, count in enumerate(counts):
        for row in range(count):
            wide[b, most + row] = rows[done + row]
        region.append(torch.arange(count, device=cell.device) + b * wide.shape[1] + most)
        done += count
    return Look(
        torch.cat([batch.patches, values], 1),
        torch.cat([batch.position, c.position.gather(1, place)], 1),
        torch.cat([before, real], 1),
        wide,
        torch.cat(region),
        keep,
        torch.tensor(image, dtype=torch.int64, device=cell.device),
    )
