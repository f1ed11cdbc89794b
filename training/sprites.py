"""A bank of cut-outs of the catalogue's objects, ready to paste: the warm start needs hundreds a second, and dressing one takes
milliseconds.
"""

from __future__ import annotations

import json
import multiprocessing
import zlib
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ps3_ros.errors import CheckpointError
from ps3_training.data import augment, backgrounds, captions, catalogue, words

from .files import write_whole

SIDE = 112  # px, longer side of a cut-out in the bank
TEXT_OVER = 1.3  # a text sign is kept at this many times the size at which its words can just be read
CAPTIONS = 3  # a cut-out
TEXT_SHARE = 0.08  # of cut-outs drawn: text signs. Each says something else in the same letters, and needs more than its number's share
CORE_SHARE = 0.6  # of the others: names of the hand-written table, which robots are asked for most
PLACES = {"street": ("street", "pole", "photo"), "room": ("room", "photo"), "any": ("street", "room", "photo")}
CAPTION_SIZE = 100  # px: says neither "small" nor "large", as the size is drawn later


@dataclass(frozen=True)
class Bank:
    """n cut-outs; pixels are premultiplied by alpha, red first, and lie one after another."""

    pixels: np.ndarray  # uint8 [sum of h * w, 4]
    shape: np.ndarray  # int32 [n, 2]: h, w
    start: np.ndarray  # int64 [n]
    labels: tuple[dict, ...]  # n: {"means": [...], "texts": [...], "asks": [...], "group": str, "core": bool, "least": px, 0 if left out}
    backgrounds: np.ndarray  # uint8 [m, h, w, 3], red first

    def draw(self, rng: np.random.Generator, alike: int | None = None) -> int:
        """A cut-out's number: a text sign with TEXT_SHARE, else of the hand-written names with CORE_SHARE, else of the wide ones, half of
        the time group first, so that many signs do not crowd out the rest. alike: one of the group of that cut-out instead.
        """
        text, core, wide, groups = self._pools
        if alike is not None:
            pool = groups[self.labels[alike]["group"]]
        elif len(text) and rng.random() < TEXT_SHARE:
            pool = text
        elif len(core) and (rng.random() < CORE_SHARE or not len(wide)):
            pool = core
        elif rng.random() < 0.5:
            pool = wide
        else:
            pool = groups[self._wide_groups[rng.integers(len(self._wide_groups))]]
        return int(pool[rng.integers(len(pool))])

    def least(self, i: int) -> int:
        """Longer side in px below which cut-out i shows nothing of what it is: words that nobody can read teach nothing. 0: none."""
        return self.labels[i].get("least", 0)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Everything that its captions ask for, once each: V names."""
        return tuple(sorted({ask for label in self.labels for ask in label["asks"]}))

    def answers(self, i: int) -> np.ndarray:
        """bool [V]: the names that cut-out i answers."""
        return np.isin(np.arange(len(self.names)), [self._number[name] for name in self.labels[i]["means"] if name in self._number])

    def answers_name(self, name: str) -> np.ndarray:
        """bool [V]: what every cut-out answers that is asked for by this name first of all; none for a name that is asked for nowhere."""
        return np.isin(np.arange(len(self.names)), [self._number[one] for one in self._always.get(name, ()) if one in self._number])

    def draw_thing(self, rng: np.random.Generator) -> int:
        """The number of a cut-out that is no text sign, each as likely."""
        _, core, wide, _ = self._pools
        i = int(rng.integers(len(core) + len(wide)))
        return int(core[i] if i < len(core) else wide[i - len(core)])

    @cached_property
    def _always(self) -> dict[str, set[str]]:
        """{a thing's own name: names that all of its cut-outs answer}."""
        found: dict[str, set[str]] = {}
        for label in self.labels:
            own, means = label["means"][0], set(label["means"])
            found[own] = found[own] & means if own in found else means
        return found

    @cached_property
    def by_name(self) -> dict[tuple[str, bool], np.ndarray]:
        """{(a thing's own name, whether it is hand-written): numbers of its cut-outs}, text signs left out."""
        found: dict[tuple[str, bool], list[int]] = {}
        for i, label in enumerate(self.labels):
            if "least" not in label:
                found.setdefault((label["means"][0], label["core"]), []).append(i)
        return {name: np.array(numbers) for name, numbers in found.items()}

    @cached_property
    def _number(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    @cached_property
    def _pools(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        core = np.array([label["core"] for label in self.labels], bool)
        text = np.array(["least" in label for label in self.labels], bool)
        groups: dict[str, list[int]] = {}
        for i, label in enumerate(self.labels):
            groups.setdefault(label["group"], []).append(i)
        members = {name: np.array(numbers) for name, numbers in groups.items()}
        return np.flatnonzero(text), np.flatnonzero(core), np.flatnonzero(~core & ~text), members

    @cached_property
    def _wide_groups(self) -> list[str]:
        return sorted({label["group"] for label in self.labels if not label["core"] and "least" not in label})

    def sprite(self, i: int) -> np.ndarray:
        """uint8 [h, w, 4], premultiplied."""
        h, w = self.shape[i]
        return self.pixels[self.start[i] : self.start[i] + h * w].reshape(h, w, 4)


MADE_OF = "catalogue.txt"  # in a bank's folder: what of; banks of earlier versions have none


def is_made(folder: Path) -> bool:
    """Whether a whole bank lies there."""
    return (folder / "bank.json").exists()


def check_made(folder: Path) -> None:
    """CheckpointError where no bank lies in a folder that a command was given."""
    if not is_made(folder):
        raise CheckpointError(f"There is no bank of cut-outs in {str(folder)!r}; name the one that `ps3 train` made.")


def make_bank(folder: Path, each: int = 36, scenes: int = 48, seed: int = 0, processes: int = 2, require: bool = True) -> Bank:
    """Make the bank, or read it where `folder` has it: `each` looks of every object that training may see, on `scenes` backgrounds.

    Objects that take a colour and traffic lights, whose drawings vary most, get twice as many; wide ones (wide.py) a third.
    require: AssetError where a collection of pictures is missing, so that no run learns fewer names than it was asked for unseen; and
    where the bank that is there was made of other pictures than this machine has now.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if is_made(folder):
        _check_made_of(folder)
    else:
        things = catalogue.load(require, restyled=True)
        named = [o for o in (*things, *words.signs()) if not o.held_out]
        jobs = [(number, thing, _looks_of(thing, each), seed) for number, thing in enumerate(named)]
        with ExitStack() as stack:
            if processes > 1:
                mapped = stack.enter_context(ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"))).map
            else:
                mapped = map
            made = [entry for entries in mapped(_looks, jobs) for entry in entries]
            scenery = np.stack(list(mapped(_scenery, [(seed, i) for i in range(scenes)])))
        shape = np.array([rgba.shape[:2] for rgba, _ in made], np.int32)
        start = np.concatenate([[0], np.cumsum(shape.prod(1).astype(np.int64))[:-1]])
        arrays = {
            "pixels": np.concatenate([rgba.reshape(-1, 4) for rgba, _ in made]),
            "shape": shape,
            "start": start,
            "backgrounds": scenery,
        }
        save_file(arrays, folder / "bank.safetensors")
        write_whole(folder / MADE_OF, _made_of(things) + "\n")
        write_whole(folder / "bank.json", json.dumps([label for _, label in made]))
    return read_bank(folder)


def read_bank(folder: Path) -> Bank:
    """A bank that was made, whatever pictures are here now. AssetError where it is not whole."""
    try:
        labels = json.loads((folder / "bank.json").read_text())
        bank = Bank(**load_file(folder / "bank.safetensors"), labels=tuple(labels))
        if not isinstance(labels, list) or len(labels) != len(bank.shape):
            raise ValueError(f"{len(labels)} labels of {len(bank.shape)} cut-outs")
    except (OSError, ValueError, TypeError, SafetensorError) as error:
        raise catalogue.AssetError(
            f"The bank of cut-outs in {str(folder)!r} cannot be read ({error}); delete it to make it again."
        ) from error
    return bank


def _made_of(things: tuple[catalogue.NamedObject, ...]) -> str:
    """ "2232 names, 14188 pictures, ae3729cf"."""
    counted = " ".join(f"{o.name}:{len(o.pictures)}:{len(o.restyled)}" for o in things)
    pictures = sum(len(o.pictures) + len(o.restyled) for o in things)
    return f"{len(things)} names, {pictures} pictures, {zlib.crc32(counted.encode()):08x}"


def _check_made_of(folder: Path) -> None:
    note = folder / MADE_OF
    if not note.is_file() or catalogue.missing():  # a bank may be brought to a machine that has no pictures
        return
    before, now = note.read_text().strip(), _made_of(catalogue.load(restyled=True))
    if before != now:
        raise catalogue.AssetError(
            f"The bank of cut-outs in {str(folder)!r} was made of {before}, and here are {now}; delete it to learn these, or put the "
            "pictures back as they were."
        )


def _looks_of(thing: catalogue.NamedObject, each: int) -> int:
    if not thing.core and not words.is_text(thing):
        return -(-each // 3)
    return each * (2 if thing.recolour or thing.kind == "light" else 1)


def _looks(job: tuple[int, catalogue.NamedObject, int, int]) -> list[tuple[np.ndarray, dict]]:
    """`count` dressed cut-outs of one object with their captions."""
    number, thing, count, seed = job
    cv2.setNumThreads(1)
    rng = np.random.default_rng((seed, number))
    made = []
    for _ in range(count):
        colour = str(rng.choice(sorted(catalogue.COLOURS))) if thing.recolour and rng.random() < 0.7 else None
        least = words.least_size(thing) if words.is_text(thing) else 0
        rgba = augment.dressed(words.cut_out(thing, rng, round(max(SIDE, TEXT_OVER * least)), colour), rng, thing.kind)
        place = PLACES[thing.place]
        said = [captions.caption(thing, rng, colour, place[rng.integers(len(place))], CAPTION_SIZE) for _ in range(CAPTIONS)]
        label = {
            "means": list(captions.means(thing, colour)),
            "texts": [text for text, _ in said],
            "asks": [ask for _, ask in said],
            "group": thing.group,
            "core": thing.core and not least,
        }
        made.append((premultiplied(rgba), label | ({"least": least} if least else {})))
    return made


def premultiplied(rgba: np.ndarray) -> np.ndarray:
    """Colours by their alpha, as `paste` takes them: uint8 [h, w, 4] in and out."""
    alpha = rgba[..., 3:].astype(np.uint16)
    return np.concatenate([(rgba[..., :3] * alpha + 127) // 255, alpha], axis=2).astype(np.uint8)


def _scenery(job: tuple[int, int]) -> np.ndarray:
    cv2.setNumThreads(1)
    scene = backgrounds.make(np.random.default_rng((job[0], 7, job[1])), varied=True).pixels
    return np.ascontiguousarray(augment.camera(scene, np.random.default_rng((job[0], 8, job[1])))[..., ::-1])


def scenery_crop(bank: Bank, rng: np.random.Generator, width: int, height: int, source: tuple[float, float]) -> np.ndarray:
    """A random part of a background, `source` = (w, h) px of it, resized to width x height: uint8 [height, width, 3]."""
    scene = bank.backgrounds[rng.integers(len(bank.backgrounds))]
    w, h = min(int(source[0]), scene.shape[1]), min(int(source[1]), scene.shape[0])
    x, y = rng.integers(scene.shape[1] - w + 1), rng.integers(scene.shape[0] - h + 1)
    part = scene[y : y + h, x : x + w]
    return part.copy() if (w, h) == (width, height) else cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)


def distant_scenery(bank: Bank, rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """scenery_crop from up to four times as far, log-uniform."""
    zoom = np.exp(rng.uniform(0, np.log(4)))
    return scenery_crop(bank, rng, width, height, (width * zoom, height * zoom))


def resized(sprite: np.ndarray, width: float, height: float) -> np.ndarray:
    """A cut-out at this size in px, rounded, 2 or more."""
    size = max(2, round(width)), max(2, round(height))
    return cv2.resize(sprite, size, interpolation=cv2.INTER_AREA if size[0] < sprite.shape[1] else cv2.INTER_LINEAR)


def anywhere(rng: np.random.Generator, inside: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """x, y of the top left of a thing of `size` = (w, h) px in a picture of `inside` = (width, height), or over it where it is larger."""
    x, y = (int(rng.integers(min(0, px - length), max(0, px - length) + 1)) for px, length in zip(inside, size, strict=True))
    return x, y


def paste(image: np.ndarray, sprite: np.ndarray, x: int, y: int) -> np.ndarray:
    """Lay a premultiplied cut-out over `image` (uint8 [H, W, 3], changed in place) with its top left at x, y; parts outside are cut.

    Returns the alpha that was laid, uint8 [H, W], zero elsewhere.
    """
    height, width = image.shape[:2]
    alpha = np.zeros((height, width), np.uint8)
    x1, y1, x2, y2 = max(x, 0), max(y, 0), min(x + sprite.shape[1], width), min(y + sprite.shape[0], height)
    if x2 > x1 and y2 > y1:
        part = sprite[y1 - y : y2 - y, x1 - x : x2 - x]
        alpha[y1:y2, x1:x2] = part[..., 3]
        under = image[y1:y2, x1:x2].astype(np.uint16)
        image[y1:y2, x1:x2] = np.minimum(part[..., :3] + (under * (255 - part[..., 3:].astype(np.uint16)) + 127) // 255, 255)
    return alpha
