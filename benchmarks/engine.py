"""One bundle on one engine, for serve.py: a frame and one question with each number of patches, through the robot's own code."""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks.cases import read_frame
from benchmarks.serve import serve
from ps3_ros.ask import Asker
from ps3_ros.bundle import contract, load_bundle
from ps3_ros.frame import Frame

QUERY = "stop sign"


class TorchEngine:
    """The checkpoint itself as a backend (ps3_ros/backends), on a device. kv and a look's tokens stay there, as with TensorRT."""

    def __init__(self, bundle, checkpoint: Path, device: str, threads: int):
        import torch

        from ps3_export.graphs import MODULES
        from ps3_training.model import PS3

        if threads:
            torch.set_num_threads(threads)
        self.torch, self.device, self.name = torch, device, f"torch:{device}"
        model = PS3.from_pretrained(checkpoint)
        self.contract = contract(bundle.settings)
        self.modules = {name: MODULES[name](model).eval().to(device) for name in self.contract}

    def run(self, graph, inputs):
        wanted, given = self.contract[graph]
        arrays = [inputs[spec.name] for spec in wanted]
        tensors = [self.torch.from_numpy(np.ascontiguousarray(a)).to(self.device) if isinstance(a, np.ndarray) else a for a in arrays]
        with self.torch.inference_mode():
            found = self.modules[graph](*tensors)
        found = found if isinstance(found, tuple) else (found,)
        return {spec.name: value if spec.name == "kv" else value.cpu().numpy() for spec, value in zip(given, found, strict=True)}


def answer_times(asker, frame, counts, number):
    """{stage: seconds} of one frame: text, glance, select; then look, region and the whole answer of each of `counts` patches."""
    seconds = {"text": asker.encoder.text([f"{QUERY} {number}"]).ms / 1e3}
    start = time.perf_counter()
    asker.set_frame(frame)
    shared = time.perf_counter() - start
    seconds |= {stage: asker.glance.ms[stage] / 1e3 for stage in ("glance", "select")}
    for count in counts:
        start = time.perf_counter()
        answer = asker.ask(QUERY, tokens=count)
        seconds[f"answer {count}"] = shared + time.perf_counter() - start
        seconds |= {f"{stage} {count}": answer.stage_ms[stage] / 1e3 for stage in ("look", "region")}
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--backend", default="onnxruntime:cpu", help="of ps3_ros, or torch:cpu, torch:cuda")
    parser.add_argument("--checkpoint", type=Path, help="for torch")
    parser.add_argument("--frame", type=int, nargs=2, default=(3840, 2160))
    parser.add_argument("--patches", type=int, nargs="+", default=[1024])
    parser.add_argument("--threads", type=int, default=2)
    a = parser.parse_args()
    cv2.setNumThreads(a.threads)
    bundle = load_bundle(a.bundle)
    backend = TorchEngine(bundle, a.checkpoint, a.backend.split(":")[1], a.threads) if a.backend.startswith("torch") else a.backend
    asker, frame = Asker(bundle, backend, a.threads), Frame(read_frame(tuple(a.frame)))
    numbers = iter(range(1_000_000))
    run = lambda: answer_times(asker, frame, a.patches, next(numbers))  # noqa: E731
    run()
    answer = asker.ask(QUERY)
    serve(run, {"backend": asker.encoder.backend.name, "score": answer.regions[0].score, "box": list(answer.regions[0].box)})


if __name__ == "__main__":
    main()
