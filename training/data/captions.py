"""What people say for an object: the words, and the name those words mean.

Two captions with the same meaning in different frames are no negatives of each other: a caption's meaning is its `asks`; an object answers
to every name in `means(object, colour)`.
"""

import re

ASK = (
    "{}",
    "{}",
    "a {}",
    "the {}",
    "the {}",
    "where is the {}?",
    "find the {}",
    "show me the {}",
    "look for the {}",
    "is there a {}?",
    "a photo of a {}",
)
ASK_HELD_OUT = ("I need the {}", "can you see any {}?", "go to the {}", "point at the {}", "which way is the {}?")  # test frames only
SMALL = ("a small {}", "a {} far away", "a tiny {}")
LARGE = ("a large {}", "a big {}", "a {} close by")
CONTEXT = {
    "street": ("a {} in the street", "a {} by the road", "the {} at the roadside"),
    "pole": ("a {} on a pole", "the {} on the post", "a {} at the roadside"),
    "room": ("a {} in the room", "the {} on the table", "a {} on the shelf"),
    "photo": ("a {} in the picture", "the {} in this photo"),
    "texture": ("a {} in front of a pattern", "the {} in the picture"),
}


# Nouns of the catalogue that take no plain "a": pairs, and what is counted by the piece only.
PAIRS = "scissors|pliers|glasses|gloves|binoculars|headphones|eyeglasses|spectacles|earphones"
SOME = "grapes|broccoli|bread|cheese|soap|toilet paper|luggage|bananas|salt|cattle"
END = r"(?=$|[?,]| (?:in|on|at|by|and|far|close)\b)"  # "a soap dispenser" keeps its "a"


def _article(phrase):
    """Puts the right article where a template wrote `a`: `an` before a vowel sound, `a pair of`, or `some`."""
    phrase = re.sub(rf"\ba ((?:\w+ )?(?:{PAIRS})){END}", r"a pair of \1", phrase)
    phrase = re.sub(rf"\ba ((?:\w+ )?(?:{SOME})){END}", r"some \1", phrase)
    return re.sub(r"\ba (?=[aeio8]|u(?!-turn|ni))", "an ", phrase)


def means(object, colour=None):
    """Every name the object answers to: its own, its families, and each with its colour."""
    names = (object.name, *object.families)
    shown = colour or object.color
    colored = tuple(f"{shown} {n}" for n in names if shown and shown not in n)
    return names + colored


def caption(object, rng, colour=None, place="photo", size=None, held_out=False):
    """(text, asks): words for the object and the name they mean.

    colour: the colour it was given, if any. place: a key of CONTEXT. size: longer side in px, for "small" and "large".
    held_out: True uses the phrasings kept for test frames.
    """
    shown = colour or object.color
    choice = rng.random()
    if choice < 0.08 and object.families:
        asks = noun = object.families[rng.integers(len(object.families))]
    elif choice < 0.3 and object.synonyms and not colour:
        asks, noun = object.name, object.synonyms[rng.integers(len(object.synonyms))]
    else:
        asks = noun = object.name
    if shown and shown not in noun and asks == object.name and rng.random() < (0.75 if colour else 0.3):
        noun = f"{shown} {noun}"
        asks = f"{shown} {asks}" if shown not in asks else asks
    form = rng.random()
    if held_out:
        template = ASK_HELD_OUT[rng.integers(len(ASK_HELD_OUT))]
    elif form < 0.15:
        options = CONTEXT[place]
        template = options[rng.integers(len(options))]
    elif form < 0.22 and size is not None and size < 60:
        template = SMALL[rng.integers(len(SMALL))]
    elif form < 0.22 and size is not None and size > 300:
        template = LARGE[rng.integers(len(LARGE))]
    else:
        template = ASK[rng.integers(len(ASK))]
    return _article(template.format(noun)), asks


def global_caption(place, names, rng):
    """A sentence for the whole frame: the place and up to four of the things in it."""
    scene = {
        "street": ("a street", "a road in a town", "a street scene"),
        "room": ("a room", "a room with a table", "an indoor scene"),
        "photo": ("a photo", "a picture"),
        "texture": ("a pattern", "a texture"),
    }[place]
    scene = scene[rng.integers(len(scene))]
    chosen = [names[i] for i in rng.permutation(len(names))[:4]]
    chosen = list(dict.fromkeys(chosen))
    if not chosen:
        return scene
    things = [_article(f"a {n}") for n in chosen]
    listed = things[0] if len(things) == 1 else ", ".join(things[:-1]) + " and " + things[-1]
    return f"{scene} with {listed}"
