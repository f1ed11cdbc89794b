"""Predicted selection: the highest cells win, what lies outside every box is a negative, and only candidates are taken."""

import numpy as np
import pytest
import torch

from ps3_training import batch, cache, choice, picking, pretrain, targets
from ps3_training.model import settings_of

from .conftest import sample


@pytest.fixture
def made(tiny_model, tmp_path):
    settings = settings_of(tiny_model.config)
    cache.build_cache([sample(i) for i in range(2)], tmp_path, settings, processes=1)
    frames = [cache.load_frame(tmp_path, line) for line in cache.read_index(tmp_path)]

    def make(**choose):
        rngs = [np.random.default_rng((0, place)) for place in range(2)]
        return batch.make_batch(frames, choice.BatchSettings(frames=2, tokens=40, global_fraction=0.0, **choose), settings, rngs)

    return make


def test_hard_tokens_are_the_highest_outside_every_box(made):
    one = made(hard_share=0.25)
    c = one.candidates
    assert (one.position.shape[1], c.hard, c.predicted) == (30, 10, 0)
    relevance = torch.rand(2, one.box_cells.shape[1], generator=torch.Generator().manual_seed(0))
    look = picking.pick(one, relevance, torch.zeros_like(relevance))
    assert look.patches.shape[1] == 40 and look.real.shape == (2, 40)
    for b in range(2):
        allowed = c.real[b] & c.free[b]
        best = relevance[b, c.cell[b][allowed]].sort(descending=True).values[:10]
        lookup = dict(zip(c.position[b].tolist(), range(c.position.shape[1]), strict=True))
        taken = [lookup[p] for p in look.position[b, 30:][look.real[b, 30:]].tolist()]
        assert torch.equal(relevance[b, c.cell[b][taken]], best) and c.free[b][taken].all()
        rows = look.mask[b, one.mask.shape[1] :].any(1).nonzero()[:, 0] + one.mask.shape[1]
        assert look.mask[b, rows, 30:].sum() == len(taken)  # each taken token in one background row, of its cell
        assert len(rows) == len(set(c.cell[b][taken].tolist())) == int((look.added_image == b).sum())
        assert not look.mask[b, rows, :30].any()


def test_with_everything_predicted_a_box_has_what_the_maps_found(made):
    one = made(selection="predicted")
    assert one.candidates.predicted == 40 and not one.real.any()
    everything = torch.zeros(2, one.box_cells.shape[1])
    for b in range(2):
        everything[b] = one.box_cells[one.box_image == b].any(0).float()
    look = picking.pick(one, everything, everything)
    assert look.keep.any() and look.mask.flatten(0, 1)[look.region].any(1).all()
    nothing = picking.pick(one, 1 - everything, 1 - everything)
    assert int(nothing.keep.sum()) <= int(look.keep.sum())


@pytest.mark.parametrize("choose", [{"hard_share": 0.3}, {"selection": "predicted"}, {"selection": 0.5, "hard_share": 0.2, "pool": "look"}])
def test_the_loss_learns_from_what_the_model_chose(made, tiny_model, sentences, choose):
    one = made(**choose)
    parts = pretrain.pretrain_loss(tiny_model, one, sentences, pretrain.LossSettings())
    parts["total"].backward()
    assert torch.isfinite(parts["total"]) and tiny_model.vision_model.trunk.attn_pool.latent.grad.abs().sum() > 0


def test_a_wrong_caption_is_one_that_nothing_in_the_frame_answers(made, tiny_model):
    one = made(hard_share=0.25)
    nothing = torch.zeros(len(one.texts), 1)
    captions = targets.gather_captions(one, nothing, nothing)
    _, valid, _ = targets.selection_targets(one, captions)
    maps = torch.arange(len(one.texts), dtype=torch.float32)[:, None, None].expand(-1, 2, one.box_cells.shape[1])
    own, wrong = picking.relevances(one, captions, maps, valid)
    for b in range(2):
        assert one.text_image[int(own[b, 0])] == b
        number = int(wrong[b, 0])
        here = {text for text, image in zip(one.texts, one.text_image.tolist(), strict=True) if image == b}
        assert number == int(own[b, 0]) or (one.text_image[number] != b and one.texts[number] not in here)


def test_without_the_low_res_cache_a_look_sees_no_glance(made, tiny_model, sentences):
    one = made()
    with_cache, without = (
        pretrain.pretrain_loss(tiny_model, one, sentences, pretrain.LossSettings(lowres_cache=on))["match"] for on in (True, False)
    )
    assert float(with_cache) != float(without)


@pytest.mark.parametrize("choose", [{}, {"hard_share": 0.3}])
def test_regions_of_a_look_are_told_from_names_that_nothing_here_answers(made, tiny_model, sentences, choose):
    one = made(**choose)
    shown = sorted({text.split(" ", 1)[1] for text in one.texts})
    names = [*shown, "violet square"]
    match = [
        float(
            pretrain.pretrain_loss(tiny_model, one, sentences, pretrain.LossSettings(absent_weight=weight), names=asked)["match"].detach()
        )
        for weight, asked in ((0.0, names), (1.0, ()), (1.0, ["violet square"]), (1.0, names))
    ]
    assert match[0] == match[1] < match[2] < match[3]
