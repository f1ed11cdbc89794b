"""What people say for an object, and what they mean by it."""

import numpy as np

from ps3_training.data import captions


def test_captions_mean_what_the_object_answers_to(drawn):
    rng = np.random.default_rng(5)
    for obj in drawn:
        for colour in (None, "blue") if obj.recolour else (None,):
            for _ in range(60):
                text, asks = captions.caption(obj, rng, colour, "street", 40)
                assert text.strip() == text and text and "{}" not in text
                assert asks in captions.means(obj, colour), (text, asks)


def test_articles():
    assert captions._article("a amber traffic light") == "an amber traffic light"
    assert captions._article("a u-turn sign and a umbrella") == "a u-turn sign and an umbrella"
    assert captions._article("the apple") == "the apple"
    assert captions._article("a red scissors on the table") == "a pair of red scissors on the table"
    assert captions._article("is there a grapes?") == "is there some grapes?"
    assert captions._article("a soap dispenser and a pair of scissors") == "a soap dispenser and a pair of scissors"
    assert captions._article("a glass and a toilet paper") == "a glass and some toilet paper"
