"""Every engine that runs here on the same frame and questions, stage by stage: torch, ONNX Runtime, OpenVINO, TensorRT.

`python -m benchmarks.engines --bundle DIR --checkpoint DIR`: bundles of one model in several precisions (`ps3 export`), each on every
engine, at 512, 1024 and 2560 patches; medians and 99th percentiles. `--so400m` takes a random checkpoint of that size in their place
(9 GB of memory). Engines take turns, each in a process of its own. Without a GPU it says so and runs those of the CPU.
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ps3_ros.bundle import MANIFEST_FILE, load_bundle
from ps3_ros.errors import BackendError
from ps3_ros.exits import exit_code

from .against_reference import REFERENCE_PYTHON
from .cases import make_case
from .measure import Contender, interleave
from .models import FRAME, LICENSE, MADE, ROOT
from .report import machine, print_table, save_plot, write_json

PATCHES = (512, 1024, 2560)
QUICK_FRAME, QUICK_PATCHES = (640, 360), (16, 48)
# Backend -> the package it needs; those of the GPU are left out where there is none.
CPU = {"onnxruntime:cpu": "onnxruntime", "openvino:cpu": "openvino"}
GPU = {
    "onnxruntime:cuda": "onnxruntime",
    "onnxruntime:tensorrt": "onnxruntime",
    "tensorrt:build": "tensorrt",
    "tensorrt-rtx:build": "tensorrt_rtx",
}
PROVIDERS = {"onnxruntime:cuda": "CUDAExecutionProvider", "onnxruntime:tensorrt": "TensorrtExecutionProvider"}


def gpu_name() -> str:
    """Of device 0; empty where there is none, or nothing to ask it with."""
    from ps3_ros.backends.cuda import Cuda

    try:
        return Cuda().device()["gpu"]
    except BackendError:
        pass
    if find_spec("torch"):
        import torch

        return torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""
    return ""


def why_not(backend: str, gpu: str) -> str:
    """Why a backend cannot run here; empty where it can."""
    package = "torch" if backend.startswith("torch") else (CPU | GPU)[backend]
    if not find_spec(package):
        return f"{package} is not installed"
    if (backend in GPU or backend == "torch:cuda") and not gpu:
        return "no GPU was found"
    if backend in PROVIDERS:
        import onnxruntime

        if PROVIDERS[backend] not in onnxruntime.get_available_providers():
            return f"this ONNX Runtime has no {PROVIDERS[backend]}"
    return ""


def contenders(bundles: list, checkpoint: Path | None, frame, patches, threads: int, gpu: str) -> list:
    """Every bundle on every backend, and the checkpoint in torch, with `why_not` where one cannot run."""
    found = []
    options = ["--frame", *frame, "--patches", *patches, "--threads", threads]
    for folder in bundles:
        precision = load_bundle(folder, check_hashes=False).manifest.precision
        for backend in (*CPU, *GPU):
            command = [sys.executable, "-m", "benchmarks.engine", folder, "--backend", backend, *options]
            found.append(Contender(f"{backend.removesuffix(':build')} {precision}", command, threads, why_not=why_not(backend, gpu)))
    for backend in ("torch:cpu", "torch:cuda") if checkpoint else ():
        command = [sys.executable, "-m", "benchmarks.engine", bundles[0], "--backend", backend, "--checkpoint", checkpoint, *options]
        found.append(Contender(f"{backend} fp32", command, threads, why_not=why_not(backend, gpu)))
    return found


def reference(checkpoint: Path, bundle: Path, frame, threads: int, python: Path) -> Contender:
    """The reference's own model on a checkpoint that it can read, at its full look, on the CPU; its stages are its own."""
    name, module = "reference, torch:cpu fp32", "benchmarks.reference"
    if not python.is_file():
        return Contender(name, [], threads, why_not=f"no Python at {python}")
    if load_bundle(bundle, check_hashes=False).settings.geometry != "reference":
        return Contender(name, [], threads, why_not="it cannot read a checkpoint of this geometry")
    case = make_case("engines", bundle, frame, threads)
    return Contender(name, [python, "-m", module, checkpoint, case, "--mode", "own-shape", "--threads", threads], threads)


def so400m(precisions) -> tuple[list, Path]:
    """Bundles and checkpoint of the published size with random weights, made where they are not there yet."""
    from ps3_export.export import export_checkpoint
    from ps3_export.random_checkpoint import CONFIGS, write_random_checkpoint

    checkpoint = MADE / "so400m" / "checkpoint"
    if not (checkpoint / "tokenizer.json").is_file():
        write_random_checkpoint(CONFIGS["so400m-4k"], checkpoint)
    bundles = [MADE / "so400m" / precision for precision in precisions]
    for precision, folder in zip(precisions, bundles, strict=True):
        if not (folder / MANIFEST_FILE).is_file():
            export_checkpoint(
                checkpoint, folder, precision=precision, views=1, questions=1, frame_size=FRAME, accept_drift=True, license=LICENSE
            )
    return bundles, checkpoint


def rows_of(ran: list) -> list:
    """One entry a contender: {stage: {"median", "p99"}} in ms."""
    entries = []
    for c in ran:
        stages = {}
        for stage in c.rows[0]["seconds"]:
            values = [row["seconds"][stage] * 1e3 for row in c.rows]
            stages[stage] = {"median": round(float(np.median(values)), 3), "p99": round(float(np.percentile(values, 99)), 3)}
        entries.append({"name": c.name, "ms": stages, "cpu_seconds": c.cpu_seconds, "peak_mb": c.peak_mb, **c.about})
    return entries


def show(entries: list, patches) -> None:
    """Two tables: medians, then 99th percentiles."""
    stages = ["text", "glance", "select", *(f"{stage} {count}" for count in patches for stage in ("look", "region", "answer"))]
    for figure in ("median", "p99"):
        print_table(
            [f"{figure}, ms", *stages, "peak MB"],
            [[e["name"], *(e["ms"].get(stage, {}).get(figure) for stage in stages), e["peak_mb"]] for e in entries],
        )


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, action="append", help="of one model; repeatable (default: engines/nano)")
    parser.add_argument("--checkpoint", type=Path, help="of the same model, for torch")
    parser.add_argument("--so400m", nargs="+", choices=("fp32", "fp16"), metavar="PRECISION", help="a random model of the published size")
    parser.add_argument("--patches", type=int, nargs="+", default=PATCHES)
    parser.add_argument("--backend", nargs="+", choices=(*CPU, *GPU, "torch:cpu", "torch:cuda"), help="these alone")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reference-python", type=Path, default=REFERENCE_PYTHON)
    parser.add_argument("--quick", action="store_true", help="a smoke run on a small frame with few patches, twice")
    a = parser.parse_args(argv)

    def run():
        frame, patches, runs = (QUICK_FRAME, QUICK_PATCHES, 2) if a.quick else (FRAME, a.patches, a.runs)
        bundles, checkpoint = so400m(a.so400m) if a.so400m else (a.bundle or [ROOT / "engines" / "nano"], a.checkpoint)
        gpu = gpu_name()
        everyone = contenders(bundles, checkpoint, frame, patches, a.threads, gpu)
        if checkpoint:
            everyone.append(reference(checkpoint, bundles[0], frame, a.threads, a.reference_python))
        if a.backend:
            everyone = [c for c in everyone if any(c.name.startswith(b.removesuffix(":build") + " ") for b in a.backend)]
        model = load_bundle(bundles[0], check_hashes=False).manifest
        here = machine() | {"gpu": gpu or None, "threads": a.threads, "frame": list(frame), "runs": runs, "model": model.model_name}
        entries = rows_of(interleave(everyone, runs))
        print(f"{model.model_name}, one look takes at most {model.settings.max_patches} patches; more patches are several looks")
        print(f"GPU: {gpu}" if gpu else "No GPU was found here: these are the engines of the CPU alone.")
        show(entries, patches)
        left_out = {c.name: c.why_not for c in everyone if c.why_not}
        for name, reason in left_out.items():
            print(f"{name}: left out, {reason}")
        name = f"engines-{model.model_name}" + ("-quick" if a.quick else "")
        print(write_json(name, {"machine": here, "engines": entries, "left_out": left_out}))
        whole = f"answer {patches[-1]}"

        def draw(axes):
            timed = [e for e in entries if whole in e["ms"]]
            axes.barh([e["name"] for e in timed], [e["ms"][whole]["median"] for e in timed])
            axes.invert_yaxis()
            axes.set_xlabel(f"ms from the decoded frame to the answer, {patches[-1]} patches, median")

        print(save_plot(name, draw) or "no plot: matplotlib is not installed")

    return exit_code("engines", run)


if __name__ == "__main__":
    sys.exit(main())
