import pytest
import torch
import torch.nn.functional as F

from ps3_training.model.selection import look_schedule, relevance_logits, select_patches, share_budget


@pytest.mark.parametrize(
    "budget, tokens, available, first, counts",
    [
        ((8, 34, 213), None, [64, 256, 1600], None, [8, 34, 213]),  # a full look
        ((8, 34, 213), 85, [64, 256, 1600], None, [2, 11, 71]),  # int() of each share of 85 / 255
        ((24, 96), None, [10, 576], None, [10, 110]),  # what the first scale lacks passes on
        ((24, 96), None, [0, 30], None, [0, 30]),  # less is left than a look
        ((24, 96), None, [144, 576], 1, [120, 0]),  # all to the first; the other's 1 is taken back by the rounding remainder
        ((8, 34, 213), None, [64, 256, 1600], 2, [48, 206, 1]),  # 8 / 42 * 255 = 48.6, 34 / 42 * 255 = 206.4, and the remainder of 1
        ((10, 10), 1, [5, 5], 1, [0, 5]),  # shares of nothing: the remainder goes to the last scale, up to what it has
    ],
)
def test_share_budget(budget, tokens, available, first, counts):
    assert share_budget(budget, tokens, available, first) == counts


@pytest.mark.parametrize(
    "looks, tokens, schedule",
    [
        (1, None, [None]),
        (3, None, [None] * 3),
        (9, None, [None] * 6),  # never more looks than patches: 720 / 120
        ("all", None, [None] * 6),
        (None, "all", [None] * 6),
        (None, 40, [40]),
        (None, 120, [120]),
        (None, 150, [None, 30]),
        (None, 5000, [None] * 5 + [120]),
    ],
)
def test_look_schedule(looks, tokens, schedule):
    assert look_schedule(looks, tokens, total=720, per_look=120) == schedule


def test_select_patches_against_plain_sorting():
    """Ties included: likeliest first, then by cell, then row-major."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        n = 40
        prob = torch.randint(0, 5, (n,), generator=generator) / 5
        cell = torch.randint(0, 6, (n,), generator=generator)
        taken = torch.rand(n, generator=generator) < 0.3
        count = int(torch.randint(0, int((~taken).sum()) + 1, (1,), generator=generator))
        slow = sorted((i for i in range(n) if not taken[i]), key=lambda i: (-prob[i].item(), cell[i].item(), i))[:count]
        assert select_patches([prob], [cell], [taken], [count])[0].tolist() == sorted(slow)


def test_relevance_by_plain_loops():
    """5 x the mean of two cosines; 1e-5 absolute."""
    features, aux = torch.randn(2, 2, 16, 8), torch.randn(2, 6, 9, 9)
    prompt, prompt_aux = torch.randn(2, 3, 8), torch.randn(2, 3, 2, 6)
    logits = relevance_logits(features, aux, prompt, prompt_aux)
    assert logits.shape == (2, 3, 2, 4, 4)
    for b in range(2):
        for q in range(3):
            for h in range(2):
                near = F.cosine_similarity(features[b, h], prompt[b, q], dim=-1).view(4, 4)
                far = F.cosine_similarity(aux[b].permute(1, 2, 0), prompt_aux[b, q, h], dim=-1)
                far = F.adaptive_max_pool2d(far[None, None], 4)[0, 0]
                torch.testing.assert_close(logits[b, q, h], 2.5 * (near + far), atol=1e-5, rtol=0)
    alone = relevance_logits(features, None, prompt, None)
    torch.testing.assert_close(alone[1, 2, 1].flatten(), 5 * F.cosine_similarity(features[1, 1], prompt[1, 2], dim=-1), atol=1e-5, rtol=0)
