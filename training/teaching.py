"""Who teaches in a run, and about what: the teacher, the head that the loss trains beside the model, and the photographs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ps3_ros.manifest import Settings

from .checkpoints import load_beside
from .sprites import Bank
from .taught import Photographs, make_taught
from .teacher import Teacher, TeacherHead
from .warm_batch import WarmStartSettings

MEASURED = 960  # views of which the features' mean and spread are taken


@dataclass(frozen=True)
class Teaching:
    """Empty where the settings show nothing to a teacher."""

    photographs: Photographs | None = None
    teacher: Teacher | None = None
    head: TeacherHead | None = None

    @classmethod
    def of(
        cls,
        settings: WarmStartSettings,
        bank: Bank,
        model: Settings,
        seed: int,
        device: torch.device,
        before: Path | None = None,
    ) -> Teaching:
        """What these settings ask for; the head is the same on all ranks. before: the checkpoint whose head goes on, this
        stage's own or the last of the stage before; where it has none, mean and spread are measured.

        Raises TrainingError where the photographs or the teacher's packages are missing.
        """
        counts = settings.taught
        if not any(counts):
            return cls()
        photographs = Photographs.read(set(bank.names), *(counts[:2]))
        teacher, head = Teacher(device), TeacherHead(model.embed_dim, seed)
        if before is None or not load_beside(head, before):
            part = tuple(round(MEASURED * count / sum(counts)) for count in counts)
            views = make_taught(bank, photographs, part, settings.colour_jitter, model, np.random.default_rng((seed, 6)))
            head.measure(teacher.features(views.pictures).cpu())
        return cls(photographs, teacher, head.to(device))
