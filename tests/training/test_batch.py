"""What a step sees: which patches, which regions, which captions, and what counts as a negative."""

import numpy as np
import pytest
import torch

from ps3_training import batch, cache, choice, targets
from ps3_training.errors import TrainingError
from ps3_training.model import settings_of

from .conftest import sample


@pytest.fixture
def cached(tiny_model, tmp_path):
    settings = settings_of(tiny_model.config)
    cache.build_cache([sample(i) for i in range(4)], tmp_path, settings, processes=1)
    index = cache.read_index(tmp_path)
    return settings, [cache.load_frame(tmp_path, line) for line in index], index, tmp_path


def rngs(seed, count):
    return [np.random.default_rng((seed, place)) for place in range(count)]


def truth(made):
    """What holds in a batch of one process: answers [M, K], cells, valid [k, B, C] and all_cells [B, C]."""
    nothing = torch.zeros(len(made.texts), 1)
    captions = targets.gather_captions(made, nothing, nothing)
    return targets.answers(made.row_means, captions.ask), *targets.selection_targets(made, captions)


def test_ground_truth_comes_first_and_the_budget_holds(cached):
    settings, frames, _, _ = cached
    choose = choice.BatchSettings(tokens=80, tokens_a_box=24)
    for frame in frames:
        index, boxes = choice.choose_patches(frame, choose, np.random.default_rng(0))
        assert len(index) <= 80 and len(set(index)) == len(index)
        assert len(boxes) >= 1
        assert choice.inside(frame.boxes[boxes], frame.patch_boxes[index]).any(1).all()


def test_a_patch_belongs_to_a_box_when_they_share_enough():
    boxes = np.array([[0, 0, 16, 16], [100, 100, 104, 104]], np.float32)
    patches = np.array([[0, 0, 16, 16], [12, 0, 28, 16], [13, 0, 29, 16], [96, 96, 176, 176]], np.float32)
    assert choice.inside(boxes, patches).tolist() == [[True, True, False, False], [False, False, False, True]]


def test_tables_of_a_batch_agree(cached):
    settings, frames, _, _ = cached
    choose = choice.BatchSettings(frames=4, tokens=90, global_fraction=1.0)
    made = batch.make_batch(frames, choose, settings, rngs(1, 4))
    b, n, values = made.patches.shape
    assert (b, values) == (4, 768) and made.position.shape == (4, n) and made.mask.shape[2] == n
    assert len(made.region) + len(made.glances) == len(made.row_image) == len(made.row_means)
    answers, *_ = truth(made)
    assert made.real is None and made.candidates is None  # every frame has enough patches, and nothing is left to the model
    assert made.glances.tolist() == [0, 1, 2, 3]  # every frame also gives its global caption here
    for row, text in enumerate(made.row_text.tolist()):
        if text >= 0:
            assert made.text_image[text] == made.row_image[row]
            assert answers[row, text] or made.text_global[text]
        else:
            assert made.row_background[row]
    flat = made.mask.flatten(0, 1)[made.region]
    assert flat.any(1).all()  # no region without a token
    assert (made.region // made.mask.shape[1] == made.row_image[: len(made.region)]).all()


def test_background_regions_touch_no_box(cached):
    settings, frames, _, _ = cached
    made = batch.make_batch(frames[:1], choice.BatchSettings(tokens=90, colour_jitter=0.0), settings, rngs(2, 1))
    chosen = {tuple(p) for p in frames[0].position[choice.inside(frames[0].boxes, frames[0].patch_boxes).any(0)][:, None].tolist()}
    for row in torch.flatten(made.row_background.nonzero()).tolist():
        tokens = made.position[0][made.mask.flatten(0, 1)[made.region[row]]]
        assert not {(int(t),) for t in tokens} & chosen


@pytest.mark.parametrize(
    "patch, is_under",
    [
        ((44, 60, 60, 76), True),
        ((44, 52, 60, 68), False),  # touches the box
        ((20, 60, 36, 76), False),  # beside its middle half
        ((44, 84, 60, 100), False),  # further down than the box is high
        ((44, 60, 60, 81), False),  # touches the other box
    ],
)
def test_what_is_under_a_box(patch, is_under):
    boxes = np.array([[30, 40, 70, 60], [0, 80, 100, 90]], np.float32)
    assert choice.under(boxes[:1], np.array([patch], np.float32), boxes).tolist() == [[is_under]]


def test_tokens_under_a_box_are_looked_at_and_negatives(cached):
    settings, frames, _, _ = cached
    frame = frames[0]
    plain, held = (choice.BatchSettings(tokens=90, background_areas=0, background_tokens=0, support_tokens=n) for n in (0, 2))
    index, boxes = choice.choose_patches(frame, held, np.random.default_rng(0))
    assert len(index) <= 90
    below = choice.under(frame.boxes[boxes], frame.patch_boxes[index], frame.boxes)
    assert below.any(1).all()  # the cache keeps a patch around each box
    rows = choice.draw_regions(frame, frame.patch_boxes[index], boxes, held, np.random.default_rng(1))
    added = [mask for mask, kind in zip(rows.masks, rows.kind, strict=True) if kind == choice.BACKGROUND]
    assert added and all(mask.sum() == 1 and below.any(0)[mask].all() for mask in added)
    assert choice.BACKGROUND not in choice.draw_regions(frame, frame.patch_boxes[index], boxes, plain, np.random.default_rng(1)).kind
    with pytest.raises(TrainingError, match="support_tokens are 2, 4, 8 and -1"):
        choice.BatchSettings(support_tokens=-1)


def test_captions_asked_of_other_frames_skip_what_answers_them(cached):
    settings, frames, _, _ = cached
    names = [set(sum(frame.means, ())) for frame in frames]
    made = batch.make_batch(frames, choice.BatchSettings(frames=4, tokens=90, global_fraction=0.0), settings, rngs(3, 4))
    _, cells, valid, all_cells = truth(made)
    assert (all_cells | ~cells.any(0)).all()
    for k, (text, own) in enumerate(zip(made.texts, made.text_image.tolist(), strict=True)):
        assert cells[k, own].any() and valid[k, own][cells[k, own]].all()
        for other in set(range(4)) - {own}:
            assert not cells[k, other].any()
            assert valid[k, other].all() == (text.split(" ", 1)[1] not in names[other])


def test_a_step_follows_from_its_number_alone_and_a_pass_takes_every_frame(cached):
    settings, _, index, folder = cached
    choose = choice.BatchSettings(frames=2, tokens=60)
    first, again = (batch.batch_of_step(5, folder, index, choose, settings, seed=9) for _ in range(2))
    assert torch.equal(first.patches, again.patches) and torch.equal(first.mask, again.mask) and first.texts == again.texts
    taken = [batch.frames_of_step(step, 4, 2, seed=9) for step in range(4)]
    assert sorted(np.concatenate(taken[:2]).tolist()) == sorted(np.concatenate(taken[2:]).tolist()) == [0, 1, 2, 3]


def test_two_ranks_draw_the_global_batch(cached):
    settings, _, index, folder = cached
    whole = batch.batch_of_step(3, folder, index, choice.BatchSettings(frames=4, tokens=60), settings, seed=9)
    half = choice.BatchSettings(frames=2, tokens=60)
    parts = [batch.batch_of_step(3, folder, index, half, settings, 9, rank, 2) for rank in (0, 1)]
    assert torch.equal(torch.cat([part.patches for part in parts]), whole.patches)
    assert torch.equal(torch.cat([part.position for part in parts]), whole.position)
    texts = [[text for text, whole in zip(made.texts, made.text_global.tolist(), strict=True) if not whole] for made in (*parts, whole)]
    assert texts[0] + texts[1] == texts[2]


def test_a_frame_with_few_patches_is_padded(cached):
    settings, frames, _, _ = cached
    made = batch.make_batch(frames[:2], choice.BatchSettings(tokens=5000), settings, rngs(0, 2))
    assert made.real.sum(1).tolist() == [len(frame.patches) for frame in frames[:2]]
    assert not (made.mask & ~made.real[:, None]).any()


@pytest.mark.parametrize("scales, least, most", [((320,), 0, 400), ((640,), 400, 2000), ((), 0, 2000)])
def test_scales_can_be_left_out(cached, scales, least, most):
    settings, frames, _, _ = cached
    made = batch.make_batch(frames, choice.BatchSettings(tokens=40, scales=scales), settings, rngs(0, 4))
    position = made.position if made.real is None else made.position[made.real]
    assert position.min() >= least and position.max() < most  # the first scale has 20 x 20 places, the second 40 x 40
    if not scales:
        assert (position < 400).any() and (position >= 400).any()


def test_one_caption_a_frame_pooled_over_the_whole_look(cached):
    settings, frames, _, _ = cached
    made = batch.make_batch(
        frames, choice.BatchSettings(tokens=60, captions_a_frame=1, pool="look", global_fraction=0.0), settings, rngs(0, 4)
    )
    assert made.text_image.tolist() == made.row_image.tolist() == [0, 1, 2, 3]
    assert made.mask.flatten(0, 1)[made.region].all()


@pytest.mark.parametrize(
    "mode, texts, found",
    [
        ("any", ("a mug", "a cup. It is red."), {"a mug", "a cup. It is red."}),
        ("first", ("a mug", "a cup"), {"a mug"}),
        ("sentence", ("A mug. It is red!", "a cup"), {"A mug.", "It is red!", "a cup"}),
    ],
)
def test_which_captions_are_drawn(mode, texts, found):
    drawn = {choice.draw_caption(texts, mode, np.random.default_rng(seed))[0] for seed in range(40)}
    assert drawn == found == set(choice.caption_choices(texts, mode))


@pytest.mark.parametrize(
    "bad", [{"frames": 0}, {"captions": "all"}, {"pool": "mean"}, {"selection": "random"}, {"selection": 1.5}, {"hard_share": 1.0}]
)
def test_bad_batch_settings_are_refused(bad):
    with pytest.raises(TrainingError, match="give"):
        choice.BatchSettings(**bad)


def test_unknown_scales_are_named(cached):
    settings, frames, _, _ = cached
    with pytest.raises(TrainingError, match="768"):
        batch.make_batch(frames, choice.BatchSettings(scales=(768,)), settings, rngs(0, 4))
