"""`ps3 eval MODEL DATA [DATA ...]`: figures of a bundle or a checkpoint on splits; with --calibrate, its thresholds."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
from tqdm import tqdm

from ps3_ros.bundle import MANIFEST_FILE, file_sha256, write_manifest
from ps3_ros.encoder import Encoder
from ps3_ros.errors import Ps3Error
from ps3_ros.exits import exit_code
from ps3_ros.manifest import LATER_SETTINGS
from ps3_training.data.shards import open_data
from ps3_training.files import write_whole
from ps3_training.model.thresholds import write_thresholds

from .answers import Condition, variants
from .calibration import RELEVANCE_CANDIDATES, choose
from .measure import Plan, conditions_of, flat, measure_split
from .plots import draw, draw_reliability
from .questions import Vocabulary, split_of
from .report import calibration_report, report
from .summary import summarise
from .torch_backend import open_model

NEW = "test-new"  # the split that asks only for what training never showed


def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    options = build_parser().parse_args(argv)
    return exit_code("ps3 eval", lambda: run_calibrate(options) if options.calibrate else run(options))


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ps3 eval", description="Measure a bundle or a checkpoint on splits whose answers are known.")
    parser.add_argument("model", type=Path, metavar="MODEL", help="a bundle, run as on the robot, or a checkpoint folder, run by torch")
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA", help="folders with images/ and text_boxes/ shards, one a split")
    parser.add_argument("--out", type=Path, metavar="DIR", help="report.md, figures.json, plots, and rows that a stopped run goes on "
                        "with; with --calibrate the file thresholds.json")  # fmt: skip
    parser.add_argument("--limit", type=_positive, metavar="N", help="frames of each split (default: all)")
    parser.add_argument("--looks", type=_positive, default=1, metavar="K", help="looks a question (default 1)")
    parser.add_argument("--tokens", type=_positive, metavar="N", help="patches a question, in place of --looks")
    parser.add_argument("--study", type=_natural, default=20, metavar="N", help="frames of each split that are asked under the "
                        "conditions of --curve and --variants too (default 20; 0: none)")  # fmt: skip
    parser.add_argument("--curve", type=_counts, default=(1, 2, 4, 8), metavar="1,2,4,8", help="looks of the curve over patches")
    parser.add_argument("--variants", default="all", metavar="NAMES", help="what is left out of the model: no-lowres-cache (of "
                        "a checkpoint only), one-scale, random-selection, bottom-up-selection, no-aux; all (default) or none")  # fmt: skip
    parser.add_argument(
        "--held-out-share", type=_fraction, metavar="X", help="only the frames that training with held_out_share X left out"
    )
    parser.add_argument(
        "--calibrate", action="store_true", help="choose scale, bias and thresholds on these frames instead, and write them"
    )
    parser.add_argument("--apply", action="store_true", help="with --calibrate: write them into the bundle's manifest too")
    parser.add_argument("--backend", default="onnxruntime:cpu", help="what runs a bundle (default onnxruntime:cpu)")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="what torch runs a checkpoint on")
    parser.add_argument("--threads", type=_natural, default=0, help="CPU threads (default: the runtime's choice)")
    return parser


def run(options: argparse.Namespace) -> int:
    """Measures every split, then prints and writes the report."""
    cv2.setNumThreads(1)
    encoder = open_model(options.model, options.backend, options.threads, options.device)
    names, left_out = chosen_variants(encoder, options.variants)
    conditions = conditions_of(encoder, options.looks, options.tokens, options.curve, names, variants(encoder))
    figures = {"model": about_model(encoder, options, left_out), "splits": {}}
    for folder in options.data:
        split = split_of(folder)
        if split in figures["splits"]:
            split = f"{split}-{folder.resolve().name}"
        plan = Plan(conditions if options.study else conditions[:1], options.study, split.startswith(NEW))
        kept = options.out / "rows" / f"{split}.jsonl" if options.out else None
        about = {"model": digest(options.model), "data": str(folder.resolve()), "settings": repr(encoder.settings)}
        rows = measure_split(encoder, frames(folder, options, split), vocabulary(folder), plan, kept, about)
        if not rows:
            raise Ps3Error(f"split {str(folder)!r} has no frame to ask about; give frames with captions, or a larger --limit")
        figures["splits"][split] = summarise(rows, plan, encoder)
    print(report(figures))
    if options.out:
        plots = [plot for split, found in figures["splits"].items() for plot in draw(split, found, options.out)]
        write_whole(options.out / "figures.json", json.dumps(figures, indent=1) + "\n")
        write_whole(options.out / "report.md", report(figures, plots))
        print(f"written: {options.out / 'report.md'}", file=sys.stderr)
    return 0


def run_calibrate(options: argparse.Namespace) -> int:
    """Chooses thresholds on the given frames and writes them as options.out, with a report and a plot beside it."""
    cv2.setNumThreads(1)
    target = options.out or Path("thresholds.json")
    if target.suffix != ".json":
        raise Ps3Error(f"--out is {str(target)!r} where --calibrate writes a file such as thresholds.json; name one")
    if options.apply and not (options.model / MANIFEST_FILE).is_file():
        raise Ps3Error(
            f"--apply needs a bundle, and {str(options.model)!r} has no {MANIFEST_FILE}; put thresholds.json beside the checkpoint"
        )
    encoder = open_model(options.model, options.backend, options.threads, options.device)
    asked = tuple(
        Condition(f"relevance {candidate}", options.looks, options.tokens, relevance_threshold=candidate)
        for candidate in RELEVANCE_CANDIDATES
    )
    encoder.settings = replace(encoder.settings, background=())  # it is chosen anew
    rows = []
    for folder in options.data:
        split = split_of(folder)
        plan = Plan(asked, sys.maxsize, split.startswith(NEW), answers_only=True)
        rows += measure_split(encoder, frames(folder, options, split), vocabulary(folder), plan)
    by_candidate = {condition.relevance_threshold: flat(rows, condition.name) for condition in asked}
    values, about = choose(encoder, by_candidate)
    # Chosen by hand; what was calibrated holds with them.
    values = {name: value for name in LATER_SETTINGS if (value := getattr(encoder.settings, name))} | values
    write_thresholds(target, values)
    write_whole(target.with_suffix(".md"), calibration_report(values, about, [str(folder) for folder in options.data]))
    draw_reliability(about["before"], about["after"], target.with_suffix(".png"))
    print(calibration_report(values, about, [str(folder) for folder in options.data]))
    if options.apply:
        manifest = encoder.bundle.manifest
        write_manifest(options.model, replace(manifest, settings=replace(manifest.settings, **values)))
        print(f"written into {options.model / MANIFEST_FILE}", file=sys.stderr)
    return 0


def chosen_variants(encoder: Encoder, asked: str) -> tuple[tuple, str]:
    """(names of the variants to measure, what is left out and why). Raises Ps3Error for a name that this model cannot do."""
    found = variants(encoder)
    if asked in ("all", "none", ""):
        lacks = "" if "no-lowres-cache" in found else "no-lowres-cache, which exported graphs cannot do: evaluate the checkpoint"
        return (tuple(found), lacks) if asked == "all" else ((), "")
    names = tuple(name.strip() for name in asked.split(","))
    for name in names:
        if name not in found:
            raise Ps3Error(f"variant {name!r} cannot be measured on this model; choose of {', '.join(found)}")
    return names, ""


def about_model(encoder: Encoder, options: argparse.Namespace, left_out: str) -> dict:
    settings = encoder.settings
    return {
        "name": encoder.bundle.manifest.model_name,
        "digest": digest(options.model),
        "backend": encoder.backend.name,
        "looks": options.looks,
        "tokens": options.tokens,
        "max_patches": settings.max_patches,
        "scales": list(settings.scales),
        "found_threshold": settings.found_threshold,
        "relevance_threshold": settings.relevance_threshold,
        "logit_scale": settings.logit_scale,
        "logit_bias": settings.logit_bias,
        "left_out": left_out,
    }


def digest(model: Path) -> str:
    """Short sha256 of what tells a model from another: its manifest, which holds its files' hashes, or its weights."""
    names = (MANIFEST_FILE, "model.safetensors", "model.safetensors.index.json", "config.json")
    return next(file_sha256(model / name)[:16] for name in names if (model / name).is_file())


def frames(folder: Path, options: argparse.Namespace, split: str):
    """The samples to ask about, with a progress bar."""
    from ps3_training.cache import held_out

    share = options.held_out_share
    samples = (sample for sample in open_data(folder, on_broken="skip") if share is None or held_out(sample.key, share))
    return tqdm(islice(samples, options.limit), total=options.limit, desc=split, unit="frame", file=sys.stderr, mininterval=2)


def vocabulary(folder: Path) -> Vocabulary:
    """The names of all frames of a split, whatever the limit: so a frame is asked the same questions in every run."""
    return Vocabulary.of(open_data(folder, on_broken="skip"))


def _positive(text: str) -> int:
    return _whole(text, 1)


def _natural(text: str) -> int:
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least}")
    return value


def _counts(text: str) -> tuple:
    return tuple(sorted({_positive(part) for part in text.split(",") if part.strip()}))


def _fraction(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0, at most 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
