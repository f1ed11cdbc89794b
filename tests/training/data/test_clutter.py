"""Things without a name on training backgrounds."""

import numpy as np

from ps3_training.data import backgrounds, clutter, compose, repaint


def test_blobs_lie_on_the_background_and_are_the_same_for_the_same_seed():
    plain = np.full((540, 960, 3), 128, np.uint8)
    one, two = (clutter.scattered(np.random.default_rng(3), plain.copy()) for _ in range(2))
    changed = (one != plain).any(2)
    assert (one == two).all() and 0.0005 < changed.mean() < 0.5
    shares = [(clutter.scattered(np.random.default_rng(i), plain.copy()) != plain).any(2).mean() for i in range(30)]
    assert 0 < min(shares) and 0.005 < np.median(shares) < max(shares) < 0.3


def test_a_rectangle_has_four_corners_in_order():
    rectangles = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        curve = clutter.outline(rng, 100)
        x, y = curve.T
        area = 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
        if len(curve) == 4 and np.allclose(np.hypot(x, y), 100):
            sides = np.linalg.norm(curve - np.roll(curve, -1, 0), axis=1)
            assert np.isclose(area, sides[0] * sides[1]), "a bow tie has less"
            rectangles += 1
    assert rectangles > 5


def test_only_training_frames_have_them(drawn, monkeypatch):
    varied = []
    make = backgrounds.make

    def noted(rng, place, held_out, **more):
        varied.append(more["varied"])
        return make(rng, place, held_out)

    monkeypatch.setattr(backgrounds, "make", noted)
    for split in ("train", "test-seen"):
        compose.scene(drawn, 1, split, size=(960, 540))
    assert varied == [True, False]
    monkeypatch.setattr(repaint, "repainted", lambda rng, pixels: pixels)
    for share in (0.0, 1.0):
        monkeypatch.setattr(clutter, "SHARE", share)
        clean, full = (make(np.random.default_rng(2), "texture", varied=varies) for varies in (False, True))
        assert (clean.pixels != full.pixels).any() == bool(share)
