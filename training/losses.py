"""The losses of PS3's pre-training: sigmoid contrastive matching of regions and captions, and binary cross-entropy of the selection maps.

Paper: "Scaling Vision Pre-Training to 4K Resolution" (arXiv 2503.19903), localized contrastive learning and top-down and bottom-up
selection; the sigmoid loss itself is SigLIP's (arXiv 2303.15343). All functions take and give float32 tensors and never look at files.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

LOGIT_GAIN = 5.0  # the reference's fixed gain on cosines before the sigmoid
LOGIT_LIMIT = 10.0  # and its clamp
NAMES_SCALE = 20.0  # of cosines before the softmax over names


def normalize(vectors: torch.Tensor) -> torch.Tensor:
    """Unit length along the last axis; eps 1e-6, as numpy does it on the robot."""
    return F.normalize(vectors.float(), dim=-1, eps=1e-6)


def sigmoid_contrastive(
    image: torch.Tensor,
    text: torch.Tensor,
    log_scale: torch.Tensor,
    bias: torch.Tensor,
    positive: torch.Tensor,
    ignore: torch.Tensor,
    count: int | None = None,
) -> torch.Tensor:
    """SigLIP's loss over every (region, caption) pair that counts.

    image [M, E] region embeddings, text [K, E] caption embeddings (neither normalised); log_scale, bias: scalars (the scale is
    exponentiated and clamped to 100); positive bool [M, K]; ignore bool [M, K]: pairs that are neither, such as captions of one image for
    each other's boxes. Each row of `image` has the weight 1 / M, as each image has in SigLIP; a row with no positive (a background region)
    pushes only. count: M of the global batch where `image` is one rank's part of it. Returns a scalar.
    """
    logits = contrastive_logits(image, text, log_scale, bias)
    sign = torch.where(positive, 1.0, -1.0)
    loss = -F.logsigmoid(sign * logits)
    return loss.masked_fill(ignore, 0.0).sum() / max(len(image) if count is None else count, 1)


def contrastive_logits(image: torch.Tensor, text: torch.Tensor, log_scale: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """scale * cosine + bias [M, K]; its sigmoid is a region's score. In float32 even under autocast: bf16 has two digits."""
    with torch.autocast(image.device.type, enabled=False):
        return normalize(image) @ normalize(text).T * log_scale.exp().clamp(max=100.0) + bias


def pair_masks(
    row_image: torch.Tensor,
    row_text: torch.Tensor,
    row_background: torch.Tensor,
    text_image: torch.Tensor,
    text_global: torch.Tensor,
    answers: torch.Tensor,
    intra_image_contrast: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which pairs of regions and captions are positive, and which are left out of the loss.

    row_image, row_text int64 [M]: each region's image and the caption that describes it (-1: none); row_background bool [M]: nothing named
    is there; text_image int64 [K], text_global bool [K]: each caption's image, and whether it is of the whole image; answers bool [M, K]:
    the region's object is one of those the caption asks for ("traffic sign" for a stop sign, "mug" for "red mug").
    Left out, unless positive: pairs of one image (paper table 6: leaving intra-image contrast out gains 5.3 points), and pairs where the
    object answers to another image's caption, so that "negative" would be untrue. A background region is a true negative of its own
    image's captions too, since it holds none of the image's objects, but not of the image's global caption.
    Returns positive, ignore: bool [M, K].
    """
    index = torch.arange(len(text_image), device=text_image.device)
    positive = row_text[:, None] == index[None]
    same_image = row_image[:, None] == text_image[None]
    untrue = same_image & text_global[None] | answers
    if not intra_image_contrast:
        untrue = untrue | same_image & ~row_background[:, None]
    return positive, untrue & ~positive


def box_cells(boxes: torch.Tensor, grid: int) -> torch.Tensor:
    """Boxes [R, 4] (x1, y1, x2, y2 as fractions of the frame) -> bool [R, grid, grid]: the cells whose area-resampled box mask is
    > 0, as in the paper's selection losses.

    A cell covers [i / grid, (i + 1) / grid]; any overlap of positive area counts. A box of no area marks the cell of its corner, so that a
    caption is never without a target.
    """
    slack = 1e-4  # of a cell: float32 fractions put an edge that lies between two cells a little into either
    low, high = boxes[:, :2].double().clamp(0, 1) * grid, boxes[:, 2:].double().clamp(0, 1) * grid
    first = (low + slack).floor().clamp(max=grid - 1)
    last = torch.maximum((high - slack).ceil() - 1, first)
    cells = torch.arange(grid, device=boxes.device)

    def overlaps(axis: int) -> torch.Tensor:  # bool [R, grid]
        return (cells[None] >= first[:, axis, None]) & (cells[None] <= last[:, axis, None])

    return overlaps(1)[:, :, None] & overlaps(0)[:, None, :]


def relevance_logits(features: torch.Tensor, prompts: torch.Tensor) -> torch.Tensor:
    """features [B, C, d] of cells, prompts [Q, d] -> cosines times 5 [Q, B, C], clamped to [-10, 10] (reference, stage 2)."""
    with torch.autocast(features.device.type, enabled=False):
        cosines = torch.einsum("bcd,qd->qbc", normalize(features), normalize(prompts))
        return (LOGIT_GAIN * cosines).clamp(-LOGIT_LIMIT, LOGIT_LIMIT)


def selection_loss(
    logits: torch.Tensor,
    target: torch.Tensor,
    valid: torch.Tensor | None = None,
    positive_weight: float = 1.0,
    across: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Binary cross-entropy of relevance maps against box masks (the paper's selection losses, of weight 1 each).

    logits [..., C] before the sigmoid, target bool [..., C], valid bool [..., C]: cells that count (default all).
    positive_weight multiplies the few cells inside a box; 1 is the paper's plain mean. across: sums the cells' weight over ranks, each of
    which then gives its share of the loss. Returns a scalar.
    """
    weight = torch.where(target, float(positive_weight), 1.0)
    if valid is not None:
        weight = weight * valid
    loss = F.binary_cross_entropy_with_logits(logits, target.float(), reduction="none")
    counted = weight.sum() if across is None else across(weight.sum())
    return (loss * weight).sum() / counted.clamp(min=1.0)


def ranking_loss(
    logits: torch.Tensor,
    target: torch.Tensor,
    valid: torch.Tensor,
    gain: float = 4.0,
    together: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> torch.Tensor:
    """How far a caption's own cells are from the top of all cells of the batch: - log of the share that a softmax over cells gives them.
    Ours.

    logits [Q, B, C] before the sigmoid (5 * cosine; gain 4 makes it 20 * cosine), target and valid bool [Q, B, C]. A budget takes the
    highest cells whatever their value, and this loss, unlike the cross-entropy of mostly empty maps, is no smaller for a map that says
    "nowhere" to everything. together: [Q, 2] -> [ranks, Q, 2], where each rank has a part of the frames; a rank's share is then 1 / ranks.
    Scalar.
    """
    scaled = (gain * logits).flatten(1)
    target, valid = target.flatten(1), valid.flatten(1)
    own = scaled.masked_fill(~target, float("-inf")).logsumexp(1)
    every = scaled.masked_fill(~(valid | target), float("-inf")).logsumexp(1)
    share = 1.0
    if together is not None:
        ranks = together(torch.stack([own, every], -1))
        own, every = ranks.logsumexp(0).unbind(-1)
        share = 1 / len(ranks)
    counted = own > float("-inf")
    return share * (every - own)[counted].sum() / counted.sum().clamp(min=1)


def names_loss(image: torch.Tensor, names: torch.Tensor, member: torch.Tensor) -> torch.Tensor:
    """Softmax of things over a whole vocabulary: every other name is a negative, where a batch of crops has only its own captions. Not in
    the paper, whose batches are large enough.

    image [n, E] and names [V, E]: vectors, normalised here; member bool [n, V]: the names that thing n answers, each a positive of its own.
    A thing without a name in the vocabulary counts for nothing. Scalar.
    """
    logits = NAMES_SCALE * (normalize(image.float()) @ normalize(names.float()).T)
    others = logits.masked_fill(member, -torch.inf).logsumexp(1, keepdim=True)
    each = F.softplus(others - logits) * member
    count = member.sum(1)
    named = count > 0
    return (each.sum(1)[named] / count[named]).mean() if named.any() else logits.sum() * 0


def absent_loss(
    image: torch.Tensor,
    names: torch.Tensor,
    log_scale: torch.Tensor,
    bias: torch.Tensor,
    member: torch.Tensor,
    count: int | None = None,
) -> torch.Tensor:
    """What SigLIP's loss asks of negatives, over a whole vocabulary: each region's score for every name that it does not answer, down. A
    batch's own captions hold few of the names that a thing is taken for; `names_loss` ranks them but leaves their scores' level free.

    image [M, E] regions, names [V, E], log_scale, bias, count: as the images, texts and the rest of `sigmoid_contrastive`; member bool [M,
    V]: names that count neither way (a thing's own are that loss's to raise). Scalar.
    """
    logits = contrastive_logits(image, names, log_scale, bias)
    return F.softplus(logits.masked_fill(member, -torch.inf)).sum() / max(len(image) if count is None else count, 1)
