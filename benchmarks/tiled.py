"""The other ways to a high resolution, on the same backbone (the bundle's glance graph), for serve.py.

`anyres`: the frame in tiles of the backbone's own size, and an overview (LLaVA-NeXT). `s2`: the frame squashed to several sizes, each in
tiles, features averaged back to one grid and joined (S2, arXiv 2403.13043). Both encode every part of the frame, whatever is asked.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from benchmarks.serve import Stages, serve
from ps3_ros.backends import open_backend
from ps3_ros.bundle import load_bundle
from ps3_ros.frame import Frame, glance_image
from ps3_ros.resample import resize_area


def tiles(pixels: np.ndarray, rows: int, cols: int, side: int) -> list:
    """The frame resized by area to rows x cols tiles of `side` px: uint8 [side, side, 3] each, row-major."""
    whole = resize_area(pixels, rows * side, cols * side)
    return [whole[r * side : (r + 1) * side, c * side : (c + 1) * side] for r in range(rows) for c in range(cols)]


def anyres_grid(height: int, width: int, side: int) -> tuple[int, int]:
    """(rows, cols) of tiles that keep the frame's pixels."""
    return max(1, round(height / side)), max(1, round(width / side))


def anyres(pixels, settings, encode):
    """Tokens of every tile and of the overview: float32 [tiles + 1, n0, D]."""
    side = settings.scales[0]
    return np.stack([encode(tile) for tile in [pixels, *tiles(pixels, *anyres_grid(*pixels.shape[:2], side), side)]])


def s2(pixels, settings, encode):
    """float32 [n0, scales * D]: each scale's features, averaged to the low-res grid."""
    side, g, found = settings.scales[0], settings.grid, []
    for scale in settings.scales:
        k = -(-scale // side)
        features = np.stack([encode(tile) for tile in tiles(pixels, k, k, side)])  # [k*k, n0, D]
        whole = features.reshape(k, k, g, g, -1).transpose(0, 2, 1, 3, 4).reshape(k * g, k * g, -1)
        found.append(whole.reshape(g, k, g, k, -1).mean(axis=(1, 3)).reshape(g * g, -1))
    return np.concatenate(found, axis=1)


WAYS = {"anyres": anyres, "s2": s2}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("way", choices=tuple(WAYS))
    parser.add_argument("bundle", type=Path)
    parser.add_argument("case", type=Path)
    parser.add_argument("--backend", default="onnxruntime:cpu")
    parser.add_argument("--threads", type=int, default=2)
    a = parser.parse_args()
    cv2.setNumThreads(a.threads)
    bundle, pixels = load_bundle(a.bundle), np.load(a.case)["frame"]
    backend, settings, count = open_backend(bundle, a.backend, a.threads), bundle.settings, 0

    def encode(tile):
        nonlocal count
        count += 1
        return backend.run("glance", {"pixels": glance_image(Frame(tile), settings)})["tokens"][0]

    def run():
        nonlocal count
        count, stages = 0, Stages()
        with stages("encode"):
            WAYS[a.way](pixels, settings, encode)
        return stages.seconds

    run()
    serve(run, {"images": count, "tokens": count * settings.tokens})


if __name__ == "__main__":
    main()
