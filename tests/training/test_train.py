"""The command: settings that do not fit are one sentence and exit code 2; the shipped configuration is whole."""

from pathlib import Path

import pytest
import yaml

from ps3_training import settings as run_settings
from ps3_training import stages, train
from ps3_training.errors import TrainingError
from ps3_training.loop_settings import LoopSettings
from ps3_training.model import PS3Config
from ps3_training.settings import read_settings
from ps3_training.start import plain_text
from ps3_training.warm_batch import WarmStartSettings

CONFIG = Path(__file__).resolve().parents[2] / "config" / "train_nano.yaml"


@pytest.mark.parametrize("name", ["train_nano.yaml", "finetune.yaml"])
def test_the_shipped_configurations_are_whole(name):
    settings = read_settings(CONFIG.with_name(name))
    stages.pretrain_settings(settings)
    for stage in (settings.warm_start, {"batch": settings.pretrain["replay"]} if settings.pretrain.get("replay") else None):
        if stage:
            run_settings.section(WarmStartSettings, stage["batch"], "batch")
            run_settings.section(LoopSettings, stage.get("loop", {"steps": 1, "lr": 1.0}), "loop")
    if settings.vision:
        config = PS3Config.from_dict({"vision_config": settings.vision, "text_config": plain_text(settings.vision)})
        assert config.vision.grid == 24 and config.vision.aux_size % config.vision.highres_selection_module_kernel_size == 0


@pytest.mark.parametrize(
    "change, words",
    [
        ({"sped": 1}, "sped"),
        ({"run": None}, None),
        ({"pretrain": {"loop": {"steps": 1, "lr": 1.0, "momentum": 0.9}}}, "momentum"),
    ],
)
def test_unknown_keys_are_named(tmp_path, change, words, capsys):
    raw = {**yaml.safe_load(CONFIG.read_text()), **change}
    raw = {key: value for key, value in raw.items() if value is not None}
    raw["cache"] = str(tmp_path / "cache")
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(raw))
    assert train.main([str(path), "--stage", "pretrain"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("ps3 train: ") and message.count("\n") == 1
    assert words is None or words in message


def test_a_missing_file_and_broken_yaml(tmp_path):
    with pytest.raises(TrainingError, match="cannot be read"):
        read_settings(tmp_path / "none.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1")
    with pytest.raises(TrainingError, match="is not YAML"):
        read_settings(tmp_path / "broken.yaml")


def test_pretraining_without_frames_says_what_to_run(tmp_path):
    raw = {**yaml.safe_load(CONFIG.read_text()), "cache": str(tmp_path), "run": str(tmp_path)}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(TrainingError, match="run the stage cache first"):
        stages.pretrain(read_settings(path), resume=False)


def test_single_values_can_be_set(tmp_path):
    settings = read_settings(CONFIG, ["pretrain.loop.lr=1e-4", "pretrain.batch.scales=[768]", "warm_start=null", "device=cpu"])
    loop, batch, _ = stages.pretrain_settings(settings)
    assert (loop.lr, batch.scales, settings.warm_start, settings.device) == (1e-4, (768,), None, "cpu")
    with pytest.raises(TrainingError, match="key=value"):
        read_settings(CONFIG, ["pretrain.loop.lr"])
    with pytest.raises(TrainingError, match="run is 'runs"):
        read_settings(CONFIG, ["run.lr=1"])


@pytest.mark.parametrize(
    "change, words",
    [
        ("device=tpu", "device is 'tpu'"),
        ("init={kind: ps3}", "init is"),
        ("thresholds.found_threshold=3", "thresholds has {'found_threshold': 3} where found_threshold from 0 to 1"),
        ("thresholds.close_up=4", "thresholds has {'close_up': 4} where"),
        ("thresholds=", "wrong type: thresholds is None; give a mapping"),
        ("vision={}", "no section vision"),
        ("pretrain.loop.lr=fast", "wrong type"),
        ("pretrain.loop.steps=2.5", "wrong type: steps is 2.5; give a whole number"),
        ("pretrain.loss.match_weight=true", "wrong type: match_weight is True; give a number"),
        ("pretrain.replay.photographs=2.5", "wrong type: photographs is 2.5; give a whole number"),
        ("pretrain.replay.hard_names=5", "wrong type: hard_names is 5; give a text"),
        ("pretrain.replay.teacher_weight=x", "wrong type: teacher_weight is 'x'; give a number"),
        ("pretrain.batch.selection=sometimes", "selection is 'sometimes'"),
        ("pretrain.lopp={}", "lopp"),
    ],
)
def test_settings_that_do_not_fit_are_one_sentence(change, words, tmp_path, capsys):
    assert train.main([str(CONFIG), "--stage", "pretrain", "--set", change, "--set", f"cache={tmp_path}", "--set", f"run={tmp_path}"]) == 2
    message = capsys.readouterr().err
    assert words in message and message.count("\n") == 1
