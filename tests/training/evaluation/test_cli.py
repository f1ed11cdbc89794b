"""`ps3 eval` from end to end on a tiny bundle and a tiny checkpoint with random weights."""

import json
import shutil

import pytest

from ps3_ros.bundle import load_bundle
from ps3_training.evaluation import calibration, cli, measure
from ps3_training.model.thresholds import read_thresholds


def test_a_checkpoint_under_all_conditions(tiny_checkpoint, split, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = [str(tiny_checkpoint), str(split), "--out", str(out), "--threads", "1", "--study", "1", "--curve", "1,2", "--device", "cpu"]
    assert cli.main(arguments) == 0
    figures = json.loads((out / "figures.json").read_text())
    found = figures["splits"]["squares"]
    assert (found["frames"], found["questions"], found["present"], found["study_frames"]) == (3, 18, 9, 1)
    assert {"base", "no-lowres-cache", "one-scale", "random-selection", "top 640, looks 2", "top 128, looks 1"} <= set(found["conditions"])
    assert found["conditions"]["base"]["pointing"]["count"] == 3  # the frame of the study alone
    assert set(found["recall"]["44%"]) == {"top-down", "bottom-up", "random"}
    assert found["retrieval"]["regions"] == 9 and found["choice"]["count"] == 0  # four colours in all: too few names for choices
    assert found["groups"]["never trained on"]["pointing"]["count"] == 3
    report = (out / "report.md").read_text()
    for plot in out.glob("*.png"):
        assert f"({plot.name})" in report
    assert len(list(out.glob("*.png"))) == 5 and not list(out.glob(".*"))
    assert "| squares | 3 | 18 |" in capsys.readouterr().out


def test_a_stopped_run_goes_on(tiny_bundle, split, tmp_path, monkeypatch):
    arguments = [str(tiny_bundle), str(split), "--out", str(tmp_path / "out"), "--threads", "1", "--study", "0"]
    assert cli.main([*arguments, "--limit", "2"]) == 0
    kept = tmp_path / "out" / "rows" / "squares.jsonl"
    first = kept.read_text()
    kept.write_text(first + '{"frame": "fra')  # killed while it wrote
    asked, real = [], measure.measure_frame
    monkeypatch.setattr(measure, "measure_frame", lambda encoder, sample, *rest: asked.append(sample.key) or real(encoder, sample, *rest))
    assert cli.main(arguments) == 0
    assert asked == ["frame2"] and kept.read_text().startswith(first)
    whole = kept.read_text()
    assert cli.main([*arguments, "--tokens", "100"]) == 0  # another question: nothing of it is there, and what is there is not lost
    assert len(asked) == 4 and kept.with_name("squares.1.jsonl").read_text() == whole
    assert cli.main(arguments) == 0
    assert len(asked) == 7 and kept.with_name("squares.2.jsonl").is_file()


def test_another_count_of_studied_frames_asks_only_what_it_must(tiny_bundle, split, tmp_path, monkeypatch):
    arguments = [str(tiny_bundle), str(split), "--out", str(tmp_path / "out"), "--threads", "1", "--curve", "1", "--variants", "none"]
    assert cli.main([*arguments, "--study", "3"]) == 0
    asked, real = [], measure.measure_frame
    monkeypatch.setattr(measure, "measure_frame", lambda encoder, sample, *rest: asked.append(sample.key) or real(encoder, sample, *rest))
    assert cli.main([*arguments, "--study", "2", "--limit", "2"]) == 0
    assert asked == [] and json.loads((tmp_path / "out" / "figures.json").read_text())["splits"]["squares"]["study_frames"] == 2
    assert cli.main([*arguments, "--study", "2"]) == 0
    assert asked == ["frame2"]  # the third was studied and now is not
    assert cli.main([*arguments, "--study", "2"]) == 0
    assert asked == ["frame2"]


def test_calibration_is_written_and_read(tiny_bundle, split, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(calibration, "LEAST", 1)  # 18 questions to a model of random weights
    monkeypatch.setattr(calibration, "SURE", float("-inf"))
    # whose scores say nothing, so that no fit is one
    monkeypatch.setattr(calibration, "platt", lambda logits, right, levels=None: (0.5, -1.0, -0.25)[: 2 if levels is None else 3])
    copy = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, copy)
    before = load_bundle(copy).settings
    target = tmp_path / "calibrated" / "thresholds.json"
    assert cli.main([str(copy), str(split), "--calibrate", "--out", str(target), "--apply", "--threads", "1"]) == 0
    values, after = read_thresholds(target.parent), load_bundle(copy).settings
    assert set(values) == {"found_threshold", "relevance_threshold", "logit_scale", "logit_bias", "background"}
    assert {name: getattr(after, name) for name in values} == values | {"background": tuple(values["background"])}
    assert len(after.background) == after.embed_dim and any(after.background)
    assert (after.logit_scale, after.logit_bias) == pytest.approx((before.logit_scale / 2, before.logit_bias / 2 - 1))
    assert target.with_suffix(".png").is_file() and "Platt's fit: 0.5000" in target.with_suffix(".md").read_text()


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--variants", "no-lowres-cache"], "no-lowres-cache"),  # a bundle cannot
        (["--variants", "upside-down"], "upside-down"),
        (["--calibrate", "--out", "folder"], "thresholds.json"),
    ],
)
def test_bad_options_are_one_sentence(tiny_bundle, split, arguments, said, capsys):
    assert cli.main([str(tiny_bundle), str(split), "--threads", "1", *arguments]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("ps3 eval: ") and said in last


def test_a_folder_without_frames_is_one_sentence(tiny_bundle, tmp_path, capsys):
    assert cli.main([str(tiny_bundle), str(tmp_path), "--threads", "1"]) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith("ps3 eval: The folder")
