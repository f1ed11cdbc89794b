"""Frames from files, and answers from a bundle in this process: for who has no ROS."""

import json
import threading
import time
from collections import deque
from dataclasses import replace
from pathlib import Path

from ..answer import Answer
from ..ask import Asker
from ..errors import FrameError, Ps3Error
from ..looked import looked_mask
from ..media import PICTURES, VIDEOS, read_frames, read_picture
from ..query import Request
from .scene import Shot, Told, as_bytes, best_crop, reduced_jpeg

WAITING = 64  # questions that wait; one more is refused


class Files:
    """A thread that shows pictures one by one, or plays a video over and over, and answers.

    Args:
        listed: what list_files gave.
        asker: ask.Asker; only the thread uses it.
        show: function of a scene.Shot; tell: function of a scene.Told; both are called from the thread.
        width: of the pictures sent, px; rate_hz: of a video, at most.
        looks: close looks a question.
    """

    def __init__(self, listed, asker: Asker, show, tell, width=1280, rate_hz=5.0, looks=1):
        self._pictures, self._video = listed
        self.steps = self._video is None and len(self._pictures) > 1  # forwards and backwards, by hand
        self._asker, self._show, self._tell, self._width, self._looks = asker, show, tell, width, looks
        self._period = 1 / rate_hz
        self._wake = threading.Condition()
        self._waiting, self._standing = deque(), {}
        self._wanted, self._watchers, self._stopping = 0, 0, False
        self._trouble = None  # why the picture that is wanted cannot be asked about
        self._thread = threading.Thread(target=self._run, name="ps3-view-files", daemon=True)

    @property
    def title(self) -> str:
        """What is shown, and by which model."""
        what = self._video.name if self._video else f"{len(self._pictures)} picture{'s' * (len(self._pictures) != 1)}"
        return f"{what}, {self._asker.encoder.bundle.manifest.model_name} on {self._asker.encoder.backend.name}"

    def start(self):
        self._thread.start()

    def stop(self, timeout_s=5.0):
        with self._wake:
            self._stopping = True
            self._wake.notify_all()
        self._thread.join(timeout_s)

    def ask(self, request: Request, standing=False):
        """Takes a question; every one is told an answer. standing: asked about every frame until forget(its id)."""
        with self._wake:
            full = len(self._waiting) >= WAITING
            if standing:
                self._standing[request.key] = request
            if not full:
                self._waiting.append((request, standing))
                self._wake.notify_all()
        if full and not standing:
            self._tell(Told(_data(Answer.failed(request.text, f"{WAITING} questions wait already; ask again later", id=request.id))))

    def forget(self, key: str):
        """Ends a standing question."""
        with self._wake:
            self._standing.pop(key, None)

    def standing(self) -> list:
        """The standing questions of now: [(key, text)]."""
        with self._wake:
            return [(key, request.text) for key, request in self._standing.items()]

    def step(self, by: int):
        """Shows the picture that many places on; the list is a ring."""
        with self._wake:
            if self.steps:
                self._wanted = (self._wanted + by) % len(self._pictures)
                self._wake.notify_all()

    def watched(self, count: int):
        """How many look on: a video is played only while somebody does."""
        with self._wake:
            self._watchers = count
            self._wake.notify_all()

    # ---- the thread

    def _run(self):
        shown, frames, due = None, iter(()), 0.0
        while True:
            with self._wake:
                while not self._stopping and not self._waiting and not self._new(shown, due):
                    self._wake.wait(max(0.01, due - time.monotonic()) if self._playing() else None)
                if self._stopping:
                    return
                new, wanted = self._new(shown, due), self._wanted
            if new:
                due = time.monotonic() + self._period
                try:
                    if self._video is not None:
                        name, frame = next(frames, None) or next(frames := read_frames(self._video))
                    else:
                        path = self._pictures[wanted]
                        name, frame = path.name, read_picture(path)
                    self._take(name, frame)
                    self._trouble = None
                except Ps3Error as error:  # nothing is answered about the picture before it
                    self._trouble = str(error)
                    self._tell(Told(_data(Answer.failed("", error))))
                shown = wanted
            self._answer(new)

    def _playing(self):
        return self._video is not None and self._watchers > 0

    def _new(self, shown, due):
        """Whether another frame is to be shown."""
        if self._video is not None:
            return shown is None or (self._playing() and time.monotonic() >= due)
        return shown != self._wanted

    def _take(self, name, frame):
        frame = replace(frame, stamp_ns=time.time_ns())
        self._show(Shot(reduced_jpeg(frame.pixels, self._width), frame.stamp_ns, frame.frame_id, frame.width, frame.height, name))
        self._asker.set_frame(frame)

    def _answer(self, new):
        with self._wake:
            asked = list(self._waiting)
            self._waiting.clear()
            if new:
                asked += [(request, True) for request in self._standing.values() if (request, True) not in asked]
        for request, standing in asked:
            try:
                if self._trouble is not None:
                    raise FrameError(self._trouble)
                answer = self._asker.ask(request.text, looks=request.looks or self._looks, tokens=request.max_patches or None)
            except Ps3Error as error:
                self._tell(Told(_data(Answer.failed(request.text, error, id=request.id, standing=standing))))
                continue
            detail, frame = self._asker.detail, self._asker.glance.frame
            data = _data(replace(answer, id=request.id, standing=standing, age_ms=None))  # a file's age says nothing
            looked = looked_mask(detail.plan, detail.selection)
            self._tell(Told(data, as_bytes(detail.relevance), looked, best_crop(frame.pixels, data["regions"])))


def _data(answer):
    return json.loads(answer.to_json())


def list_files(paths):
    """What there is to show of pictures, folders of pictures, or one video: (pictures, None) or ((), video).

    Raises FrameError where there is nothing, or the first of it cannot be read.
    """
    paths = [Path(path) for path in paths]
    videos = [path for path in paths if path.suffix.lower() in VIDEOS]
    if videos and len(paths) > 1:
        raise FrameError(f"{str(videos[0])!r} is a video among {len(paths)} files; show one video, or pictures")
    for path in paths:
        if not path.exists():
            raise FrameError(f"there is nothing at {str(path)!r}; name pictures, folders of pictures, or a video")
    if videos:
        next(read_frames(videos[0]))  # whether it can be played
        return (), videos[0]
    inside = lambda folder: sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES and p.is_file())  # noqa: E731
    pictures = [picture for path in paths for picture in (inside(path) if path.is_dir() else [path])]
    if not pictures:
        raise FrameError(f"{', '.join(repr(str(path)) for path in paths)} holds no pictures; name {', '.join(sorted(PICTURES))} files")
    read_picture(pictures[0])
    return tuple(pictures), None
