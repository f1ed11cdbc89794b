"""What contenders are given: one frame, one prompt, the patches to look at, and the tokens that they should come to."""

from pathlib import Path

import cv2
import numpy as np

from ps3_ros.encoder import Encoder
from ps3_ros.errors import FrameError
from ps3_ros.frame import Frame
from ps3_ros.selection import select

from .models import MADE, ROOT
from .ours import vectors_of

QUERY = "stop sign"
PICTURE = ROOT / "samples" / "street.jpg"


def read_frame(size: tuple[int, int], picture: Path = PICTURE) -> np.ndarray:
    """uint8 [height, width, 3] BGR of `size` (width, height). Raises FrameError."""
    pixels = cv2.imread(str(picture), cv2.IMREAD_COLOR)
    if pixels is None:
        raise FrameError(f"{str(picture)!r} is not an image that OpenCV can read; give a JPEG or PNG file")
    if pixels.shape[1::-1] == tuple(size):
        return pixels
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if size[0] < pixels.shape[1] else cv2.INTER_CUBIC)


def make_case(name: str, bundle: Path, size: tuple[int, int], threads: int) -> Path:
    """runs/benchmarks/cases/NAME.npz: a float32 bundle's own selection and tokens on the frame, and all it took to get there."""
    encoder, frame = Encoder(bundle, threads=threads), Frame(read_frame(size))
    text = encoder.text([QUERY])
    case = {"frame": frame.pixels, "prompt": text.prompt[0], "patch": encoder.settings.patch}
    if text.prompt_aux is not None:
        case["prompt_aux"] = text.prompt_aux[0]
    glance = encoder.glance(frame)
    chosen = select(encoder.relevance(glance, vectors_of(case)), glance.plan, encoder.settings.max_patches)
    tokens = encoder.look(glance, chosen).tokens
    case |= {f"patches{n}": patches for n, patches in enumerate(chosen.patches)}
    case |= {"scales": len(chosen.patches), "tokens": tokens, "norms": np.linalg.norm(tokens, axis=1)}
    path = MADE / "cases" / f"{name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.npz")
    np.savez(part, **case)
    part.replace(path)
    return path
