"""Names and places of the wide part of the catalogue, on folders made here."""

import json

import pytest

from ps3_training.data import stamps, wide


@pytest.mark.parametrize(
    "stem, name",
    [
        ("warning--curve-left--g2", "curve left warning sign"),
        ("regulatory--maximum-speed-limit-35--g1", "speed limit 35 sign"),
        ("information--parking--g1", "parking sign"),
        ("complementary--except-trucks--g1", "except trucks plate"),
    ],
)
def test_sign_names_are_the_words_of_the_file(stem, name):
    assert wide.sign_name(stem) == name


def test_rows_of_each_root(tmp_path):
    signs, emoji, models = tmp_path / "signs", tmp_path / "emoji", tmp_path / "models"
    for path in (
        signs / "warning--ruts--g1.svg",
        signs / "warning--ruts--g3.svg",
        signs / "regulatory--stop--g1.svg",  # taken by the table
        emoji / "1f41d.webp",
        emoji / "1f600.webp",  # a face: left out
        emoji / "2764-fe0f.webp",  # with a variation selector in its file's name
        models / "desk" / "0.webp",
        models / "mug" / "0.webp",  # a name that the table has
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    model = {"place": "room", "group": "table", "metres": 1.2}
    (models / "models.json").write_text(json.dumps([{"name": n, "folder": n, **model} for n in ("desk", "mug", "empty")]))
    taken = {"mug", ("sign", str(signs / "regulatory--stop--g1.svg"))}
    rows = {row[0]: row for row in wide.rows({"sign": signs, "emoji": emoji, "model": models}, taken)}
    assert set(rows) == {"ruts warning sign", "honeybee", "red heart", "desk"}
    assert rows["ruts warning sign"][1:3] == ("street", "warning sign") and len(rows["ruts warning sign"][-1]) == 2
    assert rows["honeybee"][1:5] == ("any", "animal", 0.6, "room")
    assert rows["desk"][1:5] == ("room", "table", 1.2, "room")
    assert wide.rows({}, set()) == []


def test_a_model_that_resembles_a_held_out_name_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(wide, "HELD_OUT", ("radio",))
    monkeypatch.setattr(wide, "held_out", lambda name: name == "pocket radio")
    names = ("clock radio", "radio", "pocket radio", "desk")
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.webp").touch()
    rows = [{"name": n, "folder": n, "place": "room", "group": "device", "metres": 0.2} for n in names]
    (tmp_path / "models.json").write_text(json.dumps(rows))
    assert [row[0] for row in wide.rows({"model": tmp_path}, set())] == ["pocket radio", "desk"]  # the former is itself held out
    assert wide.views(tmp_path, ("writing table", "desk")) == (("model", str(tmp_path / "desk" / "0.webp")),)


def test_every_eighth_name_is_held_out_and_stays_so():
    names = [f"thing {i}" for i in range(4000)]
    share = sum(map(wide.held_out, names)) / len(names)
    assert abs(share - 1 / wide.HELD_OUT_SHARE) < 0.02
    assert [wide.held_out(n) for n in ("thing 0", "minimum speed 10 sign")] == [False, True]


@pytest.mark.parametrize(
    "name, kind, wider",
    [
        ("racing car", "street", ("car",)),
        ("curve left warning sign", "sign", ("warning sign",)),
        ("speed limit 35 sign", "sign", ("speed limit sign",)),
        ("end of speed limit 35 sign", "sign", ()),  # the opposite of its last words
        ("honeybee", "room", ()),
    ],
)
def test_wider_names(name, kind, wider):
    assert wide.wider(name, kind, {"car", "racing car", "sign"}) == wider


@pytest.mark.parametrize(
    "sentence, name",
    [
        ("A frog.", "frog"),
        ("A pair of blue jeans.", "blue jeans"),
        ("A calculator.  6x7=42", "calculator"),
        ("A peacock (a male peafowl).", "peacock"),
        ("A knight’s helmet.", "knight's helmet"),
        ("Say cheese!", ""),
        ("A hat worn by a university student.", ""),
        ("A “Granny Smith” apple.", "granny smith apple"),
    ],
)
def test_stamp_names(sentence, name):
    assert stamps.stamp_name(sentence) == name


def test_a_stamp_is_a_thing_or_one_more_picture_of_one(tmp_path):
    emoji, tux = tmp_path / "emoji", tmp_path / "tux"
    emoji.mkdir()
    (emoji / "1f981.webp").touch()  # lion face
    words = {"animals/cats/lion": "A lion.", "animals/cats/cheetah": "A cheetah.", "animals/goat": "A goat.", "people/king": "A king."}
    for place, sentence in {**words, "household/tools/hammer": "A hammer.", "animals/birds/snowy_owl": "A snowy owl."}.items():
        (tux / place).parent.mkdir(parents=True, exist_ok=True)
        (tux / f"{place}.png").touch()
        (tux / f"{place}.txt").write_text(f"{sentence}\n")
    (tux / "animals/untold.png").touch()
    found = {row[0]: row for row in wide.rows({"emoji": emoji, "tux": tux}, {"hammer"})}
    assert sorted(found) == ["cheetah", "goat", "lion"]  # the owl of the table is held out; people are no things
    assert [kind for kind, _ in found["lion"][-1]] == ["emoji", "tux"] and found["cheetah"][1:5] == ("any", "animal", 0.6, "room")
    assert wide.held_out("goat") and stamps.rows(tux, set(), {"goat", "owl"})[0][0] == "cheetah"
    assert stamps.resembles("mountaingoat", {"goat"}) and not stamps.resembles("mantis", {"man"})
