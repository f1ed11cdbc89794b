"""Names that cost most are drawn more often; what a checkpoint loses on each is measured, written and read."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import save_file

from ps3_training import hard_names, sprites, stages
from ps3_training.errors import TrainingError
from ps3_training.hard_names import HardNames
from ps3_training.model import settings_of
from ps3_training.settings import read_settings
from ps3_training.warm_batch import WarmStartSettings, make_warm_batch
from ps3_training.warm_start import warm_loss

from . import squares, tiny_run
from .learning import learn

HARD = {"red square": 4.0, "green square": 2.0, "blue square": 1.0, "yellow square": 1.0}


def drawn(hard, bank, count=4000):
    rng = np.random.default_rng(0)
    found = Counter(bank.labels[hard.draw(bank, rng)]["means"][0] for _ in range(count))
    return {name: found[name] / count for name in HARD}


def test_a_name_that_costs_twice_as_much_is_drawn_four_times_as_often():
    shares = drawn(HardNames(HARD), squares.bank())
    assert shares["red square"] == pytest.approx(16 / 22, abs=0.03) and shares["green square"] == pytest.approx(4 / 22, abs=0.03)


def test_names_that_are_not_in_the_file_are_middling_and_text_signs_are_left_out():
    bank = squares.bank()
    bank.labels[3]["least"] = 20  # yellow: a text sign
    shares = drawn(HardNames({"red square": 1.0, "green square": 3.0}), bank)
    assert shares["yellow square"] == 0 and shares["blue square"] == pytest.approx(4 / 14, abs=0.03)
    with pytest.raises(TrainingError, match="nothing but text signs"):
        HardNames(HARD).draw(sprites.Bank(bank.pixels, bank.shape[3:], bank.start[3:], bank.labels[3:], bank.backgrounds), None)


def test_wide_names_have_their_share_beside_the_hand_written():
    bank = squares.bank()
    bank.labels[0]["core"] = False  # red, which costs most
    assert drawn(HardNames(HARD), bank)["red square"] == pytest.approx(1 - sprites.CORE_SHARE, abs=0.03)


def test_a_batch_shows_them(tmp_path, tiny_model):
    cut, bank = settings_of(tiny_model.config), squares.bank()
    given = {"crops": 64, "alike": 0.0, "mosaics": 2, "mosaic_cells": 4, "side": 4}
    assert HardNames.of(WarmStartSettings(**given)) is None
    path = tmp_path / "hard.json"
    path.write_text(json.dumps({"losses": {**dict.fromkeys(HARD, 0.01), "red square": 5.0}}))
    settings = WarmStartSettings(**given, hard_names=str(path), hard_share=0.5)
    made = make_warm_batch(bank, settings, cut, np.random.default_rng(1), hard=HardNames.of(settings))
    assert 0.45 < np.mean(["red" in text for text in made.texts]) < 0.8  # half of them, and a fourth of the others
    assert np.mean(["red" in text for text in made.mosaic_texts]) > 0.4
    same = make_warm_batch(bank, settings, cut, np.random.default_rng(1), hard=HardNames.of(settings))
    assert torch.equal(made.patches, same.patches) and made.texts == same.texts


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"losses": {}}', '{"losses": {"a": "b"}}', '{"losses": {"a": NaN}}', '{"losses": {"a": -1}}', None]
)
def test_a_file_that_is_none_says_so(tmp_path, content):
    path = tmp_path / "hard.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(TrainingError, match=r"hard_names is .*hard\.json"):
        HardNames.read(path)


def test_what_a_model_loses_is_measured_name_by_name(tiny_model, sentences):
    bank = squares.bank()
    found, right = hard_names.measure(tiny_model, bank, sentences, crops=128)
    assert set(found) == set(bank.names) and 0 <= right <= 1
    settings = WarmStartSettings(crops=32, side=5, mosaics=0, smallest=22, largest=70, names_weight=1.0)
    made = make_warm_batch(bank, settings, settings_of(tiny_model.config), np.random.default_rng(3))
    learn(tiny_model, lambda: warm_loss(tiny_model, made, sentences, settings), 60)
    after, told = hard_names.measure(tiny_model, bank, sentences, crops=128)
    assert told > max(right, 0.6) and np.mean(list(after.values())) < np.mean(list(found.values()))


def write_bank(folder):
    bank = squares.bank()
    folder.mkdir()
    arrays = {name: getattr(bank, name) for name in ("pixels", "shape", "start", "backgrounds")}
    save_file(arrays, folder / "bank.safetensors")
    (folder / "bank.json").write_text(json.dumps(bank.labels))
    return folder


def test_the_command_writes_what_the_settings_read(tmp_path, capsys):
    tiny_run.write(tmp_path)
    out = tmp_path / "hard.json"
    assert hard_names.main([str(tmp_path / "start"), str(write_bank(tmp_path / "bank")), str(out), "--crops", "64"]) == 0
    assert set(HardNames.read(out).losses) == set(HARD)
    losses = list(json.loads(out.read_text())["losses"].values())
    assert losses == sorted(losses, reverse=True) and "of 64 crops" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("checkpoint", "bank", "out", "more", "words"),
    [
        ("nowhere", "bank", "hard.json", [], "tokenizer.json"),
        ("start", "nowhere", "hard.json", [], "no bank of cut-outs"),
        ("start", "bank", "", [], "a folder; name a file"),
        ("start", "bank", "hard.json", ["--crops", "0"], "crops is 0"),
    ],
)
def test_what_cannot_be_measured_says_so_in_one_sentence(tmp_path, capsys, checkpoint, bank, out, more, words):
    tiny_run.write(tmp_path)
    write_bank(tmp_path / "bank")
    before = sorted(tmp_path.iterdir())
    assert hard_names.main([str(tmp_path / checkpoint), str(tmp_path / bank), str(tmp_path / out), *more]) != 0
    said = capsys.readouterr().err.strip()
    assert words in said and "Traceback" not in said and len(said.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_run_says_at_once_that_the_file_is_not_there(tmp_path):
    raw = yaml.safe_load(tiny_run.write(tmp_path).read_text())
    raw["warm_start"] = {"loop": {"steps": 1, "lr": 1e-3}, "batch": {"hard_names": str(tmp_path / "none.json")}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(TrainingError, match=r"none\.json"):
        stages.warm_start(read_settings(tmp_path / "config.yaml"), resume=False)
    assert not (tmp_path / "cache").exists()
