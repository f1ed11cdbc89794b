"""Pictures of answers: one a frame, the complete ones first, none where nobody looks on."""

import threading
import time
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from ps3_ros.answer import Answer, Region
from ps3_ros.ask import AskDetail
from ps3_ros.frame import Frame, FramePlan
from ps3_ros.pictures import Painter
from ps3_ros.selection import Selection


@pytest.fixture
def painter(make_settings, monkeypatch):
    """Painter with what it published, whether anybody wants it, and what failed."""
    monkeypatch.setattr("ps3_ros.pictures.IDLE_S", 0.05)
    plan = FramePlan.of(360, 640, make_settings())
    came, state = [], SimpleNamespace(wanted=True, rate=50.0, failed=[], plan=plan)

    def publish(jpeg, frame):
        came.append((cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), frame))

    made = Painter(publish, lambda: state.wanted, lambda: (320, state.rate), state.failed.append)
    yield made, came, state
    wait_for(lambda: made._thread is None)
    assert not state.failed


def frame(stamp_ns=1):
    return Frame(np.full((360, 640, 3), 90, np.uint8), stamp_ns, "camera")


def put(painter, state, about, *queries, x=300.0):
    for n, query in enumerate(queries):
        regions = (Region((x + 100 * n, 200.0, x + 60 + 100 * n, 260.0), 0.9, query),)
        detail = AskDetail(np.zeros((24, 24), np.float32), Selection.none(state.plan), state.plan, regions)
        painter.put(Answer(query=query, found=True, label=query, regions=regions, width=640, height=360), detail, about)


def wait_for(ready, timeout_s=10.0):
    end = time.monotonic() + timeout_s
    while not ready() and time.monotonic() < end:
        time.sleep(0.01)
    assert ready()


def green(picture, x1, x2):
    return ((picture[95:135, x1:x2, 1] > 150) & (picture[95:135, x1:x2, 2] < 130)).any()


def test_the_answers_about_one_frame_come_in_one_reduced_picture(painter):
    made, came, state = painter
    about = frame()
    put(made, state, about, "stop sign", "mug")
    wait_for(lambda: came)
    picture, shown = came[0]
    assert picture.shape == (180, 320, 3) and shown is about
    assert green(picture, 145, 155) and green(picture, 195, 205)  # the left edges of both boxes, at half the size


def test_the_rate_is_kept_and_complete_frames_are_not_split(painter):
    made, came, state = painter
    state.rate = 4.0
    start = time.monotonic()
    for n in range(12):
        put(made, state, frame(n), "stop sign", "mug")
        time.sleep(0.05)
    wait_for(lambda: came and came[-1][1].stamp_ns == 11)
    assert len(came) <= 2 + 4.0 * (time.monotonic() - start)
    assert all(green(picture, 195, 205) for picture, _ in came)  # never one with the first question only


def test_where_nobody_looks_on_nothing_is_kept_or_drawn(painter):
    made, came, state = painter
    state.wanted = False
    put(made, state, frame(), "stop sign")
    assert made._group is None and made._thread is None and not came


def test_the_thread_ends_when_nothing_comes_and_begins_anew(painter):
    made, came, state = painter
    for n in range(2):
        put(made, state, frame(n), "stop sign")
        wait_for(lambda n=n: len(came) == n + 1)
        wait_for(lambda: not any(thread.name == "ps3-pictures" for thread in threading.enumerate()))


def test_a_publisher_that_fails_is_told_and_costs_one_picture_only(painter):
    made, came, state = painter
    publish, made._publish = made._publish, lambda *_: 1 / 0
    put(made, state, frame(1), "stop sign")
    wait_for(lambda: state.failed)
    assert "ZeroDivisionError" in state.failed.pop()
    made._publish = publish
    wait_for(lambda: made._thread is None)
    put(made, state, frame(2), "stop sign")
    wait_for(lambda: came)
