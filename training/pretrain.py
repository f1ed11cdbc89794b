"""Stage B: PS3's pre-training on 4K frames, one look a frame with the ground truth selected first (paper, Pre-training)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ps3_training.model import PS3, GlanceOutput

from . import distributed, losses
from .batch import Batch, meaning_id
from .errors import TrainingError
from .picking import fixed_look, pick, relevances
from .sentences import Sentences
from .targets import Captions, answers, gather_captions, selection_targets


@dataclass(frozen=True)
class LossSettings:
    """Each value is a key of the YAML's `pretrain.loss`. The defaults are the paper's."""

    match_weight: float = 1.0
    top_down_weight: float = 1.0
    bottom_up_weight: float = 1.0
    positive_weight: float = 1.0  # of cells inside a box in the top-down loss
    intra_image_contrast: bool = False  # captions of one image as each other's negatives (paper table 6: worse)
    other_frames: bool = True  # ask each caption of the batch's other frames, too, where nothing answers it
    ranking_weight: float = 0.0  # of bringing a caption's own cells to the top of all (losses.ranking_loss; not in the paper)
    separate_maps: float = 0.0  # weight of the same loss on the glance's map and the auxiliary map each on its own
    absent_weight: float = 0.0  # of every score for a name of the bank that a region does not answer (losses.absent_loss); needs `replay`
    lowres_cache: bool = True  # a look sees the glance's keys and values
    fixed_aux_layers: int = 0  # of the auxiliary stem: whole frames, whose finest maps cost most of a step, do not train them; mosaics do

    def __post_init__(self) -> None:
        weights = {name: getattr(self, name) for name in self.__dataclass_fields__ if name.endswith("_weight")}
        if min(weights.values()) < 0 or self.separate_maps < 0 or self.fixed_aux_layers < 0:
            raise TrainingError(
                f"loss has {weights}, separate_maps {self.separate_maps} and fixed_aux_layers {self.fixed_aux_layers}; give 0 or more"
            )


def pretrain_loss(
    model: PS3,
    batch: Batch,
    sentences: Sentences,
    settings: LossSettings,
    glance: GlanceOutput | None = None,
    names: Sequence[str] = (),
) -> dict[str, Tensor]:
    """`match`, `top_down`, `bottom_up`, `ranking`, their weighted sum `total`, and `top1`: the share of regions nearest to their own
    caption. With several ranks each value is this rank's share: their sum is the loss of the global batch.

    glance: the model's at batch.glance, where the caller has made it. names: what settings.absent_weight tells regions from.
    """
    v = model.vision_model
    glance = v.glance(batch.glance) if glance is None else glance
    aux = v.aux_features(batch.aux, settings.fixed_aux_layers) if v.highres_selection_feature_module is not None else None
    text = model.text_model.project(sentences.of(batch.texts))
    captions = gather_captions(batch, text.text, text.prompt)
    cells, valid, all_cells = selection_targets(batch, captions)
    maps = map_logits(v, glance.select_features[:, 0], aux, captions.prompt[~captions.whole])

    look = fixed_look(batch)
    if batch.candidates is not None:
        with torch.no_grad():
            look = pick(batch, *relevances(batch, captions, maps["mean"], valid))
    kv = glance.kv if settings.lowres_cache else glance.kv[..., :0, :]
    tokens = v.look(look.patches, look.position, kv, look.real)
    embedding = v.pool(tokens, look.mask).flatten(0, 1)[look.region]
    if len(batch.glances):
        whole = torch.ones(len(batch.glances), 1, glance.tokens.shape[1], dtype=torch.bool, device=tokens.device)
        embedding = torch.cat([embedding, v.pool(glance.tokens[batch.glances], whole)[:, 0]])

    positive, ignore = _pairs(batch, captions, look, settings.intra_image_contrast)
    count = int(distributed.total(torch.tensor(len(embedding), device=tokens.device)))
    match = losses.sigmoid_contrastive(embedding, captions.text, model.logit_scale, model.logit_bias, positive, ignore, count)

    if settings.absent_weight and names:
        match = match + settings.absent_weight * _absent(model, batch, look, embedding, sentences, names)

    if not settings.other_frames:
        frame = torch.arange(len(batch.glance), device=tokens.device) + captions.first_image
        valid = valid & (captions.image[~captions.whole][:, None] == frame)[..., None]
    prior = map_logits(v, glance.select_features[:, 0], aux, v.prior_prompt[None])
    shares = {"mean": 1.0, "glance": settings.separate_maps, "aux": settings.separate_maps}
    shares = {name: share for name, share in shares.items() if share and name in maps}
    across = distributed.total
    top_down = sum(
        share * losses.selection_loss(maps[name], cells, valid, settings.positive_weight, across) for name, share in shares.items()
    )
    bottom_up = sum(share * losses.selection_loss(prior[name][0], all_cells, across=across) for name, share in shares.items())
    ranking = losses.ranking_loss(maps["mean"], cells, valid, together=_together if distributed.size() > 1 else None)
    total = (
        settings.match_weight * match
        + settings.ranking_weight * ranking
        + settings.top_down_weight * top_down
        + settings.bottom_up_weight * bottom_up
    )
    with torch.no_grad():
        cosines = (losses.normalize(embedding) @ losses.normalize(captions.text).T).masked_fill(ignore, -2)
        named = positive.any(1)
        right = positive.gather(1, cosines.argmax(1, keepdim=True))[named].float().sum()
        top1 = right / distributed.total(named.sum()).clamp(min=1)
    return {
        "total": total,
        "match": match.detach(),
        "top_down": top_down.detach(),
        "bottom_up": bottom_up.detach(),
        "ranking": ranking.detach(),
        "top1": top1,
    }


def _absent(model: PS3, batch: Batch, look, embedding: Tensor, sentences: Sentences, names: Sequence[str]) -> Tensor:
    """losses.absent_loss of a look's regions, things and background; this rank's share of it. A whole glance shows too much to be asked."""
    looked = len(embedding) - len(batch.glances)
    means = torch.cat(
        [batch.row_means[: len(batch.region)][look.keep], batch.row_means.new_zeros(len(look.added_image), batch.row_means.shape[1])]
    )
    asks = torch.tensor([meaning_id(name) for name in names], device=means.device)
    text = model.text_model.project(sentences.of(names)).text
    count = int(distributed.total(torch.tensor(looked, device=means.device)))
    return losses.absent_loss(embedding[:looked], text, model.logit_scale, model.logit_bias, answers(means, asks), count)


def _pairs(batch: Batch, captions: Captions, look, intra_image_contrast: bool) -> tuple[Tensor, Tensor]:
    """positive and ignore bool [M, K] of this rank's regions (those kept, the added background, the glances) against all captions."""
    pooled, added = len(batch.region), len(look.added_image)

    def joined(values: Tensor, new: Tensor | int) -> Tensor:
        new = values.new_full((added, *values.shape[1:]), new) if not isinstance(new, Tensor) else new
        return torch.cat([values[:pooled][look.keep], new, values[pooled:]])

    row_text = torch.where(batch.row_text >= 0, batch.row_text + captions.first, -1)
    return losses.pair_masks(
        joined(batch.row_image, look.added_image) + captions.first_image,
        joined(row_text, -1),
        joined(batch.row_background, 1),
        captions.image,
        captions.whole,
        answers(joined(batch.row_means, 0), captions.ask),
        intra_image_contrast,
    )


def _together(values: Tensor) -> Tensor:
    """[k, 2] of this rank's frames -> [ranks, k, 2]."""
    return distributed.gather(values).unflatten(0, (distributed.size(), -1))


def map_logits(v: torch.nn.Module, select_features: Tensor, aux: Tensor | None, prompt: Tensor) -> dict[str, Tensor]:
    """Relevance logits [Q, B, g * g] of every prompt [Q, D] on every frame: of the glance's map, of the auxiliary map, and of their mean;
    without an auxiliary branch the mean alone, which is the glance's.

    select_features [B, g * g, D] of the first high-res scale, whose map all scales use; aux [B, d, a, a] or None.
    """
    near = losses.relevance_logits(select_features, prompt)
    if aux is None:
        return {"mean": near}
    far = losses.relevance_logits(aux.flatten(2).transpose(1, 2), v.prompt_aux(prompt)).unflatten(-1, aux.shape[-2:])
    far = F.adaptive_max_pool2d(far, (v.grid, v.grid)).flatten(2)
    return {"mean": (near + far) / 2, "glance": near, "aux": far}
