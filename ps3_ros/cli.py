"""`ps3`: ask about files and recordings, run the node, show it, check and export models; make data, train and evaluate."""

import argparse
import importlib
import sys
from pathlib import Path

from ps3_ros import __version__
from ps3_ros.errors import Ps3Error, QueryError
from ps3_ros.exits import exit_code
from ps3_ros.memory import keep_freed_memory

EXAMPLES = """examples:
  ps3 ask street.jpg "stop sign" --overlay found.png
  ps3 ask street.jpg "red | amber | green traffic light" --json
  ps3 ask recordings/ "the mug with a blue handle" --looks 3 --overlay overlays/
  ps3 bundle check engines/nano
  ps3 node --image /front/image_raw --query "stop sign"
  ps3 view --image street.jpg --query "stop sign"
  ps3 replay drive.mcap --query "stop sign" --out replayed/
"""

# Commands of the training side, whose options live there: {command: (module whose main(argv) runs it, help)}.
TRAINING = {
    "data": ("ps3_training.data.cli", "make, check, pack or curate training and test frames (needs the [train] extra)"),
    "train": ("ps3_training.train", "pre-train or fine-tune a model (needs the [train] extra)"),
    "eval": ("ps3_training.evaluation.cli", "measure a bundle or checkpoint on a split (needs the [train] extra)"),
}
# Likewise on the robot's side, each with libraries of its own.
ROBOT = {
    "replay": ("ps3_ros.replay", "ask about the images of a rosbag2 recording (needs the [replay] extra)"),
    "view": ("ps3_ros.view.command", "show frames and answers in a browser, and ask there (needs the [view] extra)"),
}


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns its exit code: 0 done, 2 for input that cannot be used (one sentence on stderr)."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] and argv[0] in TRAINING:
        return exit_code("ps3", lambda: run_training(argv[0], argv[1:]))
    if argv[:1] and argv[0] in ROBOT:
        return exit_code("ps3", lambda: run_robot(argv[0], argv[1:]))

    def run() -> int:
        parser = build_parser(argv)
        arguments, rest = parser.parse_known_args(argv)
        if rest and arguments.command not in ("node", "demo"):
            parser.error(f"unknown argument {rest[0]!r}; see ps3 {arguments.command} --help")
        arguments.rest = rest
        return arguments.run(arguments)

    return exit_code("ps3", run)


def build_parser(argv: list[str]) -> argparse.ArgumentParser:
    """The whole command line. `argv` decides only whether the export's own options are loaded: they need torch's side of the package."""
    parser = argparse.ArgumentParser(
        prog="ps3",
        description="Ask a 4K camera frame a question in words.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ps3_ros {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    ask = commands.add_parser("ask", help="ask an image, a folder of images or a video")
    ask.add_argument("image", type=Path, metavar="IMAGE", help="an image, a folder of images, or a video")
    ask.add_argument("queries", nargs="+", metavar="QUERY", help='what to look for; "red | green traffic light" offers a choice')
    ask.add_argument("--looks", type=_positive, default=1, help="close looks a query, each over at most the bundle's patches (default 1)")
    ask.add_argument("--tokens", type=_positive, metavar="N", help="patches to look at in all; takes the place of --looks")
    ask.add_argument("--json", action="store_true", help="one JSON answer a line, after docs/answer.schema.json")
    ask.add_argument(
        "--overlay",
        type=Path,
        metavar="OUT",
        help="write a picture of what was looked at and found; a folder where there are several frames",
    )
    _model_options(ask)
    ask.set_defaults(run=run_ask)

    node = commands.add_parser("node", help="run the ROS 2 node where there is no `ros2 launch`; what follows --ros-args is passed on")
    node.add_argument("--image", metavar="TOPIC", help="camera topic (default: image)")
    node.add_argument("--transport", choices=("raw", "compressed"), help="sensor_msgs/Image or CompressedImage (default raw)")
    node.add_argument("--query", action="append", metavar="TEXT", help="ask this about every frame; may be repeated")
    _model_options(node, defaults=False)
    node.set_defaults(run=run_node)

    demo = commands.add_parser("demo", help="play the sample frames through ROS 2 at 4K and ask about them", add_help=False)
    demo.set_defaults(run=run_demo)

    bundle = commands.add_parser("bundle", help="look after model folders").add_subparsers(dest="action", metavar="ACTION", required=True)
    check = bundle.add_parser("check", help="check every file, hash and shape of a bundle")
    check.add_argument("folder", type=Path, metavar="DIR")
    check.set_defaults(run=run_bundle_check)

    export = commands.add_parser("export", help="turn a PS3 checkpoint into a bundle (needs the [export] extra)")
    if argv[:1] == ["export"]:
        try:
            from ps3_export.cli import add_arguments
        except ImportError as error:
            raise Ps3Error(f"the export needs torch and ONNX ({error}); pip install 'ps3_ros[export]'") from error
        add_arguments(export)
    export.set_defaults(run=run_export)
    for name, (_, help) in (*ROBOT.items(), *TRAINING.items()):
        commands.add_parser(name, help=help, add_help=False)
    return parser


def run_ask(arguments) -> int:
    """`ps3 ask`: every query about every frame, an answer a line."""
    from tqdm import tqdm

    from ps3_ros.ask import Asker
    from ps3_ros.bundle import default_bundle
    from ps3_ros.media import count_frames, read_frames

    count = count_frames(arguments.image)
    asker, several = None, arguments.image.is_dir() or count != 1
    frames = read_frames(arguments.image)
    if several:
        frames = tqdm(frames, total=count or None, unit="frame", file=sys.stderr)
    for name, frame in frames:
        if asker is None:  # after the first frame was read: a wrong path should not cost a model's loading
            asker = Asker(arguments.bundle or default_bundle(), backend=arguments.backend, threads=arguments.threads)
        asker.set_frame(frame)
        for number, query in enumerate(arguments.queries):
            answer = asker.ask(query, looks=arguments.looks, tokens=arguments.tokens)
            line = answer.to_json() if arguments.json else describe(answer)
            (tqdm.write if several else print)(line, file=sys.stdout)
            if arguments.overlay:
                _write_overlay(arguments, asker, frame, answer, name if several else None, number)
    return 0


def _write_overlay(arguments, asker, frame, answer, name, number):
    from ps3_ros.overlay import draw_overlay, write_picture

    path = arguments.overlay if name is None else arguments.overlay / f"{name}.png"
    if len(arguments.queries) > 1:
        path = path.with_name(f"{path.stem}-{number + 1}{path.suffix}")
    try:
        write_picture(path, draw_overlay(frame.pixels, answer, asker.detail))
    except ValueError as error:
        raise QueryError(str(error)) from error


def describe(answer) -> str:
    """One line a person reads at a glance: `stop sign: found (0.87) at 1903,402 - 1947,446; looked at 2.9%, 312 ms`."""
    cost = f"looked at {answer.looked_fraction:.1%} ({answer.patches_used} patches), {answer.stage_ms['total']:.0f} ms"
    if answer.error:
        return f"{answer.frame_id}: {answer.query}: {answer.error}"
    if not answer.regions:
        return f"{answer.frame_id}: {answer.query}: not found in what was looked at; {cost}"
    best = answer.regions[0]
    x1, y1, x2, y2 = (round(v) for v in best.box)
    verdict = f"found {best.label!r}" if answer.found else f"not found in what was looked at; nearest {best.label!r}"
    return f"{answer.frame_id}: {answer.query}: {verdict} ({best.score:.2f}) at {x1},{y1} - {x2},{y2}; {cost}"


def run_node(arguments) -> int:
    """`ps3 node`: the options below as ROS arguments, and whatever else was given."""
    try:
        from ps3_ros.node import main as node_main
    except ImportError as error:
        raise Ps3Error(str(error)) from error
    if arguments.bundle:
        from ps3_ros.bundle import load_bundle

        load_bundle(
            arguments.bundle, check_hashes=False
        )  # a person at a prompt is told at once; the node itself would wait for a better one
    named = {"bundle": arguments.bundle, "backend": arguments.backend, "threads": arguments.threads, "image_transport": arguments.transport}
    ros = [v for key, value in named.items() if value is not None for v in ("-p", f"{key}:={value}")]
    if arguments.query:
        ros += ["-p", "standing_queries:=[" + ", ".join(_yaml(query) for query in arguments.query) + "]"]
    if arguments.image:
        suffix = "/compressed" if arguments.transport == "compressed" else ""
        ros += ["-r", f"image{suffix}:={arguments.image}"]
    rest = [a for a in arguments.rest if a != "--"]
    return node_main((rest if "--ros-args" in rest else [*rest, "--ros-args"]) + ros) or 0


def _yaml(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def run_demo(arguments) -> int:
    """`ps3 demo`."""
    from ps3_ros.demo import main as demo_main

    return demo_main(arguments.rest) or 0


def run_bundle_check(arguments) -> int:
    """`ps3 bundle check`: says what the bundle is once all of it was checked."""
    from ps3_ros.bundle import load_bundle

    manifest = load_bundle(arguments.folder).manifest
    size = sum(f.stat().st_size for f in arguments.folder.rglob("*") if f.is_file())
    settings = manifest.settings
    print(
        f"{arguments.folder}: good: {manifest.model_name}, {manifest.precision}, {size / 1e6:.1f} MB, graphs {', '.join(manifest.graphs)}"
    )
    print(
        f"  scales {list(settings.scales)}, patch {settings.patch}, up to {settings.max_patches} patches a look, "
        f"weights: {manifest.license['weights']}"
    )
    return 0


def run_training(command: str, argv: list[str]) -> int:
    """`ps3 data`, `ps3 train`, `ps3 eval`: the training side's own command lines."""
    module = TRAINING[command][0]
    try:
        program = importlib.import_module(module)
    except ImportError as error:
        raise Ps3Error(f"ps3 {command} needs the training side ({error}); pip install 'ps3_ros[train]'") from error
    return program.main(argv)


def run_robot(command: str, argv: list[str]) -> int:
    """`ps3 replay`, `ps3 view`: command lines of their own, with libraries that asking does not need."""
    keep_freed_memory()  # before those start threads
    try:
        program = importlib.import_module(ROBOT[command][0])
    except ImportError as error:
        raise Ps3Error(str(error)) from error
    return program.main(argv)


def run_export(arguments) -> int:
    """`ps3 export`."""
    from ps3_export.cli import run

    return run(arguments)


def _model_options(parser, defaults: bool = True):
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="model to run (default: the nano that comes with the package)")
    parser.add_argument(
        "--backend", default="onnxruntime:cpu" if defaults else None, help="auto, onnxruntime:cpu, openvino:cpu, onnxruntime:cuda, tensorrt"
    )
    parser.add_argument("--threads", type=int, default=0 if defaults else None, help="CPU threads (default: the runtime's choice)")


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


if __name__ == "__main__":
    sys.exit(main())
