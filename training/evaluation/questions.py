"""What is asked of a frame: half of it is there and half is not, in the same words."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ps3_training.data.shards import Sample

ALTERNATIVES = 4  # of a choice: the right name and three others


@dataclass(frozen=True, eq=False)
class Question:
    """One question on one frame. boxes: float32 [n, 4] px, any of which answers it ([0, 4] where the thing is not in the frame)."""

    text: str
    asks: str  # the name the words mean
    present: bool
    boxes: np.ndarray
    box: np.ndarray | None = None  # float32 [4]: the box that was captioned
    means: tuple = ()  # every name the captioned object answers to
    seen: bool | None = None  # False: an object that training never showed
    choices: tuple = ()  # ALTERNATIVES names; empty where there are not enough
    right: int = -1  # which of the choices is the thing's name

    @property
    def size(self) -> float:
        """Longer side of the captioned box, px; 0 where the thing is not in the frame."""
        return 0.0 if self.box is None else float((self.box[2:] - self.box[:2]).max())


@dataclass(frozen=True)
class Vocabulary:
    """The names of a split. names: sorted, all that its objects are called; groups: {name: its look-alikes' group}."""

    names: tuple
    groups: dict

    @staticmethod
    def of(samples, groups: dict | None = None) -> Vocabulary:
        """Names from the samples; groups from the catalogue of ps3_training.data unless given."""
        names = {name for sample in samples for name in sample.extra.get("name", sample.text)}
        return Vocabulary(tuple(sorted(names)), catalogue_groups() if groups is None else groups)


def catalogue_groups() -> dict[str, str]:
    """{name: group} of the catalogue's objects whose pictures are on this machine."""
    from ps3_training.data import catalogue

    return {thing.name: thing.group for thing in catalogue.load()}


def split_of(folder: Path) -> str:
    """The split a data folder says it is, else its own name."""
    try:
        split = json.loads((Path(folder) / "SETTINGS.json").read_text())["split"]
    except (OSError, ValueError, KeyError, TypeError):
        split = None
    return split if isinstance(split, str) and split else Path(folder).resolve().name


def questions_of(sample: Sample, vocabulary: Vocabulary, only_new: bool = False) -> list[Question]:
    """The captions of a frame, then as many questions for what is not in it, worded as the labels have them, else as its captions are.

    only_new: leave out captions of objects that training showed (they are in the frames of `test-new` as company). The same for the same
    frame and vocabulary. A thing without a list of names it answers to answers to its own name, or to its caption.
    """
    extra, boxes = sample.extra, np.asarray(sample.box, np.float32)
    names = list(extra.get("name") or sample.text)
    asks = list(extra.get("asks") or names)
    means = [tuple(meaning) for meaning in extra.get("means") or [(name,) for name in names]]
    seen = list(extra.get("seen") or [None] * len(names))
    said = {name for meaning in means for name in meaning} | set(asks) | set(names)
    others = [name for name in vocabulary.names if name not in said and name not in sample.global_text]
    random = np.random.default_rng(zlib.crc32(sample.key.encode()))

    present = []
    for n, (text, ask, box) in enumerate(zip(sample.text, asks, boxes, strict=True)):
        if only_new and seen[n] is not False:
            continue
        right = np.array([ask in meaning for meaning in means]) | (boxes == box).all(axis=1)
        choices = _choices(names[n], said, vocabulary.groups, others, random)
        place = int(random.integers(ALTERNATIVES)) if choices else -1
        choices = (*choices[:place], names[n], *choices[place:]) if choices else ()
        present.append(Question(text, ask, True, boxes[right], box, means[n], seen[n], choices, place))
    listed = dict(zip(extra.get("absent", ()), extra.get("absent_text", ()), strict=False))
    asked = []
    for about, name in zip(present, _absent(extra.get("absent", ()), said, others, random, len(present)), strict=False):
        text = listed.get(name) or reworded(about.text, about.asks, name)
        asked.append(Question(text, name, False, np.empty((0, 4), np.float32)))
    return present + asked


def _choices(name: str, said: set, groups: dict, others: list, random) -> tuple:
    """Three names that nothing in the frame answers to: of the thing's own group first, then any of the split's `others`."""
    alike = sorted(other for other, group in groups.items() if group == groups.get(name) and other not in said)
    others = [other for other in others if other not in alike]
    chosen = [alike[i] for i in random.permutation(len(alike))] + [others[i] for i in random.permutation(len(others))]
    return tuple(chosen[: ALTERNATIVES - 1]) if len(chosen) >= ALTERNATIVES - 1 else ()


def _absent(listed, said: set, others: list, random, count: int) -> list[str]:
    """`count` names for which nothing in the frame stands: those the labels list, then some of `others`."""
    chosen = list(dict.fromkeys(name for name in listed if name not in said))
    others = [name for name in others if name not in chosen]
    chosen += [others[i] for i in random.permutation(len(others))]
    return chosen[:count]


def reworded(text: str, asks: str, name: str) -> str:
    """A caption with another name in it, its article mended; "the NAME" where the caption does not hold the name it asks for."""
    if asks not in text:
        return f"the {name}"
    before, after = text.split(asks, 1)
    words = before.split(" ")
    if len(words) > 1 and words[-2] in ("a", "an", "some") and words[-1] == "":
        words[-2] = "an" if name[:1] in "aeio" else "a"
    before = " ".join(words).replace("pair of ", "")
    return before + name + after
