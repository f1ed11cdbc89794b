"""What happens to a cut-out before it is pasted."""

import numpy as np

from ps3_training.data import augment, drawing


def test_augmentations_keep_shape_and_transparency():
    rng = np.random.default_rng(3)
    rgba = drawing.draw("mug", 1)
    assert augment.lit(rgba, rng).shape == rgba.shape and augment.weathered(rgba, rng, 1.0).shape == rgba.shape
    np.testing.assert_array_equal(augment.lit(rgba, rng)[..., 3], rgba[..., 3])
    assert augment.blurred(rgba, 2.0).shape == rgba.shape
    dressed = augment.dressed(rgba, rng)
    assert dressed.shape[2] == 4 and (dressed[..., 3] > 8).any()
