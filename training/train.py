"""`ps3 train CONFIG.yaml`: from objects and frames, or from a checkpoint and your own pictures, to a checkpoint.

Stages: `cache` (frames decoded once), `warm_start` (crops and mosaics of the catalogue's objects), `pretrain` (4K frames, and with `replay`
some crops and mosaics in each step). Each stage's checkpoints, metrics and pictures are in <run>/<stage>/; a stage starts from the newest
checkpoint of the one before, and the same command goes on where a run was stopped. Several processes: `torchrun --nproc-per-node N -m
ps3_training.train CONFIG.yaml`. docs/training.md has every setting.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import torch

from ps3_ros.exits import STOPPED, exit_code

from . import distributed
from .errors import Stopped, TrainingError
from .settings import RunSettings, read_settings
from .stages import STAGES, cache, device_of, finish, is_streamed, pretrain, warm_start


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when done, 2 for settings or data that cannot be used, 130 when a signal stopped the run and it was saved."""
    parser = argparse.ArgumentParser(prog="ps3 train", description=__doc__.split("\n\n")[0])
    parser.add_argument("config", type=Path, help="YAML file, such as config/train_nano.yaml")
    parser.add_argument("--stage", choices=(*STAGES, "all"), default="all")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting, e.g. pretrain.loop.lr=1e-4")
    parser.add_argument("--sweep", type=Path, metavar="SWEEP.yaml", help="run the configuration with each of a list of changes")
    parser.add_argument("--restart", action="store_true", help="begin the stages anew instead of going on where they were stopped")
    parser.add_argument("--resume", action="store_true", help="what happens anyway; accepted for older scripts")
    options = parser.parse_args(arguments)
    return exit_code("ps3 train", lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    if options.sweep:
        from .sweep import run_sweep

        return _guarded(lambda: run_sweep(options.config, options.set, options.sweep, options.restart))
    settings = read_settings(options.config, options.set)
    return _guarded(lambda: run(settings, options.stage, options.restart))


def _guarded(action) -> int:
    try:
        action()
    except Stopped as stopped:
        if distributed.is_first():
            print(f"ps3 train: {stopped}", file=sys.stderr)
        return STOPPED
    finally:
        distributed.finish()
    return 0


def run(settings: RunSettings, stage: str = "all", restart: bool = False) -> Path | None:
    """Run the stages that the settings have; returns the final checkpoint's folder, or None where `stage` does not make one."""
    torch.set_num_threads(settings.threads)
    device = distributed.start(device_of(settings))
    stages = [one for one in STAGES if stage in (one, "all") and (one != "warm_start" or settings.warm_start is not None)]
    needless = {"cache", "pretrain"} if not settings.pretrain else {"cache"} if is_streamed(settings) else set()
    stages = [one for one in stages if one not in needless]
    if not stages:
        raise TrainingError(f"there is no section {stage} in the settings; add it or run another stage")
    for one in stages:
        if restart and one != "cache" and distributed.is_first():
            shutil.rmtree(Path(settings.run) / one, ignore_errors=True)
        if restart and distributed.size() > 1:
            torch.distributed.barrier()
        done = {
            "warm_start": lambda: warm_start(settings, True, device),
            "cache": lambda: cache(settings, device),
            "pretrain": lambda: pretrain(settings, True, device),
        }[one]()
        if distributed.is_first():
            print(f"{one}: {done} {'frames' if one == 'cache' else 'steps'} done", flush=True)
    if "pretrain" not in stages and stage != "all":
        return None
    checkpoint = finish(settings) if distributed.is_first() else None
    if checkpoint:
        print(f"checkpoint: {checkpoint}", flush=True)
    return checkpoint


if __name__ == "__main__":
    sys.exit(main())
