"""What a step sees: which patches, which regions, which captions, and what counts as a negative."""

import numpy as np
import pytest
import torch

from ps3_training import batch, cache
from ps3_training.model import settings_of

from .conftest import sample


@pytest.fixture
def cached(tiny_model, tmp_path):
    settings = settings_of(tiny_model.config)
    cache.build_cache([sample(i) for i in range(4)], tmp_path, settings, processes=1)
    index = cache.read_index(tmp_path)
    return settings, [cache.load_frame(tmp_path, line) for line in index], index, tmp_path


def test_ground_truth_comes_first_and_the_budget_holds(cached):
    settings, frames, _, _ = cached
    choice = batch.BatchSettings(tokens=80, tokens_a_box=24)
    for frame in frames:
        index, boxes = batch.choose_patches(frame, choice, np.random.default_rng(0))
        assert len(index) <= 80 and len(set(index)) == len(index)
        assert len(boxes) >= 1
        assert batch.inside(frame.boxes[boxes], frame.patch_boxes[index]).any(1).all()


def test_a_patch_belongs_to_a_box_when_they_share_enough():
    boxes = np.array([[0, 0, 16, 16], [100, 100, 104, 104]], np.float32)
    patches = np.array([[0, 0, 16, 16], [12, 0, 28, 16], [13, 0, 29, 16], [96, 96, 176, 176]], np.float32)
    assert batch.inside(boxes, patches).tolist() == [[True, True, False, False], [False, False, False, True]]


def test_tables_of_a_batch_agree(cached):
    settings, frames, _, _ = cached
    choice = batch.BatchSettings(frames=4, tokens=90, global_fraction=1.0)
    made = batch.make_batch(frames, choice, settings, np.random.default_rng(1))
    b, n, values = made.patches.shape
    assert (b, values) == (4, 768) and made.position.shape == (4, n) and made.mask.shape[2] == n
    assert len(made.region) + len(made.glances) == len(made.row_image) == len(made.answers)
    assert made.glances.tolist() == [0, 1, 2, 3]  # every frame also gives its global caption here
    for row, text in enumerate(made.row_text.tolist()):
        if text >= 0:
            assert made.text_image[text] == made.row_image[row]
            assert made.answers[row, text] or made.text_global[text]
        else:
            assert made.row_background[row]
    flat = made.mask.flatten(0, 1)[made.region]
    assert flat.any(1).all()  # no region without a token
    assert (made.region // made.mask.shape[1] == made.row_image[: len(made.region)]).all()


def test_background_regions_touch_no_box(cached):
    settings, frames, _, _ = cached
    made = batch.make_batch(frames[:1], batch.BatchSettings(tokens=90, colour_jitter=0.0), settings, np.random.default_rng(2))
    chosen = {tuple(p) for p in frames[0].position[batch.inside(frames[0].boxes, frames[0].patch_boxes).any(0)][:, None].tolist()}
    for row in torch.flatten(made.row_background.nonzero()).tolist():
        tokens = made.position[0][made.mask.flatten(0, 1)[made.region[row]]]
        assert not {(int(t),) for t in tokens} & chosen


def test_captions_asked_of_other_frames_skip_what_answers_them(cached):
    settings, frames, _, _ = cached
    names = [set(sum(frame.means, ())) for frame in frames]
    made = batch.make_batch(frames, batch.BatchSettings(frames=4, tokens=90, global_fraction=0.0), settings, np.random.default_rng(3))
    for k, (text, own) in enumerate(zip(made.texts, made.text_image.tolist(), strict=True)):
        assert made.cells[k, own].any() and made.valid[k, own][made.cells[k, own]].all()
        for other in set(range(4)) - {own}:
            assert not made.cells[k, other].any()
            assert made.valid[k, other].all() == (text.split(" ", 1)[1] not in names[other])


def test_a_step_follows_from_its_number_alone_and_a_pass_takes_every_frame(cached):
    settings, _, index, folder = cached
    choice = batch.BatchSettings(frames=2, tokens=60)
    first, again = (batch.batch_of_step(5, folder, index, choice, settings, seed=9) for _ in range(2))
    assert torch.equal(first.patches, again.patches) and torch.equal(first.mask, again.mask) and first.texts == again.texts
    taken = [batch.frames_of_step(step, 4, 2, seed=9) for step in range(4)]
    assert sorted(np.concatenate(taken[:2]).tolist()) == sorted(np.concatenate(taken[2:]).tolist()) == [0, 1, 2, 3]
