"""Regions keep their ids while they move, and new things get new ones."""

import numpy as np

from ps3_ros.tracks import FORGOTTEN_S, Tracker


def box(x, y, size=50):
    return (x, y, x + size, y + size)


def test_two_things_that_move_keep_their_ids_whichever_scores_higher():
    tracker = Tracker()
    first = tracker.update([box(100, 100), box(1000, 500)], ["mug", "mug"], 0.0)
    for n in range(1, 20):
        boxes = [box(100 + 20 * n, 100), box(1000, 500 - 10 * n)]
        ids = tracker.update(boxes[:: 1 if n % 2 else -1], ["mug", "mug"], n * 0.1)
        assert ids == (first if n % 2 else first[::-1])


def test_a_thing_that_moves_by_more_than_itself_is_followed_by_its_velocity():
    tracker, ids = Tracker(), []
    for n in range(12):
        ids += tracker.update([box(100 + 45 * n, 100)], ["car"], n * 0.1)  # a little overlap at first
    for n in range(12, 16):
        ids += tracker.update([box(100 + 45 * 11 + 130 * (n - 11), 100)], ["car"], 1.1 + (n - 11) * 0.29)  # then 3 frames at a time
    assert set(ids) == {1}


def test_a_thing_that_was_out_of_sight_for_a_moment_is_the_same_and_later_another():
    tracker = Tracker()
    assert tracker.update([box(0, 0)], ["mug"], 0.0) == [1]
    assert tracker.update([], [], 0.5) == []
    assert tracker.update([box(5, 0)], ["mug"], 1.0) == [1]
    assert tracker.update([box(5, 0)], ["mug"], 1.1 + FORGOTTEN_S) == [2]


def test_far_away_another_size_or_another_label_is_another_thing():
    tracker = Tracker()
    tracker.update([box(100, 100)], ["red light"], 0.0)
    assert tracker.update([box(600, 100)], ["red light"], 0.1) == [2]
    assert tracker.update([box(100, 100, size=400)], ["red light"], 0.2) == [3]
    assert tracker.update([box(100, 100)], ["green light"], 0.3) == [4]


def test_time_that_goes_back_begins_anew_without_using_an_id_twice():
    tracker = Tracker()
    tracker.update([box(0, 0)], ["mug"], 100.0)
    assert tracker.update([box(0, 0)], ["mug"], 1.0) == [2]


def test_noise_on_the_boxes_does_not_change_ids():
    rng, tracker = np.random.default_rng(1), Tracker()
    where = rng.uniform(0, 3000, (6, 2)).round(-2) + np.arange(6)[:, None] * 400
    for n in range(30):
        boxes = [box(x + dx, y + dy, 60) for (x, y), (dx, dy) in zip(where, rng.normal(0, 6, (6, 2)), strict=True)]
        assert tracker.update(boxes, ["mug"] * 6, n * 0.1) == [1, 2, 3, 4, 5, 6]
