"""The report's pictures, one PNG a figure: recall over share, pointing over patches and over size, precision over recall, reliability."""

from __future__ import annotations

import os
from pathlib import Path

WAYS = {"top-down": "C0", "bottom-up": "C1", "random": "C7"}


def draw(split: str, found: dict, folder: Path) -> list[Path]:
    """Writes the plots of a split's figures (summary.summarise) as <split>-NAME.png; returns their paths."""
    pictures = {"recall": _recall, "size": _size, "found": _found, "reliability": _reliability}
    if any(name.startswith("top ") for name in found["conditions"]):
        pictures["patches"] = _patches
    made = []
    for name, picture in pictures.items():
        figure, axes = _figure()
        picture(axes, found)
        axes.set_title(split)
        made.append(_save(figure, Path(folder) / f"{split}-{name}.png"))
    return made


def draw_reliability(before: dict, after: dict, path: Path) -> Path:
    """Both curves of a calibration in one picture."""
    figure, axes = _figure()
    axes.plot([0, 1], [0, 1], color="C7", lw=1)
    for name, curve in (("before", before), ("after", after)):
        axes.plot(
            [b["score"] for b in curve["bins"]], [b["right"] for b in curve["bins"]], "o-", label=f"{name}, error {curve['error']:.3f}"
        )
    axes.set(xlabel="score", ylabel="share that was right", xlim=(0, 1), ylim=(0, 1))
    axes.legend()
    return _save(figure, path)


def _figure():
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # no pyplot: no state, and no display is looked for
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.grid(alpha=0.3)
    return figure, axes


def _save(figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.png")
    try:
        figure.savefig(beside, dpi=110)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def _errors(figures: list[dict]) -> list[list[float]]:
    """Lengths of the error bars, in percent: below and above."""
    return [[100 * max(0, f["value"] - f["low"]) for f in figures], [100 * max(0, f["high"] - f["value"]) for f in figures]]


def _recall(axes, found):
    shares = {budget: float(budget.rstrip("%")) for budget in found["recall"] if budget.endswith("%")}
    for way, colour in WAYS.items():
        figures = [found["recall"][budget][way] for budget in shares]
        axes.errorbar(list(shares.values()), [100 * f["value"] for f in figures], _errors(figures), fmt="o-", color=colour, ms=4, label=way)
    axes.set(xlabel="share of all patches selected, %", ylabel="selection recall, %", ylim=(0, 101))
    axes.legend()


def _patches(axes, found):
    lines = {}
    for name, condition in found["conditions"].items():
        if name.startswith("top "):
            lines.setdefault(name.split(",")[0], []).append((condition["patches"], condition["pointing"]))
    for name, points in lines.items():
        points = [point for point in points if point[1]["value"] is not None]
        figures = [figure for _, figure in points]
        axes.errorbar([p for p, _ in points], [100 * f["value"] for f in figures], _errors(figures), fmt="o-", ms=4, label=f"{name} px")
    axes.set(xlabel="patches looked at", ylabel="pointing, %", xscale="log")
    axes.legend()


def _size(axes, found):
    groups = {name: group for name, group in found["groups"].items() if "px" in name and name != "24-64 px"}
    figures = [group["pointing"] for group in groups.values()]
    axes.errorbar(range(len(groups)), [100 * f["value"] for f in figures], _errors(figures), fmt="o-", ms=4)
    axes.set_xticks(range(len(groups)), [name.replace(" px", "").replace("and more", "+") for name in groups], fontsize=8)
    axes.set(xlabel="longer side of the object, px", ylabel="pointing, %", ylim=(0, 101))


def _found(axes, found):
    for name, curve in found["curve"].items():
        axes.plot([100 * v for v in curve["recall"]], [100 * v for v in curve["precision"]], label=f"right if it {_right(name)}")
    axes.set(xlabel="recall of found, %", ylabel="precision of found, %", xlim=(0, 101), ylim=(0, 101))
    axes.legend()


def _right(name: str) -> str:
    return "points at the thing" if name == "points at it" else "is in the frame"


def _reliability(axes, found):
    bins = found["reliability"]["bins"]
    axes.plot([0, 1], [0, 1], color="C7", lw=1)
    axes.plot([b["score"] for b in bins], [b["right"] for b in bins], "o-")
    axes.set(xlabel="score", ylabel="share that was right", xlim=(0, 1), ylim=(0, 1))
