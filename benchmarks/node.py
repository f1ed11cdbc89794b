"""The node as users run it, behind a camera of 10 and 30 Hz over DDS at 3840 x 2160: answers a second, their age, frames lost, CPU, memory.

`python -m benchmarks.node`: every kind of frame at every rate, beside a consumer that only counts frames and the encoder alone, in turns.
`python -m benchmarks.node --deadlines 150 300 600`: how many answers keep a deadline.
"""

import argparse
import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from ps3_ros.errors import Ps3Error
from ps3_ros.exits import exit_code

from .cases import QUERY
from .models import FRAME
from .node_figures import COUNTS, Round, draw, print_cases, print_counting, print_deadlines, summarise
from .processes import READY_S, Part, Watch
from .report import machine, write_json

ROUND_S = 20.0  # of frames in a round
ALONE_PART = 0.25  # of a round's seconds: for the encoder alone
QUIET_S = 1.5  # for the last answer and the counts
COUNT_S = 20.0  # seconds of frames for the consumer that only counts
WARM_UP_ANSWERS = 5


@dataclass(frozen=True)
class Case:
    """One run of the node. kind: raw or compressed; deadline_ms: 0 for none."""

    kind: str
    rate_hz: float
    deadline_ms: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.kind} {self.rate_hz:g} Hz" + (f", {self.deadline_ms:g} ms" if self.deadline_ms else "")


def seconds_of(total: float) -> list:
    """Equal rounds of about ROUND_S."""
    count = max(1, round(total / ROUND_S)) if total >= ROUND_S else max(1, int(total / 5))
    return [total / count] * count


def run_case(case, options, bar) -> dict:
    """The node under frames and questions, the encoder alone in between; every process ends with the call."""
    try:
        from .listener import Listener
    except ImportError as error:
        raise Ps3Error(f"ROS 2 cannot be imported ({error}); source your ROS 2 setup file or pip install '.[ros-wheels]'") from error

    frames = ["--kind", case.kind, "--size", *options.size, "--quality", options.quality]
    asking = ["--kind", case.kind, "--size", *options.size, "--quality", options.quality, "--query", options.query]
    asking += ["--backend", options.backend, "--threads", options.threads, *(["--bundle", options.bundle] if options.bundle else [])]
    parts, listener, watch = {}, None, None
    try:
        parts["node"] = Part("ps3_ros.node", *node_arguments(case, options))
        parts["alone"] = Part("benchmarks.asking", *asking)
        parts["camera"] = Part("benchmarks.dds_ends", "send", "--rate", case.rate_hz, *frames)
        about = parts["alone"].ask() | parts["camera"].ask()
        listener = Listener(options.query)
        listener.wait("the node to become active", READY_S, lambda: listener.values().get("state") == "active", parts["node"].check)
        warm_up(parts, listener)
        watch = Watch({name: part.pid for name, part in parts.items()} | {"listener": os.getpid()}, every_s=min(1.0, options.seconds / 10))
        rounds, first, counts = [], listener.seen(), settled_counts(listener)
        for seconds in seconds_of(options.seconds):
            bar.set_postfix_str(case.name)
            rounds.append(run_round(parts, listener, watch, seconds, options.ask_hz))
            bar.update(seconds)
        answers = listener.answers[first:]
        return about | {"case": asdict(case), "name": case.name} | summarise(rounds, counts, answers, watch.samples)
    finally:
        if watch is not None:
            watch.stop()
        for part in reversed(parts.values()):
            part.stop()
        if listener is not None:
            listener.close()


def node_arguments(case, options) -> list:
    given = {"image_transport": case.kind, "standing_queries": json.dumps([options.query]), "deadline_ms": float(case.deadline_ms)}
    given |= {"backend": options.backend, "threads": options.threads}
    given |= {"bundle": Path(options.bundle).resolve()} if options.bundle else {}
    parameters = [part for name, value in given.items() for part in ("-p", f"{name}:={value}")]
    return ["--ros-args", *parameters]


def warm_up(parts, listener) -> None:
    """Frames until the node has answered some: it measures its costs first, and a Best Effort frame before discovery is lost."""
    end = time.monotonic() + READY_S
    while listener.seen() < WARM_UP_ANSWERS:
        parts["node"].check()
        if time.monotonic() > end:
            raise Ps3Error(f"the node answered {listener.seen()} frames in {READY_S:g} s; run it by hand with ROS_DOMAIN_ID set to see why")
        parts["camera"].ask("go", 1)


def run_round(parts, listener, watch, seconds, ask_hz) -> Round:
    before, start = watch.now(), time.monotonic()
    with listener.asking(ask_hz):
        sent = parts["camera"].ask("go", seconds)
    end, after = time.monotonic(), watch.now()
    parts["node"].check()
    cpu = {name: (after[name].cpu - before[name].cpu) / (end - start) for name in after if name in before}
    counts = settled_counts(listener)
    return Round((start, end), sent["sent"], sent["late"], counts, cpu, parts["alone"].ask("run", max(0.3, seconds * ALONE_PART)))


def settled_counts(listener) -> dict:
    """The node's counts once nothing more comes of the frames that were sent."""
    time.sleep(QUIET_S)
    before = listener.reports
    listener.wait("a report on /diagnostics", 10.0, lambda: listener.reports > before)
    return {name: int(listener.values()[name]) for name in COUNTS}


def count_only(case, options) -> dict:
    """The same frames to a consumer that only counts them: what the transport takes and loses by itself."""
    frames = ["--kind", case.kind, "--size", *options.size, "--quality", options.quality]
    parts = {}
    try:
        parts["counter"] = Part("benchmarks.dds_ends", "count", "--kind", case.kind)
        parts["camera"] = Part("benchmarks.dds_ends", "send", "--rate", case.rate_hz, *frames)
        for part in parts.values():
            part.ask()
        end = time.monotonic() + READY_S
        while not parts["counter"].ask("report")["received"] and time.monotonic() < end:
            parts["camera"].ask("go", 0.5)
            time.sleep(0.2)
        parts["counter"].ask("report")
        watch = Watch({name: part.pid for name, part in parts.items()})
        seconds = min(COUNT_S, options.seconds)
        before = watch.now()
        sent = parts["camera"].ask("go", seconds)
        after = watch.now()
        watch.stop()
        time.sleep(0.3)
        found = parts["counter"].ask("report")
        cpu_ms = {name: (after[name].cpu - before[name].cpu) * 1e3 / sent["sent"] for name in parts}
        return {"sent": sent["sent"], "lost": sent["sent"] - found["received"], "age_ms": found["age_ms"], "cpu_ms_a_frame": cpu_ms}
    finally:
        for part in parts.values():
            part.stop()


def parser_() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.node", description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, help="default: the bundle that the project ships")
    parser.add_argument("--backend", default="onnxruntime:cpu")
    parser.add_argument("--threads", type=int, default=0, help="of the node and of the encoder alone; 0: the node's default")
    parser.add_argument("--seconds", type=float, default=120.0, help="of frames in each case")
    parser.add_argument("--kinds", nargs="+", choices=("raw", "compressed"), default=("raw", "compressed"))
    parser.add_argument("--rates", nargs="+", type=float, default=(10.0, 30.0), help="frames a second")
    parser.add_argument("--query", default=QUERY, help="asked about every frame, and now and then as a question")
    parser.add_argument("--ask-hz", type=float, default=0.5, help="questions a second beside the standing one")
    parser.add_argument("--quality", type=int, default=90, help="of JPEG frames")
    parser.add_argument("--deadlines", nargs="+", type=float, metavar="MS", help="instead: raw frames of 10 Hz under each deadline_ms")
    parser.add_argument("--name", help="of the files with the results; default: node, or node_deadlines")
    parser.add_argument("--quick", action="store_true", help="a smoke run: small raw frames of 10 Hz for 2 seconds")
    return parser


def main(argv=None) -> int:
    options = parser_().parse_args(argv)
    options.size = FRAME
    if options.quick:
        options.size, options.seconds, options.kinds, options.rates = (640, 360), 2.0, ("raw",), (10.0,)

    def run():
        domain = os.getpid() % 100 + 1
        os.environ |= {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        cases = [Case("raw", options.rates[0], ms) for ms in options.deadlines or ()]
        cases = cases or [Case(kind, rate) for kind in options.kinds for rate in options.rates]
        name = options.name or ("node_deadlines" if options.deadlines else "node")
        about = machine() | {"frame": list(options.size), "threads": options.threads, "seconds": options.seconds}
        found, counted = [], {}
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the processes are stopped then too
        try:
            with tqdm(total=options.seconds * len(cases), desc="frames", unit="s") as bar:
                for case in cases:
                    if not options.deadlines:
                        counted[case.name] = count_only(case, options)
                    found.append(run_case(case, options, bar))
                    written = write_json(name, {"machine": about, "cases": found, "only_counted": counted})
        finally:
            signal.signal(signal.SIGTERM, before)
        print_deadlines(found) if options.deadlines else (print_cases(found), print_counting(counted))
        print(written)
        draw(name, found)

    return exit_code("node", run)


if __name__ == "__main__":
    sys.exit(main())
