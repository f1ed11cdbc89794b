"""`ps3 export`: the options, and a progress bar over the steps."""

import argparse
import resource
import sys
import time
from pathlib import Path

from .storage import PRESETS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="folder with config.json and model.safetensors")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="bundle folder to write; an older bundle there is replaced")
    parser.add_argument("--tokenizer", type=Path, metavar="FILE", help="tokenizer.json (default: the checkpoint's own)")
    parser.add_argument("--max-patches", type=int, metavar="N", help="patches of one look (default: the checkpoint's max_select_num)")
    parser.add_argument(
        "--storage", choices=tuple(PRESETS), default="fp32", help="compact: text weights as int8, vision weights as fp16 (default: fp32)"
    )
    parser.add_argument("--name", metavar="NAME", help="model name in the manifest (default: the checkpoint folder's)")
    parser.add_argument("--license", metavar="TEXT", help="licence of the weights, for the manifest")
    parser.add_argument("--frame", type=Path, action="append", default=[], metavar="IMAGE", help="measure parity on this image; repeatable")
    parser.add_argument("--tolerance", type=float, default=1e-4, metavar="X", help="largest relative error to torch (default: 1e-4)")


def run(args: argparse.Namespace) -> int:
    """Exports and prints what was made; errors (Ps3Error) are the caller's to print."""
    from tqdm import tqdm

    from ps3_ros.bundle import load_bundle

    from .export import export_checkpoint

    start = time.monotonic()
    with tqdm(total=None, unit="step", file=sys.stderr, bar_format="{desc:<36} {bar} {n_fmt}/{total_fmt} [{elapsed}]") as bar:

        def progress(text: str, done: int, total: int):
            bar.total, bar.n = total, done
            bar.set_description_str(text, refresh=True)

        out = export_checkpoint(
            args.checkpoint,
            args.out,
            tokenizer=args.tokenizer,
            max_patches=args.max_patches,
            storage=args.storage,
            model_name=args.name,
            license=args.license,
            tolerance=args.tolerance,
            frames=args.frame,
            progress=progress,
        )
    manifest = load_bundle(out, check_hashes=False).manifest
    size = sum(f.stat().st_size for f in out.iterdir())
    figures = [(kind, figure) for graph in manifest.parity.values() for output in graph.values() for kind, figure in output.items()]
    print(f"{out}: {manifest.model_name}, {size / 1e6:.1f} MB, graphs {', '.join(manifest.graphs)}")
    print(f"  at most {max(figure for kind, figure in figures if kind != 'rounding'):.1e} (relative) from torch on random and real input")
    rounding = [figure for kind, figure in figures if kind == "rounding"]
    if rounding:
        print(f"  rounding the weights left every output at a cosine of {min(rounding):.4f} or more to the checkpoint's own")
    # Linux counts the peak in KiB.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"  took {time.monotonic() - start:.0f} s and {peak / 1e9:.1f} GB of memory at the peak")
    return 0
