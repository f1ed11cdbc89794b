"""The three stages over ONNX Runtime against the torch model they were exported from: 1e-4 of a tensor's largest value, float32."""

import numpy as np
import pytest

from ps3_ros.encoder import Encoder, merge_looks
from ps3_ros.errors import BackendError, BundleError
from ps3_ros.frame import Frame, aux_image, cut_patches, glance_image
from ps3_ros.selection import Selection, select

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module", params=["tiny", "tiny_reference"])
def pair(request):
    """(Encoder, torch model) of one checkpoint."""
    from ps3_training.model import PS3

    names = {"tiny": ("tiny_bundle", "tiny_checkpoint"), "tiny_reference": ("tiny_reference_bundle", "tiny_reference_checkpoint")}[
        request.param
    ]
    torch.set_num_threads(1)
    return Encoder(request.getfixturevalue(names[0]), threads=1), PS3.from_pretrained(request.getfixturevalue(names[1])).eval()


@pytest.fixture(scope="module")
def frame():
    small = np.random.default_rng(5).integers(0, 256, (30, 53, 3), dtype=np.uint8)
    return Frame(np.kron(small, np.ones((12, 12, 1), np.uint8)), 123, "cam")  # 360 x 636, blocks


@pytest.fixture(scope="module")
def glance(pair, frame):
    return pair[0].glance(frame)


def close(got, expected, tolerance=1e-4):
    expected = expected.detach().numpy()
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= tolerance * np.abs(expected).max()


def test_glance_is_torch(pair, frame, glance):
    encoder, model = pair
    with torch.no_grad():
        out = model.vision_model.glance(torch.from_numpy(glance_image(frame, encoder.settings)))
    close(glance.tokens, out.tokens[0])
    close(glance.select_features, out.select_features[0, 0])
    close(glance.kv.numpy(), out.kv)
    assert set(glance.ms) == {"glance", "select"} and glance.ms["glance"] > 0


def test_text_is_torch_and_padding_changes_nothing(pair):
    encoder, model = pair
    queries = ["stop sign", "a mug with a blue handle"]
    vectors = encoder.text(queries)
    with torch.no_grad():
        out = model.text_model(torch.from_numpy(encoder.text_encoder.ids(queries)))
    close(vectors.text, out.text)
    close(vectors.prompt, out.prompt)
    if encoder.settings.aux_size:
        close(vectors.prompt_aux, model.prompt_aux(out.prompt)[:, : encoder.settings.aux_dim])
    alone = Encoder(encoder.bundle, threads=1).text(queries[:1])
    np.testing.assert_allclose(alone.text[0], vectors.text[0], atol=1e-5)
    assert encoder.text(queries).ms < 5  # kept: no graph runs


def test_relevance_is_torch(pair, frame, glance):
    encoder, model = pair
    queries = ["stop sign", "a mug"]
    vectors = encoder.text(queries)
    with torch.no_grad():
        out = model.vision_model.glance(torch.from_numpy(glance_image(frame, encoder.settings)))
        aux = model.vision_model.aux_features(torch.from_numpy(aux_image(frame, encoder.settings))) if encoder.settings.aux_size else None
        prompt = model.text_model(torch.from_numpy(encoder.text_encoder.ids(queries))).prompt
        for n in range(2):
            expected = torch.sigmoid(model.vision_model.relevance(out, aux, prompt[n : n + 1])[0, 0])
            close(encoder.relevance(glance, vectors, n), expected)
        prior = model.vision_model.prior_prompt[None]
        close(encoder.saliency(glance), torch.sigmoid(model.vision_model.relevance(out, aux, prior)[0, 0]))


def test_look_is_torch(pair, frame, glance):
    encoder, model = pair
    selection = select(encoder.saliency(glance), glance.plan, 100)
    look = encoder.look(glance, selection)
    patches = torch.from_numpy(cut_patches(frame, glance.plan, encoder.settings, selection))[None]
    position = torch.from_numpy(np.concatenate([glance.plan.positions(s, p) for s, p in enumerate(selection.patches)]))[None]
    with torch.no_grad():
        kv = model.vision_model.glance(torch.from_numpy(glance_image(frame, encoder.settings))).kv
        tokens = model.vision_model.look(patches, position, kv)
        mask = np.random.default_rng(0).random((3, selection.count)) < 0.3
        pooled = model.vision_model.pool(tokens, torch.from_numpy(mask)[None])[0]
        each = model.vision_model.pool(tokens, torch.eye(selection.count, dtype=torch.bool)[None])[0]
    close(look.tokens, tokens[0])
    close(encoder.embed(look, mask), pooled)
    close(encoder.embed_tokens(look), each)
    assert look.boxes.shape == (selection.count, 4) and set(look.ms) == {"cut", "look"}


def test_embed_tokens_does_not_depend_on_its_pieces(pair, glance, monkeypatch):
    encoder, _ = pair
    look = encoder.look(glance, select(encoder.saliency(glance), glance.plan, 100))
    whole = encoder.embed_tokens(look)
    monkeypatch.setattr("ps3_ros.encoder.TOKENS_AT_A_TIME", 7)
    np.testing.assert_allclose(encoder.embed_tokens(look), whole, atol=1e-5)


def test_looks_are_merged_in_the_order_of_their_patches(pair, glance):
    encoder, _ = pair
    relevance = encoder.saliency(glance)
    first = select(relevance, glance.plan, 50)
    second = select(relevance, glance.plan, 50, first)
    looks = [encoder.look(glance, first), encoder.look(glance, second)]
    merged = merge_looks(looks)
    assert merged.selection.count == first.count + second.count
    boxes = np.concatenate([glance.plan.boxes(s, p) for s, p in enumerate(merged.selection.patches)])
    np.testing.assert_array_equal(merged.boxes, boxes)
    for look in looks:
        for box, token in zip(look.boxes, look.tokens, strict=True):
            np.testing.assert_array_equal(merged.tokens[(merged.boxes == box).all(axis=1).argmax()], token)
    assert merged.ms["look"] == pytest.approx(looks[0].ms["look"] + looks[1].ms["look"])


def test_a_look_at_nothing_and_at_too_much(pair, glance):
    encoder, _ = pair
    look = encoder.look(glance, Selection.none(glance.plan))
    assert look.tokens.shape == (0, encoder.settings.dim) and encoder.embed_tokens(look).shape == (0, encoder.settings.embed_dim)
    everything = Selection(tuple(np.arange(g.patches) for g in glance.plan.grids))
    with pytest.raises(BackendError, match="several looks"):
        encoder.look(glance, everything)


def test_nan_from_a_graph_is_an_error(pair, glance):
    encoder, _ = pair
    from dataclasses import replace

    vectors = encoder.text(["mug"])
    with pytest.raises(BackendError, match="NaN"):
        encoder.relevance(glance, replace(vectors, prompt=np.full_like(vectors.prompt, np.nan)))


def test_a_wrong_folder_is_refused(tmp_path):
    with pytest.raises(BundleError):
        Encoder(tmp_path)
