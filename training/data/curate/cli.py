"""`ps3 data curate IMAGES --out DIR`: boxes and captions for pictures that have none."""

import argparse
import json
import sys

from ps3_ros.exits import exit_code

from .pipeline import PER_SHARD, curate
from .recipe import Recipe
from .regions import RegionSettings
from .vision_server import KEY


def add_arguments(parser):
    """The options of `ps3 data curate`."""
    parser.add_argument("images", help="folder of pictures (subfolders too), or one picture")
    parser.add_argument("--out", required=True, help="folder for the shards and manifest.jsonl; a stopped run goes on there")
    parser.add_argument("--segmenter", default="", metavar="MODULE:NAME", help="your own segmenter (default: a classical one, OpenCV)")
    parser.add_argument("--no-ocr", dest="ocr", action="store_false", help="do not read text with rapidocr")
    parser.add_argument("--server", default="", metavar="URL", help="OpenAI-compatible vision server that captions what is not text")
    parser.add_argument("--model", default="", help="name of the server's model")
    parser.add_argument("--key-env", dest="key_variable", default=KEY, metavar="NAME", help=f"variable with its API key (default {KEY})")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds for a request (default 60)")
    parser.add_argument("--parallel", type=int, default=4, help="requests at a time (default 4)")
    parser.add_argument("--budget", type=int, default=RegionSettings.budget, help=f"regions a picture (default {RegionSettings.budget})")
    parser.add_argument("--smallest", type=int, default=RegionSettings.smallest, help="px, longer side of a region (default 16)")
    parser.add_argument("--workers", type=int, default=1, help="pictures at a time (default 1)")
    parser.add_argument("--per-shard", type=int, default=PER_SHARD, help=f"pictures a shard (default {PER_SHARD})")
    parser.add_argument("--retry-errors", action="store_true", help="try pictures again that the manifest calls broken")
    parser.add_argument("--ray", nargs="?", const="", metavar="ADDRESS", help="run on Ray: on this machine, or on the cluster at ADDRESS")


def run(arguments):
    """Runs the command; prints the counts as JSON and returns 0. Raises Ps3Error."""
    recipe = Recipe(arguments.segmenter, arguments.ocr, 1 if arguments.workers > 1 else 0, arguments.server, arguments.model,
                    arguments.key_variable, arguments.timeout, arguments.parallel)  # fmt: skip
    settings = RegionSettings(budget=arguments.budget, smallest=arguments.smallest)
    if arguments.ray is not None:
        from .ray_run import curate_with_ray

        found = curate_with_ray(arguments.images, arguments.out, recipe, settings, arguments.workers, arguments.per_shard,
                                arguments.ray or None, arguments.retry_errors)  # fmt: skip
    else:
        server = recipe.make_server() if recipe.server else None
        found = curate(arguments.images, arguments.out, lambda: recipe.make(server), settings,
                       arguments.workers, arguments.per_shard, arguments.retry_errors)  # fmt: skip
    print(json.dumps(found))
    return 0


def main(argv=None):
    """The command on its own: python -m ps3_training.data.curate.cli."""
    parser = argparse.ArgumentParser(prog="ps3 data curate", description="Boxes and captions for pictures that have none.")
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    return exit_code("ps3", lambda: run(arguments))


if __name__ == "__main__":
    sys.exit(main())
