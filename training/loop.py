"""The loop that both training stages share: AdamW with warm-up and cosine, a stop on NaN, metrics, atomic checkpoints and exact resume.

A stage gives two functions: `make_batch(step)`, which must depend on nothing but the step (so that a resumed run sees what an
uninterrupted one would have seen), and `loss(batch)`, a dict of named scalars of which `total` is minimised.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tqdm import tqdm

from ps3_ros.errors import CheckpointError, Ps3Error

from .attention import written_out

METRICS = "metrics.jsonl"
STEPS = "steps"  # folder of checkpoints, one folder a saved step


class TrainingError(Ps3Error):
    """Training cannot start or go on: settings, data, or a loss that is not a number."""


@dataclass(frozen=True)
class LoopSettings:
    """How long and how fast; each value is one key of a stage's YAML section."""

    steps: int
    lr: float
    warmup_steps: int = 100
    final_lr_fraction: float = 0.05  # of lr, where the cosine ends
    weight_decay: float = 0.05
    beta1: float = 0.9
    beta2: float = 0.95
    clip: float = 1.0  # gradient norm
    autocast: str = "none"  # none, or bf16 for the matrix products (weights stay float32)
    save_minutes: float = 5.0
    log_every: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.warmup_steps < 0 or self.log_every < 1:
            raise TrainingError(
                f"steps, warmup_steps and log_every are {self.steps}, {self.warmup_steps} and {self.log_every}; give 1, 0 and 1 or more"
            )
        if not self.lr > 0 or not self.clip > 0:
            raise TrainingError(f"lr and clip are {self.lr} and {self.clip}; give positive numbers")
        if self.autocast not in ("none", "bf16"):
            raise TrainingError(f"autocast is {self.autocast!r}; give none or bf16")


def learning_rate(step: int, settings: LoopSettings) -> float:
    """Linear warm-up, then a half cosine down to final_lr_fraction of lr at the last step."""
    if step < settings.warmup_steps:
        return settings.lr * (step + 1) / settings.warmup_steps
    done = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    cosine = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    return settings.lr * (settings.final_lr_fraction + (1 - settings.final_lr_fraction) * cosine)


def make_optimizer(model: torch.nn.Module, settings: LoopSettings) -> torch.optim.AdamW:
    """AdamW over the parameters that are not frozen; only matrices decay (no bias, norm, position, prompt, scale)."""
    matrices, others = [], []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            plain = parameter.ndim < 2 or "pos_emb" in name or "position" in name or name.endswith(("latent", "prior_prompt"))
            (others if plain else matrices).append(parameter)
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.lr, betas=(settings.beta1, settings.beta2))


def save_step(model: Any, optimizer: torch.optim.Optimizer, step: int, folder: Path) -> Path:
    """Write folder/steps/<step>: the model as `save_pretrained` has it and optimizer.safetensors; the two newest are kept.

    The folder is written under another name and renamed when complete, so a reader never meets half of one. `step` = steps done so far.
    """
    target = folder / STEPS / f"{step:08d}"
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    model.save_pretrained(part)
    tensors = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{key}:{name}"] = value.detach().clone().contiguous()
    save_file(tensors, part / "optimizer.safetensors", metadata={"step": str(step)})
    shutil.rmtree(target, ignore_errors=True)
    os.replace(part, target)
    for old in saved_steps(folder)[:-2]:
        shutil.rmtree(old)
    return target


def saved_steps(folder: Path) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    steps = folder / STEPS
    return sorted(path for path in steps.iterdir() if path.is_dir() and path.name.isdigit()) if steps.is_dir() else []


def load_optimizer(model: torch.nn.Module, optimizer: torch.optim.Optimizer, path: Path) -> int:
    """Fill the optimizer from optimizer.safetensors; returns the step. CheckpointError where its tensors are not this model's."""
    parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    with safe_open(path, "pt") as file:
        step = int(file.metadata()["step"])
        for key in file.keys():
            kind, _, name = key.partition(":")
            value = file.get_tensor(key)
            if name not in parameters or (kind != "step" and value.shape != parameters[name].shape):
                raise CheckpointError(
                    f"{path} holds {key} of shape {tuple(value.shape)}, which this model does not train; resume with "
                    "the settings it was made with"
                )
            optimizer.state[parameters[name]][kind] = value
    return step


def batches(make_batch: Callable[[int], Any], first: int, last: int, workers: int = 1) -> Iterator[Any]:
    """make_batch(first .. last - 1) in order, made ahead in threads while the model works; an error surfaces at its own step."""
    with ThreadPoolExecutor(workers) as pool:
        waiting = []
        for step in range(first, min(first + workers + 1, last)):
            waiting.append(pool.submit(make_batch, step))
        for step in range(first, last):
            batch = waiting.pop(0).result()
            if step + workers + 1 < last:
                waiting.append(pool.submit(make_batch, step + workers + 1))
            yield batch


def fit(
    model: Any,
    make_batch: Callable[[int], Any],
    loss: Callable[[Any], dict[str, torch.Tensor]],
    settings: LoopSettings,
    folder: Path,
    resume: bool = False,
    stop_after: int | None = None,
    progress: bool = True,
) -> int:
    """Run the loop until settings.steps (or `stop_after` steps in all); returns the number of steps done.

    With resume, the newest checkpoint of `folder` must have been loaded into `model` by the caller (see `resume_folder`); the optimizer
    and the step come from it. Raises TrainingError naming the step when the loss or the gradient is not finite; the last checkpoint is
    then as it was.
    """
    folder.mkdir(parents=True, exist_ok=True)
    optimizer = make_optimizer(model, settings)
    step = 0
    if resume and saved_steps(folder):
        step = load_optimizer(model, optimizer, saved_steps(folder)[-1] / "optimizer.safetensors")
        trim_metrics(folder / METRICS, step)
    elif (folder / METRICS).exists():
        (folder / METRICS).unlink()
    last = settings.steps if stop_after is None else min(stop_after, settings.steps)
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    sums: dict[str, float] = {}
    counted, saved_at, logged_at = 0, time.monotonic(), time.monotonic()
    model.train()
    bar = tqdm(total=last, initial=step, disable=not progress, unit="step", mininterval=5)
    for batch in batches(make_batch, step, last):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, settings)
        with written_out(), torch.autocast("cpu", torch.bfloat16, enabled=settings.autocast == "bf16"):
            parts = loss(batch)
        optimizer.zero_grad(set_to_none=True)
        parts["total"].backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, settings.clip)
        if not (torch.isfinite(parts["total"]) and torch.isfinite(norm)):
            values = ", ".join(f"{name} {float(value.detach()):.4g}" for name, value in parts.items())
            raise TrainingError(
                f"step {step} has {values} and a gradient norm of {float(norm):.4g}; go on from the last checkpoint with a lower lr"
            )
        optimizer.step()
        step += 1
        for name, value in {**parts, "grad_norm": norm}.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        counted += 1
        bar.update()
        if step % settings.log_every == 0 or step == last:
            now = time.monotonic()
            line = {
                "step": step,
                "lr": learning_rate(step - 1, settings),
                "seconds_a_step": (now - logged_at) / counted,
                **{name: value / counted for name, value in sums.items()},
            }
            with (folder / METRICS).open("a") as file:
                file.write(json.dumps(line) + "\n")
            bar.set_postfix(loss=f"{line['total']:.3f}")
            sums, counted, logged_at = {}, 0, now
        if step == last or time.monotonic() - saved_at > settings.save_minutes * 60:
            save_step(model, optimizer, step, folder)
            draw_curve(folder)
            saved_at = time.monotonic()
    bar.close()
    return step


def resume_folder(folder: Path) -> Path | None:
    """The newest checkpoint to load a model from, or None where the run has none yet."""
    found = saved_steps(folder)
    return found[-1] if found else None


def trim_metrics(path: Path, step: int) -> None:
    """Drop the lines after `step`, which a resumed run will write again."""
    if path.exists():
        lines = [line for line in path.read_text().splitlines() if json.loads(line)["step"] <= step]
        path.write_text("".join(line + "\n" for line in lines))


def draw_curve(folder: Path) -> None:
    """metrics.jsonl -> loss.png, one panel a loss part."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    lines = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()] if (folder / METRICS).exists() else []
    if not lines:
        return
    names = [name for name in lines[-1] if name not in ("step", "lr", "seconds_a_step")]
    figure, panels = plt.subplots(1, len(names), figsize=(3.2 * len(names), 2.6), squeeze=False)
    for panel, name in zip(panels[0], names, strict=True):
        points = [(line["step"], line[name]) for line in lines if name in line]
        panel.plot(*zip(*points, strict=True), linewidth=1)
        panel.set_title(name, fontsize=9)
        panel.tick_params(labelsize=7)
    figure.tight_layout()
    figure.savefig(folder / "loss.part.png", dpi=90)
    plt.close(figure)
    os.replace(folder / "loss.part.png", folder / "loss.png")
