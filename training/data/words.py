"""Signs and labels with words on them: what they say, and how they are drawn.

    signs = words.signs()                          # tuple[TextSign, ...], the held-out words included
    rgba = words.cut_out(object, rng, size)        # as catalogue.render, for a TextSign and for any other NamedObject

Fonts are read from the folders of FONTS that are here ($PS3_FONTS moves them); without any, OpenCV's own letters are used.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from . import catalogue
from .words_table import HELD_OUT_WORDS, WORDS

FONT_FOLDERS = "PS3_FONTS"  # environment variable: folders of .ttf files, separated by os.pathsep
FONTS = ("roadgeek", "dejavu")  # folders of /usr/share/fonts/truetype, by Debian package
ROOT = "words"  # the `root` of a text sign's only picture
LEAST = 9  # px a letter of the longest line: below, nobody could read it
PHRASE = (0.45, 0.4, 0.15)  # shares of invented phrases of one, two and three words
NUMBERED = 0.15  # of those that end in a number
LONGEST = 11  # letters of a word of theirs
PLATES = (  # board, letters (RGB)
    ((0, 105, 70), (250, 250, 250)),
    ((10, 70, 160), (250, 250, 250)),
    ((245, 245, 240), (15, 15, 15)),
    ((190, 20, 30), (250, 250, 250)),
    ((245, 200, 20), (15, 15, 15)),
    ((20, 20, 22), (245, 245, 245)),
    ((110, 70, 40), (250, 245, 235)),
    ((245, 245, 240), (180, 20, 30)),
    ((245, 245, 240), (10, 60, 150)),
)
BOXES = (((186, 145, 98), (40, 25, 15)), ((214, 190, 150), (30, 30, 30)), ((250, 250, 246), (20, 20, 20)), ((235, 225, 200), (90, 20, 20)))


@dataclass(frozen=True)
class TextSign(catalogue.NamedObject):
    """A board, a plate or a box that says something: `name` is "sign that says WORDS" in small letters, `words` as written."""

    words: str = ""

    @property
    def families(self):
        return ()


@lru_cache(maxsize=1)
def signs():
    """Every text sign: words of words_table, those that training frames never show marked `held_out`."""
    made = []
    for table, held_out in ((WORDS, False), (HELD_OUT_WORDS, True)):
        for place, text in table.items():
            for phrase in (" ".join(p.split()) for p in text.split(";")):
                if phrase:
                    made.append(_sign(phrase, place, held_out))
    return tuple(made)


def _sign(phrase, place, held_out):
    return TextSign(
        name=f"sign that says {phrase.lower()}",
        synonyms=(),
        color="",
        recolour=False,
        place=place,
        group="text sign",
        metres=0.35 if place == "room" else 1.3,
        kind="sign",  # it stands on a post in a street and is never mirrored
        pictures=((ROOT, phrase),),
        held_out=held_out,
        words=phrase,
    )


def invented(names, count, seed=0):
    """At most `count` text signs of words that occur in `names`, and of no held-out one: what no frame says, to learn letters by.

    Same seed, same signs, sorted by name.
    """
    rng = np.random.default_rng(seed)
    held_out = {word for sign in signs() if sign.held_out for word in sign.words.lower().split()}
    known = {sign.name for sign in signs()}
    words = sorted({w for name in names for w in name.lower().split() if w.isascii() and w.isalnum() and 2 < len(w) <= LONGEST} - held_out)
    made = {}
    for _ in range(2 * count if words else 0):  # few words make fewer phrases
        if len(made) == count:
            break
        parts = [words[n] for n in rng.integers(len(words), size=1 + int(rng.choice(3, p=PHRASE)))]
        if rng.random() < NUMBERED:
            parts[-1 if len(parts) > 1 else len(parts) :] = [str(rng.integers(1, 100))]
        phrase = " ".join(parts)
        name = f"sign that says {phrase}"
        case = (str.upper, str.upper, str.title, str)[rng.integers(4)]
        if name not in known:
            made[name] = _sign(case(phrase), "room" if rng.random() < 0.5 else "street", False)
    return tuple(made[name] for name in sorted(made))


def is_text(object):
    """True for a text sign."""
    return isinstance(object, TextSign)


def least_size(object):
    """Longer side in px below which the words could not be read."""
    return max(56, LEAST * max(len(line) for line in _lines(object.words, 1)))


@lru_cache(maxsize=1)
def fonts():
    """Paths of the .ttf files to draw with, sorted by name so that the same packages give the same scenes."""
    given = os.environ.get(FONT_FOLDERS)
    folders = [Path(f) for f in given.split(os.pathsep)] if given else [Path("/usr/share/fonts/truetype") / f for f in FONTS]
    found = [p for folder in folders for p in sorted(folder.glob("*.ttf"))]
    return tuple(str(p) for p in found if _has_letters(str(p)))


def _has_letters(path):
    """False for symbol fonts: a letter must not look like the mark for a missing one, nor like another letter."""
    from PIL import Image, ImageDraw, ImageFont

    try:
        font = ImageFont.truetype(path, 24)
        shapes = []
        for letter in "AEMS57\ue123":
            image = Image.new("L", (48, 48))
            ImageDraw.Draw(image).text((4, 4), letter, 255, font)
            shapes.append(image.tobytes())
        blank = Image.new("L", (48, 48)).tobytes()
    except OSError:
        return False
    return len(set(shapes[:6])) == 6 and blank not in shapes[:6]


def _lines(phrase, most):
    """The phrase on at most `most` lines of about equal length."""
    parts = phrase.split()
    if most < 2 or len(parts) < 2:
        return [phrase]
    cuts = range(1, len(parts))
    cut = min(cuts, key=lambda c: abs(len(" ".join(parts[:c])) - len(" ".join(parts[c:]))))
    return [" ".join(parts[:cut]), " ".join(parts[cut:])]


EM = 90  # px a letter, about: what `draw` draws at


@lru_cache(maxsize=256)
def _font(path, em):
    from PIL import ImageFont

    return ImageFont.truetype(path, em)


def _letters(lines, rng, em):
    """The lines as an alpha mask, uint8 [h, w], centred, letters about `em` px high; and [(letter, x, y)], the middle of each."""
    paths = fonts()
    if not paths:
        face = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX)[rng.integers(3)]
        size, thick, high = em / 30, max(1, em // 10), em * 4 // 3
        sizes = [cv2.getTextSize(line, face, size, thick)[0] for line in lines]
        mask = np.zeros((len(lines) * high, max(w for w, _ in sizes) + em // 9), np.uint8)
        where = []
        for i, (line, (width, _)) in enumerate(zip(lines, sizes, strict=True)):
            left = (mask.shape[1] - width) // 2
            cv2.putText(mask, line, (left, i * high + em * 95 // 90), face, size, 255, thick, cv2.LINE_AA)
            where += [(c, left + width * (n + 0.5) / len(line), (i + 0.6) * high) for n, c in enumerate(line)]
        return mask, where
    from PIL import Image, ImageDraw

    font = _font(paths[rng.integers(len(paths))], em)
    widths = [font.getlength(line) for line in lines]
    image = Image.new("L", (int(max(widths)) + em * 8 // 90, em * 108 // 90 * len(lines) + em * 20 // 90))
    draw = ImageDraw.Draw(image)
    where = []
    for i, (line, width) in enumerate(zip(lines, widths, strict=True)):
        left, top = (image.width - width) / 2, i * (em * 108 // 90)
        draw.text((left, top), line, 255, font)
        ends = [font.getlength(line[:n]) for n in range(len(line) + 1)]
        where += [(c, left + (ends[n] + ends[n + 1]) / 2, top + 0.55 * em) for n, c in enumerate(line)]
    mask = np.array(image)
    rows = np.flatnonzero(mask.any(1))
    return mask[rows[0] : rows[-1] + 1], [(c, x, y - float(rows[0])) for c, x, y in where]


def draw(object, rng):
    """The board with its words: RGBA uint8 [h, w, 4], red first, about 100 px a letter."""
    return lettered(object, rng)[0]


def lettered(object, rng, em=EM):
    """(the board as `draw` draws it, of `em` px a letter; [(letter, x, y)], where the middle of each is, px)."""
    lines = _lines(object.words, 2 if rng.random() < 0.6 else 1)
    if rng.random() < 0.12:
        lines = [line.title() for line in lines]
    mask, where = _letters(lines, rng, em)
    of_em = em / EM
    palette = BOXES if object.place == "room" and rng.random() < 0.6 else PLATES
    board, ink = (np.array(c, np.float32) for c in palette[rng.integers(len(palette))])
    pad_x, pad_y = int(rng.uniform(25, 80) * of_em), int(rng.uniform(25, 70) * of_em)
    if palette is BOXES and rng.random() < 0.6:  # a box with its label: much board round the words
        pad_x, pad_y = pad_x + int(60 * of_em), pad_y + int(rng.uniform(60, 260) * of_em)
    height, width = mask.shape[0] + 2 * pad_y, mask.shape[1] + 2 * pad_x
    rgb = np.empty((height, width, 3), np.float32)
    rgb[...] = np.clip(board + rng.normal(0, 10, 3), 0, 255)
    alpha = np.full((height, width), 255, np.uint8)
    if palette is PLATES:
        corner = int(rng.uniform(0, 40) * of_em)
        alpha = _rounded(height, width, corner, 0)
        if rng.random() < 0.6:  # a rim in the colour of the letters
            inner, rim = int(rng.uniform(4, 12) * of_em), int(rng.uniform(4, 10) * of_em)
            line = _rounded(height, width, corner, inner).astype(np.float32) - _rounded(height, width, corner, inner + rim)
            rgb += (ink - rgb) * (line[..., None] / 255)
    letters = np.zeros((height, width), np.float32)
    letters[pad_y : pad_y + mask.shape[0], pad_x : pad_x + mask.shape[1]] = mask
    rgb += (ink - rgb) * (letters[..., None] / 255)
    return np.dstack([np.clip(rgb, 0, 255).astype(np.uint8), alpha]), [(c, x + pad_x, y + pad_y) for c, x, y in where]


def _rounded(height, width, corner, inset):
    """A filled rectangle with round corners, `inset` px inside the edge: uint8 [height, width], 0 or 255."""
    alpha = np.zeros((height, width), np.uint8)
    x1, y1, x2, y2, r = inset, inset, width - 1 - inset, height - 1 - inset, max(0, corner - inset)
    cv2.rectangle(alpha, (x1 + r, y1), (x2 - r, y2), 255, -1)
    cv2.rectangle(alpha, (x1, y1 + r), (x2, y2 - r), 255, -1)
    for x in (x1 + r, x2 - r):
        for y in (y1 + r, y2 - r):
            cv2.circle(alpha, (x, y), r, 255, -1)
    return alpha


def cut_out(object, rng, size, colour=None):
    """One look of any object, text signs too: uint8 [h, w, 4], RED FIRST, straight alpha, longer side `size` px."""
    if not is_text(object):
        return catalogue.render(object, rng, size, colour)
    return catalogue.resized(draw(object, rng), int(size))
