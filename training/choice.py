"""Which patches of a cached frame a look takes, ground truth first (paper, Pre-training), and which of its tokens make a region."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from ps3_ros.manifest import Settings

from .cache import CachedFrame, overlap
from .errors import TrainingError

INSIDE = 0.25  # share of the smaller of patch and box that both must have for the patch to belong to the box
WHOLE, PART, BACKGROUND = 0, 1, 2  # what a row is: a box (or, pooled over the look, all tokens), a part of a box, nothing named
CAPTIONS = ("any", "first", "sentence")


@dataclass(frozen=True)
class BatchSettings:
    """What is drawn from a frame; each value is a key of the YAML's `batch`."""

    frames: int = 6  # a step and rank
    tokens: int = 448  # N: high-res patches of a frame in one step
    tokens_a_box: int = 96  # a larger box gives a random part of its patches
    captions_a_frame: int = 0  # boxes looked at, each with one caption; 0: as many as the tokens hold (the paper: 1)
    captions: str = "any"  # of several captions of a box: any, the first, or one sentence of any
    global_fraction: float = 0.25  # of frames also matched as a whole with their global caption (paper: 0.25)
    scales: tuple[int, ...] = ()  # px: high-res scales that are looked at; empty: all
    selection: str | float = "ground_truth"  # or "predicted": by the model's own maps; or the predicted share of a look's tokens
    hard_share: float = 0.0  # of a look's tokens: what the model's maps choose for a wrong caption, outside every box
    candidates: int = 4  # cached patches to choose from for each predicted or hard token
    pool: str = "box"  # regions are the tokens inside a box, or "look": all tokens of the look
    part_masks: bool = True  # also pool a random part of a box's tokens
    token_masks: int = 2  # single tokens of a box matched on their own, so that a token's match localises
    background_areas: int = 4  # regions of a frame where nothing is: no caption fits them ("not found")
    background_tokens: int = 8  # single tokens beside boxes and in the background: no caption fits them
    support_tokens: int = 0  # single tokens just under each box looked at, such as a sign's post: no caption of the frame fits them
    colour_jitter: float = 0.1  # spread of the gain and shift given to a frame's pixels

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", tuple(self.scales))
        if self.frames < 1 or self.tokens < 1 or self.captions_a_frame < 0 or self.candidates < 1:
            raise TrainingError(
                f"frames, tokens, captions_a_frame and candidates are {self.frames}, {self.tokens}, {self.captions_a_frame} and "
                f"{self.candidates}; give 1, 1, 0 and 1 or more"
            )
        if self.captions not in CAPTIONS or self.pool not in ("box", "look"):
            raise TrainingError(
                f"captions and pool are {self.captions!r} and {self.pool!r}; give one of {', '.join(CAPTIONS)}, and box or look"
            )
        if self.selection not in ("ground_truth", "predicted") and not (
            isinstance(self.selection, int | float) and 0 <= self.selection <= 1
        ):
            raise TrainingError(f"selection is {self.selection!r}; give ground_truth, predicted, or a share from 0 to 1")
        if min(self.token_masks, self.background_areas, self.background_tokens, self.support_tokens) < 0:
            raise TrainingError(
                f"token_masks, background_areas, background_tokens and support_tokens are {self.token_masks}, {self.background_areas}, "
                f"{self.background_tokens} and {self.support_tokens}; give 0 or more"
            )
        if not 0 <= self.hard_share < 1 or not 0 <= self.global_fraction <= 1:
            raise TrainingError(
                f"hard_share, global_fraction are {self.hard_share} and {self.global_fraction}; give shares from 0 to 1, below 1 the first"
            )

    @property
    def hard_tokens(self) -> int:
        """Of a look: chosen for a wrong caption."""
        return round(self.hard_share * self.tokens)

    @property
    def predicted_tokens(self) -> int:
        """Of a look: chosen for the frame's own captions."""
        share = {"ground_truth": 0.0, "predicted": 1.0}.get(self.selection, self.selection)
        return round(share * (self.tokens - self.hard_tokens))

    @property
    def fixed_tokens(self) -> int:
        """Of a look: ground truth first, then background."""
        return self.tokens - self.hard_tokens - self.predicted_tokens


@dataclass
class Rows:
    """Regions of one frame as they are drawn."""

    masks: list[np.ndarray]  # bool [N]
    box: list[int]  # -1: background
    kind: list[int]  # WHOLE, PART or BACKGROUND

    def add(self, mask: np.ndarray, box: int, kind: int, empty: bool = False) -> None:
        if mask.any() or empty:
            self.masks.append(mask)
            self.box.append(box)
            self.kind.append(kind)


def caption_choices(texts: tuple[str, ...], mode: str) -> tuple[str, ...]:
    """The strings that a draw can give: the captions, the first of them, or their single sentences (the paper cuts them by sentence)."""
    if mode == "first":
        return texts[:1]
    if mode == "any":
        return texts
    return tuple(part for text in texts for part in (re.split(r"(?<=[.!?])\s+", text.strip()) or [text]))


def draw_caption(texts: tuple[str, ...], mode: str, rng: np.random.Generator) -> tuple[str, int]:
    """A caption and the number of the text it was drawn from."""
    which = 0 if mode == "first" else int(rng.integers(len(texts)))
    choices = caption_choices(texts[which : which + 1], mode)
    return choices[0 if len(choices) == 1 else int(rng.integers(len(choices)))], which


def at_scales(frame: CachedFrame, scales: tuple[int, ...], model: Settings) -> CachedFrame:
    """The frame with only the patches of the given high-res scales (px). TrainingError where the model lacks one."""
    if not scales:
        return frame
    unknown = set(scales) - set(model.scales[1:])
    if unknown:
        raise TrainingError(f"batch.scales names {sorted(unknown)}, but the model's high-res scales are {model.scales[1:]}; give those")
    ends = np.cumsum([(scale // model.patch) ** 2 for scale in model.scales[1:]])
    keep = np.isin(np.searchsorted(ends, frame.position, side="right"), [model.scales[1:].index(scale) for scale in scales])
    return replace(frame, patches=frame.patches[keep], position=frame.position[keep], patch_boxes=frame.patch_boxes[keep])


def draw_boxes(frame: CachedFrame, settings: BatchSettings, rng: np.random.Generator) -> np.ndarray:
    """The boxes a look is for, in random order: int64 [r]."""
    order = rng.permutation(len(frame.boxes))
    return order[: settings.captions_a_frame] if settings.captions_a_frame else order


def choose_patches(frame: CachedFrame, settings: BatchSettings, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Patches for one look, ground truth first: indexes into frame.patches int64 [n <= fixed_tokens], and the boxes they were taken for.

    Boxes come in random order until the tokens run out; each gives its own patches and those just beside it, coarse scales first, and no
    more than tokens_a_box; what is left goes to background areas and then to anything.
    """
    count, budget = len(frame.patch_boxes), settings.fixed_tokens
    grown = frame.boxes + np.array([-1, -1, 1, 1], np.float32) * 8
    near = overlap(grown, frame.patch_boxes) > 0 if len(frame.boxes) else np.zeros((0, count), bool)
    size = frame.patch_boxes[:, 2] - frame.patch_boxes[:, 0]
    chosen = np.zeros(count, bool)
    boxes = []
    for box in draw_boxes(frame, settings, rng):
        members = np.flatnonzero(near[box])
        order = np.argsort(-size[members] + rng.random(len(members)) * 1e-3, kind="stable")  # coarse first, then at random
        members = members[order][: settings.tokens_a_box]
        if budget and chosen.sum() + (~chosen[members]).sum() > budget * 0.9 and boxes:
            continue
        chosen[members] = budget > 0
        boxes.append(int(box))
    if settings.support_tokens and boxes:
        below = under(frame.boxes[boxes], frame.patch_boxes, frame.boxes) & ~chosen
        for row in below:
            room = max(0, budget - int(chosen.sum()))
            chosen[rng.permutation(np.flatnonzero(row))[: min(settings.support_tokens, room)]] = True
    rest = rng.permutation(np.flatnonzero(~chosen))
    background = overlap(frame.areas, frame.patch_boxes[rest]).any(0) if len(frame.areas) else np.zeros(len(rest), bool)
    rest = np.concatenate([rest[background], rest[~background]])
    taken = np.flatnonzero(chosen)
    if len(taken) > budget:
        taken = np.sort(rng.permutation(taken)[:budget])
    return np.sort(np.concatenate([taken, rest[: budget - len(taken)]])), np.array(sorted(boxes), np.int64)


def inside(boxes: np.ndarray, patch_boxes: np.ndarray) -> np.ndarray:
    """Which patches belong to which box: bool [R, P]. At least one a box, the patch that shares most with it."""
    if not len(boxes) or not len(patch_boxes):
        return np.zeros((len(boxes), len(patch_boxes)), bool)
    shared = overlap(boxes, patch_boxes)
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1)[:, None]
    patch_area = np.prod(patch_boxes[:, 2:] - patch_boxes[:, :2], axis=-1)[None]
    member = shared >= INSIDE * np.minimum(area, patch_area)
    member[np.arange(len(boxes)), shared.argmax(1)] |= shared.max(1) > 0
    return member


def under(boxes: np.ndarray, patch_boxes: np.ndarray, every: np.ndarray) -> np.ndarray:
    """Which patches lie under the middle of which box, no further down than the box is high, and touch none of `every` box: bool [R, P]."""
    x1, y1, x2, y2 = boxes.T
    strip = np.stack([x1 + (x2 - x1) / 4, y2, x2 - (x2 - x1) / 4, 2 * y2 - y1], 1)
    return (overlap(strip, patch_boxes) > 0) & (overlap(every, patch_boxes) == 0).all(0)


def draw_regions(frame: CachedFrame, patch_boxes: np.ndarray, boxes: np.ndarray, settings: BatchSettings, rng: np.random.Generator) -> Rows:
    """Masks over the chosen patches: boxes whole, in part and token by token, then background areas and tokens.

    Where more patches are to be predicted, a box's whole row is kept even if it is empty so far.
    """
    rows, later = Rows([], [], []), settings.predicted_tokens > 0
    if settings.pool == "look":
        for box in boxes:
            rows.add(np.ones(len(patch_boxes), bool), box, WHOLE, later)
        return rows
    member = inside(frame.boxes, patch_boxes)
    for box in boxes:
        tokens = np.flatnonzero(member[box])
        rows.add(member[box], box, WHOLE, later)
        if settings.part_masks and len(tokens) > 2:
            part = rng.permutation(tokens)[: rng.integers(1, len(tokens))]
            rows.add(np.isin(np.arange(len(patch_boxes)), part), box, PART)
        for token in rng.permutation(tokens)[: settings.token_masks]:
            rows.add(np.arange(len(patch_boxes)) == token, box, PART)
    for area in inside(frame.areas, patch_boxes)[rng.permutation(len(frame.areas))[: settings.background_areas]]:
        rows.add(area, -1, BACKGROUND)
    if len(frame.boxes):
        shared = overlap(frame.boxes, patch_boxes)
        free = np.flatnonzero((shared == 0).all(0))
        beside = np.flatnonzero((overlap(frame.boxes + np.array([-48, -48, 48, 48], np.float32), patch_boxes[free]) > 0).any(0))
        half = settings.background_tokens // 2
        for token in [*free[rng.permutation(beside)[:half]], *rng.permutation(free)[: settings.background_tokens - half]]:
            rows.add(np.arange(len(patch_boxes)) == token, -1, BACKGROUND)
    if settings.support_tokens and len(boxes):
        for below in under(frame.boxes[boxes], patch_boxes, frame.boxes):
            for token in rng.permutation(np.flatnonzero(below))[: settings.support_tokens]:
                rows.add(np.arange(len(patch_boxes)) == token, -1, BACKGROUND)
    return rows
