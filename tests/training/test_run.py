"""A tiny run from its YAML file to a checkpoint, twice, and a sweep of it."""

import json
from pathlib import Path

import cv2
import pytest
import yaml

from ps3_training import checkpoints, stages, sweep, train
from ps3_training.errors import TrainingError
from ps3_training.metrics import read_metrics
from ps3_training.model import PS3
from ps3_training.settings import change, read_settings, read_yaml, settings_of_run

from . import tiny_run


@pytest.fixture
def config(tmp_path):
    return tiny_run.write(tmp_path, pictures_every=2)


def test_one_command_makes_a_checkpoint_and_a_second_one_finds_it_done(config, tmp_path, capsys):
    assert train.main([str(config)]) == 0
    out = capsys.readouterr().out
    assert "cache: 6 frames done" in out and "pretrain: 4 steps done" in out and f"checkpoint: {tmp_path / 'run' / 'checkpoint'}" in out
    PS3.from_pretrained(tmp_path / "run" / "checkpoint")
    assert json.loads((tmp_path / "run" / "checkpoint" / "thresholds.json").read_text())["found_threshold"] == 0.3
    assert (tmp_path / "run" / "checkpoint" / "tokenizer.json").read_bytes() == (tmp_path / "start" / "tokenizer.json").read_bytes()
    pictures = sorted((tmp_path / "run" / "pretrain" / "pictures").iterdir())
    assert [path.name for path in pictures] == ["00000002.png", "00000004.png"]
    assert cv2.imread(str(pictures[0])).std() > 20  # frames, not a blank sheet

    newest = checkpoints.newest(tmp_path / "run" / "pretrain") / "model.safetensors"
    before = newest.stat().st_mtime_ns
    assert train.main([str(config), "--resume"]) == 0
    assert newest.stat().st_mtime_ns == before
    assert train.main([str(config), "--restart"]) == 0
    assert newest.stat().st_mtime_ns > before and len(read_metrics(tmp_path / "run" / "pretrain" / "metrics.jsonl")) == 4


@pytest.mark.parametrize("more", [[], ["pretrain.replay={crops: 4}"], ["pretrain.source=stream"]])
def test_absent_names_without_a_banks_names_are_refused(config, tmp_path, more, capsys):
    given = ["pretrain.loss.absent_weight=0.1", *more]
    assert train.main([str(config), *(part for one in given for part in ("--set", one))]) == 2
    assert "absent_weight is 0.1, and no names come with the steps" in capsys.readouterr().err
    assert not (tmp_path / "run" / "pretrain" / "steps").exists()


def test_a_sweep_measures_every_run_on_the_same_frames(config, tmp_path):
    entries = [
        {"name": "base"},
        {"name": "no_cache", "from": "table 6", "set": {"pretrain.loss.lowres_cache": False}},
        {"name": "hard", "set": {"pretrain.batch.hard_share": 0.3, "pretrain.batch.selection": 0.5}},
    ]
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(entries))
    assert train.main([str(config), "--sweep", str(tmp_path / "sweep.yaml"), "--set", "pretrain.loop.steps=2"]) == 0
    rows = json.loads((tmp_path / "run" / "sweep.json").read_text())
    assert [row["name"] for row in rows] == ["base", "no_cache", "hard"]
    assert len({row["match"] for row in rows}) == 3
    again = sweep.held_out(*(read_settings(config, [f"run={tmp_path / 'run' / name}"]) for name in ("base", "base")))
    assert again["match"] == pytest.approx(rows[0]["match"], rel=1e-6)
    assert "| no_cache | table 6 | pretrain.loss.lowres_cache = False |" in (tmp_path / "run" / "sweep.md").read_text()


@pytest.mark.parametrize(
    "entries, words",
    [
        ([], "no list"),
        ([{"name": "a/b"}], "letters"),
        ([{"name": "a"}, {"name": "a"}], "of its own"),
        ([{"name": "a", "sett": {}}], "sett"),
    ],
)
def test_a_sweep_that_does_not_fit_is_refused(tmp_path, entries, words):
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(entries))
    with pytest.raises(TrainingError, match=words):
        sweep.read_sweep(tmp_path / "sweep.yaml")


def test_every_entry_of_the_papers_sweep_fits_the_shipped_configuration():
    config = Path(__file__).resolve().parents[2] / "config"
    raw, entries = read_yaml(config / "train_nano.yaml"), sweep.read_sweep(config / "sweep_paper.yaml")

    def said(run):
        return run.vision, run.warm_start, run.pretrain["replay"], stages.pretrain_settings(run)

    base = said(settings_of_run(raw, "base"))
    for entry in entries:
        changed = said(settings_of_run(change(raw, entry.get("set") or {}), entry["name"]))
        assert (changed == base) == (entry["name"] == "base"), entry["name"]  # each changes something that is not so already
