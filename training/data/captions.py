"""What people say for an object: the words, and the name those words mean.

Two captions with the same meaning in different frames are no negatives of each other: a caption's meaning is its `asks`; an object answers
to every name in `means(object, colour)`. What a thing stands beside, and how many there are, is in relations.py.
"""

import re

from .catalogue import is_held_out

ASK = (
    *("{}",) * 6,  # a quarter is the bare name
    "a {}",
    "a {}",
    "the {}",
    "the {}",
    "the {}",
    "where is the {}?",
    "where can I see a {}?",
    "find the {}",
    "find me a {}",
    "show me the {}",
    "look for the {}",
    "search for a {}",
    "is there a {}?",
    "is there a {} here?",
    "do you see a {}?",
    "can you find the {}?",
    "what about the {}?",
    "locate the {}",
    "spot the {}",
    "look at the {}",
    "a photo of a {}",
    "a picture of a {}",
    "there is a {}",
    "this is a {}",
    "tell me where the {} is",
)
# Test frames only: no training caption begins or ends so.
ASK_HELD_OUT = (
    "I need the {}",
    "can you see any {}?",
    "go to the {}",
    "point at the {}",
    "which way is the {}?",
    "drive up to the {}",
    "bring me the {}, please",
    "has anyone left a {} around?",
    "my {} must be somewhere, try and get it",
    "let me know once you notice a {}",
)
SMALL = ("a small {}", "a {} far away", "a tiny {}", "the little {}")
LARGE = ("a large {}", "a big {}", "a {} close by", "the huge {}")
HIDDEN = ("a partly hidden {}", "the {} behind something", "a half covered {}")
CONTEXT = {
    "street": ("a {} in the street", "a {} by the road", "the {} at the roadside", "the {} outside"),
    "pole": ("a {} on a pole", "the {} on the post", "a {} at the roadside", "the {} by the road"),
    "room": ("a {} in the room", "the {} on the table", "a {} on the shelf", "the {} indoors"),
    "photo": ("a {} in the picture", "the {} in this photo", "a {} in the scene"),
    "texture": ("a {} in front of a pattern", "the {} in the picture"),
}
WHERE = {  # (column, row) of the frame's thirds -> where people say that is
    (0, 0): ("the {} at the top left", "the {} in the upper left"),
    (1, 0): ("the {} at the top", "the {} up in the middle"),
    (2, 0): ("the {} at the top right", "the {} in the upper right"),
    (0, 1): ("the {} on the left", "the {} on the left side"),
    (1, 1): ("the {} in the middle", "the {} in the centre"),
    (2, 1): ("the {} on the right", "the {} on the right side"),
    (0, 2): ("the {} at the bottom left", "the {} in the lower left corner"),
    (1, 2): ("the {} at the bottom", "the {} low in the middle"),
    (2, 2): ("the {} at the bottom right", "the {} in the lower right corner"),
}
SAYS = (
    "sign that says {}",
    "the sign that says {}",
    "a sign saying {}",
    "text {}",
    "the text {}",
    "the words {}",
    "where does it say {}?",
    "find the sign {}",
    "{} sign",
    "a board with {} on it",
    "show me the sign with the text {}",
    "{}",
)
SAYS_HELD_OUT = (
    "read out where {} is written",
    "lettering that spells {}",
    "go to {}",
    "which notice has {} printed?",
    "take me to the one reading {}",
)

# Nouns of the catalogue that take no plain "a": pairs, and what is counted by the piece only.
PAIRS = "scissors|pliers|glasses|gloves|binoculars|headphones|eyeglasses|spectacles|earphones"
SOME = "grapes|broccoli|bread|cheese|soap|toilet paper|luggage|bananas|salt|cattle"
END = (  # "a soap dispenser" keeps its "a"
    r"(?=$|[?,]| (?:in|on|at|by|and|far|close|left|right|next|beside|above|below|under|behind|near|up|low|outside|indoors|here|around|"
    r"with)\b)"
)


def _article(phrase):
    """Puts the right article where a template wrote `a`: `an` before a vowel sound, `a pair of`, or `some`."""
    phrase = re.sub(rf"\ba ((?:\w+ )?(?:{PAIRS})){END}", r"a pair of \1", phrase)
    phrase = re.sub(rf"\ba ((?:\w+ )?(?:{SOME})){END}", r"some \1", phrase)
    return re.sub(r"\ba (?=[aeio8]|u(?!-turn|ni))", "an ", phrase)


def is_plural(noun):
    """True for a noun phrase that takes no `a`: jeans, blueberries; not bus, glass, lens."""
    last = noun.rpartition(" ")[2]
    return last.endswith("s") and not last.endswith(("ss", "us", "is", "as", "os", "lens"))


def phrase(template, *nouns):
    """The template with its nouns, each with the article it takes."""
    if nouns and is_plural(nouns[0]) and not re.search(rf"\b(?:{PAIRS}|{SOME})$", nouns[0]):
        template = re.sub(r"\ba (?=\{\})", "some ", template, count=1)
    return _article(template.format(*nouns))


def means(object, colour=None):
    """Every name the object answers to: its own, its families, and each with its colour."""
    names = (object.name, *object.families)
    shown = colour or object.color
    colored = tuple(f"{shown} {n}" for n in names if shown and shown not in n)
    return names + colored


def _pick(rng, options):
    return options[rng.integers(len(options))]


def caption(object, rng, colour=None, place="photo", size=None, held_out=False, where=None, visible=1.0):
    """(text, asks): words for the object and the name they mean.

    colour: the colour it was given, if any. place: a key of CONTEXT. size: longer side in px, for "small" and "large".
    held_out: True uses only the phrasings kept for test frames. where: (column, row) of the third of the frame it is in, each 0 to 2,
    for "on the left". visible: fraction of it that can be seen, for "partly hidden".
    """
    if getattr(object, "words", ""):
        return say(object, rng, held_out)
    shown = colour or object.color
    choice = rng.random()
    families = () if object.held_out else [name for name in object.families if not is_held_out(name)]
    if choice < 0.08 and families:  # a held-out object, and one of a held-out kind, is asked for by its own name
        asks = noun = _pick(rng, families)
    elif choice < 0.3 and object.synonyms and not colour:
        asks, noun = object.name, _pick(rng, object.synonyms)
    else:
        asks = noun = object.name
    if shown and shown not in noun and asks == object.name and rng.random() < (0.75 if colour else 0.3):
        noun = f"{shown} {noun}"
        asks = f"{shown} {asks}" if shown not in asks else asks
    form = rng.random()
    options = ASK
    if held_out:
        options = ASK_HELD_OUT
    elif form < 0.12:
        options = CONTEXT[place]
    elif form < 0.18 and visible < 0.75:
        options = HIDDEN
    elif form < 0.2 and size is not None and (size < 60 or size > 300):
        options = SMALL if size < 60 else LARGE
    elif 0.2 < form < 0.27 and where is not None:
        options = WHERE[where]
    return phrase(_pick(rng, options), noun), asks


def say(object, rng, held_out=False):
    """(text, asks) for a text sign: its words in capitals, small letters or as a title; `asks` is its name."""
    words = object.words
    case = rng.random()
    words = words if case < 0.5 else words.lower() if case < 0.8 else words.title()
    if not held_out and " " not in words and rng.random() < 0.15:
        return f"the word {words}", object.name
    return _pick(rng, SAYS_HELD_OUT if held_out else SAYS).format(words), object.name


def absent_caption(name, rng, held_out=False):
    """A question for a name that is not in the frame, in the words that are used for what is: text."""
    start = "sign that says "
    if name.startswith(start):
        words = name[len(start) :]
        words = words.upper() if rng.random() < 0.5 else words
        return _pick(rng, SAYS_HELD_OUT if held_out else SAYS).format(words)
    return phrase(_pick(rng, ASK_HELD_OUT if held_out else ASK), name)


def global_caption(place, names, rng):
    """A sentence for the whole frame: the place and up to four of the things in it."""
    scene = {
        "street": ("a street", "a road in a town", "a street scene", "a view along a road"),
        "room": ("a room", "a room with a table", "an indoor scene", "inside a house"),
        "photo": ("a photo", "a picture", "a view"),
        "texture": ("a pattern", "a texture"),
    }[place]
    scene = _pick(rng, scene)
    chosen = [names[i] for i in rng.permutation(len(names))[:4]]
    chosen = list(dict.fromkeys(chosen))
    if not chosen:
        return scene
    things = [phrase("a {}", n) for n in chosen]
    listed = things[0] if len(things) == 1 else ", ".join(things[:-1]) + " and " + things[-1]
    return f"{scene} with {listed}"
