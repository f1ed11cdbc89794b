"""The command: settings that do not fit are one sentence and exit code 2; the shipped configuration is whole."""

from pathlib import Path

import pytest
import yaml

from ps3_training import train
from ps3_training.batch import BatchSettings
from ps3_training.loop import LoopSettings, TrainingError
from ps3_training.model import PS3Config
from ps3_training.pretrain import LossSettings
from ps3_training.warm_start import WarmStartSettings

CONFIG = Path(__file__).resolve().parents[2] / "config" / "train_nano.yaml"


def test_the_shipped_configuration_is_whole():
    settings = train.read_settings(CONFIG)
    for stage, kinds in (
        ("warm_start", {"loop": LoopSettings, "batch": WarmStartSettings}),
        ("pretrain", {"loop": LoopSettings, "batch": BatchSettings, "loss": LossSettings, "replay": WarmStartSettings}),
    ):
        for name, kind in kinds.items():
            train._section(kind, getattr(settings, stage)[name], f"{stage}.{name}")
    config = PS3Config.from_dict({"vision_config": settings.vision, "text_config": train._plain_text(settings.vision)})
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
    assert message.startswith("error: ") and message.count("\n") == 1
    assert words is None or words in message


def test_a_missing_file_and_broken_yaml(tmp_path):
    with pytest.raises(TrainingError, match="cannot be read"):
        train.read_settings(tmp_path / "none.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1")
    with pytest.raises(TrainingError, match="is not YAML"):
        train.read_settings(tmp_path / "broken.yaml")


def test_pretraining_without_frames_says_what_to_run(tmp_path):
    raw = {**yaml.safe_load(CONFIG.read_text()), "cache": str(tmp_path), "run": str(tmp_path)}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(TrainingError, match="run the stage cache first"):
        train.pretrain(train.read_settings(path), resume=False)
