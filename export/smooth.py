"""Smoothing before int8: a product's input has one scale, so a few channels that reach far round all the others coarsely, and values that
lie on one side of zero (GELU's) use half the levels. Each channel is moved to the middle of its range and divided by a factor; both go
into the weights and the bias behind it, which have a scale a channel. Exact in float.

The factors are SmoothQuant's (arXiv 2211.10438, equation 4, alpha = 0.5), the shifts Outlier Suppression+'s (arXiv 2304.09145, section 4).
They cost nothing behind a LayerNorm, whose own weights take them, and a multiplication and an addition elsewhere. The ranges are gathered
on whole answers, so a block that glance and look share gets one set of factors, and its bytes stay shared.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ps3_training.model.backbone import Block
from ps3_training.model.layers import Mlp
from ps3_training.model.pool import AttentionPool
from ps3_training.model.selection import ConvBlock

STRENGTH = 0.5  # 0 = all stays in the activations, 1 = all goes into the weights
Ranges = Mapping[str, tuple[Tensor, Tensor]]  # by a place's name, the least and the largest value of each input channel, float32 [C]
TINY = 1e-6  # of a channel's range and of a weight: one that is never used has some factor too
MOST = 1e2  # of a factor over the mean of all, either way


@dataclass(frozen=True)
class Place:
    """A linear layer `owner.attribute` and the LayerNorm that feeds it alone; None = another layer does."""

    name: str
    owner: nn.Module
    attribute: str
    norm: nn.LayerNorm | None

    @property
    def linear(self) -> nn.Linear:
        return getattr(self.owner, self.attribute)


class Rescale(nn.Module):
    """x [..., C] * weight + bias."""

    def __init__(self, weight: Tensor, bias: Tensor):
        super().__init__()
        self.weight, self.bias = (nn.Parameter(value, requires_grad=False) for value in (weight, bias))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight + self.bias


def find_places(vision: nn.Module) -> Iterator[Place]:
    """Of a PS3 vision model, or of what is left of one: behind LayerNorms and behind GELUs, and the first product of the selector."""
    for name, part in vision.named_modules():
        if isinstance(part, Block):
            yield Place(f"{name}.attn.qkv", part.attn, "qkv", part.norm1)
            yield Place(f"{name}.mlp.fc1", part.mlp, "fc1", part.norm2)
        elif isinstance(part, (ConvBlock, AttentionPool)):
            yield Place(f"{name}.mlp.fc1", part.mlp, "fc1", part.norm)
        elif isinstance(part, Mlp):
            yield Place(f"{name}.fc2", part, "fc2", part.norm)
            if part.norm is not None:
                yield Place(f"{name}.fc1", part, "fc1", None)
    trunk = getattr(vision, "trunk", None)
    if trunk is not None and isinstance(trunk.norm, nn.LayerNorm) and trunk.siglip_proj is None:
        yield Place("trunk.attn_pool.kv", trunk.attn_pool, "kv", trunk.norm)


@contextmanager
def watch(vision: nn.Module) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """Ranges that grow with all that runs through `vision` inside the block."""
    found: dict[str, tuple[Tensor, Tensor]] = {}

    def watcher(name: str):
        def note(module: nn.Module, inputs: tuple[Tensor]) -> None:
            rows = inputs[0].detach().reshape(-1, inputs[0].shape[-1])
            low, high = rows.amin(0), rows.amax(0)
            before = found.get(name, (low, high))
            found[name] = torch.minimum(before[0], low), torch.maximum(before[1], high)

        return note

    hooks = [place.linear.register_forward_pre_hook(watcher(place.name)) for place in find_places(vision)]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def smooth(vision: nn.Module, ranges: Ranges) -> None:
    """Shifts and divides what goes into the places of `vision`, in place. ranges: from `watch`; a place that it lacks stays as it is."""
    with torch.no_grad():
        for place in list(find_places(vision)):
            if place.name in ranges:
                _smooth(place, *ranges[place.name])


def _smooth(place: Place, low: Tensor, high: Tensor) -> None:
    linear = place.linear
    middle, reach = (high + low) / 2, (high - low) / 2
    factor = reach.clamp_min(TINY) ** STRENGTH / linear.weight.abs().amax(0).clamp_min(TINY) ** (1 - STRENGTH)
    factor = (factor / factor.log().mean().exp()).clamp(1 / MOST, MOST)
    linear.bias.add_(linear.weight @ middle)
    linear.weight.mul_(factor)
    if place.norm is not None:
        place.norm.bias.sub_(middle).div_(factor)
        place.norm.weight.div_(factor)
    else:
        setattr(place.owner, place.attribute, nn.Sequential(Rescale(1 / factor, -middle / factor), linear))
