"""A run's checkpoints: written whole or not at all, the newest kept, and all that an exact resume needs.

<stage>/steps/00001200/   config.json, model.safetensors     the model as PS3.from_pretrained reads it
                          optimizer.safetensors              the optimizer's moments, the weights' running mean, random state; the step
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ps3_ros.errors import CheckpointError

from .optimizer import BESIDE, Ema, trained

STEPS = "steps"
STATE = "optimizer.safetensors"
RANDOM = "random"  # not moments of a parameter: torch's random state
WEIGHT = "weight"  # nor this: the tensors of what the loss trains beside the model, which are in no model.safetensors


@dataclass
class Progress:
    """What a run knows besides its tensors; JSON in the checkpoint."""

    step: int = 0  # steps done
    scaler: dict = field(default_factory=dict)  # fp16's loss scale
    position: list = field(default_factory=list)  # of each rank's stream of samples; batches from a cache follow from the step alone


def save_step(
    model: Any,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    folder: Path,
    ema: Ema | None = None,
    keep: int = 2,
    beside: torch.nn.Module | None = None,
) -> Path:
    """Write folder/steps/<step>; the `keep` newest stay. beside: what the loss trains beside the model.

    The folder is written under another name and renamed when complete, so a reader never meets half of one.
    """
    target = folder / STEPS / f"{progress.step:08d}"
    part = target.with_name(target.name + ".part")
    for left in (folder / STEPS).glob("*.part"):  # of a run that was killed while it saved
        shutil.rmtree(left, ignore_errors=True)
    part.mkdir(parents=True)
    model.save_pretrained(part)
    tensors = {f"{RANDOM}:cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        tensors[f"{RANDOM}:cuda"] = torch.cuda.get_rng_state()
    for name, parameter in trained(model, beside):
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{key}:{name}"] = value
    if beside is not None:
        tensors.update((f"{WEIGHT}:{BESIDE}{name}", value) for name, value in beside.state_dict().items())
    if ema is not None:
        tensors.update((f"ema:{name}", value) for name, value in ema.weights.items())
    tensors = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    state = {"step": str(progress.step), "scaler": json.dumps(progress.scaler), "position": json.dumps(progress.position)}
    save_file(tensors, part / STATE, metadata=state)
    shutil.rmtree(target, ignore_errors=True)
    os.replace(part, target)
    for old in saved_steps(folder)[:-keep]:
        shutil.rmtree(old)
    return target


def saved_steps(folder: Path) -> list[Path]:
    """Complete checkpoints of a run, oldest first."""
    steps = folder / STEPS
    return sorted(path for path in steps.iterdir() if path.is_dir() and path.name.isdigit()) if steps.is_dir() else []


def newest(folder: Path) -> Path | None:
    """The newest checkpoint to load a model from, or None where the run has none yet."""
    found = saved_steps(folder)
    return found[-1] if found else None


def load_state(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    checkpoint: Path,
    ema: Ema | None = None,
    beside: torch.nn.Module | None = None,
) -> Progress:
    """Fill the optimizer, the running mean, what is trained beside the model and the random state from a checkpoint.

    CheckpointError where its tensors are not this model's.
    """
    parameters = dict(trained(model, beside))
    load_beside(beside, checkpoint)
    means = {}
    with _open(checkpoint / STATE) as file:
        metadata = file.metadata()
        progress = Progress(*(json.loads(metadata.get(key, empty)) for key, empty in (("step", "0"), ("scaler", "{}"), ("position", "[]"))))
        for key in file.keys():
            kind, _, name = key.partition(":")
            value = file.get_tensor(key).clone()  # a tensor mapped from the file is not aligned as one made here
            if kind == RANDOM:
                _set_random(name, value)
            if kind in (RANDOM, WEIGHT):
                continue
            if name not in parameters or (kind != "step" and value.shape != parameters[name].shape):
                raise CheckpointError(
                    f"{checkpoint / STATE} holds {key} of shape {tuple(value.shape)}, which this model does not train; resume with "
                    "the settings it was made with, or begin anew with --restart"
                )
            if kind == "ema":
                means[name] = value
            else:
                optimizer.state[parameters[name]][kind] = value if kind == "step" else value.to(parameters[name].device)
    if ema is not None:
        ema.load(means)
    return progress


def load_beside(beside: torch.nn.Module | None, checkpoint: Path) -> bool:
    """Fill what the loss trains beside the model from a checkpoint; False where that has none. CheckpointError where it is another's."""
    if beside is None:
        return False
    with _open(checkpoint / STATE) as file:
        start = f"{WEIGHT}:{BESIDE}"
        tensors = {key.removeprefix(start): file.get_tensor(key).clone() for key in file.keys() if key.startswith(start)}
    if not tensors:
        return False
    try:
        beside.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(
            f"{checkpoint / STATE} holds another run's teacher's head ({error}); resume with the settings it was made with, or begin anew "
            "with --restart"
        ) from error
    return True


def averaged(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The weights' running means in a checkpoint; empty where the run kept none."""
    with _open(checkpoint / STATE) as file:
        return {key.removeprefix("ema:"): file.get_tensor(key) for key in file.keys() if key.startswith("ema:")}


def _set_random(name: str, state: torch.Tensor) -> None:
    if name == "cpu":
        torch.set_rng_state(state)
    elif torch.cuda.is_available():
        torch.cuda.set_rng_state(state)


def _open(path: Path):
    try:
        return safe_open(path, "pt")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a whole safetensors file ({error}); remove its folder, and the run goes on from the one before"
        ) from error
