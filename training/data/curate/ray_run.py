"""The same curation over many machines with Ray Data (extra `ray`). OUT must be a folder that every machine sees, and so must the pictures.

A task takes the pictures of one shard, keeps its own manifest (OUT/manifests/00012.jsonl) and writes its own shard: tasks share
nothing, and one that is stopped goes on where it was. OUT/manifests/plan.jsonl says which pictures belong to which shard.
"""

import json
from dataclasses import asdict
from pathlib import Path

from ps3_ros.errors import Ps3Error
from ps3_training.files import write_whole

from .manifest import Manifest
from .pipeline import PER_SHARD, find_pictures, key_of, run
from .recipe import Recipe
from .regions import RegionSettings


def plan(source, out, per_shard):
    """[[number, [[path, key, name], ...]], ...]: the shards of all pictures; those that came since the last run get new shards at the end.

    Raises Ps3Error where there is no picture, or the plan cannot be read.
    """
    root, paths = find_pictures(source)
    file = Path(out) / "manifests" / "plan.jsonl"
    try:
        shards = [json.loads(line) for line in file.read_text().splitlines()] if file.is_file() else []
    except ValueError as error:
        raise Ps3Error(f"The plan {str(file)!r} cannot be read ({error}); delete the folder {str(out)!r} and start again.") from error
    known = {key for _, pictures in shards for _, key, _ in pictures}
    fresh = [[str(p.resolve()), key, str(p.relative_to(root))] for p in paths if (key := key_of(p, root)) not in known]
    for first in range(0, len(fresh), per_shard):
        shards.append([len(shards), fresh[first : first + per_shard]])
    write_whole(file, "".join(json.dumps(shard) + "\n" for shard in shards))
    return shards


class ShardTask:
    """What a Ray worker holds: its steps, made once. Called with a batch of shard lines, gives a row of counts each."""

    def __init__(self, recipe, out, settings, retry_errors=False):
        self.steps, self.out, self.settings, self.retry_errors = recipe.make(), out, settings, retry_errors

    def __call__(self, batch):
        rows = [self.one(*json.loads(line)) for line in batch["shard"]]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def one(self, number, pictures):
        settings = {"regions": asdict(self.settings), "steps": self.steps.names}
        manifest = Manifest(Path(self.out) / "manifests" / f"{number:05d}.jsonl", settings)
        return run(pictures, self.out, manifest, lambda: self.steps, self.settings, per_shard=max(1, len(pictures)),
                   retry_errors=self.retry_errors, progress=False, first_shard=number)  # fmt: skip


def curate_with_ray(source, out, recipe=None, settings=None, workers=2, per_shard=PER_SHARD, address=None, retry_errors=False):
    """Curates with `workers` Ray tasks and returns the counts of all shards.

    address: of a running Ray cluster ("auto" for this machine's); None starts one here. Raises Ps3Error without Ray, or if a task failed.
    """
    try:
        import ray
    except ImportError as error:
        raise Ps3Error(f"Running on Ray needs it ({error}); pip install 'ps3_ros[ray]', or leave out --ray.") from error
    recipe, settings = recipe or Recipe(), settings or RegionSettings()
    recipe.make()  # what is missing is said here, in one sentence, and not by a worker
    shards = plan(source, out, per_shard)
    if not ray.is_initialized():
        here = {} if address else {"num_cpus": workers + 1, "include_dashboard": False}  # one more than the tasks, for Ray Data's own
        try:
            ray.init(address=address, log_to_driver=False, **here)
        except Exception as error:  # Ray raises plain Exceptions here
            raise Ps3Error(f"Ray did not start ({_last_line(error)}); see its logs in /tmp/ray, or leave out --ray.") from error
    lines = ray.data.from_items([{"shard": json.dumps(shard)} for shard in shards], override_num_blocks=len(shards))
    arguments = (recipe, str(Path(out).resolve()), settings, retry_errors)
    done = lines.map_batches(ShardTask, fn_constructor_args=arguments, batch_size=1, concurrency=workers, num_cpus=1)
    try:
        rows = done.take_all()
    except ray.exceptions.RayError as error:
        raise Ps3Error(f"A Ray task failed ({_last_line(error)}); mend that and start again: what was done is kept.") from error
    return {name: int(sum(row[name] for row in rows)) for name in rows[0]}


def _last_line(error):
    lines = [line for line in str(error).splitlines() if line.strip()]
    return (lines[-1].strip() if lines else type(error).__name__)[:300]
