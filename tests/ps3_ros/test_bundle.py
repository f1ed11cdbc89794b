"""A bundle of the real export loads; every way in which it can be wrong is one sentence that names it."""

import json
import os
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from ps3_ros import bundle as module
from ps3_ros.bundle import Manifest, contract, default_bundle, file_sha256, load_bundle, write_manifest
from ps3_ros.errors import BundleError


@pytest.fixture
def folder(tiny_bundle, tmp_path):
    """A copy of the bundle that a test may damage."""
    return shutil.copytree(tiny_bundle, tmp_path / "bundle")


def edit(folder, change):
    """Rewrite manifest.json by a function of its parsed content."""
    path = folder / "manifest.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def refused(folder, words, **arguments):
    with pytest.raises(BundleError) as error:
        load_bundle(folder, **arguments)
    assert re.search(words, str(error.value)), str(error.value)
    assert "\n" not in str(error.value)


def test_loads(tiny_bundle):
    bundle = load_bundle(tiny_bundle)
    settings = bundle.settings
    assert settings.scales == (64, 128, 256, 640) and settings.high_scales == (128, 256, 640) and settings.tokens == 16
    assert set(bundle.manifest.graphs) == {"text", "glance", "select", "look", "region"}
    assert bundle.prior.shape == (settings.dim + settings.aux_dim,) and bundle.prior.dtype == np.float32
    assert bundle.path(bundle.manifest.tokenizer.file).is_file()
    assert hash(settings) == hash(load_bundle(tiny_bundle, check_hashes=False).settings)


def test_reference_bundle_loads(tiny_reference_bundle):
    settings = load_bundle(str(tiny_reference_bundle)).settings
    assert (settings.geometry, settings.resampling, settings.fixed_length) == ("reference", "bicubic", True)


def test_manifest_comes_back_as_written(folder):
    manifest = load_bundle(folder).manifest
    renamed = replace(manifest, model_name="other")
    assert write_manifest(folder, renamed) == folder / "manifest.json"
    assert load_bundle(folder).manifest == renamed
    assert Manifest.from_dict(json.loads(json.dumps(renamed.to_dict()))) == renamed


def test_writing_a_wrong_manifest_leaves_the_old_one(folder):
    before = (folder / "manifest.json").read_bytes()
    manifest = load_bundle(folder).manifest
    with pytest.raises(BundleError, match="grid"):
        write_manifest(folder, replace(manifest, settings=replace(manifest.settings, grid=5)))
    with pytest.raises(BundleError, match="JSON cannot"):
        write_manifest(folder, replace(manifest, parity={"glance": {"kv": {"random": float("nan")}}}))
    assert (folder / "manifest.json").read_bytes() == before
    assert not [name for name in os.listdir(folder) if name.startswith(".")]


def test_contract_without_an_auxiliary_branch(make_settings):
    graphs = contract(make_settings(aux_size=0, aux_grid=0, aux_dim=0))
    assert "select" not in graphs and [t.name for t in graphs["text"][1]] == ["text", "prompt"]
    assert graphs["glance"][1][2].shape == (12, 2, 1, 3, 576, 64)  # kv


def test_missing_folder(tmp_path):
    refused(tmp_path / "none", "none")


def test_missing_manifest(folder):
    (folder / "manifest.json").unlink()
    refused(folder, "manifest.json")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "UTF-8"),
        (b"[1, 2]", "an object"),
        (b'{"schema_version": NaN}', "NaN"),
        (b"[" * 100000, "not JSON"),
        (b'{"schema_version": 2}', "schema_version is 2"),
        (b'{"schema_version": true}', "schema_version is True"),
        (b"{}", "schema_version is None"),
        (b" " * (module.MANIFEST_BYTES_LIMIT + 1), "bytes"),
    ],
)
def test_unreadable_manifests(folder, content, words):
    (folder / "manifest.json").write_bytes(content)
    refused(folder, words)


BAD_SETTINGS = [
    ("scales", [64], "two or more"),
    ("scales", [64, 128, 128, 640], "increasing"),
    ("scales", [64, 100, 256, 640], "multiples"),
    ("scales", "64", "list"),
    ("scales", [64, 128.0, 256, 640], "integer"),
    ("patch", 0, "patch is 0"),
    ("patch", True, "patch"),
    ("grid", 5, "grid is 5"),
    ("heads", 3, "divisor"),
    ("dim", -64, "dim"),
    ("dim", 128, "128"),  # the graphs say 64
    ("embed_dim", 65, "65"),
    ("layers", 7, "kv"),
    ("aux_size", 0, "all zero"),
    ("aux_dim", 16, "16"),
    ("max_patches", 0, "max_patches"),
    ("mean", [0.5, 0.5], "list of 3"),
    ("std", [0.5, 0.0, 0.5], "above 0"),
    ("std", [0.5, 10**400, 0.5], "finite"),
    ("geometry", "square", "reference, native"),
    ("resampling", None, "bicubic, area"),
    ("logit_scale", 0, "above 0"),
    ("logit_scale", "10", "finite number"),
    ("found_threshold", 1.5, "from 0 to 1"),
    ("relevance_threshold", -0.1, "from 0 to 1"),
    ("fixed_length", 1, "true or false"),
    ("context_length", 0, "context_length"),
    ("pad_id", -1, "pad_id"),
    ("plain_words", "yes", "true or false"),
    ("reads", 1, "true or false"),
    ("background", [0.5, 0.25], "embed_dim = 64"),
    ("background", ["0"] * 64, "finite number"),
    ("background", 0.5, "a list"),
]


@pytest.mark.parametrize(("key", "value", "words"), BAD_SETTINGS)
def test_bad_settings(folder, key, value, words):
    edit(folder, lambda data: data["settings"].update({key: value}))
    refused(folder, words)


def test_reference_geometry_needs_whole_multiples(make_settings, folder):
    def change(data):
        data["settings"].update(geometry="reference", scales=[64, 128, 256, 656])

    edit(folder, change)
    refused(folder, "whole multiples of the lowest")


CHANGES = [
    (lambda d: d["settings"].pop("patch"), "lacks 'patch'"),
    (lambda d: d["settings"].update(colour=1), "unknown entry 'colour'"),
    (lambda d: d.pop("graphs"), "lacks 'graphs'"),
    (lambda d: d.update(extra=1), "unknown entry 'extra'"),
    (lambda d: d["graphs"].pop("look"), "lacks 'look'"),
    (lambda d: d["graphs"].update(shout={}), "unknown entry 'shout'"),
    (lambda d: d["graphs"]["look"].pop("inputs"), "lacks 'inputs'"),
    (lambda d: d["graphs"]["look"].pop("sha256"), "lacks 'sha256'"),
    (lambda d: d["graphs"].update(look="look.onnx"), "an object"),
    (lambda d: d["graphs"]["look"]["inputs"].pop(), "names"),
    (lambda d: d["graphs"]["look"]["inputs"].reverse(), "names"),
    (lambda d: d["graphs"]["look"]["inputs"][0].update(dtype="float64"), "dtype"),
    (lambda d: d["graphs"]["look"]["inputs"][0].update(dtype="int64"), "int64"),
    (lambda d: d["graphs"]["look"]["inputs"][0].update(shape=[1, "M", 768]), "'M'"),
    (lambda d: d["graphs"]["look"]["inputs"][0].update(shape=[1, 256, 768]), "256"),
    (lambda d: d["graphs"]["look"]["inputs"][0].update(shape=[1.0, "N", 768]), "1.0"),
    (lambda d: d["graphs"]["look"]["inputs"][0].update(shape=[["N"], 1, 768]), "float32"),
    (lambda d: d["graphs"]["look"]["inputs"][0].update(shape=["N", 768]), "768"),
    (lambda d: d["graphs"]["look"].update(sha256="0" * 63), "hex"),
    (lambda d: d["graphs"]["look"].update(sha256="0" * 64), "sha256 .* where its manifest says 000000000000"),
    (lambda d: d["graphs"]["look"].update(file="other.onnx"), "lacks the file 'other.onnx'"),
    (lambda d: d["graphs"]["look"].update(file="../look.onnx"), "inside the bundle"),
    (lambda d: d["graphs"]["look"].update(file="/etc/passwd"), "inside the bundle"),
    (lambda d: d["graphs"]["look"].update(file="a\\..\\b"), "inside the bundle"),
    (lambda d: d["graphs"]["look"].update(file="C:look"), "inside the bundle"),
    (lambda d: d["graphs"]["look"].update(file="look\x00"), "inside the bundle"),
    (lambda d: d["tokenizer"].update(file="."), "inside the bundle"),
    (lambda d: d.update(weights={}), "a list"),
    (lambda d: d["license"].pop("weights"), "lacks 'weights'"),
    (lambda d: d["license"].update(notice=""), "text"),
    (lambda d: d.update(precision="fp8"), "fp32"),
    (lambda d: d.update(model_name=""), "model_name"),
    (lambda d: d.update(parity=[]), "parity"),
]


@pytest.mark.parametrize(("change", "words"), CHANGES)
def test_bad_manifests(folder, change, words):
    edit(folder, change)
    refused(folder, words)


def test_a_fixed_length_may_stand_for_the_token_axis(folder):
    def change(data):
        data["settings"].update(fixed_length=True, context_length=77)
        data["graphs"]["text"]["inputs"][0]["shape"] = ["Q", 77]

    edit(folder, change)
    assert load_bundle(folder).settings.context_length == 77
    edit(folder, lambda data: data["settings"].update(context_length=76))
    refused(folder, "77")


def every_file(folder):
    """What the bundle runs on: all but the manifest and the export's report."""
    return sorted(p.name for p in folder.iterdir() if p.name != "manifest.json" and p.stem != "parity")


def test_every_changed_byte_and_every_missing_file_is_noticed(folder):
    for name in every_file(folder):
        path = folder / name
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        kept = path.read_bytes()
        path.write_bytes(data)
        refused(folder, re.escape(name))
        path.unlink()
        refused(folder, re.escape(name))
        path.write_bytes(kept)
    load_bundle(folder)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(96, np.float64), "float64"),
        (np.zeros(95, np.float32), r"\[95\]"),
        (np.full(96, np.nan, np.float32), "NaN"),
        (np.array([{}], dtype=object), "npy"),  # would need pickle
    ],
)
def test_bad_priors(folder, array, words):
    np.save(folder / "prior.npy", array, allow_pickle=True)
    edit(folder, lambda data: data["prior"].update(sha256=file_sha256(folder / "prior.npy")))
    refused(folder, words)


def test_hashes_can_be_left_out(folder):
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_bytes(tokenizer.read_bytes() + b" ")
    load_bundle(folder, check_hashes=False)
    refused(folder, "tokenizer")


def test_default_bundle_is_found_where_it_was_installed(tiny_bundle, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "__file__", str(tmp_path / "site" / "ps3_ros" / "bundle.py"))
    monkeypatch.setattr(module.sys, "prefix", str(tmp_path / "env"))
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    with pytest.raises(BundleError, match="no default bundle"):
        default_bundle()
    overlay = shutil.copytree(tiny_bundle, tmp_path / "overlay" / "share" / "ps3_ros" / "engines" / "nano")
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.pathsep.join(["", str(tmp_path / "other"), str(tmp_path / "overlay")]))
    assert default_bundle() == overlay
    environment = shutil.copytree(tiny_bundle, tmp_path / "env" / "share" / "ps3_ros" / "engines" / "nano")
    assert default_bundle() == environment
    source = shutil.copytree(tiny_bundle, tmp_path / "site" / "engines" / "nano")
    assert default_bundle() == source
