"""The catalogue's stamps: Tux Paint's pictures, many of them photographs, named by the first sentence of the text beside each.

A stamp whose name the wide part has already is one more picture of that thing; any other is a thing of its own. Nothing that resembles
a held-out name is taken, so that `test-new` stays unseen.
"""

import re

# Folder -> place, group, metres. Persons, symbols, letters, coins, flags, skies and road signs are left out.
FOLDERS = {
    "animals": ("any", "animal", 0.6),
    "clothes": ("room", "clothes", 0.4),
    "food": ("room", "food", 0.12),
    "hobbies/music": ("room", "music", 0.5),
    "hobbies": ("room", "tool", 0.3),
    "household/arttools": ("room", "paper", 0.2),
    "household/dishes": ("room", "household", 0.25),
    "household/electronics": ("room", "device", 0.3),
    "household/tools": ("room", "tool", 0.3),
    "household": ("room", "household", 0.4),
    "medical": ("room", "tool", 0.2),
    "plants": ("any", "plant", 0.6),
    "seasonal": ("room", "toy", 0.25),
    "sports": ("any", "sport", 0.4),
    "town/houses": ("street", "building", 6.0),
    "town/monuments": ("street", "building", 6.0),
    "vehicles": ("street", "vehicle", 5.0),
}
ARTICLE = re.compile(r"^(an?|the|some|(pair|bunch|cluster|head|string|cup|couple) of|colorful|toy|very|big|huge|happy) ")
PLAIN = re.compile(r"[a-z][a-z' -]*[a-z]")
WORDS = 3  # of a name, at most: a longer sentence tells a story
NO_THINGS = {"wings", "quarter of pizza"}


def stamp_name(sentence):
    """ "A pair of blue jeans." -> "blue jeans"; "" where the text is no name: "Say cheese!"."""
    name = re.split(r"[.!?(,—–:;]", sentence.strip(), maxsplit=1)[0].strip().lower().replace("’", "'").replace("“", "").replace("”", "")
    if not name.startswith(("a ", "an ", "some ", "the ")):
        return ""
    while ARTICLE.match(name):
        name = ARTICLE.sub("", name)
    if not PLAIN.fullmatch(name) or len(name.split()) > WORDS or name in NO_THINGS:
        return ""
    return name


def rows(folder, taken, held):
    """(name, place, group, metres, kind, pictures) of every stamp with a name.

    taken: pictures and names of the hand-written table, none of which is taken again. held: names that training must not see.
    """
    found = {}
    for path in sorted([*folder.rglob("*.png"), *folder.rglob("*.svg")]):
        inside = path.relative_to(folder).parent.as_posix() + "/"
        place = next((value for key, value in FOLDERS.items() if inside.startswith(key + "/")), None)
        text = path.with_suffix(".txt")
        if place is None or ("tux", str(path)) in taken or not text.is_file() or path.suffix == ".svg" and not drawable(path):
            continue
        lines = text.read_text(encoding="utf-8", errors="replace").splitlines()
        name = stamp_name(lines[0]) if lines else ""
        if name and name not in taken and not resembles(name, held):
            found.setdefault((name, place), []).append(("tux", str(path)))
    return [(name, *place, "street" if place[0] == "street" else "room", tuple(pictures)) for (name, place), pictures in found.items()]


def drawable(path):
    """Whether an SVG is the only picture of its stamp, and one that can be read."""
    return not path.with_suffix(".png").is_file() and plain_svg(path)


def plain_svg(path):
    """Whether an SVG is free of XML entities, which no careful parser reads."""
    return b"<!ENTITY" not in path.read_bytes()


def resembles(name, held):
    """Whether a held-out name has the same last word, or is a part of this one: "blue jeans" are jeans, a "mountaingoat" is a goat."""
    words = name.split()
    return any(words[-1] == other.split()[-1] or set(other.split()) <= set(words) or (len(other) > 3 and other in name) for other in held)
