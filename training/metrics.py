"""What a run writes down: metrics.jsonl and loss.png, and the same in TensorBoard where that is installed."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .files import write_whole

METRICS = "metrics.jsonl"
NOT_DRAWN = ("step", "lr", "seconds_a_step")
_told = False  # that tensorboard is missing


class Metrics:
    """One stage's log. Lines after `step` are dropped: a resumed run writes them again."""

    def __init__(self, folder: Path, step: int, tensorboard: bool):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        trim_metrics(folder / METRICS, step)
        self.writer = _writer(folder / "tensorboard", step) if tensorboard else None

    def add(self, line: dict[str, Any]) -> None:
        """One line of numbers; its `step` is the number of steps done."""
        with (self.folder / METRICS).open("a") as file:
            file.write(json.dumps(line) + "\n")
        if self.writer is not None:
            for name, value in line.items():
                if name != "step":
                    self.writer.add_scalar(name, value, line["step"])

    def picture(self, name: str, pixels: np.ndarray, step: int) -> None:
        """uint8 [H, W, 3] RGB, to TensorBoard alone."""
        if self.writer is not None:
            self.writer.add_image(name, pixels, step, dataformats="HWC")

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


def _writer(folder: Path, step: int) -> Any:
    global _told
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        if not _told:
            print("tensorboard is not installed: metrics go to metrics.jsonl alone (pip install tensorboard)", file=sys.stderr)
            _told = True
        return None
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)


def trim_metrics(path: Path, step: int) -> None:
    """Drop the lines after `step`, and one that was cut off while it was written."""
    if not path.exists():
        return
    kept = [line for line in read_metrics(path) if line["step"] <= step]
    write_whole(path, "".join(json.dumps(line) + "\n" for line in kept))


def read_metrics(path: Path) -> list[dict]:
    """The whole lines of metrics.jsonl, or none where there is no file."""
    lines = []
    for text in path.read_text().splitlines() if path.exists() else []:
        try:
            lines.append(json.loads(text))
        except ValueError:
            break  # a killed run's last line
    return lines


def draw_curve(folder: Path) -> None:
    """metrics.jsonl -> loss.png, one panel a loss part."""
    lines = read_metrics(folder / METRICS)
    if not lines:
        return
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    names = [name for name in lines[-1] if name not in NOT_DRAWN and not name.endswith("_a_second")]
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
