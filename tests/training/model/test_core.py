"""The robot's numpy and this torch say the same: grids, positions, relevance and which patches are taken, ties included."""

import numpy as np
import pytest
import tiny_ps3 as tiny
import torch

from ps3_ros.frame import FramePlan
from ps3_ros.selection import relevance_map, select
from ps3_training.model import settings_of
from ps3_training.model.geometry import frame_grids, grid_positions

SIZES = [(256, 256), (144, 256), (256, 144), (153, 256), (256, 90), (40, 256)]


@pytest.fixture(scope="module", params=["reference", "ours"])
def model(request):
    return tiny.model({"reference": tiny.config, "ours": tiny.ours}[request.param]())


@pytest.mark.parametrize("size", [*SIZES, (2160, 3840), (613, 613), (1080, 1920), (900, 1920), (32, 16000)])
def test_grids_and_positions(model, size):
    v, plan = model.vision_model, FramePlan.of(*size, settings_of(model.config))
    grids = frame_grids(*size, v.config)
    assert grids == [(g.rows, g.cols) for g in plan.grids]
    for s, grid in enumerate(grids):
        ours = grid_positions(grid, v.sides[s], v.position_offsets[s], v.config.geometry)
        assert ours.tolist() == plan.positions(s, np.arange(grid[0] * grid[1])).tolist()


@torch.no_grad()
@pytest.mark.parametrize("size", SIZES)
def test_relevance_and_two_looks(model, size, monkeypatch):
    """Relevance to 1e-5; the patches of two looks exactly, given one relevance."""
    v, settings = model.vision_model, settings_of(model.config)
    frame, prompt = torch.randn(1, 3, *size), torch.randn(1, 64)
    glance, aux = v.glance(torch.randn(1, 3, 64, 64)), v.aux_features(torch.randn(1, 3, 224, 224))
    ours = torch.sigmoid(v.relevance(glance, aux, prompt))[0, 0].numpy()
    theirs = relevance_map(glance.select_features[0, 0].numpy(), aux[0].numpy(), prompt[0].numpy(), v.prompt_aux(prompt)[0].numpy())
    np.testing.assert_allclose(ours, theirs, atol=1e-5)

    # Rounded, so that cells tie with cells, too.
    coarse = (torch.rand(1, 2, 4, 4) * 4).round() - 2
    monkeypatch.setattr(v, "saliency", lambda glance, aux: coarse)
    maps = model(frame, num_look_close=2).selection_maps
    plan, relevance = FramePlan.of(*size, settings), torch.sigmoid(coarse)[0, 0].numpy()
    first = select(relevance, plan, settings.max_patches)
    both = first.union(select(relevance, plan, settings.max_patches, taken=first))
    for taken, found in zip(both.patches, maps, strict=True):
        assert found[0].flatten().nonzero().squeeze(1).tolist() == taken.tolist()
