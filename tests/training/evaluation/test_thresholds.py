"""thresholds.json beside a checkpoint: written, read, refused, and taken for the scores."""

import shutil

import pytest

from ps3_ros.errors import CheckpointError
from ps3_training.evaluation.torch_backend import checkpoint_encoder
from ps3_training.model.thresholds import THRESHOLDS_FILE, read_thresholds, write_thresholds


def test_what_is_written_is_read_and_used(tiny_checkpoint, tmp_path):
    folder = tmp_path / "checkpoint"
    shutil.copytree(tiny_checkpoint, folder)
    assert read_thresholds(folder) == {}
    values = {"found_threshold": 0.3, "relevance_threshold": 0.05, "logit_scale": 8.5, "logit_bias": -3.25}
    values |= {"close_ups": 4, "zoom_outs": 3, "fine_selection": True}
    write_thresholds(folder / THRESHOLDS_FILE, values)
    settings = checkpoint_encoder(folder).settings
    assert read_thresholds(folder) == {name: getattr(settings, name) for name in values} == values
    background = [0.25] * settings.embed_dim
    write_thresholds(folder / THRESHOLDS_FILE, values | {"plain_words": True, "reads": True, "background": tuple(background)})
    settings = checkpoint_encoder(folder).settings
    assert settings.plain_words and settings.reads and settings.background == tuple(background)
    write_thresholds(folder / THRESHOLDS_FILE, {"background": background[1:]})
    with pytest.raises(CheckpointError, match="background has"):
        checkpoint_encoder(folder)
    write_thresholds(folder / THRESHOLDS_FILE, {"zoom_outs": 3})
    with pytest.raises(CheckpointError, match="zoom_outs is 3 where close_ups is 0"):
        checkpoint_encoder(folder)


@pytest.mark.parametrize(
    "values",
    [
        {"found_threshold": 1.2},
        {"logit_scale": 0},
        {"logit_bias": float("nan")},
        {"colour": 1},
        {"close_ups": 2.5},
        {"zoom_outs": True},
        {"fine_selection": 1},
        {"plain_words": 1},
        {"reads": "yes"},
        {"background": 0.5},
        {"background": [0.5, float("inf")]},
        {"background": [True]},
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path, values):
    with pytest.raises(CheckpointError, match="out of range"):
        write_thresholds(tmp_path / THRESHOLDS_FILE, values)
    assert not list(tmp_path.iterdir())
