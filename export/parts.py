"""One graph's module, read from the checkpoint for it alone, so that an export never holds more of a model than a graph runs.

safetensors maps a checkpoint's file: a tensor costs memory once it is touched, and a mapping stays as long as any of its tensors.
"""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from ps3_training.model import PS3

from .graphs import MODULES
from .smooth import Ranges, smooth
from .storage import Rounded, round_module

# Parts of the vision model that a graph runs; the text tower is the text graph's alone.
VISION_PARTS = {
    "text": {"prompt_proj_for_highres"},
    "glance": {"trunk", "selection_feature_proj"},
    "select": {"highres_selection_feature_module"},
    "look": {"trunk", "pos_emb_residual"},
    "region": {"trunk"},
}


def read_module(checkpoint: Path, name: str, towers: Mapping[str, str], rounded: Rounded, ranges: Ranges | None = None) -> nn.Module:
    """The module of graph `name` with its weights rounded as `towers` ({"text" | "vision": kind}) says; `rounded` gets how they are stored.

    ranges: by which a vision graph is smoothed for int8 before that (smooth.py). Raises CheckpointError as PS3.from_pretrained and
    round_module do.
    """
    model = PS3.from_pretrained(checkpoint)
    vision = model.vision_model
    for part, _ in list(vision.named_children()):
        if part not in VISION_PARTS[name]:
            setattr(vision, part, None)
    if name == "region":
        vision.trunk.blocks = None
    if name == "text":
        round_module(model.text_model, towers["text"], rounded)
    else:
        model.text_model = None
        smooth(vision, ranges or {})
    round_module(vision, towers["vision"], rounded)
    module = MODULES[name](model).eval()
    if name == "look":  # its tables are made of rounded parts, and are stored too
        round_module(module.tables, towers["vision"], rounded)
    return module


def let_go(module: nn.Module) -> None:
    """Leaves the module without weights, whoever still holds its parameters: onnxscript's rewriter keeps the last graph that it saw."""
    for parameter in module.parameters():
        parameter.data = parameter.new_empty(0)
