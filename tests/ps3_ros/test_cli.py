"""The command line as a person runs it: `main(argv)` in this process, exit codes and what is printed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest

from ps3_ros import __version__
from ps3_ros.cli import main

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "answer.schema.json").read_text())


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "frame.png"
    cv2.imwrite(str(path), np.random.default_rng(3).integers(0, 255, (540, 960, 3), np.uint8))
    return path


def run(capsys, *argv):
    """Exit code, stdout, stderr."""
    try:
        code = main([str(a) for a in argv])
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_ask_prints_an_answer_a_query_that_fits_the_schema(capsys, tiny_bundle, picture):
    code, out, err = run(capsys, "ask", picture, "stop sign", "red | green traffic light", "--json", "--bundle", tiny_bundle)
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [a["query"] for a in answers] == ["stop sign", "red | green traffic light"]
    for answer in answers:
        jsonschema.validate(answer, SCHEMA)
    assert {c["label"] for c in answers[1]["choices"]} == {"red traffic light", "green traffic light"}


def test_ask_in_words_names_query_and_cost(capsys, tiny_bundle, picture):
    code, out, _ = run(capsys, "ask", picture, "stop sign", "--bundle", tiny_bundle)
    assert code == 0 and out.startswith("frame.png: stop sign: ") and "looked at" in out and "ms" in out


def test_tokens_caps_the_patches_and_looks_multiply_them(capsys, tiny_bundle, picture):
    used = {}
    for name, options in {"few": ["--tokens", 8], "one": [], "two": ["--looks", 2]}.items():
        _, out, _ = run(capsys, "ask", picture, "stop sign", "--json", "--bundle", tiny_bundle, *options)
        used[name] = json.loads(out)["patches_used"]
    assert used["few"] <= 8 < used["one"] < used["two"]


def test_overlays_one_a_query_and_frame(capsys, tiny_bundle, picture, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        shutil.copy(picture, folder / name)
    assert run(capsys, "ask", picture, "x", "--bundle", tiny_bundle, "--overlay", tmp_path / "one.png")[0] == 0
    assert run(capsys, "ask", folder, "x", "y", "--bundle", tiny_bundle, "--overlay", tmp_path / "many")[0] == 0
    assert cv2.imread(str(tmp_path / "one.png")).shape == (540, 960, 3)
    assert sorted(p.name for p in (tmp_path / "many").iterdir()) == ["a-1.png", "a-2.png", "b-1.png", "b-2.png"]


def test_a_bundle_is_checked_and_a_changed_byte_is_named(capsys, tiny_bundle, tmp_path):
    code, out, _ = run(capsys, "bundle", "check", tiny_bundle)
    assert code == 0 and "good" in out and "glance" in out
    broken = tmp_path / "broken"
    shutil.copytree(tiny_bundle, broken)
    data = bytearray((broken / "look.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (broken / "look.onnx").write_bytes(data)
    code, out, err = run(capsys, "bundle", "check", broken)
    assert code == 2 and out == "" and "look.onnx" in err and err.count("\n") == 1


def one_sentence(code, out, err, *says):
    assert code == 2 and out == "" and err.startswith("ps3: ") and err.count("\n") == 1, (code, out, err)
    for word in says:
        assert word in err


def test_bad_input_is_one_sentence_and_exit_code_2(capsys, tiny_bundle, picture, tmp_path):
    text = tmp_path / "text.jpg"
    text.write_text("not a picture")
    tiny = tmp_path / "tiny.png"
    cv2.imwrite(str(tiny), np.zeros((1, 1, 3), np.uint8))
    bundle = ("--bundle", tiny_bundle)
    one_sentence(*run(capsys, "ask", tmp_path / "none.jpg", "x", *bundle), "none.jpg")
    one_sentence(*run(capsys, "ask", text, "x", *bundle), "text.jpg")
    one_sentence(*run(capsys, "ask", tiny, "x", *bundle), "1")
    one_sentence(*run(capsys, "ask", picture, "  ", *bundle), "query")
    one_sentence(*run(capsys, "ask", picture, "word " * 300, *bundle), "256")
    one_sentence(*run(capsys, "ask", picture, "x", "--bundle", tmp_path / "no-bundle"), "no-bundle")
    one_sentence(*run(capsys, "ask", picture, "x", "--backend", "abacus", *bundle), "abacus")


def test_an_overlay_that_cannot_be_written_is_one_sentence(capsys, tiny_bundle, picture, tmp_path):
    code, _, err = run(capsys, "ask", picture, "x", "--overlay", tmp_path / "a.nothing", "--bundle", tiny_bundle)
    assert code == 2 and ".png" in err and err.count("\n") == 1
    assert not list(tmp_path.glob("*.nothing*"))


@pytest.mark.parametrize(
    "argv", [["ask"], ["ask", "a.jpg"], ["fly"], [], ["ask", "a.jpg", "x", "--looks", "0"], ["ask", "a.jpg", "x", "--colour"]]
)
def test_wrong_words_exit_with_2_and_show_the_usage(capsys, argv):
    code, out, err = run(capsys, *argv)
    assert code == 2 and "usage: ps3" in err


def test_version_and_help(capsys):
    assert run(capsys, "--version")[:2] == (0, f"ps3_ros {__version__}\n")
    code, out, _ = run(capsys, "--help")
    assert code == 0 and all(word in out for word in ("ask", "node", "demo", "view", "replay", "bundle", "export", "examples:"))


WITHOUT = (
    "import sys; sys.modules.update(dict.fromkeys(sys.argv[1].split(','))); from ps3_ros.cli import main; sys.exit(main(sys.argv[2:]))"
)


def run_without(modules, *argv):
    """`ps3` in a Python of its own in which `modules` (comma separated) cannot be imported."""
    return subprocess.run([sys.executable, "-c", WITHOUT, modules, *map(str, argv)], capture_output=True, text=True, timeout=120)


def test_a_robot_without_torch_and_without_ros_asks_all_the_same(tiny_bundle, picture):
    done = run_without("torch,onnx,rclpy,safetensors", "ask", picture, "stop sign", "--json", "--bundle", tiny_bundle)
    assert done.returncode == 0, done.stderr
    jsonschema.validate(json.loads(done.stdout), SCHEMA)


@pytest.mark.parametrize(
    "modules, argv, extra",
    [
        ("torch", ("export", "x", "--out", "y"), "[export]"),
        ("rclpy", ("node",), "[ros-wheels]"),
        ("rosbags", ("replay", "a.mcap", "--query", "x"), "[replay]"),
        ("aiohttp", ("view", "--image", "a.jpg"), "[view]"),
        ("rclpy", ("view", "--ros"), "[ros-wheels]"),
    ],
)
def test_what_an_extra_brings_is_named_where_it_is_missing(modules, argv, extra):
    done = run_without(modules, *argv)
    assert done.returncode == 2 and done.stdout == "" and extra in done.stderr and done.stderr.count("\n") == 1
