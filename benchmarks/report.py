"""What a benchmark leaves: a table on the terminal, a JSON file and a plot under benchmarks/results."""

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("ps3_ros", "numpy", "opencv-python-headless", "onnxruntime", "openvino", "torch")


def print_table(head: list, rows: list) -> None:
    """Left-aligned first column, right-aligned others; floats with three digits that count."""
    cells = [[str(h) for h in head]] + [[shown(value) for value in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        print("  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]))


def shown(value) -> str:
    if not isinstance(value, float):
        return "-" if value is None else str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine() -> dict:
    """Where figures come from: a table without it says nothing."""
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    model = ""
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    load = os.getloadavg()[0]
    return {"cpu": model, "cores": os.cpu_count(), "load_before": round(load, 2), "python": platform.python_version(), "packages": packages}


def write_json(name: str, data: dict) -> Path:
    """RESULTS/name.json, written beside and renamed."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(data, indent=1) + "\n")
    part.replace(path)
    return path


def save_plot(name: str, draw, size=(8, 4.5)) -> Path | None:
    """RESULTS/name.png of what `draw(axes)` draws; None where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    RESULTS.mkdir(exist_ok=True)
    figure, axes = pyplot.subplots(figsize=size, layout="constrained")
    draw(axes)
    path = RESULTS / f"{name}.png"
    part = path.with_suffix(".part")
    figure.savefig(part, format="png", dpi=110)
    pyplot.close(figure)
    part.replace(path)
    return path
