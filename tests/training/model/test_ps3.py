"""PS3.forward where the golden cases do not reach: errors, forced maps, native geometry, layers."""

import pytest
import tiny_ps3 as tiny
import torch

from ps3_ros.errors import FrameError, QueryError
from ps3_training.model import PS3, PS3Config


@pytest.fixture(scope="module")
def model():
    return tiny.model(tiny.config())


@pytest.fixture(scope="module")
def frames():
    return torch.randn(2, 3, 256, 256, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_forced_maps_are_what_is_looked_at(model, frames):
    maps = [torch.zeros(2, 8, 8), torch.zeros(2, 16, 16)]
    maps[0][:, 2, 3] = maps[1][:, 15, 0] = maps[1][:, 4, 4] = 1
    out = model(frames, selection_maps=maps)
    assert out.last_hidden_state.shape == (2, 16 + 3, 64)
    assert all(torch.equal(a.bool(), b.bool()) for a, b in zip(out.selection_maps, maps, strict=True))
    # The same by the parts: patches in order, coarse to fine, row-major.
    v = model.vision_model
    low = torch.nn.functional.interpolate(frames, size=64, mode="bicubic")
    half = torch.nn.functional.interpolate(frames, size=128, mode="bicubic")
    patches = torch.stack([half[:, :, 32:48, 48:64], frames[:, :, 64:80, 64:80], frames[:, :, 240:, :16]], 1).flatten(2)
    position = torch.tensor([[2 * 8 + 3, 64 + 4 * 16 + 4, 64 + 15 * 16]] * 2)
    torch.testing.assert_close(out.last_hidden_state[:, 16:], v.look(patches, position, v.glance(low).kv), atol=1e-5, rtol=0)


@torch.no_grad()
def test_looks_are_merged_in_grid_order(model, frames):
    """Two forced looks against each alone."""
    first, second = ([torch.zeros(2, 8, 8), torch.zeros(2, 16, 16)] for _ in range(2))
    first[0][:, 5, 5] = first[1][:, 9, 9] = second[0][:, 1, 1] = second[1][:, 0, 2] = 1
    both = model(frames, selection_maps=[first, second]).last_hidden_state
    alone = [model(frames, selection_maps=maps).last_hidden_state for maps in (first, second)]
    expected = [alone[0][:, :16], alone[1][:, 16:17], alone[0][:, 16:17], alone[1][:, 17:], alone[0][:, 17:]]
    torch.testing.assert_close(both, torch.cat(expected, dim=1), atol=1e-6, rtol=0)


@torch.no_grad()
def test_every_layer_ends_in_the_last(model, frames):
    out = model(frames, num_look_close=2, every_layer=True)
    assert len(out.hidden_states) == 6 and torch.equal(out.hidden_states[-1], out.last_hidden_state)
    low = model(frames, num_look_close=0, every_layer=True)
    assert low.selection_maps is None and torch.equal(low.hidden_states[3], out.hidden_states[3][:, :16])


@torch.no_grad()
def test_one_look_is_the_default_and_takes_the_budget(model, frames):
    out = model(frames, prompt=torch.randn(2, 64))
    assert [m.sum(dim=(1, 2)).tolist() for m in out.selection_maps] == [[8, 8], [32, 32]]
    assert out.bottomup_selection_probs is None and out.pooled_output is None


@torch.no_grad()
def test_all_patches_once(model, frames):
    out = model(frames, num_look_close="all")
    assert all(m.all() for m in out.selection_maps) and out.last_hidden_state.shape == (2, 16 + 64 + 256, 64)


@torch.no_grad()
def test_native_geometry_looks_at_the_frames_own_pixels():
    """A 256 x 144 frame has 8 x 5 and 16 x 9 patches, the finest uncut and unresized; positions follow the middle of each patch."""
    model = tiny.model(tiny.ours())
    v = model.vision_model
    frame = torch.randn(1, 3, 144, 256)
    maps = [torch.zeros(1, 5, 8), torch.zeros(1, 9, 16)]
    maps[1][0, 8, 3] = 1
    out = model(frame, selection_maps=maps)
    assert [tuple(p.shape) for p in out.selection_probs] == [(1, 5, 8), (1, 9, 16)]
    from ps3_training.model.geometry import resize

    kv = v.glance(resize(frame, 64, 64, "area")).kv
    row = int((8 + 0.5) * 16 / 9)
    expected = v.look(frame[:, :, 128:144, 48:64].reshape(1, 1, -1), torch.tensor([[64 + row * 16 + 3]]), kv)
    torch.testing.assert_close(out.last_hidden_state[:, 16:], expected, atol=1e-5, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize(
    "arguments, kind, said",
    [
        ({"pixel_values": torch.zeros(3, 64, 64)}, FrameError, "[3, 64, 64]"),
        ({"pixel_values": torch.zeros(1, 1, 64, 64)}, FrameError, "[1, 1, 64, 64]"),
        ({"pixel_values": torch.zeros(1, 3, 64, 64, dtype=torch.uint8)}, FrameError, "torch.uint8"),
        ({"num_look_close": -1}, QueryError, "-1"),
        ({"num_look_close": "some"}, QueryError, "'some'"),
        ({"num_token_look_close": 1.5}, QueryError, "1.5"),
        ({"only_select_first_n_scale": [1]}, QueryError, "[1]"),
        ({"only_select_first_n_scale": 3}, QueryError, "[3, 3]"),
        ({"selection_maps": [torch.zeros(2, 8, 8)]}, QueryError, "[[2, 8, 8]]"),
        ({"selection_maps": [torch.zeros(2, 8, 8), torch.zeros(2, 16, 16)]}, QueryError, "[0, 0]"),
        ({"output_hidden_states": False, "num_look_close": 0}, QueryError, "0 looks"),
        ({"output_hidden_states": False, "pool_gt_token_only": True}, QueryError, "gt_selection_maps"),
        ({"prompt": torch.zeros(2, 32)}, QueryError, "[2, 32]"),
        ({"gt_selection_maps": torch.zeros(256, 256)}, QueryError, "[256, 256]"),
    ],
)
def test_arguments_that_do_not_fit(model, frames, arguments, kind, said):
    with pytest.raises(kind) as error:
        model(**{"pixel_values": frames, **arguments})
    assert said in str(error.value)


def test_so400m_4k_without_weights():
    """The published 4K configuration on the meta device: names of ps3.md, and 575.8 M parameters on the vision side.

    Counted by hand: 27 blocks of 15.24 M = 411.5 M, pool 15.2 M, positional tables of 756 to 3780 px 100.8 M, selection 46.8 M.
    """
    config = PS3Config.from_dict({
        "model_type": "ps3",
        "vision_config": {"model_name": "vit_so400m_patch14_siglip_384", "pool": "map", "ps3_scales": [378, 756, 1512, 3780]},
        "text_config": {},
    })  # fmt: skip
    with torch.device("meta"):
        model = PS3(config)
    sizes = {name: p.numel() for name, p in model.named_parameters()}

    def total(prefix):
        return sum(count for name, count in sizes.items() if name.startswith(prefix))

    d, hidden = 1152, 4304
    block = 4 * d + 4 * d * d + 4 * d + 2 * d * hidden + hidden + d
    assert total("vision_model.trunk.blocks.") == 27 * block == 411_466_608
    assert total("vision_model.trunk.") == 428_225_600  # SigLIP SO400M's vision tower
    assert total("vision_model.pos_emb_residual.") == (54**2 + 108**2 + 270**2) * d
    assert total("vision_model.selection_feature_proj.") == (4 * d) ** 2 + 3 * 4 * d + 4 * d * 3 * d + 3 * d
    assert total("vision_model.") == 575_799_872
    # 12 layers of 512, 49408 tokens: CLIP's size of text tower, and the two projections to 1152.
    assert total("text_model.transformer.") == 12 * (12 * 512 * 512 + 13 * 512)
    assert total("text_model.") == 512 * 49408 + 77 * 512 + total("text_model.transformer.") + 2 * 512 + 512 * d + 2 * d * d + 4 * d
    expected = {
        "vision_model.trunk.patch_embed.proj.weight", "vision_model.trunk.pos_embed", "vision_model.trunk.blocks.26.attn.qkv.bias",
        "vision_model.trunk.norm.weight", "vision_model.trunk.attn_pool.latent", "vision_model.selection_feature_proj.norm.weight",
        "vision_model.highres_selection_feature_module.stem.1.weight", "vision_model.highres_selection_feature_module.blocks.2.weight",
        "vision_model.pos_emb_residual.2", "vision_model.prompt_proj_for_highres.weight", "text_model.text_projection",
        "text_model.prompt_proj.fc2.weight",
    }  # fmt: skip
    assert expected < set(sizes)
    assert not any(p.is_meta for p in model.buffers())  # the resampling filters are real even then
