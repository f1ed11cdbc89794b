import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ps3_training.model import PS3Config
from ps3_training.model.geometry import cut_grid, frame_grids, grid_positions, resize, spread


def config(geometry, scales=(384, 768, 1536, 3840), name="vit_nano_patch16_384"):
    vision = {"model_name": name, "pool": "map", "ps3_scales": list(scales), "select_based_on_layer": [0], "geometry": geometry}
    dim = 256 if "nano" in name else 1152
    return PS3Config.from_dict({"vision_config": vision, "text_config": {"output_dim": dim, "prompt_proj_dim": dim}}).vision


@pytest.mark.parametrize(
    "geometry, height, width, grids",
    [
        ("native", 2160, 3840, [(27, 48), (54, 96), (135, 240)]),  # a 4K frame's finest patches are its own pixels
        ("native", 3840, 2160, [(48, 27), (96, 54), (240, 135)]),
        ("native", 100, 100, [(48, 48), (96, 96), (240, 240)]),
        ("native", 32, 16000, [(1, 48), (1, 96), (1, 240)]),
        ("reference", 2160, 3840, [(26, 48), (52, 96), (130, 240)]),  # floor(int(384 * 2160 / 3840) / 16) = 13, times 2, 4 and 10
        ("reference", 2160, 2160, [(48, 48), (96, 96), (240, 240)]),
        ("reference", 4000, 32, [(48, 2), (96, 4), (240, 10)]),
    ],
)
def test_frame_grids(geometry, height, width, grids):
    assert frame_grids(height, width, config(geometry)) == grids


def test_reference_grids_are_the_references_at_its_own_sizes():
    """It divides before it multiplies, in floats; whole numbers give the same wherever the longer side is a scale."""
    for scales, name in (((378, 756, 1512, 3780), "vit_so400m_patch14_siglip_384"), ((384, 768, 1536, 3840), "vit_nano_patch16_384")):
        ours = config("reference", scales, name)
        for long in scales:
            for short in range(1, long + 1):
                cells = max(int(scales[0] / long * short) // ours.patch, 1)
                assert [rows for rows, _ in frame_grids(short, long, ours)] == [cells * (s // scales[0]) for s in scales[1:]]


def test_positions():
    assert grid_positions((2, 3), 4, 100, "reference").tolist() == [100, 101, 102, 104, 105, 106]
    # native: the middle of each patch on the square grid, rows (0.5, 1.5) * 4 / 2, columns (0.5, 1.5, 2.5) * 4 / 3
    assert grid_positions((2, 3), 4, 100, "native").tolist() == [104, 106, 107, 112, 114, 115]
    for geometry in ("reference", "native"):
        assert grid_positions((5, 5), 5, 7, geometry).tolist() == list(range(7, 32))


@pytest.mark.parametrize("grid", [(4, 4), (8, 8), (5, 16), (40, 3), (7, 9)])
def test_spread_by_plain_loops(grid):
    maps = torch.rand(2, 4, 4)
    slow = torch.stack([torch.stack([maps[:, r * 4 // grid[0], c * 4 // grid[1]] for c in range(grid[1])], -1) for r in range(grid[0])], -2)
    assert torch.equal(spread(maps, grid), slow)


@pytest.mark.parametrize("cells, zoom", [(24, 2), (24, 4), (24, 10), (27, 2), (27, 4), (27, 10)])
def test_spread_is_the_references_nearest_neighbour_on_its_grids(cells, zoom):
    maps = torch.arange(cells * cells, dtype=torch.float32).view(1, cells, cells)
    for rows in range(zoom, cells * zoom + 1, zoom):
        grid = (rows, cells * zoom)
        assert torch.equal(spread(maps, grid), F.interpolate(maps[None], size=grid, mode="nearest")[0])


@pytest.mark.parametrize("size, new", [((60, 90), (20, 30)), ((60, 90), (17, 41)), ((50, 50), (49, 7)), ((20, 20), (33, 40))])
def test_area_is_opencvs(size, new):
    """Against INTER_AREA (INTER_LINEAR where it grows) on floats: 1e-5 absolute on values in [0, 1]."""
    image = np.random.default_rng(0).random((*size, 3), dtype=np.float32)
    mode = cv2.INTER_AREA if new[0] <= size[0] and new[1] <= size[1] else cv2.INTER_LINEAR
    expected = cv2.resize(image, new[::-1], interpolation=mode)
    found = resize(torch.from_numpy(image).permute(2, 0, 1)[None], *new, "area")[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_bicubic_is_opencvs_where_it_grows():
    """Plain bicubic has a = -0.75 in both: 1e-4 absolute (OpenCV rounds its taps)."""
    image = np.random.default_rng(1).random((40, 50, 3), dtype=np.float32)
    found = resize(torch.from_numpy(image).permute(2, 0, 1)[None], 64, 80, "bicubic")[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found, cv2.resize(image, (80, 64), interpolation=cv2.INTER_CUBIC), atol=1e-4)


def test_cut_grid_is_row_major_and_channel_first():
    pixels = torch.rand(2, 3, 6, 8)
    cut = cut_grid(pixels, 2)
    assert cut.shape == (2, 12, 12)
    for r in range(3):
        for c in range(4):
            assert torch.equal(cut[:, 4 * r + c], pixels[:, :, 2 * r : 2 * r + 2, 2 * c : 2 * c + 2].flatten(1))
