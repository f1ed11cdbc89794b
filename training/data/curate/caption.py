"""Words for regions and for the whole picture.

A captioner is any callable: (image uint8 [H, W, 3] BGR, regions) -> one Caption or None a region. `in_turn` asks several, each for what the
ones before it left without a caption.
"""

import hashlib
import re
from dataclasses import dataclass

LINE = ("text {}", "the text {}", "{}", "writing that says {}")
WORD = ("the word {}", "text {}", "{}")
PLATE = ("sign that says {}", "the {} sign", "a sign with {} on it", "sign with the text {}")
LONGEST, LONGEST_GLOBAL = 16, 50  # words of a local and of a global caption
UNSURE = re.compile(
    r"\b(unclear|unknown|not sure|can ?not|can['’]t|unable|sorry|as an ai|i am|i['’]m|no idea|hard to (say|tell)|blurry|nothing)\b",
    re.I,
)
OPENING = re.compile(
    r"^((the|this) (image|picture|photo|crop) (shows|depicts|contains)|(it|this|there) is|i see|caption:|answer:)\s+", re.I
)


@dataclass(frozen=True)
class Caption:
    """`text`: the words; `asks`: what they mean; `means`: every name the thing answers to (no negatives of it); `by`: who said so."""

    text: str
    asks: str
    means: tuple
    by: str


def text_caption(region, by="ocr"):
    """The Caption of a text region: same text and box, same words."""
    words = region.text
    forms = PLATE if region.plate else LINE if " " in words else WORD
    pick = hashlib.sha256(f"{words}{region.box}".encode()).digest()[0]
    meaning = words.lower()
    asks = f"sign that says {meaning}" if region.plate else f"text {meaning}"
    return Caption(forms[pick % len(forms)].format(words), asks, (f"sign that says {meaning}", f"text {meaning}"), by)


def caption_text(image, regions):
    """The captioner for text regions: says what is written, and nothing of the others."""
    return [text_caption(region) if region.text else None for region in regions]


def in_turn(*captioners):
    """A captioner that asks each of the given ones for the regions that are still without a caption."""

    def ask(image, regions):
        captions = [None] * len(regions)
        for captioner in captioners:
            open_ones = [i for i, caption in enumerate(captions) if caption is None]
            if open_ones:
                for i, caption in zip(open_ones, captioner(image, [regions[i] for i in open_ones]), strict=True):
                    captions[i] = caption
        return captions

    return ask


def clean_caption(answer, longest=LONGEST):
    """A model's answer as a caption, or None where it is none: empty, too long, a refusal, "unclear", or code.

    longest: words. Quotes, an opening such as "The image shows" and the full stop are taken off.
    """
    text = next((line for line in str(answer).splitlines() if line.strip()), "")
    text = OPENING.sub("", " ".join(text.split()).strip("\"'`*_ ")).strip("\"'`*_ ").rstrip(".")
    words = text.split()
    if (
        not 1 <= len(words) <= longest
        or len(text) < 3
        or len(text) > 12 * longest
        or UNSURE.search(text)
        or re.search(r"[<>{}\\]|https?:", text)
    ):
        return None
    return text if sum(c.isalpha() or c.isspace() for c in text) >= 0.6 * len(text) else None


def global_from_local(captions):
    """A sentence for the whole picture from its local captions, where no server gives one."""
    names = list(dict.fromkeys(caption.text for caption in captions))[:4]
    return "a picture with " + (names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1])
