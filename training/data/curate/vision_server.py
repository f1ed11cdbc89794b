"""Captions from any OpenAI-compatible vision server, by URL: POST /v1/chat/completions with the picture as a data URL.

Standard library only.
"""

import base64
import http.client
import json
import os
import random
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import cv2

from ps3_ros.errors import Ps3Error

from .caption import LONGEST_GLOBAL, Caption, clean_caption
from .regions import crop

KEY = "PS3_VISION_KEY"  # environment variable with the server's API key; servers without one need none
LOCAL = (
    "Name the thing in the middle of this picture as one would ask for it, in 2 to 12 words: what it is, its colour, what is written on "
    "it. Answer with these words only, for example: red mug with a blue handle. If you cannot tell, answer: unclear"
)
DENSE = (
    "Say what these things are, as one would ask for them, in 2 to 12 words. Answer with these words only, for example: spice jars on a "
    "shelf. If you cannot tell, answer: unclear"
)
GLOBAL = "Describe this picture in one sentence of at most 30 words: the place and the main things in it. Answer with the sentence only."
CROP = (224, 768)  # px: longer side of the crop that is sent, at least and at most
WHOLE = 1024  # px: longer side of the whole picture that is sent
LARGEST_ANSWER = 1 << 20  # bytes
REFUSED = (400, 413, 415, 422)  # HTTP statuses that speak of this one request
PASSING = (408, 409, 425, 429, 500, 502, 503, 504)  # those that may pass: asked again


class ServerError(Ps3Error):
    """The vision server cannot be used: no answer, a refused key, or an answer that is no chat completion. The run stops and can go on."""


class RefusedError(Ps3Error):
    """The server does not take this one picture; the run goes on with the next."""


class VisionServer:
    """A chat model that sees. Safe to share between threads; at most `parallel` requests are under way.

    url: with or without /v1. key_variable: environment variable with the API key. timeout: seconds a try, in all. tries: a request is
    sent so often, waiting `wait` seconds and then twice as long each time (or as long as the server's Retry-After says, up to a minute).
    Raises ServerError for a URL that is none.
    """

    def __init__(self, url, model, key_variable=KEY, timeout=60.0, tries=4, wait=1.0, parallel=4):
        if not str(url).startswith(("http://", "https://")):
            raise ServerError(f"The server's URL {url!r} is no http or https URL; write it like http://localhost:8000/v1.")
        if timeout <= 0 or tries < 1 or parallel < 1:
            raise ServerError(f"timeout is {timeout}, tries {tries} and parallel {parallel}; all must be above 0.")
        base = str(url).rstrip("/")
        self.url = base + (
            "" if base.endswith("/chat/completions") else "/chat/completions" if base.endswith("/v1") else "/v1/chat/completions"
        )
        self.model, self.key_variable = model, key_variable
        self.timeout, self.tries, self.wait, self.parallel = timeout, tries, wait, parallel
        self._places = threading.BoundedSemaphore(parallel)

    def ask(self, prompt, image):
        """The model's words about image, uint8 [H, W, 3] BGR.

        Raises ServerError once every try failed, or at once where trying again is no use; RefusedError for this one picture.
        """
        ok, jpg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])
        picture = "data:image/jpeg;base64," + base64.b64encode(jpg.tobytes()).decode()
        content = [{"type": "text", "text": prompt}, {"type": "image_url", "image_url": {"url": picture}}]
        body = {"model": self.model, "messages": [{"role": "user", "content": content}], "max_tokens": 80, "temperature": 0}
        data, problem = json.dumps(body).encode(), ""
        with self._places:
            for attempt in range(self.tries):
                pause = self.wait * 2**attempt * random.uniform(0.8, 1.2)
                try:
                    return self._words(self._post(data))
                except urllib.error.HTTPError as error:
                    problem = f"HTTP {error.code}: {_short(error)}"
                    if error.code in REFUSED:
                        raise RefusedError(f"{self.url} refused the picture with {problem}.") from error
                    if error.code not in PASSING:
                        raise ServerError(
                            f"{self.url} answered {problem}; check the model name {self.model!r} and ${self.key_variable}."
                        ) from error
                    after = error.headers.get("Retry-After", "")
                    pause = min(60.0, float(after)) if after.isdigit() else pause
                except (OSError, http.client.HTTPException, ServerError) as error:  # refused, cut off, timed out, or no chat completion
                    problem = str(getattr(error, "reason", error)) or type(error).__name__
                if attempt + 1 < self.tries:
                    time.sleep(pause)
        raise ServerError(f"{self.url} gave no answer in {self.tries} tries ({problem}); see that it runs, then start again to go on.")

    def _post(self, data):
        headers = {"Content-Type": "application/json"}
        if os.environ.get(self.key_variable):
            headers["Authorization"] = f"Bearer {os.environ[self.key_variable]}"
        end = time.monotonic() + self.timeout
        with urllib.request.urlopen(urllib.request.Request(self.url, data, headers), timeout=self.timeout) as response:
            parts, size = [], 0
            while part := response.read1(1 << 16):
                parts.append(part)
                size += len(part)
                if size > LARGEST_ANSWER:
                    raise ServerError(f"an answer of more than {LARGEST_ANSWER} bytes")
                if time.monotonic() > end:  # a server that drips: the socket's own timeout counts from byte to byte
                    raise TimeoutError("timed out")
        return b"".join(parts)

    @staticmethod
    def _words(data):
        try:
            words = json.loads(data)["choices"][0]["message"]["content"]
            if isinstance(words, list):
                words = " ".join(part.get("text", "") for part in words)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            words = None
        if not isinstance(words, str):
            raise ServerError(f"an answer that is no chat completion: {data[:80]!r}")
        return words

    def caption(self, image, regions):
        """A captioner (caption.py): the crop of each region is described; an answer that is no caption gives None."""
        with ThreadPoolExecutor(max(1, min(self.parallel, len(regions)))) as pool:
            return list(pool.map(lambda region: self._one(image, region), regions))

    def _one(self, image, region):
        text = clean_caption(self.ask(DENSE if region.why == "dense" else LOCAL, _sized(crop(image, region.box, 1.6), *CROP)))
        return Caption(text, text.lower(), (text.lower(),), self.model) if text else None

    def describe(self, image):
        """A sentence for the whole image; None where the answer is none."""
        return clean_caption(self.ask(GLOBAL, _sized(image, 0, WHOLE)), LONGEST_GLOBAL)


def _sized(image, least, most):
    """The image with its longer side between least and most px."""
    longer = max(image.shape[:2])
    scale = most / longer if longer > most else least / longer if longer < least else 1
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return image if scale == 1 else cv2.resize(image, None, fx=scale, fy=scale, interpolation=how)


def _short(error):
    try:
        return error.read(200).decode("utf-8", "replace").strip() or error.reason
    except OSError:
        return str(error.reason)
