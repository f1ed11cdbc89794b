"""Objects drawn from scratch."""

import numpy as np
import pytest

from ps3_training.data import drawing


@pytest.mark.parametrize("name", sorted(drawing.DRAWN))
def test_drawings_are_the_same_for_a_seed_and_trimmed(name):
    first, again, other = drawing.draw(name, 3), drawing.draw(name, 3), drawing.draw(name, 4)
    assert first.dtype == np.uint8 and first.shape[2] == 4
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or (first != other).any()
    alpha = first[..., 3] > 8
    assert alpha[0].any() and alpha[-1].any() and alpha[:, 0].any() and alpha[:, -1].any()


@pytest.mark.parametrize("state, brightest", [("red", 0), ("amber", 1), ("green", 2)])
def test_the_lit_lens_is_the_named_one(state, brightest):
    for seed in range(30):
        rgba = drawing.traffic_light(np.random.default_rng(seed), state)
        if rgba.shape[1] > rgba.shape[0]:  # hung on its side
            rgba = np.rot90(rgba, -1)
        middle = rgba[:, rgba.shape[1] // 3 : -rgba.shape[1] // 3, :3].max(2).astype(float)
        thirds = [part.mean() for part in np.array_split(middle, 3)]
        assert int(np.argmax(thirds)) == brightest
