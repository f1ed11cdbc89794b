"""What is taught about photographs: the views, the real teacher, and the head that the loss trains beside the model."""

import json
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ps3_training import checkpoints, crops, loop, optimizer, stages, taught, teacher, teaching, warm_batch, warm_start
from ps3_training.data import catalogue
from ps3_training.data.photographs import LIST
from ps3_training.errors import TrainingError
from ps3_training.model import PS3, settings_of
from ps3_training.settings import read_settings

from . import tiny_run
from .squares import Banked

CUT_OUTS, PARTS, NAMED = 4, 3, 5


@pytest.fixture(autouse=True)
def few_measured(monkeypatch):
    monkeypatch.setattr(teaching, "MEASURED", 48)  # the teacher takes 25 ms a view


@pytest.fixture
def settings():
    return warm_batch.WarmStartSettings(
        crops=6, side=5, smallest=20, largest=40, mosaics=0, colour_jitter=0.0, names_weight=1.0, photographs=NAMED, windows=PARTS,
        taught_cut_outs=CUT_OUTS,
    )  # fmt: skip


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Photographs: two red ones named as the bank names its red square, and a green one without a name; a blue wallpaper."""
    folder = tmp_path / "assets" / "photographs"
    folder.mkdir(parents=True)
    listed = []
    for name, said, colour in (("a", "red square", (20, 20, 220)), ("b", "red square", (30, 30, 200)), ("c", "sofa", (20, 200, 20))):
        whole, thing = np.full((180, 240, 3), 160, np.uint8), np.zeros((180, 240, 4), np.uint8)
        whole[50:130, 70:170] = colour
        thing[50:130, 70:170] = (*colour, 255)
        cv2.imwrite(str(folder / f"{name}.webp"), whole)
        cv2.imwrite(str(folder / f"{name}.png"), thing)
        listed.append({"file": f"{name}.webp", "name": said, "cut_out": f"{name}.png"})
    (folder / LIST).write_text(json.dumps(listed))
    walls = tmp_path / "walls"
    walls.mkdir()
    cv2.imwrite(str(walls / "one.jpg"), np.full((1200, 2000, 3), (200, 40, 20), np.uint8))
    cv2.imwrite(str(walls / "two.jpg"), np.full((1200, 2000), 90, np.uint8))  # a grey JPEG, as some wallpapers are
    monkeypatch.setenv(catalogue.ASSETS, str(tmp_path / "assets"))
    monkeypatch.setenv("PS3_PHOTOS", str(walls))
    return folder


def test_views_show_what_the_teacher_sees_and_only_photographs_answer_names(tiny_model, bank, settings, pictures):
    cut = settings_of(tiny_model.config)
    seen = taught.Photographs.read(set(bank.names), NAMED, PARTS)
    assert list(seen.named) == ["red square"] and len(seen.named["red square"]) == 2 and len(seen.parts) == 3
    assert [one.shape for one in seen.wide] == [(1080, taught.LARGEST_PX, 3)] * 2 and seen.named["red square"][0][0].shape == (
        80,
        100,
        4,
    )  # trimmed
    made, again = (taught.make_taught(bank, seen, settings.taught, 0.0, cut, np.random.default_rng(5)) for _ in range(2))
    count = NAMED + PARTS + CUT_OUTS
    assert all(torch.equal(getattr(made, f), getattr(again, f)) for f in ("patches", "position", "mask", "pictures", "answers"))
    assert made.patches.shape[:2] == (count, 25) and made.mask.shape == (count, 1, 25) and made.mask.any(-1).all()
    assert made.pictures.shape == (count, teacher.SIDE, teacher.SIDE, 3) and made.position.max() < tiny_model.vision_model.position_count
    named = made.answers.any(1)
    assert named.sum() == NAMED and (made.answers[named].sum(1) == 1).all()
    assert made.answers[named][:, bank.names.index("red square")].all()
    middle = made.pictures[:, 64, 64].float()
    assert (middle[named, 0] > 150).all() and (middle[named, 1:] < 60).all()  # red first
    for patches, mask in zip(made.patches[named], made.mask[named], strict=True):  # the look meets the same thing, through a camera
        shown = (patches.unflatten(-1, (3, -1)).mean(-1) + 1) * 127.5
        assert (shown[mask[0]][:, 0] - shown[mask[0]][:, 1:].amax(1)).max() > 60


def test_scenery_takes_the_colour_of_a_camouflaged_thing():
    sprite = np.zeros((10, 20, 4), np.uint8)
    sprite[:, :10] = (100, 20, 10, 128)  # premultiplied: (199, 40, 20)
    noise = np.random.default_rng(0).integers(90, 130, (50, 60, 3)).astype(np.uint8)
    image = noise.copy()
    crops.camouflaged(image, sprite, np.random.default_rng(1))
    before, after = (np.abs(one.reshape(-1, 3).mean(0) - np.array([199, 40, 20])).max() for one in (noise, image))
    assert after < 0.45 * before and image.std() > 5
    crops.camouflaged(image := noise.copy(), np.zeros((5, 5, 4), np.uint8), np.random.default_rng(1))
    assert np.array_equal(image, noise)


def test_camouflage_is_a_share_of_the_crops_and_changes_no_other_draw(tiny_model, bank, settings):
    cut, plain = settings_of(tiny_model.config), replace(settings, photographs=0, windows=0, taught_cut_outs=0)
    made = [warm_batch.make_warm_batch(bank, replace(plain, camouflage=share), cut, np.random.default_rng(3)) for share in (0.0, 1.0)]
    assert made[0].texts[0] == made[1].texts[0] and not torch.equal(made[0].patches[0], made[1].patches[0])
    with pytest.raises(TrainingError, match="camouflage is 2"):
        replace(plain, camouflage=2)


def test_the_head_learns_what_the_teacher_has_and_names_of_photographs(tiny_model, bank, settings, sentences, pictures):
    pytest.importorskip("efficientnet_lite_pytorch", reason="the extra `teacher` is not installed")
    cut = settings_of(tiny_model.config)
    known = teaching.Teaching.of(settings, bank, cut, 1, torch.device("cpu"))
    features = known.teacher.features(torch.from_numpy(np.random.default_rng(0).integers(0, 255, (3, 128, 128, 3)).astype(np.uint8)))
    assert features.shape == (3, teacher.WIDTH) and known.head.spread.min() > 0 and known.head.mean.abs().max() > 0
    made = warm_batch.make_warm_batch(bank, settings, cut, np.random.default_rng(2), known.photographs)
    told = known.teacher.features(made.taught.pictures)
    known = replace(known, teacher=SimpleNamespace(features=lambda pictures: told))  # every step's are these
    parameters = [p for p in [*tiny_model.parameters(), *known.head.parameters()] if p.requires_grad]
    steps = torch.optim.AdamW(parameters, lr=2e-3)
    for step in range(40):
        parts = warm_start.warm_loss(tiny_model, made, sentences, settings, teaching=known)
        if step == 0:
            first = {name: float(value.detach()) for name, value in parts.items()}
        steps.zero_grad()
        parts["total"].backward()
        steps.step()
    parts = {name: value.detach() for name, value in warm_start.warm_loss(tiny_model, made, sentences, settings, teaching=known).items()}
    assert parts["teacher"] < 0.6 * first["teacher"] and parts["photographs"] < first["photographs"] and parts["photographs_top1"] == 1
    with torch.no_grad():
        without = warm_start.warm_loss(tiny_model, replace(made, taught=None), sentences, settings)
    gone = settings.teacher_weight * parts["teacher"] + settings.photographs_weight * parts["photographs"]
    assert "teacher" not in without and float(without["total"] + gone) == pytest.approx(float(parts["total"]), rel=1e-3)


def test_the_head_is_in_the_runs_checkpoints_and_in_no_model(tiny_model, tmp_path):
    head, steps = teacher.TeacherHead(8, 1), loop.LoopSettings(steps=4, lr=1e-2, log_every=1, save_every=2, tensorboard=False)
    head.measure(torch.randn(9, teacher.WIDTH))
    weight = next(p for p in tiny_model.parameters() if p.requires_grad)
    start = weight.detach().clone()

    def loss_of(one):
        features = torch.randn(3, teacher.WIDTH, generator=torch.Generator().manual_seed(1))
        return lambda made: {"total": weight.square().mean() + one(torch.ones(3, 8), features).mean()}

    loop.fit(tiny_model, lambda step: step, loss_of(head), steps, tmp_path, stop_after=2, progress=False, beside=head)
    halfway = checkpoints.newest(tmp_path)
    again = teacher.TeacherHead(8, 2)
    assert checkpoints.load_beside(again, halfway)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in head.state_dict().items())
    assert not [name for name in tiny_model.state_dict() if "tell" in name]
    loop.fit(tiny_model, lambda step: step, loss_of(again), steps, tmp_path, resume=True, progress=False, beside=again)

    whole = teacher.TeacherHead(8, 1)
    whole.mean.copy_(head.mean)
    whole.spread.copy_(head.spread)
    weight.data.copy_(start)
    loop.fit(tiny_model, lambda step: step, loss_of(whole), steps, tmp_path / "whole", progress=False, beside=whole)
    assert torch.equal(whole.tell.weight, again.tell.weight)  # its moments went on, too
    with pytest.raises(checkpoints.CheckpointError, match="another run's teacher's head"):
        checkpoints.load_beside(teacher.TeacherHead(9), halfway)
    assert not checkpoints.load_beside(None, halfway)
    assert [name for name, _ in optimizer.trained(tiny_model, head)][-2:] == ["beside.tell.weight", "beside.tell.bias"]


def test_what_is_missing_is_named(tiny_model, bank, settings, pictures, monkeypatch):
    cut = settings_of(tiny_model.config)
    assert teaching.Teaching.of(replace(settings, photographs=0, windows=0, taught_cut_outs=0), bank, cut, 1, None) == teaching.Teaching()
    with pytest.raises(TrainingError, match="names_weight"):
        replace(settings, names_weight=0.0)
    with pytest.raises(TrainingError, match="none of the 3 photographs"):
        taught.Photographs.read({"green square"}, 1, 0)
    (pictures / "c.webp").write_bytes(b"no picture")
    with pytest.raises(TrainingError, match=r"c\.webp cannot be read"):
        taught.Photographs.read(set(bank.names), 1, 1)
    assert taught.Photographs.read(set(bank.names), 0, 0) == taught.Photographs({}, (), ())
    (pictures / LIST).unlink()
    with pytest.raises(TrainingError, match="python -m ps3_training.data.photographs"):
        taught.Photographs.read(set(bank.names), 1, 0)
    monkeypatch.setattr(teacher, "SHA256", "0" * 64)
    pytest.importorskip("efficientnet_lite_pytorch", reason="the extra `teacher` is not installed")
    with pytest.raises(TrainingError, match="have SHA-256 5793"):
        teacher.Teacher()


def test_a_run_is_taught_in_both_stages_and_the_head_goes_on(bank, tmp_path, pictures, monkeypatch):
    pytest.importorskip("efficientnet_lite_pytorch", reason="the extra `teacher` is not installed")
    batch = {"crops": 4, "side": 5, "smallest": 20, "largest": 40, "mosaics": 0, "names_weight": 1.0, "photographs": 2, "windows": 1}
    settings = read_settings(tiny_run.write(tmp_path, steps=1))
    settings = replace(
        settings,
        warm_start={"loop": {"steps": 2, "lr": 1e-3, "tensorboard": False, "log_every": 1}, "batch": batch},
        pretrain={**settings.pretrain, "replay": batch},
    )
    monkeypatch.setattr(stages, "_banks", lambda settings, sentences, *steps: Banked(bank, sentences))
    stages.cache(settings)
    assert stages.warm_start(settings, resume=False) == 2 and stages.pretrain(settings, resume=False) == 1
    told = [json.loads(line) for line in (tmp_path / "run" / "warm_start" / "metrics.jsonl").read_text().splitlines()]
    assert all(0 < line["teacher"] < 2 and line["photographs"] > 0 for line in told)
    assert 0 < json.loads((tmp_path / "run" / "pretrain" / "metrics.jsonl").read_text().splitlines()[0])["replay_teacher"] < 2
    dim = settings_of(PS3.from_pretrained(tmp_path / "start").config).embed_dim
    heads = [teacher.TeacherHead(dim, 9) for _ in range(2)]
    assert all(
        checkpoints.load_beside(h, checkpoints.newest(tmp_path / "run" / s)) for h, s in zip(heads, ("warm_start", "pretrain"), strict=True)
    )
    assert torch.equal(heads[0].mean, heads[1].mean) and 0 < (heads[0].tell.weight - heads[1].tell.weight).abs().max() < 0.01
    stages.finish(settings)  # the model alone is what a bundle is made of
    assert not [name for name in load_file(tmp_path / "run" / "checkpoint" / "model.safetensors") if "tell" in name]
