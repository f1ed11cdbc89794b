"""Files as a source: every question gets an answer about the picture that is shown; standing ones with every new picture."""

import threading
import time

import cv2
import numpy as np
import pytest

from ps3_ros.ask import Asker
from ps3_ros.errors import FrameError
from ps3_ros.query import Request
from ps3_ros.view.files import Files, list_files


@pytest.fixture(scope="module")
def asker(tiny_bundle):
    return Asker(tiny_bundle, threads=1)


@pytest.fixture
def folder(tmp_path):
    for n in range(3):
        pixels = cv2.resize(np.random.default_rng(n).integers(0, 256, (9, 16, 3), dtype=np.uint8), (320, 180))
        cv2.imwrite(str(tmp_path / f"{n}.png"), pixels)
    return tmp_path


class Seen:
    """What a source showed and told."""

    def __init__(self):
        self.shots, self.told, self._came = [], [], threading.Condition()

    def show(self, shot):
        with self._came:
            self.shots.append(shot)
            self._came.notify_all()

    def tell(self, told):
        with self._came:
            self.told.append(told)
            self._came.notify_all()

    def wait(self, ready, timeout_s=20.0):
        with self._came:
            assert self._came.wait_for(lambda: ready(self), timeout_s), [t.answer for t in self.told]


@pytest.fixture
def start(asker):
    """A function that starts a source over files: (source, Seen). All are stopped at the end."""
    made = []

    def begin(paths, **options):
        seen = Seen()
        source = Files(list_files(paths), asker, seen.show, seen.tell, width=160, **options)
        made.append(source)
        source.start()
        return source, seen

    yield begin
    for source in made:
        source.stop()
        assert not source._thread.is_alive()


def test_a_question_is_answered_about_the_picture_that_is_shown_with_its_maps(start, folder, asker):
    source, seen = start([folder])
    seen.wait(lambda s: s.shots)
    source.ask(Request("stop sign", id="q1"))
    seen.wait(lambda s: s.told)
    shot, told = seen.shots[0], seen.told[0]
    assert (shot.name, shot.width, shot.height) == ("0.png", 320, 180)
    assert told.answer["id"] == "q1" and told.answer["error"] is None and told.stamp_ns == shot.stamp_ns
    assert told.answer["age_ms"] is None and told.crop is not None
    g = asker.settings.grid
    assert told.relevance.shape == (g, g) and np.count_nonzero(told.looked) > 0
    assert "3 pictures" in source.title and source.steps


def test_standing_questions_are_asked_about_every_picture_until_they_are_forgotten(start, folder):
    source, seen = start([folder])
    source.ask(Request("stop sign"), standing=True)
    source.ask(Request("stop sign"), standing=True)  # the same again
    assert source.standing() == [("stop sign", "stop sign")]
    seen.wait(lambda s: len(s.told) >= 1)
    for n in (1, 2):
        source.step(1)
        seen.wait(lambda s, n=n: s.told[-1].stamp_ns == s.shots[n].stamp_ns if len(s.shots) > n else False)
    assert all(told.answer["standing"] for told in seen.told)
    source.forget("stop sign")
    count = len(seen.told)
    source.step(1)  # the list is a ring
    seen.wait(lambda s: s.shots[-1].name == "0.png" and len(s.shots) == 4)
    source.ask(Request("mug"))
    seen.wait(lambda s: len(s.told) == count + 1)
    assert seen.told[-1].answer["query"] == "mug" and source.standing() == []


def test_a_picture_that_cannot_be_read_is_told_and_never_answered_with_the_one_before(start, folder):
    (folder / "1.png").write_bytes(b"not a picture")
    source, seen = start([folder])
    seen.wait(lambda s: s.shots)
    source.step(1)
    seen.wait(lambda s: s.told)
    source.ask(Request("stop sign"))
    seen.wait(lambda s: len(s.told) == 2)
    assert all("1.png" in told.answer["error"] for told in seen.told)
    source.step(1)
    source.ask(Request("stop sign"))
    seen.wait(lambda s: s.told[-1].answer["error"] is None)


def test_a_question_too_many_and_one_that_cannot_be_asked_get_an_error(start, folder, monkeypatch):
    monkeypatch.setattr("ps3_ros.view.files.WAITING", 0)
    source, seen = start([folder])
    source.ask(Request("stop sign", id="late"))
    seen.wait(lambda s: s.told)
    assert seen.told[0].answer["id"] == "late" and "wait already" in seen.told[0].answer["error"]
    monkeypatch.undo()
    source.ask(Request("word " * 300))
    seen.wait(lambda s: len(s.told) == 2)
    assert "256" in seen.told[1].answer["error"]


def test_a_video_is_played_over_and_over_while_somebody_looks_on(start, tmp_path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 96))
    for n in range(3):
        writer.write(np.full((96, 160, 3), 40 + 60 * n, np.uint8))
    writer.release()
    source, seen = start([path], rate_hz=20.0)
    seen.wait(lambda s: len(s.shots) == 1)  # the first, for who comes
    time.sleep(0.2)
    assert len(seen.shots) == 1 and not source.steps
    source.watched(1)
    seen.wait(lambda s: len(s.shots) >= 5)
    assert [shot.name for shot in seen.shots[:4]] == ["clip-000000", "clip-000001", "clip-000002", "clip-000000"]


def test_nothing_to_show_is_one_sentence(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    cases = (
        ([tmp_path / "none.jpg"], "nothing at"),
        ([tmp_path / "empty"], "no pictures"),
        ([folder / "0.png", tmp_path / "a.mp4"], "a.mp4"),
    )
    for paths, says in cases:
        with pytest.raises(FrameError, match=says):
            list_files(paths)
