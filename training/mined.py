"""Teaching by the robot's own close-ups (mining.py): which of them is the thing asked for, and what each of them is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ps3_ros.close_up import WEIGHT
from ps3_ros.manifest import Settings
from ps3_training.model import PS3, settings_of

from . import losses
from .batch import colour_jitter, lit
from .errors import TrainingError
from .mined_file import Mined
from .sentences import Sentences
from .settings import RunSettings, section
from .start import start_thresholds

ATTENTION = 8.0  # of a softmax over a question's candidates: the best ones weigh most, as they are what the robot answers


@dataclass(frozen=True)
class MinedSettings:
    """Each value is a key of the YAML's `pretrain.mined`."""

    folder: str = ""  # what mining.py wrote
    questions: int = 12  # of a frame and step, each with all its candidates
    weight: float = 1.0
    names_weight: float = 1.0  # of telling what lies under a candidate from all names of the bank
    absent_weight: float = 0.05  # of its score for every name that nothing under it answers, down
    least_iou: float = 0.0  # a candidate that lies on a thing with less counts neither way
    colour_jitter: float = 0.15

    def __post_init__(self) -> None:
        if not self.folder or self.questions < 1 or min(self.weight, self.names_weight, self.absent_weight, self.colour_jitter) < 0:
            raise TrainingError(f"pretrain.mined has {self}; give folder, 1 question or more, and weights of 0 or more")
        if not 0 <= self.least_iou < 1:
            raise TrainingError(f"pretrain.mined.least_iou is {self.least_iou}; give a number of 0 or more and below 1")


@dataclass(frozen=True)
class MinedBatch:
    """The close-ups of a step's frames, one frame after the other: K of Q questions, each with as many."""

    patches: Tensor  # float32 [K, PATCHES, 3 * p * p]
    position: Tensor  # int64 [K, PATCHES]
    real: Tensor  # bool [K, PATCHES]
    inside: Tensor  # bool [K, PATCHES]
    look: Tensor  # float32 [K, E]
    evidence: Tensor  # float32 [K]
    right: Tensor  # bool [K]: what the question asks for
    unsure: Tensor  # bool [K]: on it, with too small an IoU to say so
    frame: Tensor  # int64 [K]: of the batch
    texts: tuple  # Q
    names: tuple  # K tuples: what the candidate is
    under: tuple  # K tuples: those, and what else lies under its centre


def mined_batch(frames: Sequence[Mined], settings: MinedSettings, model: Settings, rngs: Sequence[np.random.Generator]) -> MinedBatch:
    """The close-ups of some questions of each frame, each in a light of its own."""
    arrays: dict[str, list] = {name: [] for name in ("patches", "position", "real", "inside", "look", "evidence", "iou", "frame")}
    texts, names, under = [], [], []
    for b, (one, rng) in enumerate(zip(frames, rngs, strict=True)):
        each = len(one.things) // len(one.texts)
        asked = np.sort(rng.permutation(len(one.texts))[: settings.questions])
        taken = (asked[:, None] * each + np.arange(each)).reshape(-1)
        arrays["patches"].append(np.stack([_lit(one.patches[k], model, colour_jitter(settings.colour_jitter, rng)) for k in taken]))
        for name in ("position", "real", "inside", "look", "evidence", "iou"):
            arrays[name].append(getattr(one, name)[taken])
        arrays["frame"].append(np.full(len(taken), b))
        texts += [one.texts[q] for q in asked]
        for k in taken:
            names.append(tuple({name for means, iou in one.things[k] if iou >= settings.least_iou for name in means}))
            under.append(tuple({name for means, _ in one.things[k] for name in means}))
    tensors = {name: torch.from_numpy(np.concatenate(values)) for name, values in arrays.items()}
    iou = tensors.pop("iou")
    tensors |= {"look": tensors["look"].float(), "right": (iou > 0) & (iou >= settings.least_iou)}
    return MinedBatch(**tensors, unsure=(iou > 0) & ~tensors["right"], texts=tuple(texts), names=tuple(names), under=tuple(under))


def _lit(patches: np.ndarray, model: Settings, light: tuple) -> np.ndarray:
    """uint8 [n, 3, p, p] -> float32 [n, 3 * p * p]"""
    n = len(patches)
    return lit(patches.transpose(1, 0, 2, 3).reshape(3, -1), model, *light).reshape(3, n, -1).transpose(1, 0, 2).reshape(n, -1)


def _looked(v: torch.nn.Module, batch: MinedBatch, kv: Tensor) -> Tensor:
    """Tokens [K, PATCHES, D] of the close-ups, each seeing its own frame's glance and no other close-up; zeros pad. Those of one frame and
    of as many patches are encoded in one run, as their glance is one product then."""
    lengths, parts, where = batch.real.sum(1), [], []
    for frame, length in torch.stack([batch.frame, lengths], 1).unique(dim=0).tolist():
        mine = ((batch.frame == frame) & (lengths == length)).nonzero()[:, 0]
        tokens = v.look(batch.patches[mine, :length], batch.position[mine, :length], kv[:, :, frame : frame + 1])
        parts.append(F.pad(tokens, (0, 0, 0, batch.real.shape[1] - length)))
        where.append(mine)
    return torch.cat(parts)[torch.cat(where).argsort()]


def mined_loss(
    model: PS3, batch: MinedBatch, sentences: Sentences, settings: MinedSettings, score: tuple, kv: Tensor, names: Sequence[str]
) -> dict[str, Tensor]:
    """`asked` (whether each candidate is what its question asks for, as the robot scores it, and the right ones before the others),
    `named` (what lies under it, of `names`), `top1` of that, `pointed`: questions whose best candidate is right; and the sum `total`.

    score: (scale, bias, background [E]) of the robot's score. kv [L, 2, B, h, n0, D/h]: of the glances at the batch's frames.
    """
    v, scale, bias, background = model.vision_model, *score
    embedding = v.pool(_looked(v, batch, kv), batch.inside[:, None])[:, 0]
    text = losses.normalize(model.text_model.project(sentences.of(batch.texts)).text)
    region = torch.lerp(batch.look, losses.normalize(embedding), WEIGHT).unflatten(0, (len(text), -1))
    level = 0.0 if background is None else (text @ background.to(text))[:, None]
    match = torch.einsum("qce,qe->qc", region, text) + batch.evidence.view(len(text), -1) - level
    right, unsure = batch.right.view(len(text), -1), batch.unsure.view(len(text), -1)
    weight = (ATTENTION * match.detach()).softmax(1) * ~unsure
    each = F.binary_cross_entropy_with_logits(scale * match + bias, right.float(), reduction="none")
    asked, some = (each * weight).sum(1).mean(), right.any(1)
    if some.any():
        logits = (losses.NAMES_SCALE * match).masked_fill(unsure, -torch.inf)[some]
        asked = asked + (logits.logsumexp(1) - logits.masked_fill(~right[some], -torch.inf).logsumexp(1)).mean()
    known = model.text_model.project(sentences.of(names)).text
    number = {name: n for n, name in enumerate(names)}
    member, under = (_members(of, number).to(embedding.device) for of in (batch.names, batch.under))
    named = losses.names_loss(embedding, known, member)
    absent = losses.absent_loss(embedding, known, model.logit_scale, model.logit_bias, under)
    with torch.no_grad():
        told, zero = member.any(1), torch.zeros((), device=embedding.device)
        best = (losses.normalize(embedding[told]) @ losses.normalize(known).T).argmax(1, keepdim=True)
        pointed = right[some].gather(1, match[some].argmax(1, keepdim=True))
    return {
        "total": settings.weight * (asked + settings.names_weight * named + settings.absent_weight * absent),
        "asked": asked.detach(),
        "named": named.detach(),
        "top1": member[told].gather(1, best).float().mean() if told.any() else zero,
        "pointed": pointed.float().mean() if some.any() else zero,
    }


def _members(of: Sequence[Sequence[str]], number: dict[str, int]) -> Tensor:
    """bool [len(of), len(number)]: which of the names each has."""
    member = torch.zeros(len(of), len(number), dtype=torch.bool)
    for k, names in enumerate(of):
        member[k, [number[name] for name in names if name in number]] = True
    return member


class Review:
    """The mined close-ups of a run. score: (scale, bias, background, a list of floats or None) of the robot's score."""

    def __init__(self, settings: MinedSettings, model: Settings, score: tuple, seed: int):
        self.settings, self.model, self.seed = settings, model, seed
        self.files = {path.stem: path for path in Path(settings.folder).glob("*.safetensors")}
        if not self.files:
            raise TrainingError(f"there are no mined close-ups in {settings.folder!r}; run `python -m ps3_training.mining` first")
        scale, bias, background = score
        self.score = scale, bias, None if background is None else torch.tensor(background)

    @classmethod
    def of(cls, settings: RunSettings, model: PS3) -> Review | None:
        """As `pretrain.mined` asks for it, with the score of the thresholds that the run starts from; None without."""
        given = settings.pretrain.get("mined")
        if not given:
            return None
        known = start_thresholds(settings)
        score = known.get("logit_scale", model.scale().item()), known.get("logit_bias", model.logit_bias.item()), known.get("background")
        return cls(section(MinedSettings, given, "pretrain.mined"), settings_of(model.config), score, settings.seed)

    def having(self, index: list[dict]) -> list[dict]:
        """Of a cache's lines those whose frames were mined. TrainingError where there is none."""
        found = [line for line in index if line["key"] in self.files]
        if not found:
            raise TrainingError(f"{self.settings.folder!r} has close-ups of none of the {len(index)} frames; mine what is trained on")
        return found

    def texts(self, index: list[dict]) -> set[str]:
        """Every string that a step on these lines may ask."""
        return {text for line in index for text in Mined.texts_of(self.files[line["key"]])}

    def batch(self, step: int, keys: Sequence[str], rank: int = 0) -> MinedBatch:
        """Of a step's frames on one rank, by their keys; follows from the arguments alone. TrainingError where they were mined with
        another kind of model."""
        frames = [Mined.load(self.files[key]) for key in keys]
        for key, one in zip(keys, frames, strict=True):
            if one.patches.shape[2:] != (3, self.model.patch, self.model.patch) or one.look.shape[1] != self.model.embed_dim:
                raise TrainingError(
                    f"the close-ups mined of {key} have patches of {one.patches.shape[-1]} px and embeddings of {one.look.shape[1]}, the "
                    f"model {self.model.patch} px and {self.model.embed_dim}; mine them with this model"
                )
        rngs = [np.random.default_rng((self.seed, 7, step, rank, place)) for place in range(len(frames))]
        return mined_batch(frames, self.settings, self.model, rngs)

    def loss(self, model: PS3, batch: MinedBatch, sentences: Sentences, kv: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        return mined_loss(model, batch, sentences, self.settings, self.score, kv, names)
