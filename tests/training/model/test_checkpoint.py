import json
import os
import pickle

import pytest
import tiny_ps3 as tiny
import torch
from safetensors.torch import load_file, save_file

from ps3_ros.errors import CheckpointError
from ps3_training.model import PS3


@pytest.fixture
def folder(tmp_path):
    """A checkpoint of the published layout."""
    tiny.model(tiny.config()).save_pretrained(tmp_path)
    return tmp_path


def rewrite(folder, change):
    """model.safetensors with `change` applied to its dict of tensors."""
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


PLAIN = {"separate_pos_emb": False, "highres_selection_feature": False}


@pytest.mark.parametrize("values", [tiny.config(), tiny.ours(), tiny.radio(), tiny.config(PLAIN)])
def test_round_trip(values, tmp_path):
    made = tiny.model(values)
    made.save_pretrained(tmp_path)
    read = PS3.from_pretrained(tmp_path)
    assert read.config == made.config and not read.training and not read.logit_defaulted
    expected, found = made.state_dict(), read.state_dict()
    assert list(expected) == list(found) and all(torch.equal(expected[name], found[name]) for name in expected)
    assert all(p.requires_grad for p in read.parameters())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    read.save_pretrained(tmp_path)  # over the very file it was read from
    assert torch.equal(PS3.from_pretrained(tmp_path).vision_model.prior_prompt, made.vision_model.prior_prompt)


def test_half_precision_is_read_as_float32(folder):
    rewrite(folder, lambda t: t.update({name: value.half() for name, value in t.items()}))
    assert {p.dtype for p in PS3.from_pretrained(folder).parameters()} == {torch.float32}


def test_contrastive_head_may_be_lacking(folder):
    """Published folders may lack it: SigLIP's start stands in, is told apart, and is not written back."""
    rewrite(folder, lambda t: (t.pop("logit_scale"), t.pop("logit_bias")))
    model = PS3.from_pretrained(folder)
    assert model.logit_defaulted and model.scale().item() == pytest.approx(10) and model.logit_bias.item() == -10
    model.save_pretrained(folder)
    assert "logit_scale" not in load_file(folder / "model.safetensors") and PS3.from_pretrained(folder).logit_defaulted


def test_contrastive_head_is_read_and_clamped(folder):
    rewrite(folder, lambda t: t.update(logit_scale=torch.tensor(9.0), logit_bias=torch.tensor(-3.0)))
    model = PS3.from_pretrained(folder)
    assert not model.logit_defaulted and model.scale().item() == 100 and model.logit_bias.item() == -3
    logits = model.match_logits(torch.eye(2, 64) * 5, torch.eye(1, 64))
    assert torch.allclose(logits, torch.tensor([[97.0], [-3.0]]))


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda t: t.pop("vision_model.prior_prompt"), "missing vision_model.prior_prompt"),
        (lambda t: t.update({"vision_model.extra": torch.zeros(1)}), "unknown vision_model.extra"),
        (lambda t: t.update({"vision_model.prior_prompt": torch.zeros(63)}), "vision_model.prior_prompt is [63] instead of [64]"),
        (lambda t: t.update({"vision_model.prior_prompt": torch.zeros(64, dtype=torch.int32)}), "type I32 instead of a float"),
        (lambda t: [t.pop(n) for n in list(t) if "text_model.transformer.resblocks.0" in n], "and 8 more"),
    ],
)
def test_tensor_that_does_not_fit_is_named(folder, change, said):
    rewrite(folder, change)
    with pytest.raises(CheckpointError) as error:
        PS3.from_pretrained(folder)
    assert said in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 900


def shard(folder):
    """model.safetensors split in two with an index, as Hugging Face writes it."""
    tensors = load_file(folder / "model.safetensors")
    names = sorted(tensors)
    weight_map = {}
    for i, part in enumerate((names[::2], names[1::2])):
        file = f"model-{i + 1:05d}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file)
        weight_map.update(dict.fromkeys(part, file))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    (folder / "model.safetensors").unlink()
    return weight_map


def test_sharded(folder):
    whole = PS3.from_pretrained(folder).state_dict()
    shard(folder)
    parts = PS3.from_pretrained(folder).state_dict()
    assert list(whole) == list(parts) and all(torch.equal(whole[name], parts[name]) for name in whole)


def test_shard_that_is_not_there(folder):
    shard(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match="model-00002-of-00002"):
        PS3.from_pretrained(folder)


@pytest.mark.parametrize("file", ["../model.safetensors", "/etc/passwd", "", 3])
def test_index_cannot_point_out_of_the_folder(folder, file):
    weight_map = shard(folder)
    weight_map["vision_model.prior_prompt"] = file
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(CheckpointError, match="weight_map"):
        PS3.from_pretrained(folder)


def test_index_that_names_the_wrong_shard(folder):
    weight_map = shard(folder)
    name = next(iter(weight_map))
    weight_map[name] = next(file for file in weight_map.values() if file != weight_map[name])
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(CheckpointError, match=name):
        PS3.from_pretrained(folder)


def test_truncated_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        PS3.from_pretrained(folder)


@pytest.mark.parametrize("content, said", [(None, "no config.json"), ("{", "JSON"), ("[]", "list, not an object"), (b"\xff\xfe", "JSON")])
def test_config_that_cannot_be_read(folder, content, said):
    path = folder / "config.json"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CheckpointError, match=said):
        PS3.from_pretrained(folder)


def test_pickle_is_never_loaded(folder, tmp_path):
    """A folder with only pytorch_model.bin is refused, and what the pickle would do is not done."""

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(CheckpointError, match="pickled weights are not read"):
        PS3.from_pretrained(folder)
    assert not (tmp_path / "sprung").exists()


def test_failed_save_leaves_what_was_there(folder, monkeypatch):
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    model = tiny.model(tiny.config(), seed=1)
    monkeypatch.setattr(type(model.config), "to_dict", lambda self: {"not": object()})
    with pytest.raises(TypeError):
        model.save_pretrained(folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
