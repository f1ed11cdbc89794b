"""Streaming: every sample once over ranks and workers, exact resume, broken samples counted."""

import json
from itertools import islice, zip_longest
from operator import attrgetter

import pytest
from test_shards import tiny

from ps3_ros.errors import Ps3Error
from ps3_training.data import shards, stream


def write(path, count=10, each=3, broken=()):
    """Shards of `each` samples with keys k00, k01, ...; those in `broken` have a JSON that does not fit."""
    for first in range(0, count, each):
        keys = [f"k{i:02d}" for i in range(first, min(first + each, count))]
        shards.write_shard(path, first // each, [tiny(k, **({"box": "none"} if k in broken else {})) for k in keys])
    return path


key_of = attrgetter("key")  # picklable wherever this file is imported from


def keys_of_worker(plan, number, start=None):
    return [value for _, value in stream.walk(plan, number, key_of, start)][:-1]  # the last says that the end is reached


@pytest.mark.parametrize("each", [1, 3, 10])  # ten shards for four workers, four, and one that all of them walk
def test_two_ranks_of_two_workers_see_every_sample_once(tmp_path, each):
    plan = stream.make_plan(write(tmp_path, 10, each), seed=3, ranks=2, workers=2, epochs=1)
    seen = [keys_of_worker(plan, number) for number in range(4)]
    assert sorted(sum(seen, [])) == [f"k{i:02d}" for i in range(10)] and min(map(len, seen)) >= 1


def test_epochs_are_shuffled_differently_and_the_same_for_one_seed(tmp_path):
    write(tmp_path, 12, 3)
    orders = [keys_of_worker(stream.make_plan(tmp_path, seed=seed, epochs=2), 0) for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0][:12]) == sorted(orders[0][12:]) == [f"k{i:02d}" for i in range(12)] and orders[0][:12] != orders[0][12:]


@pytest.mark.parametrize("stop", [1, 4, 9, 10, 15])
def test_a_reader_goes_on_where_it_stopped(tmp_path, stop):
    write(tmp_path, 10, 3, broken=("k04",))
    whole = list(stream.Reader(tmp_path, key_of, seed=5, epochs=2))
    first = stream.Reader(tmp_path, key_of, seed=5, epochs=2)
    before = list(islice(first, stop))
    state = json.loads(json.dumps(first.state()))
    second = stream.Reader(tmp_path, key_of, seed=5, epochs=2, state=state)
    assert before + list(second) == whole and len(whole) == 18
    assert second.skipped == 2


def test_worker_processes_take_turns_and_resume(tmp_path):
    write(tmp_path, 12, 3, broken=("k05",))
    plan = stream.make_plan(tmp_path, seed=5, ranks=2, workers=2, epochs=1)
    apart = [list(stream.walk(plan, number, key_of)) for number in (2, 3)]  # the second rank's workers
    turns = [step for pair in zip_longest(*apart) for step in enumerate(pair) if step[1] is not None]
    positions = [stream.Position(), stream.Position()]
    for worker, (position, _) in turns[:3]:  # three values given: the next turn is the other worker's
        positions[worker] = position
    state = stream.Reader(tmp_path, seed=5, rank=1, ranks=2, workers=2).state()
    state |= {"next": 1, "positions": [[p.epoch, p.shards, p.samples, p.skipped] for p in positions]}
    reader = stream.Reader(tmp_path, key_of, seed=5, rank=1, ranks=2, workers=2, epochs=1, state=state)
    assert list(reader) == [value for _, (_, value) in turns[3:] if value is not None]
    assert reader.skipped == sum(walked[-1][0].skipped for walked in apart)


def test_what_is_broken_is_skipped_and_counted(tmp_path, capsys):
    write(tmp_path, 9, 3, broken=("k01", "k07"))
    whole = (tmp_path / "images" / "00001.tar").read_bytes()
    (tmp_path / "images" / "00001.tar").write_bytes(whole[: len(whole) // 2])  # a download that stopped

    def strict(sample):
        if sample.key == "k00":
            raise RuntimeError("the transform does not like it")
        return sample.key

    reader = stream.Reader(tmp_path, strict, epochs=1)
    keys = list(reader)
    assert {"k02", "k06", "k08"} <= set(keys) <= {"k02", "k03", "k04", "k05", "k06", "k08"} and len(keys) < 6
    assert reader.skipped >= 4 and "skipped: " in capsys.readouterr().err


def test_bad_arguments_and_states(tmp_path):
    write(tmp_path, 4, 2, broken=("k00", "k01", "k02", "k03"))
    with pytest.raises(Ps3Error, match="All 4 samples"):
        list(stream.Reader(tmp_path, epochs=1))
    with pytest.raises(Ps3Error, match="buffer is 0"):
        stream.Reader(tmp_path, buffer=0)
    with pytest.raises(Ps3Error, match="rank is 2 of 2"):
        stream.Reader(tmp_path, rank=2, ranks=2)
    with pytest.raises(Ps3Error, match="ranks 1 and this run 2"):
        stream.Reader(tmp_path, ranks=2, state=stream.Reader(tmp_path).state())
    with pytest.raises(Ps3Error, match="no images"):
        stream.Reader(tmp_path / "nothing")
    write(tmp_path / "one", 1, 1)
    with pytest.raises(Ps3Error, match="no sample for worker 1 of 2"):
        next(stream.walk(stream.make_plan(tmp_path / "one", workers=2), 1))
