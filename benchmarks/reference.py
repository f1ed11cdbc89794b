"""The peer: the reference implementation (ps3-torch), for serve.py. Runs in an environment of its own; docs/performance.md makes one.

`square` is the reference as it comes: its processor squashes the frame to the largest scale, and every layer's features are spread over
the full grid. `own-shape` is the best that its code can do: the frame keeps its shape, which the processor cannot, and only the last layer
is spread.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np

warnings.filterwarnings("ignore")
import torch  # noqa: E402

# torchvision may come without its operators on a CPU: declared, it imports. Nothing here calls them.
try:
    for _name in ("nms", "qnms"):
        torch.library.define(f"torchvision::{_name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    for _name in ("deform_conv2d", "roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool"):
        torch.library.define(f"torchvision::{_name}", "(Tensor a) -> Tensor")
        torch.library.define(f"torchvision::_{_name}_backward", "(Tensor a) -> Tensor")
except RuntimeError:
    pass  # declared already

from PIL import Image  # noqa: E402
from ps3 import PS3ImageProcessor, PS3VisionConfig, PS3VisionModel  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from benchmarks.serve import Stages, serve  # noqa: E402

# Its methods -> stages as ours are named. tokenize_high_res runs inside forward_high_res, and is taken off it.
TIMED = {
    "forward_low_res": "glance", "get_selection_probs": "select", "get_selection_maps": "choose", "tokenize_high_res": "cut",
    "forward_high_res": "look", "aggregate_features": "scatter",
}  # fmt: skip


def load(folder: Path):
    """PS3VisionModel with the checkpoint's weights, every one of them."""
    vision = json.loads((folder / "config.json").read_text())["vision_config"]
    if vision["model_name"].startswith(("vit_tiny", "test_vit")):
        vision["class_token"] = False
    model = PS3VisionModel(PS3VisionConfig(**vision)).eval()
    state = {name: value for name, value in load_file(folder / "model.safetensors").items() if name.startswith("vision_model.")}
    missing, unknown = model.load_state_dict(state, strict=False)
    if missing or unknown:
        raise SystemExit(f"checkpoint {folder} does not fit the reference: lacks {missing[:3]}, has {unknown[:3]} besides")
    return model, vision


def time_methods(encoder, seconds):
    for method, stage in TIMED.items():
        inner = getattr(encoder, method)

        def outer(*args, inner=inner, stage=stage, **kwargs):
            start = time.perf_counter()
            result = inner(*args, **kwargs)
            seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - start
            return result

        setattr(encoder, method, outer)


def force_selection(encoder, case):
    """Its selection runs, and is then replaced by the patches that every contender takes."""
    inner = encoder.get_selection_maps

    def given(*args, **kwargs):
        maps = inner(*args, **kwargs)
        for n, found in enumerate(maps):
            found.zero_()
            found.view(1, -1)[0, torch.from_numpy(case[f"patches{n}"])] = 1
        return maps

    encoder.get_selection_maps = given


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("case", type=Path)
    parser.add_argument("--mode", choices=("square", "own-shape"), default="square")
    parser.add_argument("--threads", type=int, default=2)
    a = parser.parse_args()
    torch.set_num_threads(a.threads)
    case, (model, vision) = dict(np.load(a.case)), load(a.checkpoint)
    encoder, stages = model.vision_model, Stages()
    side, own_shape = vision["ps3_scales"][-1], a.mode == "own-shape"
    processor = PS3ImageProcessor(image_size=side, mean=0.5, std=0.5)
    if own_shape:
        encoder.num_hidden_layers_to_return = 1
        force_selection(encoder, case)
    time_methods(encoder, stages.seconds)
    prompt, found = torch.from_numpy(case["prompt"])[None], {}

    @torch.inference_mode()
    def run():
        stages.seconds.clear()
        with stages("read frame"):
            rgb = np.ascontiguousarray(case["frame"][:, :, ::-1])
            if own_shape:
                pixels = torch.from_numpy(rgb).permute(2, 0, 1)[None].float().div_(127.5).sub_(1)
            else:
                pixels = processor.preprocess(Image.fromarray(rgb))["pixel_values"][0][None]
        found["tokens"] = model(pixels, num_look_close=1, prompt=prompt).last_hidden_state
        seconds = dict(stages.seconds)
        seconds["look"] -= seconds["cut"]
        return seconds

    run()
    tokens = found["tokens"][0, (vision["ps3_scales"][0] // case["patch"]) ** 2 :].numpy()
    about = {"tokens": len(tokens)}
    if own_shape:
        expected = case["tokens"]
        if len(tokens) == len(expected):
            about["error"] = float(np.abs(tokens - expected).max() / np.abs(expected).max())
    serve(run, about)


if __name__ == "__main__":
    main()
