import json

import pytest
import tiny_ps3 as tiny

from ps3_ros.errors import CheckpointError
from ps3_training.model import BACKBONES, PS3Config


def test_defaults_are_the_references():
    """A folder that stores only what differs: everything else is as ps3.md lists it."""
    config = PS3Config.from_dict({"vision_config": {"model_name": "vit_so400m_patch14_siglip_384", "pool": "map"}, "text_config": {}})
    vision, text = config.vision, config.text
    assert vision.ps3_scales == (378, 756, 1512) and vision.select_based_on_layer == (0, 9, 18, 26)
    assert (vision.max_select_num, vision.max_select_num_each_scale) == (1280, None)
    assert vision.separate_pos_emb and vision.highres_selection_feature and not vision.radio and not vision.final_norm
    assert (vision.highres_selection_module_hidden_dim, vision.highres_selection_module_out_dim) == (512, 512)
    assert (vision.highres_selection_module_depth, vision.highres_selection_module_kernel_size, vision.aux_size) == (3, 28, 1512)
    assert (vision.geometry, vision.resampling, vision.position, text.kind) == ("reference", "bicubic", "full", "clip")
    assert (text.output_dim, text.prompt_proj_dim, text.context_length, text.vocab_size) == (1152, 1152, 77, 49408)
    assert (text.width, text.heads, text.layers, text.mlp_ratio, text.pad_id) == (512, 8, 12, 4.0, 0)
    assert (text.no_causal_mask, text.pool_type, text.proj_bias, text.eps, text.gelu) == (False, "argmax", False, 1e-5, "none")


@pytest.mark.parametrize(
    "name, size, patch, grid",
    [
        ("vit_so400m_patch14_siglip_384", None, 14, 27),
        ("vit_so400m_patch14_siglip_378", None, 14, 27),
        ("vit_large_patch16_224", 4096, 16, 256),
        ("vit_base_patch16_siglip_384", None, 16, 24),
        ("vit_tiny_patch16_224", 256, 16, 16),
        ("test_vit", None, 16, 10),
        ("test_vit", 64, 16, 4),
        ("vit_nano_patch16_384", None, 16, 24),
    ],
)
def test_model_name_gives_patch_and_positional_grid(name, size, patch, grid):
    dim = BACKBONES[name].dim
    vision = {"model_name": name, "img_size": size, "pool": "map", "ps3_scales": [27 * patch, 54 * patch], "select_based_on_layer": [0]}
    config = PS3Config.from_dict({"vision_config": vision, "text_config": {"output_dim": dim, "prompt_proj_dim": dim}})
    assert (config.vision.patch, config.vision.position_grid, config.vision.hidden_size) == (patch, grid, dim)


def test_budget_of_published_4k():
    """int() of each share of 2560, in proportion to 756^2, 1512^2 and 3780^2."""
    vision = {"model_name": "vit_so400m_patch14_siglip_384", "pool": "map", "ps3_scales": [378, 756, 1512, 3780], "max_select_num": 2560}
    assert PS3Config.from_dict({"vision_config": vision, "text_config": {}}).vision.budget == (85, 341, 2133)


def test_bookkeeping_of_other_programs_is_left_out():
    extra = {"class_token": False, "image_size": 256, "vision_tower_name": "x", "drop_path": None, "_attn_implementation_autoset": True}
    values = tiny.config(extra)
    values.update(architectures=["PS3Model"], torch_dtype="float32", transformers_version="4.49.0")
    assert PS3Config.from_dict(values) == PS3Config.from_dict(tiny.config())


@pytest.mark.parametrize("values", [tiny.config(), tiny.ours(), tiny.radio(), tiny.config({"max_select_num_each_scale": [3, 4]})])
def test_dict_round_trip(values):
    config = PS3Config.from_dict(values)
    assert PS3Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_published_layout_is_written_without_our_keys():
    written = PS3Config.from_dict(tiny.config({"aux_size": 1512})).to_dict()
    assert not {"geometry", "resampling", "position", "aux_size"} & set(written["vision_config"])
    assert not {"kind", "projection_dim"} & set(written["text_config"])


@pytest.mark.parametrize(
    "vision, text, said",
    [
        ({"model_name": "vit_huge"}, {}, "'vit_huge'; the known ones are vit_so400m_patch14_siglip_384"),
        ({"model_name": None}, {}, "model_name is None"),
        ({"pool": "avg"}, {}, "'avg'"),
        ({"geometry": "square"}, {}, "'square'; it must be one of 'reference', 'native'"),
        ({"resampling": "lanczos"}, {}, "'lanczos'"),
        ({"position": "rotary"}, {}, "'rotary'"),
        ({"patch_stem": "deep"}, {}, "'deep'; it must be one of 'linear', 'conv'"),
        ({"model_name": "vit_so400m_patch14_siglip_378", "patch_stem": "conv"}, {}, "has 14 px"),
        ({"aux_stem": "conv"}, {}, "kernel_size 28; it must then be a power of two"),
        ({"ps3_scales": [64]}, {}, "[64]"),
        ({"ps3_scales": [64, 100]}, {}, "[64, 100]"),
        ({"ps3_scales": [60, 120]}, {}, "[60, 120]"),
        ({"ps3_scales": [64, 128, 128]}, {}, "[64, 128, 128]"),
        ({"ps3_scales": "64"}, {}, "'64'; it must be a list of integers"),
        ({"select_based_on_layer": [0, 6]}, {}, "layers 0 to 5"),
        ({"max_select_num": "many"}, {}, "'many'"),
        ({"max_select_num": 1}, {}, "not one patch"),
        ({"max_select_num_each_scale": [3]}, {}, "[3]"),
        ({"separate_pos_emb": 1}, {}, "it must be bool"),
        ({"hidden_size": 65}, {}, "hidden_size is 65"),
        ({"aux_size": 20}, {}, "20 px"),
        ({"class_token": True}, {}, "prefix tokens"),
        ({"max_select_nums": 3}, {}, "'max_select_nums'"),
        ({"radio": True}, {}, "radio_adapter_mlp_version is None"),
        ({**tiny.RADIO, "img_size": 64}, {"output_dim": 1152}, "img_size"),
        ({**tiny.RADIO, "position": "factored"}, {"output_dim": 1152}, "factored"),
        ({}, {"output_dim": 32}, "vectors of 32"),
        ({}, {"prompt_proj_dim": 32}, "prompts of 32"),
        ({}, {"heads": 3}, "3 heads"),
        ({}, {"pool_type": "none"}, "'none'"),
        ({}, {"embed_cls": True}, "class embedding"),
        ({}, {"norm_kwargs": {"bias": False}}, "bias"),
        ({}, {"act_kwargs": {"approximate": "sigmoid"}}, "sigmoid"),
        ({}, {"kind": "t5"}, "'t5'"),
    ],
)
def test_what_does_not_fit_is_named(vision, text, said):
    with pytest.raises(CheckpointError) as error:
        PS3Config.from_dict(tiny.config(vision, text))
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "values, said",
    [
        ({"model_type": "siglip"}, "'siglip'"),
        ([], "'list'"),
        ({"vision_config": [1]}, "[1]"),
        ({"vision_config": {}}, "no model_name"),
        ({**tiny.config(), "text_config": 3}, "3; it must be an object"),
    ],
)
def test_what_is_no_ps3_config(values, said):
    with pytest.raises(CheckpointError) as error:
        PS3Config.from_dict(values)
    assert said in str(error.value)
