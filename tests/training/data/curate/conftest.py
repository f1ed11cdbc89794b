"""Drawn pictures with things and words in them, and a real HTTP server that plays a vision model."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest


def drawn(seed=0, text="EXIT 27"):
    """uint8 [360, 640, 3]: a grey wall with a red disc, a blue box and black words on a white board."""
    image = np.full((360, 640, 3), 150, np.uint8)
    image += np.random.default_rng(seed).integers(0, 12, image.shape, np.uint8)
    cv2.circle(image, (120, 100), 40, (40, 40, 210), -1)
    cv2.rectangle(image, (60, 240), (150, 320), (200, 80, 20), -1)
    cv2.rectangle(image, (300, 60), (560, 150), (250, 250, 250), -1)
    cv2.putText(image, text, (318, 122), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (0, 0, 0), 4, cv2.LINE_AA)
    return cv2.GaussianBlur(image, (0, 0), 0.8)


@pytest.fixture
def pictures(tmp_path):
    """A folder with three pictures, one of them in a subfolder, and one that is cut off."""
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    cv2.imwrite(str(folder / "a.jpg"), drawn(0))
    cv2.imwrite(str(folder / "b.png"), drawn(1))
    cv2.imwrite(str(folder / "more" / "a.b.jpg"), drawn(2))
    (folder / "broken.jpg").write_bytes((folder / "a.jpg").read_bytes()[:2000])
    return folder


class Model:
    """What the server has been asked (`requests`: path, headers, body) and what it is to do next (`script`, then `answer`).

    A step of the script is an HTTP status, or "hang", "cut", "garbage", or bytes to send as they are; `slow`: seconds before each answer.
    """

    def __init__(self):
        self.requests, self.script, self.answer, self.at_once, self.most_at_once = [], [], "red disc on a wall", 0, 0
        self.headers, self.slow, self.lock, self.release = {}, 0.0, threading.Lock(), threading.Event()

    def completion(self, words):
        return json.dumps({"choices": [{"message": {"role": "assistant", "content": words}}]}).encode()


@pytest.fixture
def model(monkeypatch):
    """A Model behind a real server at `model.url`."""
    state = Model()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with state.lock:
                state.requests.append((self.path, dict(self.headers), body))
                step = state.script.pop(0) if state.script else 200
                state.at_once += 1
                state.most_at_once = max(state.most_at_once, state.at_once)
            state.release.wait(60) if step == "hang" else state.release.wait(state.slow)
            with state.lock:
                state.at_once -= 1
            data = step if isinstance(step, bytes) else b"<html>" if step == "garbage" else state.completion(state.answer)
            try:
                self.send_response(step if isinstance(step, int) else 200)
                for name, value in state.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if step == "cut" else data)
            except OSError:  # the client has given up
                pass

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield state
    state.release.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def picture():
    return drawn()
