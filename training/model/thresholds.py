"""thresholds.json beside a checkpoint: what calibration chose, for the manifest that an export writes."""

from __future__ import annotations

import json
import math
from pathlib import Path

from ps3_ros.errors import CheckpointError
from ps3_ros.manifest import LATER_SETTINGS, MAX_CLOSE_UPS, Settings
from ps3_training.files import write_whole

from .checkpoint import read_json

THRESHOLDS_FILE = "thresholds.json"
LIMITS = {  # each value's range
    "found_threshold": (0.0, 1.0),  # probability
    "relevance_threshold": (0.0, 1.0),
    "logit_scale": (1e-6, 1e6),  # already exponentiated; a region's score = sigmoid(logit_scale * cosine + logit_bias)
    "logit_bias": (-1e6, 1e6),
    "close_ups": (0, MAX_CLOSE_UPS),  # a whole number
    "zoom_outs": (0, MAX_CLOSE_UPS),
    "fine_selection": (0, 1),
    "plain_words": (0, 1),
    "reads": (0, 1),
    "background": (-1e6, 1e6),  # each of its embed_dim numbers
}
FLAGS = ("fine_selection", "plain_words", "reads")
KNOWN = ", ".join(f"{name} {'true or false' if name in FLAGS else f'from {low:g} to {high:g}'}" for name, (low, high) in LIMITS.items())


def read_thresholds(checkpoint: Path) -> dict[str, float]:
    """What calibration wrote beside the weights, a subset of LIMITS' keys; {} where it did not. Raises CheckpointError."""
    path = Path(checkpoint) / THRESHOLDS_FILE
    if not path.exists():
        return {}
    values = read_json(path)
    if wrong := unfit(values):
        raise CheckpointError(f"{str(path)!r} has {wrong} where {KNOWN} are known; correct or remove the file")
    return values


def thresholds_of(settings: Settings) -> dict[str, float]:
    """What a bundle's manifest says of them; its scale and bias are the head of the model that is read back."""
    later = {name: value for name in LATER_SETTINGS if (value := getattr(settings, name))}
    return {"found_threshold": settings.found_threshold, "relevance_threshold": settings.relevance_threshold, **later}


def write_thresholds(path: Path, values: dict[str, float]) -> None:
    """Writes the file beside its place and renames it. Raises CheckpointError for a value that read_thresholds would refuse."""
    if wrong := unfit(values):
        raise CheckpointError(f"thresholds {wrong} are out of range; calibrate on more questions")
    write_whole(Path(path), json.dumps(values, indent=1) + "\n")


def unfit(values: dict) -> dict:
    """Those of the values that no manifest may have: of an unknown name, of another type or out of range."""
    return {name: value for name, value in values.items() if not _fits(name, value)}


def _fits(name, value) -> bool:
    if name in FLAGS:
        return isinstance(value, bool)
    if name == "background" and isinstance(value, (list, tuple)):
        return all(_is_number(each) and abs(each) <= LIMITS[name][1] for each in value)
    if name not in LIMITS or name == "background" or not _is_number(value):
        return False
    if name in ("close_ups", "zoom_outs") and not isinstance(value, int):
        return False
    low, high = LIMITS[name]
    return low <= value <= high


def _is_number(value) -> bool:
    return not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value)
