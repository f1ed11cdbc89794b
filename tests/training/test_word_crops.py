"""Crops of text signs: the letters lie where they are said to, a bank's names are told, and the stage learns from them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ps3_ros.close_up import WRITTEN_SHAPES
from ps3_training import sprites, warm_batch, warm_start, word_crops
from ps3_training.data import words
from ps3_training.errors import TrainingError
from ps3_training.model import settings_of

from .learning import learn


@pytest.fixture
def bank():
    """One plain square, and a name of a text sign, on a grey background."""
    square = np.full((900, 4), 255, np.uint8)
    label = {"means": ["square", "sign that says kitchen"], "texts": ["square"], "asks": ["square", "sign that says kitchen"]}
    return sprites.Bank(
        square,
        np.full((1, 2), 30, np.int32),
        np.zeros(1, np.int64),
        ({**label, "group": "square", "core": True},),
        np.full((1, 300, 400, 3), 120, np.uint8),
    )


def test_letters_are_drawn_where_they_are_said_to_be():
    (sign,) = (s for s in words.signs() if s.words == "OUT OF ORDER")
    for seed in range(4):
        board, where = words.lettered(sign, np.random.default_rng(seed), 40)
        assert "".join(c for c, *_ in where).replace(" ", "").lower() == "outoforder"
        plain = board[2:6, board.shape[1] // 2, :3].mean(axis=0)  # of the board's edge, where nothing is written
        written = np.abs(board[..., :3].astype(np.float32) - plain).max(axis=2) > 60
        for letter, x, y in where:
            if letter != " ":
                assert written[max(0, int(y) - 20) : int(y) + 20, max(0, int(x) - 12) : int(x) + 12].any(), (letter, x, y)


def test_the_same_board_at_any_size():
    (sign,) = (s for s in words.signs() if s.words == "PLATFORM 2")
    large, _ = words.lettered(sign, np.random.default_rng(1), 90)
    small, _ = words.lettered(sign, np.random.default_rng(1), 45)
    assert np.allclose(np.array(large.shape[:2]) / 2, small.shape[:2], rtol=0.08)
    assert np.array_equal(words.draw(sign, np.random.default_rng(1)), large)


def test_phrases_have_single_spaces():
    assert not [s.name for s in words.signs() if "  " in s.name]


def test_tokens_are_told_their_letters(tiny_model, bank):
    cut = settings_of(tiny_model.config)
    made = word_crops.make_word_crops(bank, 12, 0.0, cut, np.random.default_rng(3), named=True)
    assert made["patches"].shape == (12, word_crops.KEPT, 3 * cut.patch**2) and min(r * c for r, c in WRITTEN_SHAPES) >= word_crops.KEPT
    for text, shown, mask, member in zip(made["texts"], made["letters"], made["mask"], made["crop_names"], strict=True):
        said = {c for c in text.removeprefix("sign that says ") if c in word_crops.ALPHABET}
        told = {word_crops.ALPHABET[n] for n in torch.nonzero(shown.any(0))[:, 0]}
        assert told <= said and len(told) >= 0.7 * len(said)
        assert not (shown.any(-1) & mask[3]).any()  # the token beside the sign says nothing
        assert bool(member.any()) == (text in bank.names)
    assert made["answers"].diagonal().all() and not made["has_row"][:, 2].any()


def test_the_same_seed_gives_the_same_crops(tiny_model, bank):
    cut = settings_of(tiny_model.config)
    one, other = (word_crops.make_word_crops(bank, 3, 0.2, cut, np.random.default_rng(5), named=False) for _ in range(2))
    assert torch.equal(one["patches"], other["patches"]) and one["texts"] == other["texts"] and one["crop_names"] is None


def test_a_batch_with_words_teaches_letters(tiny_model, bank, sentences):
    cut = settings_of(tiny_model.config)
    settings = warm_batch.WarmStartSettings(crops=2, side=4, smallest=20, largest=40, mosaics=0, words=4, names_weight=1.0)
    made = warm_batch.make_warm_batch(bank, settings, cut, np.random.default_rng(3))
    alone = warm_batch.make_warm_batch(bank, replace(settings, words=0), cut, np.random.default_rng(3))
    assert torch.equal(made.patches, alone.patches) and alone.words is None  # the others are drawn as without them
    first, last = learn(tiny_model, lambda: warm_start.warm_loss(tiny_model, made, sentences, settings), 30)
    assert last["letters"] < 0.7 * first["letters"] and last["letters_top1"] > first["letters_top1"]
    assert last["words"] < 0.7 * first["words"]


def test_invented_phrases_have_known_words_and_no_held_out_one():
    names = ("red stop light", "tea kettle", "hydrant", "sign that says bus stop", "gingerbread-man", "vw")
    signs = words.invented(names, 60)
    assert len(signs) == 60 and signs == words.invented(names, 60) and list(signs) == sorted(signs, key=lambda sign: sign.name)
    held_out = {word for sign in words.signs() if sign.held_out for word in sign.words.lower().split()}
    said = {word for sign in signs for word in sign.words.lower().split() if not word.isdigit()}
    assert said == {"red", "stop", "light", "tea", "kettle", "hydrant", "sign", "that", "says", "bus"} - held_out
    assert all(sign.name == f"sign that says {sign.words.lower()}" and words.is_text(sign) for sign in signs)
    assert not {sign.name for sign in signs} & {sign.name for sign in words.signs()}
    assert words.invented((), 5) == ()
    assert len(words.invented(("mug",), 500)) < 500  # as many as there are


def test_half_of_the_crops_say_what_no_frame_does(tiny_model):
    label = {"means": ["tea kettle"], "texts": ["tea kettle"], "asks": ["tea kettle"], "group": "kettle", "core": True}
    grey = np.full((1, 300, 400, 3), 120, np.uint8)
    bank = sprites.Bank(np.full((900, 4), 255, np.uint8), np.full((1, 2), 30, np.int32), np.zeros(1, np.int64), (label,), grey)
    made = word_crops.make_word_crops(bank, 60, 0.0, settings_of(tiny_model.config), np.random.default_rng(3), named=False)
    shown = {sign.name for sign in words.signs()}
    assert 15 < sum(text in shown for text in made["texts"]) < 45
    assert set(made["texts"]) <= word_crops.spoken(bank.names)


def test_crops_of_signs_see_a_glance_by_a_share_of_their_own(tiny_model, bank, sentences):
    cut = settings_of(tiny_model.config)
    blind = warm_batch.WarmStartSettings(crops=2, side=4, smallest=20, largest=40, mosaics=0, words=4)
    seeing = replace(blind, words_context=1.0)
    assert seeing.sees and not blind.sees and not replace(seeing, words=0).sees
    made = warm_batch.make_warm_batch(bank, seeing, cut, np.random.default_rng(3))
    side = cut.scales[0]
    kv = tiny_model.vision_model.glance(torch.rand(1, 3, side, side)).kv
    with torch.no_grad():
        without, of_none, of_all = (
            warm_start.warm_loss(tiny_model, made, sentences, settings, seen)
            for settings, seen in ((seeing, None), (blind, kv), (seeing, kv))
        )
    assert without["words"] == of_none["words"] != of_all["words"]
    assert float(without["match"] - without["words"] - without["letters"]) == pytest.approx(
        float(of_all["match"] - of_all["words"] - of_all["letters"]), abs=1e-4
    )


def test_a_number_of_crops_that_cannot_be():
    with pytest.raises(TrainingError, match="words is -1; give"):
        warm_batch.WarmStartSettings(words=-1)
