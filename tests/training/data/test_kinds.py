"""Kinds of things: what answers to a wider name, and what no training caption may ask."""

import numpy as np
import pytest

from ps3_training.data import captions, catalogue, kinds, objects


def thing(name, held_out=False):
    return catalogue.NamedObject(name, (), "", False, "room", "thing", 0.3, "room", (("drawn", "mug"),), held_out, core=False)


def test_an_eagle_answers_to_bird_and_a_bird_to_no_eagle():
    assert kinds.of("eagle") == ("bird",) and kinds.of("bird") == () and kinds.of("no such thing") == ()
    assert "bird" in captions.means(thing("eagle"))


@pytest.mark.parametrize("pair", [("key", "keys"), ("headstone", "cemetery marker"), ("kiwifruit", "kiwi fruit")])
def test_names_of_one_thing_answer_to_each_other(pair):
    assert pair[0] in kinds.of(pair[1]) and pair[1] in kinds.of(pair[0])


def test_no_kind_is_a_synonym_of_something_else():
    said = {synonym: row[0] for row in catalogue.rows() for synonym in row[1]}
    clashes = {kind: said[kind] for members in kinds._wider().values() for kind in members if kind in said}
    assert clashes == {"ball": "soccer ball"}  # which the table's own families have, too
    assert not any(name in members for name, members in kinds._wider().items())


def test_captions_ask_for_kinds_and_never_for_held_out_ones():
    rng = np.random.default_rng(0)
    asked = {captions.caption(thing("eagle"), rng)[1] for _ in range(300)}
    assert asked == {"eagle", "bird"}
    assert catalogue.is_held_out("man") and "man" in captions.means(thing("sitting man"))
    assert {captions.caption(thing("sitting man"), rng)[1] for _ in range(300)} == {"sitting man", "person"}
    assert {captions.caption(thing("penguin", held_out=True), rng)[1] for _ in range(300)} == {"penguin"}


def test_held_out_names_of_the_table_are_its_own():
    names = {row[0] for row in catalogue.rows()}
    assert {name for name in names if catalogue.is_held_out(name)} == set(objects.HELD_OUT)
