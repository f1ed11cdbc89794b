"""Captions about several things."""

import numpy as np
import pytest

from ps3_training.data import captions, relations
from ps3_training.data.compose import Thing


def thing(name, box, colour=""):
    means = (name, f"{colour} {name}") if colour else (name,)
    return Thing(name, name, name, means, box, 1.0, colour, True)


@pytest.mark.parametrize(
    "box, other, side",
    [
        ((0, 0, 40, 40), (100, 5, 140, 45), "left"),
        ((100, 5, 140, 45), (0, 0, 40, 40), "right"),
        ((0, 0, 40, 40), (45, 5, 85, 45), "beside"),
        ((0, 0, 40, 40), (5, 60, 45, 100), "above"),
        ((5, 60, 45, 100), (0, 0, 40, 40), "below"),
        ((0, 0, 40, 40), (900, 0, 940, 40), None),  # too far away
        ((0, 0, 40, 40), (20, 20, 60, 60), None),  # they overlap
        ((0, 0, 40, 40), (60, 60, 99, 99), None),  # neither beside nor above
    ],
)
def test_side_of(box, other, side):
    assert relations.side_of(box, other) == side


def test_relations_are_true_and_keep_the_meaning(monkeypatch):
    monkeypatch.setattr(relations, "SHARE", 1.0)
    things = [thing("mug", (0, 0, 40, 40), "red"), thing("kettle", (100, 0, 150, 50))]
    said = set()
    for seed in range(20):
        related = relations.relate(things, np.random.default_rng(seed))
        assert [t.box for t in related] == [t.box for t in things]
        assert related[0].asks == "red mug" and related[1].asks == "kettle"
        said.add(related[0].text)
    assert "the red mug left of the kettle" in said and not any("right" in text for text in said)
    held_out = relations.relate([thing("mug", (0, 0, 40, 40)), thing("kettle", (45, 0, 90, 50))], np.random.default_rng(0), True)
    assert held_out[0].text == "go to the mug that has the kettle as its neighbour"


def test_counts_are_right_or_not_said():
    close = [thing("mug", (0, 0, 40, 40), "blue"), thing("mug", (50, 0, 90, 40), "blue"), thing("fork", (500, 0, 520, 40))]
    apart = [thing("mug", (0, 0, 40, 40)), thing("mug", (900, 0, 940, 40))]
    counted = [t for seed in range(10) for t in relations.count(close, set(), np.random.default_rng(seed))[3:]]
    assert counted and all("two blue mugs" in t.text and t.box == (0, 0, 90, 40) and t.asks == "mug" for t in counted)
    texts = {t.text for seed in range(10) for t in relations.count(apart, set(), np.random.default_rng(seed))}
    assert texts == {"mug", "one of the two mugs"}
    for seed in range(5):  # a hidden mug would be the third
        assert relations.count(close, {"mug"}, np.random.default_rng(seed)) == close


@pytest.mark.parametrize(
    "noun, many",
    [
        ("mug", "mugs"),
        ("bus", "buses"),
        ("glass", "glasses"),
        ("knife", "knives"),
        ("red berry", "red berries"),
        ("key", "keys"),
        ("jeans", None),
    ],
)
def test_plural(noun, many):
    assert relations.plural(noun) == many


def test_phrases_have_their_articles():
    assert captions.phrase("is there a {}?", "jeans") == "is there some jeans?"
    assert captions.phrase("a {}", "orange bus") == "an orange bus"
    assert captions.phrase("a {} next to the {}", "scissors", "jeans") == "a pair of scissors next to the jeans"
