"""This project, for serve.py: from the decoded frame to the tokens of one look, by any backend or by torch."""

import argparse
from pathlib import Path

import cv2
import numpy as np

from benchmarks.serve import Stages, serve
from ps3_ros.encoder import Encoder
from ps3_ros.frame import Frame, FramePlan
from ps3_ros.selection import Selection, select
from ps3_ros.text import TextVectors


def open_encoder(bundle: Path, backend: str, threads: int, checkpoint: Path | None) -> Encoder:
    """backend "torch" runs the checkpoint itself in the backend's place."""
    if backend != "torch":
        return Encoder(bundle, backend, threads)
    import torch

    from ps3_export.graphs import MODULES
    from ps3_export.reference import TorchBackend
    from ps3_ros.bundle import contract, load_bundle
    from ps3_training.model import PS3

    torch.set_num_threads(threads)
    model, loaded = PS3.from_pretrained(checkpoint), load_bundle(bundle)
    modules = {name: MODULES[name](model).eval() for name in contract(loaded.settings)}
    return Encoder(loaded, TorchBackend(modules, loaded.settings))


def vectors_of(case) -> TextVectors:
    aux = case["prompt_aux"][None] if "prompt_aux" in case else None
    return TextVectors(case["prompt"][None], case["prompt"][None], aux, 0.0)


def selection_of(case) -> Selection:
    return Selection(tuple(case[f"patches{n}"] for n in range(int(case["scales"]))))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("case", type=Path)
    parser.add_argument("--backend", default="onnxruntime:cpu")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    a = parser.parse_args()
    cv2.setNumThreads(a.threads)
    encoder, case = open_encoder(a.bundle, a.backend, a.threads, a.checkpoint), dict(np.load(a.case))
    frame, vectors, given, found = Frame(case["frame"]), vectors_of(case), selection_of(case), {}
    plan = FramePlan.of(frame.height, frame.width, encoder.settings)

    def run():
        stages = Stages()
        glance = encoder.glance(frame)
        with stages("choose"):  # its own patches are not the given ones where weights are rounded; the work is the same
            select(encoder.relevance(glance, vectors), plan, encoder.settings.max_patches)
        look = found["look"] = encoder.look(glance, given)
        return stages.seconds | {name: ms / 1e3 for name, ms in (glance.ms | look.ms).items()}

    run()
    tokens, about = found["look"].tokens, {}
    about["tokens"] = len(tokens)
    if "tokens" in case:
        about["error"] = float(np.abs(tokens - case["tokens"]).max() / np.abs(case["tokens"]).max())
        about["cosine"] = float(np.mean(np.sum(tokens * case["tokens"], 1) / np.linalg.norm(tokens, axis=1) / case["norms"]))
    serve(run, about)


if __name__ == "__main__":
    main()
