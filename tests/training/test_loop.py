"""The loop both stages share, on a tiny model that overfits one batch: falling loss, exact resume, a stop on NaN, whole checkpoints
only.
"""

import json

import pytest
import torch

from ps3_training import batch, cache, loop, pretrain, train
from ps3_training.model import PS3, settings_of

from .conftest import sample


@pytest.fixture
def task(tiny_model, sentences, tmp_path):
    """(model, make_batch, loss) over four tiny frames."""
    settings = settings_of(tiny_model.config)
    cache.build_cache([sample(i) for i in range(4)], tmp_path / "cache", settings, processes=1)
    index = cache.read_index(tmp_path / "cache")
    choice = batch.BatchSettings(frames=2, tokens=60, colour_jitter=0.0, global_fraction=0.5)

    def make(step):
        return batch.batch_of_step(step, tmp_path / "cache", index, choice, settings, seed=0)

    return tiny_model, make, lambda made: pretrain.pretrain_loss(tiny_model, made, sentences, pretrain.LossSettings(positive_weight=4.0))


def test_one_batch_is_learned(task, tmp_path):
    model, make, loss = task
    one = make(0)
    steps = loop.LoopSettings(steps=60, lr=2e-3, warmup_steps=5, log_every=10)
    assert loop.fit(model, lambda step: one, loss, steps, tmp_path / "run", progress=False) == 60
    lines = [json.loads(line) for line in (tmp_path / "run" / loop.METRICS).read_text().splitlines()]
    first = float(loss(one)["total"].detach())  # after training
    assert first < 0.5 * lines[0]["total"]
    assert lines[-1]["top_down"] < lines[0]["top_down"]
    assert (tmp_path / "run" / "loss.png").stat().st_size > 1000


def test_resuming_ends_in_the_same_weights(task, sentences, tmp_path):
    model, make, loss = task
    train.frozen(model)
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    steps = loop.LoopSettings(steps=6, lr=1e-3, warmup_steps=2, log_every=1)
    loop.fit(model, make, loss, steps, tmp_path / "whole", progress=False)
    whole = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    model.load_state_dict(start)
    assert loop.fit(model, make, loss, steps, tmp_path / "parts", stop_after=3, progress=False) == 3
    again = train.frozen(PS3.from_pretrained(loop.resume_folder(tmp_path / "parts")))

    def loss_again(made):
        return pretrain.pretrain_loss(again, made, sentences, pretrain.LossSettings(positive_weight=4.0))

    assert loop.fit(again, make, loss_again, steps, tmp_path / "parts", resume=True, progress=False) == 6
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, whole[name]), name
    read = [[json.loads(line)["total"] for line in (tmp_path / run / loop.METRICS).read_text().splitlines()] for run in ("whole", "parts")]
    assert read[0] == read[1]


def test_only_the_two_newest_checkpoints_stay_and_a_part_is_no_checkpoint(task, tmp_path):
    model, _, _ = task
    optimizer = loop.make_optimizer(model, loop.LoopSettings(steps=1, lr=1.0))
    for step in (1, 2, 3):
        loop.save_step(model, optimizer, step, tmp_path)
    (tmp_path / loop.STEPS / "00000009.part").mkdir()
    assert [path.name for path in loop.saved_steps(tmp_path)] == ["00000002", "00000003"]


def test_a_loss_that_is_not_a_number_stops_at_its_step(task, tmp_path):
    model, make, loss = task

    def broken(made):
        parts = loss(made)
        broken.calls += 1
        return {**parts, "total": parts["total"] * float("nan")} if broken.calls == 2 else parts

    broken.calls = 0
    with pytest.raises(loop.TrainingError, match="step 1 has total nan"):
        loop.fit(model, make, broken, loop.LoopSettings(steps=3, lr=1e-3), tmp_path, progress=False)


def test_learning_rate_warms_up_and_falls():
    settings = loop.LoopSettings(steps=100, lr=1.0, warmup_steps=10, final_lr_fraction=0.1)
    rates = [loop.learning_rate(step, settings) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[10] == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True) and rates[-1] == pytest.approx(0.1)


@pytest.mark.parametrize("bad", [{"steps": 0}, {"lr": 0.0}, {"clip": -1.0}, {"autocast": "fp8"}])
def test_bad_settings_are_refused(bad):
    with pytest.raises(loop.TrainingError):
        loop.LoopSettings(**{"steps": 1, "lr": 1.0, **bad})


def test_a_frozen_encoder_is_not_trained(task):
    model, _, _ = task
    trained = {id(p) for group in loop.make_optimizer(model, loop.LoopSettings(steps=1, lr=1.0)).param_groups for p in group["params"]}
    assert not trained & {id(p) for p in model.text_model.encoder.parameters()}
    assert {id(p) for p in model.vision_model.parameters()} <= trained
