"""A made-up bank of cut-outs: four plain squares."""

import numpy as np

from ps3_training import sprites

COLOURS = [(220, 40, 40), (40, 200, 40), (40, 80, 230), (240, 230, 40)]


def bank() -> sprites.Bank:
    """Four plain squares, each opaque, on two noisy backgrounds."""
    rng = np.random.default_rng(0)
    names = ("red", "green", "blue", "yellow")
    squares = [
        np.concatenate([np.tile(np.array(colour, np.uint8), (30 * 30, 1)), np.full((900, 1), 255, np.uint8)], 1) for colour in COLOURS
    ]
    labels = tuple(
        {"means": [f"{name} square"], "texts": [f"a {name} square"], "asks": [f"{name} square"], "group": "square", "core": True}
        for name in names
    )
    return sprites.Bank(
        np.concatenate(squares),
        np.full((4, 2), 30, np.int32),
        np.arange(4) * 900,
        labels,
        rng.integers(90, 130, (2, 400, 600, 3)).astype(np.uint8),
    )


class Banked:
    """One bank for every step, the vectors of its captions and names added."""

    def __init__(self, bank, sentences):
        self.bank = bank
        sentences.add(text for label in bank.labels for text in label["texts"])
        sentences.add(bank.names)

    def at(self, step):
        return self.bank
