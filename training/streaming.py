"""Frames straight from the shards, cut as they come: for data too large to keep decoded. The cache is the default (docs/training.md)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ps3_ros.manifest import Settings
from ps3_training.data.stream import Reader

from . import distributed
from .batch import Batch, make_batch
from .cache import CachedFrame, cut_frame, frame_of, held_out
from .choice import BatchSettings


@dataclass(frozen=True)
class Cut:
    """A sample -> its line and arrays as a cache holds them, in a loader's process; None for frames that are held out."""

    settings: Settings
    held_out_share: float

    def __call__(self, sample: Any) -> tuple[dict, dict] | None:
        if held_out(sample.key, self.held_out_share):
            return None
        labels = {"text": list(sample.text), "box": sample.box, "global_text": sample.global_text, **sample.extra}
        return cut_frame(sample.key, sample.jpg, labels, self.settings, np.random.default_rng(zlib.crc32(sample.key.encode())))


@dataclass(frozen=True)
class Streamed:
    """A batch and where its rank's reader stood after it."""

    batch: Batch
    position: dict


class Stream:
    """One rank's batches, in the reader's order: make(step) must be called step by step, which one thread does."""

    def __init__(self, folder: Path, batch: BatchSettings, model: Settings, seed: int, processes: int, held_out_share: float = 0.0):
        self.folder, self.batch, self.model, self.seed = folder, batch, model, seed
        self.processes, self.cut = processes, Cut(model, held_out_share)
        self.reader: Reader | None = None
        self.frames: Iterator[tuple[dict, dict]] | None = None
        self.state: dict | None = None

    def restore(self, positions: list) -> None:
        """Go on where a checkpoint was: every rank's position, of which this rank takes its own."""
        if positions:
            self.state = positions[distributed.rank()] if distributed.rank() < len(positions) else {}

    def make(self, step: int) -> Streamed:
        """The next batch; its draws follow from (seed, step, place)."""
        if self.frames is None:
            ranks = {"rank": distributed.rank(), "ranks": distributed.size()}
            self.reader = Reader(self.folder, self.cut, seed=self.seed, workers=self.processes, state=self.state, **ranks)
            self.frames = iter(self.reader)
        taken = [frame_of(*one) for one in islice(self.frames, self.batch.frames)]
        first = distributed.rank() * self.batch.frames
        rngs = [np.random.default_rng((self.seed, 2, step, first + place)) for place in range(len(taken))]
        return Streamed(make_batch(taken, self.batch, self.model, rngs), self.reader.state())


def first_frames(samples: Any, model: Settings, count: int) -> list[CachedFrame]:
    """The first samples as frames, for pictures."""
    return [frame_of(*Cut(model, 0.0)(sample)) for sample in islice(samples, count)]
