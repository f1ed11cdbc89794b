"""A run on streamed shards: it stops and goes on where every reader was, and ends in the weights of one that was not stopped."""

import pytest
import torch
from safetensors.torch import load_file

from ps3_training import stages, streaming, train
from ps3_training.choice import BatchSettings
from ps3_training.settings import read_settings
from ps3_training.start import cut_settings, initial_model

from . import tiny_run


@pytest.mark.timeout(900)  # of a machine that does other work; alone it takes seconds
def test_a_stopped_stream_goes_on_with_the_next_frames(tmp_path):
    config = tiny_run.write(tmp_path, pictures_every=3)
    changes = ["pretrain.source=stream", "pretrain.loop.workers=0", "pretrain.held_out_share=0.0", "pretrain.loop.final_lr_fraction=1.0"]
    whole, parts = (read_settings(config, [*changes, f"run={tmp_path / name}"]) for name in ("whole", "parts"))
    train.run(whole)
    train.run(read_settings(config, [*changes, f"run={tmp_path / 'parts'}", "pretrain.loop.steps=2"]), "pretrain")
    train.run(parts)
    folder = "pretrain/steps/00000004/model.safetensors"
    ends = [load_file(tmp_path / name / folder) for name in ("whole", "parts")]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert not torch.equal(ends[0]["logit_bias"], initial_model(whole).state_dict()["logit_bias"])
    taken = streaming.Stream(tmp_path / "data", BatchSettings(frames=2, tokens=40), cut_settings(whole), 0, 0)
    made = [taken.make(step) for step in range(4)]
    again = streaming.Stream(tmp_path / "data", BatchSettings(frames=2, tokens=40), cut_settings(whole), 0, 0)
    again.restore([made[1].position])
    for step in (2, 3):
        next_one = again.make(step)
        assert next_one.batch.texts == made[step].batch.texts and torch.equal(next_one.batch.patches, made[step].batch.patches)
        assert next_one.position == made[step].position
    assert (tmp_path / "whole" / "pretrain" / "pictures" / "00000003.png").exists()
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").glob("frames/*"))
    assert stages.is_streamed(whole)
