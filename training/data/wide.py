"""The catalogue's wide part: every traffic sign, many everyday things and rendered 3D models, named by their files.

The hand-written table (objects.py) knows synonyms, colours and families of what robots are asked for most. A model that knew only those
names would take every other word for one of them; this part gives it some 1,600 more, with no more words than their source has.
Every eighth name is held out: it is never trained on, and `test-new` asks for it.
"""

import json
import unicodedata
import zlib
from functools import cache
from pathlib import Path

from . import restyled, stamps
from .objects import HELD_OUT

HELD_OUT_SHARE = 8  # one name in so many

# Emoji by code point, as "place group metres: first-last ...". Faces, persons, hands, flags, arrows, symbols and skies are left out.
EMOJI = """
room food 0.12: 1f32d-1f330 1f336 1f33d 1f344-1f37f 1f382 1f950-1f957 1f959 1f95a 1f95c-1f961 1f965-1f96f 1f980 1f990 1f991 1f99e 1f9aa
room food 0.12: 1f9c0-1f9cb 1fad0-1fad5 1fad8 1fad9
any plant 0.6: 1f331-1f335 1f337-1f33c 1f33f-1f343 1f384 1f38d 1f490 1f940 1fab4 1fab7 2618
any animal 0.6: 1f400-1f43a 1f43b 1f43c 1f43f 1f577 1f981-1f9a5 1f9a6-1f9ad 1fab0-1fab3
room toy 0.25: 1f380 1f381 1f383 1f388 1f389 1f38e 1f38f 1f390 1f3ae-1f3b3 1f579 1f9e9 1f9f8 1fa80-1fa86 265f 1f004 1f0cf
any sport 0.4: 26bd 26be 26f8 1f3be 1f3bf 1f3c0 1f3c8 1f3c9 1f3cf-1f3d3 1f3f8 1f3f9 1f945 1f94a 1f94c-1f94f 1f93f 1f6f7-1f6f9 1f6fc
room music 0.5: 1f3a4 1f3a7 1f3b7-1f3bb 1f941 1fa95 1fa97 1fa98 1f4ef 1f4fb
room prize 0.3: 1f396 1f397 1f3c5 1f3c6 1f947-1f949 1f3f5 1f3f7 1f451 1f48e 1f48d
room clothes 0.4: 1f392 1f393 1f3a9 1f3bd 1f452-1f462 1f576 1f97b-1f97f 1f9ba 1f9e2-1f9e6 1fa70-1fa74 1fa96 1f302
room device 0.3: 231a 2328 23f0-23f3 260e 1f399-1f39b 1f3a5 1f4bb 1f4bd-1f4c0 1f4f1 1f4f7 1f4f9 1f4fa 1f4fc 1f4fd 1f50b 1f50c 1f526 1f570
room device 0.3: 1f5a5 1f5a8 1f5b1 1f5b2 1f4df 1f4e0 1f9ee 1faa9
room paper 0.3: 1f4b3-1f4b7 1f4c1-1f4d9 1f4da 1f4dc 1f4f0 1f516 1f56f 1f58a-1f58d 1f5bc 1f5c2-1f5c4 1f5d2 1f5d3 1f5de 1f5fa 1f4dd 2702
room paper 0.3: 2709 270f 2712 1f4e6 1f4eb 1f9fe 1f39e 1f39f 1f3ab 1f3ac 1f3a8 1f587
room tool 0.3: 2692-2694 2696 2697 2699 26cf 26d3 1f50d 1f511-1f514 1f527-1f52a 1f52c-1f52e 1f5dd 1f5e1 1f6e0 1f6e1 1fa93 1fa9a-1faa5
room tool 0.3: 1f9ea 1f9eb 1f9ed 1f9ef-1f9f2 1f489 1f48a 1f4a1 1f4a3 1f4b0 1f9f4-1f9f7 1f9f9-1f9fd 1fa79 1fa7a 1fa7c 1fa91 1fa92 1f9af
room tool 0.3: 1f321 1fa94 1f3ee
room household 0.5: 1f484 1f488 1f4ba 1f4bc 1f6aa 1f6bd 1f6bf 1f6c1 1f6cb 1f6cd-1f6cf 1f5d1 1f3fa 1fa9e 1fa9f 1f9f3 26b1 26f1 2602 1f944
room household 0.5: 1f942 1f943 1f95b 1f962-1f964
street vehicle 5: 26f4 26f5 2708 1f680-1f686 1f68a 1f68b 1f68e 1f690 1f699 1f69d-1f69f 1f6a1 1f6a2 1f6a4 1f6e5 1f6e9 1f6f0 1f6f3 1f6f6
street vehicle 5: 1f6f8 1f6fa 1f3ce 1f6de 1f6df
street building 6: 26ea 26e9 26f2 1f3a0-1f3a2 1f3aa 1f3d7 1f3da 1f3db 1f3df-1f3e6 1f3e8 1f3ea-1f3ed 1f3ef 1f3f0 1f54c 1f54d 1f5fc 1f5fd
street building 6: 1f5ff 1f6d5 1f6d6 1f6dd 1f6e2 1faa6 1f3e7
street road thing 1: 26d1 2693 1f3c1 1f6a8 1f6a9 1faa7 1faa8 1f9f1 1fab5 1fa81 1fa82
any shape 0.3: 2b50 2764 1f494 1f499-1f49c 1f5a4 1f90d 1f90e 1f9e1
"""
RENAMED = {
    "automobile": "car",
    "black chess pawn": "chess pawn",
    "black telephone": "telephone",
    "white medium star": "star",
    "heavy black heart": "red heart",
    "mans shoe": "man's shoe",
    "womans hat": "woman's hat",
    "womans clothes": "blouse",
    "womans sandal": "sandal",
    "womans boots": "boot",
    "hocho": "kitchen knife",
    "electric torch": "flashlight",
    "electric light bulb": "light bulb",
    "lower left ballpoint pen": "ballpoint pen",
    "lower left fountain pen": "fountain pen",
    "lower left paintbrush": "paintbrush",
    "lower left crayon": "crayon",
    "t-rex": "tyrannosaurus",
    "three button mouse": "computer mouse",
    "optical disc": "compact disc",
    "frame with picture": "picture frame",
    "mechanical arm": "robot arm",
    "black scissors": "scissors",
    "black nib": "pen nib",
    "mahjong tile red dragon": "mahjong tile",
    "playing card black joker": "joker card",
    "lady beetle": "ladybug",
    "womans boot": "boot",
    "police cars revolving light": "police light",
    "triangular flag on post": "triangular flag",
    "moyai": "stone head",
    "izakaya lantern": "paper lantern",
    "helmet with white cross": "rescue helmet",
    "game die": "dice",
    "direct hit": "dartboard",
    "beverage box": "juice box",
    "mate drink": "mate gourd",
    "sauropod": "dinosaur",
    "umbrella on ground": "beach umbrella",
    "couch and lamp": "sofa with a lamp",
    "closed umbrella": "folded umbrella",
    "minidisc": "mini disc",
    "automated teller machine": "cash machine",
    "bell with cancellation stroke": "muted bell",
    "pouring liquid": "pouring cup",
    "ear of maize": "corn cob",
    "ear of rice": "rice plant",
    "aubergine": "eggplant",
    "lorry": "truck",
}


def rows(places, taken):
    """(name, place, group, metres, kind, pictures) of every wide object whose pictures are here.

    places: {root: folder} from catalogue.roots(). taken: the pictures and names that the hand-written table has already.
    """
    found = []
    if "sign" in places:
        found += _signs(places["sign"], taken)
    if "emoji" in places:
        found += _emoji(places["emoji"], taken)
    if "model" in places:
        found += _models(places["model"], taken, _held({row[0] for row in found}))
    rows_of = {}
    for row in found:
        rows_of.setdefault(row[0], row)
    if "tux" in places:
        for row in stamps.rows(places["tux"], taken, _held(rows_of)):
            known = rows_of.get(row[0])
            rows_of[row[0]] = (*known[:-1], known[-1] + row[-1]) if known else row
    if "style" in places:
        for row in restyled.rows(taken, set(rows_of), _held(rows_of), places["style"]):
            rows_of[row[0]] = row
    return list(rows_of.values())


def _held(names):
    return {name for name in names if held_out(name)} | set(HELD_OUT)


def held_out(name):
    """Whether a wide name is kept from training: by its checksum, so that new pictures change nothing for old names."""
    return zlib.crc32(name.encode()) % HELD_OUT_SHARE == 0


def sign_name(stem):
    """ "warning--curve-left--g2" -> "curve left warning sign": the words of the file and of its category."""
    category, words = stem.split("--")[:2]
    words = (
        words.replace("-", " ").replace("maximum speed limit", "speed limit").replace("kangaloo", "kangaroo").replace("u turn", "u-turn")
    )
    return f"{words} {({'warning': 'warning sign', 'complementary': 'plate'}).get(category, 'sign')}"


def wider(name, kind, names):
    """Wider names that a wide object answers to: "racing car" is a car, "speed limit 35 sign" a speed limit sign. names: the catalogue's.

    A family need not be right for every picture: it only keeps a caption from counting against an object that may well answer it.
    """
    if kind == "sign":
        return ("warning sign",) * name.endswith(" warning sign") + ("speed limit sign",) * name.startswith("speed limit ")
    words = name.split()
    return tuple(" ".join(words[i:]) for i in range(1, len(words)) if " ".join(words[i:]) in names)


def _signs(folder, taken):
    by_name = {}
    for path in sorted(folder.glob("*.svg")):
        if len(path.stem.split("--")) == 3 and ("sign", str(path)) not in taken:
            by_name.setdefault((sign_name(path.stem), path.stem.split("--")[0]), []).append(("sign", str(path)))
    return [
        (name, "street", f"{category} sign", 0.7, "sign", tuple(paths)) for (name, category), paths in by_name.items() if name not in taken
    ]


def _emoji(folder, taken):
    found = []
    for line in EMOJI.strip().splitlines():
        head, _, points = line.partition(":")
        place, *group, metres = head.split()
        for part in points.split():
            first, _, last = part.partition("-")
            for point in range(int(first, 16), int(last or first, 16) + 1):
                path = next((p for p in (folder / f"{point:x}.webp", folder / f"{point:x}-fe0f.webp") if p.is_file()), None)
                name = unicodedata.name(chr(point), "").lower()
                name = RENAMED.get(name, name)
                name = name.removesuffix(" face") if name not in ("", "clock face") else name
                if path is None or not name or ("emoji", str(path)) in taken or name in taken:
                    continue
                found.append(
                    (name, place, " ".join(group), float(metres), "street" if place == "street" else "room", (("emoji", str(path)),))
                )
    return found


def _models(folder, taken, held):
    """Rendered views of 3D models (views.py): models.json names them. A name that the table has already is left to the table's pictures.

    held: names that training must not see; a model that resembles one of them is taken only where its own name is held out too.
    """
    found = []
    for name, (model, pictures) in _views(folder).items():
        if pictures and name not in taken and (held_out(name) or not stamps.resembles(name, held)):
            kind = "street" if model["place"] == "street" else "room"
            found.append((name, model["place"], model["group"], float(model["metres"]), kind, pictures))
    return found


def views(folder, names):
    """Pictures, as ("model", path), of the 3D models that have one of these names."""
    known = _views(folder)
    return tuple(picture for name in names if name in known for picture in known[name][1])


@cache
def _views(folder):
    """{name: (its entry in models.json, its pictures)}."""
    listed = json.loads((Path(folder) / "models.json").read_text())
    return {m["name"]: (m, tuple(("model", str(p)) for p in sorted((Path(folder) / m["folder"]).glob("*.webp")))) for m in listed}
