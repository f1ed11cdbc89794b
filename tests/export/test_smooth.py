"""Smoothing changes nothing in float, and what it changes makes bytes finer."""

import numpy as np
import pytest
import torch

from ps3_export.graphs import MODULES
from ps3_export.parts import read_module
from ps3_export.reference import Cases, random_cases, run_torch
from ps3_export.smooth import Rescale, find_places, smooth, watch
from ps3_export.storage import Rounded
from ps3_ros.bundle import contract
from ps3_training.model import PS3, settings_of

AS_TRAINED = {"text": "fp32", "vision": "fp32"}


@pytest.mark.parametrize("kind", ["tiny", "tiny_reference"])
def test_every_graph_answers_as_before(request, tmp_path, kind):
    checkpoint = request.getfixturevalue(f"{kind}_checkpoint")
    model = PS3.from_pretrained(checkpoint)
    settings, cases = settings_of(model.config), Cases(tmp_path)
    modules = {name: MODULES[name](model).eval() for name in contract(settings)}
    with watch(model.vision_model) as ranges:
        random_cases(modules, settings, model.config.text.vocab_size, sum(side**2 for side in model.config.vision.sides), cases)
    assert len(ranges) >= 3 * len(model.vision_model.trunk.blocks)
    for name in modules:
        smoothed = read_module(checkpoint, name, AS_TRAINED, Rounded(), ranges)
        (case,) = cases.of(name)
        for found, expected in zip(run_torch(smoothed, case.inputs()), case.outputs(), strict=True):
            assert np.abs(found - expected).max() <= 2e-5 * np.abs(expected).max()
        assert name == "text" or any(isinstance(part, Rescale) for part in smoothed.modules())


def test_ranges_are_of_all_that_ran_and_of_nothing_after(tiny_checkpoint):
    vision = PS3.from_pretrained(tiny_checkpoint).vision_model
    place = next(find_places(vision))
    inputs = torch.randn(2, 5, place.linear.in_features)
    with watch(vision) as ranges:
        for part in inputs:
            place.linear(part)
    place.linear(100 * inputs)
    assert set(ranges) == {place.name}
    for found, expected in zip(ranges[place.name], (inputs.amin((0, 1)), inputs.amax((0, 1))), strict=True):
        assert torch.equal(found, expected)


def test_channels_end_up_alike_on_both_sides_of_zero(tiny_checkpoint):
    vision = PS3.from_pretrained(tiny_checkpoint).vision_model
    place = next(place for place in find_places(vision) if place.norm is None)
    size = torch.logspace(-1, 2, place.linear.in_features)  # a channel of the last reaches a thousand times as far as one of the first
    inputs = torch.rand(4, 200, place.linear.in_features) * size
    expected = place.linear(inputs).detach()
    smooth(vision, {place.name: (inputs.amin((0, 1)), inputs.amax((0, 1)))})
    scaled = place.linear[0](inputs)
    reach = scaled.abs().amax((0, 1))
    assert torch.allclose(scaled.amax((0, 1)), -scaled.amin((0, 1)), rtol=1e-4)
    assert reach.max() / reach.min() < 0.2 * size.max() / size.min()
    assert torch.allclose(place.linear(inputs), expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


def test_a_place_without_ranges_stays_as_it_is(tiny_checkpoint):
    vision = PS3.from_pretrained(tiny_checkpoint).vision_model
    before = {name: value.clone() for name, value in vision.state_dict().items()}
    smooth(vision, {})
    after = vision.state_dict()
    assert set(after) == set(before) and all(torch.equal(after[name], value) for name, value in before.items())
