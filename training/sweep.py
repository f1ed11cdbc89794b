"""`ps3 train CONFIG.yaml --sweep SWEEP.yaml`: the same run with one choice changed at a time, and a table of what each came to.

SWEEP.yaml is a list of {name, set: {dotted key: value}, and, if wanted, from: a table of the paper}. Each runs in <run>/<name>. A run that
leaves the model and the warm start as they are begins with the warm start of the configuration itself, which is trained once. All are
measured after training on the same frames and batches for all: those that held_out_share keeps, with the configuration's own batch and
loss settings, but each run's own use of the low-res cache and of scales.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ps3_training.model import settings_of

from . import cache as frame_cache
from . import distributed
from .batch import make_batch
from .checkpoints import newest
from .errors import TrainingError
from .files import write_whole
from .pretrain import pretrain_loss
from .settings import RunSettings, change, parse_changes, read_yaml, settings_of_run
from .stages import STAGES, device_of, frame_texts, pretrain_settings, split_index
from .start import caption_vectors

OWN_START = ("vision", "warm_start", "init", "seed", "cache", "data")  # changes here need a warm start of their own
PASSES = 4  # draws of batches from the held-out frames
COLUMNS = ("match", "top1", "top_down", "bottom_up", "ranking")


def read_sweep(path: Path) -> list[dict]:
    """The entries of a sweep; TrainingError where one is not of the form above or a name is used twice."""
    entries = read_yaml(path)
    if not isinstance(entries, list) or not entries:
        raise TrainingError(f"{path} is no list of runs; write entries of name and set, as config/sweep_paper.yaml does")
    names = set()
    for entry in entries:
        if not isinstance(entry, dict) or not entry.keys() <= {"name", "set", "from"} or not isinstance(entry.get("set", {}), dict):
            raise TrainingError(f"{path} has the entry {entry!r}; give name, set (a mapping) and perhaps from")
        name = str(entry.get("name", ""))
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name) or name in {*names, *STAGES, "checkpoint"}:
            raise TrainingError(f"{path} names a run {name!r}; give each a name of its own, of letters, digits, _, . and -, and no stage's")
        names.add(name)
    return entries


def run_sweep(config: Path, changes: list[str], sweep: Path, restart: bool = False) -> Path:
    """Run every entry, or go on where it was stopped; returns <run>/sweep.md, written anew after each (and sweep.json beside it)."""
    from .train import run

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise TrainingError("a sweep runs in one process; start it without torchrun, or run its entries one by one with --set")
    raw, entries = change(read_yaml(config), parse_changes(changes)), read_sweep(sweep)
    base = settings_of_run(raw, str(config))
    planned = [(entry, settings_of_run(change(raw, entry.get("set") or {}), f"{sweep}, {entry['name']}")) for entry in entries]
    shared = base.warm_start is not None and any(not _own_start(entry) for entry, _ in planned)
    if shared:
        run(base, "warm_start", restart)
    rows: list[dict] = []
    table = Path(base.run) / "sweep.md"
    for entry, settings in planned:
        settings = replace(settings, run=str(Path(base.run) / entry["name"]))
        if shared and not _own_start(entry):
            settings = replace(settings, warm_start=None, init={"from": str(newest(Path(base.run) / "warm_start")), "kind": "ps3"})
        if distributed.is_first():
            print(f"== {entry['name']}", flush=True)
        checkpoint = run(settings, "all", restart)
        if checkpoint is not None:
            rows.append({"name": entry["name"], "from": entry.get("from", ""), "set": entry.get("set") or {}, **held_out(base, settings)})
            write_table(table, rows)
    return table


def _own_start(entry: dict) -> bool:
    return any(key.split(".")[0] in OWN_START for key in entry.get("set") or {})


@torch.no_grad()
def held_out(base: RunSettings, settings: RunSettings) -> dict[str, float]:
    """Means of the loss parts over the held-out frames (all frames where none is held out), each drawn PASSES times."""
    from ps3_training.model import PS3

    device = device_of(settings)
    model = PS3.from_pretrained(Path(settings.run) / "checkpoint").to(device)
    _, batch, loss = pretrain_settings(base)
    _, own_batch, own_loss = pretrain_settings(settings)
    batch = replace(batch, scales=own_batch.scales, colour_jitter=0.0)
    loss = replace(loss, lowres_cache=own_loss.lowres_cache)
    frames = Path(settings.cache) / "frames"
    index, kept = split_index(base, frames)
    lines, cut = kept or index, settings_of(model.config)
    sentences = caption_vectors(settings, model)
    sentences.add(frame_texts(lines, batch.captions))
    sentences.to(device)
    sums: dict[str, float] = {}
    groups = [lines[start : start + batch.frames] for start in range(0, len(lines), batch.frames)] * PASSES
    for number, group in enumerate(groups):
        loaded = [frame_cache.load_frame(frames, line) for line in group]
        made = make_batch(loaded, batch, cut, [np.random.default_rng((base.seed, 5, number, place)) for place in range(len(group))])
        for name, value in pretrain_loss(model, made.to(device), sentences, loss).items():
            sums[name] = sums.get(name, 0.0) + float(value) / len(groups)
    return {**sums, "frames": len(lines)}


def write_table(path: Path, rows: list[dict]) -> None:
    """sweep.md and sweep.json, each whole or not at all."""
    lines = [
        "| run | from | changed | " + " | ".join(COLUMNS) + " |",
        "|---" * (3 + len(COLUMNS)) + "|",
    ]
    for row in rows:
        changed = ", ".join(f"{key} = {value}" for key, value in row["set"].items()) or "nothing"
        lines.append(f"| {row['name']} | {row['from']} | {changed} | " + " | ".join(f"{row[name]:.4f}" for name in COLUMNS) + " |")
    note = f"Means over {rows[-1]['frames']:.0f} frames, {PASSES} draws each, with the configuration's own batches and weights."
    for target, text in ((path, "\n".join([*lines, "", note, ""])), (path.with_suffix(".json"), json.dumps(rows, indent=1) + "\n")):
        write_whole(target, text)
