"""A frame's patches are encoded once: what is kept against fresh looks, on a tiny exported bundle."""

from functools import partial

import numpy as np
import pytest

from ps3_ros import seen as seen_module
from ps3_ros.close_up import close_look
from ps3_ros.encoder import Encoder
from ps3_ros.frame import Frame
from ps3_ros.seen import Seen, without
from ps3_ros.selection import Selection, select


@pytest.fixture(scope="module")
def encoder(tiny_bundle):
    return Encoder(tiny_bundle, threads=1)


@pytest.fixture(scope="module")
def glance(encoder):
    pixels = np.random.default_rng(5).integers(0, 256, (30, 53, 3), dtype=np.uint8)
    return encoder.glance(Frame(np.kron(pixels, np.ones((12, 12, 1), np.uint8))))  # 360 x 636, blocks


@pytest.fixture
def runs(encoder, monkeypatch):
    """How often each graph ran since the test began."""
    counts, inner = {}, encoder.backend.run

    def counted(graph, inputs):
        counts[graph] = counts.get(graph, 0) + 1
        return inner(graph, inputs)

    monkeypatch.setattr(encoder.backend, "run", counted)
    return counts


FIRST, SECOND = ((0, 1), (2, 2)), ((2, 2), (3, 0))  # cells that two questions point at: one is shared


def chosen(glance, cells):
    relevance = np.zeros((4, 4), np.float32)
    for rank, cell in enumerate(cells):
        relevance[cell] = 1 - 0.1 * rank
    return select(relevance, glance.plan, 256, tokens=150)


def test_the_first_look_is_the_encoders_own(encoder, glance):
    seen, selection = Seen(encoder, glance), chosen(glance, FIRST)
    count, ms = seen.look(selection)
    look, embeddings = seen.gather(selection)
    fresh = encoder.look(glance, selection)
    assert count == selection.count and ms["look"] > 0 and look.selection is selection
    np.testing.assert_array_equal(look.tokens, fresh.tokens)
    np.testing.assert_array_equal(look.boxes, fresh.boxes)
    np.testing.assert_array_equal(embeddings, encoder.embed_tokens(fresh))


def test_what_was_seen_runs_no_graph(encoder, glance, runs):
    seen, selection = Seen(encoder, glance), chosen(glance, FIRST)
    seen.look(selection)
    runs.clear()
    part = Selection(tuple(patches[::2] for patches in selection.patches))
    assert seen.look(part) == (0, {"cut": 0.0, "look": 0.0, "region": 0.0})
    tokens = seen.gather(part)[0].tokens
    assert runs == {}
    rows = np.concatenate([np.isin(a, b) for a, b in zip(selection.patches, part.patches, strict=True)])
    np.testing.assert_array_equal(tokens, seen.gather(selection)[0].tokens[rows])


def test_only_what_is_missing_is_encoded(encoder, glance):
    seen, first, second = Seen(encoder, glance), chosen(glance, FIRST), chosen(glance, SECOND)
    seen.look(first)
    new = without(second, first)
    assert 0 < new.count < second.count
    assert seen.look(second)[0] == new.count
    look, embeddings = seen.gather(second)
    np.testing.assert_array_equal(look.boxes, encoder.look(glance, second).boxes)
    fresh = encoder.look(glance, new)
    rows = np.concatenate([np.isin(a, b) for a, b in zip(second.patches, new.patches, strict=True)])
    np.testing.assert_array_equal(look.tokens[rows], fresh.tokens)
    np.testing.assert_allclose(embeddings[rows], encoder.embed_tokens(fresh), atol=1e-5)
    np.testing.assert_array_equal(seen.gather(first)[0].tokens, encoder.look(glance, first).tokens)  # still there


def encode_together(encoder, glance, boxes):
    return close_look(encoder, glance, boxes, partial(Seen(encoder, glance).encode_close_ups, together=True))[0].tokens


def test_a_close_up_is_encoded_once(encoder, glance, runs, monkeypatch):
    seen, boxes = Seen(encoder, glance), np.array([[40, 40, 90, 80], [300, 200, 340, 246]], np.float32)
    first, _ = close_look(encoder, glance, boxes, seen.encode_close_ups)
    assert runs == {"look": 2}
    np.testing.assert_array_equal(first.tokens, close_look(encoder, glance, boxes)[0].tokens)
    runs.clear()
    np.testing.assert_array_equal(close_look(encoder, glance, boxes[::-1], seen.encode_close_ups)[0].tokens[:25], first.tokens[25:])
    assert runs == {}
    twice = close_look(encoder, glance, boxes[[0, 0]], seen.encode_close_ups)[0].tokens
    assert runs == {} and (twice[:25] == twice[25:]).all()
    both = encode_together(encoder, glance, boxes)
    assert runs == {"look": 1} and both.shape == first.tokens.shape and not np.allclose(both, first.tokens, atol=1e-6)
    runs.clear()
    monkeypatch.setattr(seen_module, "KEPT_CLOSE_UPS", 1)  # the one that was used longest ago goes first
    close_look(encoder, glance, boxes[:1], seen.encode_close_ups)
    close_look(encoder, glance, boxes[1:], seen.encode_close_ups)
    assert runs == {"look": 1} and len(seen.close_ups) == 1


def test_an_empty_selection(encoder, glance):
    seen = Seen(encoder, glance)
    assert seen.look(Selection.none(glance.plan))[0] == 0
    look, embeddings = seen.gather(Selection.none(glance.plan))
    assert look.tokens.shape == (0, 64) and embeddings.shape == (0, 64)


def test_full_after_so_many_looks(encoder, glance, monkeypatch):
    seen, selection = Seen(encoder, glance), chosen(glance, FIRST)
    seen.look(selection)
    assert not seen.full
    monkeypatch.setattr(seen_module, "KEPT_LOOKS", 0)
    assert seen.full and seen.gather(selection)[0].tokens.shape == (selection.count, 64)  # a question in hand goes on with it
