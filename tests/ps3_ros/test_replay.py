"""`ps3 replay` over bags that rosbags writes: what comes out, going on after a stop, and bags that cannot be read."""

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags", reason="rosbags cannot be imported: pip install 'ps3_ros[replay]'")

from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer  # noqa: E402

from ps3_ros.answer import Answer  # noqa: E402
from ps3_ros.ask import Asker  # noqa: E402
from ps3_ros.bags import COMPRESSED, IMAGE, TEXT, TYPES, open_bag, write_bag  # noqa: E402
from ps3_ros.cli import main  # noqa: E402
from ps3_ros.errors import Ps3Error  # noqa: E402
from ps3_ros.frame import Frame  # noqa: E402

PICTURE = cv2.resize(np.random.default_rng(4).integers(0, 256, (9, 16, 3), dtype=np.uint8), (320, 180), interpolation=cv2.INTER_CUBIC)
START = 1_700_000_000_000_000_000  # of recording; each image is stamped 20 ms before it is recorded
ZSTD = b"\x28\xb5\x2f\xfd"  # how a compressed chunk begins
PERIOD, DELAY = 100_000_000, 20_000_000


def header(stamp_ns, frame_id="front"):
    time = TYPES.types["builtin_interfaces/msg/Time"](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return TYPES.types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)


def image(stamp_ns, pixels=PICTURE, **changed):
    height, width = pixels.shape[:2]
    values = {"height": height, "width": width, "encoding": "bgr8", "is_bigendian": 0, "step": width * 3, "data": pixels.reshape(-1)}
    return TYPES.types[IMAGE](header=header(stamp_ns), **{**values, **changed})


def jpeg(stamp_ns, pixels=PICTURE):
    return TYPES.types[COMPRESSED](header=header(stamp_ns), format="jpeg", data=cv2.imencode(".jpg", pixels)[1].reshape(-1))


def record(
    folder, plugin=StoragePlugin.MCAP, images=4, kind=IMAGE, topic="/front/image", bad=(), compression=CompressionMode.NONE, more=()
):
    """A bag as a robot records it; bad: numbers of images whose data is cut off."""
    writer = Writer(folder, version=8, storage_plugin=plugin)
    writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        chatter = writer.add_connection("/chatter", TEXT, typestore=TYPES)
        topics = {name: writer.add_connection(name, kind, typestore=TYPES) for name in (topic, *more)}
        for n in range(images):
            at = START + n * PERIOD
            writer.write(chatter, at, TYPES.serialize_cdr(TYPES.types[TEXT](data="hello"), TEXT))
            message = (image if kind == IMAGE else jpeg)(at - DELAY)
            data = TYPES.serialize_cdr(message, kind)
            for connection in topics.values():
                writer.write(connection, at, data[:100] if n in bad else data)
    return folder


def replay(capsys, *argv):
    """Exit code, stdout, stderr."""
    code = main(["replay", *map(str, argv)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    ("plugin", "kind", "compression"),
    [
        (StoragePlugin.MCAP, IMAGE, CompressionMode.NONE),
        (StoragePlugin.MCAP, COMPRESSED, CompressionMode.STORAGE),  # zstd chunks, as `ros2 bag record` writes with the default preset
        (StoragePlugin.SQLITE3, COMPRESSED, CompressionMode.NONE),
    ],
)
def test_answers_are_the_cores_own_as_lines_and_as_a_bag(capsys, tiny_bundle, tmp_path, plugin, kind, compression):
    bag, out = record(tmp_path / "drive", plugin, 2, kind, compression=compression), tmp_path / "out"
    asked = ["--query", "stop sign", "--query", "red | green mug", *["--share-looks"] * (kind == COMPRESSED)]
    code, printed, said = replay(capsys, bag, *asked, "--out", out, "--bundle", tiny_bundle)
    assert code == 0 and printed.count("\n") == 4
    images, answers = re.search(r"([\d.]+) images and ([\d.]+) answers a second", said).groups()
    assert float(answers) == pytest.approx(2 * float(images), rel=0.05) and float(images) > 0
    answers = [Answer.from_json(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    assert [a.query for a in answers] == ["stop sign", "red | green mug"] * 2
    assert [a.stamp["sec"] * 10**9 + a.stamp["nanosec"] for a in answers] == [START - DELAY] * 2 + [START + PERIOD - DELAY] * 2
    assert all(a.frame_id == "front" and a.age_ms > DELAY / 1e6 for a in answers) and answers[0].age_ms < 60_000
    asker = Asker(tiny_bundle)
    pixels = PICTURE if kind == IMAGE else cv2.imdecode(cv2.imencode(".jpg", PICTURE)[1], cv2.IMREAD_COLOR)
    asker.set_frame(Frame(pixels, 1, ""))
    expected = asker.ask("stop sign").regions
    assert [r.label for r in answers[0].regions] == [r.label for r in expected]
    np.testing.assert_allclose([r.box for r in answers[0].regions], [r.box for r in expected], atol=0.01)
    with Reader(out / "answers") as reader:  # mcap, with the images' times of recording
        stored = [(c.topic, c.msgtype, t, TYPES.deserialize_cdr(data, TEXT).data) for c, t, data in reader.messages()]
    assert (out / "answers" / "answers.mcap").is_file()
    assert stored == [("/ps3/answer", TEXT, START + n // 2 * PERIOD, a.to_json()) for n, a in enumerate(answers)]


def test_bad_images_are_counted_and_the_next_ones_answered(capsys, tiny_bundle, tmp_path):
    bag, out = record(tmp_path / "drive", images=3, bad=(0, 1)), tmp_path / "out"
    code, printed, said = replay(capsys, bag, "--query", "stop sign", "--out", out, "--bundle", tiny_bundle)
    assert code == 0 and printed.count("\n") == 1 and "2 images could not be used" in said and "message 0 cannot be read" in said
    report = json.loads((out / "replay.json").read_text())
    assert (report["images"], report["answers"], report["bad_images"]) == (3, 1, 2)


def test_every_nth_image_of_the_named_topic_with_pictures(capsys, tiny_bundle, tmp_path):
    bag, out = record(tmp_path / "drive", images=5, kind=COMPRESSED, more=("/rear/image",)), tmp_path / "out"
    arguments = (bag, "--query", "stop sign", "--out", out, "--bundle", tiny_bundle)
    code, _, said = replay(capsys, *arguments)
    assert code == 2 and said.count("\n") == 1 and "--topic" in said and "/rear/image (5 messages)" in said
    assert replay(capsys, *arguments, "--topic", "/none")[0] == 2
    assert replay(capsys, *arguments, "--topic", "/rear/image", "--every", 2, "--pictures")[0] == 0
    assert sorted(p.name for p in (out / "pictures").iterdir()) == ["000000-1.jpg", "000002-1.jpg", "000004-1.jpg"]
    with Reader(out / "answers") as reader:
        topics = {c.topic: c.msgcount for c in reader.connections}
        shown = [TYPES.deserialize_cdr(d, COMPRESSED) for c, _, d in reader.messages() if c.msgtype == COMPRESSED]
    assert topics == {"/ps3/answer": 3, "/ps3/overlay/compressed": 3}
    assert cv2.imdecode(shown[0].data, cv2.IMREAD_COLOR).shape == (180, 320, 3)


def test_a_stopped_run_goes_on_and_another_question_needs_another_folder(capsys, tiny_bundle, tmp_path, monkeypatch):
    bag, out = record(tmp_path / "drive", images=4), tmp_path / "out"
    arguments = (bag, "--query", "stop sign", "--out", out, "--bundle", tiny_bundle, "--json")
    asked, ask = [], Asker.ask

    def stop_at_the_third(self, *a, **k):
        asked.append(a)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return ask(self, *a, **k)

    monkeypatch.setattr(Asker, "ask", stop_at_the_third)
    code, first, said = replay(capsys, *arguments)
    assert code == 130 and "2 images are done" in said and not (out / "answers.jsonl").exists() and not (out / "answers").exists()
    with (out / ".replay.jsonl").open("a") as file:
        file.write('{"message": 2, "log')  # as a power cut leaves it
    code, second, _ = replay(capsys, *arguments)
    assert code == 0 and (first.count("\n"), second.count("\n")) == (2, 2)
    assert (out / "answers.jsonl").read_text() == first + second
    assert sorted(p.name for p in out.iterdir()) == ["answers", "answers.jsonl", "replay.json"]
    code, again, said = replay(capsys, *arguments)
    assert code == 0 and again == "" and "already" in said
    code, _, said = replay(capsys, *arguments, "--query", "mug")
    assert code == 2 and "queries" in said and said.count("\n") == 1


def test_bags_that_cannot_be_read_are_one_sentence(capsys, tiny_bundle, tmp_path):
    bag = record(tmp_path / "drive", images=2, compression=CompressionMode.STORAGE)
    data = (bag / "drive.mcap").read_bytes()
    cut, swapped, text, empty = (tmp_path / name for name in ("cut.mcap", "swapped.mcap", "drive.txt", "empty.mcap"))
    cut.write_bytes(data[: len(data) // 2])
    swapped.write_bytes(data.replace(ZSTD, b"\0" * 4))  # the index is whole, a chunk is not
    text.write_text("no bag")
    empty.write_bytes(b"")
    shutil.copytree(bag, tmp_path / "lacking")
    (tmp_path / "lacking" / "drive.mcap").unlink()
    (tmp_path / "folder").mkdir()
    (tmp_path / "cut.db3").write_bytes(b"SQLite format 3\0" + b"\0" * 50)
    for path, says in {
        cut: "mcap recover", text: ".txt", empty: "empty", tmp_path / "none.mcap": "there is no bag", tmp_path / "lacking": "missing",
        tmp_path / "folder": "metadata.yaml", tmp_path / "cut.db3": "reindex", swapped: "damaged",
    }.items():  # fmt: skip
        out = tmp_path / f"out-{path.name}"
        code, printed, said = replay(capsys, path, "--query", "stop sign", "--out", out, "--bundle", tiny_bundle)
        lines = [line for line in said.splitlines() if line.startswith("ps3")]
        assert code == 2 and printed == "" and len(lines) == 1 and says in lines[0], (path, printed, said)
        assert not (out / "answers.jsonl").exists()


def test_a_bag_without_images_and_a_question_that_cannot_be_asked(capsys, tiny_bundle, tmp_path):
    bag = tmp_path / "talk"
    write_bag(bag, [("/chatter", 5, "hello")])
    code, _, said = replay(capsys, bag, "--query", "stop sign", "--out", tmp_path / "out", "--bundle", tiny_bundle)
    assert code == 2 and "holds no sensor_msgs" in said
    assert replay(capsys, bag, "--query", " ", "--bundle", tiny_bundle)[0] == 2
    with open_bag(bag) as opened, pytest.raises(Ps3Error, match="record a camera topic"):
        opened.choose()


def test_a_bag_that_cannot_be_written_leaves_nothing_under_its_name(tmp_path):
    def texts():
        yield "/a", 1, "one"
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_bag(tmp_path / "bag", texts())
    assert not (tmp_path / "bag").exists()
    write_bag(tmp_path / "bag", [("/a", 1, "one")])  # what the first try left is no hindrance
    assert [p.name for p in Path(tmp_path).iterdir()] == ["bag"]
