"""Names that a model tells worst are shown more often: python -m ps3_training.hard_names CHECKPOINT BANK OUT.json

A bank draws every name about as often as the next one, and some are never learned so: of the hand-written names, told from all 2,000 on
crops, the thirteenth nano knew 74% of the cut-outs, and of its key, its bird and its hammer 1 of 8, 2 of 8 and 1 of 6: what it missed or
hardly found in the samples. So a checkpoint is asked what it loses on each name, the file is named in a batch's `hard_names`, and a share
`hard_share` of things is drawn name first, the oftener the more is lost.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ps3_ros.close_up import SIDE
from ps3_ros.errors import CheckpointError
from ps3_ros.exits import exit_code
from ps3_training.model import PS3, settings_of

from . import losses
from .errors import TrainingError
from .files import write_whole
from .sentences import Sentences, own_tokenizer
from .sprites import CORE_SHARE, Bank, check_made, read_bank

if TYPE_CHECKING:
    from .warm_batch import WarmStartSettings

POWER = 2.0  # a name that costs twice as much is drawn four times as often
PRIOR = 4.0  # middling crops that each name is given beside its own: one lost crop of three says little
SHOWN = 20  # names that the command prints


@dataclass(frozen=True)
class HardNames:
    """losses: {name: mean loss of its crops}; a name that is not there is taken for a middling one."""

    losses: Mapping[str, float]
    _odds: dict = field(default_factory=dict, repr=False, compare=False)  # of the last bank

    @classmethod
    def of(cls, settings: WarmStartSettings) -> HardNames | None:
        """Of a batch's settings; None where they name no file."""
        return cls.read(Path(settings.hard_names)) if settings.hard_names else None

    @classmethod
    def read(cls, path: Path) -> HardNames:
        """What the command wrote. TrainingError where it is something else."""
        try:
            found = json.loads(Path(path).read_text(encoding="utf-8"))["losses"]
            if not found or not all(isinstance(v, (int, float)) and math.isfinite(v) and v >= 0 for v in found.values()):
                raise ValueError("losses are finite numbers of 0 or more, one a name")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise TrainingError(
                f"hard_names is {str(path)!r}, which cannot be read ({error!r}); make it by ps3_training.hard_names"
            ) from error
        return cls(found)

    def draw(self, bank: Bank, rng: np.random.Generator) -> int:
        """A cut-out's number, none of a text sign: of a hand-written name with CORE_SHARE, else of a wide one, by its loss ** POWER."""
        pools = self._pools(bank)
        members, odds = pools[0 if rng.random() < CORE_SHARE else -1]
        cutouts = members[min(int(np.searchsorted(odds, rng.random())), len(members) - 1)]
        return int(cutouts[rng.integers(len(cutouts))])

    def _pools(self, bank: Bank) -> list[tuple[list[np.ndarray], np.ndarray]]:
        """Of hand-written names and of wide ones, where there are such: each name's cut-outs, and where its share of 0 to 1 ends."""
        if self._odds.get("bank") is not bank:
            known = np.mean(list(self.losses.values())) if self.losses else 1.0
            pools = []
            for core in (True, False):
                names = {name: cutouts for (name, is_core), cutouts in bank.by_name.items() if is_core == core}
                if names:
                    odds = np.array([max(self.losses.get(name, known), 1e-6) ** POWER for name in names])
                    pools.append((list(names.values()), np.cumsum(odds / odds.sum())))
            if not pools:
                raise TrainingError("hard_names is given, and the bank has nothing but text signs; leave it out")
            self._odds.update(bank=bank, pools=pools)
        return self._odds["pools"]


@torch.no_grad()
def measure(model: PS3, bank: Bank, sentences: Sentences, crops: int, seed: int = 0) -> tuple[dict[str, float], float]:
    """({name: mean loss, with PRIOR}, part of the crops told right) of `crops` crops of a bank's things, each against all of its names.

    A crop's loss is what the softmax over names costs it (losses.NAMES_SCALE), its best name counted. sentences: holds bank.names.
    """
    from tqdm import trange

    from .warm_batch import WarmStartSettings, make_warm_batch
    from .warm_start import looked

    # As frames show things: through a camera, small ones enlarged, some on scenery of their own colour.
    settings = WarmStartSettings(
        crops=64,
        side=SIDE,
        supports=0.25,
        camera=0.7,
        magnified=0.5,
        shaped=0.8,
        camouflage=0.4,
        mosaics=0,
        alike=0,
        names_weight=1,
        hard_share=1,
    )
    cut, vision, even = settings_of(model.config), model.vision_model.eval(), HardNames({})
    names = losses.normalize(model.text_model.project(sentences.of(bank.names)).text)
    total, count, right, steps = np.zeros(len(bank.names)), np.zeros(len(bank.names)), 0, -(-crops // settings.crops)
    for step in trange(steps, unit="step", mininterval=2):
        made = make_warm_batch(bank, settings, cut, np.random.default_rng((seed, step)), hard=even)
        things = losses.normalize(vision.pool(looked(vision, made, 0, None), made.mask[:, :1])[:, 0])
        logits = losses.NAMES_SCALE * things @ names.T
        own = logits.masked_fill(~made.crop_names, -torch.inf).amax(1)
        others = logits.masked_fill(made.crop_names, -torch.inf)
        lost = torch.nn.functional.softplus(others.logsumexp(1) - own)
        named = made.crop_names.any(1)
        right += int((own > others.amax(1))[named].sum())
        member = made.crop_names[named].double().numpy()
        total += lost[named].double().numpy() @ member
        count += member.sum(0)
    middling = total.sum() / max(1, count.sum())
    cost = (total + PRIOR * middling) / (count + PRIOR)
    return {name: float(cost[i]) for i, name in enumerate(bank.names) if count[i]}, right / (steps * settings.crops)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ps3_training.hard_names", description="What a checkpoint loses on each name's crops.")
    parser.add_argument("checkpoint", type=Path, help="folder with config.json, model.safetensors and tokenizer.json")
    parser.add_argument("bank", type=Path, help="folder of a bank of cut-outs: CACHE/bank")
    parser.add_argument("out", type=Path, help="JSON file, for hard_names in the settings of a warm start or a replay")
    parser.add_argument("--crops", type=int, default=20000, help="in all (default 20000: a few minutes on one CPU core)")
    options = parser.parse_args(argv)

    def run() -> None:
        check_made(options.bank)
        if options.crops < 1:
            raise CheckpointError(f"crops is {options.crops}; give 1 or more.")
        if options.out.is_dir():
            raise CheckpointError(f"OUT is {str(options.out)!r}, which is a folder; name a file.")
        tokenizer = own_tokenizer(options.checkpoint)
        model, bank = PS3.from_pretrained(options.checkpoint), read_bank(options.bank)
        sentences = Sentences(None, model.text_model, tokenizer)
        sentences.add(bank.names)
        found, right = measure(model, bank, sentences, options.crops)
        worst = sorted(found, key=found.get, reverse=True)
        rounded = {name: round(found[name], 4) for name in worst}
        write_whole(options.out, json.dumps({"crops": options.crops, "right": round(right, 4), "losses": rounded}, indent=1))
        print(f"{right:.1%} of {options.crops} crops are told from all {len(bank.names)} names; those that cost most:")
        print(", ".join(f"{name} {found[name]:.2f}" for name in worst[:SHOWN]))

    return exit_code("error", run)


if __name__ == "__main__":
    sys.exit(main())
