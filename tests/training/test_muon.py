"""Muon in float32: torch's own update but for the rounding, the same state, and the choice between the two."""

import copy

import pytest
import torch

from ps3_training import loop, optimizer, precision
from ps3_training.muon import Muon32, orthogonal

SHAPES = ((24, 40), (40, 24), (32, 32))


def stepped(make, steps=4):
    torch.manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(shape)) for shape in SHAPES]
    made = make(parameters, lr=0.1, weight_decay=0.2, adjust_lr_fn="match_rms_adamw")
    for _ in range(steps):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape)
        made.step()
    return parameters, made


def test_it_moves_weights_as_torch_s_own_does_but_for_bfloat16_s_rounding():
    (ours, _), (theirs, _), (start, _) = stepped(Muon32), stepped(torch.optim.Muon), stepped(Muon32, steps=0)
    for one, other, before in zip(ours, theirs, start, strict=True):
        assert (one - other).norm() < 0.02 * (other - before).norm()


def test_its_state_is_torch_s_own_so_that_a_run_goes_on_where_the_machine_is_another():
    (_, ours), (_, theirs) = stepped(Muon32), stepped(torch.optim.Muon)
    ours.load_state_dict(copy.deepcopy(theirs.state_dict()))
    for one, other in zip(ours.state.values(), theirs.state.values(), strict=True):
        assert one.keys() == other.keys() and torch.equal(one["momentum_buffer"], other["momentum_buffer"])


@pytest.mark.parametrize("shape", SHAPES[:2])
def test_what_it_adds_is_near_orthogonal(shape):
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape), (3.4445, -4.7750, 2.0315), 5, 1e-7))
    assert 0.3 < values.min() and values.max() < 1.3


def test_a_parameter_without_a_gradient_stays_and_a_closure_is_refused():
    parameter = torch.nn.Parameter(torch.ones(4, 4))
    made = Muon32([parameter], lr=0.1, weight_decay=0.5)
    made.step()
    assert torch.equal(parameter, torch.ones(4, 4)) and not made.state
    with pytest.raises(ValueError, match="closure"):
        made.step(lambda: None)


@pytest.mark.parametrize(("has", "kind"), [(True, torch.optim.Muon), (False, Muon32)])
def test_a_run_takes_it_where_bfloat16_is_emulated(tiny_model, tmp_path, monkeypatch, has, kind):
    monkeypatch.setattr(precision, "supported", lambda device, autocast: has)
    made = []
    make = optimizer.make_optimizer

    def noted(*given):
        made.append(make(*given))
        return made[-1]

    monkeypatch.setattr(loop, "make_optimizer", noted)
    settings = loop.LoopSettings(steps=1, lr=1e-3, optimizer="muon", log_every=1)
    weight = tiny_model.vision_model.trunk.blocks[0].attn.qkv.weight
    before = weight.detach().clone()
    loop.fit(tiny_model, lambda step: step, lambda batch: {"total": weight.square().sum()}, settings, tmp_path, progress=False)
    assert type(made[0].parts[0]) is kind and not torch.equal(weight, before)
