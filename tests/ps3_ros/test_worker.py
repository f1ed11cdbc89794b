"""The worker's promises, with a real thread and an asker whose speed the test decides: newest frame wins, every query one answer."""

import json
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from ps3_ros.answer import Answer, frame_fields
from ps3_ros.errors import BackendError, FrameError, QueryError
from ps3_ros.frame import Frame
from ps3_ros.limited_log import LimitedLog
from ps3_ros.query import Request
from ps3_ros.responder import Responder
from ps3_ros.worker import Asking, Desk, Office, Worker

pytestmark = pytest.mark.alone

PIXELS = np.zeros((32, 32, 3), np.uint8)


class SlowAsker:
    """Answers found = True about its frame, once `gate` is open; refuses what it is told to."""

    def __init__(self):
        self.encoder = SimpleNamespace(
            bundle=SimpleNamespace(manifest=SimpleNamespace(model_name="model")),
            backend=SimpleNamespace(name="backend"),
            text_encoder=SimpleNamespace(cache={}),
        )
        self.settings = SimpleNamespace(max_patches=64)
        self.glance, self.further = None, False
        self.gate, self.started = threading.Event(), threading.Event()
        self.gate.set()
        self.detail, self.frames = None, []

    def set_frame(self, frame):
        if frame.frame_id == "breaks":
            raise BackendError("the backend broke; restart it")
        self.frames.append(frame)

    def ask(self, query, looks=0, tokens=None, prior=None):
        self.started.set()
        assert self.gate.wait(10)
        if query == "too long":
            raise QueryError("query 'too long' has 300 tokens")
        if query == "boom":
            raise RuntimeError("boom")
        return Answer(query=query, found=True, looks=looks, **frame_fields(self.frames[-1]))


class Unmeasured(Responder):
    """Without the costs that are measured at the start: these tests' asker takes as long as they tell it."""

    def prepare(self):
        pass


def ask_each(*texts):
    return tuple(Request(text) for text in texts)


def decode(image):
    if image == "bad":
        raise FrameError("image is bad; send another")
    return Frame(PIXELS, int(image) if image.isdigit() else 1, image)


@pytest.fixture
def parts():
    """(worker, asker, answers, asking: a mutable box, log): resumed, and stopped at the end."""
    asker, answers, box, log = SlowAsker(), [], SimpleNamespace(now=Asking(query_timeout_s=5.0)), []
    responder = Unmeasured(lambda name: asker, "backend", asker=asker)
    office = Office(responder, lambda *line: log.append(line))
    Desk(office, lambda answer, detail, frame: answers.append(answer), lambda: box.now, queue_size=4)
    worker = Worker(office, decode)
    worker.resume()
    wait(lambda: worker.office.prepared, 30.0)
    yield worker, asker, answers, box, log
    asker.gate.set()
    worker.stop()


def wait(ready, timeout_s=10.0):
    end = time.monotonic() + timeout_s
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.002)


def ask_about(worker, answers, image, query):
    """Sends both; the answer that comes next."""
    known = len(answers)
    worker.desks[0].put_image(image)
    worker.desks[0].put_query(query)
    wait(lambda: len(answers) == known + 1)
    return answers[known]


def take_in_hand(worker, asker, query):
    """A question that is being answered until the gate opens."""
    asker.gate.clear()
    worker.desks[0].put_image("1")
    worker.desks[0].put_query(query)
    assert asker.started.wait(5)


def test_a_query_is_answered_about_the_newest_image(parts):
    worker, asker, answers, *_ = parts
    for image in "123":
        worker.desks[0].put_image(image)
    worker.desks[0].put_query("mug")
    wait(lambda: answers)
    assert [f.frame_id for f in asker.frames] == ["3"], "the others were never looked at"
    assert (answers[0].query, answers[0].frame_id, answers[0].found) == ("mug", "3", True)
    assert worker.counts()["dropped"] == 0, "nobody was kept from looking at them"


def test_while_one_is_looked_at_older_waiting_ones_are_dropped_and_counted(parts):
    worker, asker, answers, box, _ = parts
    box.now = Asking(standing=ask_each("mug"))
    asker.gate.clear()
    worker.desks[0].put_image("1")
    assert asker.started.wait(5)
    for image in ("2", "3", "4", "5"):
        worker.desks[0].put_image(image)
    asker.gate.set()
    wait(lambda: len(answers) == 2)
    assert [a.frame_id for a in answers] == ["1", "5"]
    assert worker.counts()["dropped"] == 3
    assert worker.counts()["images"] == 5
    assert worker.counts()["looked_at"] == 2


def test_standing_queries_are_asked_about_every_frame_and_change_at_once(parts):
    worker, _, answers, box, _ = parts
    box.now = Asking(standing=ask_each("mug", "cup"))
    worker.desks[0].put_image("1")
    wait(lambda: len(answers) == 2)
    box.now = Asking(standing=ask_each("car"), looks=3)
    worker.desks[0].put_image("2")
    wait(lambda: len(answers) == 3)
    assert [(a.query, a.frame_id, a.looks) for a in answers] == [("mug", "1", 1), ("cup", "1", 1), ("car", "2", 3)]


def test_queries_and_standing_queries_take_turns(parts):
    worker, asker, answers, box, _ = parts
    box.now = Asking(standing=ask_each("s1", "s2", "s3"))
    asker.gate.clear()
    worker.desks[0].put_image("1")
    assert asker.started.wait(5)
    for query in ("q1", "q2"):
        worker.desks[0].put_query(query)
    asker.gate.set()
    wait(lambda: len(answers) == 5)
    assert [a.query for a in answers] == ["s1", "q1", "s2", "q2", "s3"]


def test_rounds_that_queries_cut_short_do_not_always_starve_the_same_standing_query(parts):
    worker, _, answers, box, _ = parts
    box.now = Asking(standing=ask_each("s1", "s2", "s3"))
    worker.pause()
    with worker.office.wake:  # frame by frame, each cut short by a query that came with the next image
        worker.office.resumed = True
        for n in range(3):
            worker.desks[0].inbox.put_image(str(n))
            worker.desks[0].inbox.put_query(Request(f"q{n}"), 5.0, None)
            worker._work(worker.responder, worker.office.turn, worker.desks[0])
    assert [a.query for a in answers if a.query.startswith("s")] == ["s1", "s2", "s3"]


def test_a_query_waits_for_the_first_frame_and_gets_an_error_after_its_time(parts):
    worker, _, answers, box, _ = parts
    box.now = Asking(query_timeout_s=0.2)
    worker.desks[0].put_query("mug")
    wait(lambda: answers)
    assert answers[0].found is None
    assert answers[0].error.startswith("no frame came within 0.2 s; check that the camera publishes")
    box.now = Asking(query_timeout_s=5.0)
    worker.desks[0].put_query("cup")
    worker.desks[0].put_image("7")
    wait(lambda: len(answers) == 2)
    assert (answers[1].query, answers[1].found, answers[1].stamp["nanosec"]) == ("cup", True, 7)


def test_bad_images_are_counted_and_the_next_good_one_is_answered(parts):
    worker, _, answers, box, log = parts
    box.now = Asking(query_timeout_s=0.3)
    error = ask_about(worker, answers, "bad", "mug").error
    assert "no frame came within 0.3 s" in error
    assert "the last image was refused: image is bad; send another" in error
    assert ask_about(worker, answers, "2", "mug").frame_id == "2"
    assert worker.counts()["bad_images"] == 1
    assert ("image", "image is bad; send another") in log


def test_a_bad_image_leaves_the_last_good_frame(parts):
    worker, _, answers, *_ = parts
    ask_about(worker, answers, "1", "mug")
    answer = ask_about(worker, answers, "bad", "cup")
    assert (answer.query, answer.frame_id) == ("cup", "1")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "query is empty"),
        ("   ", "query is empty"),
        ("x" * 5000, "5000 characters"),
        ("a | ", "empty choice"),
        ("m\ufffdg", "not UTF-8"),
        ("a\x00b", "U+0000"),
    ],
)
def test_what_cannot_be_asked_is_answered_at_once(parts, query, sentence):
    worker, _, answers, *_ = parts
    worker.desks[0].put_query(query)
    assert sentence in answers[0].error
    assert answers[0].found is None
    assert worker.counts()["bad_queries"] == 1


@pytest.mark.parametrize(
    ("query", "sentence", "count"), [("too long", "300 tokens", "bad_queries"), ("boom", "RuntimeError: boom", "failures")]
)
def test_what_fails_later_is_answered_with_the_frame_it_was_about_and_the_next_is_answered(parts, query, sentence, count):
    worker, _, answers, *_ = parts
    worker.desks[0].put_image("3")
    worker.desks[0].put_query(query)
    worker.desks[0].put_query("mug")
    wait(lambda: len(answers) == 2)
    assert sentence in answers[0].error
    assert answers[0].frame_id == "3"
    assert answers[1].found is True
    assert worker.counts()[count] == 1


def test_a_backend_that_fails_on_a_frame_leaves_none_and_the_next_frame_works(parts):
    worker, _, answers, box, _ = parts
    box.now = Asking(query_timeout_s=0.2)
    ask_about(worker, answers, "1", "mug")
    assert "the backend broke; restart it" in ask_about(worker, answers, "breaks", "cup").error
    assert ask_about(worker, answers, "2", "cup").frame_id == "2"


def test_every_query_of_a_flood_gets_exactly_one_answer(parts):
    worker, asker, answers, *_ = parts
    take_in_hand(worker, asker, "first")
    for n in range(50):
        worker.desks[0].put_query(f"q{n}")
    assert len(answers) == 46, "four wait, the others were told so at once"
    assert all("4 queries wait already" in a.error for a in answers)
    asker.gate.set()
    wait(lambda: len(answers) == 51)
    assert sorted(a.query for a in answers) == sorted(["first", *(f"q{n}" for n in range(50))])


def test_a_pause_answers_what_waits_and_what_is_in_hand_once(parts):
    worker, asker, answers, *_ = parts
    take_in_hand(worker, asker, "in hand")
    worker.desks[0].put_query("waiting")
    assert worker.pause(timeout_s=0.1, reason="paused") is False
    assert [(a.query, a.error) for a in answers] == [("waiting", "paused"), ("in hand", "paused")]
    worker.desks[0].put_query("while paused")
    worker.resume()
    asker.gate.set()
    wait(lambda: not worker.office.step is not None)
    assert len(answers) == 2, "the late answer was thrown away"
    assert ask_about(worker, answers, "2", "mug").frame_id == "2"


def test_a_pause_lets_the_look_in_hand_end_and_delivers_its_answer(parts):
    worker, asker, answers, *_ = parts
    take_in_hand(worker, asker, "in hand")
    worker.desks[0].put_query("waiting")
    threading.Timer(0.1, asker.gate.set).start()
    assert worker.pause(timeout_s=5.0, reason="paused") is True
    assert [(a.query, a.error) for a in answers] == [("waiting", "paused"), ("in hand", None)]


def test_stop_ends_the_thread_and_answers_what_waits(parts):
    worker, _, answers, *_ = parts
    worker.desks[0].put_query("waiting")
    start = time.monotonic()
    assert worker.stop() is True
    assert not worker.is_alive()
    assert time.monotonic() - start < 2
    assert [a.query for a in answers] == ["waiting"]
    assert "shut down" in answers[0].error


def test_a_question_of_its_own_deadline_is_told_in_time_that_there_is_no_frame(parts):
    worker, _, answers, box, _ = parts
    box.now = Asking(query_timeout_s=60.0)
    worker.desks[0].put_query('{"query": "mug", "id": "m", "deadline_ms": 200}')
    wait(lambda: answers)
    assert answers[0].error.startswith("no frame came within 0.2 s")
    assert answers[0].id == "m"


def test_a_frame_that_is_too_old_counts_as_none(parts):
    worker, _, answers, box, _ = parts
    assert ask_about(worker, answers, "1", "mug").error is None
    box.now = Asking(query_timeout_s=0.2, frame_timeout_s=0.1)
    time.sleep(0.15)
    worker.desks[0].put_query("cup")
    wait(lambda: len(answers) == 2)
    assert answers[1].error.startswith("no frame came within 0.2 s")
    assert "the last image came" in answers[1].error
    worker.desks[0].put_image("2")  # taken at once, but nobody asks
    time.sleep(0.15)
    worker.desks[0].put_query("car")
    wait(lambda: len(answers) == 3)
    assert answers[2].error.startswith("no frame came"), "an image that waited too long is none either"


def test_a_glance_that_takes_longer_than_a_frame_may_be_old_still_gives_an_answer(parts):
    worker, asker, answers, box, _ = parts
    box.now = Asking(query_timeout_s=0.1, frame_timeout_s=0.2, standing=ask_each("s1", "s2"))
    glance = asker.set_frame
    asker.set_frame = lambda frame: (time.sleep(0.4), glance(frame))
    worker.desks[0].put_image("1")
    worker.desks[0].put_query("mug")
    wait(lambda: len(answers) == 3)
    assert sorted((a.query, a.error) for a in answers) == [("mug", None), ("s1", None), ("s2", None)]


def test_a_cancelled_question_is_answered_once_whether_it_waits_or_is_in_hand(parts):
    worker, asker, answers, *_ = parts
    asker.gate.clear()
    worker.desks[0].put_image("1")
    for name in ("in hand", "waiting", "kept"):
        worker.desks[0].put_query(json.dumps({"query": name, "id": name}))
        assert asker.started.wait(5)
    worker.desks[0].put_query('{"cancel": "waiting"}')
    worker.desks[0].put_query('{"cancel": "in hand"}')
    worker.desks[0].put_query('{"cancel": "in hand"}')
    assert [(a.id, a.error) for a in answers[:2]] == [("waiting", "the question was cancelled"), ("in hand", "the question was cancelled")]
    assert "no question with the id 'in hand' waits" in answers[2].error
    asker.gate.set()
    wait(lambda: len(answers) == 4)
    assert (answers[3].id, answers[3].error) == ("kept", None)
    assert worker.counts()["cancelled"] == 2


def test_standing_queries_share_a_frames_patches_by_priority(parts):
    worker, _, answers, box, _ = parts
    box.now = Asking(standing_patches=40)
    assert worker.desks[0].put_watch('{"query": "car", "priority": 3}')
    assert worker.desks[0].put_watch("mug")
    worker.desks[0].put_image("1")
    wait(lambda: len(answers) == 2)
    assert [(a.query, a.standing, a.patches_allowed) for a in answers] == [("car", True, 30), ("mug", True, 10)]
    assert worker.desks[0].put_unwatch("car")
    assert not worker.desks[0].put_unwatch("car")
    assert "no standing query 'car'" in answers[-1].error
    worker.desks[0].put_image("2")
    wait(lambda: len(answers) == 4)
    assert (answers[3].query, answers[3].patches_allowed) == ("mug", 40)


def test_a_standing_query_with_a_rate_is_asked_no_more_often(parts):
    worker, _, answers, *_ = parts
    assert worker.desks[0].put_watch('{"query": "car", "max_rate_hz": 2}')
    start = time.monotonic()
    while time.monotonic() - start < 1.2:
        worker.desks[0].put_image("1")
        time.sleep(0.02)
    assert 2 <= len(answers) <= 4


def test_a_thread_that_hangs_is_left_behind_and_its_question_answered(parts):
    worker, asker, answers, *_ = parts
    take_in_hand(worker, asker, "in hand")
    worker.desks[0].put_query("waiting")
    wait(lambda: worker.hangs(0.05))
    assert worker.hangs(0.05)[0] == "look"
    assert worker.hangs(100.0) is None
    fresh = SlowAsker()
    worker.restart(Unmeasured(lambda name: fresh, "backend", asker=fresh), "it hung")
    assert [(a.query, a.error) for a in answers] == [("in hand", "it hung")]
    worker.desks[0].put_image("2")
    wait(lambda: len(answers) == 2)
    assert (answers[1].query, answers[1].frame_id) == ("waiting", "2")
    asker.gate.set()  # the old one ends at last
    wait(lambda: sum(thread.is_alive() for thread in worker._threads) == 1)
    assert len(answers) == 2, "and what came of it is thrown away"
    assert worker.counts()["hangs"] == 1


def test_who_waits_while_a_backend_opens_is_told_when_its_time_is_over(parts):
    worker, _, answers, box, _ = parts
    opening = threading.Event()
    box.now = Asking(query_timeout_s=0.1)
    worker.restart(Unmeasured(lambda name: opening.wait(20) and SlowAsker(), "backend"), "it hung")
    worker.desks[0].put_query("mug")
    wait(lambda: worker.office.step is not None)
    time.sleep(0.2)
    worker.expire()
    assert "still being opened" in answers[0].error
    opening.set()


def test_in_standby_saliency_is_looked_at_and_something_new_is_asked_about():
    glimpses, answers = [], []
    asking = Asking(standby_rate_hz=50.0, wake_saliency=0.5, wake_queries=ask_each("person"), awake_s=60.0)
    asker = SlowAsker()
    responder = Unmeasured(lambda name: asker, "backend", asker=asker)
    responder.saliency = lambda camera: np.full((2, 2), float(asker.frames[-1].frame_id) / 10)
    office = Office(responder, print)
    Desk(office, lambda answer, *_: answers.append(answer), lambda: asking, glimpse=lambda *seen: glimpses.append(seen[1]))
    worker = Worker(office, decode)
    worker.resume()
    try:
        worker.desks[0].put_image("1")
        wait(lambda: glimpses)
        assert (glimpses[0].woke, answers, worker.desks[0].idle_for()) == (False, [], "standby")
        worker.desks[0].put_image("8")
        wait(lambda: answers)
        assert (answers[0].query, answers[0].frame_id, answers[0].standing) == ("person", "8", True)
        assert glimpses[1].woke
        assert worker.desks[0].idle_for() == "awake"
        assert worker.counts()["dropped"] == 0
    finally:
        worker.stop()


def test_a_log_line_of_a_kind_is_written_once_a_period_and_the_others_counted():
    lines, period = [], 1000.0
    log = LimitedLog(lambda *line: lines.append(line), lambda: period)
    for _ in range(5):
        log("image", "bad")
    log("query", "empty")
    assert lines == [("image", "bad"), ("query", "empty")]
    period = 0.0
    log("image", "bad again")
    assert lines[-1] == ("image", "bad again (4 more of this kind since the last line)")
