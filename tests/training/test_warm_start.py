"""Crops and mosaics of a made-up bank: what is where, and that the stage learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ps3_ros.frame import FramePlan
from ps3_training import losses, sprites, stages, supports, warm_batch, warm_start
from ps3_training.crops import crop_shape
from ps3_training.data import words
from ps3_training.errors import TrainingError
from ps3_training.model import settings_of
from ps3_training.settings import read_settings

from . import tiny_run
from .learning import learn
from .squares import COLOURS, Banked


@pytest.fixture
def settings():
    return warm_batch.WarmStartSettings(crops=8, side=4, smallest=20, largest=40, mosaics=2, mosaic_cells=4, objects=4, colour_jitter=0.0)


def test_paste_blends_by_alpha_and_cuts_at_the_border():
    image = np.full((4, 4, 3), 100, np.uint8)
    half = np.zeros((2, 2, 4), np.uint8)
    half[..., 0], half[..., 3] = 64, 128  # premultiplied: red at half alpha
    alpha = sprites.paste(image, half, 3, -1)
    assert alpha.sum() == 128 and alpha[0, 3] == 128
    assert image[0, 3].tolist() == [64 + 50, 50, 50]  # 100 * (255 - 128) / 255 = 49.8
    assert (image.reshape(-1, 3) == 100).all(1).sum() == 15


def test_masks_of_a_crop_cover_the_object(tiny_model, bank, settings):
    cut = settings_of(tiny_model.config)
    made = warm_batch.make_warm_batch(bank, settings, cut, np.random.default_rng(1))
    mean = {
        f"a {name} square": np.array(colour) / 127.5 - 1 for name, colour in zip(("red", "green", "blue", "yellow"), COLOURS, strict=True)
    }
    for m, text in enumerate(made.texts):
        colours = made.patches[m].reshape(16, 3, 256).numpy()
        near = (np.abs(colours - mean[text][None, :, None]).max(1) < 0.15).mean(1)  # share of each token that has the object's colour
        assert (near[made.mask[m, 0].numpy()] > 0.1).all()
        assert near[made.mask[m, 3].numpy()].sum() == 0  # the token beside it has none
        assert not (made.mask[m, 1] & ~made.mask[m, 0]).any() and made.mask[m, 2].sum() == 1
        assert near[made.mask[m, 2].numpy()][0] > 0
    assert made.position.max() < tiny_model.vision_model.position_count and made.position.min() >= 0
    assert (made.answers == torch.tensor([[a == b for b in made.texts] for a in made.texts])).all()


def test_what_must_be_read_is_never_smaller_than_its_letters_need(tiny_model, bank, settings):
    cut = settings_of(tiny_model.config)
    written = replace(bank, labels=tuple(label | {"least": 60} for label in bank.labels))
    small = replace(settings, smallest=16.0, largest=18.0, side=5, mosaics=0)
    covered = [
        float(warm_batch.make_warm_batch(one, small, cut, np.random.default_rng(1)).mask[:, 0].float().sum(-1).mean())
        for one in (bank, written)
    ]
    assert covered[0] <= 4 < 9 <= covered[1]  # patches of 16 px


def test_a_bank_holds_what_signs_say():
    sign = next(s for s in words.signs() if not s.held_out and s.words == "BAKERY")
    looks = sprites._looks((0, sign, 2, 1))
    assert [label["least"] for _, label in looks] == [words.least_size(sign)] * 2 and not looks[0][1]["core"]
    assert all(label["means"] == ["sign that says bakery"] and "bakery" in " ".join(label["texts"]).lower() for _, label in looks)
    assert all(max(rgba.shape[:2]) >= words.least_size(sign) for rgba, _ in looks)


def test_of_a_crops_tokens_those_of_the_object_stay(tiny_model, bank, settings):
    cut = settings_of(tiny_model.config)
    whole = warm_batch.make_warm_batch(bank, settings, cut, np.random.default_rng(0))
    fewer = warm_batch.make_warm_batch(bank, replace(settings, tokens=9), cut, np.random.default_rng(0))
    assert fewer.patches.shape[:2] == fewer.position.shape == fewer.mask.shape[::2] == (settings.crops, 9)
    first, n = (batch.mask[0, 0].sum() for batch in (whole, fewer))  # the same crop, whose object fits into nine tokens
    assert n == first < 9
    kept = torch.isin(whole.patches[0].sum(1), fewer.patches[0].sum(1))
    assert torch.equal(whole.patches[0][kept], fewer.patches[0]) and torch.equal(whole.mask[0, 0][kept], fewer.mask[0, 0])
    with pytest.raises(TrainingError, match="tokens is 2"):
        replace(settings, tokens=2)


def test_cells_of_a_mosaic_are_where_the_objects_are(tiny_model, bank, settings):
    cut = settings_of(tiny_model.config)
    made = warm_batch.make_warm_batch(bank, settings, cut, np.random.default_rng(2))
    assert made.cells.any((1, 2)).all()
    for k, text in enumerate(made.mosaic_texts):
        same = torch.tensor([other == text for other in made.mosaic_texts])
        elsewhere = made.cells[same].any(0) & ~made.cells[k]
        assert not (made.valid[k] & elsewhere & ~made.cells[k]).any()  # another square of that colour counts neither way
        assert made.valid[k][made.cells[k]].all()


def test_every_thing_is_told_from_all_names_of_the_bank(tiny_model, bank, settings, sentences):
    cut, named = settings_of(tiny_model.config), replace(settings, names_weight=1.0)
    plain = warm_batch.make_warm_batch(bank, settings, cut, np.random.default_rng(2))
    made = warm_batch.make_warm_batch(bank, named, cut, np.random.default_rng(2))
    assert plain.names == () and torch.equal(plain.patches, made.patches)  # the same draws
    assert made.names == ("blue square", "green square", "red square", "yellow square")
    for texts, member in ((made.texts, made.crop_names), (made.mosaic_texts, made.mosaic_names)):
        assert [f"a {made.names[n]}" for n in member.int().argmax(1)] == list(texts) and (member.sum(1) == 1).all()
    for k, (g, y, x) in enumerate(made.centres.tolist()):
        assert made.cells[k, int(g)].view(4, 4)[min(3, int(y * 4)), min(3, int(x * 4))]
    parts = [warm_start.warm_loss(tiny_model, batch, sentences, one) for batch, one in ((plain, settings), (made, named))]
    assert all(parts[1][name] > parts[0][name] for name in ("match", "ranking"))


def test_captions_are_moved_towards_others_and_the_same_batch_gives_the_same_loss(tiny_model, bank, settings, sentences):
    cut, near = settings_of(tiny_model.config), replace(settings, names_weight=1.0, text_noise=0.5)
    made = warm_batch.make_warm_batch(bank, near, cut, np.random.default_rng(2))
    losses_ = [warm_start.warm_loss(tiny_model, made, sentences, one) for one in (near, near, replace(near, text_noise=0.0))]
    assert losses_[0]["total"] == losses_[1]["total"] != losses_[2]["total"]
    vectors = torch.eye(6)
    moved = warm_start._near(vectors, 0.5, torch.Generator().manual_seed(1))
    assert torch.allclose(moved.norm(dim=1), torch.ones(6)) and torch.equal(moved.argmax(1), torch.arange(6))  # still nearest to itself
    with pytest.raises(TrainingError, match="text_noise is -0.1"):
        replace(settings, text_noise=-0.1)
    assert (moved.sort(dim=1).values[:, -2] > 0).any() and warm_start._near(vectors, 0.0, torch.Generator()) is vectors


def test_names_that_a_crop_does_not_answer_are_negatives(tiny_model, bank, settings, sentences):
    cut = settings_of(tiny_model.config)
    absent = replace(settings, absent_weight=0.5, mosaics=0)
    made = warm_batch.make_warm_batch(bank, absent, cut, np.random.default_rng(2))
    assert len(made.names) == 4 and made.crop_names.shape == (settings.crops, 4)
    plain = warm_start.warm_loss(tiny_model, made, sentences, replace(absent, absent_weight=0.0))
    weighed = warm_start.warm_loss(tiny_model, made, sentences, absent)
    everything = replace(made, crop_names=torch.ones_like(made.crop_names))  # then only what is not the thing is asked
    assert plain["match"] < warm_start.warm_loss(tiny_model, everything, sentences, absent)["match"] < weighed["match"]


def test_text_signs_are_drawn_more_often_than_their_number():
    labels = [
        {"means": [], "texts": ["x"], "asks": ["x"], "group": group, "core": group == "cup"} for group in ("cup", "wide", "text sign")
    ]
    labels[2]["least"] = 60
    none = np.zeros((0,), np.int64)
    banked = sprites.Bank(np.zeros((0, 4), np.uint8), np.zeros((3, 2), np.int32), none, tuple(labels), none)
    rng = np.random.default_rng(0)
    share = np.bincount([banked.draw(rng) for _ in range(4000)], minlength=3) / 4000
    core = (1 - sprites.TEXT_SHARE) * sprites.CORE_SHARE
    assert share == pytest.approx([core, 1 - core - sprites.TEXT_SHARE, sprites.TEXT_SHARE], abs=0.03)
    assert [banked.draw(rng, alike) for alike in range(3)] == [0, 1, 2]


def test_the_stage_learns_one_batch(tiny_model, bank, settings, sentences):
    cut = settings_of(tiny_model.config)
    made = warm_batch.make_warm_batch(bank, settings, cut, np.random.default_rng(3))
    first, last = learn(tiny_model, lambda: warm_start.warm_loss(tiny_model, made, sentences, settings), 50)
    assert last["match"] < 0.5 * first["match"]
    assert last["ranking"] < 0.7 * first["ranking"]


@pytest.mark.parametrize("seed", range(4))  # two of each kind
def test_a_support_is_drawn_under_the_thing(seed):
    image = np.full((96, 96, 3), 10, np.uint8)  # darker than any support
    covered = supports.draw_support(image, 30, 20, 40, 30, np.random.default_rng(seed))
    assert covered.any() and (image.max(2) > 10)[covered].mean() > 0.9 and not (image.max(2) > 10)[~covered].any()
    rows, columns = np.nonzero(covered)
    assert rows.min() >= 20 + 0.3 * 30 - 1 and rows.max() > 50  # below the thing's top, and further down than it
    assert not supports.draw_support(image, 30, 100, 40, 30, np.random.default_rng(seed)).any()  # below the crop: nothing to draw


def test_tokens_of_a_support_are_negatives(tiny_model, bank, settings, sentences):
    cut = settings_of(tiny_model.config)
    held = replace(settings, supports=1.0, support_tokens=2, smallest=14, largest=24, mosaics=0)
    made = warm_batch.make_warm_batch(bank, held, cut, np.random.default_rng(3))
    own, posts = made.mask[:, 0], made.mask[:, warm_batch.NAMED_ROWS + 1 :]
    assert made.mask.shape[1] == 6 and posts.any(-1).float().mean() > 0.5
    assert (posts.sum(-1) <= 1).all() and not (posts & own[:, None]).any()
    optimizer = torch.optim.AdamW([p for p in tiny_model.parameters() if p.requires_grad], lr=2e-3)
    for _ in range(25):
        optimizer.zero_grad()
        warm_start.warm_loss(tiny_model, made, sentences, held)["total"].backward()
        optimizer.step()
    v = tiny_model.vision_model
    with torch.no_grad():
        tokens = v.look(made.patches, made.position, torch.zeros(len(v.trunk.blocks), 2, len(own), v.heads, 0, v.dim // v.heads))
        found = (
            losses.normalize(v.pool(tokens, made.mask)) @ losses.normalize(tiny_model.text_model.project(sentences.of(made.texts)).text).T
        )
    score = found.diagonal(dim1=0, dim2=2).T  # [M, R]: each crop's rows against its own caption
    assert score[:, 0].mean() > score[:, warm_batch.NAMED_ROWS + 1 :][posts.any(-1)].mean() + 0.3
    with pytest.raises(TrainingError, match="supports and support_tokens are 2 and 2"):
        replace(settings, supports=2)


def test_crops_of_the_finest_scale_go_through_a_camera(tiny_model, bank, settings):
    cut = settings_of(tiny_model.config)
    plan = FramePlan.of(*warm_batch.FRAME, cut)
    finest = plan.positions(len(plan.grids) - 1, np.zeros(1, int)).item()  # its first position, behind those of the coarser ones
    changed = []
    for seed in range(8):
        plain, taken = (
            warm_batch.make_warm_batch(bank, replace(settings, crops=1, mosaics=0, camera=share), cut, np.random.default_rng(seed))
            for share in (0.0, 1.0)
        )
        changed.append(bool((plain.patches - taken.patches).abs().max() > 1e-3))
        assert changed[-1] == (plain.position.min().item() >= finest) and plain.texts == taken.texts
    assert any(changed) and not all(changed)


def test_crops_of_the_finest_scale_are_magnified(tiny_model, bank, settings, monkeypatch):
    cut, seen = settings_of(tiny_model.config), []
    monkeypatch.setattr(warm_batch, "magnified", lambda image, most, rng: seen.append(most) or image)
    plan = FramePlan.of(*warm_batch.FRAME, cut)
    finest = plan.positions(len(plan.grids) - 1, np.zeros(1, int)).item()
    for share in (0.0, 0.5, 1.0):
        seen.clear()
        made = warm_batch.make_warm_batch(bank, replace(settings, crops=60, mosaics=0, magnified=share), cut, np.random.default_rng(2))
        fine = int((made.position.amin(1) >= finest).sum())
        assert {0.0: not seen, 0.5: 0 < len(seen) < fine, 1.0: len(seen) == fine}[share]
    assert min(seen) >= 20 / warm_batch.LEAST_PX and max(seen) <= warm_batch.ZOOM  # the squares are 20 to 40 px
    words = replace(bank, labels=tuple({**label, "least": 30} for label in bank.labels))  # nothing may get too small to read
    seen.clear()
    warm_batch.make_warm_batch(words, replace(settings, crops=20, mosaics=0, magnified=1.0), cut, np.random.default_rng(2))
    assert seen and 1 <= min(seen) and max(seen) <= 40 / 30


def test_a_magnified_crop_is_as_large_and_less_sharp():
    image = np.random.default_rng(0).integers(0, 255, (80, 80, 3)).astype(np.uint8)
    sharp, blurred = (warm_batch.magnified(image, most, np.random.default_rng(5)) for most in (1.0, 3.0))
    assert sharp.shape == blurred.shape == (80, 80, 3) and blurred.dtype == np.uint8
    steps = [np.abs(np.diff(one.astype(int), axis=1)).mean() for one in (sharp, blurred)]
    assert steps[1] < 0.6 * steps[0]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_the_crops_sees_a_glance(tiny_model, bank, settings, sentences, share):
    cut = settings_of(tiny_model.config)
    made = warm_batch.make_warm_batch(bank, replace(settings, mosaics=0), cut, np.random.default_rng(6))
    v = tiny_model.vision_model
    kv = torch.randn(v.layers, 2, 3, v.heads, 5, v.dim // v.heads, requires_grad=True)
    tokens = [warm_start.looked(v, made, seeing, kv) for seeing in (0, round(share * settings.crops))]
    moved = (tokens[0] - tokens[1]).abs().amax((1, 2)) > 1e-4
    see = round(share * settings.crops) // 3 * 3  # each of the three glances is seen by as many
    assert moved.tolist() == [m < see for m in range(settings.crops)]
    warm_start.warm_loss(tiny_model, made, sentences, replace(settings, context=share), kv)["total"].backward()
    assert kv.grad is None  # the frame's glance is not taught by crops


def test_the_stage_shows_its_crops_the_glances_of_cached_frames(bank, tmp_path, monkeypatch):
    batch = {"crops": 4, "side": 4, "smallest": 20, "largest": 40, "mosaics": 0, "context": 0.5}
    loop = {"steps": 2, "lr": 1e-3, "tensorboard": False}
    settings = read_settings(tiny_run.write(tmp_path))
    settings = replace(settings, warm_start={"loop": loop, "batch": batch})
    monkeypatch.setattr(stages, "_banks", lambda settings, sentences, last: Banked(bank, sentences))
    with pytest.raises(TrainingError, match="holds no frames; run the stage cache"):
        stages.warm_start(settings, resume=False)
    assert stages.cache(settings) == 6
    seen, loss = [], warm_start.warm_loss
    monkeypatch.setattr(warm_start, "warm_loss", lambda *given: seen.append(given[4]) or loss(*given))
    assert stages.warm_start(settings, resume=False) == 2
    assert len(seen) == 2 and all(kv.shape[2] == 1 and not kv.requires_grad for kv in seen)
    assert stages.warm_start(replace(settings, warm_start={"loop": loop, "batch": {**batch, "context": 0.0}}), resume=False) == 2
    assert seen[2:] == [None, None]


def test_stage_b_tells_its_regions_from_the_names_of_the_replayed_bank(bank, tmp_path, monkeypatch):
    settings = read_settings(tiny_run.write(tmp_path, steps=2))
    loss = {**settings.pretrain["loss"], "absent_weight": 0.1}
    replay = {"crops": 4, "side": 4, "smallest": 20, "largest": 40, "mosaics": 0, "names_weight": 1.0}
    settings = replace(settings, pretrain={**settings.pretrain, "loss": loss, "replay": replay})
    monkeypatch.setattr(stages, "_banks", lambda settings, sentences, last, first: Banked(bank, sentences))
    seen, told = [], losses.absent_loss
    monkeypatch.setattr(losses, "absent_loss", lambda *given: seen.append(given[1].shape[0]) or told(*given))
    stages.cache(settings)
    assert stages.pretrain(settings, resume=False) == 2
    assert seen.count(4) >= 2  # red, green, blue and yellow square, each step


@pytest.mark.parametrize("name", ["camera", "magnified", "context"])
def test_a_share_is_between_none_and_all(settings, name):
    with pytest.raises(TrainingError, match=f"{name} is 1.5"):
        replace(settings, **{name: 1.5})


@pytest.mark.parametrize(
    ("size", "largest", "shape"),
    [
        ((40, 40), 7, (5, 5)),  # as a close-up
        ((100, 100), 5, (5, 5)),
        ((60, 60), 7, (6, 6)),  # 1.5 times 60 px are 5.6 patches
        ((140, 140), 7, (7, 7)),
        ((150, 40), 8, (4, 16)),
    ],
)
def test_crops_of_large_things_have_more_patches_where_they_may(size, largest, shape):
    assert crop_shape(*size, 16, largest) == shape


def test_large_things_are_shown_whole_on_more_patches(tiny_model, bank):
    cut = settings_of(tiny_model.config)
    plain = warm_batch.WarmStartSettings(crops=12, side=5, smallest=70, largest=90, mosaics=0, shaped=1.0, tokens=20)
    shown = [replace(plain, largest_side=side) for side in (5, 7)]
    small, large = (warm_batch.make_warm_batch(bank, one, cut, np.random.default_rng(1)) for one in shown)
    assert small.patches.shape == large.patches.shape and small.texts[0] == large.texts[0]
    assert small.mask[:, 0].all() and not large.mask[:, 0].all()  # cut by the crop's edges; with what lies round it
    with pytest.raises(TrainingError, match="largest_side is 4; give 5, as close-ups have, to 12"):
        replace(plain, largest_side=4)
