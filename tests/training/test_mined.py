"""What a model would look at closely is kept frame by frame, and stage B is taught by it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml

from ps3_ros.close_up import SIDE
from ps3_training import mining, stages
from ps3_training.data.shards import open_data
from ps3_training.errors import TrainingError
from ps3_training.mined import MinedSettings, Review, mined_loss
from ps3_training.mined_file import PATCHES, Mined
from ps3_training.model import PS3, PS3Config, settings_of
from ps3_training.settings import read_settings

from . import squares, tiny_run
from .conftest import TEXT, VISION
from .learning import learn

CLOSE_UPS = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny run whose model takes close-ups, and those of its frames, under `mined`."""
    folder = tmp_path_factory.mktemp("mined")
    tiny_run.write(folder, frames=3)
    torch.manual_seed(0)
    model = PS3(PS3Config.from_dict({"vision_config": {**VISION, "max_select_num": CLOSE_UPS * 5 * SIDE**2}, "text_config": TEXT}))
    model.save_pretrained(folder / "start")
    (folder / "start" / "thresholds.json").write_text(
        json.dumps({"found_threshold": 0.3, "relevance_threshold": 0.0, "close_ups": CLOSE_UPS})
    )
    assert mining.main([str(folder / one) for one in ("start", "data", "mined")] + ["--processes", "1"]) == 0
    return folder


def model_of(folder):
    model = PS3.from_pretrained(folder / "start")
    model.text_model.encoder.requires_grad_(False)
    return model


def review_of(folder, **given):
    settings = MinedSettings(folder=str(folder / "mined"), **given)
    return Review(settings, settings_of(model_of(folder).config), (10.0, -5.0, None), seed=0)


def kv_of(model, frames=1):
    side = VISION["img_size"]
    return model.vision_model.glance(torch.zeros(frames, 3, side, side)).kv


def test_each_frame_has_a_file_that_says_what_lies_under_its_close_ups(folder):
    samples = {sample.key: sample for sample in open_data(folder / "data")}
    files = sorted((folder / "mined").iterdir())
    assert [path.name for path in files] == [f"{key}.safetensors" for key in sorted(samples)]
    labelled = 0
    for path in files:
        one, sample = Mined.load(path), samples[path.stem]
        assert len(one.things) == CLOSE_UPS * len(one.texts) and one.patches.shape == (len(one.things), PATCHES, 3, 16, 16)
        assert (one.inside <= one.real).all() and one.inside.any(1).all()
        colours = dict(zip(sample.extra["name"], sample.box, strict=True))
        for k, things in enumerate(one.things):
            for names, iou in things:
                assert names[0] in colours and 0 < iou <= 1
            asked = one.texts[k // CLOSE_UPS]
            assert (one.iou[k] > 0) == any(name.endswith(asked) or asked.endswith(name) for names, _ in things for name in names)
            labelled += bool(things)
    assert labelled  # else nothing above was looked at


def test_mining_goes_on_after_a_stop(folder, tmp_path, capsys):
    whole = {path.name: path.read_bytes() for path in (folder / "mined").iterdir()}
    for name in sorted(whole)[1:]:
        (tmp_path / name).write_bytes(whole[name])
    times = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert mining.main([str(folder / "start"), str(folder / "data"), str(tmp_path), "--processes", "1"]) == 0
    assert "close-ups of 3 frames" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == whole
    assert all((tmp_path / name).stat().st_mtime_ns == at for name, at in times.items())


def test_a_small_budget_has_fewer_close_ups():
    settings = settings_of(PS3Config.from_dict({"vision_config": {**VISION, "max_select_num": 2 * 5 * SIDE**2}, "text_config": TEXT}))
    counts = [
        mining.close_ups_of(replace(settings, close_ups=4, zoom_outs=more, max_patches=n)) for more, n in ((0, 250), (0, 64), (2, 1000))
    ]
    assert counts == [2, 0, 4]


@pytest.mark.parametrize(
    ("checkpoint", "data", "out", "more", "words"),
    [
        ("nowhere", "data", "new", [], "does not exist"),
        ("start", "nowhere", "new", [], "nowhere"),
        ("start", "data", "config.yaml", [], "which is a file"),
        ("start", "data", "new", ["--processes", "0"], "processes is 0"),
        ("plain", "data", "new", [], "takes no close-ups"),
    ],
)
def test_what_cannot_be_mined_says_so_in_one_sentence(folder, tmp_path, capsys, checkpoint, data, out, more, words):
    tiny_run.write(tmp_path, frames=1)
    (tmp_path / "start").rename(tmp_path / "plain")
    (tmp_path / "start").symlink_to(folder / "start")
    before = sorted(tmp_path.iterdir())
    assert mining.main([str(tmp_path / checkpoint), str(tmp_path / data), str(tmp_path / out), *more]) != 0
    said = capsys.readouterr().err.strip()
    assert words in said and "Traceback" not in said and len(said.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_the_right_candidate_comes_first_after_some_steps(folder, sentences):
    model, review = model_of(folder), review_of(folder)
    keys = sorted(review.files)
    batch = review.batch(0, keys)
    assert batch.right.any() and not batch.right.all()
    names = sorted({name for of in batch.names for name in of})
    first, last = learn(model, lambda: review.loss(model, batch, sentences, kv_of(model, len(keys)), names), 40)
    assert last["asked"] < 0.6 * first["asked"] and last["named"] < 0.6 * first["named"]
    assert last["pointed"] >= first["pointed"] and last["top1"] > 0.8


def test_a_batch_follows_from_seed_step_and_rank_alone(folder):
    review = review_of(folder, questions=2)
    keys = sorted(review.files)[:2]
    first, same, other = review.batch(3, keys), review.batch(3, keys), review.batch(3, keys, rank=1)
    assert len(first.texts) == 4 and first.frame.tolist() == [0] * 4 + [1] * 4
    assert torch.equal(first.patches, same.patches) and first.texts == same.texts
    assert first.texts != other.texts or not torch.equal(first.patches, other.patches)


def test_a_close_up_sees_its_own_frame_alone(folder, sentences):
    model, review = model_of(folder).eval(), review_of(folder)
    keys = sorted(review.files)[:2]
    alone = [review.loss(model, review.batch(0, [key]), sentences, kv_of(model), ["red square"])["asked"] for key in keys[:1]]
    both = review.batch(0, keys)
    mine = both.frame == 0
    cut = {
        name: getattr(both, name)[mine]
        for name in ("patches", "position", "real", "inside", "look", "evidence", "right", "unsure", "frame")
    }
    count = int(mine.sum())
    part = replace(both, **cut, texts=both.texts[: count // CLOSE_UPS], names=both.names[:count], under=both.under[:count])
    assert review.loss(model, part, sentences, kv_of(model), ["red square"])["asked"] == pytest.approx(float(alone[0]), rel=1e-5)


def test_what_lies_on_the_thing_and_fits_it_badly_counts_neither_way(folder, sentences):
    model, review = model_of(folder).eval(), review_of(folder)
    batch = review.batch(0, sorted(review.files)[:1])
    only = torch.zeros_like(batch.right)
    only[::CLOSE_UPS] = True
    unsure = replace(batch, right=torch.zeros_like(batch.right), unsure=~only)
    ask = lambda one: mined_loss(model, one, sentences, review.settings, review.score, kv_of(model), ["red square"])["asked"]  # noqa: E731
    moved = replace(unsure, evidence=unsure.evidence + 3.0 * ~only)
    weight = lambda one: ask(one) != 0  # noqa: E731
    assert weight(unsure) and ask(replace(moved, unsure=torch.zeros_like(only))) > 2 * ask(unsure)
    assert ask(moved) < ask(unsure)  # the more of the softmax a candidate that does not count takes, the less is lost
    strict = review_of(folder, least_iou=0.99).batch(0, sorted(review.files)[:1])
    assert not strict.right.any() and torch.equal(strict.unsure, batch.right) and strict.under == batch.under
    assert not any(strict.names)


def settings_with(folder, tmp_path, mined=None):
    raw = yaml.safe_load((folder / "config.yaml").read_text())
    raw |= {"run": str(tmp_path / "run"), "cache": str(tmp_path / "cache")}
    raw["pretrain"]["loop"] |= {"steps": 2}
    raw["pretrain"]["held_out_share"] = 0.0
    raw["pretrain"]["replay"] = {"crops": 4, "side": 4, "smallest": 20, "largest": 40, "mosaics": 0, "names_weight": 1.0}
    raw["pretrain"]["mined"] = {"folder": str(folder / "mined"), "questions": 3, **(mined or {})}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(raw))
    return read_settings(path)


def test_stage_b_is_taught_by_them(folder, tmp_path, monkeypatch):
    settings = settings_with(folder, tmp_path)
    monkeypatch.setattr(stages, "_banks", lambda settings, sentences, *steps: squares.Banked(squares.bank(), sentences))
    stages.cache(settings)
    assert stages.pretrain(settings, resume=False) == 2
    lines = [json.loads(line) for line in (tmp_path / "run" / "pretrain" / "metrics.jsonl").read_text().splitlines()]
    assert all(line["mined_asked"] > 0 and line["mined_named"] > 0 for line in lines)


@pytest.mark.parametrize(
    ("mined", "words"),
    [
        ({"folder": ""}, "give folder"),
        ({"folder": "nowhere"}, "no mined close-ups in 'nowhere'"),
        ({"questions": 0}, "1 question or more"),
        ({"weight": -1.0}, "weights of 0 or more"),
        ({"least_iou": 1.0}, "least_iou is 1.0"),
    ],
)
def test_settings_that_cannot_be_are_refused(folder, tmp_path, mined, words):
    settings = settings_with(folder, tmp_path, mined)
    stages.cache(settings)
    with pytest.raises(TrainingError, match=words):
        stages.pretrain(settings, resume=False)


def test_it_needs_names_and_frames_that_were_mined(folder, tmp_path):
    settings = settings_with(folder, tmp_path)
    del settings.pretrain["replay"]
    with pytest.raises(TrainingError, match="names_weight"):
        stages.pretrain_settings(settings)
    with pytest.raises(TrainingError, match="none of the 1 frames"):
        review_of(folder).having([{"key": "another"}])


def test_close_ups_of_another_kind_of_model_are_refused(folder):
    review = review_of(folder)
    review.model = replace(review.model, embed_dim=32)
    with pytest.raises(TrainingError, match="mine them with this model"):
        review.batch(0, sorted(review.files)[:1])


@pytest.mark.parametrize("content", [b"", b"no tensors", "cut off"])
def test_a_broken_file_is_named(folder, tmp_path, content):
    path = tmp_path / "frame.safetensors"
    whole = sorted((folder / "mined").iterdir())[0].read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content == "cut off" else content)
    with pytest.raises(TrainingError, match=r"frame\.safetensors holds no mined close-ups .*mine the frame again"):
        Mined.load(path)
    tables = {name: np.zeros((2, PATCHES, 3, 16, 16), kind) for name, kind in Mined.ARRAYS.items()}
    with pytest.raises(ValueError, match="3 close-ups"):
        Mined(**tables, texts=["a"], things=[[], [], []])
