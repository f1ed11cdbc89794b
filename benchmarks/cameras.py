"""One node for two 4K cameras over DDS, as users run them: answers, age, frames lost or replaced for each, and the node's memory.

`python -m benchmarks.cameras`: ps3_node with one standing query for both cameras, a question to the second now and then, two ps3_camera.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import cv2
from tqdm import tqdm

from ps3_ros.errors import Ps3Error
from ps3_ros.exits import exit_code

from .cases import PICTURE, QUERY, read_frame
from .models import FRAME
from .node_figures import COUNTS, memory_of, quantiles
from .processes import READY_S, Part, Watch
from .report import machine, print_table, write_json

NAMES = ("front", "rear")
QUIET_S = 1.5  # for the last answers and counts
WARM_UP_ANSWERS = 3  # of each camera
ASK_HZ = 0.5


def listener_of(query):
    """A Listener that also knows which camera each answer is about, and the report of each. Raises Ps3Error without ROS."""
    try:
        from .listener import Listener
    except ImportError as error:
        raise Ps3Error(f"ROS 2 cannot be imported ({error}); source your ROS 2 setup file or pip install '.[ros-wheels]'") from error

    class Ears(Listener):
        def __init__(self):
            self.cameras, self.counted = [], {}
            super().__init__(query)

        def _on_answer(self, message, info):
            self.cameras.append(json.loads(message.data)["camera"])
            super()._on_answer(message, info)

        def _on_diagnostics(self, message):
            values = [{entry.key: entry.value for entry in status.values} for status in message.status]
            if len(values) == len(NAMES):
                self.counted = dict(zip(NAMES, values, strict=True))
            super()._on_diagnostics(message)

    return Ears()


def run(options) -> dict:
    """The figures; every process ends with the call."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cv2.imwrite(str(folder / "front.png"), read_frame(options.size), [cv2.IMWRITE_PNG_COMPRESSION, 1])
        cv2.imwrite(str(folder / "rear.png"), read_frame(options.size, PICTURE)[:, ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])

        def start(module, *given):
            part = Part(module, "--ros-args", *given)
            stack.callback(part.stop)
            return part

        given = {"cameras": json.dumps(NAMES), "standing_queries": json.dumps([options.query]), "threads": options.threads}
        given |= {"bundle": options.bundle.resolve()} if options.bundle else {}
        node = start("ps3_ros.node", *(word for name, value in given.items() for word in ("-p", f"{name}:={value}")))
        ears = listener_of(json.dumps({"query": options.query, "camera": NAMES[1]}))
        stack.callback(ears.close)
        ears.wait("the node to become active", READY_S, lambda: ears.values().get("state") == "active", node.check)
        cameras = [
            start("ps3_ros.camera", "-p", f"paths:=['{folder / name}.png']", "-p", f"rate_hz:={options.rate}",
                  "-r", f"image:={name}/image", "-r", f"__node:={name}_camera")
            for name in NAMES
        ]  # fmt: skip

        def check():
            for part in (node, *cameras):
                part.check()

        ears.wait("answers about both cameras", READY_S, lambda: min(map(ears.cameras.count, NAMES)) >= WARM_UP_ANSWERS, check)
        watch = Watch({"node": node.pid} | {name: part.pid for name, part in zip(NAMES, cameras, strict=True)})
        stack.callback(watch.stop)
        before, first, cpu, begin = counts(ears), ears.seen(), watch.now(), time.monotonic()
        with ears.asking(ASK_HZ), tqdm(total=options.seconds, desc="frames", unit="s") as bar:
            while (left := begin + options.seconds - time.monotonic()) > 0:
                time.sleep(min(1.0, left))
                bar.update(min(1.0, round(left, 1)))
                check()
        end, after, then = time.monotonic(), counts(ears), watch.now()
        time.sleep(QUIET_S)
        heard = list(zip(ears.cameras, ears.answers, strict=False))[first:]
        used = {name: (then[name].cpu - cpu[name].cpu) / (end - begin) for name in then}
        found = {name: of_camera(name, heard, before[name], after[name], begin, end) for name in NAMES}
        return {"seconds": end - begin, "cameras": found, "cpu": used, "memory": memory_of(watch.samples["node"] or [then["node"]])}


def counts(ears) -> dict:
    """{camera: the node's counts} of the next report."""
    reports = ears.reports
    ears.wait("a report on /diagnostics", 10.0, lambda: ears.reports > reports and ears.counted)
    return {name: {count: int(values[count]) for count in COUNTS} for name, values in ears.counted.items()}


def of_camera(name, heard, before, after, begin, end) -> dict:
    answers = [answer for camera, answer in heard if camera == name and begin <= answer.at <= end]
    standing = [answer for answer in answers if answer.standing and answer.error is None]
    apart = [b.at - a.at for a, b in zip(standing, standing[1:], strict=False)]
    asked = [answer.real_ms for answer in answers if not answer.standing and answer.error is None]
    found = {
        "answers_hz": len(standing) / (end - begin), "errors": sum(a.error is not None for a in answers), "questions": len(asked),
        "asked_ms": quantiles(asked), "age_ms": quantiles([a.age_ms for a in standing]), "most_apart_s": max(apart, default=None),
        "patches": statistics.median(a.patches_used for a in standing) if standing else None,
    }  # fmt: skip
    return found | {count: after[count] - before[count] for count in COUNTS}


def show(found) -> None:
    head = ["camera", "images", "looked at", "replaced", "answers/s", "age p50", "p95", "longest gap s", "questions", "asked p50", "errors"]
    rows = []
    for name, f in found["cameras"].items():
        age, asked = f["age_ms"], f["asked_ms"]
        row = [name, f["images"], f["looked_at"], f["dropped"], f["answers_hz"], age.get("p50"), age.get("p95"), f["most_apart_s"]]
        rows.append([*row, f["questions"], asked.get("p50"), f["errors"]])
    print_table(head, rows)
    memory = found["memory"]
    print(f"node: {found['cpu']['node']:.2f} cores, {memory['own']:.0f} MB of its own, grown by {memory['growth']:.0f} MB")


def parser_() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cameras", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, help="default: the bundle that the project ships")
    parser.add_argument("--threads", type=int, default=0, help="of the node; 0: its default")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=5.0, help="frames a second of each camera")
    parser.add_argument("--query", default=QUERY, help="asked about every frame of both, and now and then as a question to the second")
    parser.add_argument("--name", default="cameras", help="of the file with the results")
    parser.add_argument("--quick", action="store_true", help="a smoke run: small frames for 3 seconds")
    return parser


def main(argv=None) -> int:
    options = parser_().parse_args(argv)
    options.size = FRAME
    if options.quick:
        options.size, options.seconds = (640, 360), 3.0

    def measure():
        os.environ |= {"ROS_DOMAIN_ID": str(os.getpid() % 100 + 1), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        found = run(options)
        about = machine() | {"frame": list(options.size), "threads": options.threads, "rate_hz": options.rate}
        show(found)
        print(write_json(options.name, {"machine": about} | found))

    return exit_code("cameras", measure)


if __name__ == "__main__":
    sys.exit(main())
