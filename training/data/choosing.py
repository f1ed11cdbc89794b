"""Which objects a scene shows, and which it is asked for although they are not there."""

from . import backgrounds, words
from .captions import means
from .catalogue import COLOURS

SPLITS = {"train": 0, "test-seen": 1, "test-new": 2, "test-phrasing": 3}  # the first part of a frame's seed: splits share no scene
CORE = 0.65  # share of draws from the hand-written, everyday names
CORE_NEW = 0.15  # of held-out ones, of which few are everyday
TEXT = {"street": 0.32, "room": 0.3, "photo": 0.15, "texture": 0.15}  # share of frames with a text sign
HUES_APART = 40  # OpenCV hue steps (of 180) between two colours that nobody mixes up


def drawn(source, rng):
    """One object: everyday names with CORE (CORE_NEW if all are held out); half of the time first a group, then a member, so that not only
    signs come up.
    """
    core = [o for o in source if o.core]
    wide = [o for o in source if not o.core]
    share = CORE_NEW if all(o.held_out for o in core) else CORE
    source = (core if rng.random() < share else wide) or core or wide
    if rng.random() < 0.5:
        groups = sorted({o.group for o in source})
        group = groups[rng.integers(len(groups))]
        source = [o for o in source if o.group == group]
    return source[rng.integers(len(source))]


def fitting(objects, place):
    """The objects that can be in such a place, without those that the scenery itself may show."""
    places = {"street": ("street", "any"), "room": ("room", "any")}.get(place, ("street", "room", "any"))
    pool = [o for o in objects if o.place in places and (o.kind == "sign" or not backgrounds.shows(place, (o.name, *o.synonyms)))]
    return pool or list(objects)


def choose(objects, rng, count, split, place):
    """`count` objects for a scene: seen ones, or for test-new half held-out ones. In 3 of 10 scenes half of them come from one group, so
    that telling them apart matters; about as often one or two are text signs.
    """
    pool = fitting(objects, place)
    seen, new = [o for o in pool if not o.held_out], [o for o in pool if o.held_out]
    asked = new if split == "test-new" and new else seen or pool
    half = max(2, (count + 1) // 2)
    lights = [o for o in seen if o.kind == "light"]
    chosen = []
    if rng.random() < 0.3:
        first = drawn(asked, rng)
        alike = [o for o in asked if o.group == first.group]
        chosen = [alike[rng.integers(len(alike))] for _ in range(half)]
    elif asked is seen and lights and any(o.kind == "sign" for o in seen) and rng.random() < 0.5:
        chosen = [lights[rng.integers(len(lights))] for _ in range(int(rng.integers(1, 3)))]
    if rng.random() < TEXT[place]:
        signs = fitting([s for s in words.signs() if s.held_out == (split == "test-new")], place)
        chosen.extend(signs[rng.integers(len(signs))] for _ in range(int(rng.integers(1, 3))))
    chosen = chosen[: count - 1]
    while asked is new and sum(o.held_out for o in chosen) < half and len(chosen) < count:
        chosen.append(drawn(new, rng))
    while len(chosen) < count:
        chosen.append(drawn(seen or pool, rng))
    return [chosen[i] for i in rng.permutation(len(chosen))]


def _ambiguous(object, present, heads):
    """True if somebody could say that the object is in the frame: it shares a name with one that is, or one's name ends in the other's."""
    names = {object.name, *object.synonyms, *object.families}
    if names & present:
        return True
    if object.kind == "sign":
        return False
    own = {n.split()[-1] for n in (object.name, *object.synonyms) if n}
    ends = tuple(f" {n}" for n in (object.name, *object.synonyms))
    if any(p.endswith(ends) for p in present):
        return True
    return bool(own & heads) and any(n.endswith(f" {p}") for p in present for n in (object.name, *object.synonyms))


def absent_names(objects, placed, rng, count, split, place):
    """`count` names that nothing in the frame answers to; half are like something that is there: of its group, or it in another colour.

    objects: the catalogue. placed: (object, colour or None) of everything that can be seen, captioned or not. Training frames and the
    splits of seen objects name no held-out object; test-new names only those. Returns a tuple of str, at most `count`.
    """
    new = split == "test-new"
    present = {name for obj, colour in placed for name in (*means(obj, colour), *obj.synonyms)}
    heads = {name.split()[-1] for name in present}
    groups = {obj.group for obj, _ in placed if obj.held_out == new or not new}
    pool = [o for o in (*objects, *words.signs()) if o.held_out == new]
    pool = [o for o in pool if o.kind == "sign" or not backgrounds.shows(place, (o.name, *o.synonyms))]
    text = [o for o in pool if words.is_text(o)]
    other = [o for o in pool if not words.is_text(o)]
    like = [o for o in pool if o.group in groups and o.name not in present]
    tints = [] if new else _other_colours(placed)
    chosen = []
    for _ in range(20 * count):
        if len(chosen) >= count:
            break
        if len(chosen) % 2 == 0 and tints and rng.random() < 0.25:
            name = tints.pop(int(rng.integers(len(tints))))
            if name not in present and name not in chosen:
                chosen.append(name)
            continue
        if len(chosen) % 2 == 0 and like:
            obj = like.pop(int(rng.integers(len(like))))
        elif other and (not text or rng.random() < 0.93):
            obj = drawn(other, rng)
        elif text:
            obj = text[rng.integers(len(text))]
        else:
            break
        if obj.name not in chosen and not _ambiguous(obj, present, heads):
            chosen.append(obj.name)
    return tuple(chosen[i] for i in rng.permutation(len(chosen)))


def _other_colours(placed):
    """Names such as "blue mug" where every mug that is there was given a colour far from blue."""
    given = {}
    for obj, colour in placed:
        given.setdefault(obj.name, []).append(colour)
    names = []
    for name, colours in given.items():
        if None in colours or "" in colours:
            continue
        for word, hue in COLOURS.items():
            apart = [abs(hue - COLOURS[c]) for c in colours]
            if all(min(a, 180 - a) >= HUES_APART for a in apart):
                names.append(f"{word} {name}")
    return names
