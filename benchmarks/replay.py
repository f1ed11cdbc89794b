"""How fast `ps3 replay` goes through a recording, beside the same questions about frames that are in memory already.

`python -m benchmarks.replay`: two bags (mcap) of one camera's 3840 x 2160 frames, raw and as JPEG, are made and replayed in turns with the
encoder alone; `reading` is the bag read and its pictures decoded, and nothing asked. Images a second after the first one, and milliseconds
of CPU time an image, in which a busy machine shows less.
"""

# ruff: noqa: E402

from ps3_ros.memory import keep_freed_memory

if __name__ == "__main__":
    keep_freed_memory()  # as `ps3 replay` does, and before numpy starts threads

import argparse
import contextlib
import io
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import cv2
import numpy as np
from tqdm import tqdm

from ps3_ros.ask import Asker
from ps3_ros.bags import BAG_VERSION, COMPRESSED, IMAGE, TYPES, open_bag
from ps3_ros.bundle import default_bundle
from ps3_ros.exits import exit_code
from ps3_ros.frame import Frame
from ps3_ros.replay import make_parser, replay

from .cases import read_frame
from .models import FRAME
from .report import machine, print_table, write_json

QUERIES = ("stop sign", "bicycle")
QUALITY, STEP = 90, 32  # of the JPEGs; px that each frame is shifted by
PERIOD_NS = 100_000_000
WAYS = ("encoder alone", "replay", "reading")


def make_bag(folder: Path, kind: str, pixels: np.ndarray, count: int) -> Path:
    """A bag of `count` messages of a type on /image, as `ros2 bag record` writes it without compression."""
    from rosbags.rosbag2 import StoragePlugin, Writer

    types = TYPES.types
    with Writer(folder, version=BAG_VERSION, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/image", kind, typestore=TYPES)
        for n in range(count):
            shifted, time_ns = np.roll(pixels, n * STEP, axis=1), 1 + n * PERIOD_NS
            stamp = types["builtin_interfaces/msg/Time"](*divmod(time_ns, 1_000_000_000))
            header = types["std_msgs/msg/Header"](stamp=stamp, frame_id="camera")
            if kind == IMAGE:
                height, width = shifted.shape[:2]
                message = types[IMAGE](header, height, width, "bgr8", 0, width * 3, shifted.reshape(-1))
            else:
                data = cv2.imencode(".jpg", shifted, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].reshape(-1)
                message = types[COMPRESSED](header, "jpeg", data)
            writer.write(connection, time_ns, TYPES.serialize_cdr(message, kind))
    return folder


def run_alone(asker, frame, count: int) -> tuple:
    """(images a second, CPU ms an image) of the asker by itself."""
    start, cpu = perf_counter(), process_time()
    for _ in range(count):
        asker.set_frame(frame)
        for query in QUERIES:
            asker.ask(query)
    return count / (perf_counter() - start), (process_time() - cpu) * 1e3 / count


def run_reading(bag: Path) -> tuple:
    """Likewise of images that are read and decoded."""
    with open_bag(bag) as opened:
        start, cpu = perf_counter(), process_time()
        count = sum(1 for recorded in opened.images("/image") if recorded.frame() is not None)
        return count / (perf_counter() - start), (process_time() - cpu) * 1e3 / count


def run_replay(bag: Path, out: Path, options: list) -> tuple:
    """Likewise of the command."""
    words = [str(bag), "--out", str(out), *options, *(word for query in QUERIES for word in ("--query", query))]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        pace = replay(make_parser().parse_args(words))
    return pace.images / pace.seconds, pace.cpu_seconds * 1e3 / pace.images


def main(argv=None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.replay", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, help="default: the bundle that the project ships")
    parser.add_argument("--backend", default="onnxruntime:cpu")
    parser.add_argument("--frames", type=int, default=20, help="of each bag (25 MB each in the raw one)")
    parser.add_argument("--rounds", type=int, default=3, help="of all ways in turn; medians count")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--share-looks", action="store_true", help="as the option of ps3 replay")
    parser.add_argument("--quick", action="store_true", help="a smoke run: one round of three small frames")
    a = parser.parse_args(argv)

    def run():
        size, count, rounds = (FRAME, a.frames, a.rounds) if not a.quick else ((640, 360), 3, 1)
        bundle, pixels, entries = a.bundle or default_bundle(), read_frame(size), []
        options = ["--bundle", str(bundle), "--backend", a.backend, "--threads", str(a.threads), *["--share-looks"] * a.share_looks]
        cv2.setNumThreads(a.threads)
        asker = Asker(bundle, a.backend, a.threads, share_looks=a.share_looks)
        run_alone(asker, Frame(pixels), 1)  # once unmeasured
        with tempfile.TemporaryDirectory() as folder, tqdm(total=2 * rounds * len(WAYS), unit="run") as bar:
            for name, kind in (("raw", IMAGE), ("JPEG", COMPRESSED)):
                bag, found = make_bag(Path(folder) / name, kind, pixels, count), {way: [] for way in WAYS}
                for n in range(rounds):
                    for way, measure in (
                        ("encoder alone", lambda: run_alone(asker, Frame(pixels), count)),
                        ("replay", lambda bag=bag, n=n: run_replay(bag, bag.with_name(f"{bag.name}-{n}"), options)),
                        ("reading", lambda bag=bag: run_reading(bag)),
                    ):
                        found[way].append(measure())
                        bar.update()
                alone, whole, reading = ([statistics.median(each) for each in zip(*found[way], strict=True)] for way in WAYS)
                file = next(bag.glob("*.mcap")).stat().st_size
                entry = {"bag": name, "mb": file / 1e6, "images_hz": whole[0], "answers_hz": whole[0] * len(QUERIES), "alone_hz": alone[0]}
                entry |= {"share": whole[0] / alone[0], "cpu_ms": whole[1], "alone_cpu_ms": alone[1], "reading_cpu_ms": reading[1]}
                entries.append(entry)
        head = {
            "bag": "bag", "mb": "MB", "images_hz": "images/s", "answers_hz": "answers/s", "alone_hz": "alone, images/s", "share": "share",
            "cpu_ms": "CPU ms an image", "alone_cpu_ms": "alone", "reading_cpu_ms": "reading",
        }  # fmt: skip
        print_table(list(head.values()), [[entry[key] for key in head] for entry in entries])
        here = machine() | {"threads": a.threads, "frame": list(size), "frames": count, "questions": len(QUERIES)}
        here["share_looks"] = a.share_looks
        print(write_json("replay", {"machine": here, "bags": entries}))

    return exit_code("replay", run)


if __name__ == "__main__":
    sys.exit(main())
