"""The rival ways to a high resolution cover the frame and give the tokens that they promise."""

import numpy as np
import pytest

from benchmarks.resolution import slices
from benchmarks.tiled import anyres, anyres_grid, s2, tiles

GRIDS = [  # height, width -> rows, cols of 256 px tiles
    (2160, 3840, (8, 15)),
    (720, 1280, (3, 5)),
    (100, 100, (1, 1)),
]


@pytest.mark.parametrize(("height", "width", "expected"), GRIDS)
def test_anyres_keeps_the_frames_pixels(height, width, expected):
    assert anyres_grid(height, width, 256) == expected


def test_tiles_put_together_are_the_frame():
    pixels = np.random.default_rng(0).integers(0, 256, (128, 192, 3), dtype=np.uint8)
    found = tiles(pixels, 2, 3, 64)
    np.testing.assert_array_equal(np.block([[[tile] for tile in found[:3]], [[tile] for tile in found[3:]]]), pixels)


SLICES = [  # width, height, side -> windows that overlap by a fifth
    (256, 256, 256, 1),
    (461, 256, 256, 3),  # two cover 460.8 px
    (460, 256, 256, 2),
    (3840, 2160, 256, 19 * 11),
]


@pytest.mark.parametrize(("width", "height", "side", "expected"), SLICES)
def test_slices(width, height, side, expected):
    assert slices(width, height, side) == expected


def test_every_tile_is_encoded_and_s2_averages_back(make_settings):
    settings = make_settings(scales=(64, 128, 256), patch=16, grid=4, dim=2)
    pixels = np.zeros((256, 256, 3), np.uint8)
    pixels[128:] = 200
    seen = []

    def encode(tile):
        seen.append(tile.shape[:2])
        level = tile.reshape(4, len(tile) // 4, 4, tile.shape[1] // 4, 3).mean(axis=(1, 3))[..., 0].reshape(16)
        return np.stack([level, np.ones(16)], axis=1)  # a patch's mean grey level stands for its features

    features = s2(pixels, settings, encode)
    assert features.shape == (16, 3 * 2) and len(seen) == 1 + 4 + 16 and set(seen) == {(64, 64)}
    np.testing.assert_allclose(features[:8, ::2], 0)  # the upper half is black at every scale, the lower is not
    np.testing.assert_allclose(features[8:, ::2], 200)
    seen.clear()
    assert anyres(pixels, settings, encode).shape == (16 + 1, 16, 2) and len(seen) == 17
