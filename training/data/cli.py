"""`ps3 data`: makes, fetches, checks, packs and curates training data."""

import argparse
import json
import os
import sys
from pathlib import Path

from ps3_ros.exits import exit_code

SHOWN = 50  # bad samples that are listed; the rest is counted
EXAMPLES = """examples:
  ps3 data fetch                                            # pictures of objects, once
  ps3 data make data/train --frames 2000 --split train      # frames with captions and boxes
  ps3 data check data/train
  ps3 data pack my_pictures data/mine                       # a folder of labelled pictures -> shards
  ps3 data curate photos --out data/curated                 # pictures without boxes -> boxes and captions
"""


def build_parser():
    """The command line of `ps3 data`."""
    from . import make
    from .curate import cli as curate

    parser = argparse.ArgumentParser(
        prog="ps3 data", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    part = commands.add_parser("fetch", help="fetch the pictures that frames are made of")
    part.add_argument("folder", nargs="?", default=".assets", metavar="DIR", help="where to put them (default .assets)")
    part.set_defaults(run=run_fetch)

    part = commands.add_parser("make", help="make frames with captions and boxes")
    part.add_argument("out", metavar="OUT", help="folder for the shards; a stopped run goes on there")
    make.add_options(part)
    part.set_defaults(run=make.run)

    part = commands.add_parser("real", help="real photographs pasted into 4K frames, for tests only")
    part.add_argument("out", metavar="OUT", help="folder for the shards")
    part.add_argument("--frames", type=int, help="how many")
    part.add_argument("--seed", type=int, default=0, help="same seed, same frames (default 0)")
    part.set_defaults(run=run_real)

    part = commands.add_parser("check", help="name the samples that cannot be used; exit code 1 if there are any")
    part.add_argument("folder", metavar="DIR", help="shards, or a folder of labelled pictures")
    part.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    part.set_defaults(run=run_check)

    part = commands.add_parser("pack", help="turn a folder of labelled pictures into shards")
    part.add_argument("folder", metavar="DIR", help="pictures with labels.jsonl, or a JSON beside each")
    part.add_argument("out", metavar="OUT", help="folder for the shards")
    part.set_defaults(run=run_pack)

    part = commands.add_parser("curate", help="boxes and captions for pictures that have none")
    curate.add_arguments(part)
    part.set_defaults(run=curate.run)
    return parser


def run_fetch(arguments):
    from .fetch_assets import main as fetch

    return fetch([arguments.folder])


def run_real(arguments):
    from .real import make_real

    options = {} if arguments.frames is None else {"frames": arguments.frames}
    print(json.dumps(make_real(arguments.out, seed=arguments.seed, **options)))


def run_check(arguments):
    from .check import check

    report = check(Path(arguments.folder), arguments.workers)
    for sentence in report.bad[:SHOWN]:
        print(f"bad: {sentence}")
    if len(report.bad) > SHOWN:
        print(f"... and {len(report.bad) - SHOWN} more")
    print(report.summary())
    return 1 if report.bad else 0


def run_pack(arguments):
    from .folder import pack

    print(f"{pack(arguments.folder, arguments.out)} samples written to {arguments.out}")


def main(argv=None):
    """Runs `ps3 data ARGV`; returns its exit code: 0, 1 where a check found something, 2 for input that cannot be used."""
    arguments = build_parser().parse_args(argv)
    return exit_code("ps3 data", lambda: arguments.run(arguments))


if __name__ == "__main__":
    sys.exit(main())
