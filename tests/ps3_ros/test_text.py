"""Questions: what is refused, how choices are written out, what the tokenizer gives, and that vectors are kept."""

import numpy as np
import pytest

from ps3_ros.bundle import load_bundle
from ps3_ros.errors import BundleError, QueryError
from ps3_ros.text import CACHED_QUERIES, TextEncoder, check_query, split_choices

BAD = [  # query, what the message quotes
    ("", "empty"),
    (" \n\t ", "empty"),
    (b"", "empty"),
    (b"stop \xff sign", "0xff"),
    ("caf\udce9", "U[+]DCE9"),  # what a wrongly encoded command line argument becomes
    ("stop\x00sign", "U[+]0000"),
    ("stop\x1b[31m", "U[+]001B"),
    ("two\nlines", "U[+]000A"),
    ("x" * 4001, "4001 characters"),
    (None, "NoneType"),
    (7, "int"),
]


@pytest.mark.parametrize(("query", "words"), BAD)
def test_bad_queries(query, words):
    with pytest.raises(QueryError, match=words):
        check_query(query)
    with pytest.raises(QueryError, match=words):
        split_choices(query)


GOOD = [
    (" stop sign\n", "stop sign"),
    ("café".encode(), "café"),
    (bytearray(b"mug"), "mug"),
    ("x" * 4000, "x" * 4000),
    ("停车标志 🛑", "停车标志 🛑"),
]


@pytest.mark.parametrize(("query", "expected"), GOOD)
def test_good_queries(query, expected):
    assert check_query(query) == expected


CHOICES = [
    ("red | amber | green traffic light", ["red traffic light", "amber traffic light", "green traffic light"]),
    ("red|green", ["red", "green"]),
    ("open | closed door of the fridge", ["open door of the fridge", "closed door of the fridge"]),
    ("a dog | a cat", ["a dog", "a cat"]),
    ("a small dog | cat", ["a small dog", "cat"]),  # longer than the last: stays
    ("left | straight on | right turn sign", ["left turn sign", "straight on sign", "right turn sign"]),
    ("mug | mug", ["mug"]),
    ("stop sign", ["stop sign"]),
    (b"red | green mug", ["red mug", "green mug"]),
]


@pytest.mark.parametrize(("query", "expected"), CHOICES)
def test_choices_are_written_out(query, expected):
    assert split_choices(query) == expected


@pytest.mark.parametrize("query", ["|", "red |", "| green", "red || green mug", " | red"])
def test_empty_choices_are_refused(query):
    with pytest.raises(QueryError, match="empty choice"):
        split_choices(query)


def test_too_many_choices_are_refused():
    assert len(split_choices(" | ".join(f"mug {n}" for n in range(32)))) == 32
    with pytest.raises(QueryError, match="33 choices"):
        split_choices(" | ".join(f"mug {n}" for n in range(33)))


@pytest.fixture
def bundle(tiny_bundle):
    return load_bundle(tiny_bundle, check_hashes=False)


class Counting:
    """A text graph that says what it was asked: each id's sum, so that vectors tell their query."""

    def __init__(self):
        self.seen = []

    def __call__(self, ids):
        self.seen.append(ids)
        sums = ids.sum(axis=1, keepdims=True).astype(np.float32)
        return {"text": np.repeat(sums, 3, axis=1), "prompt": np.repeat(-sums, 2, axis=1)}


def encoder(bundle, **changed):
    from dataclasses import replace

    run = Counting()
    return TextEncoder(bundle.path(bundle.manifest.tokenizer.file), replace(bundle.settings, **changed), run), run


def test_ids_are_padded_to_the_longest_or_to_the_fixed_length(bundle):
    text, _ = encoder(bundle, pad_id=9)
    ids = text.ids(["stop sign", "stop"])
    assert ids.dtype == np.int64 and ids.shape == (2, 4)  # [CLS] stop sign [SEP]
    assert ids[1, 3] == 9 and ids[0, 1] == ids[1, 1]
    fixed, _ = encoder(bundle, fixed_length=True, context_length=12, pad_id=9)
    ids = fixed.ids(["stop sign"])
    assert ids.shape == (1, 12) and (ids[0, 4:] == 9).all()


def test_too_many_tokens_are_refused_with_both_numbers(bundle):
    text, _ = encoder(bundle)
    assert len(text.tokens("stop " * 254)) == 256
    with pytest.raises(QueryError, match="257 tokens .* at most 256"):
        text(["stop " * 255])
    short, _ = encoder(bundle, context_length=16)
    with pytest.raises(QueryError, match="17 tokens .* at most 16"):
        short(["stop " * 15])


def test_only_the_words_that_name_the_thing_are_read_where_the_manifest_says_so(bundle):
    text, _ = encoder(bundle, plain_words=True)
    assert text.tokens("where is the stop sign?") == text.tokens("stop sign")
    text, _ = encoder(bundle)
    assert text.tokens("where is the stop sign?") != text.tokens("stop sign")


def test_vectors_are_kept_and_come_in_the_order_asked(bundle):
    text, run = encoder(bundle)
    first = text(["stop", "mug", "stop"])
    assert len(run.seen) == 1 and run.seen[0].shape[0] == 2  # asked once each
    np.testing.assert_array_equal(first["text"][0], first["text"][2])
    again = text(["mug", "sign", "stop"])
    assert len(run.seen) == 2 and run.seen[1].shape[0] == 1
    np.testing.assert_array_equal(again["text"][0], first["text"][1])
    np.testing.assert_array_equal(again["prompt"][2], first["prompt"][0])


def test_the_query_not_asked_longest_is_forgotten_first(bundle):
    text, run = encoder(bundle)
    for n in range(CACHED_QUERIES):
        text([f"mug {n}"])
    text(["mug 0"])  # asked again: now the newest
    text(["one more"])
    assert len(text.cache) == CACHED_QUERIES
    assert "mug 0" in text.cache and "mug 1" not in text.cache
    assert len(run.seen) == CACHED_QUERIES + 1


def test_more_queries_at_once_than_are_kept(bundle):
    text, _ = encoder(bundle)
    queries = [f"mug {n}" for n in range(CACHED_QUERIES + 5)]
    assert text(queries)["text"].shape[0] == len(queries)
    assert len(text.cache) == CACHED_QUERIES


def test_a_broken_tokenizer_is_the_bundles_fault(bundle, tmp_path):
    broken = tmp_path / "tokenizer.json"
    broken.write_text("{}")
    with pytest.raises(BundleError, match="tokenizer"):
        TextEncoder(broken, bundle.settings, Counting())
