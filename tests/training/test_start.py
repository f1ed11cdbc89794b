"""What a run starts from: a PS3 checkpoint, a plain ViT under foreign names, the shipped bundle; and what stays frozen."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ps3_ros.errors import CheckpointError
from ps3_training import from_vit, start
from ps3_training.errors import TrainingError
from ps3_training.model import PS3, PS3Config
from ps3_training.settings import RunSettings

from .conftest import TEXT, VISION

HF_BLOCK = {"norm1": "layer_norm1", "norm2": "layer_norm2", "attn.proj": "self_attn.out_proj", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}
HF_POOL = {"proj": "attention.out_proj", "norm": "layernorm", "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}


def donor(**vision):
    torch.manual_seed(1)
    return PS3(PS3Config.from_dict({"vision_config": {**VISION, **vision}, "text_config": TEXT}))


def siglip_names(trunk):
    """A trunk's tensors as Hugging Face's SigLIP names them."""
    state = trunk.state_dict()
    made = {"vision_model.embeddings.position_embedding.weight": state["pos_embed"][0], "text_model.final.weight": torch.ones(2)}
    for kind in ("weight", "bias"):
        made[f"vision_model.embeddings.patch_embedding.{kind}"] = state[f"patch_embed.proj.{kind}"]
        made[f"vision_model.post_layernorm.{kind}"] = state[f"norm.{kind}"]
        for i in range(len(trunk.blocks)):
            layer = f"vision_model.encoder.layers.{i}."
            for ours, theirs in HF_BLOCK.items():
                made[f"{layer}{theirs}.{kind}"] = state[f"blocks.{i}.{ours}.{kind}"]
            for part, value in zip("qkv", state[f"blocks.{i}.attn.qkv.{kind}"].chunk(3), strict=True):
                made[f"{layer}self_attn.{part}_proj.{kind}"] = value
        for ours, theirs in HF_POOL.items():
            made[f"vision_model.head.{theirs}.{kind}"] = state[f"attn_pool.{ours}.{kind}"]
        made[f"vision_model.head.attention.in_proj_{kind}"] = torch.cat([state[f"attn_pool.q.{kind}"], state[f"attn_pool.kv.{kind}"]])
    made["vision_model.head.probe"] = state["attn_pool.latent"]
    return {name: value.clone().contiguous() for name, value in made.items()}


@pytest.mark.parametrize("names", ["timm", "siglip"])
def test_a_plain_vit_fills_the_trunk(tmp_path, names):
    source, model = donor(position="full"), donor(position="full")
    with torch.no_grad():
        for parameter in source.vision_model.trunk.parameters():
            parameter.add_(torch.randn_like(parameter))
    trunk = source.vision_model.trunk
    tensors = siglip_names(trunk) if names == "siglip" else {**trunk.state_dict(), "head.weight": torch.ones(2)}
    save_file(tensors, tmp_path / "vit.safetensors")
    empty, unused = from_vit.fill_trunk(model.vision_model, tmp_path / "vit.safetensors")
    assert empty == [] and unused == (["text_model.final.weight"] if names == "siglip" else ["head.weight"])
    for name, value in trunk.state_dict().items():
        assert torch.equal(model.vision_model.trunk.state_dict()[name], value), name


def test_positions_with_a_class_token_become_row_and_column_tables():
    v = donor().vision_model
    rows, cols = torch.randn(2, 10, 64)
    table = torch.cat([torch.ones(1, 64), (rows[:, None] + cols[None]).flatten(0, 1)])[None]
    found = from_vit.positions(table, v)
    assert torch.allclose(found["pos_embed_row"][:, None] + found["pos_embed_col"][None], rows[:, None] + cols[None], atol=1e-5)
    smaller = from_vit.positions((rows[:5, None] + cols[None, :5]).flatten(0, 1), v)
    assert smaller["pos_embed_row"].shape == (10, 64)


def test_a_vit_that_does_not_fit_is_refused(tmp_path):
    v = donor().vision_model
    save_file({"patch_embed.proj.weight": torch.zeros(32, 3, 14, 14)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"\[32, 3, 14, 14\]"):
        from_vit.fill_trunk(v, tmp_path / "other.safetensors")
    torch.save({"patch_embed.proj.weight": torch.zeros(1)}, tmp_path / "pickled.pth")
    with pytest.raises(CheckpointError, match="pickled weights are not read"):
        from_vit.fill_trunk(v, tmp_path / "pickled.pth")


def run_from(folder, **changes):
    return RunSettings(run="run", data="data", cache="cache", pretrain={"loop": {}}, init={"from": str(folder), "kind": "ps3"}, **changes)


def test_a_checkpoint_of_another_shape_fills_what_fits_and_says_the_rest(tmp_path, capsys):
    source = donor()
    source.save_pretrained(tmp_path)
    same = start.initial_model(run_from(tmp_path))
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in same.state_dict().items())
    without = start.initial_model(run_from(tmp_path, vision={**VISION, "separate_pos_emb": False, "highres_selection_feature": False}))
    told = capsys.readouterr().err
    assert "in the file, but not used: " in told and "highres_selection_feature_module" in told
    assert torch.equal(without.vision_model.trunk.norm.weight, source.vision_model.trunk.norm.weight)


def test_parts_can_be_frozen(tmp_path):
    donor().save_pretrained(tmp_path)
    model = start.initial_model(run_from(tmp_path, freeze=["text_model.text_projection", "vision_model.trunk.blocks.1"]))
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert "vision_model.trunk.blocks.1.norm1.weight" in frozen and "text_model.text_projection.fc1.weight" in frozen
    assert "vision_model.trunk.blocks.0.norm1.weight" not in frozen and "text_model.prompt_proj.fc1.weight" not in frozen
    with pytest.raises(TrainingError, match="'vision_model.trnk'"):
        start.initial_model(run_from(tmp_path, freeze=["vision_model.trnk"]))
    with pytest.raises(TrainingError, match="nothing to train"):
        start.initial_model(run_from(tmp_path, freeze=["vision_model", "text_model", "logit_scale", "logit_bias"]))


def test_a_clip_text_tower_is_frozen_but_for_its_prompts():
    torch.manual_seed(0)
    text = {**TEXT, "kind": "clip"}
    model = start.frozen(PS3(PS3Config.from_dict({"vision_config": VISION, "text_config": text})))
    trained = {name.split(".")[1] for name, p in model.named_parameters() if p.requires_grad and name.startswith("text_model.")}
    assert trained == {"prompt_proj"}
    ids = torch.randint(1, 40, (3, 8))
    out = model.text_model(ids)
    assert torch.equal(model.text_model.project(out.text).prompt, out.prompt)


def test_the_shipped_bundle_reads_back_as_the_model_it_was():
    """Glance, selector, text, a look and its pool against ONNX Runtime on the bundle's own graphs."""
    pytest.importorskip("onnx_ir", reason="reading a bundle needs the export extra")
    from ps3_ros.bundle import default_bundle, load_bundle
    from ps3_ros.encoder import Encoder
    from ps3_ros.frame import Frame, FramePlan, aux_image, cut_patches, glance_image
    from ps3_ros.selection import select
    from ps3_training.from_bundle import model_of_bundle

    model = model_of_bundle(default_bundle())
    encoder = Encoder(load_bundle(default_bundle(), check_hashes=False), threads=1)
    settings = load_bundle(default_bundle(), check_hashes=False).manifest.settings
    frame = Frame(np.random.default_rng(0).integers(0, 255, (540, 960, 3)).astype(np.uint8))
    glance, words = encoder.glance(frame), encoder.text(["red mug"])
    plan = FramePlan.of(frame.height, frame.width, settings)
    chosen = select(encoder.relevance(glance, words, 0), plan, 64)
    look = encoder.look(glance, chosen)
    mask = np.arange(look.tokens.shape[-2])[None] < 20
    ids = torch.tensor([_ids("red mug")])
    position = np.concatenate([plan.positions(s, patches) for s, patches in enumerate(chosen.patches)])
    with torch.inference_mode():
        v, text = model.vision_model, model.text_model(ids)
        low = v.glance(torch.from_numpy(glance_image(frame, settings)))
        tokens = v.look(torch.from_numpy(cut_patches(frame, plan, settings, chosen))[None], torch.from_numpy(position)[None], low.kv)
        found = {
            "tokens": (low.tokens, glance.tokens),
            "select": (low.select_features[:, 0], glance.select_features),
            "aux": (v.aux_features(torch.from_numpy(aux_image(frame, settings))), glance.aux_features),
            "text": (text.text, words.text),
            "prompt": (text.prompt, words.prompt),
            "look": (tokens, look.tokens),
            "region": (v.pool(tokens, torch.from_numpy(mask)[None]), encoder.embed(look, mask)),
        }
    for name, (ours, theirs) in found.items():
        theirs = np.asarray(theirs).reshape(ours.shape)
        assert np.abs(ours.numpy() - theirs).max() < 1e-4 * np.abs(theirs).max(), name
    assert float(model.scale().detach()) == pytest.approx(settings.logit_scale, rel=1e-6)


def test_a_bundle_that_was_read_back_answers_by_the_bundles_settings(tmp_path, capsys):
    pytest.importorskip("onnx_ir", reason="reading a bundle needs the export extra")
    from ps3_ros.bundle import default_bundle, load_bundle
    from ps3_training.evaluation.torch_backend import checkpoint_encoder
    from ps3_training.from_bundle import main

    assert main([str(default_bundle()), str(tmp_path / "back")]) == 0
    ours, theirs = checkpoint_encoder(tmp_path / "back").settings, load_bundle(default_bundle(), check_hashes=False).manifest.settings
    assert theirs.close_ups and theirs.background  # what a checkpoint without thresholds lacks
    close = dict.fromkeys(("logit_scale", "logit_bias"))
    assert replace(ours, **close) == replace(theirs, **close)
    assert (ours.logit_scale, ours.logit_bias) == pytest.approx((theirs.logit_scale, theirs.logit_bias), rel=1e-6)


def _ids(text):
    from tokenizers import Tokenizer

    from ps3_ros.bundle import default_bundle

    tokenizer = Tokenizer.from_file(str(default_bundle() / "tokenizer.json"))
    tokenizer.no_padding()
    return tokenizer.encode(text).ids
