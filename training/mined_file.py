"""A file of mined close-ups: those of one frame, with what lies under each (mining.py makes it, mined.py teaches by it)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ps3_ros.close_up import SIDE

from .errors import TrainingError
from .files import write_whole

PATCHES = SIDE * SIDE  # of a close-up, at most; those of long ones are fewer
LABELS = "labels"  # key of the file's metadata


@dataclass(frozen=True, eq=False)
class Mined:
    """The close-ups of one frame: Q questions, C candidates of each, K = Q * C, the best first. E: of an embedding, p: of a patch, px."""

    patches: np.ndarray  # uint8 [K, PATCHES, 3, p, p]; zeros pad
    position: np.ndarray  # int64 [K, PATCHES]
    real: np.ndarray  # bool [K, PATCHES]: a patch, not padding
    inside: np.ndarray  # bool [K, PATCHES]: in the candidate's box
    iou: np.ndarray  # float32 [K]: with the best of the boxes that answer the question and that its centre lies in; 0 where there is none
    look: np.ndarray  # float16 [K, E]: what the look has of it
    evidence: np.ndarray  # float32 [K]: what relevance adds to its match
    texts: list  # Q: the words that are asked
    things: list  # K lists: [names that it answers to, IoU] of each thing that the centre lies in

    # name: dtype
    ARRAYS: ClassVar[dict] = {
        "patches": np.uint8,
        "position": np.int64,
        "real": np.bool_,
        "inside": np.bool_,
        "iou": np.float32,
        "look": np.float16,
        "evidence": np.float32,
    }

    def __post_init__(self) -> None:
        k, q = len(self.things), len(self.texts)
        lengths = {name: getattr(self, name).shape[:1] for name in self.ARRAYS}
        if not q or k % q or set(lengths.values()) != {(k,)} or self.patches.ndim != 5 or self.patches.shape[1] != PATCHES:
            raise ValueError(f"{q} questions, {k} close-ups and tables of {lengths}")

    def save(self, path: Path) -> None:
        """To a safetensors file, whole or not at all."""
        labels = json.dumps({"texts": self.texts, "things": self.things})
        write_whole(path, save({name: getattr(self, name) for name in self.ARRAYS}, {LABELS: labels}))

    @classmethod
    def load(cls, path: Path) -> Mined:
        """What `save` wrote. TrainingError where the file is something else."""
        with _opened(path) as file:
            arrays = {name: file.get_tensor(name).astype(kind, casting="no") for name, kind in cls.ARRAYS.items()}
            return cls(**arrays, **_labels(file))

    @staticmethod
    def texts_of(path: Path) -> list:
        """The `texts` of a file alone, without its pictures. TrainingError as `load`."""
        with _opened(path) as file:
            return _labels(file)["texts"]


@contextmanager
def _opened(path: Path) -> Iterator:
    try:
        with safe_open(path, "numpy") as file:
            yield file
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise TrainingError(f"{path} holds no mined close-ups ({error}); remove it and mine the frame again") from None


def _labels(file) -> dict:
    """{"texts", "things"} of an open file."""
    found = json.loads((file.metadata() or {})[LABELS])
    if not all(isinstance(text, str) for text in found["texts"]) or not isinstance(found["things"], list):
        raise ValueError("texts and things are lists")
    return {name: found[name] for name in ("texts", "things")}
