"""The kinds of bad input that test_faults.py sends, each a name with what is sent and what must be said of it."""

import struct
import zlib

import cv2
import numpy as np
from fault_helpers import SCENE

BIG = 2**32 - 1

RAW = {  # kind: (changed fields of a 640 x 360 bgr8 image, words of the log)
    "empty data": ({"data": b""}, "data is 0 bytes"),
    "truncated data": ({"data": SCENE.tobytes()[:-7]}, "data is 691193 bytes"),
    "more data than the size needs": ({"data": SCENE.tobytes() + b"more"}, "data is 691204 bytes"),
    "a step too short": ({"step": 1919}, "step is 1919 bytes where a row"),
    "a step of 4 GB": ({"step": BIG}, "data is 691200 bytes where step 4294967295"),
    "a size of 4 billion": ({"height": BIG, "width": BIG}, f"image is {BIG} x {BIG} pixels"),
    "a picture of one pixel": ({"height": 1, "width": 1, "step": 3, "data": b"abc"}, "image is 1 x 1 pixels"),
    "an encoding that nobody has": ({"encoding": "\x1b[2Jevil\n"}, "is not supported"),
    "an encoding of other depth": ({"encoding": "32FC1"}, "'32FC1' is not supported"),
}

STAMPS = {  # kind: (seconds, nanoseconds, whether it can be answered)
    "of the far future": (2_100_000_000, 0, True),
    "of the past": (1, 0, True),
    "zero": (0, 0, True),
    "before zero": (-1, 999_999_999, False),
    "with more nanoseconds than a second has": (2**31 - 1, BIG, False),
}

QUERIES = {  # kind: (what is sent, words of the error)
    "an empty one": ("", "query is empty"),
    "white space": (" \t\n ", "query is empty"),
    "10,000 characters": ("x" * 10_000, "10000 characters"),
    "a million characters": ("y" * 1_000_000, "1000000 characters"),
    "a million characters of JSON": ('{"query": "' + "z" * 1_000_000 + '"}', "where at most 65536"),
    "terminal control codes": ("\x1b[2J\x1b[1;31mmug", "U+001B"),
    "a new line that forges a log": ("mug\n[INFO] all is well", "U+000A"),
    "not UTF-8": (b"m\xff\xfeg", "not UTF-8"),
    "broken JSON": ('{"query": "mug"', "is not JSON"),
    "JSON nested 30,000 deep": ('{"query":' + "[" * 30_000, "is not JSON"),
    "a number of 5,000 digits": ('{"query": "mug", "looks": ' + "9" * 5_000 + "}", "is not JSON"),
    "a whole number beyond every float": ('{"query": "mug", "looks": ' + "9" * 400 + "}", "looks 99999"),
    "a number beyond every float": ('{"query": "mug", "deadline_ms": 1e999}', "deadline_ms inf"),
    "NaN": ('{"query": "mug", "deadline_ms": NaN}', "NaN"),
    "minus infinity": ('{"query": "mug", "max_patches": -Infinity}', "-Infinity"),
    "a field twice": ('{"query": "mug", "query": "car"}', "twice"),
    "an unknown field": ('{"query": "mug", "sudo": true}', "unknown field 'sudo'"),
    "half of a surrogate pair": ('{"query": "mug \\ud800"}', "U+D800"),
    "an object where text belongs": ('{"query": {"query": "mug"}}', "query is dict"),
    "an id of control codes": ('{"query": "mug", "id": "a\\u001b[0m"}', "printable"),
    "a camera that nobody has": ('{"query": "mug", "camera": "rear\\u001b"}', "camera"),
    "an unknown cancel": ('{"cancel": "nobody"}', "no question with the id 'nobody' waits"),
    "a cancel of nothing": ('{"cancel": null}', "cancel None"),
    "more words than the model reads": ("stop sign " * 200, "tokens"),
    "empty choices": ("red | | green light", "empty choice"),
    "a thousand choices": (" | ".join(["a"] * 1000), "offers 1000 choices"),
}

PARAMETERS = {  # kind: (name, value, words of the reason)
    "out of range": ("looks", 0, "out of range"),
    "of another type": ("looks", "many", "Wrong parameter type"),
    "not a number": ("deadline_ms", float("nan"), ""),
    "endless": ("query_timeout_s", float("inf"), "out of range"),
    "not one of the choices": ("image_transport", "pigeon", "give one of raw, compressed"),
    "an unknown backend": ("fallback_backends", ["abacus"], "abacus"),
    "a question that cannot be asked": ("standing_queries", ["bell\x07"], "U+0007"),
    "too many questions": ("standing_queries", [f"q{n}" for n in range(65)], "65 questions"),
    "a parameter that is not there": ("no_such_parameter", 1, "undeclared"),
}

NAN, GOOD_K = float("nan"), [500.0, 0.0, 320.0, 0.0, 500.0, 180.0, 0.0, 0.0, 1.0]
CALIBRATIONS = {  # kind: fields of a CameraInfo
    "of NaN": {"width": 640, "height": 360, "distortion_model": "plumb_bob", "k": [NAN] * 9},
    "of no size": {"width": 0, "height": 0, "k": GOOD_K},
    "of a focal length below zero": {"width": 640, "height": 360, "distortion_model": "plumb_bob", "k": [-1.0, *GOOD_K[1:]]},
    "of an unknown model": {"width": 640, "height": 360, "distortion_model": "\x1b[2Jfish", "k": GOOD_K, "d": [0.1] * 1000},
    "of endless distortion": {"width": 640, "height": 360, "distortion_model": "plumb_bob", "k": GOOD_K, "d": [float("inf")] * 5},
    "of another size than the image": {"width": 100, "height": 4_000_000_000, "distortion_model": "plumb_bob", "k": GOOD_K, "d": [0.0] * 5},
    "of no camera": {},  # the last one: as before
}
DEPTHS = {  # kind: fields of a depth image of the scene's size
    "that is colour": {"encoding": "bgr8", "step": 1920, "data": SCENE.tobytes()},
    "without data": {"encoding": "16UC1", "step": 1280, "data": b""},
    "of a short step": {"encoding": "16UC1", "step": 3, "data": bytes(360 * 3)},
    "of a size of 4 billion": {"encoding": "32FC1", "height": BIG, "width": BIG, "step": BIG, "data": bytes(16)},
    "of NaN": {"encoding": "32FC1", "step": 2560, "data": np.full((360, 640), NAN, np.float32).tobytes()},
    "of another size": {"encoding": "16UC1", "height": 2, "width": 2, "step": 4, "data": bytes(8)},
}

PRIORS = {  # kind: fields of an image of the scene's size
    "that is not mono8": {},
    "that is empty": {"encoding": "mono8", "height": 0, "width": 0, "step": 0, "data": b""},
    "that is truncated": {"encoding": "mono8", "step": 640, "data": bytes(100)},
    "that claims 4 billion": {"encoding": "mono8", "height": BIG, "width": BIG, "step": BIG, "data": bytes(9)},
    "that is one pixel": {"encoding": "mono8", "height": 1, "width": 1, "step": 1, "data": b"\xff"},
}
BOX = '{"box": [0, 0, 1, 1], "weight": 1},'
REGIONS = {  # kind: text
    "that is not JSON": "\x1b[2J{",
    "that names no box": '{"width": 640, "height": 360, "regions": [{}]}',
    "with a box of NaN": '{"width": 640, "height": 360, "regions": [{"box": [NaN, 0, 1, 1], "weight": 1}]}',
    "with a box beyond every float": '{"width": 640, "height": 360, "regions": [{"box": [0, 0, 1e999, ' + "9" * 400 + '], "weight": 1}]}',
    "with a box inside out": '{"width": 640, "height": 360, "regions": [{"box": [9, 9, 1, 1], "weight": -3}]}',
    "of no size": '{"width": 0, "height": -1, "regions": [{"box": [0, 0, 1, 1], "weight": 1}]}',
    "with a hundred thousand boxes": '{"width": 640, "height": 360, "regions": ['
    + '{"box": [0, 0, 1, 1], "weight": 1},' * 100_000
    + "{}]}",
}


def jpeg(pixels=SCENE):
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def jpeg_of_size(height, width):
    """A small file whose header claims a size."""
    data = jpeg()
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def png_of_size(height, width):
    """A PNG bomb: a megabyte of zeros for each KB, and a size that needs far more."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")


COMPRESSED = {  # kind: (bytes, format, words of the log)
    "no data": (b"", "jpeg", "starts with bytes none"),
    "text": (b"this is not a picture", "jpeg", "neither JPEG nor PNG"),
    "a truncated JPEG": (jpeg()[: len(jpeg()) // 2], "jpeg", "stops before its end"),
    "a JPEG without tables": (jpeg()[:2] + jpeg()[jpeg().index(b"\xff\xc0") :], "jpeg", "cannot be decoded"),
    "a JPEG bomb of 65,500 x 65,500": (jpeg_of_size(65_500, 65_500), "jpeg", "image is 65500 x 65500 pixels"),
    "a PNG bomb of 20,000 x 20,000": (png_of_size(20_000, 20_000), "png", "image is 20000 x 20000 pixels"),
    "a PNG that holds less than it says": (png_of_size(4000, 4000)[:-20], "png", "stops before its end"),
    "depth": (cv2.imencode(".png", SCENE)[1].tobytes(), "16UC1; compressedDepth", "is depth"),
}
