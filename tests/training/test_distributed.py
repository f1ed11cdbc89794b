"""Two gloo processes on a CPU give the loss, the gradients and the steps of one process with the same global batch."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ps3_training import cache, distributed
from ps3_training.model import settings_of

from . import two_ranks
from .conftest import sample

WORKER = Path(two_ranks.__file__)


def start(folder, out, frames, ranks):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    out.mkdir()
    common = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(ranks)}
    command = [sys.executable, str(WORKER), str(folder), str(out), str(frames)]
    return [
        subprocess.Popen(command, env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)}, stderr=subprocess.PIPE)
        for rank in range(ranks)
    ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """{ranks: folder of results}: one process with four frames a step, and two with two each."""
    folder = tmp_path_factory.mktemp("ranks")
    settings = settings_of(two_ranks.build().config)
    cache.build_cache([sample(i) for i in range(8)], folder / "cache", settings, processes=1)
    workers = start(folder / "cache", folder / "2", frames=2, ranks=2)
    (folder / "1").mkdir()
    two_ranks.main(folder / "cache", folder / "1", 4)
    for worker in workers:
        _, errors = worker.communicate(timeout=240)
        assert worker.returncode == 0, errors.decode()[-2000:]
    return {ranks: folder / str(ranks) for ranks in (1, 2)}


def test_the_loss_is_that_of_the_global_batch(runs):
    one, two = (json.loads((folder / "loss.json").read_text()) for folder in runs.values())
    assert one.keys() == two.keys() and one["ranking"] > 0
    for name, value in one.items():
        assert two[name] == pytest.approx(value, abs=1e-5, rel=1e-5), name


def test_the_gradients_are_those_of_the_global_batch(runs):
    one, two = (load_file(folder / "gradients.safetensors") for folder in runs.values())
    assert one.keys() == two.keys()
    assert max(float(value.abs().max()) for value in one.values()) > 1e-3
    for name, value in one.items():
        assert torch.allclose(two[name], value, atol=1e-5, rtol=1e-4), name


def test_the_loop_logs_the_same_steps_once(runs):
    one, two = ([json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()] for folder in runs.values())
    assert [line["step"] for line in one] == [line["step"] for line in two] == [1, 2]
    for first, second in zip(one, two, strict=True):
        assert second["total"] == pytest.approx(first["total"], rel=1e-3)
        assert second["grad_norm"] == pytest.approx(first["grad_norm"], rel=1e-3)
    assert (runs[2] / "run" / "steps" / "00000002" / "optimizer.safetensors").exists()


def test_without_other_ranks_nothing_is_gathered():
    rows = torch.randn(3, 2, requires_grad=True)
    assert distributed.gather(rows) is rows
    assert (distributed.rank(), distributed.size(), distributed.offset(5, rows.device)) == (0, 1, 0)
    assert distributed.any_rank(True, False) == [True, False] and distributed.gather_json({"a": 1}) == [{"a": 1}]
