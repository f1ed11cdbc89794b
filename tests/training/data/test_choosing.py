"""What a scene shows and what it is asked for."""

from dataclasses import replace

import numpy as np
import pytest

from ps3_training.data import backgrounds, choosing, words


@pytest.fixture(scope="module")
def objects(drawn):
    """The drawn objects, a copy of each as a wide name, and three held-out ones."""
    wide = [replace(o, name=f"other {o.name}", core=False, synonyms=()) for o in drawn]
    new = [replace(o, name=f"new {o.name}", held_out=True, core=False, synonyms=()) for o in drawn[3:6]]
    return (*drawn, *wide, *new)


def test_everyday_names_are_drawn_more_often(objects):
    rng = np.random.default_rng(0)
    seen = [o for o in objects if not o.held_out]
    share = np.mean([choosing.drawn(seen, rng).core for _ in range(400)])
    assert abs(share - choosing.CORE) < 0.08


@pytest.mark.parametrize("split", list(choosing.SPLITS))
def test_held_out_objects_are_half_of_test_new_and_nowhere_else(objects, split):
    chosen = [o for s in range(40) for o in choosing.choose(objects, np.random.default_rng(s), 8, split, "texture")]
    assert len(chosen) == 320
    if split == "test-new":
        assert 0.45 < np.mean([o.held_out for o in chosen]) < 0.75
    else:
        assert not any(o.held_out for o in chosen)
    assert any(words.is_text(o) for o in chosen)


def test_absent_names(objects):
    mug, blue = next(o for o in objects if o.name == "mug"), "blue"
    seen, new = [], []
    for s in range(30):
        seen += choosing.absent_names(objects, [(mug, blue)], np.random.default_rng(s), 6, "test-seen", "texture")
        new += choosing.absent_names(objects, [(mug, blue)], np.random.default_rng(s), 6, "test-new", "texture")
    assert len(seen) == 180 and not {"mug", "blue mug", "other mug", "purple mug"} & set(
        seen
    )  # "other mug" ends in "mug", purple is near blue
    assert {"red mug", "yellow mug"} & set(seen) and not any(n.startswith("new ") for n in seen)
    assert set(new) <= {o.name for o in (*objects, *words.signs()) if o.held_out}


def test_scenery_is_neither_pasted_nor_called_absent(objects):
    tree = replace(objects[0], name="palm tree", kind="street", place="any", synonyms=())
    assert backgrounds.shows("street", ["palm tree"]) and not backgrounds.shows("street", ["tree frog"])
    assert tree not in choosing.fitting((tree, *objects), "street") and tree in choosing.fitting((tree, *objects), "texture")
    absent = [n for s in range(20) for n in choosing.absent_names((tree, *objects), [], np.random.default_rng(s), 6, "train", "street")]
    assert absent and "palm tree" not in absent
