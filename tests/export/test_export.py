"""Exports that must not succeed leave nothing behind; one that succeeds takes the old bundle's place."""

import argparse
import json
import shutil
from dataclasses import replace

import pytest
import torch

from ps3_export.cli import add_arguments, run
from ps3_export.export import export_checkpoint
from ps3_export.gate import LIMITS
from ps3_export.graphs import Text
from ps3_ros.bundle import contract, load_bundle
from ps3_ros.errors import CheckpointError
from ps3_training.model import PS3, PS3Config, settings_of
from ps3_training.model.thresholds import read_thresholds


def names(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("accept", [False, True])
def test_a_missed_limit_is_an_error_that_leaves_nothing_or_is_in_the_manifest(tiny_checkpoint, tmp_path, frame_file, accept):
    options = {"limits": replace(LIMITS["fp32"], error=1e-12), "frames": [frame_file], "views": 1}
    if accept:
        manifest = load_bundle(export_checkpoint(tiny_checkpoint, tmp_path / "bundle", accept_drift=True, **options)).manifest
        assert manifest.drift[0].startswith("graph 'text', output 'text': off by") and names(tmp_path) == ["bundle"]
        assert f"- missed and accepted: {manifest.drift[0]}" in (tmp_path / "bundle" / "parity.md").read_text()
    else:
        with pytest.raises(CheckpointError, match=r"graph 'text', output 'text': off by .* over 1e-12 .*--accept-drift"):
            export_checkpoint(tiny_checkpoint, tmp_path / "bundle", **options)
        assert names(tmp_path) == []


def test_a_folder_that_is_not_a_bundle_stays_as_it_is(tiny_checkpoint, tmp_path):
    out = tmp_path / "photos"
    out.mkdir()
    (out / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(CheckpointError, match="is not a bundle"):
        export_checkpoint(tiny_checkpoint, out)
    assert names(tmp_path) == ["photos"] and (out / "cat.jpg").read_bytes() == b"cat"


def test_a_file_in_the_way_stays_as_it_is(tiny_checkpoint, tmp_path):
    (tmp_path / "bundle").write_bytes(b"mine")
    with pytest.raises(CheckpointError, match="is a file or a link"):
        export_checkpoint(tiny_checkpoint, tmp_path / "bundle")
    assert (tmp_path / "bundle").read_bytes() == b"mine"


def test_without_a_tokenizer_the_error_says_what_to_pass(tiny_checkpoint, tmp_path):
    bare = shutil.copytree(tiny_checkpoint, tmp_path / "bare")
    (bare / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match="has no tokenizer.json: .*--tokenizer"):
        export_checkpoint(bare, tmp_path / "bundle")
    with pytest.raises(CheckpointError, match="is not a file"):
        export_checkpoint(bare, tmp_path / "bundle", tokenizer=tmp_path / "nothing.json")
    assert names(tmp_path) == ["bare"]


@pytest.mark.parametrize("content", ["", "{}", '{"model": 3}'])
def test_what_is_not_a_tokenizer_is_refused(tiny_checkpoint, tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(CheckpointError, match="is not a `tokenizers` JSON"):
        export_checkpoint(tiny_checkpoint, tmp_path / "bundle", tokenizer=path)


def test_a_tokenizer_of_another_model_is_refused(tiny_checkpoint, tmp_path):
    data = json.loads((tiny_checkpoint / "tokenizer.json").read_text())
    data["model"]["vocab"]["zebra"] = 512  # the text tower has rows 0 to 511
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match="has ids up to 512, but the text tower has 512 rows"):
        export_checkpoint(tiny_checkpoint, tmp_path / "bundle", tokenizer=path)


@pytest.mark.parametrize(
    "options",
    [
        {"storage": "tiny"},
        {"max_patches": 0},
        {"views": 0},
        {"questions": 0},
        {"precision": "fp8"},
        {"target": "dla"},
        {"precision": "fp16", "storage": "fp32"},
    ],
)
def test_options_out_of_range_are_refused(tiny_checkpoint, tmp_path, options):
    with pytest.raises(CheckpointError):
        export_checkpoint(tiny_checkpoint, tmp_path / "bundle", **options)
    assert names(tmp_path) == []


def test_a_frame_that_is_not_an_image_is_refused(tiny_checkpoint, tmp_path):
    path = tmp_path / "frame.png"
    path.write_bytes(b"\x89PNG but no more")
    with pytest.raises(CheckpointError, match="is not an image"):
        export_checkpoint(tiny_checkpoint, tmp_path / "bundle", frames=[path])
    assert names(tmp_path) == ["frame.png"]


def test_a_compact_export_replaces_an_older_bundle(tiny_checkpoint, tiny_bundle, tmp_path, frame_file, capsys):
    out = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    (out / "weights-7.bin").write_bytes(b"left over from an older export")
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = ["--storage", "compact", "--max-patches", 64, "--name", "small", "--calibration", frame_file, "--views", 2]
    command = [tiny_checkpoint, "--out", out, *options]
    assert run(parser.parse_args([str(word) for word in command])) == 0
    printed = capsys.readouterr()
    assert "small" in printed.out and "beside torch" in printed.out and "export look" in printed.err
    assert names(tmp_path) == ["bundle"] and not (out / "weights-7.bin").exists()
    manifest = load_bundle(out).manifest
    assert manifest.model_name == "small" and manifest.settings.max_patches == 64
    assert manifest.license["weights"] == "not stated" and "non-commercial" in manifest.license["notice"]
    weights = [sum(f.stat().st_size for f in folder.glob("weights-*.bin")) for folder in (tiny_bundle, out)]
    assert weights[1] < 0.55 * weights[0]
    for graph in manifest.parity.values():
        for figures in graph.values():
            assert figures["stored"] <= 1e-4  # to torch with the weights that are stored
            assert 0.999 <= figures["cosine"] <= 1  # to torch with the checkpoint's own: halves, and int8 text
    assert manifest.parity["text"]["text"]["real"] > 1e-4


def test_a_model_without_the_auxiliary_branch_has_four_graphs(tiny_checkpoint):
    config = json.loads((tiny_checkpoint / "config.json").read_text())
    config["vision_config"]["highres_selection_feature"] = False
    torch.manual_seed(0)
    model = PS3(PS3Config.from_dict(config)).eval()
    settings = settings_of(model.config)
    assert (settings.aux_size, settings.aux_grid, settings.aux_dim) == (0, 0, 0)
    assert list(contract(settings)) == ["text", "glance", "look", "region"]
    assert [tuple(t.shape) for t in Text(model)(torch.tensor([[2, 5, 3]]))] == [(1, 64), (1, 64)]


def test_a_random_checkpoint_has_the_published_layout(tiny_reference_checkpoint):
    config = json.loads((tiny_reference_checkpoint / "config.json").read_text())
    assert "depth" not in config["vision_config"] and "geometry" not in config["vision_config"]  # defaults are left out
    model = PS3.from_pretrained(tiny_reference_checkpoint)
    assert not any(isinstance(value, torch.Tensor) and not torch.isfinite(value).all() for value in model.state_dict().values())
    assert names(tiny_reference_checkpoint) == ["config.json", "model.safetensors", "tokenizer.json"]


def test_calibrated_thresholds_are_read_from_beside_the_weights(tmp_path):
    assert read_thresholds(tmp_path) == {}
    (tmp_path / "thresholds.json").write_text('{"found_threshold": 0.3, "relevance_threshold": 0.05}')
    assert read_thresholds(tmp_path) == {"found_threshold": 0.3, "relevance_threshold": 0.05}


@pytest.mark.parametrize("content", ['{"found_threshold": 1.5}', '{"found": 0.5}', '{"found_threshold": "high"}', "[]", "{"])
def test_thresholds_that_cannot_be_used_are_refused(tmp_path, content):
    (tmp_path / "thresholds.json").write_text(content)
    with pytest.raises(CheckpointError, match="thresholds.json"):
        read_thresholds(tmp_path)
