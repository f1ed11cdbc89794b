"""The whole way from a folder of pictures to shards, stopped and gone on with; the vision model is played by a real HTTP server."""

import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from ps3_ros.errors import Ps3Error
from ps3_training.data import shards
from ps3_training.data.curate import pipeline
from ps3_training.data.curate.caption import Caption
from ps3_training.data.curate.cli import main
from ps3_training.data.curate.pipeline import Steps, curate, find_pictures, jpeg_of, key_of
from ps3_training.data.curate.segment import Mask
from ps3_training.data.curate.vision_server import ServerError


def middle(image):
    """A segmenter: one thing in the middle."""
    height, width = image.shape[:2]
    return [Mask((width // 2 - 30, height // 2 - 20, width // 2 + 30, height // 2 + 20), 2000.0, 1.0)]


def thing(image, regions):
    return [Caption("a thing", "a thing", ("a thing",), "test") for _ in regions]


STEPS = Steps(middle, thing, names={"segmenter": "middle"})


def lines(out):
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def run(pictures, out, steps=STEPS, **options):
    return curate(pictures, out, lambda: steps, progress=False, **options)


def test_a_folder_becomes_shards_and_a_broken_picture_a_line(pictures, tmp_path):
    out = tmp_path / "out"
    done = run(pictures, out, per_shard=2)
    assert done == {"done": 3, "empty": 0, "error": 1, "regions": 3, "captions": 3, "shards": 2}
    samples = list(shards.read_samples(out))
    assert len({s.key for s in samples}) == 3 and all("." not in s.key for s in samples)
    assert samples[0].pixels().shape == (360, 640, 3) and samples[0].box.tolist() == [[290, 160, 350, 200]]
    assert samples[0].global_text == "a picture with a thing" and samples[0].extra["means"] == [["a thing"]]
    broken = [line for line in lines(out) if line.get("status") == "error"]
    assert broken[0]["image"] == "broken.jpg" and "JPEG" in broken[0]["error"]


def test_the_result_passes_the_projects_own_check(pictures, tmp_path):
    check = pytest.importorskip("ps3_training.data.cli")
    run(pictures, tmp_path / "out")
    assert check.main(["check", str(tmp_path / "out")]) == 0


def test_running_again_does_nothing_new_and_new_pictures_get_a_new_shard(pictures, tmp_path):
    out = tmp_path / "out"
    first = run(pictures, out)
    before = (out / "manifest.jsonl").read_bytes()
    assert run(pictures, out) == first and (out / "manifest.jsonl").read_bytes() == before
    cv2.imwrite(str(pictures / "late.png"), np.full((360, 640, 3), 90, np.uint8))
    assert run(pictures, out)["done"] == 4 and len(list((out / "images").glob("*.tar"))) == 2


def test_other_settings_are_refused(pictures, tmp_path):
    run(pictures, tmp_path / "out")
    with pytest.raises(Ps3Error, match="other settings .steps."):
        run(pictures, tmp_path / "out", Steps(middle, thing, names={"segmenter": "other"}))


def test_errors_are_tried_again_only_when_asked_to(pictures, tmp_path):
    out = tmp_path / "out"
    run(pictures, out)
    (pictures / "broken.jpg").write_bytes((pictures / "a.jpg").read_bytes())
    assert run(pictures, out)["error"] == 1
    assert run(pictures, out, retry_errors=True) | {"regions": 4} == {
        "done": 4,
        "empty": 0,
        "error": 0,
        "regions": 4,
        "captions": 4,
        "shards": 2,
    }


@pytest.mark.parametrize(
    "steps, said",
    [
        (Steps(lambda image: [Mask((9, 9, 5, 5), 1.0, 1.0)], thing), r"gave the box \(9, 9, 5, 5\)"),
        (Steps(lambda image: [Mask((0, 0, float("nan"), 5), 1.0, 1.0)], thing), "gave the box"),
        (Steps(middle, lambda image, regions: []), "0 captions for 1 regions"),
        (Steps(lambda image: 1 / 0, thing), "ZeroDivisionError"),
    ],
)
def test_a_step_that_fails_is_said_in_the_manifest(pictures, tmp_path, steps, said):
    import re

    assert run(pictures / "a.jpg", tmp_path / "out", steps)["error"] == 1
    assert re.search(said, lines(tmp_path / "out")[1]["error"])


def test_a_picture_without_captions_is_empty_and_in_no_shard(pictures, tmp_path):
    done = run(pictures / "a.jpg", tmp_path / "out", Steps(lambda image: [], thing))
    assert done["empty"] == 1 and not (tmp_path / "out" / "images").exists()


def test_many_workers_give_the_same_samples(pictures, tmp_path):
    run(pictures, tmp_path / "one")
    run(pictures, tmp_path / "many", workers=3)
    one, many = ({s.key: (s.jpg, s.text) for s in shards.read_samples(tmp_path / name)} for name in ("one", "many"))
    assert one == many


def test_a_cut_off_last_line_is_done_again(pictures, tmp_path):
    out = tmp_path / "out"
    first = run(pictures, out, per_shard=100)
    data = (out / "manifest.jsonl").read_bytes()
    for cut in (len(data) - 3, len(data) // 2):  # in the shard's line, in a picture's
        (out / "manifest.jsonl").write_bytes(data[:cut])
        assert run(pictures, out, per_shard=100) == first
        assert len(list(shards.read_samples(out))) == 3


def test_a_manifest_that_is_no_json_is_one_sentence(pictures, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.jsonl").write_text("{}\nnot json\n")
    with pytest.raises(Ps3Error, match="no JSON"):
        run(pictures, tmp_path / "out")


def test_a_server_that_goes_away_stops_the_run_and_loses_no_picture(pictures, tmp_path):
    answers = iter(["a thing", None])

    def fails_second(image, regions):
        if next(answers) is None:
            raise ServerError("the server is gone; start again to go on.")
        return thing(image, regions)

    with pytest.raises(ServerError, match="gone"):
        run(pictures, tmp_path / "out", Steps(middle, fails_second, names=STEPS.names))
    assert [line["status"] for line in lines(tmp_path / "out")[1:]].count("done") == 1  # the broken picture's own error may come first
    assert run(pictures, tmp_path / "out")["done"] == 3


def test_a_picture_that_is_gone_before_it_is_packed_gets_a_line(pictures, tmp_path):
    out = tmp_path / "out"

    def removes(image, regions):
        (pictures / "a.jpg").unlink(missing_ok=True)
        return thing(image, regions)

    assert run(pictures / "a.jpg", out, Steps(middle, removes))["error"] == 1
    assert "not again" in lines(out)[-1]["error"]


SLOW = """
import time
from ps3_training.data.curate.segment import Mask

def segment(image):
    time.sleep(0.6)
    return [Mask((10, 10, 60, 60), 2500.0, 1.0)]
"""


def test_killed_at_any_moment_it_goes_on_where_it_was(pictures, tmp_path, model):
    """A real process, killed with SIGKILL once a picture is done."""
    (tmp_path / "slow.py").write_text(SLOW)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "ps3_training.data.curate.cli", str(pictures), "--out", str(out), "--no-ocr", "--server", model.url]
    command += ["--model", "tiny", "--segmenter", "slow:segment"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, env={**os.environ, "no_proxy": "127.0.0.1"})
    try:
        end = time.monotonic() + 120
        while not ((out / "manifest.jsonl").is_file() and len(lines(out)) >= 2) and process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    before = (out / "manifest.jsonl").read_bytes()
    kept = before[: before.rfind(b"\n") + 1]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "no_proxy": "127.0.0.1"}, timeout=200)
    assert json.loads(done.stdout) == {"done": 3, "empty": 0, "error": 1, "regions": 3, "captions": 3, "shards": 1}
    assert (out / "manifest.jsonl").read_bytes().startswith(kept) and not list(out.rglob("*.part"))
    assert [s.text for s in shards.read_samples(out)] == [("red disc on a wall",)] * 3


def test_the_command_with_the_shipped_segmenter_and_a_server(pictures, tmp_path, model, capsys):
    arguments = [
        str(pictures / "a.jpg"),
        "--out",
        str(tmp_path / "out"),
        "--no-ocr",
        "--server",
        model.url,
        "--model",
        "m",
        "--budget",
        "4",
    ]
    assert main(arguments) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["done"] == 1 and done["captions"] == done["regions"] <= 4
    sample = next(iter(shards.read_samples(tmp_path / "out")))
    assert set(sample.text) == {"red disc on a wall"} and sample.global_text == "red disc on a wall"
    settings = lines(tmp_path / "out")[0]["settings"]
    assert "classical" in settings["steps"]["segmenter"] and settings["steps"]["captions"] == "m"


@pytest.mark.parametrize(
    "options, said",
    [
        (["--no-ocr"], "Nothing would give captions"),
        (["--no-ocr", "--server", "http://x"], "needs the name of its model"),
        (["--no-ocr", "--server", "x", "--model", "m"], "no http or https URL"),
        (["--no-ocr", "--server", "http://x", "--model", "m", "--segmenter", "nowhere:x"], "cannot be loaded"),
        (["--no-ocr", "--server", "http://x", "--model", "m", "--segmenter", "nowhere"], "not written module:name"),
        (["--no-ocr", "--server", "http://x", "--model", "m", "--workers", "0"], "workers is 0"),
        (["--no-ocr", "--server", "http://x", "--model", "m", "--budget", "0"], "budget 0"),
    ],
)
def test_options_that_fit_nothing_are_one_sentence(pictures, tmp_path, capsys, options, said):
    assert main([str(pictures), "--out", str(tmp_path / "out"), *options]) == 2
    assert said in capsys.readouterr().err


def test_folders_without_pictures(tmp_path):
    for folder, said in ((tmp_path / "none", "no folder of pictures"), (tmp_path, "holds no pictures")):
        with pytest.raises(Ps3Error, match=said):
            find_pictures(folder)


def test_keys_tell_pictures_apart_and_hold_no_dot(tmp_path):
    paths = [tmp_path / p for p in ("a.b.jpg", "a_b.jpg", "a/b.jpg", "a b.png", "ü.jpg", "a.b.png")]
    keys = [key_of(p, tmp_path) for p in paths]
    assert len(set(keys)) == len(keys) and all(k.replace("_", "").replace("-", "").isascii() and "." not in k for k in keys)


def test_pictures_are_packed_as_they_are_unless_they_lie_on_their_side(tmp_path, picture):
    cv2.imwrite(str(tmp_path / "a.jpg"), picture)
    assert jpeg_of(tmp_path / "a.jpg") == (tmp_path / "a.jpg").read_bytes()
    from PIL import Image

    with Image.open(tmp_path / "a.jpg") as image:
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(tmp_path / "turned.jpg", exif=exif)
    turned = cv2.imdecode(np.frombuffer(jpeg_of(tmp_path / "turned.jpg"), np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    assert turned.shape == (640, 360, 3)
    assert pipeline.curate_picture(tmp_path / "turned.jpg", "k", "n", STEPS, None)["width"] == 360
