"""Stage B: PS3's pre-training on 4K frames, one look a frame with the ground truth selected first (paper, Pre-training)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from ps3_training.model import PS3

from . import losses
from .batch import Batch
from .sentences import Sentences


@dataclass(frozen=True)
class LossSettings:
    """Each value is a key of the YAML's `pretrain.loss`. The defaults are the paper's, but for positive_weight's use in our own runs."""

    top_down_weight: float = 1.0
    bottom_up_weight: float = 1.0
    positive_weight: float = 1.0  # of cells inside a box in the top-down loss
    intra_image_contrast: bool = False  # captions of one image as each other's negatives (paper table 6: worse)
    other_frames: bool = True  # ask each caption of the batch's other frames, too, where nothing answers it
    ranking_weight: float = 0.0  # of bringing a caption's own cells to the top of all (losses.ranking_loss; not in the paper)
    separate_maps: float = 0.0  # weight of the same loss on the glance's map and the auxiliary map each on its own


def pretrain_loss(model: PS3, batch: Batch, sentences: Sentences, settings: LossSettings) -> dict[str, torch.Tensor]:
    """`match`, `top_down`, `bottom_up`, `ranking`, their weighted sum `total`, and `top1`: the share of regions nearest to their own
    caption.
    """
    v = model.vision_model
    glance = v.glance(batch.glance)
    aux = v.aux_features(batch.aux)
    tokens = v.look(batch.patches, batch.position, glance.kv)
    embedding = v.pool(tokens, batch.mask).flatten(0, 1)[batch.region]
    if len(batch.glances):
        whole = torch.ones(len(batch.glances), 1, glance.tokens.shape[1], dtype=torch.bool)
        embedding = torch.cat([embedding, v.pool(glance.tokens[batch.glances], whole)[:, 0]])
    text = model.text_model.project(sentences.of(batch.texts))
    positive, ignore = losses.pair_masks(
        batch.row_image,
        batch.row_text,
        batch.row_background,
        batch.text_image,
        batch.text_global,
        batch.answers,
        settings.intra_image_contrast,
    )
    match = losses.sigmoid_contrastive(embedding, text.text, model.logit_scale, model.logit_bias, positive, ignore)

    local = ~batch.text_global
    valid = (
        batch.valid
        if settings.other_frames
        else batch.valid & (batch.text_image[local][:, None] == torch.arange(len(batch.glance)))[..., None]
    )
    maps = map_logits(v, glance.select_features[:, 0], aux, text.prompt[local])
    prior = map_logits(v, glance.select_features[:, 0], aux, v.prior_prompt[None])
    shares = {"mean": 1.0, "glance": settings.separate_maps, "aux": settings.separate_maps}
    top_down = sum(
        share * losses.selection_loss(maps[name], batch.cells, valid, settings.positive_weight) for name, share in shares.items() if share
    )
    bottom_up = sum(share * losses.selection_loss(prior[name][0], batch.all_cells) for name, share in shares.items() if share)
    ranking = losses.ranking_loss(maps["mean"], batch.cells, valid)
    total = match + settings.ranking_weight * ranking + settings.top_down_weight * top_down + settings.bottom_up_weight * bottom_up
    with torch.no_grad():
        cosines = (losses.normalize(embedding) @ losses.normalize(text.text).T).masked_fill(ignore, -2)
        named = positive.any(1)
        top1 = positive.gather(1, cosines.argmax(1, keepdim=True))[named].float().mean()
    return {"total": total, "match": match, "top_down": top_down, "bottom_up": bottom_up, "ranking": ranking.detach(), "top1": top1}


def map_logits(
    v: torch.nn.Module, select_features: torch.Tensor, aux: torch.Tensor | None, prompt: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Relevance logits [Q, B, g * g] of every prompt [Q, D] on every frame: of the glance's map, of the auxiliary map, and of their mean.

    select_features [B, g * g, D] of the first high-res scale, whose map all scales use; aux [B, d, a, a] or None.
    """
    near = losses.relevance_logits(select_features, prompt)
    if aux is None:
        return {"mean": near, "glance": near, "aux": near}
    far = losses.relevance_logits(aux.flatten(2).transpose(1, 2), v.prompt_aux(prompt)).unflatten(-1, aux.shape[-2:])
    far = F.adaptive_max_pool2d(far, (v.grid, v.grid)).flatten(2)
    return {"mean": (near + far) / 2, "glance": near, "aux": far}
