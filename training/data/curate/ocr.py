"""Text in a picture, read by rapidocr (extra `curate`; its models come in its wheel): the regions whose caption needs no vision server."""

import threading

import numpy as np

from ps3_ros.errors import Ps3Error

from .segment import Mask, suppress, tiles

TILE = 1536  # px: text is read at full size, in tiles of this side
SURE = 0.85  # rapidocr's score from which a line counts as read
LONGEST = 60  # characters


class TextReader:
    """Called with an image uint8 [H, W, 3] BGR, gives a Mask with `text` for each line it can read. Raises Ps3Error without rapidocr.

    threads: of onnxruntime, 0 leaves it the choice.
    """

    def __init__(self, threads=0):
        try:
            from importlib.metadata import version

            from rapidocr import RapidOCR
        except ImportError as error:
            raise Ps3Error(
                f"Reading text needs rapidocr ({error}); pip install 'ps3_ros[curate]', or leave it out with --no-ocr."
            ) from error
        parameters = {"Global.log_level": "error", "Global.use_cls": True}
        if threads:
            parameters["EngineConfig.onnxruntime.intra_op_num_threads"] = threads
        self._read = RapidOCR(params=parameters)
        self._lock = threading.Lock()
        self.name = f"rapidocr {version('rapidocr')}"

    def __call__(self, image):
        masks = []
        parts = tiles(image, TILE)
        for x, y, tile in parts:
            with self._lock:  # one reader, one picture at a time
                result = self._read(np.ascontiguousarray(tile))
            if result.boxes is None or result.txts is None:
                continue
            for corners, text, score in zip(result.boxes, result.txts, result.scores, strict=True):
                text = clean_text(text)
                if text and score >= SURE:
                    (x1, y1), (x2, y2) = np.min(corners, 0), np.max(corners, 0)
                    box = tuple(int(round(float(v))) for v in (x1 + x, y1 + y, x2 + x, y2 + y))
                    masks.append(Mask(box, float((x2 - x1) * (y2 - y1)), float(score), text))
        if len(parts) == 1:
            return masks
        masks.sort(key=lambda m: -m.area)  # of two reads of one line in two tiles, the longer
        kept = suppress(np.asarray([m.box for m in masks], float).reshape(-1, 4), 0.3)
        return [masks[i] for i in kept]


def clean_text(text):
    """A line as read, in one line of at most LONGEST characters; "" where it is too short or hardly letters and digits."""
    text = " ".join(str(text).split())
    letters = sum(c.isalnum() for c in text)
    return text if letters >= 2 and letters >= 0.6 * len(text.replace(" ", "")) and len(text) <= LONGEST else ""
