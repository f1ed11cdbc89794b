"""Streams a data set that is too big to cache into training: shards split over ranks and loader workers, shuffled, resumable to the sample.

    reader = Reader(path, transform, seed=1, rank=rank, ranks=ranks, workers=4, state=saved)
    for value in reader:            # transform(sample) of every sample; endless unless `epochs` is given
        ...
        saved = reader.state()      # JSON; a Reader made with it goes on with the very next value

Every worker of every rank walks its own shards of the epoch's order. Where there are fewer shards than workers (and for the folder form,
which counts as one shard) all walk every shard and take every n-th sample. Ranks may get a few samples more or less in an epoch: train by
steps, not by epochs. Broken samples are skipped and counted; what of a shard cannot be read counts as one.
"""

import random
import sys
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import webdataset
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ps3_ros.errors import Ps3Error

from . import folder, shards

TOLD = 20  # skipped samples a worker says on stderr; the rest is only counted


@dataclass(frozen=True)
class Position:
    """Where one worker is. `shards`: finished in this epoch; `samples`: taken of the next one, broken ones included; `skipped`: ever."""

    epoch: int = 0
    shards: int = 0
    samples: int = 0
    skipped: int = 0


@dataclass(frozen=True)
class Plan:
    """What all workers of a run share. buffer: samples in a worker's shuffle buffer. epochs: None for no end."""

    path: Path
    seed: int
    ranks: int
    workers: int
    buffer: int
    epochs: int | None
    shards: tuple  # their numbers; (-1,) for a folder of pictures

    def mine(self, epoch, number):
        """[shard, ...] that worker `number` of ranks * workers walks in an epoch, and whether it takes every sample of them."""
        order = [self.shards[i] for i in np.random.default_rng([self.seed, epoch]).permutation(len(self.shards))]
        everyone = self.ranks * self.workers
        return (order[number::everyone], True) if len(order) >= everyone else (order, False)


def make_plan(path, seed=0, ranks=1, workers=1, buffer=64, epochs=None):
    """A Plan for a data set of either form. Raises Ps3Error for counts below 1 or a path that holds neither form."""
    for name, value in (("ranks", ranks), ("workers", workers), ("buffer", buffer), ("epochs", 1 if epochs is None else epochs)):
        if value < 1:
            raise Ps3Error(f"{name} is {value}; it must be at least 1.")
    path = Path(path)
    numbers = (-1,) if not any((path / "images").glob("*.tar")) and folder.is_folder(path) else tuple(shards.shard_numbers(path))
    return Plan(path, seed, ranks, workers, buffer, epochs, numbers)


def _entries(path, shard):
    """As shards.shard_entries, of either form; a shard that cannot be read ends with an entry that raises."""
    if shard < 0:
        yield from (entry for _, entry in folder.entries(path))
        return
    try:
        yield from shards.shard_entries(path, shard)
    except Exception as error:  # a truncated tar, a missing half: whatever it is, the other shards are good
        yield partial(_unreadable, path, shard, str(error))


def _unreadable(path, shard, reason):
    raise shards.ShardError(f"Shard {shard} in {str(path)!r} cannot be read to its end ({reason}); run `ps3 data check` on it.")


def _taken(entries, everyone, number):
    """Every `everyone`-th entry, the `number`-th first."""
    return (entry for i, entry in enumerate(entries) if i % everyone == number)


def walk(plan, number, transform=None, start=None):
    """Yields (Position after it, transform(sample)) for worker `number` of plan.ranks * plan.workers, from Position `start` on; after the
    last epoch once (Position, None).

    Raises Ps3Error if a whole epoch has nothing but broken samples.
    """
    start = start or Position()
    epoch, first, done, skipped = start.epoch, start.shards, start.samples, start.skipped
    everyone = plan.ranks * plan.workers
    while plan.epochs is None or epoch < plan.epochs:
        mine, whole = plan.mine(epoch, number)
        before, given, reason = skipped, first > 0 or done > 0, ""
        for place in range(first, len(mine)):
            entries = _entries(plan.path, mine[place])
            entries = entries if whole else _taken(entries, everyone, (number + place) % everyone)
            shuffle = webdataset.shuffle(plan.buffer, initial=plan.buffer, rng=random.Random(f"{plan.seed} {epoch} {mine[place]}"))
            for count, entry in enumerate(shuffle(entries), 1):
                if count <= done:
                    continue
                try:
                    value = entry()
                    value = transform(value) if transform else value
                except Exception as error:  # never fatal: what one sample does must not stop days of training
                    skipped, reason = skipped + 1, str(error)
                    if skipped <= TOLD:
                        print(f"skipped: {error}", file=sys.stderr)
                    continue
                given = True
                yield Position(epoch, place, count, skipped), value
            done = 0
        if not given and skipped > before:
            raise Ps3Error(f"All {skipped - before} samples of an epoch of {str(plan.path)!r} were broken; the last one: {reason}")
        if not given and plan.epochs is None:
            raise Ps3Error(
                f"The data in {str(plan.path)!r} has no sample for worker {number} of {everyone}; use fewer workers or add data."
            )
        epoch, first = epoch + 1, 0
    yield Position(epoch, 0, 0, skipped), None


class _Walks(IterableDataset):
    """What a DataLoader's worker processes iterate: (worker, Position as tuple, value), the workers in turn from `first` on."""

    def __init__(self, plan, rank, transform, positions, first):
        self.plan, self.rank, self.transform, self.positions, self.first = plan, rank, transform, positions, first

    def __iter__(self):
        info = get_worker_info()
        worker = ((info.id if info else 0) + self.first) % self.plan.workers
        for position, value in walk(self.plan, self.rank * self.plan.workers + worker, self.transform, self.positions[worker]):
            yield worker, astuple(position), value


def _as_it_is(item):
    return item


class Reader:
    """Iterates transform(sample) over one rank's part of a data set; see the top of this file.

    workers: processes (0: none, in this one). transform: a function to pickle, run in the workers: what it raises for is skipped and
    counted, what it returns None for is left out.
    state: what state() gave. Raises Ps3Error for a state of other data or of another number of ranks or workers.
    """

    def __init__(self, path, transform=None, *, seed=0, rank=0, ranks=1, workers=0, buffer=64, epochs=None, state=None):
        self.plan = make_plan(path, seed, ranks, max(workers, 1), buffer, epochs)
        self.rank, self.transform, self.processes = rank, transform, workers
        if not 0 <= rank < ranks:
            raise Ps3Error(f"rank is {rank} of {ranks}; it must be from 0 to {ranks - 1}.")
        self.run = {
            "seed": seed, "rank": rank, "ranks": ranks, "workers": self.plan.workers, "buffer": buffer, "shards": len(self.plan.shards)
        }  # fmt: skip
        self.positions, self.next = [Position()] * self.plan.workers, 0
        if state is not None:
            self._restore(state)

    def _restore(self, state):
        for name, value in self.run.items():
            if state.get(name) != value:
                raise Ps3Error(
                    f"The saved data position has {name} {state.get(name)!r} and this run {value!r}; resume with the same, or start anew."
                )
        self.positions, self.next = [Position(*p) for p in state["positions"]], state["next"]

    def state(self):
        """Where this rank is, after the value that was last given: a dict that fits into JSON."""
        return {**self.run, "next": self.next, "positions": [list(astuple(p)) for p in self.positions]}

    @property
    def skipped(self):
        """How many samples were broken so far, over all epochs and this rank's workers."""
        return sum(p.skipped for p in self.positions)

    def __iter__(self):
        walks = _Walks(self.plan, self.rank, self.transform, tuple(self.positions), self.next)
        loader = DataLoader(
            walks,
            batch_size=None,
            num_workers=self.processes,
            collate_fn=_as_it_is,
            multiprocessing_context="spawn" if self.processes else None,  # a fork beside torch's threads can hang
        )
        for worker, position, value in loader:
            self.positions[worker], self.next = Position(*position), (worker + 1) % self.plan.workers
            if value is not None:
                yield value
