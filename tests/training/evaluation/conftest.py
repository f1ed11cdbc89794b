"""Frames of coloured squares as a split on disk, and what is asked of them."""

import pytest

from ps3_training.data.shards import write_shard

from ..conftest import sample


@pytest.fixture
def split(tmp_path):
    """Folder of three frames with three squares each; two things that are not there are listed for each frame."""
    made = []
    for seed in range(3):
        key, jpeg, labels = sample(seed)
        labels |= {"asks": labels["name"], "means": [[name, "square"] for name in labels["name"]], "absent": ["mug", "car"]}
        made.append((key, jpeg, labels | {"seen": [True, True, False]}))
    write_shard(tmp_path / "squares", 0, made)
    return tmp_path / "squares"
