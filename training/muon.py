"""Muon in float32, for CPUs on which torch's own, whose products are always bfloat16, takes many times as long as the step it ends."""

from __future__ import annotations

import torch
from torch import Tensor


class Muon32(torch.optim.Muon):
    """torch.optim.Muon with the products of Newton and Schulz's iteration in float32; the same settings, state and update otherwise."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step of every parameter that has a gradient (Jordan et al. 2024); the step's size is matched to AdamW's (Liu et al. 2025,
        arXiv 2502.16982). Raises ValueError for a closure.
        """
        if closure is not None:
            raise ValueError("Muon32 takes no closure")
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(parameter.grad)
                momentum = state["momentum_buffer"]
                momentum.lerp_(parameter.grad, 1 - group["momentum"])
                update = parameter.grad.lerp(momentum, group["momentum"]) if group["nesterov"] else momentum
                update = orthogonal(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
                size = 0.2 * max(parameter.shape) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * size)


def orthogonal(matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """float32 [m, n] -> about the nearest matrix with orthonormal rows or columns, singular values of 0.5 to 1.5, [m, n]."""
    a, b, c = coefficients
    found = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    found = found / found.norm().clamp(min=eps)
    for _ in range(steps):
        gram = found @ found.T
        found = torch.addmm(found, torch.addmm(gram, gram, gram, beta=b, alpha=c), found, beta=a)
    return found.T if matrix.shape[0] > matrix.shape[1] else found
