"""Glance, look and pool: shapes, the key/value cache, masks, and the C-RADIO variant. 1e-5 absolute unless a line says otherwise."""

import pytest
import tiny_ps3 as tiny
import torch
from torch.profiler import ProfilerActivity, profile

CLOSE = {"atol": 1e-5, "rtol": 0}


@pytest.fixture(params=["reference", "ours", "radio"])
def v(request):
    values = {"reference": tiny.config, "ours": tiny.ours, "radio": tiny.radio}[request.param]()
    return tiny.model(values).vision_model


def test_shapes(v):
    glance = v.glance(torch.randn(2, 3, 64, 64))
    assert glance.tokens.shape == (2, 16, 64) and glance.select_features.shape == (2, 2, 16, 64)
    assert glance.kv.shape == (6, 2, 2, 2, 16, 32)
    aux = v.aux_features(torch.randn(2, 3, 224, 224))
    side = 224 // v.config.highres_selection_module_kernel_size
    assert aux.shape == (2, 24, side, side)  # one map for both high-res scales
    assert v.relevance(glance, aux, torch.randn(2, 64)).shape == (2, 2, 4, 4)
    assert v.relevance(glance, aux, torch.randn(2, 5, 64)).shape == (2, 5, 2, 4, 4)
    assert v.saliency(glance, aux).shape == (2, 2, 4, 4)
    assert v.prompt_aux(torch.randn(3, 64)).shape == (3, 24)
    look = v.look(torch.randn(2, 7, 768), torch.randint(0, 320, (2, 7)), glance.kv)
    assert look.shape == (2, 7, 64)
    assert v.pool(look, torch.ones(2, 3, 7, dtype=torch.bool)).shape == (2, 3, v.embed_dim)
    assert v.embed_dim == (1152 if v.config.radio else 64)


def test_several_prompts_are_each_prompt():
    v = tiny.model(tiny.config()).vision_model
    glance, aux, prompts = v.glance(torch.randn(2, 3, 64, 64)), v.aux_features(torch.randn(2, 3, 224, 224)), torch.randn(2, 3, 64)
    together = v.relevance(glance, aux, prompts)
    for q in range(3):
        torch.testing.assert_close(together[:, q], v.relevance(glance, aux, prompts[:, q]), **CLOSE)


def test_prompt_aux_is_the_first_scales_slice():
    model = tiny.model(tiny.config())
    prompt = torch.randn(3, 64)
    expected = model.vision_model.prompt_proj_for_highres(prompt)[:, :24]
    assert torch.equal(model.prompt_aux(prompt), expected)


def test_no_auxiliary_branch():
    v = tiny.model(tiny.config({"highres_selection_feature": False})).vision_model
    assert v.saliency(v.glance(torch.randn(1, 3, 64, 64)), None).shape == (1, 2, 4, 4)
    with pytest.raises(ValueError, match="no auxiliary branch"):
        v.aux_features(torch.randn(1, 3, 224, 224))
    with pytest.raises(ValueError, match="no auxiliary branch"):
        v.prompt_aux(torch.randn(1, 64))


def test_look_sees_the_glance(v):
    """Keys and values of another frame change what a look answers."""
    patches, position = torch.randn(1, 5, 768), torch.arange(5)[None]
    first, second = (v.look(patches, position, v.glance(torch.randn(1, 3, 64, 64)).kv) for _ in range(2))
    assert (first - second).abs().max() > 1e-3


def test_look_is_attention_over_glance_and_own_patches():
    """One block by hand: softmax over the cached keys and the look's own."""
    v = tiny.model(tiny.config()).vision_model
    block, kv = v.trunk.blocks[0], v.glance(torch.randn(1, 3, 64, 64)).kv[0]
    x = torch.randn(1, 5, 64)
    qkv = block.attn.qkv(block.norm1(x)).view(1, 5, 3, 2, 32).permute(2, 0, 3, 1, 4)
    keys, values = torch.cat([kv[0], qkv[1]], 2), torch.cat([kv[1], qkv[2]], 2)
    attended = (qkv[0] @ keys.mT / 32**0.5).softmax(-1) @ values
    expected = x + block.attn.proj(attended.transpose(1, 2).reshape(1, 5, 64))
    expected = expected + block.mlp(block.norm2(expected))
    torch.testing.assert_close(block(x, kv)[0], expected, **CLOSE)


def test_looks_that_share_a_glance_see_what_looks_with_a_copy_of_it_see(v):
    glances = v.glance(torch.randn(2, 3, 64, 64)).kv
    patches, position = torch.randn(6, 5, 768), torch.randint(0, 320, (6, 5))
    shared = v.look(patches, position, glances)
    assert torch.allclose(shared, v.look(patches, position, glances.repeat_interleave(3, 2)), atol=1e-5)
    assert not torch.allclose(shared, v.look(patches, position, glances[:, :, [1, 0]]), atol=1e-2)


def test_masked_patches_are_seen_by_none(v):
    kv = v.glance(torch.randn(2, 3, 64, 64)).kv
    patches, position = torch.randn(2, 6, 768), torch.randint(0, 320, (2, 6))
    mask = torch.tensor([[True] * 4 + [False] * 2, [True] * 6])
    masked = v.look(patches, position, kv, mask)
    torch.testing.assert_close(masked[:1, :4], v.look(patches[:1, :4], position[:1, :4], kv[:, :, :1]), **CLOSE)
    torch.testing.assert_close(masked[1:], v.look(patches[1:], position[1:], kv[:, :, 1:]), **CLOSE)
    assert v.look(patches, position, kv, torch.zeros(2, 6, dtype=torch.bool)).isfinite().all()


@pytest.mark.parametrize("values", [tiny.config, tiny.ours])  # a product alone, and with a small ConvNet in each patch
def test_patches_and_pixels_give_the_same_tokens(values):
    """The glance's convolution and a look's product are one embedding."""
    from ps3_training.model.geometry import cut_grid

    v = tiny.model(values()).vision_model
    pixels = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(v.trunk.patch_embed.embed(cut_grid(pixels, 16)), v.trunk.patch_embed(pixels), **CLOSE)


def test_pool_of_a_region_is_the_pool_of_its_tokens(v):
    tokens, mask = torch.randn(2, 9, 64), torch.rand(2, 4, 9) > 0.5
    mask[:, :, 0] = True
    pooled = v.pool(tokens, mask)
    for b in range(2):
        for r in range(4):
            own = tokens[b, mask[b, r]][None]
            expected = v.pool(own, torch.ones(1, 1, own.shape[1], dtype=torch.bool))[0, 0]
            torch.testing.assert_close(pooled[b, r], expected, **CLOSE)


def test_empty_region_pools_over_everything(v):
    tokens = torch.randn(1, 5, 64)
    pooled = v.pool(tokens, torch.stack([torch.zeros(5), torch.ones(5)])[None].bool())
    assert pooled.isfinite().all()
    torch.testing.assert_close(pooled[0, 0], pooled[0, 1], **CLOSE)


def test_pool_of_1024_regions_of_1024_tokens_shares_the_tokens():
    """No single allocation comes near R copies of the tokens (1024 * 1024 * 64 floats = 256 MiB)."""
    v = tiny.model(tiny.config()).vision_model
    tokens, mask = torch.randn(1, 1024, 64), torch.rand(1, 1024, 1024) > 0.5
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        assert v.pool(tokens, mask).isfinite().all()
    assert max(event.self_cpu_memory_usage for event in recorded.events()) < 32 * 2**20


def test_radio_has_no_final_norm_and_an_adapter():
    v = tiny.model(tiny.radio()).vision_model
    names = {name: tuple(p.shape) for name, p in v.named_parameters()}
    assert not any(name.startswith("trunk.norm") for name in names)
    assert names["trunk.siglip_proj.fc1.weight"] == (48, 64)
    assert {f"trunk.siglip_proj.blocks.{i}.{j}.{k}" for i in (0, 1) for j in (0, 2) for k in ("weight", "bias")} < set(names)
    assert names["trunk.siglip_proj.final.2.weight"] == (1152, 48)
    assert names["trunk.attn_pool.latent"] == (1, 1, 1152) and names["trunk.attn_pool.mlp.fc1.weight"] == (4304, 1152)
    assert v.trunk.attn_pool.heads == 16
    assert v.config.mean == (0.48145466, 0.4578275, 0.40821073) and v.config.std == (0.26862954, 0.26130258, 0.27577711)
    assert tiny.model(tiny.config()).vision_model.config.mean == (0.5, 0.5, 0.5)


def test_radio_with_final_norm():
    v = tiny.model(tiny.config({**tiny.RADIO, "final_norm": True}, {"output_dim": 1152})).vision_model
    assert v.trunk.norm.weight.shape == (64,)


def test_gradients_reach_every_parameter():
    """A step of pre-training touches all of them: none is dead weight in a checkpoint of ours."""
    model = tiny.model(tiny.ours()).train()
    v = model.vision_model
    text = model.text_model(torch.randint(1, 50, (2, 6)))
    glance, aux = v.glance(torch.randn(2, 3, 64, 64)), v.aux_features(torch.randn(2, 3, 224, 224))
    look = v.look(torch.randn(2, 8, 768), torch.randint(0, 320, (2, 8)), glance.kv)
    pooled = v.pool(look, torch.ones(2, 1, 8, dtype=torch.bool))[:, 0]
    loss = model.match_logits(pooled, text.text).square().sum()
    loss = loss + v.saliency(glance, aux).square().sum() + v.relevance(glance, aux, text.prompt).square().sum()
    loss.backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert dead == []
