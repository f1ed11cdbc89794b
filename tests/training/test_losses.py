"""Each loss against a plain slow version, and the pairs that must not count."""

import math

import numpy as np
import pytest
import torch

from ps3_training import losses


def test_sigmoid_contrastive_equals_a_plain_loop():
    generator = torch.Generator().manual_seed(0)
    image, text = torch.randn(5, 8, generator=generator), torch.randn(4, 8, generator=generator)
    positive, ignore = torch.zeros(5, 4, dtype=torch.bool), torch.zeros(5, 4, dtype=torch.bool)
    for i in range(4):
        positive[i, i] = True
    ignore[0, 1] = ignore[4, 2] = True
    log_scale, bias = torch.tensor(1.5), torch.tensor(-2.0)

    total = 0.0
    for i in range(5):
        for j in range(4):
            if ignore[i, j]:
                continue
            cosine = float(image[i] @ text[j] / image[i].norm() / text[j].norm())
            z = (1 if positive[i, j] else -1) * (math.exp(1.5) * cosine - 2.0)
            total += math.log1p(math.exp(-z))
    found = losses.sigmoid_contrastive(image, text, log_scale, bias, positive, ignore)
    assert float(found) == pytest.approx(total / 5, rel=1e-5)


def test_scale_is_clamped_to_100():
    image = text = torch.eye(2)
    assert float(losses.contrastive_logits(image, text, torch.tensor(20.0), torch.tensor(0.0))[0, 0]) == pytest.approx(100.0)


# one row and two captions: caption 0 describes the row where row_text is 0; the outcome is that of the caption at `place`
@pytest.mark.parametrize(
    "row_text, background, same_image, is_global, answers, place, positive, ignore",
    [
        (0, False, True, False, True, 0, True, False),  # its own caption
        (0, False, True, False, False, 1, False, True),  # another caption of the same image
        (0, False, False, False, False, 1, False, False),  # another image, another thing: a true negative
        (0, False, False, False, True, 1, False, True),  # another image's caption that fits this object as well
        (-1, True, True, False, False, 1, False, False),  # background of the image against the image's own object: a true negative
        (-1, True, True, True, False, 1, False, True),  # background against its image's global caption
        (-1, True, False, True, False, 1, False, False),  # background against another image's global caption
        (0, False, True, True, False, 0, True, False),  # the glance against its global caption
    ],
)
def test_pair_masks(row_text, background, same_image, is_global, answers, place, positive, ignore):
    text_image, text_global, fits = torch.full((2,), 99), torch.zeros(2, dtype=torch.bool), torch.zeros(1, 2, dtype=torch.bool)
    text_image[place], text_global[place], fits[0, place] = 0 if same_image else 99, is_global, answers
    found = losses.pair_masks(torch.tensor([0]), torch.tensor([row_text]), torch.tensor([background]), text_image, text_global, fits)
    assert bool(found[0][0, place]) == positive
    assert bool(found[1][0, place]) == ignore


def test_intra_image_contrast_can_be_switched_on():
    one, no = torch.tensor([0]), torch.tensor([False])
    arguments = (one, one, no, torch.tensor([0, 0]), torch.tensor([False, False]), torch.tensor([[True, False]]))
    assert losses.pair_masks(*arguments)[1].tolist() == [[False, True]]
    assert losses.pair_masks(*arguments, intra_image_contrast=True)[1].tolist() == [[False, False]]


def test_ignored_pairs_get_no_gradient():
    image = torch.randn(1, 4, requires_grad=True)
    text = torch.randn(2, 4, requires_grad=True)
    positive, ignore = torch.tensor([[True, False]]), torch.tensor([[False, True]])
    losses.sigmoid_contrastive(image, text, torch.tensor(1.0), torch.tensor(0.0), positive, ignore).backward()
    assert text.grad[1].abs().sum() == 0
    assert text.grad[0].abs().sum() > 0


def test_box_cells_equal_area_resampling_of_a_pixel_mask():
    rng = np.random.default_rng(3)
    size, grid = 240, 24
    for _ in range(50):
        x1, y1 = rng.integers(0, size - 1, 2)
        x2, y2 = rng.integers(x1 + 1, size + 1), rng.integers(y1 + 1, size + 1)
        mask = np.zeros((size, size), np.float32)
        mask[y1:y2, x1:x2] = 1
        expected = mask.reshape(grid, size // grid, grid, size // grid).mean((1, 3)) > 0
        found = losses.box_cells(torch.tensor([[x1, y1, x2, y2]]) / size, grid)[0].numpy()
        assert (found == expected).all()


def test_a_box_of_no_area_marks_one_cell_and_a_whole_frame_all():
    cells = losses.box_cells(torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.3, 0.3, 0.3, 0.3], [0, 0, 1, 1]]), 4)
    assert cells.sum((1, 2)).tolist() == [1, 1, 16]
    assert cells[0, 3, 3] and cells[1, 1, 1]


def test_relevance_logits_are_five_cosines():
    features, prompts = torch.randn(2, 3, 4), torch.randn(5, 4)
    found = losses.relevance_logits(features, prompts)
    cosine = float(features[1, 2] @ prompts[3] / features[1, 2].norm() / prompts[3].norm())
    assert float(found[3, 1, 2]) == pytest.approx(5 * cosine, abs=1e-5)
    assert found.abs().max() <= 5 + 1e-4


def test_selection_loss_weights_positives_and_skips_invalid_cells():
    logits = torch.tensor([2.0, -1.0, 0.5])
    target, valid = torch.tensor([True, False, False]), torch.tensor([True, True, False])
    positive, negative = math.log1p(math.exp(-2.0)), math.log1p(math.exp(-1.0))
    found = losses.selection_loss(logits, target, valid, positive_weight=3.0)
    assert float(found) == pytest.approx((3 * positive + negative) / 4, rel=1e-5)
    assert float(losses.selection_loss(logits, target)) == pytest.approx(
        float(torch.nn.functional.binary_cross_entropy_with_logits(logits, target.float())), rel=1e-6
    )


def test_ranking_loss_is_the_softmax_share_of_the_captions_own_cells():
    logits = torch.randn(2, 1, 3)
    target, valid = (
        torch.tensor([[[True, True, False]], [[False, False, False]]]),
        torch.tensor([[[True, True, True]], [[True, True, False]]]),
    )
    share = torch.softmax(2.0 * logits[0, 0], 0)[:2].sum()
    assert float(losses.ranking_loss(logits, target, valid, gain=2.0)) == pytest.approx(-math.log(float(share)), rel=1e-5)
    shifted = losses.ranking_loss(logits + 1.5, target, valid, gain=2.0)  # only the order of cells matters, not their level
    assert float(shifted) == pytest.approx(-math.log(float(share)), rel=1e-4)


def test_shares_of_two_parts_sum_to_the_whole():
    torch.manual_seed(0)
    logits, target = torch.randn(3, 4, 5), torch.rand(3, 4, 5) < 0.2
    target[:, 0, 0] = True  # every caption has a cell, in the first part
    valid = torch.rand(3, 4, 5) < 0.8
    weight = torch.where(target, 3.0, 1.0) * valid
    whole = losses.selection_loss(logits, target, valid, 3.0)
    parts = [losses.selection_loss(logits[:, p], target[:, p], valid[:, p], 3.0, lambda _: weight.sum()) for p in (slice(2), slice(2, 4))]
    assert float(sum(parts)) == pytest.approx(float(whole), rel=1e-5)

    target[:, 2:] = False
    halves = []
    losses.ranking_loss(logits[:, :2], target[:, :2], valid[:, :2], together=lambda v: halves.append(v) or v[None])
    losses.ranking_loss(logits[:, 2:], target[:, 2:], valid[:, 2:], together=lambda v: halves.append(v) or v[None])
    share = losses.ranking_loss(logits[:, :2], target[:, :2], valid[:, :2], together=lambda v: torch.stack(halves))
    assert 2 * float(share) == pytest.approx(float(losses.ranking_loss(logits, target, valid)), rel=1e-5)


def test_names_loss_takes_each_of_a_things_names_against_all_others():
    generator = torch.Generator().manual_seed(3)
    image, names = torch.randn(3, 6, generator=generator), torch.randn(5, 6, generator=generator)
    member = torch.tensor([[1, 1, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]], dtype=torch.bool)  # the last has no name: left out
    cosine = torch.nn.functional.cosine_similarity(image[:, None], names[None], dim=-1).double()
    rows = []
    for i in range(2):
        others = sum(math.exp(20 * cosine[i, v]) for v in range(5) if not member[i, v])
        own = [math.exp(20 * cosine[i, v]) for v in range(5) if member[i, v]]
        rows.append(np.mean([-math.log(one / (one + others)) for one in own]))
    assert losses.names_loss(image, names, member).item() == pytest.approx(np.mean(rows), rel=1e-5)
    assert losses.names_loss(image, names, torch.zeros_like(member)).item() == 0


def test_absent_loss_pushes_down_every_name_that_a_region_does_not_answer():
    generator = torch.Generator().manual_seed(4)
    image, names = torch.randn(3, 6, generator=generator), torch.randn(5, 6, generator=generator)
    member = torch.tensor([[1, 1, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]], dtype=torch.bool)  # the last is background
    scale, bias = torch.tensor(math.log(10.0)), torch.tensor(-2.0)
    cosine = torch.nn.functional.cosine_similarity(image[:, None], names[None], dim=-1).double()
    each = [math.log1p(math.exp(10 * cosine[i, v] - 2)) for i in range(3) for v in range(5) if not member[i, v]]
    assert losses.absent_loss(image, names, scale, bias, member).item() == pytest.approx(sum(each) / 3, rel=1e-5)
    assert losses.absent_loss(image, names, scale, bias, member, count=6).item() == pytest.approx(sum(each) / 6, rel=1e-5)
