"""What the core's tests share: settings of any shape, without a bundle."""

import pytest


@pytest.fixture(scope="session")
def make_settings():
    """A function: bundle.Settings of the nano's shape, with what is given changed."""
    from ps3_ros.bundle import Settings

    nano = {
        "scales": (384, 768, 1536, 3840), "patch": 16, "grid": 24, "dim": 192, "embed_dim": 384, "layers": 12, "heads": 3, "aux_size": 1536,
        "aux_grid": 96, "aux_dim": 64, "max_patches": 1024, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "geometry": "native",
        "resampling": "area", "logit_scale": 10.0, "logit_bias": -10.0, "found_threshold": 0.5, "relevance_threshold": 0.5,
        "context_length": 256, "pad_id": 0, "fixed_length": False,
    }  # fmt: skip
    return lambda **changed: Settings(**{**nano, **changed})
