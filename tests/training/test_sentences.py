"""Vectors of captions: kept on disk, added from two threads at once, and encoded by one process for all."""

import threading

import pytest
import torch

from ps3_ros.bundle import default_bundle
from ps3_training import distributed
from ps3_training.model import TextConfig
from ps3_training.sentences import Sentences

TOKENIZER = default_bundle() / "tokenizer.json"

FIRST, LATER = ("a stop sign", "the red mug"), ("a kettle", "two keys", "a stop sign")


def forbidden(self):
    raise AssertionError("a process that follows must not encode")


class Text(torch.nn.Module):
    """A frozen encoder of sentences that takes no time."""

    config = TextConfig(kind="sentence", context_length=16)

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = torch.nn.Sequential(torch.nn.EmbeddingBag(30522, 8, padding_idx=0))


@pytest.fixture
def fresh(tmp_path):
    """Function -> Sentences of the folder, as another process would open it."""
    return lambda folder="sentences": Sentences(tmp_path / folder, Text(), TOKENIZER)


@pytest.fixture
def written(fresh):
    made = fresh()
    made.add(FIRST)
    return made


def test_a_second_run_encodes_only_what_is_new(written, fresh):
    again = fresh()
    assert torch.equal(again.of(FIRST), written.of(FIRST)) and len(again.vectors.unique(dim=0)) == 2
    again._encoder = forbidden.__get__(again)
    again.add(FIRST)
    with pytest.raises(AssertionError, match="must not encode"):
        again.add(LATER)


def test_another_process_reads_what_the_first_one_encodes(written, fresh, monkeypatch):
    monkeypatch.setattr(distributed, "POLL_S", 0.02)
    other = fresh().following()
    before = other.of(FIRST).clone()
    other._encoder = forbidden.__get__(other)
    reader = threading.Thread(target=other.add, args=(LATER,), daemon=True)
    reader.start()
    reader.join(0.2)
    assert reader.is_alive() and "a kettle" not in other.row  # it waits
    written.add(("not asked for",))
    written.add(LATER)
    reader.join(20)
    assert not reader.is_alive()
    assert torch.equal(other.of(LATER), written.of(LATER)) and torch.equal(other.of(FIRST), before)


def test_two_threads_that_add_the_same_captions_keep_each_once(written, fresh):
    alone = fresh("alone")
    alone.add((*FIRST, *LATER))
    threads = [threading.Thread(target=written.add, args=(texts,)) for texts in (LATER, LATER[::-1], LATER[:1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written.row) == len(written.vectors) == 4 and sorted(written.row.values()) == list(range(4))
    assert torch.allclose(written.of(LATER), alone.of(LATER), atol=1e-5)
    assert torch.equal(fresh().of(LATER), written.of(LATER))
