"""A few steps on one batch: what a loss was, and what it is after them."""

import torch


def learn(model, parts_of, steps):
    """AdamW on parts_of()["total"]; returns (first parts, last parts), each {name: float}."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3)
    seen = []
    for _ in range(steps):
        parts = parts_of()
        seen.append({name: float(value.detach()) for name, value in parts.items()})
        optimizer.zero_grad()
        parts["total"].backward()
        optimizer.step()
    return seen[0], seen[-1]
