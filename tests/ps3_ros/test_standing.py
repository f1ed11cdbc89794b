"""Which standing queries are due, in which order, and what each may use."""

from collections import Counter

import pytest

from ps3_ros.errors import QueryError
from ps3_ros.query import Request
from ps3_ros.standing import MAX_STANDING, Watchlist, share


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def parts():
    clock = Clock()
    return Watchlist(clock), clock


def texts(requests):
    return [request.text for request in requests]


def test_all_are_asked_about_a_frame_the_important_first(parts):
    watchlist, _ = parts
    watchlist.set_base([Request("a"), Request("b")])
    watchlist.watch(Request("c", priority=5.0))
    assert texts(watchlist.begin_round()) == ["c", "a", "b"]


def test_frames_cut_short_are_shared_by_priority(parts):
    watchlist, _ = parts
    for name, priority in (("a", 1.0), ("b", 1.0), ("c", 3.0)):
        watchlist.watch(Request(name, priority=priority))
    turns = Counter()
    for _ in range(100):  # one turn a frame
        request = watchlist.begin_round()[0]
        watchlist.asked(request)
        turns[request.text] += 1
    assert turns == {"a": 20, "b": 20, "c": 60}


def test_after_a_frame_that_was_not_cut_short_nobody_has_a_debt(parts):
    watchlist, _ = parts
    for name, priority in (("a", 0.001), ("b", 1.0)):
        watchlist.watch(Request(name, priority=priority))
    for _ in range(50):
        for request in watchlist.begin_round():
            watchlist.asked(request)
        watchlist.end_round()
    watchlist.watch(Request("new"))
    assert texts(watchlist.begin_round()) == ["b", "new", "a"]


def test_rates_are_kept_though_frames_come_a_little_early(parts):
    watchlist, clock = parts
    watchlist.watch(Request("slow", max_rate_hz=1.0))
    watchlist.watch(Request("fast"))
    asked = Counter()
    for _ in range(100):  # 10 s of 10 Hz
        for request in watchlist.begin_round(default_rate_hz=5.0):
            watchlist.asked(request)
            asked[request.text] += 1
        watchlist.end_round()
        clock.now += 0.0995
    assert 9 <= asked["slow"] <= 12
    assert 48 <= asked["fast"] <= 52


def test_one_by_topic_replaces_its_like_and_ends_alone(parts):
    watchlist, _ = parts
    watchlist.watch(Request("mug", "m"))
    watchlist.watch(Request("cup", "m"))
    watchlist.set_base([Request("car"), Request("m")])
    assert texts(watchlist.listed()) == ["cup", "car"] or texts(watchlist.listed()) == ["car", "cup"]
    with pytest.raises(QueryError, match="parameters end by standing_queries"):
        watchlist.unwatch("car")
    watchlist.unwatch("m")
    watchlist.set_base([Request("car")])
    assert texts(watchlist.listed()) == ["car"]
    watchlist.set_base([])
    assert watchlist.listed() == ()


def test_there_is_a_limit(parts):
    watchlist, _ = parts
    for n in range(MAX_STANDING):
        watchlist.watch(Request(f"q{n}"))
    with pytest.raises(QueryError, match="64 standing queries"):
        watchlist.watch(Request("one more"))
    watchlist.watch(Request("q3", priority=2.0))  # known already
    watchlist.set_base([Request("by parameter")])
    assert len(watchlist.listed()) == MAX_STANDING


def test_a_total_is_shared_by_priority():
    requests = [Request("a", priority=1.0), Request("b", priority=3.0)]
    assert [share(1024, request, requests) for request in requests] == [256, 768]
