"""One rank of test_distributed.py: the loss and the gradients of its half of a global batch, then two steps of the loop.

Arguments: cache folder, folder for results, frames of each rank. torchrun's environment says which rank it is.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parents[2]))

from ps3_training import batch, cache, choice, distributed, loop, pretrain  # noqa: E402
from ps3_training.model import PS3, PS3Config, settings_of  # noqa: E402
from tests.training.conftest import TEXT, VISION, FixedSentences  # noqa: E402

LOSS = pretrain.LossSettings(positive_weight=4.0, ranking_weight=0.5, separate_maps=0.25, absent_weight=0.2)
NAMES = ("red square", "violet square", "a hat")


def build():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = PS3(PS3Config.from_dict({"vision_config": VISION, "text_config": TEXT}))
    model.text_model.encoder.requires_grad_(False)
    return model


def make_and_loss(model, folder, frames):
    index, settings = cache.read_index(folder), settings_of(model.config)
    choose = choice.BatchSettings(frames=frames, tokens=60, hard_share=0.2, selection=0.2, global_fraction=0.5)

    def make(step):
        return batch.batch_of_step(step, folder, index, choose, settings, 0, distributed.rank(), distributed.size())

    return make, lambda made: pretrain.pretrain_loss(model, made, FixedSentences(), LOSS, names=NAMES)


def main(folder, out, frames):
    distributed.start(torch.device("cpu"))
    model = build()
    make, loss = make_and_loss(model, folder, frames)
    module = distributed.wrap(distributed.Objective(model, loss), torch.device("cpu"))
    made = make(1)
    parts = module(lambda: made)
    (parts["total"] * distributed.size()).backward()
    summed = {name: float(distributed.total(value)) for name, value in parts.items()}
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    if distributed.is_first():
        save_file(gradients, out / "gradients.safetensors")
        (out / "loss.json").write_text(json.dumps(summed))
    model = build()
    make, loss = make_and_loss(model, folder, frames)
    settings = loop.LoopSettings(steps=2, lr=1e-3, warmup_steps=0, log_every=1, ema=0.9, tensorboard=False)
    loop.fit(model, make, loss, settings, out / "run", progress=False, work=lambda made: made.work)
    distributed.finish()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
