"""Several cameras on one thread and one backend, with the real model: fair turns, each its own frame, answers that get better, hooks."""

import json
import time
from types import SimpleNamespace

import numpy as np
import pytest

from ps3_ros.ask import Asker
from ps3_ros.errors import BackendError
from ps3_ros.frame import Frame
from ps3_ros.gaze import Gazes
from ps3_ros.query import Request
from ps3_ros.responder import Responder
from ps3_ros.worker import Asking, Desk, Office, Worker

pytestmark = pytest.mark.alone

NAMES = ("front", "left", "rear")


class Unmeasured(Responder):
    """Without the costs that are measured at the start: nothing here has a deadline."""

    def prepare(self):
        pass


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (360, 640, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def bundle_asker(tiny_bundle):
    return Asker(tiny_bundle, threads=1)


@pytest.fixture
def parts(bundle_asker):
    """(worker, {name: desk}, [(camera, Answer, AskDetail)], asking: a mutable box), resumed."""
    answers, box, desks = [], SimpleNamespace(now=Asking(query_timeout_s=2.0)), {}
    office = Office(Unmeasured(lambda name: bundle_asker, "backend", asker=bundle_asker), print)
    for name in NAMES:
        deliver = lambda answer, detail, frame, name=name: answers.append((name, answer, detail))  # noqa: E731
        desks[name] = Desk(office, deliver, lambda: box.now, queue_size=4, name=name)
    worker = Worker(office, lambda image: Frame(picture(image), image, f"camera {image}"))
    worker.resume()
    wait(lambda: office.prepared)
    yield worker, desks, answers, box
    worker.stop()


def wait(ready, timeout_s=60.0):
    end = time.monotonic() + timeout_s
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_cameras_that_have_something_to_do_take_turns(parts):
    worker, desks, answers, _ = parts
    with worker.office.wake:  # all of it is there before the thread begins
        for n, (name, desk) in enumerate(desks.items()):
            desk.put_image(n + 1)
            for number in range(1 if name == "left" else 3):
                desk.put_query(json.dumps({"query": "mug", "max_patches": 0, "id": f"{name}{number}"}))
    wait(lambda: len(answers) == 7)
    assert [answer.id for _, answer, _ in answers] == ["front0", "left0", "rear0", "front1", "rear1", "front2", "rear2"]
    assert worker.counts()["answers"] == 7
    assert worker.counts()["looked_at"] == 3


def test_a_camera_of_many_standing_queries_does_not_keep_a_question_to_another_waiting(parts):
    worker, desks, answers, _ = parts
    with worker.office.wake:
        for n in range(8):
            desks["front"].put_watch(json.dumps({"query": f"mug {n}", "max_patches": 0}))
        desks["front"].put_image(1)
        desks["rear"].put_image(2)
        desks["rear"].put_query('{"query": "car", "max_patches": 0}')
    wait(lambda: len(answers) == 9)
    assert [answer.query for _, answer, _ in answers].index("car") <= 1


def test_an_image_that_waited_too_long_for_its_deadline_is_left_for_the_next(parts):
    worker, desks, answers, box = parts
    pacer = worker.responder.pacer
    pacer.frame_ms, pacer.predict = lambda usual=False: 300.0, lambda patches, new=0, further=False: 100.0
    desk = desks["front"]
    box.now = Asking(deadline_ms=600.0)
    with worker.office.wake:
        desk.put_watch('{"query": "mug", "max_patches": 0}')
        desk.put_image(1)
        desk.inbox.image_arrived -= 0.3
    wait(lambda: desk.counts()["dropped"] == 1)
    assert answers == []
    desk.put_image(2)
    wait(lambda: answers)
    assert (answers[0][1].stamp["nanosec"], answers[0][1].error) == (2, None)
    box.now = Asking(deadline_ms=300.0)  # which no image can meet: then this one as well as another
    with worker.office.wake:
        desk.put_image(3)
        desk.inbox.image_arrived -= 0.3
    wait(lambda: len(answers) == 2)
    assert (answers[1][1].stamp["nanosec"], answers[1][1].timing["missed"]) == (3, True)
    pacer.frame_ms = lambda usual=False: 150.0 if usual else 400.0  # which most new images can meet, and this one cannot
    with worker.office.wake:
        desk.put_image(4)
        desk.inbox.image_arrived -= 0.3
    wait(lambda: desk.counts()["dropped"] == 2)
    assert len(answers) == 2


def test_each_camera_keeps_its_own_frame_and_is_answered_about_it(parts, bundle_asker):
    _, desks, answers, _ = parts
    for n, desk in enumerate(desks.values()):
        desk.put_image(n + 1)
    for _ in range(2):  # the second time about frames that were looked at before those of the others
        for desk in desks.values():
            desk.put_query('{"query": "stop sign", "max_patches": 60}')
    wait(lambda: len(answers) == 6)
    for name, answer, _ in answers:
        assert (answer.camera, answer.frame_id) == (name, f"camera {NAMES.index(name) + 1}")
    alone = bundle_asker.beside()
    for n, name in enumerate(NAMES):
        alone.set_frame(Frame(picture(n + 1), n + 1))
        expected = alone.ask("stop sign", tokens=60)
        for answer in [answer for camera, answer, _ in answers if camera == name]:
            assert answer.regions == expected.regions


def watch_two(parts, frames):
    """Two standing queries of unlike priority with gaze, about a picture that stays: [(id, Answer, AskDetail)] in their order."""
    _, desks, answers, box = parts
    desk, gazes, seen = desks["front"], Gazes(), []
    box.now = Asking(standing_patches=160)
    desk.chosen[:] = [seen.append]
    desk.prior = lambda request, frame, standing: gazes.guide(request.key, desk.office.responder.asker.settings, frame)
    for watched in ('{"query": "mug", "id": "low"}', '{"query": "mug", "id": "high", "priority": 3}'):
        assert desk.put_watch(watched)
    answers.clear()
    for n in range(frames):
        desk.put_image(1)
        wait(lambda n=n: len(answers) == 2 * (n + 1))
        for _, answer, detail in answers[-2:]:
            gazes.learn(answer.id, seen[-1], answer.regions, detail.canvas)
    return [(answer.id, answer, detail) for _, answer, detail in answers]


def test_standing_queries_that_share_looks_keep_priorities_gaze_and_cameras(parts, bundle_asker, monkeypatch):
    _, desks, answers, _ = parts
    alone = watch_two(parts, 3)
    monkeypatch.setattr(bundle_asker, "share_looks", True)
    encoded, run = [], bundle_asker.encoder.backend.run

    def count(graph, inputs):
        if graph == "look":
            encoded.append(len(inputs["position"]))

    monkeypatch.setattr(bundle_asker.encoder.backend, "run", lambda graph, inputs: count(graph, inputs) or run(graph, inputs))
    sharing = watch_two(parts, 3)
    assert [(name, answer.patches_allowed) for name, answer, _ in sharing] == [("high", 120), ("low", 40)] * 3
    for (name, with_, detail), (_, without, detail_alone) in zip(sharing, alone, strict=True):
        if name == "high":  # the first of its frame: its answer, and so its gaze, is the same
            assert with_.regions == without.regions
            assert [p.tolist() for p in detail.selection.patches] == [p.tolist() for p in detail_alone.selection.patches]
        assert with_.error is None and 0 < with_.patches_used <= with_.patches_allowed
    high, low = ([answer.patches_used for name, answer, _ in sharing if name == each] for each in ("high", "low"))
    assert sum(high) <= sum(encoded) < sum(high) + sum(low), "what the first looked at is not encoded again"
    desks["front"].put_unwatch('{"id": "low"}')
    desks["front"].put_unwatch('{"id": "high"}')
    encoded.clear()
    desks["rear"].put_image(1)
    desks["rear"].put_query('{"query": "mug", "max_patches": 40}')
    wait(lambda: answers[-1][0] == "rear")
    assert encoded == [answers[-1][1].patches_used], "another camera's frame is another frame"


def test_a_camera_is_named_in_the_question_and_an_unknown_one_is_told(parts):
    worker, desks, answers, _ = parts
    assert worker.desk("rear") is desks["rear"]
    assert worker.desk("roof") is worker.desk(None) is desks["front"]
    desks["front"].put_query('{"query": "mug", "camera": "roof", "id": "a"}')
    desks["front"].put_query('{"query": "mug", "camera": "rear", "id": "b"}')
    assert not desks["front"].put_watch('{"query": "mug", "camera": "roof", "id": "c"}')
    assert not desks["front"].put_unwatch('{"id": "m", "camera": "rear"}')
    sentences = [answer.error for _, answer, _ in answers]
    assert "'roof', which is not known; the cameras are front, left, rear" in sentences[0]
    assert "on a topic of the camera 'front'; use ~/rear or ~ itself" in sentences[1]
    assert [answer.id for _, answer, _ in answers] == ["a", "b", "c", "m"]


def test_a_cancel_finds_a_question_to_any_camera(parts):
    _, desks, answers, _ = parts
    desks["rear"].put_query('{"query": "mug", "id": "x"}')  # no frame yet
    desks["front"].put_query('{"cancel": "x"}')
    assert [(name, answer.error) for name, answer, _ in answers] == [("rear", "the question was cancelled")]


def test_a_camera_without_frames_says_so_while_another_is_answered(parts):
    _, desks, answers, box = parts
    box.now = Asking(query_timeout_s=0.3)
    desks["front"].put_image(1)
    desks["front"].put_query("mug")
    desks["rear"].put_query("mug")
    wait(lambda: len(answers) == 2)
    assert {name: answer.error is None for name, answer, _ in answers} == {"front": True, "rear": False}


def test_a_lost_backend_loses_every_cameras_frame(parts, bundle_asker):
    worker, desks, answers, box = parts
    box.now = Asking(query_timeout_s=0.3)
    for name in ("front", "rear"):
        desks[name].put_image(1)
        desks[name].put_query("mug")
    wait(lambda: len(answers) == 2)
    worker.responder.broken(BackendError("the device was lost; restart it"))
    desks["rear"].put_query("car")  # the backend is opened anew, and has no frame
    wait(lambda: len(answers) == 3)
    assert "no frame came" in answers[2][1].error
    desks["rear"].put_image(2)
    desks["rear"].put_query("car")
    wait(lambda: len(answers) == 4)
    assert answers[3][1].error is None


@pytest.mark.parametrize("by", ["parameter", "question"])
def test_answers_get_better_and_only_the_last_is_final(parts, by):
    _, desks, answers, box = parts
    box.now = Asking(anytime=by == "parameter")
    desks["left"].put_image(1)
    desks["left"].put_query(json.dumps({"query": "mug", "id": "m", "looks": 3} | ({"anytime": True} if by == "question" else {})))
    wait(lambda: answers and answers[-1][1].final)
    assert [answer.looks for _, answer, _ in answers] == [0, 1, 2, 3]
    assert [answer.final for _, answer, _ in answers] == [False, False, False, True]
    assert {answer.id for _, answer, _ in answers} == {"m"}
    looked = [answer.looked_fraction for _, answer, _ in answers]
    assert looked == sorted(looked)
    assert [detail.selection.count for _, _, detail in answers] == [answer.patches_used for _, answer, _ in answers]
    times = [answer.timing["real_ms"] for _, answer, _ in answers]
    assert times == sorted(times)
    assert desks["left"].counts()["answers"] == 1
    box.now = Asking(anytime=True)
    desks["left"].put_query('{"query": "car", "looks": 2, "anytime": false}')
    wait(lambda: len(answers) == 5)
    assert answers[-1][1].final


def test_a_cancel_ends_answers_that_get_better(parts):
    _, desks, answers, _ = parts
    desk = desks["left"]
    deliver = desk._deliver

    def cancel_first(answer, detail, frame):
        deliver(answer, detail, frame)
        if not answer.final:
            desk.put_query('{"cancel": "m"}')

    desk._deliver = cancel_first
    desk.put_image(1)
    desk.put_query('{"query": "mug", "id": "m", "looks": 3, "anytime": true}')
    wait(lambda: len(answers) == 2)
    desk.put_query('{"query": "car", "max_patches": 0}')
    wait(lambda: len(answers) == 3)
    assert [(answer.final, answer.error) for _, answer, _ in answers] == [
        (False, None), (True, "the question was cancelled"), (True, None)
    ]  # fmt: skip


def test_hooks_see_the_frame_give_a_prior_and_complete_the_answer(parts):
    _, desks, answers, _ = parts
    desk, seen = desks["left"], []
    corner = np.zeros((4, 4), np.float32)
    corner[3, 3] = 1.0
    desk.chosen.append(lambda frame: seen.append(frame.stamp_ns))
    desk.prior = lambda request, frame, standing: corner if standing else None
    desk.complete.append(lambda answer, request, frame: seen.append((request, answer.standing)) or answer)
    desk.put_watch('{"query": "mug", "max_patches": 0}')
    desk.put_image(7)
    wait(lambda: answers)
    desk.put_query('{"query": "mug", "max_patches": 0}')
    wait(lambda: len(answers) == 2)
    assert seen == [7, (Request("mug", max_patches=0), True), (Request("mug", max_patches=0), False)]
    with_prior, without = (detail.relevance for _, _, detail in answers)
    assert (with_prior - without)[-1, -1] > 0.1
