"""The demo: what it calls right, and a whole run in its processes."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ps3_ros.answer import Answer, Region  # noqa: E402
from ps3_ros.demo import SAMPLES, Question, describe, is_right, main, read_samples  # noqa: E402
from ps3_ros.errors import FrameError  # noqa: E402

pytestmark = pytest.mark.alone

ROOT = Path(__file__).resolve().parents[2]
THERE, NOWHERE = Question("mug", ((100.0, 100.0, 200.0, 200.0),)), Question("mug", ())


def answer(found=True, box=(140.0, 140.0, 150.0, 150.0), label="mug"):
    return Answer(query="mug", found=found, label=label, regions=(Region(box, 0.8, label),))


@pytest.mark.parametrize(
    ("given", "question", "right"),
    [
        (answer(), THERE, True),
        (answer(box=(190.0, 190.0, 300.0, 300.0)), THERE, False),  # overlaps, but its centre is outside
        (answer(found=False), THERE, False),
        (answer(found=False), NOWHERE, True),
        (answer(), NOWHERE, False),
        (answer(), replace(THERE, label="mug"), True),
        (answer(), replace(THERE, label="cup"), False),  # the right place, the wrong choice
        (answer(), replace(THERE, boxes=((0.0, 0.0, 5.0, 5.0), *THERE.boxes)), True),
        (Answer.failed("mug", "no frame"), THERE, False),
        (Answer.failed("mug", "no frame"), NOWHERE, False),
    ],
)
def test_what_is_right(given, question, right):
    assert is_right(given, question) is right
    assert ("WRONG" in describe(given, question)) is not (right or given.error is not None)


def test_the_repositorys_samples_can_be_read():
    if not SAMPLES.is_dir():
        pytest.skip("samples are in the source tree only")
    samples = read_samples(SAMPLES)
    assert len(samples) >= 3
    assert all(cv2.imread(str(s.image)).shape == (2160, 3840, 3) for s in samples)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"image": "a.jpg"}', "KeyError: 'queries'"),
        ('{"image": "a.jpg", "queries": [{"query": "x", "boxes": [[1, 2, 3]]}]}', "ValueError"),
        ('{"image": "a.jpg", "queries": []}', "names the picture 'a.jpg' and 0 queries"),
        ('{"image": "gone.jpg", "queries": [{"query": "x", "boxes": []}]}', "'gone.jpg'"),
    ],
)
def test_a_bad_sample_is_one_sentence(tmp_path, text, sentence):
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(FrameError) as caught:
        read_samples(tmp_path)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_samples_is_exit_code_2(tmp_path, capsys):
    assert main(["--samples", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "no sample" in capsys.readouterr().err


def demo(tiny_bundle, samples, out, domain):
    command = [sys.executable, "-m", "ps3_ros.demo", "--samples", samples, "--out", out, "--bundle", tiny_bundle, "--domain", domain]
    return subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=120)


def test_a_whole_run_answers_every_query_and_draws_it(tiny_bundle, tmp_path):
    pytest.importorskip("rclpy", reason="rclpy cannot be imported: source a ROS 2 setup file or pip install '.[ros-wheels]'")
    from ros_helpers import free_domain

    samples, out = tmp_path / "samples", tmp_path / "out"
    samples.mkdir()
    queries = {"one": ["stop sign", "red | green traffic light"], "two": ["mug"]}
    for name, asked in queries.items():
        pixels = cv2.resize(np.random.default_rng(len(asked)).integers(0, 256, (9, 16, 3), dtype=np.uint8), (3840, 2160))
        cv2.imwrite(str(samples / f"{name}.jpg"), pixels)
        sample = {"image": f"{name}.jpg", "license": "CC0", "queries": [{"query": q, "boxes": []} for q in asked]}
        (samples / f"{name}.json").write_text(json.dumps(sample))
    done = demo(tiny_bundle, samples, out, free_domain())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 came" in done.stdout
    answers = [Answer.from_json(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    assert [(a.frame_id, a.query) for a in answers] == [(name, q) for name, asked in queries.items() for q in asked]
    assert all((a.width, a.height, a.error) == (3840, 2160, None) for a in answers)
    assert sorted(p.name for p in out.glob("*.jpg")) == ["one-1.jpg", "one-2.jpg", "two-1.jpg"]
    # The tiny bundle looks at part of the frame only: what was not looked at is dimmed in the picture.
    drawn = cv2.imread(str(out / "one-1.jpg")).mean()
    assert drawn < 0.8 * cv2.imread(str(samples / "one.jpg")).mean()


def test_a_node_that_cannot_start_ends_the_demo_with_its_reason(tmp_path):
    pytest.importorskip("rclpy", reason="rclpy cannot be imported: source a ROS 2 setup file or pip install '.[ros-wheels]'")
    from ros_helpers import free_domain

    cv2.imwrite(str(tmp_path / "a.jpg"), np.zeros((64, 64, 3), np.uint8))
    (tmp_path / "a.json").write_text('{"image": "a.jpg", "queries": [{"query": "x", "boxes": []}]}')
    done = demo(tmp_path / "no_bundle", tmp_path, tmp_path / "out", free_domain())
    assert done.returncode == 2
    assert "bundle folder" in done.stderr
    assert "Traceback" not in done.stderr
