"""The loop that both training stages share: AdamW or Muon with warm-up and cosine, autocast, accumulation, several ranks, a stop on NaN
or on a signal, metrics, atomic checkpoints and exact resume.

A stage gives two functions: `make_batch(number)`, which must depend on nothing but the number (so that a resumed run sees what an
uninterrupted one would have seen), and `loss(batch)`, a dict of named scalars of which `total` is minimised; with several ranks each
gives its share of them (distributed.py).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from . import distributed, precision
from .checkpoints import Progress, load_state, newest, save_step
from .errors import Stopped, TrainingError
from .loop_settings import LoopSettings
from .memory import checkpointed_blocks
from .metrics import Metrics, draw_curve
from .optimizer import Ema, learning_rate, make_optimizer
from .stopping import StopSignals

CURVE_SECONDS = 60  # between drawings of the curve: each takes about as long as a small model's step
MAX_SKIPPED = 50  # steps in a row whose fp16 gradients overflow
Draw = Callable[[int, Metrics], None]


def batches(make_batch: Callable[[int], Any], first: int, last: int, workers: int = 1) -> Iterator[Any]:
    """make_batch(first .. last - 1) in order, made ahead in threads while the model works; an error surfaces at its own step."""
    with ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(make_batch, number) for number in range(first, min(first + workers + 1, last))]
        try:
            for number in range(first, last):
                batch = waiting.pop(0).result()
                if number + workers + 1 < last:
                    waiting.append(pool.submit(make_batch, number + workers + 1))
                yield batch
        finally:
            for future in waiting:
                future.cancel()


def fit(
    model: Any,
    make_batch: Callable[[int], Any],
    loss: Callable[[Any], dict[str, Tensor]],
    settings: LoopSettings,
    folder: Path,
    resume: bool = False,
    stop_after: int | None = None,
    progress: bool = True,
    device: torch.device | None = None,
    work: Callable[[Any], dict[str, int]] | None = None,
    draw: Draw | None = None,
    source: Any = None,
    beside: torch.nn.Module | None = None,
) -> int:
    """Run the loop until settings.steps (or `stop_after` steps in all); returns the number of steps done.

    With resume, the newest checkpoint of `folder` must have been loaded into `model` by the caller (see checkpoints.newest); all else comes
    from it here. work(batch): {"frames": n, "tokens": n} for the throughput. draw(step, metrics): called every pictures_every steps.
    source: what make_batch reads where its batches do not follow from their numbers alone: `restore(positions)` is called before the first
    batch, and each batch has a `position` (streaming.Stream).
    beside: what the loss trains beside the model; it is in the run's checkpoints and in no model.
    Raises TrainingError naming the step when the loss or the gradient is not finite; the last checkpoint is then as it was. Raises Stopped
    after a signal, with everything saved.
    """
    device = device or torch.device("cpu")
    optimizer = make_optimizer(model, settings, beside, precision.everywhere(device, "bf16"))
    ema = Ema(model, settings.ema) if settings.ema else None
    autocast = precision.agreed(device, settings.autocast)
    scaler = torch.amp.GradScaler(device.type, enabled=autocast == "fp16")
    done = Progress()
    if resume and newest(folder):
        done = load_state(model, optimizer, newest(folder), ema, beside)
        if done.scaler and autocast == "fp16":
            scaler.load_state_dict(done.scaler)
        if source is not None:
            source.restore(done.position)
    last = settings.steps if stop_after is None else min(stop_after, settings.steps)
    first_rank = distributed.is_first()
    metrics = Metrics(folder, done.step, settings.tensorboard) if first_rank else None
    module = distributed.wrap(distributed.Objective(model, loss, beside), device)
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    stream = batches(make_batch, done.step * settings.accumulate, last * settings.accumulate, max(1, settings.workers))
    meter, skipped = Meter(), 0
    saved_at = drawn_at = time.monotonic()
    model.train()

    def save() -> None:
        nonlocal drawn_at
        if source is not None:
            done.position = distributed.gather_json(batch.position)
        if first_rank:
            done.scaler = scaler.state_dict()
            save_step(model, optimizer, done, folder, ema, settings.keep, beside)
            if done.step == last or time.monotonic() - drawn_at > CURVE_SECONDS:
                draw_curve(folder)
                drawn_at = time.monotonic()

    bar = tqdm(total=last, initial=done.step, disable=not (progress and first_rank), unit="step", mininterval=5)
    with ExitStack() as stack:
        stack.callback(bar.close)
        stack.callback(lambda: metrics.close() if metrics else None)
        stack.callback(stream.close)
        signals = stack.enter_context(StopSignals())
        if settings.grad_checkpointing:
            stack.enter_context(checkpointed_blocks(model))
        while done.step < last:
            rate = learning_rate(done.step, settings)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
            parts: dict[str, Tensor] = {}
            for micro in range(settings.accumulate):
                batch = next(stream)
                alone = micro + 1 < settings.accumulate and distributed.size() > 1
                with module.no_sync() if alone else nullcontext(), precision.computing(device, autocast):
                    found = module(lambda batch=batch: batch)
                    # DDP gives the mean of the ranks' gradients; the loss is the sum of their shares.
                    scaler.scale(found["total"] * (distributed.size() / settings.accumulate)).backward()
                for name, value in found.items():
                    parts[name] = parts.get(name, 0.0) + value.detach() / settings.accumulate
                meter.count(work(batch) if work else {})
            scaler.unscale_(optimizer)
            norm = torch.nn.utils.clip_grad_norm_(trained, settings.clip)
            finite = bool(torch.isfinite(norm))
            skipped = 0 if finite or not scaler.is_enabled() else skipped + 1
            if not torch.isfinite(parts["total"]) or (not finite and not scaler.is_enabled()) or skipped > MAX_SKIPPED:
                raise TrainingError(_not_finite(done.step, parts, norm))
            scaler.step(optimizer)
            scaler.update()
            done.step += 1
            if ema is not None:
                ema.update(model, done.step)
            meter.add(parts, norm if finite else None)
            bar.update()
            if done.step % settings.log_every == 0 or done.step == last:
                line = meter.line(done.step, rate)
                if metrics is not None:
                    metrics.add(line)
                rates = {name.replace("_a_second", "/s"): f"{line[name]:.4g}" for name in line if name.endswith("_a_second")}
                bar.set_postfix(loss=f"{line['total']:.3f}", **rates)
            if draw is not None and settings.pictures_every and done.step % settings.pictures_every == 0 and metrics is not None:
                draw(done.step, metrics)
                model.train()
            late = first_rank and time.monotonic() - saved_at > settings.save_minutes * 60
            stop, late = distributed.any_rank(signals.name is not None, late)
            due = settings.save_every and done.step % settings.save_every == 0
            if done.step == last or due or stop or late:
                save()
                saved_at = time.monotonic()
            if stop and done.step < last:
                raise Stopped(
                    f"stopped by {signals.name or 'a signal'} after step {done.step}, which is saved in {folder}; the same command goes on"
                )
    return done.step


def _not_finite(step: int, parts: dict[str, Tensor], norm: Tensor) -> str:
    values = ", ".join(f"{name} {float(value):.4g}" for name, value in parts.items())
    return f"step {step} has {values} and a gradient norm of {float(norm):.4g}; go on from the last checkpoint with a lower lr"


class Meter:
    """Means of the loss parts and the throughput since the last line of the log."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.norms: list[Tensor] = []
        self.steps, self.done, self.since = 0, {}, time.monotonic()

    def count(self, work: dict[str, int]) -> None:
        for name, number in work.items():
            self.done[name] = self.done.get(name, 0) + number

    def add(self, parts: dict[str, Tensor], norm: Tensor | None) -> None:
        for name, value in parts.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        if norm is not None:
            self.norms.append(norm.detach())
        self.steps += 1

    def line(self, step: int, rate: float) -> dict[str, float]:
        """Over all ranks, which must call it together; starts anew."""
        summed = distributed.total(torch.stack([value.float() for value in self.sums.values()])) / self.steps
        seconds = max(time.monotonic() - self.since, 1e-9)
        norm = float(torch.stack(self.norms).mean()) if self.norms else math.inf
        line = {
            "step": step,
            "lr": rate,
            "seconds_a_step": seconds / self.steps,
            **{f"{name}_a_second": number * distributed.size() / seconds for name, number in self.done.items()},
            **dict(zip(self.sums, summed.tolist(), strict=True)),
            "grad_norm": norm,
        }
        self._reset()
        return line
