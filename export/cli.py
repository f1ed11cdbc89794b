"""`ps3 export`: the options, and a progress bar over the steps. Only a checkpoint's export needs torch."""

import argparse
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ps3_ros.bundle import MANIFEST_FILE, Manifest, load_bundle
from ps3_ros.errors import Ps3Error

from .options import PRECISIONS, QUESTIONS, STORAGE, STORAGE_OF, TARGETS, VIEWS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="folder with config.json and model.safetensors; or a bundle")
    parser.add_argument("--out", type=Path, metavar="DIR", help="bundle folder to write; an older bundle there is replaced")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help="of the matrix products (default: fp32)")
    parser.add_argument("--target", choices=TARGETS, default="onnx", help="what will run it (default: onnx)")
    parser.add_argument("--max-patches", type=int, metavar="N", help="patches of one look (default: the checkpoint's max_select_num)")
    parser.add_argument(
        "--storage", choices=tuple(STORAGE), help=f"of the weights (default: {', '.join(f'{k}: {v}' for k, v in STORAGE_OF.items())})"
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        action="append",
        default=[],
        metavar="DATA",
        help="pictures, folders or .tar shards for parity and int8 ranges; repeatable (default: the sample frames)",
    )
    parser.add_argument("--frame", metavar="WIDTHxHEIGHT", help="size of those frames, such as 3840x2160 (default: each picture's own)")
    parser.add_argument("--views", type=int, default=VIEWS, metavar="N", help=f"frames the parity gate asks about (default: {VIEWS})")
    parser.add_argument("--questions", type=int, default=QUESTIONS, metavar="N", help=f"on each of those frames (default: {QUESTIONS})")
    parser.add_argument("--accept-drift", action="store_true", help="write a bundle that misses a limit, and say so in its manifest")
    parser.add_argument(
        "--check", action="store_true", help="build every graph with TensorRT for RTX, which needs no GPU; also for a bundle"
    )
    parser.add_argument("--typical", type=int, metavar="N", help="patches that TensorRT engines of a bundle are fastest for")
    parser.add_argument("--workspace", type=int, metavar="MIB", help="memory a layer of a TensorRT engine may use (default: TensorRT's)")
    parser.add_argument("--triton", type=Path, metavar="DIR", help="write a model repository of Triton Inference Server; also for a bundle")
    parser.add_argument("--tokenizer", type=Path, metavar="FILE", help="tokenizer.json (default: the checkpoint's own)")
    parser.add_argument("--name", metavar="NAME", help="model name in the manifest (default: the checkpoint folder's)")
    parser.add_argument("--license", metavar="TEXT", help="licence of the weights, for the manifest")


def run(args: argparse.Namespace) -> int:
    """Exports and prints what was made; errors (Ps3Error) are the caller's to print."""
    if (args.checkpoint / MANIFEST_FILE).is_file():
        return run_bundle(args)
    if args.out is None:
        raise Ps3Error(f"{str(args.checkpoint)!r} is not a bundle, so --out DIR is needed: where its bundle is to be written")
    try:
        from .export import export_checkpoint
    except ImportError as error:
        raise Ps3Error(f"the export needs torch and ONNX ({error}); pip install 'ps3_ros[export]'") from error
    from .views import parse_size

    start = time.monotonic()
    with progress_bar() as progress, stoppable():
        out = export_checkpoint(
            args.checkpoint,
            args.out,
            tokenizer=args.tokenizer,
            max_patches=args.max_patches,
            precision=args.precision,
            storage=args.storage,
            target=args.target,
            model_name=args.name,
            license=args.license,
            frames=args.calibration,
            frame_size=parse_size(args.frame) if args.frame else None,
            views=args.views,
            questions=args.questions,
            accept_drift=args.accept_drift,
            check=args.check,
            progress=progress,
        )
    manifest = load_bundle(out, check_hashes=False).manifest
    size = sum(f.stat().st_size for f in out.iterdir() if f.is_file())
    print(f"{out}: {manifest.model_name}, {manifest.precision}, {size / 1e6:.1f} MB, graphs {', '.join(manifest.graphs)}")
    print("\n".join(f"  {line}" for line in describe(manifest)))
    # Linux counts the peak in KiB.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"  took {time.monotonic() - start:.0f} s and {peak / 1e9:.1f} GB of memory at the peak; report in {out / 'parity.md'}")
    if args.triton:
        _write_triton(out, args.triton)
    return 0


def describe(manifest: Manifest) -> list[str]:
    """What the gate found, in a few lines."""
    figures = [entry for graph in manifest.parity.values() for entry in graph.values()]
    error = max(value for entry in figures for kind, value in entry.items() if kind in ("random", "real"))
    gate = manifest.gate
    lines = [
        f"graphs beside torch: at most {error:.1e} off (relative), cosine at least {min(entry['cosine'] for entry in figures):.5f}",
        f"answers to {gate['questions']} questions on {gate['views']} frames by {gate['backend']}: "
        f"{gate['overlap_ties']:.1%} of the patches the same, {gate['moved_views']} of {gate['found_views']} finds moved, "
        f"score change {gate['score_change_mean']:.4f} (mean), {gate['score_change']:.4f} (largest)",
    ]
    if manifest.quantization:
        lines.append("int8: " + ", ".join(f"{graph} {scheme}" for graph, scheme in manifest.quantization.items()))
    return lines + [f"accepted drift: {line}" for line in manifest.drift]


def run_bundle(args: argparse.Namespace) -> int:
    """What can be done with a bundle that is there already: `--check`, `--target tensorrt`, `--triton DIR`."""
    engines = args.target.startswith("tensorrt")
    if not (args.check or args.triton or engines) or args.out:
        raise Ps3Error(f"{str(args.checkpoint)!r} is a bundle: it takes --check, --target tensorrt or --triton DIR, and no --out")
    if args.check:
        from .preflight import check_graphs

        bundle = load_bundle(args.checkpoint)
        with progress_bar() as progress:
            built = check_graphs(bundle.folder, bundle.manifest, progress=progress)
        for name, engine in built.items():
            print(f"{name}: builds, {engine.bytes / 1e6:.1f} MB in {engine.seconds:.1f} s")
    if engines:
        from .targets import add_engines

        bundle = load_bundle(args.checkpoint)
        workspace = args.workspace and args.workspace << 20
        with progress_bar() as progress, stoppable():
            add_engines(
                bundle.folder,
                bundle.manifest,
                args.target,
                args.typical,
                workspace,
                lambda graph, phase, step, steps: progress(f"{graph}: {phase}"[:36], step, steps),
            )
        print(f"{args.checkpoint}: engines for {args.target} are in its manifest; backend {args.target} runs them")
    if args.triton:
        _write_triton(args.checkpoint, args.triton)
    return 0


def _write_triton(bundle: Path, out: Path) -> None:
    try:
        from .triton import write_repository
    except ImportError as error:
        raise Ps3Error(f"a Triton repository needs onnx ({error}); pip install 'ps3_ros[export]'") from error
    write_repository(load_bundle(bundle), out)
    print(f"{out / 'models'}: serve with tritonserver --model-repository; clients need {out / 'client'}")


@contextmanager
def progress_bar() -> Iterator:
    """A function (text, steps done, steps in all) that draws a bar on stderr."""
    from tqdm import tqdm

    with tqdm(total=None, unit="step", file=sys.stderr, bar_format="{desc:<36} {bar} {n_fmt}/{total_fmt} [{elapsed}]") as bar:

        def progress(text: str, done: int, total: int):
            bar.total, bar.n = total, done
            bar.set_description_str(text, refresh=True)

        yield progress


@contextmanager
def stoppable() -> Iterator[None]:
    """A polite kill ends an export as Ctrl-C does: what was written beside the target is removed."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
