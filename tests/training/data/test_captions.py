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


def test_held_out_phrasings_are_others(drawn):
    rng = np.random.default_rng(6)
    trained = (captions.ASK, captions.SMALL, captions.LARGE, captions.HIDDEN, *captions.CONTEXT.values(), *captions.WHERE.values())
    templates = {t for options in trained for t in options}
    assert len(set(captions.ASK)) >= 20 and len(captions.ASK_HELD_OUT) >= 10 and not templates & set(captions.ASK_HELD_OUT)
    assert not set(captions.SAYS) & set(captions.SAYS_HELD_OUT)
    starts = tuple(t.split("{}")[0] for t in captions.ASK_HELD_OUT)
    for obj in drawn:
        assert captions.caption(obj, rng, held_out=True, where=(0, 0), size=20, visible=0.5)[0].replace("some ", "a ").startswith(starts)


def test_place_and_state_are_said_where_they_are_known(drawn):
    rng = np.random.default_rng(7)
    said = {captions.caption(drawn[0], rng, where=(2, 0), visible=0.5, size=400)[0] for _ in range(600)}
    assert any("top right" in text for text in said) and any("hidden" in text for text in said) and any("huge" in text for text in said)
    assert not any("left" in text.split() or "tiny" in text for text in said)
