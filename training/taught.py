"""What a step shows to a teacher (teacher.py): photographs, parts of photographs and the bank's cut-outs.

Each view is a crop as the look meets it: 24 to 150 px, on scenery, through a camera. The teacher sees the same thing clean and large, on
other scenery: so the look learns what it is whatever its size and ground.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from ps3_ros.close_up import LEAST_PX, SIDE
from ps3_ros.frame import FramePlan
from ps3_ros.manifest import Settings
from ps3_training.data import augment, backgrounds, catalogue
from ps3_training.data.drawing import trim
from ps3_training.data.photographs import LIST

from . import teacher
from .crops import FRAME, ZOOM, covered_by, jittered, magnified, patches_of, places, scale_odds, shows
from .errors import TrainingError
from .sprites import Bank, anywhere, distant_scenery, paste, premultiplied, resized, scenery_crop

LARGEST_PX = 1800  # longer side at which backgrounds' photographs are kept
SIZES = (24.0, 150.0)  # px, longer side of a thing in its view
BACKGROUNDS = 0.35  # of the parts of photographs: of wallpapers, which show scenery
CAMERA, MAGNIFIED = 0.7, 0.4  # of the views at the finest scale


@dataclass(frozen=True)
class Photographs:
    """What there is to see, uint8 [h, w, 3], red first."""

    named: dict[str, tuple[tuple[np.ndarray, np.ndarray], ...]]  # by a name of the bank's: (cut-out [h, w, 4], premultiplied; the whole)
    parts: tuple[np.ndarray, ...]  # all of them, with or without a name
    wide: tuple[np.ndarray, ...]  # the backgrounds' photographs

    @classmethod
    def read(cls, names: set[str], named: int, parts: int) -> Photographs:
        """Those on this machine. names: what the bank's captions ask for. named, parts: how many a step shows; nothing is read where both
        are 0. TrainingError where data/photographs.py was not run, or photographed nothing that the bank has.
        """
        if not named and not parts:
            return cls({}, (), ())
        folder = catalogue.roots().get("photo")
        if folder is None:
            raise TrainingError(
                "photographs and windows are asked for, and there are none in the folder of pictures; "
                "run `python -m ps3_training.data.photographs`, or set them to 0"
            )
        by_name, every = {}, []
        for one in json.loads((folder / LIST).read_text()):
            pixels = _read(folder / one["file"])
            every.append(pixels)
            if one["cut_out"] and one["name"] in names:
                by_name.setdefault(one["name"], []).append((_cut_out(folder / one["cut_out"]), pixels))
        if named and not by_name:
            raise TrainingError(f"none of the {len(every)} photographs in {folder} shows a thing of the bank's; set photographs to 0")
        wide = [_read(Path(path), LARGEST_PX) for _, path in sorted(backgrounds.photo_files().items())] if parts else []
        return cls({name: tuple(found) for name, found in sorted(by_name.items())}, tuple(every), tuple(wide))


def _read(path: Path, largest: int = 0) -> np.ndarray:
    pixels = _decoded(path, cv2.IMREAD_COLOR)
    scale = largest / max(pixels.shape[:2]) if largest else 1.0
    if scale < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(pixels[..., ::-1])


def _cut_out(path: Path) -> np.ndarray:
    """Trimmed to what shows and premultiplied, as a bank's cut-outs are."""
    pixels = _decoded(path, cv2.IMREAD_UNCHANGED)
    if pixels.ndim != 3 or pixels.shape[2] != 4:
        raise TrainingError(f"the cut-out {path} has no alpha; delete its folder and make it again")
    return premultiplied(trim(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA)))


def _decoded(path: Path, how: int) -> np.ndarray:
    pixels = cv2.imread(str(path), how)
    if pixels is None:
        raise TrainingError(f"the photograph {path} cannot be read; delete its folder and make it again")
    return pixels


@dataclass(frozen=True)
class Taught:
    """M views of n patches, in any order."""

    patches: torch.Tensor  # float32 [M, n, 3 * p * p]
    position: torch.Tensor  # int64 [M, n]
    mask: torch.Tensor  # bool [M, 1, n]: the tokens that show the thing
    pictures: torch.Tensor  # uint8 [M, teacher.SIDE, teacher.SIDE, 3], red first: what the teacher sees
    answers: torch.Tensor  # bool [M, V]: names that a photograph answers; none for parts and cut-outs


def make_taught(
    bank: Bank, photographs: Photographs, counts: tuple[int, int, int], spread: float, model: Settings, rng: np.random.Generator
) -> Taught:
    """counts: how many named photographs, parts of photographs and cut-outs. spread: of the colour jitter. From rng alone."""
    p, plan = model.patch, FramePlan.of(*FRAME, model)
    made = []
    for show, count in zip((_photograph, _part, _cut_out_of_bank), counts, strict=True):
        for _ in range(count):
            name, thing, seen = show(bank, photographs, rng)
            size = float(np.exp(rng.uniform(*np.log(SIZES))))
            image, alpha = _small(bank, thing, seen, size, SIDE * p, rng)
            s = int(rng.choice(len(plan.grids), p=scale_odds(len(plan.grids))))
            if s == len(plan.grids) - 1:
                image = _taken(image, size, rng)
            values, around = jittered(image, spread, model, rng), places(plan, s, (SIDE, SIDE), rng)
            clean = cv2.resize(seen, (teacher.SIDE, teacher.SIDE), interpolation=cv2.INTER_AREA)
            mask = shows(covered_by(alpha, (SIDE, SIDE), p))
            made.append((patches_of(values, (SIDE, SIDE), p), around, mask[None], clean, bank.answers_name(name)))
    order = rng.permutation(len(made))  # the first of them see a glance
    return Taught(*(torch.from_numpy(np.stack([made[i][field] for i in order])) for field in range(5)))


# Each of these three gives (a name or "", the cut-out or None, what the teacher sees).


def _photograph(bank: Bank, photographs: Photographs, rng: np.random.Generator) -> tuple:
    name = list(photographs.named)[rng.integers(len(photographs.named))]
    thing, seen = _any(photographs.named[name], rng)
    return (name, thing[:, ::-1], seen[:, ::-1]) if rng.random() < 0.5 else (name, thing, seen)


def _part(bank: Bank, photographs: Photographs, rng: np.random.Generator) -> tuple:
    """A random square of a picture, mirrored or not: its side from a share of the shorter one to all of it, log-uniform."""
    far = len(photographs.wide) and rng.random() < BACKGROUNDS
    pixels, least = _any(photographs.wide if far else photographs.parts, rng), 0.05 if far else 0.25
    height, width = pixels.shape[:2]
    side = max(round(LEAST_PX), int(min(height, width) * np.exp(rng.uniform(np.log(least), 0))))
    y, x = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    part = pixels[y : y + side, x : x + side]
    return "", None, np.ascontiguousarray(part[:, ::-1] if rng.random() < 0.5 else part)


def _cut_out_of_bank(bank: Bank, photographs: Photographs, rng: np.random.Generator) -> tuple:
    """In the middle of scenery, large."""
    thing = bank.sprite(bank.draw_thing(rng))
    side = round(max(thing.shape[:2]) * 1.2)
    seen = scenery_crop(bank, rng, side, side, (side * 1.5, side * 1.5))
    paste(seen, thing, (side - thing.shape[1]) // 2, (side - thing.shape[0]) // 2)
    return "", thing, seen


def _any(pictures: tuple[np.ndarray, ...], rng: np.random.Generator) -> np.ndarray:
    return pictures[rng.integers(len(pictures))]


def _small(
    bank: Bank, thing: np.ndarray | None, seen: np.ndarray, size: float, side: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(picture uint8 [side, side, 3], alpha): the thing `size` px long, somewhere on scenery; without one, all that the teacher sees."""
    if thing is None:
        image = cv2.resize(seen, (side, side), interpolation=cv2.INTER_AREA if seen.shape[0] > side else cv2.INTER_LINEAR)
        return image, np.full((side, side), 255, np.uint8)
    image = distant_scenery(bank, rng, side, side)
    scale = size / max(thing.shape[:2])
    thing = resized(thing, thing.shape[1] * scale, thing.shape[0] * scale)
    return image, paste(image, thing, *anywhere(rng, (side, side), thing.shape[1::-1]))


def _taken(image: np.ndarray, size: float, rng: np.random.Generator) -> np.ndarray:
    """As a camera takes a thing of `size` px: enlarged from fewer px, plainly, or not at all."""
    if rng.random() < MAGNIFIED:
        return magnified(image, min(ZOOM, max(1.0, min(size, image.shape[0]) / LEAST_PX)), rng)
    return augment.photographed(image, rng) if rng.random() < CAMERA else image
