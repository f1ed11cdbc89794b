"""The loop both stages share, on a tiny model that overfits one batch: falling loss, exact resume, a stop on NaN, whole checkpoints
only.
"""

import json
import math
import signal

import pytest
import torch

from ps3_training import batch, cache, checkpoints, choice, loop, optimizer, precision, pretrain
from ps3_training.errors import Stopped, TrainingError
from ps3_training.metrics import METRICS, read_metrics, trim_metrics
from ps3_training.model import PS3, settings_of
from ps3_training.start import frozen

from .conftest import sample


@pytest.fixture
def task(tiny_model, sentences, tmp_path):
    """(model, make_batch, loss) over four tiny frames."""
    settings = settings_of(tiny_model.config)
    cache.build_cache([sample(i) for i in range(4)], tmp_path / "cache", settings, processes=1)
    index = cache.read_index(tmp_path / "cache")
    choose = choice.BatchSettings(frames=2, tokens=60, colour_jitter=0.0, global_fraction=0.5)

    def make(step):
        return batch.batch_of_step(step, tmp_path / "cache", index, choose, settings, seed=0)

    return tiny_model, make, lambda made: pretrain.pretrain_loss(tiny_model, made, sentences, pretrain.LossSettings(positive_weight=4.0))


def test_one_batch_is_learned(task, tmp_path):
    model, make, loss = task
    one = make(0)
    steps = loop.LoopSettings(steps=60, lr=2e-3, warmup_steps=5, log_every=10)
    assert loop.fit(model, lambda step: one, loss, steps, tmp_path / "run", progress=False) == 60
    lines = [json.loads(line) for line in (tmp_path / "run" / METRICS).read_text().splitlines()]
    first = float(loss(one)["total"].detach())  # after training
    assert first < 0.5 * lines[0]["total"]
    assert lines[-1]["top_down"] < lines[0]["top_down"]
    assert (tmp_path / "run" / "loss.png").stat().st_size > 1000


def test_resuming_ends_in_the_same_weights(task, sentences, tmp_path):
    model, make, loss = task
    frozen(model)
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    steps = loop.LoopSettings(steps=6, lr=1e-3, warmup_steps=2, log_every=1, ema=0.9, accumulate=2, tensorboard=False)
    loop.fit(model, make, loss, steps, tmp_path / "whole", progress=False)
    whole = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    model.load_state_dict(start)
    assert loop.fit(model, make, loss, steps, tmp_path / "parts", stop_after=3, progress=False) == 3
    again = frozen(PS3.from_pretrained(checkpoints.newest(tmp_path / "parts")))

    def loss_again(made):
        return pretrain.pretrain_loss(again, made, sentences, pretrain.LossSettings(positive_weight=4.0))

    assert loop.fit(again, make, loss_again, steps, tmp_path / "parts", resume=True, progress=False) == 6
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, whole[name]), name
    one, two = (checkpoints.averaged(checkpoints.newest(tmp_path / run)) for run in ("whole", "parts"))
    assert one.keys() == two.keys() == {name for name, p in again.named_parameters() if p.requires_grad}
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], whole[name]) for name in one)  # a mean, not the weights
    read = [[json.loads(line)["total"] for line in (tmp_path / run / METRICS).read_text().splitlines()] for run in ("whole", "parts")]
    assert read[0] == read[1]


def test_only_the_two_newest_checkpoints_stay_and_a_part_is_no_checkpoint(task, tmp_path):
    model, _, _ = task
    made = optimizer.make_optimizer(model, loop.LoopSettings(steps=1, lr=1.0))
    (tmp_path / checkpoints.STEPS / "00000009.part").mkdir(parents=True)
    assert checkpoints.saved_steps(tmp_path) == []
    for step in (1, 2, 3):
        checkpoints.save_step(model, made, checkpoints.Progress(step), tmp_path)
    assert [path.name for path in sorted((tmp_path / checkpoints.STEPS).iterdir())] == ["00000002", "00000003"]


def test_a_loss_that_is_not_a_number_stops_at_its_step(task, tmp_path):
    model, make, loss = task

    def broken(made):
        parts = loss(made)
        broken.calls += 1
        return {**parts, "total": parts["total"] * float("nan")} if broken.calls == 2 else parts

    broken.calls = 0
    with pytest.raises(TrainingError, match="step 1 has total nan"):
        loop.fit(model, make, broken, loop.LoopSettings(steps=3, lr=1e-3), tmp_path, progress=False)


def test_learning_rate_warms_up_and_falls():
    settings = loop.LoopSettings(steps=100, lr=1.0, warmup_steps=10, final_lr_fraction=0.1)
    rates = [optimizer.learning_rate(step, settings) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[10] == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True) and rates[-1] == pytest.approx(0.1)


@pytest.mark.parametrize(
    "bad",
    [
        {"steps": 0},
        {"lr": 0.0},
        {"clip": -1.0},
        {"autocast": "fp8"},
        {"optimizer": "sgd"},
        {"ema": 1.0},
        {"accumulate": 0},
        {"keep": 0},
        {"pictures_every": -1},
    ],
)
def test_bad_settings_are_refused(bad):
    with pytest.raises(TrainingError):
        loop.LoopSettings(**{"steps": 1, "lr": 1.0, **bad})


def test_a_frozen_encoder_is_not_trained(task):
    model, _, _ = task
    trained = {id(p) for group in optimizer.make_optimizer(model, loop.LoopSettings(steps=1, lr=1.0)).param_groups for p in group["params"]}
    assert not trained & {id(p) for p in model.text_model.encoder.parameters()}
    assert {id(p) for p in model.vision_model.parameters()} <= trained


def test_muon_takes_the_matrices_of_blocks_and_adamw_the_rest(task):
    model, _, _ = task
    made = optimizer.make_optimizer(model, loop.LoopSettings(steps=1, lr=1.0, optimizer="muon"))
    names = {id(p): name for name, p in model.named_parameters()}
    by_muon = {names[id(p)] for group in made.parts[0].param_groups for p in group["params"]}
    assert {"vision_model.trunk.blocks.0.attn.qkv.weight", "vision_model.trunk.blocks.0.mlp.fc1.weight"} <= by_muon
    assert all(name.startswith("vision_model.") and name.endswith("weight") for name in by_muon)
    plain = optimizer.make_optimizer(model, loop.LoopSettings(steps=1, lr=1.0))
    parameters = [sorted(names[id(p)] for group in one.param_groups for p in group["params"]) for one in (made, plain)]
    assert parameters[0] == parameters[1]


def test_accumulated_batches_are_one_step_with_their_mean_gradient(task, tmp_path):
    model, make, loss = task
    for step in (0, 1):
        (loss(make(step))["total"] / 2).backward()
    expected = torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.grad is not None], 1e9)
    model.zero_grad()
    settings = loop.LoopSettings(steps=1, lr=1e-9, accumulate=2, log_every=1, tensorboard=False)
    loop.fit(model, make, loss, settings, tmp_path, progress=False, work=lambda made: made.work)
    line = read_metrics(tmp_path / METRICS)[0]
    assert line["grad_norm"] == pytest.approx(float(expected), rel=1e-4)
    assert line["frames_a_second"] > 0 and line["tokens_a_second"] == pytest.approx(30 * 2 * line["frames_a_second"], rel=1e-6)


# fp16 finds its loss scale first: steps whose gradients overflow are left out
@pytest.mark.parametrize("change", [{"grad_checkpointing": True}, {"autocast": "bf16"}, {"autocast": "fp16"}])
def test_cheaper_ways_to_compute_give_the_same_step(task, tmp_path, monkeypatch, change):
    monkeypatch.setattr(precision, "supported", lambda device, autocast: True)  # on any CPU
    model, make, loss = task
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    lines = []
    for name, settings in (("plain", {}), ("cheap", change)):
        model.load_state_dict(start)
        steps = loop.LoopSettings(steps=12 if settings == {"autocast": "fp16"} else 1, lr=1e-4, log_every=1, tensorboard=False, **settings)
        loop.fit(model, lambda step: make(0), loss, steps, tmp_path / name, progress=False)
        lines.append(next(line for line in read_metrics(tmp_path / name / METRICS) if math.isfinite(line["grad_norm"])))
    exact = "grad_checkpointing" in change
    assert exact or lines[1]["total"] != lines[0]["total"]  # other numbers were used
    assert lines[1]["total"] == pytest.approx(lines[0]["total"], rel=1e-6 if exact else 0.02)
    assert lines[1]["grad_norm"] == pytest.approx(lines[0]["grad_norm"], rel=1e-4 if exact else 0.1)
    assert not any("forward" in vars(block) for block in model.vision_model.trunk.blocks)  # as it was before


def test_a_signal_saves_and_stops(task, tmp_path):
    model, make, loss = task

    def interrupted(made):
        interrupted.calls += 1
        if interrupted.calls == 2:
            signal.raise_signal(signal.SIGTERM)
        return loss(made)

    interrupted.calls = 0
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped, match="SIGTERM after step 2, which is saved"):
        loop.fit(model, make, interrupted, loop.LoopSettings(steps=9, lr=1e-3, tensorboard=False), tmp_path, progress=False)
    assert checkpoints.newest(tmp_path).name == "00000002"
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_line_that_a_killed_run_left_half_written_is_dropped(tmp_path):
    path = tmp_path / METRICS
    path.write_text('{"step": 1, "total": 2.0}\n{"step": 2, "total": 1.0}\n{"step": 3, "to')
    trim_metrics(path, 1)
    assert path.read_text() == '{"step": 1, "total": 2.0}\n'


def test_tensorboard_gets_the_scalars(task, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed")
    model, make, loss = task
    loop.fit(model, make, loss, loop.LoopSettings(steps=1, lr=1e-3, log_every=1), tmp_path, progress=False)
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert events.Scalars("total")[0].value == pytest.approx(read_metrics(tmp_path / METRICS)[0]["total"], rel=1e-6)
