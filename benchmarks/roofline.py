"""Operations and bytes of every stage, and how long a machine needs for them at least.

`python -m benchmarks.roofline tiny16`. This machine's peaks are measured here (a large matrix product, a large copy); Orin's and H200's
are their makers' figures, so what is said of them is arithmetic and no measurement. Beside it stand the medians of against_reference, if
there are.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass

import numpy as np

from ps3_ros.exits import exit_code

from . import models
from .models import FRAME
from .report import RESULTS, machine, print_table, write_json

FLOAT = 4  # bytes
AUX_DEPTH, AUX_KERNEL, AUX_SIDE, AUX_WIDTH = 3, 28, 1512, 512  # the reference's defaults
BACKBONES = {"vit_tiny_patch16_224": (12, 16), "vit_base_patch16_siglip_384": (12, 16), "test_vit": (6, 16)}  # depth, patch
MLP_RATIO = {"test_vit": 3}
# (fp32 operations, half precision operations, bytes) a second. Orin: Jetson AGX Orin 64 GB, dense; H200: SXM, dense.
PUBLISHED = {"Orin": (5.3e12, 42.5e12, 204.8e9), "H200": (67e12, 989e12, 4.8e12)}


@dataclass(frozen=True)
class Stage:
    """Operations (a multiply and an add are two), and bytes that must move at least: weights, inputs and outputs once."""

    name: str
    operations: float
    moved: float


def stages(config: str, patches: int, frame=FRAME) -> list:
    """Of one frame and one look at `patches` patches, in float32."""
    vision = models.config_of(config)["vision_config"]
    depth, patch = BACKBONES[vision["model_name"]]
    mlp, width, scales = MLP_RATIO.get(vision["model_name"], 4), vision["hidden_size"], vision["ps3_scales"]
    low, highs, chosen = (scales[0] // patch) ** 2, len(scales) - 1, len(vision["select_based_on_layer"])
    aux_width, aux_out = (vision.get(f"highres_selection_module_{kind}_dim", AUX_WIDTH) for kind in ("hidden", "out"))
    aux_cells, values = (AUX_SIDE // AUX_KERNEL) ** 2, 3 * patch * patch

    def blocks(queries, keys):
        return depth * (2 * queries * (4 + 2 * mlp) * width**2 + 4 * queries * keys * width)

    weights = (depth * (4 + 2 * mlp) * width**2 + values * width) * FLOAT
    cache = depth * 2 * low * width * FLOAT
    wide = chosen * width
    project = wide * (wide + width * highs)
    aux = 3 * AUX_KERNEL**2 * aux_width + AUX_DEPTH * (49 + 8 * aux_width) * aux_width + aux_width * aux_out
    frame_bytes, glance_image, aux_image = frame[0] * frame[1] * 3, 3 * scales[0] ** 2 * FLOAT, 3 * AUX_SIDE**2 * FLOAT
    glance = 2 * low * (values * width + project) + blocks(low, low)
    look = 2 * patches * values * width + blocks(patches, low + patches)
    return [
        Stage("read frame", 0.0, frame_bytes + glance_image + aux_image),
        Stage("glance", glance, weights + glance_image + cache + project * FLOAT),
        Stage("select", 2 * aux_cells * aux, aux * FLOAT + aux_image),
        Stage("cut", 0.0, patches * values * (1 + FLOAT)),
        Stage("look", look, weights + cache + patches * (values + width) * FLOAT),
    ]


def measured_peaks(side: int = 1024, megabytes: int = 256, runs: int = 20) -> tuple[float, float]:
    """(float32 operations a second of a matrix product on all cores, bytes a second of one core's copy, in and out), the best of `runs`.

    By CPU time, so that what else the machine does counts little: one thread's operations a CPU second, times the cores.
    """
    source = np.ones(megabytes << 18, np.float32)
    target = np.zeros_like(source)
    copy = min(cpu_seconds(lambda: np.copyto(target, source)) for _ in range(max(1, runs // 4)))
    product = min(cpu_seconds(multiply) for multiply in products(side) for _ in range(runs))
    return 2 * side**3 / product * len(os.sched_getaffinity(0)), 2 * source.nbytes / copy


def products(side: int) -> list:
    """Functions that multiply two matrices [side, side] in float32: numpy's, and where it is installed OpenVINO's, which may be faster."""
    from ps3_ros.backends.openvino_backend import shared_core

    a = np.ones((side, side), np.float32)
    try:
        core = shared_core()
        from openvino import Model, opset13
    except ImportError:
        return [lambda: a @ a]
    x = opset13.parameter([side, side], np.float32)
    model = Model([opset13.matmul(x, opset13.constant(a), False, False)], [x])
    options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", options).create_infer_request()
    return [lambda: a @ a, lambda: request.infer([a], share_inputs=True)]


def cpu_seconds(work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def least(stage: Stage, operations: float, bandwidth: float) -> float:
    """Seconds that the stage takes at least."""
    return max(stage.operations / operations, stage.moved / bandwidth)


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.roofline", description=__doc__.splitlines()[0])
    parser.add_argument("config", nargs="?", choices=tuple(models.VISION), default="tiny16")
    parser.add_argument("--patches", type=int, help="of the look (default: the budget's)")
    parser.add_argument("--quick", action="store_true", help="a smoke run: small peaks")
    a = parser.parse_args(argv)

    def run():
        config = "smoke" if a.quick else a.config
        patches = a.patches or models.config_of(config)["vision_config"]["max_select_num"]
        operations, bandwidth = measured_peaks(*((256, 8, 3) if a.quick else ()))
        result, found = RESULTS / f"against_reference-{config}.json", {}
        if result.is_file():
            entries = json.loads(result.read_text())["contenders"]
            found = next((e["seconds"] for e in entries if e["name"] == "ours, onnxruntime fp32"), {})
        rows, entries = [], []
        for stage in stages(config, patches):
            bound = {"this CPU": least(stage, operations, bandwidth)}
            bound |= {f"{name} fp32": least(stage, p[0], p[2]) for name, p in PUBLISHED.items()}
            bound |= {f"{name} half": least(Stage("", stage.operations, stage.moved / 2), p[1], p[2]) for name, p in PUBLISHED.items()}
            took = found.get(stage.name)
            shown = [seconds * 1e3 for seconds in bound.values()]
            rows.append([stage.name, stage.operations / 1e9, stage.moved / 1e6, *shown, took and took * 1e3])
            entries.append({**asdict(stage), "least_seconds": bound, "measured": took})
        print(f"this CPU, measured: {operations / 1e9:.0f} GFLOP/s, {bandwidth / 1e9:.1f} GB/s; others: arithmetic on published peaks")
        print_table([f"{config}, {patches} patches", "GFLOP", "MB", *(f"{name}, ms" for name in bound), "measured ms"], rows)
        here = machine() | {"gflops": operations / 1e9, "gb_per_s": bandwidth / 1e9, "published": PUBLISHED}
        print(write_json(f"roofline-{config}", {"machine": here, "patches": patches, "stages": entries}))

    return exit_code("roofline", run)


if __name__ == "__main__":
    sys.exit(main())
