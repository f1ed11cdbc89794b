"""What a still camera showed already is not encoded again: which graphs run, and which patches go through them, on a tiny bundle."""

from dataclasses import replace

import numpy as np
import pytest

from ps3_ros.ask import Asker
from ps3_ros.close_up import close_look, shape_of
from ps3_ros.errors import Ps3Error
from ps3_ros.frame import Frame
from ps3_ros.still import Still, block_means

LEVELS = 6


@pytest.fixture(scope="module")
def asker(tiny_bundle):
    return Asker(tiny_bundle, threads=1, still_levels=LEVELS)


@pytest.fixture
def pixels():
    blocks = np.random.default_rng(5).integers(0, 200, (36, 64, 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((10, 10, 1), np.uint8))  # 360 x 640: the finest patches are 16 px of its own


@pytest.fixture
def runs(asker, monkeypatch):
    """(graph, patches or None) of every run since the test began; the asker knows nothing of earlier frames."""
    found, inner = [], asker.encoder.backend.run
    monkeypatch.setattr(asker, "_still", Still(asker.encoder, LEVELS))

    def counted(graph, inputs):
        found.append((graph, len(inputs["position"]) if graph == "look" else None))
        return inner(graph, inputs)

    monkeypatch.setattr(asker.encoder.backend, "run", counted)
    return found


def ask(asker, pixels, runs, query="a mug", **arguments):
    """(Answer, graphs that ran for it, patches that were encoded)."""
    runs.clear()
    asker.set_frame(Frame(pixels))
    answer = asker.ask(query, **arguments)
    graphs = {graph for graph, _ in runs} - {"region", "text"}
    return answer, graphs, sum(count or 0 for _, count in runs)


def noisy(pixels, sigma, seed):
    noise = np.random.default_rng(seed).normal(0, sigma, pixels.shape)
    return np.clip(pixels + noise, 0, 255).round().astype(np.uint8)


def test_the_same_frame_costs_no_glance_and_no_look(asker, pixels, runs):
    first, graphs, encoded = ask(asker, pixels, runs)
    assert graphs == {"glance", "select", "look"} and encoded == first.patches_used
    again, graphs, encoded = ask(asker, pixels.copy(), runs)
    assert graphs == set() and encoded == 0
    assert (again.regions, again.patches_used, again.looked_fraction) == (first.regions, first.patches_used, first.looked_fraction)


def test_noise_is_no_change_and_several_looks_are_kept_too(asker, pixels, runs):
    _, _, encoded = ask(asker, noisy(pixels, 2, 0), runs, looks=2)
    for seed in (1, 2, 3):
        answer, graphs, again = ask(asker, noisy(pixels, 2, seed), runs, looks=2)
        assert graphs == set() and again == 0 and answer.patches_used == encoded


def test_what_only_the_look_can_see_is_encoded_anew(asker, pixels, runs):
    ask(asker, pixels, runs, looks=9)
    changed = pixels.copy()
    changed[100:104, 200:204] ^= 0x40  # 4 px: 64 levels in one block of the finest scale, little in the glance of 64 px
    answer, graphs, encoded = ask(asker, changed, runs, looks=9)
    assert "look" in graphs and 1 <= encoded <= 3 and answer.looked_fraction == 1


def test_a_cell_whose_glance_changed_is_encoded_anew(asker, pixels, runs):
    whole = ask(asker, pixels, runs, looks=9)[2]
    changed = pixels.copy()
    changed[:90, :160] //= 4  # one of 16 cells
    _, graphs, encoded = ask(asker, changed, runs, looks=9)
    assert graphs == {"glance", "select", "look"} and encoded == pytest.approx(whole / 16, rel=0.2)


def test_slow_changes_add_up(asker, pixels, runs):
    ask(asker, pixels, runs)
    ran = [ask(asker, pixels + np.uint8(step), runs)[2] for step in (2, 4, 8, 12)]
    assert ran[:2] == [0, 0] and ran[2] > 200 and ran[3] == 0  # 8 levels from what was encoded; 12 is 4 from that


def test_another_place_keeps_nothing(asker, pixels, runs):
    first = ask(asker, pixels, runs)[2]
    assert ask(asker, np.roll(pixels, 57, axis=1), runs)[2] == first
    assert ask(asker, pixels[:300], runs)[2] > 200  # another size
    fresh = Asker(asker.encoder.bundle, threads=1)
    fresh.set_frame(Frame(pixels))
    assert ask(asker, pixels, runs)[0].regions == fresh.ask("a mug").regions


def test_questions_keep_their_own_looks_unless_they_share(asker, pixels, runs, monkeypatch):
    ask(asker, pixels, runs)
    other = ask(asker, pixels, runs, "stop sign")
    assert other[1] == {"look"} and other[2] == other[0].patches_used
    assert ask(asker, pixels, runs)[2] == ask(asker, pixels, runs, "stop sign")[2] == 0
    monkeypatch.setattr(asker, "share_looks", True)
    assert ask(asker, pixels, runs)[2] > 0 and ask(asker, pixels, runs, "red mug")[2] < 255


def test_an_answer_in_hand_keeps_its_frame(asker, pixels, runs):
    expected = ask(asker, pixels, runs, looks=2)[0]
    steps = asker.answers("a mug", looks=2)
    next(steps)
    asker.set_frame(Frame(np.roll(pixels, 57, axis=1)))
    asker.ask("a mug")
    assert list(steps)[-1].regions == expected.regions


def test_a_run_that_fails_keeps_nothing(asker, pixels, runs, monkeypatch):
    from ps3_ros.errors import BackendError

    ask(asker, pixels, runs)
    counted = asker.encoder.backend.run

    def failing(graph, inputs):
        if graph in ("glance", "look"):
            raise BackendError("out of memory")
        return counted(graph, inputs)

    with monkeypatch.context() as broken:
        broken.setattr(asker.encoder.backend, "run", failing)
        with pytest.raises(BackendError):
            ask(asker, pixels[::-1].copy(), runs)
    answer, graphs, encoded = ask(asker, pixels, runs)
    assert "glance" in graphs and answer.patches_used >= encoded


@pytest.mark.parametrize("levels", [-1, float("nan"), float("inf"), "6", True])
def test_bad_levels(tiny_bundle, levels):
    with pytest.raises(Ps3Error, match="still_levels is"):
        Asker(tiny_bundle, threads=1, still_levels=levels)


@pytest.fixture
def close_runs(asker, runs, monkeypatch):
    """As runs; the bundle has close-ups, one of a look of 256 patches."""
    monkeypatch.setattr(asker.encoder, "settings", replace(asker.settings, close_ups=1))
    return runs


def test_close_ups_are_kept_while_nothing_changes(asker, pixels, close_runs):
    first, _, encoded = ask(asker, noisy(pixels, 2, 0), close_runs)
    assert encoded == first.patches_used > 250
    for seed in (1, 2, 3):
        answer, graphs, again = ask(asker, noisy(pixels, 2, seed), close_runs)
        assert graphs == set() and again == 0 and answer.patches_used == encoded
        assert answer.regions == first.regions, "of the same tokens"


def test_a_close_up_of_what_changed_is_encoded_anew(asker, pixels, close_runs):
    seen = asker._still.seen
    ask(asker, pixels, close_runs)
    asker.set_frame(Frame(pixels))
    (box,) = (np.frombuffer(key, np.float32) for key, _ in seen("a mug", asker.glance).close_ups)
    x, y = (int(v) for v in (box[:2] + box[2:]) / 2)
    changed = pixels.copy()
    changed[y - 3 : y + 3, x - 3 : x + 3] ^= 0x40  # little in the glance of 64 px
    asker.set_frame(Frame(changed))
    close_runs.clear()
    kept = seen("a mug", asker.glance)
    rows, cols = shape_of(box[2] - box[0], box[3] - box[1])
    close_look(asker.encoder, asker.glance, box[None], kept.encode_close_ups)
    assert close_runs == [("look", rows * cols)]
    close_look(asker.encoder, asker.glance, box[None], kept.encode_close_ups)
    assert close_runs == [("look", rows * cols)] and len(kept.pictures) == len(kept.close_ups) == 1


@pytest.mark.parametrize("cell, stays", [((1, 1), 0), ((3, 3), 1)])
def test_a_close_up_is_kept_where_its_cells_did_not_change(asker, pixels, runs, cell, stays):
    asker.set_frame(Frame(pixels))
    seen, changed = asker._still.seen("a mug", asker.glance), np.zeros((4, 4), bool)
    asker.ask("a mug")
    box = np.array([[170, 100, 200, 130]], np.float32)  # in cell (1, 1) of 90 x 160 px
    close_look(asker.encoder, asker.glance, box, seen.encode_close_ups)
    changed[cell] = True
    assert len(seen.carried(asker.glance, changed).close_ups) == stays


def test_block_means_are_grey_levels(make_settings):
    values = np.random.default_rng(0).normal(size=(2, 3, 8, 12)).astype(np.float32)
    expected = values.reshape(2, 3, 2, 4, 3, 4).mean(axis=(3, 5)) * 127.5  # std 0.5
    np.testing.assert_allclose(block_means(values, 4, make_settings()), expected, atol=1e-4)
