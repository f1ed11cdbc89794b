"""The client of a vision server, against a real one on this machine."""

import base64
import time

import cv2
import numpy as np
import pytest

from ps3_training.data.curate.regions import Region
from ps3_training.data.curate.vision_server import RefusedError, ServerError, VisionServer


def client(model, **options):
    return VisionServer(model.url, "tiny-vision", **{"wait": 0.01, "timeout": 5.0, **options})


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
def test_the_request_is_a_chat_completion_with_the_picture(model, picture, monkeypatch, end):
    monkeypatch.setenv("MY_KEY", "sesame")
    words = VisionServer(model.url + end, "tiny-vision", key_variable="MY_KEY").ask("what is it?", picture)
    path, headers, body = model.requests[0]
    assert words == "red disc on a wall" and path == "/v1/chat/completions" and headers["Authorization"] == "Bearer sesame"
    text, image = body["messages"][0]["content"]
    assert body["model"] == "tiny-vision" and text == {"type": "text", "text": "what is it?"}
    kind, data = image["image_url"]["url"].split(",")
    sent = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    assert kind == "data:image/jpeg;base64" and np.abs(sent.astype(int) - picture).mean() < 6


def test_without_a_key_none_is_sent(model, picture, monkeypatch):
    monkeypatch.delenv("PS3_VISION_KEY", raising=False)
    client(model).ask("?", picture)
    assert "Authorization" not in model.requests[0][1]


@pytest.mark.parametrize(
    "script",
    [
        [500],
        [503, 429],
        ["cut"],  # fewer bytes than announced
        ["garbage"],  # no JSON
        [b'{"choices": []}'],
        [b'{"choices": [{"message": {"content": null}}]}'],
    ],
)
def test_what_may_pass_is_asked_again(model, picture, script):
    model.script = list(script)
    assert client(model).ask("?", picture) == "red disc on a wall" and len(model.requests) == len(script) + 1


def test_the_server_says_how_long_to_wait(model, picture):
    model.script, model.headers = [429], {"Retry-After": "1"}
    start = time.monotonic()
    client(model).ask("?", picture)
    assert time.monotonic() - start >= 1


@pytest.mark.parametrize(
    "script, error, said",
    [
        ([500] * 3, ServerError, "no answer in 3 tries .HTTP 500"),
        ([401], ServerError, "HTTP 401.*tiny-vision.*PS3_VISION_KEY"),
        ([404], ServerError, "HTTP 404"),
        ([400], RefusedError, "refused the picture with HTTP 400"),
        (["garbage"] * 3, ServerError, "no chat completion"),
        ([b"x" * (1 << 21)] * 3, ServerError, "more than"),
    ],
)
def test_what_will_not_pass_is_one_sentence(model, picture, script, error, said):
    model.script = list(script)
    with pytest.raises(error, match=said):
        client(model, tries=3).ask("?", picture)
    assert len(model.requests) == len(script)


def test_a_server_that_hangs_is_given_up(model, picture):
    model.script = ["hang", "hang"]
    start = time.monotonic()
    with pytest.raises(ServerError, match="2 tries .timed out"):
        client(model, timeout=0.3, tries=2).ask("?", picture)
    assert time.monotonic() - start < 10


def test_no_server_is_one_sentence(picture):
    with pytest.raises(ServerError, match="refused"):
        VisionServer("http://127.0.0.1:9", "m", tries=2, wait=0.01, timeout=2).ask("?", picture)


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", ""])
def test_a_url_that_is_none(url):
    with pytest.raises(ServerError, match="no http or https URL"):
        VisionServer(url, "m")


def test_captions_are_checked_and_at_most_so_many_are_under_way(model, picture):
    model.slow, model.script = 0.05, [model.completion(w) for w in ("unclear", "I'm sorry, no")]
    regions = [Region((10 * i, 10, 10 * i + 40, 60), "dense" if i % 2 else "small", 0.5) for i in range(8)]
    captions = client(model, parallel=3).caption(picture, regions)
    assert model.most_at_once <= 3 and sum(c is None for c in captions) == 2
    assert {c.text for c in captions if c} == {"red disc on a wall"} and {c.by for c in captions if c} == {"tiny-vision"}


def test_a_sentence_for_the_whole_picture(model, picture):
    model.answer = "A wall with a red disc, a blue box and a board."
    assert client(model).describe(picture) == "A wall with a red disc, a blue box and a board"
