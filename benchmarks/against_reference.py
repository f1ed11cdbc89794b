"""The same weights, frame, threads and patches on the reference and here: time of every stage and peak memory.

`python -m benchmarks.against_reference tiny16`: from the decoded uint8 frame to the tokens of one look, resizing included. Each contender
is a process of its own; they take turns, and the medians count. The reference needs an environment of its own (docs/performance.md).
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from ps3_ros.exits import exit_code

from . import models
from .cases import make_case
from .measure import Contender, interleave
from .models import FRAME, ROOT
from .report import machine, print_table, save_plot, write_json

STAGES = ("read frame", "glance", "select", "choose", "cut", "look", "scatter")
REFERENCE_PYTHON = ROOT / ".venv-reference" / "bin" / "python"
QUICK_FRAME = (640, 360)
PRECISIONS = ("fp32", "int8")
BACKENDS = {"onnxruntime:cpu": "onnxruntime", "openvino:cpu": "openvino", "torch": "torch"}  # and the package that each needs
MODES = ("square", "own-shape")  # of the reference, see reference.py


def contenders(config: str, frame, threads: int, reference: Path, precisions, modes, backends) -> list:
    """Every one, with `why_not` where it cannot run here. modes: of the reference, from MODES; backends: ours, from BACKENDS."""
    checkpoint, bundles = models.checkpoint(config), {p: models.bundle(config, p, frame=frame) for p in precisions}
    case = make_case(config, bundles["fp32"], frame, threads)
    found = []
    for mode in modes:
        command = [reference, "-m", "benchmarks.reference", checkpoint, case, "--mode", mode, "--threads", threads]
        why_not = "" if reference.is_file() else f"no Python at {reference}"
        found.append(Contender(f"reference, {mode}", command, threads, why_not=why_not))
    for precision, bundle in bundles.items():
        for backend in backends:
            package = BACKENDS[backend]
            if backend == "torch" and precision != "fp32":
                continue
            command = [sys.executable, "-m", "benchmarks.ours", bundle, case, "--backend", backend, "--threads", threads]
            command += ["--checkpoint", checkpoint] if backend == "torch" else []
            why_not = "" if find_spec(package) else f"{package} is not installed"
            found.append(Contender(f"ours, {backend.split(':')[0]} {precision}", command, threads, why_not=why_not))
    return found


def show(config: str, ran: list, left_out: list) -> dict:
    """Prints the table; returns what goes into the JSON."""
    baseline = next((c for c in ran if c.name.startswith("reference")), None)
    rows, entries = [], []
    for c in ran:
        stages = {stage: c.median(stage) for stage in STAGES}
        total = c.median()
        stages["rest"] = max(0.0, total - sum(stages.values()))
        faster = baseline.median() / total if baseline else None
        rows.append([c.name, *(v * 1e3 if v else None for v in stages.values()), total * 1e3, faster, c.peak_mb, c.about.get("error")])
        entries.append({
            "name": c.name, "seconds": {**stages, "total": total}, "all_totals": [row["seconds"]["total"] for row in c.rows],
            "cpu_seconds": c.cpu_seconds, "peak_mb": c.peak_mb, "loaded_mb": c.loaded_mb, "times_faster": faster, **c.about,
        })  # fmt: skip
    print_table([f"{config}, ms", *STAGES, "rest", "total", "times", "peak MB", "token error"], rows)
    for c in left_out:
        print(f"{c.name}: left out, {c.why_not}")
    return {"config": config, "contenders": entries, "left_out": {c.name: c.why_not for c in left_out}}


def draw(entries: list):
    """Stacked bars of the stages."""
    names = [entry["name"] for entry in entries]

    def on(axes):
        left = [0.0] * len(entries)
        for stage in (*STAGES, "rest"):
            values = [entry["seconds"][stage] for entry in entries]
            axes.barh(names, values, left=left, label=stage)
            left = [a + b for a, b in zip(left, values, strict=True)]
        axes.invert_yaxis()
        axes.set_xlabel("seconds from the decoded frame to the tokens")
        axes.legend()

    return on


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against_reference", description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", choices=tuple(models.VISION), default="tiny16")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES), help="of the reference; times are of the first")
    parser.add_argument("--backends", nargs="+", choices=tuple(BACKENDS), default=list(BACKENDS), help="of this project")
    parser.add_argument("--reference-python", type=Path, default=REFERENCE_PYTHON)
    parser.add_argument("--quick", action="store_true", help="a smoke run on a tiny model and frame, fp32 alone, once")
    a = parser.parse_args(argv)

    def run():
        config, frame, precisions = (a.config, FRAME, a.precisions) if not a.quick else ("smoke", QUICK_FRAME, ["fp32"])
        if "fp32" not in precisions:
            precisions = ["fp32", *precisions]  # the others' tokens are held against its
        here = machine() | {"threads": a.threads, "frame": list(frame), "runs": 1 if a.quick else a.runs}
        modes = ["own-shape"] if a.quick else a.modes
        everyone = contenders(config, frame, a.threads, a.reference_python, precisions, modes, a.backends)
        ran = interleave(everyone, here["runs"])
        data = {"machine": here, **show(config, ran, [c for c in everyone if c.why_not])}
        print(write_json(f"against_reference-{config}", data))
        print(save_plot(f"against_reference-{config}", draw(data["contenders"])) or "no plot: matplotlib is not installed")

    return exit_code("against_reference", run)


if __name__ == "__main__":
    sys.exit(main())
