"""Reading: how much better the letters of a close-up spell a question's words than other words would.

Training tells each token which letters lie on it, by captions such as "the letter e" (training/word_crops.py), so that a token's match with
those captions says what it shows. Here a phrase's letters are laid over a close-up, line by line from left to right, where they match best,
and so are DECOYS phrases of other letters in their places: what is blurred, or no text, matches all of them about as badly. So words are
read that no training frame had, where the embedding of a whole phrase only knows those that it saw often. Not in the paper.
"""

from functools import lru_cache

import cv2
import numpy as np

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
LETTERS = tuple(f"the {'number' if c.isdigit() else 'letter'} {c}" for c in ALPHABET)  # captions of single tokens
SAID = (  # signs of whatever words: their mean tells where something is written (Encoder.words)
    *("open", "exit", "school", "parking", "coffee", "room 12", "main street", "no entry", "welcome", "danger", "sale", "milk"),
    *("taxi", "hotel", "office", "please wait", "out of order", "books", "push", "bus stop", "building c", "paint", "city hall", "toys"),
)
SCALE = 10.0  # of cosines before the softmax over letters; half of training's (losses.NAMES_SCALE), as its tokens are surer than right
LEAST, MOST = -3.0, 4.0  # of a letter's log-likelihood, against its mean on the close-up: one token decides nothing
FINER = 4  # the match is interpolated to so many places a patch along each side
DECOYS = 63
PITCHES = (0.48, 0.58, 0.7, 0.84, 1.0)  # widths of the longest line, as a part of the box's
LEAST_PITCH = 1.2  # finer places a letter; below, letters lie on each other
SHORTEST, LONGEST = 2, 40  # letters that are read
LINES = range(3, 14)  # finer places from one line to the next
NARROW, WIDE, SPACE = {"i": 0.45, "l": 0.45, **dict.fromkeys("1fjrt", 0.6)}, dict.fromkeys("mw", 1.35), 0.5  # of a letter's width
FREQUENCY = np.array(  # of letters in English, per cent (and what digits are here): decoys have the same
    [8.2, 1.5, 2.8, 4.3, 12, 2.2, 2, 6.1, 7, 0.3, 0.8, 4, 2.4, 6.7, 7.5, 1.9, 0.1, 6, 6.3, 9, 2.8, 1, 2.4, 0.2, 2, 0.1] + [0.3] * 10
)
FLOOR = 0.3  # of the decoys' spread, over the root of the number of letters: what is faint is no reading
NOWHERE = -1e3


def legible(words):
    """Whether there are letters to spell: from SHORTEST to LONGEST of ALPHABET."""
    return SHORTEST <= sum(letter in ALPHABET for letter in words) <= LONGEST


def spelled(likely, places, box, words):
    """Standard deviations by which a close-up spells `words` better than decoys, float; 0 where nothing can be said.

    likely: its likelihood; places: float32 [n, 4] px of its tokens, row-major; box: [4] px, about where the words are.
    """
    if not legible(words):
        return 0.0
    count = sum(letter in ALPHABET for letter in words)
    width = (box[2] - box[0]) / max(places[-1, 2] - places[0, 0], 1e-6) * likely.shape[1]
    others = _decoys(count)
    best = np.full(1 + DECOYS, NOWHERE, np.float32)
    for lines in _layouts(words):
        longest = max(end for _, _, end in lines)
        for part in PITCHES:
            if part * width / longest >= LEAST_PITCH:
                best = np.maximum(best, _laid(likely, lines, others, part * width / longest) / count)
    if best[0] <= NOWHERE / count:
        return 0.0
    return float((best[0] - best[1:].mean()) / max(best[1:].std(), FLOOR / count**0.5))


def likelihood(match, shape):
    """Log-likelihoods of letters on a close-up, each the best of a place and its neighbours: float32 [FINER * rows, FINER * cols, 36].

    match: float32 [n, 36], cosines of its tokens with LETTERS, row-major; shape: (rows, columns).
    """
    match = np.asarray(match, np.float32).reshape(*shape, len(ALPHABET))
    logits = SCALE * match
    likely = np.exp(logits - logits.max(axis=-1, keepdims=True))
    likely /= likely.sum(axis=-1, keepdims=True)
    usual = likely.mean(axis=(0, 1)) + 1 / len(ALPHABET)
    values = np.clip(np.log(np.maximum(likely, 1e-9) / usual), LEAST, MOST)
    size = FINER * match.shape[1], FINER * match.shape[0]
    near = np.ones((3, 3), np.uint8)
    planes = (cv2.resize(np.ascontiguousarray(values[..., n]), size, interpolation=cv2.INTER_LINEAR) for n in range(len(ALPHABET)))
    return np.stack([cv2.dilate(plane, near) for plane in planes], axis=-1).astype(np.float32)


@lru_cache(maxsize=64)
def _decoys(count):
    """Letters of DECOYS phrases, int64 [DECOYS, count]; always the same, so that a question has one answer."""
    return np.random.default_rng(count).choice(len(ALPHABET), size=(DECOYS, count), p=FREQUENCY / FREQUENCY.sum())


@lru_cache(maxsize=256)
def _layouts(words):
    """Ways to write a phrase, on one line and on two of about equal length: a list of lists of lines.

    A line is (letters int64 [l], their middles float64 [l], its end), the last two in widths of a letter.
    """
    parts = words.split()
    ways = [[words]]
    if len(parts) > 1:
        ways.append(min(([" ".join(parts[:n]), " ".join(parts[n:])] for n in range(1, len(parts))), key=lambda two: max(map(len, two))))
    laid = [[_line(text) for text in way] for way in ways]
    return [[line for line in lines if len(line[0])] for lines in laid]


def _line(text):
    letters, middles, end = [], [], 0.0
    for character in text:
        number = ALPHABET.find(character)
        width = SPACE if number < 0 else NARROW.get(character, WIDE.get(character, 1.0))
        if number >= 0:
            letters.append(number)
            middles.append(end + width / 2)
        end += width
    return np.array(letters, np.int64), np.array(middles), end


def _laid(likely, lines, others, pitch):
    """The largest sum of log-likelihoods of the lines' letters, and of each decoy's in their places: float32 [1 + DECOYS]."""
    done, best = 0, None
    for letters, middles, _ in lines:
        spelt = np.concatenate([letters[None], others[:, done : done + len(letters)]])
        done += len(letters)
        line = _along(likely, spelt, middles * pitch).max(axis=1, initial=NOWHERE)  # [rows, 1 + DECOYS]
        if best is None:
            best = line
        else:
            apart = [best[: len(best) - gap] + line[gap:] for gap in LINES if gap < len(best)]
            best = np.concatenate(apart) if apart else np.full_like(best, NOWHERE)
    return best.max(axis=0)


def _along(likely, spelt, middles):
    """Sums of a line's letters float32 [rows, places, 1 + DECOYS], by where its first letter stands; no places where it is too long."""
    after = np.round(middles - middles[0]).astype(int)
    places = max(0, likely.shape[1] - after[-1])
    total = np.zeros((likely.shape[0], places, len(spelt)), np.float32)
    for n, start in enumerate(after):
        total += likely[:, start : start + places, spelt[:, n]]
    return total
