"""Captions that need more than one thing: how many there are, and what a thing stands beside.

Both name what the thing is, so their `asks` is that name: a mug left of a kettle is still a mug.
"""

from dataclasses import replace

from .captions import is_plural, phrase

NUMBERS = {2: "two", 3: "three", 4: "four"}
SHARE = 0.11  # of frames' things that may get one; in the end about 4% of captions
SIDES = {
    "left": ("the {} left of the {}", "the {} to the left of the {}", "a {} on the left of the {}"),
    "right": ("the {} right of the {}", "the {} to the right of the {}", "a {} on the right of the {}"),
    "beside": ("the {} next to the {}", "the {} beside the {}", "a {} near the {}"),
    "above": ("the {} above the {}", "a {} over the {}"),
    "below": ("the {} below the {}", "a {} under the {}"),
}
SIDES_HELD_OUT = {"beside": ("go to the {} that has the {} as its neighbour",)}
EACH = "one of the {}"
ALL = ("{}", "the {}", "there are {}", "{} together")


def plural(noun):
    """The plural of an English noun phrase, by its last word; None where that would be wrong."""
    if is_plural(noun) or noun.endswith(
        ("people", "sheep", "fish", "deer", "bread", "cheese", "broccoli", "soap", "paper", "luggage", "rice")
    ):
        return None
    irregular = {
        "knife": "knives",
        "mouse": "mice",
        "man": "men",
        "woman": "women",
        "child": "children",
        "leaf": "leaves",
        "goose": "geese",
    }
    head, _, last = noun.rpartition(" ")
    if last in irregular:
        last = irregular[last]
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        last += "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        last = last[:-1] + "ies"
    else:
        last += "s"
    return f"{head} {last}".strip()


def side_of(box, other):
    """What `box` is to `other`, both x1 y1 x2 y2 px: left, right, beside, above or below; None where they are far apart or overlap."""
    gap_x = max(other[0] - box[2], box[0] - other[2])
    gap_y = max(other[1] - box[3], box[1] - other[3])
    reach = 1.5 * (max(box[2] - box[0], box[3] - box[1]) + max(other[2] - other[0], other[3] - other[1]))
    if max(gap_x, gap_y) > reach or (gap_x < 0 and gap_y < 0):
        return None
    if gap_x >= 0 and gap_y < 0:  # side by side
        if gap_x < 0.25 * reach:
            return "beside"
        return "left" if box[0] < other[0] else "right"
    if gap_y >= 0 and gap_x < 0:
        return "above" if box[1] < other[1] else "below"
    return None


def _noun(thing):
    return f"{thing.colour} {thing.name}" if thing.colour and thing.colour not in thing.name else thing.name


def relate(things, rng, held_out=False):
    """The things with a few of their captions replaced by what they stand beside ("the red mug left of the kettle")."""
    names = [t.name for t in things]
    result = list(things)
    for i, thing in enumerate(things):
        if rng.random() >= SHARE or thing.name.startswith("sign that says"):
            continue
        beside = [
            (other, side)
            for other in things
            if names.count(other.name) == 1 and other.name != thing.name and not other.name.startswith("sign that says")
            for side in [side_of(thing.box, other.box)]
            if side and (not held_out or side in SIDES_HELD_OUT)
        ]
        if beside:
            other, side = beside[rng.integers(len(beside))]
            noun = _noun(thing)
            options = (SIDES_HELD_OUT if held_out else SIDES)[side]
            text = phrase(options[rng.integers(len(options))], noun, _noun(other))
            result[i] = replace(thing, text=text, asks=noun if noun in thing.means else thing.name)
    return result


def count(things, hidden, rng):
    """The things, with counted captions where the frame has several of one name ("two mugs").

    hidden: names answered to by objects that are there but have no caption: what they might add to is not counted.
    A group whose members stand close together gets one more thing, whose box is the union of theirs; else one says "one of the two mugs".
    """
    result = list(things)
    for name in dict.fromkeys(t.name for t in things):
        members = [t for t in things if t.name == name]
        many = plural(name)
        answering = sum(name in t.means for t in things)
        if len(members) not in NUMBERS or many is None or name in hidden or answering != len(members) or rng.random() < 0.3:
            continue
        colours = {t.colour for t in members}
        shown = f"{colours.pop()} {many}" if len(colours) == 1 and "" not in colours else many
        words = f"{NUMBERS[len(members)]} {shown}"
        x1, y1 = (min(t.box[k] for t in members) for k in (0, 1))
        x2, y2 = (max(t.box[k] for t in members) for k in (2, 3))
        side = max(max(t.box[2] - t.box[0], t.box[3] - t.box[1]) for t in members)
        if max(x2 - x1, y2 - y1) <= 1.6 * len(members) * side:
            text = ALL[rng.integers(len(ALL))].format(words)
            visible = min(t.visible for t in members)
            result.append(replace(members[0], text=text, asks=name, box=(x1, y1, x2, y2), visible=visible, colour=""))
        else:
            chosen = members[rng.integers(len(members))]
            result[result.index(chosen)] = replace(chosen, text=EACH.format(words), asks=name)
    return result
