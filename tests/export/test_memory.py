"""What an export takes of a machine's memory: less than twice the weights, however many graphs they make."""

import copy
import subprocess
import sys
from dataclasses import replace

from ps3_export.random_checkpoint import CONFIGS, write_random_checkpoint
from ps3_training.model import BACKBONES

# In a process of its own, whose peak getrusage would not tell: it begins with that of the process that started it.
CHILD = """
import sys
from dataclasses import replace
from pathlib import Path
from ps3_export.export import export_checkpoint
from ps3_training.model import BACKBONES
BACKBONES["test_vit"] = replace(BACKBONES["test_vit"], depth=1)
def peak():
    return next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = peak()
export_checkpoint(Path(sys.argv[1]), Path(sys.argv[2]), precision="fp16", frames=[Path(sys.argv[3])], views=1)
print(peak() - before)
"""
BESIDE = 160 << 20  # what torch's exporter and the runtimes take for themselves, whatever the model


def test_an_export_stays_under_twice_the_weights(tmp_path, frame_file, monkeypatch):
    monkeypatch.setitem(BACKBONES, "test_vit", replace(BACKBONES["test_vit"], depth=1))  # layers cost time, and no memory
    config = copy.deepcopy(CONFIGS["tiny"])
    config["vision_config"].update(select_based_on_layer=[0])
    config["text_config"].update(width=1024, heads=8, layers=1, mlp_ratio=28.0)
    checkpoint = write_random_checkpoint(config, tmp_path / "wide")
    weights = (checkpoint / "model.safetensors").stat().st_size
    command = [sys.executable, "-c", CHILD, checkpoint, tmp_path / "bundle", frame_file]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert weights > BESIDE  # so that the limit says something of them
    assert weights / 2 < int(done.stdout) < 2 * weights + BESIDE
