import pytest
import torch
import torch.nn.functional as F

from ps3_training.attention import plain_attention, written_out


@pytest.mark.parametrize("masked", [False, True])
def test_plain_attention_equals_the_fused_one(masked):
    q, k, v = torch.randn(2, 3, 5, 8), torch.randn(2, 3, 9, 8), torch.randn(2, 3, 9, 8)
    mask = torch.rand(2, 1, 5, 9) > 0.3 if masked else None
    if masked:
        mask[..., 0] = True
    assert torch.allclose(plain_attention(q, k, v, mask), F.scaled_dot_product_attention(q, k, v, attn_mask=mask), atol=1e-6)


def test_the_fused_one_is_back_afterwards_even_after_an_error():
    fused = F.scaled_dot_product_attention
    with pytest.raises(RuntimeError), written_out():
        assert F.scaled_dot_product_attention is plain_attention
        raise RuntimeError
    assert F.scaled_dot_product_attention is fused


def test_depthwise_convolutions_stay_float32_under_autocast_and_others_do_not():
    x, depthwise, other = torch.randn(2, 8, 9, 9), torch.randn(8, 1, 3, 3), torch.randn(4, 8, 3, 3)
    with torch.autocast("cpu", torch.bfloat16), written_out():
        exact, rounded = F.conv2d(x, depthwise, padding=1, groups=8), F.conv2d(x, other)
    assert (exact.dtype, rounded.dtype) == (torch.float32, torch.bfloat16)
    assert torch.equal(exact, F.conv2d(x, depthwise, padding=1, groups=8))
    with written_out():
        assert torch.allclose(F.conv2d(x, depthwise, torch.ones(8), groups=8), F.conv2d(x, depthwise, groups=8) + 1, atol=1e-5)
