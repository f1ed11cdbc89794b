"""Reading: letters that match in their places spell words, and no others."""

import numpy as np
import pytest

from ps3_ros.reading import ALPHABET, LETTERS, likelihood, spelled

PATCH = 16


def sign(*lines, rows=5, cols=9, share=0.8, height=1, seed=None, least=0.0):
    """(likelihood, places, box) of a close-up on which these lines stand, letters evenly along each. least: of the letters, the
    part that nothing is seen of; seed: of noise on every match."""
    shown = np.zeros((rows, cols, len(ALPHABET)), np.float32)
    rng = np.random.default_rng(seed)
    if seed is not None:
        shown += rng.normal(0, 0.08, shown.shape).astype(np.float32)
    wide = share * cols / max(map(len, lines))
    for number, line in enumerate(lines):
        row = rows // 2 - len(lines) // 2 + number * height
        for place, letter in enumerate(line):
            if letter in ALPHABET and rng.random() >= least:
                shown[row, int(cols / 2 + (place + 0.5 - len(line) / 2) * wide), ALPHABET.index(letter)] = 0.5
    y, x = np.divmod(np.arange(rows * cols), cols)
    places = np.stack([x, y, x + 1, y + 1], axis=1).astype(np.float32) * PATCH
    margin = (1 - share) / 2
    box = np.array([margin * cols, 1, (1 - margin) * cols, rows - 1], np.float32) * PATCH
    return likelihood(shown.reshape(-1, len(ALPHABET)), (rows, cols)), places, box


def test_one_caption_a_letter():
    assert len(LETTERS) == len(set(LETTERS)) == len(ALPHABET) == 36
    assert LETTERS[ALPHABET.index("e")] == "the letter e" and LETTERS[ALPHABET.index("7")] == "the number 7"


@pytest.mark.parametrize("lines", [("bakery",), ("gate 12",), ("fire", "exit"), ("no", "parking")])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_is_there_is_spelled_better_than_other_words(lines, seed):
    seen = sign(*lines, seed=seed, least=0.2)
    others = [spelled(*seen, words) for words in ("museum", "laundry", "post office", "room 204", "willow lane", "taxi")]
    assert spelled(*seen, " ".join(lines)) > max(4, max(others) + 2)


def test_an_order_of_letters_is_not_another():
    seen = sign("stable")
    assert spelled(*seen, "stable") > spelled(*seen, "bleats") + 3


@pytest.mark.parametrize("words", ["", "5", "...", "出口", "x" * 60])
def test_what_has_no_letters_or_one_or_too_many_is_not_read(words):
    assert spelled(*sign("exit"), words) == 0.0


def test_where_all_letters_match_alike_nothing_is_read():
    _, *rest = sign("exit")
    assert spelled(likelihood(np.full((5 * 9, len(ALPHABET)), 0.3, np.float32), (5, 9)), *rest, "exit") == pytest.approx(0, abs=1e-4)


def test_a_box_too_narrow_for_the_letters_says_nothing():
    likely, places, _ = sign("exit")
    assert spelled(likely, places, np.array([70, 20, 71, 30], np.float32), "no parking any time") == 0.0


def test_the_same_question_has_the_same_answer():
    seen = sign("museum", seed=4)
    assert spelled(*seen, "museum") == spelled(*seen, "museum")
