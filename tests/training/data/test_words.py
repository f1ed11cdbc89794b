"""Text signs: what they say, how they are drawn, and that held-out words are held out."""

import numpy as np
import pytest

from ps3_training.data import captions, words


def test_held_out_phrases_have_a_word_that_no_trained_phrase_has():
    signs = words.signs()
    trained = {word for s in signs if not s.held_out for word in s.words.split()}
    assert all(set(s.words.split()) - trained for s in signs if s.held_out)
    assert 0.1 < np.mean([s.held_out for s in signs]) < 0.2 and len(signs) == len({s.name for s in signs}) > 250


@pytest.mark.parametrize("fonts", [None, "none"])  # those of this machine; none: OpenCV's letters
def test_signs_are_drawn_at_the_size_asked_for(monkeypatch, tmp_path, fonts):
    if fonts:
        monkeypatch.setenv(words.FONT_FOLDERS, str(tmp_path))
    words.fonts.cache_clear()
    for number, sign in enumerate(words.signs()[::40]):
        size = words.least_size(sign)
        rgba = words.cut_out(sign, np.random.default_rng(number), size)
        assert max(rgba.shape[:2]) == size and rgba.dtype == np.uint8 and rgba.shape[2] == 4
        big = words.cut_out(sign, np.random.default_rng(number), 400)[..., :3].astype(int)
        assert big.std() > 8  # letters differ from their board
        np.testing.assert_array_equal(big, words.cut_out(sign, np.random.default_rng(number), 400)[..., :3])
    words.fonts.cache_clear()


def test_captions_say_the_words_and_ask_for_the_sign():
    rng = np.random.default_rng(1)
    for sign in words.signs()[::15]:
        for held_out in (False, True):
            text, asks = captions.caption(sign, rng, held_out=held_out)
            assert sign.words.lower() in text.lower() and asks == sign.name and captions.means(sign) == (sign.name,)
            assert sign.words.lower() in captions.absent_caption(sign.name, rng, held_out).lower()
