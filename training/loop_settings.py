"""How long and how fast a stage runs."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import TrainingError

AUTOCAST = ("none", "bf16", "fp16")
OPTIMIZERS = ("adamw", "muon")


@dataclass(frozen=True)
class LoopSettings:
    """Each value is one key of a stage's YAML section `loop`."""

    steps: int
    lr: float
    warmup_steps: int = 100
    final_lr_fraction: float = 0.05  # of lr, where the cosine ends
    optimizer: str = "adamw"  # or muon: the matrices of blocks and pool by Muon, the rest by AdamW
    weight_decay: float = 0.05
    beta1: float = 0.9
    beta2: float = 0.95
    clip: float = 1.0  # gradient norm
    autocast: str = "none"  # none, bf16 or fp16 for the matrix products (weights stay float32; fp16 scales the loss)
    accumulate: int = 1  # batches a step; the contrastive negatives are those of one batch
    grad_checkpointing: bool = False  # recompute each block of the backbone in the backward pass
    ema: float = 0.0  # decay of the running mean of the weights, which the final checkpoint then gets; 0: off
    workers: int = 1  # threads that make batches ahead (at least one); of a stream: processes that read and cut, 0 for none
    save_minutes: float = 5.0
    save_every: int = 0  # steps; 0: by the clock alone
    keep: int = 2  # newest checkpoints that stay
    log_every: int = 20
    pictures_every: int = 0  # steps between pictures of relevance maps on fixed frames; 0: none
    tensorboard: bool = True  # where the package tensorboard is installed

    def __post_init__(self) -> None:
        if self.steps < 1 or self.warmup_steps < 0 or self.log_every < 1 or min(self.save_every, self.pictures_every) < 0:
            raise TrainingError(
                f"steps, warmup_steps, log_every, save_every and pictures_every are {self.steps}, {self.warmup_steps}, {self.log_every}, "
                f"{self.save_every} and {self.pictures_every}; give 1, 0, 1, 0 and 0 or more"
            )
        if min(self.accumulate, self.keep) < 1 or self.workers < 0:
            raise TrainingError(f"accumulate, keep and workers are {self.accumulate}, {self.keep}, {self.workers}; give 1, 1 and 0 or more")
        if not self.lr > 0 or not self.clip > 0:
            raise TrainingError(f"lr and clip are {self.lr} and {self.clip}; give positive numbers")
        if not 0 <= self.ema < 1:
            raise TrainingError(f"ema is {self.ema}; give a decay from 0 (off) to below 1")
        if self.autocast not in AUTOCAST:
            raise TrainingError(f"autocast is {self.autocast!r}; give {', '.join(AUTOCAST)}")
        if self.optimizer not in OPTIMIZERS:
            raise TrainingError(f"optimizer is {self.optimizer!r}; give {' or '.join(OPTIMIZERS)}")
