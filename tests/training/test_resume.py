"""A run killed with SIGKILL at a random step and started again ends in the weights of one that was never stopped, to the last bit."""

import random
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from ps3_training import checkpoints, train
from ps3_training.settings import read_settings

from . import tiny_run

STEPS = 16
PATIENCE = 600  # s, of a machine that does other work; alone the whole test takes ten seconds


@pytest.mark.timeout(2 * PATIENCE)
def test_a_killed_run_ends_in_the_same_weights(tmp_path):
    config = tiny_run.write(tmp_path, steps=STEPS, save_every=1, ema=0.9, workers=2, optimizer="muon")
    train.run(read_settings(config, [f"run={tmp_path / 'whole'}"]))

    command = [sys.executable, "-m", "ps3_training.train", str(config), "--set", f"run={tmp_path / 'killed'}"]
    at, folder = random.randrange(1, STEPS // 2), tmp_path / "killed" / "pretrain"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        found = checkpoints.newest(folder)
        if found is not None and int(found.name) >= at:
            time.sleep(random.random() * 0.05)  # somewhere in a step or a save
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()
    done = int(checkpoints.newest(folder).name)
    assert at <= done < STEPS

    train.run(read_settings(config, [f"run={tmp_path / 'killed'}"]))
    for name in (f"pretrain/steps/{STEPS:08d}/model.safetensors", "checkpoint/model.safetensors"):
        whole, killed = (load_file(tmp_path / run / name) for run in ("whole", "killed"))
        assert all(torch.equal(whole[key], killed[key]) for key in whole), f"killed at {done}: {name}"
    assert not list(folder.rglob("*.part"))
