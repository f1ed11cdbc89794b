"""What goes to the browser: a frame as a reduced JPEG, an answer with its maps as small PNGs. Both are bytes or JSON before any server."""

import base64
import json
import struct
from dataclasses import dataclass

import cv2
import numpy as np

JPEG_QUALITY = 80
CROP_SIDE = 320  # of the enlarged best region, px
CROP_LEAST, CROP_MARGIN = 48, 1.6  # a box of a few pixels is shown with something around it


@dataclass(frozen=True)
class Shot:
    """A frame to show. jpeg: reduced; width, height: of the frame itself, px; name: what a person calls it."""

    jpeg: bytes
    stamp_ns: int
    frame_id: str
    width: int
    height: int
    name: str = ""

    def to_bytes(self) -> bytes:
        """A binary message: uint32 length of the header (little endian), the header as JSON, the JPEG."""
        header = {"stamp": str(self.stamp_ns), "frame_id": self.frame_id, "width": self.width, "height": self.height, "name": self.name}
        data = json.dumps(header, ensure_ascii=False).encode("utf-8")
        return struct.pack("<I", len(data)) + data + self.jpeg


@dataclass(frozen=True, eq=False)
class Told:
    """An answer to show. answer: dict after docs/answer.schema.json; relevance: uint8 [g, g] or None; looked: uint8 mask
    (looked.looked_mask) or None; crop: JPEG of the best region or None."""

    answer: dict
    relevance: np.ndarray | None = None
    looked: np.ndarray | None = None
    crop: bytes | None = None

    @property
    def stamp_ns(self) -> int:
        return self.answer["stamp"]["sec"] * 1_000_000_000 + self.answer["stamp"]["nanosec"]

    def to_json(self) -> str:
        """A text message; pictures in base64, the stamp as text: JavaScript's numbers end at 2^53."""
        values = {"type": "answer", "stamp": str(self.stamp_ns), "answer": self.answer}
        values |= {"relevance": _png(self.relevance), "looked": _png(self.looked), "crop": _base64(self.crop)}
        return json.dumps(values, ensure_ascii=False, allow_nan=False)


def reduced_jpeg(pixels: np.ndarray, width: int) -> bytes:
    """uint8 [H, W, 3] BGR -> JPEG at most `width` px wide."""
    scale = min(1.0, width / pixels.shape[1])
    if scale < 1:
        size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", pixels, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1].tobytes()


def best_crop(pixels: np.ndarray, regions: list) -> bytes | None:
    """JPEG of the best region at the camera's own resolution, with a margin; None where there is none. regions: an answer's, as dicts."""
    if not regions:
        return None
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = regions[0]["box"]
    half = max(x2 - x1, y2 - y1, CROP_LEAST) * CROP_MARGIN / 2
    cx, cy = (x1 + x2) / 2, (y1 + y2) / 2
    left, top = max(0, int(cx - half)), max(0, int(cy - half))
    crop = pixels[top : min(height, int(cy + half) + 1), left : min(width, int(cx + half) + 1)]
    if crop.size == 0:
        return None
    zoom = CROP_SIDE / max(crop.shape[:2])
    size = (max(1, round(crop.shape[1] * zoom)), max(1, round(crop.shape[0] * zoom)))
    crop = cv2.resize(crop, size, interpolation=cv2.INTER_CUBIC if zoom > 1 else cv2.INTER_AREA)
    return cv2.imencode(".jpg", crop, (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY))[1].tobytes()


def as_bytes(relevance: np.ndarray) -> np.ndarray:
    """float32 [g, g] in [0, 1] -> uint8, as ~/relevance carries it."""
    return np.clip(np.rint(relevance * 255), 0, 255).astype(np.uint8)


def _png(values):
    return None if values is None else _base64(cv2.imencode(".png", values)[1].tobytes())


def _base64(data):
    return None if data is None else base64.b64encode(data).decode("ascii")
