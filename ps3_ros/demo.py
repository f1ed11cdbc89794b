"""`ps3 demo`: a camera that plays the sample frames at 4K, the PS3 node in another process, and this one, which asks and prints.

Everything goes over DDS: the pictures that are written are drawn from messages (~/answer, ~/relevance, ~/looked) over the sample files.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from . import transport
from .errors import FrameError, Ps3Error
from .exits import exit_code

READY_S = 60.0  # for the node to load and be discovered
ANSWER_S = 60.0  # for one answer: the first one waits for the camera's start too
PICTURE_S = 2.0  # for the maps that were sent just before an answer
STOP_S = 5.0  # between SIGTERM and SIGKILL
RATE_HZ = 3.0
SAMPLES = Path(__file__).resolve().parent.parent / "samples"


@dataclass(frozen=True)
class Question:
    """boxes: true (x1, y1, x2, y2) in frame pixels, none where the thing is not there; label: the right one of the query's choices."""

    query: str
    boxes: tuple
    label: str | None = None


@dataclass(frozen=True)
class Sample:
    """One frame with its questions: NAME.json beside its picture."""

    name: str
    image: Path
    questions: tuple


def main(argv=None):
    """Plays, asks, draws. Returns 0 only if every query was answered; 1 if not; 2 for input that cannot be used."""
    options = _parser().parse_args(argv)
    return exit_code("ps3 demo", lambda: run(options))


def read_samples(folder):
    """Samples of a folder, by name. Raises FrameError where there is none or one is not as docs/data.md says."""
    files = sorted(Path(folder).glob("*.json"))
    if not files:
        raise FrameError(f"no sample (NAME.json beside NAME.jpg) in {str(folder)!r}; name the repository's samples folder with --samples")
    return tuple(_read_sample(path) for path in files)


def _read_sample(path):
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        questions = tuple(Question(str(q["query"]), tuple(map(_box, q["boxes"])), q.get("label")) for q in data["queries"])
        image = path.parent / data["image"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FrameError(
            f"sample {str(path)!r} cannot be read ({type(error).__name__}: {error}); it needs image and queries with boxes"
        ) from error
    if not image.is_file() or not questions:
        raise FrameError(
            f"sample {str(path)!r} names the picture {image.name!r} and {len(questions)} queries; it needs a picture and a query at least"
        )
    return Sample(path.stem, image, questions)


def _box(values):
    x1, y1, x2, y2 = map(float, values)
    return x1, y1, x2, y2


def is_right(answer, question):
    """Whether the best region's centre lies in a true box (and it is the right choice), or nothing was found where nothing is."""
    if not question.boxes or not answer.found:
        return answer.found is False and not question.boxes
    x1, y1, x2, y2 = answer.regions[0].box
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    inside = any(left <= x <= right and top <= y <= bottom for left, top, right, bottom in question.boxes)
    return inside and question.label in (None, answer.label)


def describe(answer, question):
    """One line: query, verdict, where, what was looked at, how long it took, and whether that is right."""
    if answer.error:
        return f"  {answer.query:<36} ERROR {answer.error}"
    verdict = "not found in what was looked at"
    if answer.regions:
        best = answer.regions[0]
        x1, y1, x2, y2 = (round(v) for v in best.box)
        where = f"{best.label!r} {best.score:.2f} at {x1},{y1} - {x2},{y2}"
        verdict = f"found {where}" if answer.found else f"not found (nearest {where})"
    cost = f"looked at {answer.looked_fraction:.1%}, {answer.stage_ms['total']:.0f} ms, age {answer.age_ms or 0:.0f} ms"
    return f"  {'right' if is_right(answer, question) else 'WRONG':<6}{answer.query:<36} {verdict}; {cost}"


def run(options):
    samples = read_samples(options.samples)
    try:
        from .operator_node import Operator
    except ImportError as error:
        raise Ps3Error(f"ROS 2 cannot be imported ({error}); source your ROS 2 setup file or pip install 'ps3_ros[ros-wheels]'") from error
    from .bundle import default_bundle, load_bundle

    settings = load_bundle(options.bundle or default_bundle(), check_hashes=False).settings
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    domain = options.domain if options.domain is not None else os.getpid() % 100 + 1
    quiet = {
        "ROS_DOMAIN_ID": str(domain),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_LOG_DIR": str((out / "log").resolve()),
        "PYTHONUNBUFFERED": "1",
    }
    room = transport.set_by_user() or transport.choose_profile(sends_frames=True) is not None
    kind = "raw" if room else "compressed"
    if not room:
        print(
            f"/dev/shm has {transport.free_shared_memory() / 1e6:.0f} MB free, too little for raw 4K frames: the camera sends JPEG",
            flush=True,
        )
    children = Children({**os.environ, **quiet}, out / "log")
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the children are stopped then too
    operator = None
    came = right = 0
    try:
        bundle = options.bundle and str(Path(options.bundle).resolve())
        children.start("node", "ps3_ros.node", **_given(bundle=bundle, backend=options.backend, image_transport=kind))
        # JPEG without room for a profile arrives by Reliable only; the node follows the camera's choice.
        reliability = "best_effort" if room else "reliable"
        first = str(samples[0].image.resolve())
        children.start("camera", "ps3_ros.camera", paths=[first], rate_hz=RATE_HZ, image_transport=kind, qos_reliability=reliability)
        os.environ.update(quiet)  # after the children's: this process takes its own profile
        transport.use_shared_memory(sends_frames=False)
        operator = Operator(domain)
        print(f"ROS domain {domain}, {kind} frames; waiting for the node", flush=True)
        operator.wait_for_node(READY_S, children.check)
        with _Lines(out / "answers.jsonl") as lines:
            for sample in samples:
                operator.play(sample.image.resolve(), READY_S, children.check)
                print(f"{sample.name} ({sample.image.name})", flush=True)
                for number, question in enumerate(sample.questions, start=1):
                    answer, maps = operator.ask(question.query, sample.image.stem, ANSWER_S, PICTURE_S, children.check)
                    if answer is None:
                        print(f"  NONE  {question.query:<36} no answer about this frame within {ANSWER_S:g} s", flush=True)
                        continue
                    print(describe(answer, question), flush=True)
                    lines.write(answer.to_json())
                    came += answer.error is None
                    right += answer.error is None and is_right(answer, question)
                    _draw(out / f"{sample.name}-{number}.jpg", sample, answer, maps, settings)
    finally:
        children.stop_all()
        if operator is not None:
            operator.close()
        signal.signal(signal.SIGTERM, previous)
    asked = sum(len(sample.questions) for sample in samples)
    print(f"{right} of {asked} answers right, {came} of {asked} came; pictures and answers.jsonl in {out}/", flush=True)
    return 0 if came == asked else 1


def _draw(path, sample, answer, maps, settings):
    """The overlay, from what the messages said was looked at. maps: (relevance float32 [g, g], looked uint8 [rows, cols]) or None."""
    from .ask import AskDetail
    from .frame import FramePlan
    from .looked import patches_of
    from .media import read_picture
    from .overlay import draw_overlay, write_picture
    from .selection import Selection

    pixels, detail = read_picture(sample.image).pixels, None
    if maps is not None:
        plan = FramePlan.of(*pixels.shape[:2], settings)
        detail = AskDetail(maps[0], Selection(patches_of(maps[1], plan)), plan, answer.regions)
    write_picture(path, draw_overlay(pixels, answer, detail))


class Children:
    """The processes that this one starts, their output in files, all of them stopped at the end whatever happens."""

    def __init__(self, environ, logs):
        self._environ, self._logs, self._running = environ, logs, {}
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name, module, **values):
        """`python -m module` with ROS parameters; values are written as YAML, of which JSON is a part."""
        arguments = ["--ros-args", *(part for key, value in values.items() for part in ("-p", f"{key}:={json.dumps(value)}"))]
        with (self._logs / f"{name}.log").open("w") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def check(self):
        """Raises Ps3Error, with the last line it wrote, where one has ended by itself."""
        for name, process in self._running.items():
            if process.poll() is not None:
                said = (self._logs / f"{name}.log").read_text(errors="replace").strip().splitlines() or ["nothing"]
                raise Ps3Error(f"the {name} process ended by itself with code {process.returncode} and said: {said[-1]}")

    def stop(self, name):
        """SIGTERM, and SIGKILL where that does not help within STOP_S."""
        process = self._running.pop(name, None)
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop_all(self):
        for name in list(self._running):
            self.stop(name)


class _Lines:
    """A file of lines that appears under its name when it is complete."""

    def __init__(self, path):
        self._path, self._beside = path, path.with_name(f".{path.name}.part")

    def __enter__(self):
        self._file = self._beside.open("w", encoding="utf-8")
        return self

    def write(self, line):
        self._file.write(line + "\n")
        self._file.flush()

    def __exit__(self, *_):
        self._file.close()
        self._beside.replace(self._path)


def _given(**values):
    return {key: value for key, value in values.items() if value}


def _parser():
    parser = argparse.ArgumentParser(
        prog="ps3 demo", description="Play the sample frames through ROS 2 at 4K, ask about each, and write what was found."
    )
    parser.add_argument(
        "--samples",
        type=Path,
        default=SAMPLES,
        metavar="DIR",
        help="folder of samples: NAME.jpg with NAME.json (default: the repository's)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("demo_out"), metavar="DIR", help="where pictures and answers.jsonl go (default: demo_out)"
    )
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="model to run (default: the nano that comes with the package)")
    parser.add_argument(
        "--backend", metavar="NAME", help="auto, onnxruntime:cpu, openvino:cpu, onnxruntime:cuda, tensorrt (default: the node's)"
    )
    parser.add_argument("--domain", type=_domain, metavar="N", help="ROS domain, 0 to 101 (default: one of its own)")
    return parser


def _domain(text):
    if not text.isdecimal() or not 0 <= int(text) <= 101:
        raise argparse.ArgumentTypeError(f"{text!r} is not a ROS domain from 0 to 101")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
