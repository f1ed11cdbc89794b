"""AdamW and Muon as the loop uses them: which parameters decay, the learning rate of a step, and the running mean of the weights."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .loop_settings import LoopSettings
from .muon import Muon32

HIDDEN = (".blocks.", ".attn_pool.")  # in the names of matrices that Muon may take
BESIDE = "beside."  # before the names of what the loss trains beside the model


def learning_rate(step: int, settings: LoopSettings) -> float:
    """Linear warm-up, then a half cosine down to final_lr_fraction of lr at the last step."""
    if step < settings.warmup_steps:
        return settings.lr * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    return settings.lr * (settings.final_lr_fraction + (1 - settings.final_lr_fraction) * cosine)


def trained(model: nn.Module, beside: nn.Module | None = None) -> list[tuple[str, nn.Parameter]]:
    """(name, parameter) of what is not frozen, of the model and of what the loss trains beside it."""
    more = [] if beside is None else [(f"{BESIDE}{name}", parameter) for name, parameter in beside.named_parameters()]
    return [(name, parameter) for name, parameter in [*model.named_parameters(), *more] if parameter.requires_grad]


def make_optimizer(
    model: nn.Module, settings: LoopSettings, beside: nn.Module | None = None, bf16: bool = True
) -> torch.optim.Optimizer | Pair:
    """AdamW over the parameters that are not frozen; only matrices decay (no bias, norm, position, prompt, scale).

    With `optimizer: muon`, the matrices of the blocks and of the pool go by Muon instead (Jordan et al. 2024, torch's own), its step scaled
    to AdamW's size (Liu et al. 2025, arXiv 2502.16982), so that both take the same lr. bf16: whether the device multiplies bfloat16 at all
    quickly, as torch's Muon does whatever the autocast; without, in float32 (muon.py).
    """
    matrices, others, hidden = [], [], []
    for name, parameter in trained(model, beside):
        plain = parameter.ndim < 2 or "pos_emb" in name or "position" in name or name.endswith(("latent", "prior_prompt"))
        inside = settings.optimizer == "muon" and parameter.ndim == 2 and any(part in name for part in HIDDEN)
        (others if plain else hidden if inside else matrices).append(parameter)
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, lr=settings.lr, betas=(settings.beta1, settings.beta2))
    if not hidden:
        return adamw
    make = torch.optim.Muon if bf16 else Muon32
    muon = make(hidden, lr=settings.lr, weight_decay=settings.weight_decay, adjust_lr_fn="match_rms_adamw")
    return Pair(muon, adamw)


class Pair:
    """Two optimizers of different parameters that step as one, as far as the loop and its checkpoints use them."""

    def __init__(self, first: torch.optim.Optimizer, second: torch.optim.Optimizer):
        self.parts = (first, second)
        self.param_groups = [*first.param_groups, *second.param_groups]
        self.state = second.state = first.state  # by parameter, of which they share none

    def zero_grad(self, set_to_none: bool = True) -> None:
        for part in self.parts:
            part.zero_grad(set_to_none)

    def step(self) -> None:
        for part in self.parts:
            part.step()


class Ema:
    """An exponential moving average of the trained weights, float32; young runs forget faster (decay at most (1 + n) / (10 + n))."""

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.weights = {name: p.detach().clone() for name, p in trained(model)}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """After the optimizer's step number `step`, from 1."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for name, parameter in model.named_parameters():
            if name in self.weights:
                self.weights[name].lerp_(parameter.detach(), share)

    def load(self, weights: dict[str, Tensor]) -> None:
        for name, value in weights.items():
            self.weights[name].copy_(value)
