"""A graph's module holds its own part of a checkpoint, which the checkpoint's file does not notice."""

import hashlib

import numpy as np
import pytest
import torch

from ps3_export.graphs import MODULES
from ps3_export.parts import VISION_PARTS, let_go, read_module
from ps3_export.reference import Cases, random_cases, run_torch
from ps3_export.storage import Rounded
from ps3_ros.bundle import contract
from ps3_training.model import PS3, settings_of

AS_TRAINED, HALVES, BYTES = ({"text": kind, "vision": kind} for kind in ("fp32", "fp16", "int8"))


@pytest.mark.parametrize("kind", ["tiny", "tiny_reference"])
def test_a_part_answers_as_the_whole_model_does(request, tmp_path, kind):
    checkpoint = request.getfixturevalue(f"{kind}_checkpoint")
    model = PS3.from_pretrained(checkpoint)
    settings, cases = settings_of(model.config), Cases(tmp_path)
    modules = {name: MODULES[name](model) for name in contract(settings)}
    random_cases(modules, settings, model.config.text.vocab_size, sum(side**2 for side in model.config.vision.sides), cases)
    assert set(modules) == set(VISION_PARTS)
    for name in modules:
        (case,) = cases.of(name)
        outputs = run_torch(read_module(checkpoint, name, AS_TRAINED, Rounded()), case.inputs())
        assert all(np.array_equal(found, expected) for found, expected in zip(outputs, case.outputs(), strict=True))


# graph -> a parameter that it runs, and one of another graph's
@pytest.mark.parametrize(
    ("name", "has", "has_not"),
    [
        ("text", "text_model.", "trunk."),
        ("glance", "trunk.blocks.0", "text_model."),
        ("select", "highres_selection_feature_module.", "trunk."),
        ("look", "trunk.blocks.0", "selection_feature_proj."),
        ("region", "trunk.attn_pool", "trunk.blocks.0"),
    ],
)
def test_a_part_is_no_more_than_a_graph_runs(tiny_reference_checkpoint, name, has, has_not):
    names = [n for n, _ in read_module(tiny_reference_checkpoint, name, AS_TRAINED, Rounded()).named_parameters()]
    assert any(has in n for n in names) and not any(has_not in n for n in names)


@pytest.mark.parametrize("towers", [HALVES, BYTES])
def test_rounding_in_place_leaves_the_checkpoints_file_as_it_is(tiny_reference_checkpoint, towers):
    path = tiny_reference_checkpoint / "model.safetensors"
    before, rounded = hashlib.sha256(path.read_bytes()).digest(), Rounded()
    weight = read_module(tiny_reference_checkpoint, "text", towers, rounded).model.text_model.token_embedding.weight
    trained = PS3.from_pretrained(tiny_reference_checkpoint).text_model.token_embedding.weight
    assert 0 < (weight - trained).abs().max() < 0.01 * trained.abs().max() and (rounded.rows or rounded.halves)
    assert hashlib.sha256(path.read_bytes()).digest() == before


def test_a_module_that_was_let_go_holds_nothing():
    module = torch.nn.Linear(8, 8)
    held = module.weight  # as the exporter's caches do
    let_go(module)
    assert held.numel() == 0 and held.untyped_storage().nbytes() == 0
