"""Stage A: the backbone as a plain ViT on crops of one object, and the selector's ConvNet on small mosaics of many (warm_batch.py).

It stands for what the paper starts from, SigLIP's weights, which this project must not need.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ps3_ros.reading import LETTERS
from ps3_training.model import PS3
from ps3_training.model.text import TextOutput

from . import losses
from .sentences import Sentences
from .taught import Taught
from .teaching import Teaching
from .warm_batch import NAMED_ROWS, WarmBatch, WarmStartSettings


def warm_loss(
    model: PS3,
    batch: WarmBatch,
    sentences: Sentences,
    settings: WarmStartSettings,
    kv: torch.Tensor | None = None,
    teaching: Teaching | None = None,
) -> dict[str, torch.Tensor]:
    """`match` (regions of crops against all captions; `words`: the part of it that is text signs') and `selector` (the ConvNet's maps of
    mosaics), and their sum `total`.

    kv [L, 2, F, h, n0, D/h]: keys and values of the glances at F frames, for the share of the crops that sees one; None: no crop does.
    teaching: who sees the batch's `taught` views beside the model (`teacher`: how far what is told of them is from what it has).
    """
    v = model.vision_model
    noise = torch.Generator().manual_seed(batch.noise_seed)
    names = model.text_model.project(_near(sentences.of(batch.names), settings.text_noise, noise)) if batch.names else None
    said = _near(sentences.of(batch.texts), settings.text_noise, noise)
    match, top1, _ = _crops_loss(model, batch, said, settings, settings.context, names, kv)
    more = {}
    if batch.words is not None:
        more["words"], more["words_top1"], tokens = _crops_loss(
            model, batch.words, sentences.of(batch.words.texts), settings, settings.words_context, names, kv
        )
        more["letters"], more["letters_top1"] = _letters_loss(model, batch.words, sentences, tokens)
        match = match + settings.words_weight * more["words"] + settings.letters_weight * more["letters"]
    more["top1"] = top1
    if batch.taught is not None:
        told = _taught_loss(model, batch, names, kv, teaching)
        match = match + settings.teacher_weight * told["teacher"] + settings.photographs_weight * told["photographs"]
        more |= told
    if not len(batch.mosaics):  # the crops alone, as for a model without the auxiliary branch
        zero = torch.zeros(())
        return {"total": match, "match": match, "ranking": zero, "selector": zero, "prior": zero, **more}
    prompt = v.prompt_aux(model.text_model.project(_near(sentences.of(batch.mosaic_texts), settings.text_noise, noise)).prompt)
    features = v.aux_features(batch.mosaics)
    maps = selector_logits(v, features, prompt, batch.cells)
    selector = losses.selection_loss(maps, batch.cells, batch.valid, settings.positive_weight)
    ranking = losses.ranking_loss(maps, batch.cells, batch.valid)
    prior = losses.selection_loss(selector_logits(v, features, v.prompt_aux(v.prior_prompt[None]), batch.cells)[0], batch.cells.any(0))
    if names is not None:
        g, y, x = batch.centres.unbind(1)
        f = features.shape[-1]
        here = features[g.long(), :, (y * f).long().clamp(max=f - 1), (x * f).long().clamp(max=f - 1)]
        ranking = ranking + settings.names_weight * losses.names_loss(here, v.prompt_aux(names.prompt), batch.mosaic_names)
    total = match + settings.ranking_weight * ranking + settings.selection_weight * (selector + prior)
    return {"total": total, "match": match, "ranking": ranking, "selector": selector, "prior": prior, **more}


def _crops_loss(
    model: PS3,
    batch: WarmBatch,
    said: torch.Tensor,
    settings: WarmStartSettings,
    context: float,
    names: TextOutput | None,
    kv: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(loss of the crops' regions against all captions and names, part of the regions whose own caption comes first, tokens [M, n, D]).

    said [M, W]: the captions' sentence vectors.
    """
    v = model.vision_model
    count, rows, _ = batch.mask.shape
    tokens = looked(v, batch, 0 if kv is None else round(context * count), kv)
    embedding = v.pool(tokens, batch.mask).flatten(0, 1)
    image = torch.arange(count).repeat_interleave(rows)
    background = torch.arange(rows).repeat(count) >= NAMED_ROWS
    keep = batch.has_row.flatten()
    text = model.text_model.project(said).text
    answers = batch.answers[image] & ~background[:, None]
    positive, ignore = losses.pair_masks(
        image[keep],
        torch.where(background, -1, image)[keep],
        background[keep],
        torch.arange(count),
        torch.zeros(count, dtype=torch.bool),
        answers[keep],
    )
    match = losses.sigmoid_contrastive(embedding[keep], text, model.logit_scale, model.logit_bias, positive, ignore)
    with torch.no_grad():
        logits = losses.normalize(embedding.detach()) @ losses.normalize(text).T
        first = logits[~background & keep].view(-1, count)
        owner = image[~background & keep]
        right = first.masked_fill(answers[~background & keep] & (owner[:, None] != torch.arange(count)), -2).argmax(1) == owner
    if names is not None:  # the object and a part of it: one token alone seldom tells
        rows = batch.has_row[:, :2].flatten()
        told = embedding.unflatten(0, (count, -1))[:, :2].flatten(0, 1)[rows]
        match = match + settings.names_weight * losses.names_loss(told, names.text, batch.crop_names.repeat_interleave(2, 0)[rows])
    if settings.absent_weight:
        member = batch.crop_names[image] & ~background[:, None]
        absent = losses.absent_loss(embedding[keep], names.text, model.logit_scale, model.logit_bias, member[keep])
        match = match + settings.absent_weight * absent
    return match, right.float().mean(), tokens


def _taught_loss(
    model: PS3,
    batch: WarmBatch,
    names: TextOutput | None,
    kv: torch.Tensor | None,
    teaching: Teaching,
) -> dict[str, torch.Tensor]:
    """`teacher`, `photographs` (their names against all others) and `photographs_top1`. Half of the views see a glance if there is one."""
    v, taught = model.vision_model, batch.taught
    tokens = looked(v, taught, 0 if kv is None else len(taught.patches) // 2, kv)
    embedding = v.pool(tokens, taught.mask)[:, 0]
    told = {"teacher": teaching.head(embedding, teaching.teacher.features(taught.pictures)).mean(), "photographs": embedding.sum() * 0}
    named = taught.answers.any(1)
    if names is not None and named.any():
        told["photographs"] = losses.names_loss(embedding[named], names.text, taught.answers[named])
        with torch.no_grad():
            best = (losses.normalize(embedding[named]) @ losses.normalize(names.text).T).argmax(1, keepdim=True)
        told["photographs_top1"] = taught.answers[named].gather(1, best).float().mean()
    return told


def _near(vectors: torch.Tensor, most: float, generator: torch.Generator) -> torch.Tensor:
    """Unit vectors [Q, W], each with up to `most` times any other one of them added, and of unit length again: still nearest to itself.

    A name that no picture was ever seen of is understood from the names around it, so these must not each be an island.
    """
    if not most:
        return vectors
    far = most * torch.rand(len(vectors), 1, generator=generator)
    return F.normalize(vectors + far.to(vectors) * vectors[torch.randperm(len(vectors), generator=generator)], dim=-1)


def _letters_loss(model: PS3, batch: WarmBatch, sentences: Sentences, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(loss of tokens by themselves against the captions of the letters on them, part of them whose best letter is one of theirs)."""
    shows = batch.letters.any(-1)
    alone, member = tokens[shows][:, None], batch.letters[shows]
    if not len(alone):
        return tokens.sum() * 0, torch.zeros(())
    embedding = model.vision_model.pool(alone, torch.ones(len(alone), 1, 1, dtype=torch.bool, device=tokens.device))[:, 0]
    text = model.text_model.project(sentences.of(LETTERS)).text
    with torch.no_grad():
        best = (losses.normalize(embedding) @ losses.normalize(text).T).argmax(1, keepdim=True)
    return losses.names_loss(embedding, text, member), member.gather(1, best).float().mean()


def looked(v: torch.nn.Module, batch: WarmBatch | Taught, seeing: int, kv: torch.Tensor | None) -> torch.Tensor:
    """Tokens [M, n, D] of the crops, of which the first `seeing` see a glance, each of the F frames' as many (so up to F - 1 fewer do).
    That glance takes no gradient: a crop lies in no frame."""
    count, done = len(batch.patches), []
    if kv is not None:
        seeing -= seeing % kv.shape[2]
    if seeing:
        done.append(v.look(batch.patches[:seeing], batch.position[:seeing], kv.detach()))
    if seeing < count:
        empty = torch.zeros(v.layers, 2, count - seeing, v.heads, 0, v.dim // v.heads)
        done.append(v.look(batch.patches[seeing:], batch.position[seeing:], empty))
    return torch.cat(done)


def selector_logits(v: torch.nn.Module, features: torch.Tensor, prompt_aux: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """The auxiliary branch alone: features [G, d, f, f], prompt_aux [Q, d] -> 5 * cosine, at most of each low-res cell, as `cells` [.., c
    * c] has them.
    """
    logits = losses.relevance_logits(features.flatten(2).transpose(1, 2), prompt_aux).unflatten(-1, features.shape[-2:])
    side = round(cells.shape[-1] ** 0.5)
    return F.adaptive_max_pool2d(logits, (side, side)).flatten(2)
