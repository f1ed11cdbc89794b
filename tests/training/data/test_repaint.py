"""Scenery in other colours and cut up."""

import numpy as np
import pytest

from ps3_training.data import backgrounds, clutter, repaint


@pytest.fixture
def picture():
    """uint8 [540, 960, 3]: red to the right, green downwards, no blue; no two places alike."""
    pixels = np.zeros((540, 960, 3), np.uint8)
    pixels[..., 2], pixels[..., 1] = np.arange(960) * 255 // 959, (np.arange(540) * 255 // 539)[:, None]
    return pixels


def test_other_colours_in_the_same_places(picture):
    seen = set()
    for seed in range(40):
        before = picture.copy()
        changed = repaint.recoloured(np.random.default_rng(seed), picture)
        assert (picture == before).all() and changed.shape == picture.shape and changed.dtype == np.uint8
        across = [int(c) for c in range(3) if len(np.unique(changed[100, :, c])) > 50]  # the channel that is what red was
        assert len(across) == 1
        column = changed[100, :, across[0]].astype(int)
        seen.add((across[0], bool(column[-1] > column[0])))
        assert (np.diff(column) >= 0).all() or (np.diff(column) <= 0).all()
    channels, brighter = (set(values) for values in zip(*seen, strict=True))
    assert channels == {0, 1, 2} and brighter == {False, True}, "channels change places, and some are inverted"


def test_parts_lie_elsewhere_and_the_rest_stays(picture):
    shares = []
    for seed in range(20):
        cut = repaint.cut_up(np.random.default_rng(seed), picture.copy())
        shares.append((cut != picture).any(2).mean())
    assert 0 < np.median(shares) < 0.5 and max(shares) < 0.95


def test_the_same_seed_gives_the_same_background(monkeypatch):
    one, two = (backgrounds.make(np.random.default_rng(4), "room", varied=True).pixels for _ in range(2))
    assert (one == two).all()
    for name, value in (("SHARE", 0.0), ("CUT_SHARE", 0.0)):
        monkeypatch.setattr(repaint, name, value)
    monkeypatch.setattr(clutter, "SHARE", 0.0)
    plain, none = (backgrounds.make(np.random.default_rng(4), "room", varied=varied).pixels for varied in (False, True))
    assert (plain == none).all()
