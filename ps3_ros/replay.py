"""`ps3 replay`: questions about every image of a recording, without ROS. Answers go to answers.jsonl and to a new bag (docs/replay.md).

What was answered is kept beside the results until they are whole, so that a run that was stopped goes on where it was.
"""

import argparse
import hashlib
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from .ask import Asker
from .bags import Bag, Recorded, open_bag, write_bag
from .bundle import Bundle, default_bundle, load_bundle
from .errors import FrameError, Ps3Error
from .exits import exit_code
from .overlay import draw_overlay, write_picture
from .text import split_choices

ANSWERS, OVERLAYS = "/ps3/answer", "/ps3/overlay/compressed"
SHOWN_BAD = 3  # sentences about bad messages that are printed; all are counted, and kept in replay.json


@dataclass(frozen=True)
class Plan:
    """What one replay does. A folder holds the results of one plan only."""

    bag: str
    messages: int
    topic: str
    every: int
    queries: tuple
    looks: int
    tokens: int | None
    pictures: bool
    share_looks: bool
    model: str  # name and hash of the manifest


@dataclass(frozen=True)
class Pace:
    """What one run did after its first image, with which a runtime warms up: images (bad ones too), answers, seconds."""

    images: int
    answers: int
    seconds: float
    cpu_seconds: float  # of the process

    def __str__(self):
        return f"{self.images / self.seconds:.2f} images and {self.answers / self.seconds:.2f} answers a second"


def main(argv=None) -> int:
    """Runs the command; returns 0, or 2 after one sentence."""
    arguments = make_parser().parse_args(argv)
    return exit_code("ps3 replay", lambda: run(arguments))


def run(arguments) -> int:
    """As main, but raises Ps3Error."""
    replay(arguments)
    return 0


def replay(arguments) -> Pace | None:
    """What the command does. Returns None where nothing was left to do. Raises Ps3Error."""
    for query in arguments.query:
        split_choices(query)
    bundle = load_bundle(arguments.bundle or default_bundle())
    with open_bag(arguments.bag) as bag:
        topic = bag.choose(arguments.topic)
        plan = Plan(
            bag=str(Path(arguments.bag).resolve()),
            messages=bag.topics[topic][1],
            topic=topic,
            every=arguments.every,
            queries=tuple(arguments.query),
            looks=arguments.looks,
            tokens=arguments.tokens,
            pictures=arguments.pictures,
            share_looks=arguments.share_looks,
            model=_model(bundle),
        )
        progress = Progress(arguments.out, plan)
        if progress.complete:
            print(f"{arguments.out} holds this replay already; name another --out to do it again", file=sys.stderr)
            return None
        try:
            with progress:
                pace = _replay(bag, plan, progress, arguments, bundle)
        except KeyboardInterrupt:
            print(f"{progress.images} images are done; the same command goes on from there", file=sys.stderr)
            raise
    _finish(progress)
    if pace is not None:
        print(f"{pace}, after the first image", file=sys.stderr)
    return pace


def _replay(bag: Bag, plan: Plan, progress: "Progress", arguments, bundle) -> Pace | None:
    """Asks about every image that is not done yet. An image that cannot be used is counted and passed over."""
    from tqdm import tqdm

    from .cli import describe

    asker, start, first, count = None, None, 0, 0
    total = -(-plan.messages // plan.every)
    with tqdm(total=total, initial=progress.images, unit="image", file=sys.stderr) as bar:
        for recorded in bag.images(plan.topic):
            if recorded.number % plan.every or recorded.number <= progress.last:
                continue
            if asker is None:
                clock = _RecordedClock()
                asker = Asker(bundle, arguments.backend, arguments.threads, clock, share_looks=plan.share_looks)
            elif start is None:
                start, first, count = (time.perf_counter(), time.process_time()), progress.images, 0
            clock.set(recorded.log_ns)
            try:
                frame = recorded.frame()
                asker.set_frame(frame)
            except FrameError as error:
                progress.bad(recorded, str(error))
                bar.update()
                continue
            answers = []
            for number, query in enumerate(plan.queries, start=1):
                answer = asker.ask(query, looks=plan.looks, tokens=plan.tokens)
                if plan.pictures:
                    write_picture(progress.picture(recorded.number, number), draw_overlay(frame.pixels, answer, asker.detail))
                answers.append(answer)
                tqdm.write(answer.to_json() if arguments.json else describe(answer), file=sys.stdout)
            progress.answered(recorded, answers)
            count += len(answers)
            bar.update()
    if start is None:
        return None
    return Pace(progress.images - first, count, time.perf_counter() - start[0], time.process_time() - start[1])


class _RecordedClock:
    """Nanoseconds as they would have been: the moment of recording, and what has been worked since."""

    def set(self, log_ns: int):
        self._log_ns, self._start = log_ns, time.perf_counter_ns()

    def __call__(self) -> int:
        return self._log_ns + time.perf_counter_ns() - self._start


class Progress:
    """What is done of a plan, a line an image in OUT/.replay.jsonl, whose first line is the plan. Raises Ps3Error where OUT is another's.

    images: how many are done, bad ones included; last: number of the last one, or -1.
    """

    def __init__(self, out: Path, plan: Plan):
        self.out, self.plan = Path(out), plan
        self._path, self.report = self.out / ".replay.jsonl", self.out / "replay.json"
        self.images, self.last, self._file = 0, -1, None
        self.complete = self.report.is_file()
        if self.complete:
            self._same(_read(self.report).get("plan"))
        elif self._path.is_file():
            self._resume()

    def _same(self, stored):
        mine = json.loads(json.dumps(asdict(self.plan)))
        if stored != mine:
            differing = sorted(k for k in mine if not isinstance(stored, dict) or stored.get(k) != mine[k])
            raise Ps3Error(f"{str(self.out)!r} holds a replay with another {', '.join(differing)}; name another --out, or remove it")

    def _resume(self):
        """Takes over whole lines only: the last may have been cut off."""
        data = self._path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        lines = whole.splitlines()
        if not lines:
            return self._path.unlink()
        try:
            self._same(json.loads(lines[0]))
            self.images = len(lines) - 1
            self.last = json.loads(lines[-1])["message"] if self.images else -1
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, Ps3Error):
                raise
            raise Ps3Error(f"{str(self._path)!r} is damaged ({error}); remove it to begin anew") from error
        if len(whole) < len(data):
            with self._path.open("r+b") as file:
                file.truncate(len(whole))

    def __enter__(self):
        self.out.mkdir(parents=True, exist_ok=True)
        new = not self._path.exists()
        self._file = self._path.open("a", encoding="utf-8")
        if new:
            self._write(asdict(self.plan))
        return self

    def __exit__(self, *_):
        self._file.close()

    def answered(self, recorded: Recorded, answers):
        self._done(recorded, answers=[answer.to_json() for answer in answers])

    def bad(self, recorded: Recorded, sentence: str):
        self._done(recorded, bad=sentence)

    def picture(self, message: int, query: int) -> Path:
        return self.out / "pictures" / f"{message:06d}-{query}.jpg"

    def _done(self, recorded, **what):
        self._write({"message": recorded.number, "log_ns": recorded.log_ns, **what})
        self.images, self.last = self.images + 1, recorded.number

    def _write(self, values):
        self._file.write(json.dumps(values, ensure_ascii=False) + "\n")
        self._file.flush()

    def lines(self):
        """What was kept of each image: {message, log_ns, answers [JSON] or bad}."""
        with self._path.open(encoding="utf-8") as file:
            next(file)
            for line in file:
                yield json.loads(line)

    def remove(self):
        self._path.unlink()


def _finish(progress: Progress) -> None:
    """Writes answers.jsonl, the bag and replay.json, in this order: with the last of them the replay is complete."""
    import shutil

    out, bad, answers = progress.out, [], 0
    beside = out / ".answers.jsonl.part"
    with beside.open("w", encoding="utf-8") as file:
        for line in progress.lines():
            bad += [line["bad"]] if "bad" in line else []
            for answer in line.get("answers", ()):
                file.write(answer + "\n")
                answers += 1
    beside.replace(out / "answers.jsonl")
    shutil.rmtree(out / "answers", ignore_errors=True)  # of a run that was stopped right here
    texts = ((ANSWERS, line["log_ns"], answer) for line in progress.lines() for answer in line.get("answers", ()))
    pictures = (
        (OVERLAYS, line["log_ns"], progress.picture(line["message"], query).read_bytes())
        for line in progress.lines()
        if progress.plan.pictures
        for query in range(1, len(line.get("answers", ())) + 1)
    )
    write_bag(out / "answers", texts, pictures)
    report = {"plan": asdict(progress.plan), "images": progress.images, "answers": answers, "bad_images": len(bad), "bad": bad}
    beside = out / ".replay.json.part"
    beside.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    beside.replace(progress.report)
    progress.remove()
    for sentence in bad[:SHOWN_BAD]:
        print(f"passed over: {sentence}", file=sys.stderr)
    print(
        f"{answers} answers about {progress.images - len(bad)} images in {out}/answers.jsonl and {out}/answers/ (mcap, topic {ANSWERS}); "
        f"{len(bad)} images could not be used",
        file=sys.stderr,
    )


def _model(bundle: Bundle) -> str:
    digest = hashlib.sha256((bundle.folder / "manifest.json").read_bytes()).hexdigest()
    return f"{bundle.manifest.model_name} {digest[:16]}"


def _read(path: Path) -> dict:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Ps3Error(f"{str(path)!r} cannot be read ({error}); name another --out") from error
    return data if isinstance(data, dict) else {}


def make_parser() -> argparse.ArgumentParser:
    """Of the command's words."""
    from .cli import _model_options, _positive

    parser = argparse.ArgumentParser(prog="ps3 replay", description="Ask about the images of a rosbag2 recording, without ROS.")
    parser.add_argument("bag", type=Path, metavar="BAG", help="a rosbag2 folder, or one .mcap or .db3 file")
    parser.add_argument("--query", action="append", required=True, metavar="TEXT", help="what to look for; may be repeated")
    parser.add_argument("--topic", metavar="NAME", help="the camera's topic (default: the only one with images)")
    parser.add_argument("--every", type=_positive, default=1, metavar="N", help="ask about every Nth image (default 1)")
    parser.add_argument("--looks", type=_positive, default=1, help="close looks a query (default 1)")
    parser.add_argument("--tokens", type=_positive, metavar="N", help="patches to look at in all; takes the place of --looks")
    parser.add_argument("--out", type=Path, default=Path("replay_out"), metavar="DIR", help="where the results go (default: replay_out)")
    parser.add_argument(
        "--share-looks", action="store_true", help="further questions on an image share what was looked at, as in the node: faster"
    )
    parser.add_argument("--pictures", action="store_true", help="also write a picture an answer, into DIR/pictures and the bag")
    parser.add_argument("--json", action="store_true", help="print each answer as JSON too, rather than in words")
    _model_options(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
