"""The bundles that the export makes: they load, agree with torch, take every size they promise, and store shared weights once."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from ps3_export.torch_to_onnx import REFUSED_OPS
from ps3_export.weights import ALIGNMENT, MIN_BYTES, SMALL_PART
from ps3_ros.bundle import contract, load_bundle
from ps3_training.model import PS3

TOLERANCE = 1e-4  # relative to the output's largest value, float32


@pytest.fixture(scope="module", params=["tiny", "tiny_reference"])
def pair(request):
    """(bundle folder, the torch model it was made of)"""
    torch.set_num_threads(1)
    return request.getfixturevalue(f"{request.param}_bundle"), PS3.from_pretrained(request.getfixturevalue(f"{request.param}_checkpoint"))


def run(folder, name, **inputs):
    session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)


def assert_close(found, expected):
    expected = expected.detach().numpy()
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max()


def test_loads_as_a_bundle_and_keeps_the_contract(pair):
    folder, model = pair
    manifest = load_bundle(folder).manifest
    settings = manifest.settings
    assert settings.geometry == model.config.vision.geometry and settings.fixed_length == (model.config.text.kind == "clip")
    for name, (inputs, outputs) in contract(settings).items():
        session = onnxruntime.InferenceSession(str(folder / manifest.graphs[name].file), providers=["CPUExecutionProvider"])
        assert [i.name for i in session.get_inputs()] == [spec.name for spec in inputs]
        assert [tuple(o.shape) for o in session.get_outputs()] == [spec.shape for spec in outputs]
        assert [o.name for o in session.get_outputs()] == [spec.name for spec in outputs]
    text = manifest.graphs["text"].inputs[0].shape
    assert text == ("Q", settings.context_length if settings.fixed_length else "T")


def test_manifest_states_parity_for_every_output(pair):
    folder, _ = pair
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, graph in manifest["graphs"].items():
        for output in graph["outputs"]:
            figures = manifest["parity"][name][output["name"]]
            assert set(figures) == {"random", "real", "cosine"} and figures["cosine"] > 0.99999
            # exact zeros would mean that something was compared with itself
            assert 0 < max(figures["random"], figures["real"]) <= TOLERANCE
    assert manifest["gate"]["overlap_ties"] == 1 and manifest["gate"]["moved"] == 0 and manifest["gate"]["views"] == 4


@pytest.mark.parametrize("queries", [1, 5])
def test_text_agrees(pair, queries):
    folder, model = pair
    settings = load_bundle(folder, check_hashes=False).settings
    random = np.random.default_rng(queries)
    # A sentence tower takes any length, padded to the batch's longest; the reference's is always full.
    for length in [settings.context_length] if settings.fixed_length else [1, 6, settings.context_length]:
        ids = random.integers(1, model.config.text.vocab_size, (queries, length))
        ids[0, length // 2 + 1 :] = settings.pad_id
        text, prompt, prompt_aux = run(folder, "text", ids=ids)
        expected = model.text_model(torch.from_numpy(ids))
        assert_close(text, expected.text)
        assert_close(prompt, expected.prompt)
        assert_close(prompt_aux, model.prompt_aux(expected.prompt))


def test_padding_does_not_change_a_sentence(tiny_bundle):
    ids = np.array([[2, 4, 5, 3]])
    alone = run(tiny_bundle, "text", ids=ids)[0]
    padded = run(tiny_bundle, "text", ids=np.array([[2, 4, 5, 3, 0, 0, 0]]))[0]
    assert np.abs(alone - padded).max() <= TOLERANCE * np.abs(alone).max()


def test_glance_and_select_agree(pair):
    folder, model = pair
    settings = load_bundle(folder, check_hashes=False).settings
    side = settings.scales[0]
    pixels = np.random.default_rng(1).uniform(-1, 1, (1, 3, side, side)).astype(np.float32)
    tokens, features, kv = run(folder, "glance", pixels=pixels)
    expected = model.vision_model.glance(torch.from_numpy(pixels))
    assert_close(tokens, expected.tokens)
    assert_close(features, expected.select_features[:, 0])  # the first high-res scale's: all scales use its map
    assert_close(kv, expected.kv)
    pixels = np.random.default_rng(2).uniform(-1, 1, (1, 3, settings.aux_size, settings.aux_size)).astype(np.float32)
    assert_close(run(folder, "select", pixels=pixels)[0], model.vision_model.aux_features(torch.from_numpy(pixels)))


@pytest.mark.parametrize("count", [1, 7, None])
def test_look_agrees_for_every_number_of_patches(pair, count):
    folder, model = pair
    settings = load_bundle(folder, check_hashes=False).settings
    count = count or settings.max_patches
    random = np.random.default_rng(count)
    positions = sum((scale // settings.patch) ** 2 for scale in settings.high_scales)
    position = np.sort(random.choice(positions, count, replace=False))
    position[-1] = positions - 1  # the last row of the last table
    patches = random.uniform(-1, 1, (1, count, 3 * settings.patch**2)).astype(np.float32)
    kv = random.standard_normal((settings.layers, 2, 1, settings.heads, settings.tokens, settings.dim // settings.heads), np.float32)
    found = run(folder, "look", patches=patches, position=position, kv=kv)[0]
    expected = model.vision_model.look(*(torch.from_numpy(a) for a in (patches, position[None], kv)))
    assert_close(found, expected)


@pytest.mark.parametrize(("count", "regions"), [(1, 1), (7, 1), (1, 3), (256, 40)])
def test_region_agrees_for_every_number_of_regions(pair, count, regions):
    folder, model = pair
    random = np.random.default_rng(count * 100 + regions)
    tokens = random.standard_normal((1, count, model.config.vision.backbone.dim), np.float32)
    mask = random.random((regions, count)) < 0.3  # some may be empty: torch and graph then pool over all tokens
    found = run(folder, "region", tokens=tokens, mask=mask)[0]
    assert_close(found, model.vision_model.pool(torch.from_numpy(tokens), torch.from_numpy(mask)[None])[0])


def external(folder, name):
    """{(file, offset): bytes} of a graph's external tensors."""
    graph = onnx.load(str(folder / f"{name}.onnx"), load_external_data=False).graph
    places = {}
    for tensor in graph.initializer:
        entry = {e.key: e.value for e in tensor.external_data}
        if entry:
            places[entry["location"], int(entry["offset"])] = int(entry["length"])
        else:
            assert len(tensor.raw_data) < MIN_BYTES, tensor.name
    return places


def test_glance_and_look_share_the_backbone(pair):
    folder, model = pair
    glance, look = external(folder, "glance"), external(folder, "look")
    matrices = sum(p.numel() * 4 for name, p in model.vision_model.trunk.blocks.named_parameters() if p.ndim == 2)
    assert sum(glance[place] for place in glance.keys() & look.keys()) >= matrices
    stored = sum(f.stat().st_size for f in folder.glob("weights-*.bin"))
    given = sum(length for name in contract(load_bundle(folder).settings) for length in external(folder, name).values())
    assert stored < given - 0.9 * matrices


def test_weight_files_are_small_and_aligned(pair):
    folder, _ = pair
    assert all(f.stat().st_size <= SMALL_PART for f in folder.iterdir())
    for name in ("text", "glance", "look", "region", "select"):
        for (file, offset), length in external(folder, name).items():
            assert "/" not in file and offset % ALIGNMENT == 0 and offset + length <= (folder / file).stat().st_size


def test_graphs_hold_only_what_tensorrt_builds_and_no_paths(pair):
    folder, _ = pair
    for path in folder.glob("*.onnx"):
        model = onnx.load(str(path), load_external_data=False)
        assert {(o.domain, o.version) for o in model.opset_import if o.domain == ""} == {("", 20)}
        kinds = {node.op_type for node in model.graph.node}
        assert not kinds & (REFUSED_OPS | {"GatherND", "ScatterND", "Resize", "ReduceMean"})
        assert path.stem == "text" or "LayerNormalization" in kinds
        assert b"site-packages" not in path.read_bytes() and b"/home/" not in path.read_bytes()


def test_the_prior_is_the_bottom_up_prompt(pair):
    folder, model = pair
    prior = load_bundle(folder).prior
    prompt = model.vision_model.prior_prompt.detach()
    assert np.array_equal(prior[: len(prompt)], prompt.numpy())
    assert_close(prior[len(prompt) :], model.prompt_aux(prompt[None])[0])
